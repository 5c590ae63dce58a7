"""The formats, and what can be set of them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeAlias

from pydantic import Field

from reagent_sdk.exports.choosing import require_wanted
from reagent_sdk.exports.cleaning import cleaned
from reagent_sdk.frozen import Settings
from reagent_sdk.run import Run, RunStatus

MARGIN = 0.1
"""The least difference of two scores that makes a preference, where none is given."""


class Format(StrEnum):
    """What the lines of an export are."""

    SFT = "sft"
    """TRL conversations: the chosen attempt."""
    DPO = "dpo"
    """TRL preferences: two attempts of one run."""
    GRPO = "grpo"
    """TRL prompts: the question."""
    ATIF = "atif"
    """Agent Trajectory Interchange Format: the whole run."""
    OTEL = "otel"
    """OTLP/JSON: the run as a trace."""


class ExportSettings(Settings):
    """What is exported, and how."""

    format: Format
    only: tuple[RunStatus, ...] = Field((), description="statuses of the runs that are wanted; () wants all")
    min_score: float | None = Field(None, ge=0, le=1, description="least score of the chosen attempt")
    margin: float = Field(MARGIN, gt=0, le=1, description="dpo: least difference of the two scores")
    texts: bool = Field(True, description="otel: whether spans hold questions, answers, critiques and tool results")


Converter: TypeAlias = Callable[[Run], tuple[dict[str, Any], bool]]
"""Gives the line of a run, and whether a key was masked in it. Raises LeftOut for a run that has none."""


def converter(settings: ExportSettings) -> Converter:
    """What turns runs into lines of a format.

    Raises:
        MissingExtra: the format needs a package that is not installed.
    """
    make = _maker(settings)

    def convert(run: Run) -> tuple[dict[str, Any], bool]:
        require_wanted(run, settings.only, settings.min_score)
        clean, masked = cleaned(run)
        return make(clean), masked

    return convert


def _maker(settings: ExportSettings) -> Callable[[Run], dict[str, Any]]:
    from reagent_sdk.exports import atif, trl

    match settings.format:
        case Format.SFT:
            return trl.sft_row
        case Format.DPO:
            return lambda run: trl.dpo_row(run, settings.margin)
        case Format.GRPO:
            return trl.grpo_row
        case Format.ATIF:
            return atif.trajectory_of
        case Format.OTEL:
            from reagent_sdk.exports.otel import require_encoder, trace_of

            require_encoder()
            return lambda run: trace_of(run, texts=settings.texts)

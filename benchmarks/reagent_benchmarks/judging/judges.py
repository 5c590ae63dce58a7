"""Judges for a benchmark: the same prompts each time it is run."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from reagent_sdk.judges.base import Judge
from reagent_sdk.judges.model import JudgeSettings, ModelJudge
from reagent_sdk.specs import judge_for

ROOM: int = JudgeSettings().max_chars
"""Characters of a record that a judge reads when nothing else is said."""


class BenchJudge(NamedTuple):
    """A judge, and how many characters of a record it reads."""

    judge: Judge
    room: int


def bench_judges(spec: str, *, seed: int, repeats: int, max_chars: int | None) -> list[BenchJudge]:
    """A judge for each repeat. They differ in the code that frames the record, and in nothing else.

    The codes are secrets that a judge draws at random, and small judges score differently for another code. Here they
    follow from the seed, so that figures can be repeated.

    Args:
        spec: any judge spec.
        seed: of the codes.
        repeats: how many judges.
        max_chars: room for the record; the judge's own by default.

    Raises:
        InvalidInput: an unknown spec.
        WeightsUnavailable: local weights are missing.
    """
    return [_judge(spec, _secret(seed, repeat), max_chars) for repeat in range(repeats)]


def _judge(spec: str, secret: bytes, max_chars: int | None) -> BenchJudge:
    rooms: list[int] = []

    def adapt(judge: ModelJudge) -> ModelJudge:
        settings = judge.settings
        if max_chars is not None:
            settings = JudgeSettings.model_validate({**dict(settings), "max_chars": max_chars})
        rooms.append(settings.max_chars)
        return ModelJudge(judge.client, settings, secret=secret, name=judge.name)

    judge = judge_for(spec, adapt=adapt)
    return BenchJudge(judge, max(rooms, default=ROOM))


def _secret(seed: int, repeat: int) -> bytes:
    return hashlib.sha256(f"reagent bench {seed} {repeat}".encode()).digest()

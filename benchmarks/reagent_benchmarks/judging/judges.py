"""Judges for a benchmark: the same prompts each time it is run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.base import Judge
from reagent_sdk.judges.model import JudgeSettings, ModelJudge
from reagent_sdk.specs import judge_for

ROOM: int = JudgeSettings().max_chars
"""Characters of a record that a judge reads when nothing else is said."""


class BenchJudge(NamedTuple):
    """A judge, and how many characters of a record it reads."""

    judge: Judge
    room: int


def bench_judges(
    spec: str, *, seed: int, repeats: int, max_chars: int | None, steps: bool = False, free: bool = False
) -> list[BenchJudge]:
    """A judge for each repeat. They differ in the code that frames the record, and in nothing else.

    The codes are secrets that a judge draws at random, and small judges score differently for another code. Here they
    follow from the seed, so that figures can be repeated.

    Args:
        spec: any judge spec.
        seed: of the codes.
        repeats: how many judges.
        max_chars: room for the record; the judge's own by default.
        steps: ask every model for labels of steps as well.
        free: let every model write without a grammar, once: how often it keeps the format by itself.

    Raises:
        InvalidInput: an unknown spec, or steps of a judge that was calibrated without them.
        WeightsUnavailable: local weights are missing.
    """
    if steps and "calibrated:" in spec:
        raise InvalidInput(f"{spec} was calibrated under one prompt; pass the judge itself with --steps")
    changes = ({} if max_chars is None else {"max_chars": max_chars}) | ({"steps": True} if steps else {})
    return [_judge(spec, _secret(seed, repeat), changes, free=free) for repeat in range(repeats)]


def _judge(spec: str, secret: bytes, changes: Mapping[str, Any], *, free: bool) -> BenchJudge:
    rooms: list[int] = []

    def adapt(judge: ModelJudge) -> ModelJudge:
        # a copy, so that what nobody set stays unset, and a server may still say which prompt its judge was trained on
        settings = judge.settings.model_copy(update=dict(changes))
        if free:
            plain = settings.sampling.model_copy(update={"grammar": None})
            settings = settings.model_copy(update={"sampling": plain, "reasks": 0})
        rooms.append(settings.max_chars)
        return ModelJudge(judge.client, settings, secret=secret, name=judge.name)

    judge = judge_for(spec, adapt=adapt)
    return BenchJudge(judge, max(rooms, default=ROOM))


def _secret(seed: int, repeat: int) -> bytes:
    return hashlib.sha256(f"reagent bench {seed} {repeat}".encode()).digest()

"""What a run of `reagent data sample` came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from reagent_sdk.frozen import Frozen
from reagent_sdk.secrets import redact
from reagent_sdk.usage import Usage
from reagent_training.sampling.arms import Arm
from reagent_training.sampling.rollout import CUT_OFF, FAILED, RIGHT, WRONG, Rollout


class ArmReport(Frozen):
    """The rollouts of one arm.

    Attributes:
        rows: with a graded answer.
        right: of the rows.
        wrong: of the rows, those that were cut off included.
        cut_off: of the wrong ones, those whose reply the token limit ended.
        failed: rollouts without an answer: a crash, a time-out, a server that does not answer.
        not_done: rollouts that were not tried, or not to their end.
    """

    arm: Arm
    rows: int
    right: int
    wrong: int
    cut_off: int
    failed: int
    not_done: int


class SampleReport(Frozen):
    """All arms, and what this run used.

    Attributes:
        out: the file; it is written when there is at least one row.
        rows: in the file.
        complete: every rollout has a graded answer.
        done_now: rollouts of this run.
        failed_now: how many of them failed.
        earlier: rollouts that an earlier run had done.
        arms: by agent, temperature and tools.
        stopped: the limit of the budget that ended it; None when it came to its end.
        last_failure: why a rollout failed, the last time.
        usage: of this run.
    """

    out: Path
    rows: int
    complete: bool
    done_now: int
    failed_now: int
    earlier: int
    arms: tuple[ArmReport, ...]
    stopped: str | None
    last_failure: str
    usage: Usage


def by_arm(rollouts: Iterable[Rollout], status: Mapping[str, str]) -> tuple[ArmReport, ...]:
    """Counts how the rollouts of each arm ended.

    Args:
        rollouts: all that are planned.
        status: key of a rollout -> how it ended; none for those that were not done.
    """
    counts: dict[Arm, Counter[str]] = {}
    for one in rollouts:
        counts.setdefault(one.arm, Counter())[status.get(one.key, "")] += 1
    return tuple(_report(arm, ended) for arm, ended in counts.items())


def _report(arm: Arm, ended: Counter[str]) -> ArmReport:
    wrong = ended[WRONG] + ended[CUT_OFF]
    redacted = arm.model_copy(update={"agent": redact(arm.agent)})
    return ArmReport(
        arm=redacted,
        rows=ended[RIGHT] + wrong,
        right=ended[RIGHT],
        wrong=wrong,
        cut_off=ended[CUT_OFF],
        failed=ended[FAILED],
        not_done=ended[""],
    )

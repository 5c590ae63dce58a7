"""Attempts of training and of its evaluation as the rows that tables and pages are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reagent_benchmarks.outcomes import ArmResult, Outcome

from reagent_sdk.run import Attempt, Run, StopReason
from reagent_training.agent_rl.stages import Row


def made_of(rows: Sequence[Row]) -> list[Row]:
    """Those rows that an attempt was made for."""
    return [row for row in rows if row.rollout is not None]


def result_of(rows: Sequence[Row], chosen: int, **named: Any) -> ArmResult:
    """What came of one task.

    Args:
        rows: the first attempt at it and, where there is one, its revision; see :func:`made_of`.
        chosen: which of them is returned.
        **named: what the rows do not know: benchmark, sample, epoch, seed, arm, and perhaps seconds and run.
    """
    rollouts = [row.rollout for row in rows if row.rollout is not None]
    return ArmResult(
        outcome=outcome_of(rows[chosen]),
        first=outcome_of(rows[0]),
        answer=rollouts[chosen].trajectory.answer,
        references=rows[0].question.references,
        judge_failed=any(row.verdict is not None and not row.verdict.scored for row in rows),
        score=rows[chosen].score,
        attempts=len(rows),
        calls=sum(one.tokens.turns for one in rollouts),
        tokens=sum(sum(one.tokens.own) for one in rollouts),
        stopped_tools=sum(one.stopped_tools for one in rollouts),
        **named,
    )


def run_of(rows: Sequence[Row], chosen: int, **named: Any) -> Run:
    """The attempts as a run of the SDK; `named` may give it an id."""
    first = rows[0].verdict
    attempts = tuple(
        Attempt(
            index=index,
            trajectory=row.rollout.trajectory,
            verdict=row.verdict,
            feedback=first.critique if index and first else None,
        )
        for index, row in enumerate(rows)
        if row.rollout is not None
    )
    return Run(task=rows[0].question.task, attempts=attempts, chosen=chosen, stop=StopReason.ROUNDS, **named)


def outcome_of(row: Row) -> Outcome:
    """Right or wrong by the task's rule, or that the rule itself failed."""
    right = row.rollout.right if row.rollout is not None else False
    return Outcome.GRADER_FAILED if right is None else Outcome.RIGHT if right else Outcome.WRONG

"""The decisions of a run, as pure functions of what has happened: when to stop, what to return, and why."""

from __future__ import annotations

from collections.abc import Sequence

from reagent_sdk.marks import Marks
from reagent_sdk.policy import Policy
from reagent_sdk.run import Attempt, Run, RunStatus, StopReason
from reagent_sdk.verdict import VerdictStatus

NO_MARKS = Marks()


def reason_to_stop(attempts: Sequence[Attempt], policy: Policy, marks: Marks = NO_MARKS) -> StopReason | None:
    """Why no further revision should follow the last attempt, or None when one should. Budgets are not looked at.

    Args:
        attempts: at least one, in order.
        policy: the rules in force.
        marks: those in force for the last verdict.
    """
    last, earlier = attempts[-1], attempts[:-1]
    verdict = last.verdict
    out_of_rounds = last.index >= policy.rounds
    if verdict is None:
        return StopReason.ROUNDS if out_of_rounds and not needs_verdict(last.index, policy) else StopReason.BUDGET
    if verdict.score is None:
        abstained = verdict.status is VerdictStatus.ABSTAINED
        return StopReason.JUDGE_ABSTAINED if abstained else StopReason.JUDGE_FAILED
    if not comparable(attempts[0], last):
        return StopReason.JUDGE_CHANGED
    if marks.accept is not None and verdict.score >= marks.accept:
        return StopReason.ACCEPTED
    if out_of_rounds:
        return StopReason.ROUNDS
    if marks.revise_below is not None and verdict.score >= marks.revise_below:
        return StopReason.NO_GAIN
    if any(last.answer.strip() == before.answer.strip() for before in earlier):
        return StopReason.UNCHANGED
    if not verdict.critique:
        return StopReason.NO_CRITIQUE
    if any(before.verdict and before.verdict.critique == verdict.critique for before in earlier):
        return StopReason.REPEATED_CRITIQUE
    return None


def needs_verdict(index: int, policy: Policy) -> bool:
    """Whether a verdict on attempt `index` can change anything.

    The last one under keep="last" cannot (Reagent-C), unless a low score has consequences.
    """
    return policy.keep == "best" or index < policy.rounds or policy.floor is not None or policy.on_low_score == "raise"


def comparable(one: Attempt, other: Attempt) -> bool:
    """Whether both were scored by the same judge; scores of different judges mean different things."""
    return bool(one.verdict and other.verdict and one.verdict.judge == other.verdict.judge)


def choose(attempts: Sequence[Attempt], keep: str) -> int | None:
    """Index of the attempt to return.

    With keep="best" the best score wins, the earliest among equals, over the attempts that the first scoring judge
    scored; without any score the first draft stays. With keep="last" it is the last one. None without attempts.
    """
    if not attempts:
        return None
    if keep == "last":
        return attempts[-1].index
    scored = [attempt for attempt in attempts if attempt.score is not None]
    rivals = [attempt for attempt in scored if comparable(scored[0], attempt)]
    best = max(rivals, key=lambda attempt: attempt.score or 0.0, default=attempts[0])
    return best.index


_WHY = {
    StopReason.ACCEPTED: "its score reached the accept threshold",
    StopReason.ROUNDS: "the policy allows no further revision",
    StopReason.UNCHANGED: "the revision repeated an earlier answer",
    StopReason.REPEATED_CRITIQUE: "the judge repeated itself",
    StopReason.NO_GAIN: "revising work of this score does more harm than good, as the judge's revision rule holds",
    StopReason.NO_CRITIQUE: "the judge named nothing to improve",
    StopReason.BUDGET: "the budget has no room to go on",
    StopReason.JUDGE_FAILED: "the judge gave no readable verdict, so the draft was kept",
    StopReason.JUDGE_ABSTAINED: "the judge abstained, so the draft was kept",
    StopReason.JUDGE_CHANGED: "another judge stepped in, whose scores cannot be compared",
    StopReason.REVISION_FAILED: "the agent failed while revising, so the draft was kept",
    StopReason.AGENT_FAILED: "the agent failed on its first attempt",
    StopReason.STOPPED: "the caller stopped",
}


def status_of(chosen: Attempt | None, marks: Marks) -> RunStatus:
    """How far the answer of the chosen attempt can be relied upon, by the marks in force for its verdict."""
    if chosen is None:
        return RunStatus.FAILED
    if chosen.score is None:
        return RunStatus.UNJUDGED
    if marks.floor is not None and chosen.score < marks.floor:
        return RunStatus.ABSTAINED
    reached = marks.accept is not None and chosen.score >= marks.accept
    return RunStatus.ACCEPTED if reached else RunStatus.ANSWERED


def explain(run: Run) -> str:
    """One sentence: which attempt was returned, and why the run ended."""
    why = _WHY[run.stop]
    if run.chosen is None:
        return f"No attempt: {why}."
    scores = ", ".join("none" if attempt.score is None else f"{attempt.score:.2f}" for attempt in run.attempts)
    low = " Its score is below the floor, so better no answer than this." if run.status is RunStatus.ABSTAINED else ""
    return f"Returned attempt {run.chosen + 1} of {len(run.attempts)} (scores: {scores}); stopped because {why}.{low}"

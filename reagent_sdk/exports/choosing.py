"""Which runs and attempts are exported, and why the others are not."""

from __future__ import annotations

from collections.abc import Collection

from reagent_sdk.run import Attempt, Run, RunStatus
from reagent_sdk.trajectory import AgentStop


class LeftOut(Exception):
    """A run has no place in an export. The text is the reason as the counts show it."""


def require_wanted(run: Run, only: Collection[RunStatus], min_score: float | None) -> None:
    """Checks what holds for every format.

    Args:
        run: any run.
        only: the statuses that are wanted; all if there are none.
        min_score: the least score of the chosen attempt, in [0, 1]; None asks for no score.

    Raises:
        LeftOut: the run is not wanted. A run without a score is never taken for one with a low score.
    """
    if only and run.status not in only:
        raise LeftOut(f"status {run.status.value}")
    if min_score is None:
        return
    if run.score is None:
        raise LeftOut("without a score")
    if run.score < min_score:
        raise LeftOut(f"scored below {min_score:g}")


def chosen(run: Run) -> Attempt:
    """The attempt to learn from.

    Raises:
        LeftOut: there is none, or its answer was cut off.
    """
    if run.best is None:
        raise LeftOut("without an attempt")
    if run.best.trajectory.stop is AgentStop.TRUNCATED:
        raise LeftOut("answer cut off by the token limit")
    return run.best


def preference(run: Run, margin: float) -> tuple[Attempt, Attempt]:
    """The better and the worse attempt of a run: of those that one judge scored, the two furthest apart.

    Scores of different judges are not compared, and an attempt without a score is on neither side. A cut-off answer is
    never the better one. Among equals the earlier attempt is taken.

    Args:
        run: any run.
        margin: the least difference of the two scores, in (0, 1].

    Raises:
        LeftOut: there is no such pair.
    """
    scores: dict[str, dict[int, float]] = {}
    for attempt in run.attempts:
        if attempt.verdict is not None and attempt.score is not None:
            scores.setdefault(attempt.verdict.judge, {})[attempt.index] = attempt.score
    if all(len(of_judge) < 2 for of_judge in scores.values()):
        raise LeftOut("fewer than two attempts that one judge scored")
    widest: tuple[float, Attempt, Attempt] | None = None
    for of_judge in scores.values():
        whole = [index for index in of_judge if run.attempts[index].trajectory.stop is not AgentStop.TRUNCATED]
        if not whole:
            continue
        best = max(whole, key=of_judge.__getitem__)
        worst = min(of_judge, key=of_judge.__getitem__)
        gap = of_judge[best] - of_judge[worst]
        if widest is None or gap > widest[0]:
            widest = (gap, run.attempts[best], run.attempts[worst])
    if widest is None or widest[0] < margin:
        raise LeftOut(f"scores closer than {margin:g}")
    _, better, worse = widest
    if better.trajectory.same_work(worse.trajectory):
        raise LeftOut("both attempts say the same")
    return better, worse

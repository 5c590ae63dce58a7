"""Several opinions combined into one verdict: of several judges, or of one judge that samples."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from statistics import fmean, median
from typing import Literal, get_args

from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.base import Judge, calls_per_verdict, caveat_of, heard, voices
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.usage import Usage
from reagent_sdk.verdict import Verdict, VerdictStatus

Combine = Literal["mean", "median", "min"]
_COMBINED: dict[Combine, Callable[[Sequence[float]], float]] = {"mean": fmean, "median": median, "min": min}


class EnsembleJudge:
    """Asks all its members at once and combines their scores; the members' scores are kept on the verdict.

    The critique, with labels of steps where members give them, is that of the member whose score lies nearest to the
    combined one, the stricter among equals. Members
    that fail are never counted as a number: with fewer than `quorum` scores there is no score at all.

    Args:
        members: the judges. For several samples of one model see :meth:`ModelJudge.samples`.
        combine: "mean", "median", or "min" for the strictest opinion.
        quorum: how many members must score. All of them by default: a mean over fewer members is another judge's
            score, which must not be compared with the mean over all.

    Raises:
        InvalidInput: no member, an unknown way to combine, or a quorum that cannot be met.
    """

    gate: float | None = None

    def __init__(self, members: Sequence[Judge], combine: Combine = "median", *, quorum: int | None = None) -> None:
        if not members:
            raise InvalidInput("an ensemble needs at least one judge")
        if combine not in get_args(Combine):
            raise InvalidInput(f"an ensemble combines by {', '.join(get_args(Combine))}, not {combine!r}")
        self._members = tuple(members)
        self._combine = combine
        self._quorum = len(members) if quorum is None else quorum
        if not 1 <= self._quorum <= len(members):
            raise InvalidInput(f"the quorum must lie between 1 and {len(members)}, the number of judges")

    @property
    def name(self) -> str:
        """How the scores are combined, and of whom."""
        return self._name_of([member.name for member in self._members])

    @property
    def voices(self) -> tuple[str, ...]:
        """Names that may stand on its verdicts: where members have stand-ins, one for each mixture."""
        mixtures = itertools.product(*(voices(member) for member in self._members))
        return tuple(dict.fromkeys(map(self._name_of, mixtures)))

    def _name_of(self, names: Sequence[str]) -> str:
        counted = ((name, names.count(name)) for name in dict.fromkeys(names))
        return f"{self._combine}({', '.join(name if n == 1 else f'{n} x {name}' for name, n in counted)})"

    @property
    def calls_per_verdict(self) -> int:
        """The calls of all members."""
        return sum(calls_per_verdict(member) for member in self._members)

    @property
    def caveat(self) -> str:
        """What a reader should know of the members."""
        return "; ".join(dict.fromkeys(said for member in self._members if (said := caveat_of(member))))

    async def judge(self, task: Task, trajectory: Trajectory) -> Verdict:
        """The combined verdict, or the failures when too few members scored.

        Raises:
            BudgetExceeded: the run's budget allows no further call; the other members' calls are cancelled.
        """
        asked = [asyncio.ensure_future(heard(member, task, trajectory)) for member in self._members]
        try:
            verdicts = await asyncio.gather(*asked)
        finally:
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        return self._combined(verdicts)

    def _combined(self, verdicts: Sequence[Verdict]) -> Verdict:
        scored = [verdict for verdict in verdicts if verdict.score is not None]
        scores = [verdict.score for verdict in scored if verdict.score is not None]
        usage = sum((verdict.usage for verdict in verdicts), Usage())
        who = self._name_of([verdict.judge for verdict in verdicts])  # a member's stand-in makes it another ensemble
        about = {"judge": who, "usage": usage, "asks": sum(verdict.asks for verdict in verdicts)}
        if len(scored) < self._quorum:
            failed = [verdict for verdict in verdicts if not verdict.scored]
            reasons = "; ".join(dict.fromkeys(f"{one.judge}: {one.status}: {one.reason}" for one in failed))
            reason = f"{len(scored)} of {len(verdicts)} judges scored, {self._quorum} are needed: {reasons}"
            return Verdict.failed(_shared_status(failed), reason).model_copy(update=about)
        combined = min(1.0, max(0.0, _COMBINED[self._combine](scores)))
        speaker = min(scored, key=lambda verdict: (abs((verdict.score or 0.0) - combined), verdict.score))
        omitted = max(verdict.omitted_chars for verdict in scored)
        return speaker.model_copy(
            update={**about, "score": combined, "scores": tuple(scores), "omitted_chars": omitted, "bare_score": None}
        )

    async def aclose(self) -> None:
        """Closes all members."""
        for member in self._members:
            await member.aclose()


def _shared_status(failed: Sequence[Verdict]) -> VerdictStatus:
    """The status of all failures when they agree; else the judge as a whole was unavailable."""
    statuses = {verdict.status for verdict in failed}
    return statuses.pop() if len(statuses) == 1 else VerdictStatus.UNAVAILABLE

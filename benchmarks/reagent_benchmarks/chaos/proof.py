"""What must be true when all is over, each as a check that can fail."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from reagent_benchmarks.chaos.faults import Said, honest
from reagent_sdk import Attempt, Run, RunLog
from reagent_sdk.record_line import encode


class Check(NamedTuple):
    """A statement, whether it holds, and the figures behind it."""

    what: str
    holds: bool
    figures: str


def truthful(attempt: Attempt, question: str) -> bool:
    """Whether score and critique are those that the scripted model gives for this very attempt."""
    verdict = attempt.verdict
    return (
        verdict is None
        or verdict.score is None
        or Said(verdict.score, verdict.critique) == honest(question, attempt.answer)
    )


def in_form(attempt: Attempt, question: str) -> bool:
    """Whether a score is one that the grammar of verdicts can spell: two decimals, nothing else."""
    return attempt.score is None or round(attempt.score, 2) == attempt.score


def check_runs(
    log: Path, returned: Path, broke: Iterable[str], true_score: Callable[[Attempt, str], bool]
) -> Iterator[Check]:
    """Holds the run log against what the callers were given, and each run against the loop's promises.

    Args:
        log: the run log.
        returned: the same runs as they were returned, one a line.
        broke: questions whose runs ended with the agent's own failure before there was a draft.
        true_score: whether an attempt's score is one that its judge can have given.
    """
    given = Counter(_digest(line) for line in returned.read_bytes().splitlines(keepends=True))
    logged: Counter[bytes] = Counter()
    ids: Counter[str] = Counter()
    drafts_failed: Counter[str] = Counter()
    damaged = unanswered = worse = false = strayed = 0
    for record in RunLog(log).scan():
        if not isinstance(record, Run):
            damaged += 1
            continue
        ids[record.id] += 1
        if record.stop == "agent_failed":
            drafts_failed[record.task.question] += 1
            continue
        logged[_digest(encode(record))] += 1
        unanswered += not record.answer
        worse += not _best_chosen(record)
        false += not all(true_score(attempt, record.task.question) for attempt in record.attempts)
        strayed += not _critiques_passed_on(record)
    twice = sum(count - 1 for count in ids.values())
    lost, foreign = (given - logged).total(), (logged - given).total()
    failed = Counter(broke)
    yield Check("no line of the run log is damaged", not damaged, f"{ids.total()} records, {damaged} damaged")
    yield Check("no run is logged twice", not twice, f"{len(ids)} ids, {twice} repeated")
    yield Check(
        "the log holds what was returned, nothing else",
        not lost and not foreign and given.total() > 0,
        f"{given.total()} returned, {lost} not in the log or changed, {foreign} only there",
    )
    yield Check(
        "runs that the agent itself failed are logged once",
        drafts_failed == failed,
        f"{failed.total()} raised to their callers, {drafts_failed.total()} in the log",
    )
    yield Check("every other run has its draft or better", not unanswered, f"{unanswered} without an answer")
    yield Check("no worse attempt was chosen", not worse, f"{worse} runs")
    yield Check("no score but those that the judge gave for that attempt", not false, f"{false} runs with another one")
    yield Check("each revision answers the critique of the work before it", not strayed, f"{strayed} runs")


def _digest(line: bytes) -> bytes:
    return hashlib.sha256(line).digest()


def _best_chosen(run: Run) -> bool:
    """Whether the run returned the best of the attempts that one judge scored; its draft when none was scored."""
    scored = [attempt for attempt in run.attempts if attempt.score is not None and attempt.verdict]
    if not scored:
        return run.chosen == 0
    first = scored[0].verdict
    rivals = [attempt for attempt in scored if first and attempt.verdict and attempt.verdict.judge == first.judge]
    return run.chosen in [one.index for one in rivals] and all((run.score or 0) >= (one.score or 0) for one in rivals)


def _critiques_passed_on(run: Run) -> bool:
    pairs = zip(run.attempts, run.attempts[1:], strict=False)
    return all(before.verdict and after.feedback == before.verdict.critique for before, after in pairs)

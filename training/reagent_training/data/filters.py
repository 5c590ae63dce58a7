"""Filters: each names why a record is left out, or says nothing. All of it is counted."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reagent_sdk.errors import InvalidInput
from reagent_sdk.parsing import parse_verdict, render_verdict
from reagent_sdk.rendering import render_record
from reagent_sdk.verdict import Verdict
from reagent_training.data.answers import REFERENCE, gives_away
from reagent_training.data.contamination import Contamination
from reagent_training.data.record import LabelledTrajectory
from reagent_training.data.shingles import NearDuplicates

LOST_PARTNER = "other side of a pair that was left out"
CONTRADICTION = "the same work with another outcome"


class Filter(Protocol):
    """Sees every record once, in order; one that remembers earlier records serves one set only."""

    def __call__(self, record: LabelledTrajectory, /) -> str | None:
        """Why the record is to be left out; None to keep it."""


@dataclass
class Decision:
    """What filters make of a set.

    Attributes:
        dropped: index of a record -> why.
        seen: how many records there were.
    """

    dropped: dict[int, str] = field(default_factory=dict)
    seen: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many were left out, by reason, the commonest first."""
        return dict(Counter(self.dropped.values()).most_common())


def decide(records: Iterable[LabelledTrajectory], filters: Sequence[Filter]) -> Decision:
    """Runs filters over a set; the first reason counts. The other side of a dropped record's pair goes as well."""
    made = Decision()
    pairs: dict[str, list[int]] = {}
    works: dict[str, dict[bool, list[int]]] = {}
    for index, record in enumerate(records):
        made.seen += 1
        reason = next((reason for one in filters if (reason := one(record)) is not None), None)
        if reason is not None:
            made.dropped[index] = reason
        elif record.correct is not None:
            works.setdefault(work_digest(record), {}).setdefault(record.correct, []).append(index)
        if record.pair is not None:
            pairs.setdefault(record.pair, []).append(index)
    for outcomes in works.values():
        if len(outcomes) > 1:
            made.dropped.update({index: CONTRADICTION for places in outcomes.values() for index in places})
    for sides in pairs.values():
        if any(index in made.dropped for index in sides):
            for index in sides:
                made.dropped.setdefault(index, LOST_PARTNER)
    return made


def leaks(record: LabelledTrajectory) -> str | None:
    """A critique that gives the answer away."""
    if record.critique is None:
        return None
    given = record.metadata.get(REFERENCE)
    references = [str(answer) for answer in given] if isinstance(given, list) else []
    found = gives_away(record.critique, record.task, record.trajectory, references)
    return "the critique gives the answer away" if found else None


def broken_format(record: LabelledTrajectory) -> str | None:
    """Targets that our own parser would not read back as they are."""
    if not record.has_targets:
        return None
    score, said = record.score or 0.0, record.critique or ""
    try:
        target = Verdict.of(score, said, analysis=record.analysis or "")
        read = parse_verdict(render_verdict(target))
    except InvalidInput:
        return "the targets break the verdict format"
    same = (read.analysis, read.critique, read.score) == (target.analysis, target.critique, score)
    return None if same else "the targets break the verdict format"


class ExactDuplicates:
    """The same work on the same question with the same labels, whatever the id and the words of the targets."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def __call__(self, record: LabelledTrajectory, /) -> str | None:
        """Why the record is to be left out."""
        digest = f"{work_digest(record)} {_labels(record)}"
        if digest in self._seen:
            return "exact duplicate"
        self._seen.add(digest)
        return None


class CloseDuplicates:
    """Nearly the same record of work as an earlier row with the same labels.

    Rows with other labels stay: flawed variants of one trajectory and the sides of a pair are near on purpose.
    """

    def __init__(self, threshold: float = 0.9) -> None:
        self._known = NearDuplicates(threshold)
        self._labels: dict[str, str] = {}

    def __call__(self, record: LabelledTrajectory, /) -> str | None:
        """Why the record is to be left out."""
        labels = _labels(record)
        near = self._known.add(record.id, rendered(record))
        self._labels[record.id] = labels
        return "near duplicate" if any(self._labels[other] == labels for other in near) else None


@dataclass
class Length:
    """Work that is too short to judge or too long to train on.

    Attributes:
        least: units of the rendered record, at least.
        most: at most; None for no limit.
        measure: counts the units of a text, characters by default.
        unit: their name.
    """

    least: int = 0
    most: int | None = None
    measure: Callable[[str], int] = len
    unit: str = "characters"

    def __call__(self, record: LabelledTrajectory, /) -> str | None:
        """Why the record is to be left out."""
        size = self.measure(rendered(record))
        if size < self.least:
            return f"shorter than {self.least} {self.unit}"
        return f"longer than {self.most} {self.unit}" if self.most is not None and size > self.most else None


def contaminated(known: Contamination) -> Filter:
    """A filter for questions of evaluation sets."""

    def check(record: LabelledTrajectory, /) -> str | None:
        return "the question is in an evaluation set" if known.holds(record.task.question) else None

    return check


def rendered(record: LabelledTrajectory) -> str:
    """The record as a judge with all the room would read it."""
    return render_record(record.task, record.trajectory, max_chars=sys.maxsize // 8).text


def work_digest(record: LabelledTrajectory) -> str:
    """SHA-256 of what a judge would read."""
    return hashlib.sha256(rendered(record).encode("utf-8", "surrogatepass")).hexdigest()


def _labels(record: LabelledTrajectory) -> str:
    """The labels without the words for them; the critique where it is the only label."""
    steps = [(step.message, step.label) for step in record.steps]
    score = None if record.score is None else round(record.score, 1)
    only = record.critique if record.labels == ("critique",) else None
    return repr((record.correct, score, record.preferred, steps, only))

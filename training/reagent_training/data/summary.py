"""What a set holds, counted in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pydantic import Field

from reagent_sdk.frozen import Frozen
from reagent_training.data.filters import rendered
from reagent_training.data.record import LabelledTrajectory

BINS = 10


class SourceSummary(Frozen):
    """The rows of one source. `mean_score` is over those that have a score."""

    rows: int
    groups: int
    licence: str
    labelled_by: dict[str, int]
    right: int
    wrong: int
    scored: int
    mean_score: float | None
    with_targets: int
    pairs: int


class Lengths(Frozen):
    """Of the records as a judge with all the room reads them, in characters."""

    mean: float
    median: int
    p90: int
    longest: int


class Summary(Frozen):
    """What a set holds."""

    rows: int
    groups: int
    prompt_version: str = ""
    sources: dict[str, SourceSummary] = Field(default_factory=dict)
    labels: dict[str, int] = Field(default_factory=dict, description="rows that have each label")
    score_histogram: tuple[int, ...] = Field((), description="ten bins of equal width over [0, 1]")
    mean_score: float | None = None
    characters: Lengths | None = None


class Counting:
    """Counts records as they pass."""

    def __init__(self) -> None:
        self._by_source: dict[str, list[_Row]] = {}
        self._labels = Counter[str]()
        self._version = ""

    def passing(self, records: Iterable[LabelledTrajectory]) -> Iterator[LabelledTrajectory]:
        """The same records, counted."""
        for record in records:
            self._by_source.setdefault(record.source, []).append(_Row(record))
            self._labels.update(record.labels)
            self._labels["targets"] += record.has_targets
            self._version = record.prompt_version
            yield record

    def summary(self) -> Summary:
        """What passed so far."""
        rows = [row for rows in self._by_source.values() for row in rows]
        scores = [row.score for row in rows if row.score is not None]
        histogram = Counter(min(BINS - 1, int(score * BINS)) for score in scores)
        return Summary(
            rows=len(rows),
            groups=len({row.group for row in rows}),
            prompt_version=self._version,
            sources={name: _source(of) for name, of in sorted(self._by_source.items())},
            labels=dict(sorted(self._labels.items())),
            score_histogram=tuple(histogram[place] for place in range(BINS)) if scores else (),
            mean_score=_mean(scores),
            characters=_lengths([row.length for row in rows]) if rows else None,
        )


def summarise(records: Iterable[LabelledTrajectory]) -> Summary:
    """What a set holds."""
    counting = Counting()
    for _ in counting.passing(records):
        pass
    return counting.summary()


class _Row:
    """What is kept of a record to count it: a hundredth of its size."""

    __slots__ = ("by", "correct", "group", "length", "licence", "pair", "score", "targets")

    def __init__(self, record: LabelledTrajectory) -> None:
        self.group, self.licence, self.by = record.group, record.licence, record.label_source.value
        self.correct, self.score, self.pair = record.correct, record.score, record.pair
        self.targets, self.length = record.has_targets, len(rendered(record))


def _source(rows: Sequence[_Row]) -> SourceSummary:
    scores = [row.score for row in rows if row.score is not None]
    return SourceSummary(
        rows=len(rows),
        groups=len({row.group for row in rows}),
        licence=", ".join(sorted({row.licence for row in rows} - {""})),
        labelled_by=dict(sorted(Counter(row.by for row in rows).items())),
        right=sum(row.correct is True for row in rows),
        wrong=sum(row.correct is False for row in rows),
        scored=len(scores),
        mean_score=_mean(scores),
        with_targets=sum(row.targets for row in rows),
        pairs=len({row.pair for row in rows} - {None}),
    )


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def _lengths(lengths: Sequence[int]) -> Lengths:
    ordered = sorted(lengths)
    return Lengths(
        mean=round(sum(ordered) / len(ordered), 1),
        median=ordered[len(ordered) // 2],
        p90=ordered[min(len(ordered) - 1, int(len(ordered) * 0.9))],
        longest=ordered[-1],
    )

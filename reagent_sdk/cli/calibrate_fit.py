"""One calibration: measure, fit the map, the gate and the revision rule, write card and diagram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reagent_sdk.calibration.card import Calibration, Gate, RevisionRule, write_calibration
from reagent_sdk.calibration.diagram import Panel, draw
from reagent_sdk.calibration.fitting import FittedMap, MapChoice, fit_map
from reagent_sdk.calibration.gate import Refusal, fit_gate
from reagent_sdk.calibration.harm import fit_revision
from reagent_sdk.calibration.labels import Labelled, data_sha256
from reagent_sdk.calibration.metrics import Scores, checked
from reagent_sdk.cli.calibrate_figures import Draws, Figures, measure
from reagent_sdk.cli.calibrate_judging import JudgedWork
from reagent_sdk.errors import InvalidInput


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    map_choice: MapChoice
    target: float
    confidence: float
    resamples: int
    seed: int
    out: Path
    plot: Path


@dataclass(frozen=True)
class Result:
    """A calibration, and what is worth telling about it.

    Attributes:
        card: what was written.
        figures: the judge's and the baselines' figures.
        questions: how many groups the labels belong to.
        unscored: records without a score, by status.
        map_why: which map was chosen and why.
        gate: the gate, or why there is none.
        revision: the revision rule; None without labels of revisions.
        out: where the card is.
        plot: where the diagram is.
    """

    card: Calibration
    figures: Figures
    questions: int
    unscored: dict[str, int]
    map_why: str
    gate: Gate | Refusal
    revision: RevisionRule | None
    out: Path
    plot: Path

    def as_data(self) -> dict[str, Any]:
        """The result for `--json`."""
        refused = self.gate if isinstance(self.gate, Refusal) else None
        return {
            "calibration": self.card,
            "questions": self.questions,
            "unscored": self.unscored,
            "map_why": self.map_why,
            "gate_refused": refused,
            "out": str(self.out),
            "plot": str(self.plot),
        }


def check_labels(rows: Sequence[Labelled]) -> None:
    """Refuses labels that no judge can be measured by.

    Raises:
        InvalidInput: there is only right or only wrong work, or only one question.
    """
    right = sum(row.label for row in rows)
    if right in (0, len(rows)):
        told = "right" if right else "wrong"
        raise InvalidInput(
            f"all labels of scored work ({len(rows)}) say {told}; a calibration needs right and wrong work"
        )
    if len({row.group for row in rows}) < 2:
        raise InvalidInput("all labels belong to one question; a calibration needs several, told apart by their group")


def fit(judged: JudgedWork, options: Options) -> Result:
    """Measures the judge, fits what the labels allow and writes card and diagram.

    Raises:
        InvalidInput: all labels are the same or of one question, or the map that was asked for cannot be had.
    """
    rows = judged.scored
    labels, scores = checked([row.label for row in rows], judged.scores)
    check_labels(rows)
    draws = Draws(tuple(row.group for row in rows), options.resamples, options.confidence, options.seed)
    fitted = fit_map(options.map_choice, labels, scores, draws.groups)
    if isinstance(fitted, Refusal):
        raise InvalidInput(f"no {options.map_choice} map: {fitted.reason}; --map none measures without one")
    figures = measure(rows, labels, scores, fitted, draws)
    gate = fit_gate(labels, scores, target=options.target, confidence=options.confidence, groups=draws.groups)
    revision = _revision(rows, scores, options.confidence)
    card = Calibration(
        judge=judged.judge.name,
        spec=judged.judge.spec,
        prompt_version=judged.judge.prompt_version or "",
        map=fitted.map,
        gate=gate if isinstance(gate, Gate) else None,
        revision=revision,
        labels=len(labels),
        right=float(labels.mean()),
        data_sha256=data_sha256((row.id, score, row.label) for row, score in zip(rows, judged.scores, strict=True)),
        figures={f"{who}.{name}": value for who, found in figures.items() for name, value in found.items()},
    )
    title = f"Reliability of {card.judge}"
    draw(options.plot, labels, _panels(scores, fitted), title=title, confidence=options.confidence)
    write_calibration(options.out, card)
    questions = len(set(draws.groups))
    unscored = dict(judged.unscored)
    return Result(card, figures, questions, unscored, fitted.why, gate, revision, options.out, options.plot)


def _revision(rows: Sequence[Labelled], scores: Scores, confidence: float) -> RevisionRule | None:
    """The revision rule, from the rows that know how the revision turned out."""
    pairs = [
        (score, row.label, row.revised, row.group)
        for score, row in zip(scores, rows, strict=True)
        if row.revised is not None
    ]
    if not pairs:
        return None
    given, first, revised, groups = zip(*pairs, strict=True)
    return fit_revision(given, first, revised, confidence=confidence, groups=groups)


def _panels(scores: Scores, fitted: FittedMap) -> list[Panel]:
    before = Panel("score as it is", scores)
    if fitted.map is None:
        return [before]
    return [before, Panel(f"after the {fitted.map.kind} map, on held-out questions", fitted.cross_fitted)]

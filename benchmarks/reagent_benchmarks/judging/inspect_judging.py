"""Labelled work as samples of inspect_ai: the solver that judges it, and a scorer with the figures of a benchmark.

A sample is an item, or a pair where the set has pairs. An item's value is its score, or unscored (NaN) when the judge
gave none; a pair's value has both scores, `better` and `worse`. What a judge did not score is in no figure.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from reagent_adapters.versions import require

from reagent_benchmarks.judging.figures import measure
from reagent_benchmarks.judging.items import JudgedItem
from reagent_benchmarks.judging.judges import bench_judges
from reagent_benchmarks.running.failures import Unreachable
from reagent_benchmarks.running.registering import registered
from reagent_sdk.cli.judging import judge_record
from reagent_sdk.judges.base import Judge
from reagent_sdk.records import Record
from reagent_sdk.specs import JUDGE_VARIABLE
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict, VerdictStatus

require("inspect-ai", "benchmarks")

from inspect_ai.dataset import Sample  # noqa: E402
from inspect_ai.model import ModelOutput  # noqa: E402
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, metric, scorer  # noqa: E402
from inspect_ai.solver import Generate, Solver, TaskState, solver  # noqa: E402

VERDICTS = "reagent_verdicts"
"""Key of the verdicts in a sample's store and in the metadata of its score: JSON texts by the item's id."""
ITEMS = "items"
"""Key of what is known of a sample's items, in the metadata of the sample and of its score."""
_WORK = ("task", "trajectory")


def samples_of(items: Sequence[JudgedItem]) -> list[Sample]:
    """The samples, in the order of their first items; the better side of a pair comes first in it.

    Labels are the target and in the metadata. The solver reads neither.
    """
    units: dict[str, list[tuple[int, JudgedItem]]] = {}
    for place, item in enumerate(items):
        units.setdefault(item.pair or item.id, []).append((place, item))
    return [_sample(id, sorted(unit, key=lambda one: not one[1].label)) for id, unit in units.items()]


def _sample(id: str, unit: Sequence[tuple[int, JudgedItem]]) -> Sample:
    known = [
        {
            **{name: getattr(item, name) for name in ("id", "group", "part", "label", "pair")},
            "place": place,
            # as texts, because inspect_ai walks through values
            **{name: getattr(item, name).model_dump_json() for name in _WORK},
        }
        for place, item in unit
    ]
    target = ["right" if item.label else "wrong" for _, item in unit] if len(unit) == 1 else ["better", "worse"]
    return Sample(input=unit[0][1].task.question or "-", target=target, id=id, metadata={ITEMS: known})


@registered(lambda name: solver(name=name), "judged")
def judged(judge: str | Judge | None = None, seed: int = 0, max_chars: int | None = None) -> Solver:
    """Judges the work of a sample; epoch K frames it with the code of repeat K of `reagent bench judge`.

    The verdicts are in the sample's store under `reagent_verdicts`; the output is the critique of the first.

    Args:
        judge: a spec or a Judge; None means `$REAGENT_JUDGE`, else the embedded local judge.
        seed: of the frame codes.
        max_chars: room for the record; the judge's own by default.

    Raises:
        InvalidInput: an unknown spec.
        WeightsUnavailable: local weights are missing.
    """
    made: dict[int, Judge] = {}

    def judge_in(epoch: int) -> Judge:
        if epoch not in made:
            made[epoch] = _judge(judge, seed, epoch, max_chars)
        return made[epoch]

    judge_in(1)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        own, verdicts = judge_in(state.epoch), {}
        for item in state.metadata[ITEMS]:
            work = Task.model_validate_json(item["task"]), Trajectory.model_validate_json(item["trajectory"])
            verdicts[item["id"]] = await judge_record(own, Record(item["id"], 1, *work))
        state.store.set(VERDICTS, {id: verdict.model_dump_json() for id, verdict in verdicts.items()})
        state.output = ModelOutput.from_content("reagent", next(iter(verdicts.values())).critique)
        lost = next((one for one in verdicts.values() if one.status is VerdictStatus.UNAVAILABLE), None)
        if lost is not None:
            raise Unreachable(f"the judge gave no verdict: {lost.reason}")
        return state

    return solve


def _judge(judge: str | Judge | None, seed: int, repeat: int, max_chars: int | None) -> Judge:
    if judge is not None and not isinstance(judge, str):
        return judge
    spec = judge or os.environ.get(JUDGE_VARIABLE) or "local"
    return bench_judges(spec, seed=seed, repeats=repeat, max_chars=max_chars)[-1].judge


@registered(lambda name: metric(name=name), "figures")
def figures(seed: int = 0) -> Metric:
    """What `reagent bench judge` measures, with the ends of each 95% interval as `_low` and `_high`.

    Args:
        seed: of the bootstrap.
    """

    def compute(scores: list[SampleScore]) -> dict[str, float]:
        rows = sorted((row for one in scores for row in _rows(one)), key=lambda row: row[0])
        items = [item for _, item, _ in rows]
        numbers = np.array([score for *_, score in rows], dtype=np.float64)
        told: dict[str, float] = {}
        for name, found in measure(items, numbers, seed=seed).items():
            ends = {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
            told |= {key: value for key, value in ends.items() if value is not None}
        if any(item.pair for item in items):  # inspect_ai counts unscored samples, but not sides of pairs
            told["failed"] = float(np.isnan(numbers).sum())
        return told

    return compute


def _rows(one: SampleScore) -> list[tuple[int, JudgedItem, float]]:
    """Place, item without its work, and score of each item of a sample; NaN where there is none."""
    known, value = (one.score.metadata or {})[ITEMS], one.score.value
    numbers = [value.get(side) for side in ("better", "worse")] if isinstance(value, dict) else [value]
    return [(item["place"], _item(item), _float(number)) for item, number in zip(known, numbers, strict=True)]


def _item(known: dict[str, Any]) -> JudgedItem:
    given = {name: known[name] for name in ("id", "group", "part", "label", "pair")}
    return JudgedItem(**given, task=Task(question="-"), trajectory=Trajectory(answer=""))


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)


@registered(lambda name: scorer([], name=name), "score")
def score() -> Scorer:
    """The judge's scores, never a number for a verdict without one, and why it has none."""

    async def read(state: TaskState, target: Target) -> Score:
        known = [{key: value for key, value in item.items() if key not in _WORK} for item in state.metadata[ITEMS]]
        stored = state.store.get(VERDICTS) or {}
        verdicts = [Verdict.model_validate_json(stored[item["id"]]) if item["id"] in stored else None for item in known]
        why = "; ".join(dict.fromkeys(f"{one.status}: {one.reason}" for one in verdicts if one and not one.scored))
        facts: dict[str, Any] = {ITEMS: known, VERDICTS: stored}
        numbers = [math.nan if one is None or one.score is None else one.score for one in verdicts]
        if len(known) > 1:
            return Score(value=dict(zip(("better", "worse"), numbers, strict=True)), explanation=why, metadata=facts)
        if verdicts[0] is None or math.isnan(numbers[0]):
            return Score.unscored(explanation=why or "the solver made no verdict", metadata=facts)
        return Score(value=numbers[0], explanation=verdicts[0].critique, metadata=facts)

    return read

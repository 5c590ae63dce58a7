"""What a reproduction leaves behind: the table, the plots, a page of held-out rollouts, and how the judge did."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from reagent_benchmarks.outcomes import ArmResult
from reagent_benchmarks.stats.summary import summarise

from reagent_training.mini.config import MiniConfig
from reagent_training.mini.evaluate import ALWAYS
from reagent_training.mini.forms import by_form, forms_of
from reagent_training.mini.heldout import heldout_of
from reagent_training.mini.places import Places, log_of
from reagent_training.mini.run import SFT, generated, stops_of
from reagent_training.mini.table import Line, as_markdown, draw, interval, lines
from reagent_training.mini.updates import course, updates_of

_U = "reagent-u"
TABLE, JSON, PLOT, PAGE = "table.md", "table.json", "table.png", "rollouts.html"
HELDOUT, UPDATES = "heldout.jsonl", "updates.jsonl"


class Reported(NamedTuple):
    """The table as lines and as text."""

    lines: list[Line]
    markdown: str


def report(config: MiniConfig, out: Path, results: Sequence[ArmResult]) -> Reported:
    """Writes the table, the plot, a page of rollouts, and the rows they were made from into the folder of a run."""
    places = Places(out)
    found = lines(results, _sampled(config, places))
    updates = updates_of(config, places)
    told = [*_method_lines(config, results), _judge_line(results), _tools_line(results)]
    told += ["", "pass@1 by the form of the question:", "", by_form(results, forms_of(places.test))]
    told += ["", "The course of training, on training tasks:", "", course(updates)]
    text = "\n".join([as_markdown(found), *told, ""])
    for name, rows in ((HELDOUT, heldout_of(results)), (UPDATES, updates)):
        (out / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (out / TABLE).write_text(text, encoding="utf-8")
    as_json = json.dumps([one.model_dump(mode="json") for one in found], indent=1)
    (out / JSON).write_text(f"{as_json}\n", encoding="utf-8")
    draw(found, _curves(config, places), out / PLOT)
    from reagent_benchmarks.page import write_page

    kept = [row for row in results if row.run is not None]
    facts = {"base": config.base, "tasks": str(config.world.test), "seeds": ", ".join(map(str, config.seeds))}
    write_page(kept, out / PAGE, title=f"{config.name}: held-out rollouts of seed {config.seeds[0]}", facts=facts)
    return Reported(found, text)


def _sampled(config: MiniConfig, places: Places) -> dict[str, float]:
    """Arm -> tokens that its training sampled, mean over seeds."""
    totals: dict[str, list[float]] = defaultdict(list)
    for arm in config.arms:
        for seed in config.seeds:
            stops = stops_of(config, places, arm, seed)
            tokens = generated(places.arm(arm, seed))
            for label, update in stops.items():
                totals[label].append(tokens[update])
    return {label: fmean(values) for label, values in totals.items()}


def _curves(config: MiniConfig, places: Places) -> Mapping[str, list[tuple[int, float]]]:
    """Arm -> (update, share of right first attempts), mean over seeds and running over five updates."""
    found = {}
    for arm in config.arms:
        runs = [_logged(places.arm(arm, seed), "agent/first/right") for seed in config.seeds]
        steps = sorted(set.intersection(*(set(run) for run in runs)))
        means = [fmean(run[step] for run in runs) for step in steps]
        found[arm] = [(step, fmean(means[max(0, at - 4) : at + 1])) for at, step in enumerate(steps)]
    return found


def _logged(folder: Path, name: str) -> dict[int, float]:
    return {int(entry["step"]): float(entry[name]) for entry in log_of(folder) if name in entry}


def _method_lines(config: MiniConfig, results: Sequence[ArmResult]) -> list[str]:
    """Reagent-U against each other method, at equal tokens too where asked for, on the same tasks and seeds."""
    measured = dict.fromkeys(row.arm for row in results)
    if _U not in measured:
        return []
    others = [arm for arm in measured if arm != _U and arm.partition(", ")[0] in config.arms]
    found = []
    for other in others:
        pair = [row for row in results if row.arm in (_U, other)]
        against = next(arm.against for of in summarise(pair, bare=other) for arm in of.arms if arm.arm == _U)
        if against is not None and against.pairs:
            difference = interval(against.difference, sign="+")
            found.append(f"{_U} against {other}: {difference}, fixed {against.fixed}, broken {against.broken}.")
    return found


def _tools_line(results: Sequence[ArmResult]) -> str:
    """Whether the machine was fast enough for the tools' time limits: stopped calls make wrong answers."""
    counted = [row for row in results if row.stopped_tools is not None]
    stopped = [row for row in counted if row.stopped_tools]
    line = f"Tools: in {len(stopped)} of {len(counted)} attempts a call was stopped by its time limit"
    right = f", {sum(row.right is True for row in stopped)} of them came out right" if stopped else ""
    uncounted = len(results) - len(counted)
    other = f"; {uncounted} more were measured without counting" if uncounted else ""
    return f"{line}{right}{other}."


def _judge_line(results: Sequence[ArmResult]) -> str:
    """How well the judge's scores of the first attempts tell right from wrong, beside the constant."""
    import numpy as np

    from reagent_sdk.calibration.metrics import auroc

    judged = [row for row in results if row.arm == f"{SFT}{ALWAYS}"]
    heard = [row for row in judged if row.run and row.run.attempts[0].score is not None]
    scores = [row.run.attempts[0].score for row in heard if row.run]
    right = [row.first == "right" for row in heard]
    failed = sum(row.judge_failed for row in judged)
    if len(set(right)) < 2:
        return f"The judge: {len(heard)} first attempts, all right or all wrong; {failed} runs without a score."
    area = auroc(np.array(right), np.array(scores, dtype=float))
    return (
        f"The judge on {len(heard)} first attempts: AUROC {area:.3f} (a constant has 0.5), "
        f"{fmean(right):.3f} of them right; {failed} of all runs without a score."
    )

"""What size of judge would do: the published verdicts of AgentProcessBench's judges, by size and by whether they think.

`python -m reagent_benchmarks.published --data ../shared/data` measures 20 judges, from 3B parameters to a
size that nobody tells, on the same 750 trajectories (BFCL, GAIA, tau2; their texts are not in these files). No model is
run. The constants stand in the same table: a judge that is not above them is not worth asking, whatever its size.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reagent_benchmarks.judging.figures import NAMES, estimate
from reagent_benchmarks.judging.resume import write_json
from reagent_benchmarks.judging.steps import first_wrong, share
from reagent_benchmarks.judging.table import cell
from reagent_benchmarks.published_plot import draw
from reagent_benchmarks.published_rows import Judged, Labels, read_judged
from reagent_sdk.calibration import metrics
from reagent_sdk.calibration.card import Estimate
from reagent_sdk.cli.terminal import clean
from reagent_sdk.errors import InvalidInput

CONSTANTS = {"always right": 1, "always wrong": -1}
FIGURES = ("auroc", "kappa", "final_accuracy", "step_accuracy", "first_error")
_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)B")


class Measured(NamedTuple):
    """The figures of a judge or constant.

    Attributes:
        judge: its name.
        size: billions of parameters in all, as its name says; None where the name does not say.
        thinks: whether it reasons before it answers, as its name says.
        failed: trajectories of which it labelled no step; no first error counts as found in them.
        figures: `final_accuracy` and `step_accuracy` of three labels each; `first_error` is whether the first bad step
            was found; `auroc` and `kappa` are of "right" against all else, so that this AUROC is the mean of the shares
            of right and of other work that it calls so.
    """

    judge: str
    size: float | None
    thinks: bool
    failed: int
    figures: dict[str, Estimate]


def measured(rows: Sequence[Judged], *, seed: int) -> list[Measured]:
    """The constants, then all judges, the smallest first and those of unknown size last.

    Args:
        rows: [n] of :func:`read_judged`.
        seed: of the bootstrap over questions, 95%.
    """
    constants = {
        name: [Labels((label,) * len(row.gold.steps), label) for row in rows] for name, label in CONSTANTS.items()
    }
    judges = {name: [row.said[name] for row in rows] for name in rows[0].said}
    found = [_measured(name, rows, said, seed) for name, said in judges.items()]
    found.sort(key=lambda one: (one.size is None, one.size or 0.0, one.thinks, one.judge))
    return [_measured(name, rows, said, seed) for name, said in constants.items()] + found


def size_of(judge: str) -> float | None:
    """Billions of parameters, as a name says: 30 of "Qwen3-30B-A3B"."""
    found = _SIZE.search(judge)
    return float(found[1]) if found else None


def _measured(judge: str, rows: Sequence[Judged], said: Sequence[Labels], seed: int) -> Measured:
    failed = sum(one.failed for one in said)
    return Measured(judge, size_of(judge), "thinking" in judge.lower(), failed, _figures(rows, said, seed))


def _figures(rows: Sequence[Judged], said: Sequence[Labels], seed: int) -> dict[str, Estimate]:
    groups = [row.group for row in rows]
    right = np.array([row.gold.final == 1 for row in rows])
    called = np.array([float(one.final == 1) for one in said])
    steps, finals, firsts = [], [], []
    for row, one in zip(rows, said, strict=True):
        steps += [(float(gold == label), row.group) for gold, label in zip(row.gold.steps, one.steps, strict=True)]
        finals.append((float(row.gold.final == one.final), row.group))
        firsts.append((float(not one.failed and _first(row.gold) == _first(one)), row.group))
    return {
        "auroc": estimate(metrics.auroc, right, called, groups=groups, seed=seed),
        "kappa": estimate(metrics.kappa, right, called, groups=groups, seed=seed),
        "final_accuracy": share(finals, seed),
        "step_accuracy": share(steps, seed),
        "first_error": share(firsts, seed),
    }


def _first(labels: Labels) -> int | None:
    return first_wrong({place: label for place, label in enumerate(labels.steps) if label is not None})


def table(found: Sequence[Measured], title: str) -> Table:
    """A line for each constant and judge."""
    names = {**NAMES, "final_accuracy": "final acc."}
    shown = Table("judge", "size", "thinks", "failed", *(names[key] for key in FIGURES), title=title)
    for one in found:
        size = "" if one.size is None else f"{one.size:g}B"
        shown.add_row(
            Text(clean(one.judge)),
            size,
            "yes" if one.thinks else "",
            str(one.failed or ""),
            *(cell(one.figures[key]) for key in FIGURES),
        )
    return shown


def main() -> None:
    """Prints the table; writes the figures and the picture where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of AgentProcessBench, or the one above it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON of all figures")
    parser.add_argument("--plot", type=Path, help="PNG of the AUROC of each judge")
    args = parser.parse_args()
    try:
        rows = read_judged(args.data)
        found = measured(rows, seed=args.seed)
        questions = len({row.group for row in rows})
        title = f"{len(rows)} trajectories, {questions} questions, {sum(row.gold.final == 1 for row in rows)} right"
        Console(width=130).print(table(found, title))
        if args.out:
            write_json(args.out, {"seed": args.seed, "n": len(rows), "judges": [one._asdict() for one in found]})
        if args.plot:
            judges = [one for one in found if one.judge not in CONSTANTS]
            draw([(clean(one.judge), one.thinks, one.figures["auroc"]) for one in judges], args.plot, title)
    except InvalidInput as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

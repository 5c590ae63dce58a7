"""Whether a gate keeps its promise, and how many labels one takes: `python -m reagent_benchmarks.gate`."""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from reagent_benchmarks.gate_populations import (
    HIGHEST_TARGET,
    NONE,
    THRESHOLDS,
    Chooser,
    Population,
    bonferroni,
    gate,
    naive,
    populations,
    split,
)
from reagent_sdk.calibration.certify import draws_needed
from reagent_sdk.calibration.gate import even_budget
from reagent_sdk.errors import InvalidInput

CHOOSERS: dict[str, Chooser] = {"gate": gate, "naive": naive, "Bonferroni": bonferroni, "split": split}


@dataclass(frozen=True)
class Kept:
    """How one way to choose a threshold did on one population."""

    resamples: int
    given: int
    broken: int
    accepted: float
    """Mean share of the work accepted; nothing where no threshold was given."""

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% Clopper-Pearson interval of the chance that the promise is broken."""
        found = binomtest(self.broken, self.resamples).proportion_ci(method="exact")
        return float(found.low), float(found.high)


def simulate(
    chooser: Chooser, people: Population, *, resamples: int, seed: int, target: float, confidence: float
) -> Kept:
    """Chooses a threshold in each resample and looks up its real risk. All choosers get their draws from one seed."""
    chosen = chooser(people, resamples, np.random.default_rng(seed), target, confidence)
    given = chosen[chosen != NONE]
    broken = int((people.risk[given] > target).sum())
    return Kept(resamples, len(given), broken, float(people.accepted[given].sum()) / resamples)


def from_file(path: Path) -> Population:
    """Real scores as a population: draws are with replacement, and its real risks are the shares in the file.

    Raises:
        InvalidInput: a line is no row with a score and a label; other fields are passed over.
    """
    rows: dict[float, list[bool]] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            row = json.loads(line)
            score, label = float(row["score"]), {0: False, 1: True}[row["label"]]
        except (ValueError, TypeError, KeyError):
            score, label = math.nan, False
        if not 0 <= score <= 1:
            raise InvalidInput(f'{path}, line {number}: a row is {{"score": 0.8, "label": true}}, the score in [0, 1]')
        rows.setdefault(score, []).append(label)
    if not rows:
        raise InvalidInput(f"{path} holds no scored rows")
    sizes = np.array([len(labels) for labels in rows.values()])
    wrong = np.array([1 - np.mean(labels) for labels in rows.values()])
    return Population(path.stem, np.array(list(rows)), sizes / sizes.sum(), wrong, int(sizes.sum()))


def told(kept: dict[str, Kept]) -> list[str]:
    """The cells of a row: the gate in full, and of the others what matters beside it."""
    low, high = kept["gate"].interval
    return [
        f"{kept['gate'].given / kept['gate'].resamples:.1%}",
        f"{kept['gate'].broken / kept['gate'].resamples:.1%} [{100 * low:.1f}, {100 * high:.1f}]",
        f"{kept['gate'].accepted:.1%}",
        f"{kept['own grid'].accepted:.1%}",
        f"{kept['naive'].broken / kept['naive'].resamples:.1%}",
        f"{kept['Bonferroni'].accepted:.1%}",
        f"{kept['split'].accepted:.1%}",
    ]


def labels_table() -> Table:
    """How many labels give a gate in 80% of the cases, by the promise and by how much better the judge is."""
    table = Table("target", "confidence", "none wrong", "a quarter of the target", "half of it", "three quarters")
    table.title = "labels for a gate in 80% of the cases, where the better half of the work is this much wrong"
    covers = THRESHOLDS[:, None] <= np.array([0.9, 0.1])
    for target, confidence in product((0.05, 0.1, 0.2), (0.9, 0.95)):
        budget = even_budget(len(THRESHOLDS), confidence)
        needed = []
        for part in (0, 0.25, 0.5, 0.75):
            wrong = part * target
            shares = np.array([[wrong / 2, (1 - wrong) / 2], [0.3, 0.2]])  # half of the work scores 0.9, half 0.1
            needed.append(str(draws_needed(shares, covers, 1, limit=target, budget=budget)))
        table.add_row(f"{target:.0%}", f"{confidence:.0%}", *needed)
    return table


def main() -> None:
    """Prints the tables; fails if the gate broke its promise more often than chance allows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", type=float, default=0.1, help="largest share of wrong work among the accepted")
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--scores", type=Path, action="append", default=[], help="JSONL rows with score and label")
    args = parser.parse_args()
    if not 0 < args.target <= HIGHEST_TARGET or not 0 < args.confidence < 1:
        parser.error(f"the target lies between 0 and {HIGHEST_TARGET}, the confidence between 0 and 1")
    try:
        people = [*populations(args.target), *map(from_file, args.scores)]
    except (InvalidInput, OSError) as error:
        parser.error(str(error))
    promise = {"target": args.target, "confidence": args.confidence}
    table = Table("population", "labels", "given", "broken [95%]", "accepted")
    table.title = f"at most {args.target:.0%} wrong, {args.confidence:.0%} confidence, {args.resamples} resamples"
    table.caption = "own grid, Bonferroni and split: share of the work accepted"
    for header in ("own grid", "naive: broken", "Bonferroni", "split"):
        table.add_column(header)
    failed = False
    for population in people:
        kept = {
            name: simulate(chooser, population, resamples=args.resamples, seed=args.seed, **promise)
            for name, chooser in CHOOSERS.items()
        }
        own = population.with_own_grid()
        kept["own grid"] = simulate(gate, own, resamples=args.resamples, seed=args.seed, **promise)
        failed = failed or any(kept[name].interval[0] > 1 - args.confidence for name in ("gate", "own grid"))
        table.add_row(population.name, f"{population.labels:,}", *told(kept))
    console = Console(width=120)
    console.print(table)
    console.print(labels_table())
    sys.exit(failed)


if __name__ == "__main__":
    main()

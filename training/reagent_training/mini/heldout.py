"""The held-out attempts of a reproduction as one small file: `python -m reagent_training.mini.heldout`."""

from __future__ import annotations

import json
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

from reagent_training.mini.evaluate import read_results


def heldout_of(out: Path) -> list[dict[str, Any]]:
    """A row for each arm, seed and task in the folder of a reproduction, with all attempts at the task."""
    rows = [row for file in sorted((out / "results").glob("*.jsonl")) for row in read_results(file)]
    rows.sort(key=lambda row: (row.arm, row.seed, row.sample, row.epoch))
    found = []
    for (arm, seed, sample), group in groupby(rows, key=lambda row: (row.arm, row.seed, row.sample)):
        own = list(group)
        told: dict[str, Any] = {"arm": arm, "seed": seed, "task": sample}
        told["right"] = [int(row.right is True) for row in own]
        if any(row.score is not None for row in own):
            told["score"] = [None if row.score is None else round(row.score, 3) for row in own]
        found.append(told)
    return found


def main() -> None:
    """Writes the rows."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m reagent_training.mini.heldout FOLDER OUT.jsonl")
    rows = heldout_of(Path(sys.argv[1]))
    Path(sys.argv[2]).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()

"""The updates of all arms as one small file, and their course: `python -m reagent_training.mini.updates`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from reagent_training.mini.places import finished, log_of

NAMES = (
    *("first/right", "revised/right", "revised/fixed", "revised/broken"),
    *("judge/failed", "judge/score_right", "judge/score_wrong", "tokens", "tool_calls", "stopped_tools"),
)
_BLOCK = 3
"""Updates that are averaged, over all seeds."""


def updates_of(out: Path) -> list[dict[str, Any]]:
    """A row for each update of each finished arm in the folder of a reproduction."""
    rows = []
    for folder in sorted(filter(finished, (out / "arms").glob("*"))):
        arm, _, seed = folder.name.rpartition("-")
        for entry in log_of(folder):
            if "agent/first/right" in entry:
                told = {name: round(entry[f"agent/{name}"], 4) for name in NAMES if f"agent/{name}" in entry}
                rows.append({"arm": arm, "seed": int(seed), "update": entry["step"], **told})
    return rows


def course(rows: Sequence[dict[str, Any]]) -> str:
    """Means over seeds and three updates at a time, as a table."""
    shown = NAMES[:7]
    lines = ["| arm | updates | rows | " + " | ".join(shown) + " |", "|---" * (3 + len(shown)) + "|"]
    keys = dict.fromkeys((row["arm"], (row["update"] - 1) // _BLOCK) for row in rows)
    for arm, block in sorted(keys):
        own = [row for row in rows if row["arm"] == arm and (row["update"] - 1) // _BLOCK == block]
        values = [[row[name] for row in own if name in row] for name in shown]
        cells = [f"{fmean(of):.3f}" if of else "-" for of in values]
        span = f"{block * _BLOCK + 1} to {(block + 1) * _BLOCK}"
        lines.append(f"| {arm} | {span} | {len(own)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m reagent_training.mini.updates FOLDER_OF_THE_REPRODUCTION OUT.jsonl")
    found = updates_of(Path(sys.argv[1]))
    Path(sys.argv[2]).write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    sys.stdout.write(course(found) + "\n")

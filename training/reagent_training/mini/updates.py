"""The updates of all arms as a small file, and their course."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from reagent_training.markdown import table
from reagent_training.mini.config import MiniConfig
from reagent_training.mini.places import Places, log_of

SHOWN = {
    "first/right": "agent/first/right",
    "alike": "frac_reward_zero_std",
    "revised/right": "agent/revised/right",
    "revised/fixed": "agent/revised/fixed",
    "revised/broken": "agent/revised/broken",
    "judge/failed": "agent/judge/failed",
    "judge/score_right": "agent/judge/score_right",
    "judge/score_wrong": "agent/judge/score_wrong",
}
"""Column -> what the trainer calls it. `alike` is the share of groups of equal rewards, which teach nothing."""
KEPT = SHOWN | {"tokens": "agent/tokens", "tool_calls": "agent/tool_calls", "stopped_tools": "agent/stopped_tools"}
_BLOCK = 3
"""Updates that are averaged, over all seeds."""


def updates_of(config: MiniConfig, places: Places) -> list[dict[str, Any]]:
    """A row for each update of each arm: `arm`, `seed`, `update`, and those of `KEPT` that the arm has."""
    rows = []
    for arm in config.arms:
        for seed in config.seeds:
            for entry in log_of(places.arm(arm, seed)):
                if "agent/first/right" in entry:
                    told = {name: round(entry[key], 4) for name, key in KEPT.items() if key in entry}
                    rows.append({"arm": arm, "seed": seed, "update": int(entry["step"]), **told})
    return rows


def course(rows: Sequence[dict[str, Any]]) -> str:
    """Means over seeds and three updates at a time, as a Markdown table."""
    lines = []
    keys = dict.fromkeys((row["arm"], (row["update"] - 1) // _BLOCK) for row in rows)
    for arm, block in sorted(keys):
        own = [row for row in rows if row["arm"] == arm and (row["update"] - 1) // _BLOCK == block]
        values = [[row[name] for row in own if name in row] for name in SHOWN]
        span = f"{block * _BLOCK + 1} to {(block + 1) * _BLOCK}"
        lines.append([arm, span, len(own), *(f"{fmean(of):.3f}" if of else "-" for of in values)])
    return table(["arm", "updates", "rows", *SHOWN], lines)

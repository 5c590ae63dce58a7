"""The table of adapters and features, filled by the outcomes of tests.

A test says what it proves with `@pytest.mark.feature("LangChain runnable", "best kept")`. A module says what does not
apply with `NOT_APPLICABLE = {("LangChain runnable", "memory kept"): "why"}`. `make adapters` prints the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FEATURES = (
    "sync",
    "async",
    "stream",
    "tools seen",
    "memory kept",
    "best kept",
    "budget",
    "cancellation",
    "judge failure",
)
Cell = tuple[str, str]


@dataclass
class Table:
    """Outcomes of tests by adapter and feature, and what does not apply."""

    outcomes: dict[Cell, list[str]] = field(default_factory=dict)
    excused: dict[Cell, str] = field(default_factory=dict)

    def note(self, cell: Cell, outcome: str) -> None:
        """Adds one test's outcome: passed, failed or skipped."""
        if cell[1] not in FEATURES:
            raise ValueError(f"{cell[1]!r} is no feature; there are {', '.join(FEATURES)}")
        self.outcomes.setdefault(cell, []).append(outcome)

    def excuse(self, excused: Mapping[Cell, str]) -> None:
        """Adds what does not apply."""
        self.excused.update(excused)

    def merge(self, path: Path) -> None:
        """Adds what another run of the tests wrote, perhaps in another environment."""
        told = json.loads(path.read_text())
        for adapter, feature, outcomes in told["outcomes"]:
            self.outcomes.setdefault((adapter, feature), []).extend(outcomes)
        self.excused.update({(adapter, feature): why for adapter, feature, why in told["excused"]})

    def write(self, path: Path) -> None:
        """Writes what :meth:`merge` reads."""
        outcomes = [[*cell, told] for cell, told in sorted(self.outcomes.items())]
        excused = [[*cell, why] for cell, why in sorted(self.excused.items())]
        path.write_text(json.dumps({"outcomes": outcomes, "excused": excused}, indent=1) + "\n")

    def cell(self, cell: Cell) -> str:
        """`yes` when a test passed and none failed; `FAILED`; `no` with a reason below; empty when nobody looked."""
        outcomes = self.outcomes.get(cell, [])
        if "failed" in outcomes:
            return "FAILED"
        if "passed" in outcomes:
            return "yes"
        return "no" if cell in self.excused else ("skipped" if outcomes else "")

    def adapters(self) -> list[str]:
        """The rows, by name."""
        return sorted({adapter for adapter, _ in (*self.outcomes, *self.excused)}, key=str.lower)

    def gaps(self) -> list[Cell]:
        """Cells that no test fills and nobody explains."""
        return [(one, f) for one in self.adapters() for f in FEATURES if self.cell((one, f)) in ("", "skipped")]

    def markdown(self) -> str:
        """The table, with a line below it for each `no`."""
        rows = [["adapter", *FEATURES]]
        rows += [[one, *(self.cell((one, feature)) for feature in FEATURES)] for one in self.adapters()]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        lines.insert(1, "|" + "---|" * len(rows[0]))
        excuses = [f"- {one}, {f}: {why}" for (one, f), why in sorted(self.excused.items()) if self.shows(one, f)]
        return "\n".join([*lines, *([""] if excuses else []), *excuses])

    def shows(self, adapter: str, feature: str) -> bool:
        """Whether a cell stands as `no`."""
        return self.cell((adapter, feature)) == "no"


def marked(markers: Iterable[tuple[object, ...]]) -> list[Cell]:
    """The cells that `feature` marks name: an adapter and one or more features each."""
    return [(str(args[0]), str(feature)) for args in markers for feature in args[1:]]

"""The result as a person reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from reagent_benchmarks.judging.figures import NAMES
from reagent_benchmarks.judging.lines import FAILURES, Line
from reagent_sdk.calibration.card import Estimate
from reagent_sdk.cli.terminal import clean

MAIN = ("auroc", "pairwise", "accuracy")


def show(result: Mapping[str, Any], console: Console) -> None:
    """Prints a result of `report`."""
    console.print(Group(_facts(result), Text(), _figures(result["lines"]), *_notes(result)))


def show_baselines(lines: Mapping[str, Line], console: Console) -> None:
    """Prints the lines that a judge has to beat."""
    console.print(_figures(lines))


def _facts(result: Mapping[str, Any]) -> Table:
    plan, counts = result["plan"], result["counts"]
    table = Table.grid(padding=(0, 2))
    judged = f"{counts['judged']} of {counts['in the data set']} items, {counts['questions']} questions"
    if counts["pairs"]:
        judged += f", {counts['pairs']} pairs"
    seconds = result["seconds_per_verdict"]
    rows = {
        "data set": f"{plan.dataset}, seed {plan.seed}",
        "judge": plan.judge + (f", prompt {result['prompt_version']}" if result["prompt_version"] else ""),
        "judged": f"{judged}, {counts['right']} {'preferred' if counts['pairs'] else 'right'}",
        "left out": ", ".join(f"{count} {reason}" for reason, count in counts["left out"].items()) or "nothing",
        "verdicts": ", ".join(f"{name} {share:.1%}" for name, share in counts["shares"].items()),
        "unparseable": f"{counts['shares'].get('unparseable', 0.0):.1%}",
        "cut to fit": f"{counts['cut to fit']} records",
        "seconds per verdict": "-" if seconds is None else f"{seconds:.2f}",
    }
    for label, value in rows.items():
        table.add_row(Text(label, style="cyan"), Text(clean(value)))
    return table


def _figures(lines: Mapping[str, Line]) -> Table:
    """Figures down, the judge and what it has to beat across: that fits a narrow terminal."""
    lines = {name: line for name, line in lines.items() if name not in FAILURES}
    table = Table("")
    for name in lines:
        table.add_column(name, justify="right")
    table.add_row("n", *(str(line.n) for line in lines.values()))
    for key, label in NAMES.items():
        cells = [line.figures.get(key) for line in lines.values()]
        if any(cell is not None for cell in cells):
            table.add_row(label, *map(cell, cells))
    return table


def cell(figure: Estimate | None) -> str:
    """A figure, and its interval below it."""
    if figure is None or figure.value is None:
        return "-"
    return f"{figure.value:.3f}" + ("" if figure.low is None else f"\n{figure.low:.3f}..{figure.high:.3f}")


def _notes(result: Mapping[str, Any]) -> list[Text]:
    notes = ["intervals: 95%, bootstrap over questions; pairwise: within a question or pair, ties count half"]
    if "judge" in result["notes"]:
        notes.append(result["notes"]["judge"])
    if "step_accuracy" in result["notes"]:
        notes.append(f"step acc.: -, because {result['notes']['step_accuracy']}; constant: every step is good")
    if (steps := result["steps"]) is not None:
        notes += _step_notes(steps, apart="first step" in result["lines"])
    for name in FAILURES:
        if (line := result["lines"].get(name)) is not None:
            figures = "; ".join(f"{NAMES[key]} {line.figures[key]}" for key in MAIN if key in line.figures)
            notes.append(f"{name} (n {line.n}): {figures}")
    if (steady := result["repeats"]) is not None:
        spread = "-" if steady["mean_spread"] is None else f"{steady['mean_spread']:.3f}"
        moved = "-" if steady["moved"] is None else f"{steady['moved']:.0%}"
        notes.append(
            f"{steady['codes']} frame codes: an item's scores spread by {spread} (standard deviation) on average, "
            f"{moved} of the items move by more than 0.1; AUROC {_range(steady['auroc'])}, "
            f"pairwise {_range(steady['pairwise'])}"
        )
    if len(result["parts"]) > 1:
        notes += [
            f"{part}: n {one['n']}, AUROC {one['auroc']}, pairwise {one['pairwise']}"
            for part, one in result["parts"].items()
        ]
    return [Text(clean(note), style="dim") for note in notes]


def _step_notes(steps: Mapping[str, Any], *, apart: bool) -> list[str]:
    """What became of the labels of steps. `apart`: all work is wrong, and one step is to be found."""
    missing = ", ".join(f"{count} {why}" for why, count in steps["missing"].items())
    said = ", ".join(f"{word} {count}" for word, count in steps["said"].items())
    wrong = ", ".join(f"{NAMES[name]} {figure}" for name, figure in steps["missing_as_wrong"].items())
    notes = [
        f"steps: labels came back for {steps['came_back']} of {steps['trajectories']} trajectories"
        + (f"; {missing}" if missing else "")
        + f"; the judge said {said}",
        f"missing labels as wrong: {wrong}",
    ]
    if apart:
        return [
            *notes,
            "step acc.: share of decisive steps that are called bad; first error: the first step that is called bad is "
            "the decisive one; first step, last step: always this one is bad",
        ]
    return [*notes, "constant: every step is good"]


def _range(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{min(known):.3f} to {max(known):.3f}" if known else "-"

"""What `reagent calibrate` prints."""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reagent_sdk.calibration.card import Estimate, Gate, RevisionRule
from reagent_sdk.calibration.gate import Refusal
from reagent_sdk.cli.calibrate_fit import Result
from reagent_sdk.cli.terminal import clean, console

_COLUMNS = {"auroc": "AUROC", "auprc": "AUPRC", "brier": "Brier", "ece": "ECE", "kappa": "kappa"}
_ROWS = {
    "judge": "judge",
    "mapped": "judge, mapped",
    "constant": "constant",
    "length": "length",
    "words": "bag of words",
}


def show(result: Result) -> None:
    """Prints the table, and below it what was fitted and how to use it."""
    card, screen = result.card, console()
    failed = sum(result.unscored.values())
    screen.print(Text(clean(f"{card.judge}, prompt {card.prompt_version or 'unknown'}"), style="bold"))
    share = f", without score {failed} ({failed / (card.labels + failed):.1%})" if failed else ""
    screen.print(f"{card.labels} labels on {result.questions} questions, {card.right:.1%} right{share}")
    screen.print()
    screen.print(_table(result))
    screen.print()
    facts = Table.grid(padding=(0, 2))
    for name, text in _facts(result):
        facts.add_row(Text(name, style="cyan"), Text(clean(text)))
    screen.print(facts)
    _how_to_use(screen, result)


def _table(result: Result) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("")
    for title in _COLUMNS.values():
        table.add_column(title, justify="right")
    for key, name in _ROWS.items():
        if key in result.figures:
            table.add_row(name, *(_cell(result.figures[key][column]) for column in _COLUMNS))
    return table


def _cell(estimate: Estimate) -> Text:
    if estimate.value is None:
        return Text("-")
    text = Text(f"{estimate.value:.3f}")
    if estimate.low is not None and estimate.high is not None:
        text.append(f"\n{estimate.low:z.2f}..{estimate.high:z.2f}", style="dim")
    return text


def _facts(result: Result) -> list[tuple[str, str]]:
    facts = [
        (f"{who} AUROC" if "auroc" in found else f"{who} Brier", _signed(found)) for who, found in _against(result)
    ]
    facts.append(("map", result.map_why))
    facts.append(("gate", _gate(result.gate)))
    if result.questions < result.card.labels:
        facts.append(("", f"fitted on one label of each of the {result.questions} questions, which are independent"))
    if result.revision is not None:
        facts.append(("revise", _revision(result.revision)))
    return facts


def _against(result: Result) -> list[tuple[str, dict[str, Estimate]]]:
    return [(who, found) for who, found in result.figures.items() if who.startswith("judge - ")]


def _signed(found: dict[str, Estimate]) -> str:
    estimate = found.get("auroc") or found["brier"]
    if estimate.value is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:+.3f}"
    clear = estimate.low > 0 or estimate.high < 0
    return f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]" + ("" if clear else ", not told apart")


def _gate(gate: Gate | Refusal) -> str:
    if isinstance(gate, Refusal):
        return f"none: {gate.reason}"
    return (
        f"accept from {gate.threshold:.2f} on: that accepts {gate.accepted} of the labels it was fitted on, "
        f"{gate.wrong} of them wrong; with {gate.confidence:.0%} confidence at most {gate.bound:.1%} of what it "
        "accepts is wrong"
    )


def _revision(rule: RevisionRule) -> str:
    if rule.reason:
        return f"never: {rule.reason}"
    what = "always" if rule.below is None else f"below {rule.below:.2f}"
    return f"{what}: of {rule.revised} pairs that fixed {rule.fixed} and broke {rule.broken} (of {rule.pairs} in all)"


def _how_to_use(screen: Console, result: Result) -> None:
    screen.print()
    screen.print(Text(clean(f"diagram      {result.plot}")), soft_wrap=True)
    screen.print(Text(clean(f"calibration  {result.out}")), soft_wrap=True)
    card = result.card
    if card.spec is not None and (card.map or card.gate or card.revision):
        spec = shlex.quote(f"calibrated:{result.out}")
        screen.print(Text(clean(f"use it with  --judge {spec}")), soft_wrap=True)

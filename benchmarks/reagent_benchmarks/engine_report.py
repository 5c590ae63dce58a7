"""Prints what the comparison of the engines found."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reagent_benchmarks.engine_findings import Findings
from reagent_benchmarks.engine_replies import Side


def report(findings: Findings, console: Console) -> None:
    """Prints four tables and how to read them."""
    for table in (_verdicts(findings), _texts(findings), _partings(findings), _digits(findings)):
        console.print(table)
    console.print(
        "Replies part at the first token that differs. There, both engines are asked for the probabilities after the "
        "very same tokens; a margin is how much likelier an engine holds its own token than the other's. One with a "
        "negative margin picked its token from numbers that a second reading of its text does not repeat, because the "
        "text is then read at once instead of token by token, and cut into tokens anew: under a grammar, a model "
        "writes tags in more pieces than a tokenizer would.",
        highlight=False,
    )


def _rows(findings: Findings) -> Iterable[tuple[Side, str]]:
    return ((side, mode) for mode in ("grammar", "free") for side in findings.sides if mode in side.modes)


def _verdicts(findings: Findings) -> Table:
    table = Table(
        "engine", "mode", "verdicts", "mean score", "s a verdict", "tokens/s", "prompt cached", title="verdicts"
    )
    for side, mode in _rows(findings):
        replies = findings.replies[side.name, mode]
        statuses = Counter(str(reply.status) for reply in replies)
        prompt = sum(reply.prompt_tokens for reply in replies)
        table.add_row(
            side.name,
            mode,
            ", ".join(f"{count} {status}" for status, count in statuses.most_common()),
            _mean(reply.score for reply in replies if reply.score is not None),
            f"{statistics.median(reply.seconds for reply in replies):.1f}",
            f"{sum(reply.tokens for reply in replies) / sum(reply.seconds for reply in replies):.0f}",
            f"{sum(reply.cached_tokens for reply in replies) / prompt:.0%}",
        )
    return table


def _texts(findings: Findings) -> Table:
    columns = ("same prompt", "same reply", "same status", "scored by both", "mean difference", "largest")
    table = Table("engine", "mode", "compared with", *columns, title="replies")
    for side, mode in _rows(findings):
        reference = findings.reference(mode)
        if side is reference:
            continue
        pairs = list(zip(findings.replies[side.name, mode], findings.replies[reference.name, mode], strict=True))
        gaps = [abs(a.score - b.score) for a, b in pairs if a.score is not None and b.score is not None]
        same = (sum(a.text == b.text for a, b in pairs), sum(a.status == b.status for a, b in pairs))
        shares = [f"{count} of {len(pairs)}" for count in (findings.same_prompts[side.name], *same)]
        largest = f"{max(gaps):.2f}" if gaps else "-"
        table.add_row(side.name, mode, reference.name, *shares, str(len(gaps)), _mean(gaps), largest)
    return table


def _partings(findings: Findings) -> Table:
    columns = ("after tokens", "its token", "the reference's", "its margin, nats", "the reference's")
    table = Table("engine", "mode", *columns, title="where replies part")
    for (name, mode), partings in findings.partings.items():
        for found in partings:
            tokens = [repr(findings.tokenizer.decode([token])) for token in (found.ours, found.theirs)]
            margins = ["-" if it is None else f"{it:.4f}" for it in (found.our_margin, found.their_margin)]
            table.add_row(name, mode, str(found.at), *map(escape, tokens), *margins)
    return table


def _digits(findings: Findings) -> Table:
    """The first decimal of the score after one and the same verdict text."""
    title = "first decimal of the score after the same text, compared with " + findings.sides[0].name
    table = Table(
        "engine", "largest difference, nats", "expected score", "difference, mean (largest)", "correlation", title=title
    )
    base = findings.odds[findings.sides[0].name]
    means = [_expected(odds) for odds in base]
    for side in findings.sides:
        mine = findings.odds[side.name]
        expected = [_expected(odds) for odds in mine]
        pairs = [pair for one, other in zip(mine, base, strict=True) for pair in zip(one, other, strict=True)]
        nats = [abs(a - b) for a, b in pairs if math.isfinite(a) and math.isfinite(b)]
        gaps = [abs(a - b) for a, b in zip(expected, means, strict=True)]
        table.add_row(
            side.name,
            f"{max(nats):.5f}",
            f"{statistics.mean(expected):.4f} (sd {statistics.pstdev(expected):.4f})",
            f"{statistics.mean(gaps):.5f} ({max(gaps):.5f})",
            f"{statistics.correlation(expected, means):.5f}" if len(means) > 1 else "-",
        )
    return table


def _expected(odds: list[float]) -> float:
    """The mean of a first decimal with these log-probabilities, as a score."""
    return sum(digit / 10 * math.exp(logprob) for digit, logprob in enumerate(odds))


def _mean(values: Iterable[float]) -> str:
    known = list(values)
    return f"{statistics.mean(known):.3f}" if known else "-"

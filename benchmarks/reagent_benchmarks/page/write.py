"""Writes the page."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from reagent_benchmarks.outcomes import ArmResult
from reagent_benchmarks.page import charts
from reagent_benchmarks.page.embed import embedded
from reagent_benchmarks.page.records import entry, record
from reagent_benchmarks.page.text import short, visible
from reagent_benchmarks.stats import figures
from reagent_benchmarks.stats.rows import BARE, benchmarks, checked, pairs
from reagent_benchmarks.stats.summary import Summary, summarise
from reagent_benchmarks.stats.warnings import NAMES
from reagent_sdk.replacing import replacing

HERE = Path(__file__).parent
LIMITS = (20_000, 5_000, 1_000, 200)
"""Characters that are kept of a text: the first of these with which all runs fit `ROOM`, or the last."""
ROOM = 48_000_000
"""Bytes that all runs may take together. Browsers open a page of this size in a second or two."""


def write_page(
    results: Iterable[ArmResult],
    path: Path | str,
    *,
    title: str,
    facts: Mapping[str, str],
    bare: str = BARE,
    seed: int = 0,
) -> None:
    """Writes results as one HTML file that needs nothing else and asks nobody for anything.

    It holds the summary of each benchmark, charts, and every run to read, filter and search. Long texts are cut, with a
    mark that tells how much is missing: at 20,000 characters, at fewer when there are very many runs.

    Args:
        results: rows of any benchmarks and arms; runs are shown where rows have them.
        path: the file; it is replaced in one step.
        title: what the page is about.
        facts: what a reader must know of the study, by name, such as the models, the seed and the versions.
        bare: the arm that the others are compared with.
        seed: of the bootstraps.

    Raises:
        InvalidInput: no rows, or one of them twice.
    """
    rows = checked(results)
    limit, runs = _fitting(rows)
    entries = [entry(row, pair) for row, pair in zip(rows, pairs(rows, bare), strict=True)]
    style, script = _own("page.css"), _own("page.js")
    page = _environment().get_template("page.html")
    parts = page.generate(
        title=title,
        facts=facts,
        sections=_sections(summarise(rows, bare=bare, seed=seed), rows, bare),
        style=style,
        script=script,
        policy=_policy(style, script),
        index=embedded(entries),
        runs=runs,
        limit=limit,
    )
    with replacing(Path(path)) as draft:
        for part in parts:
            draft.write(part.encode("utf-8"))


def _fitting(rows: Sequence[ArmResult]) -> tuple[int, list[Markup]]:
    """The runs as JSON, and how many characters of a text are kept for them to fit."""
    for limit in LIMITS:
        runs: list[Markup] = []
        room = ROOM
        for row in rows:
            runs.append(embedded(record(row, limit)))
            room -= len(runs[-1])
            if room < 0 and limit != LIMITS[-1]:
                break
        else:
            return limit, runs
    raise AssertionError("the last limit always ends the loop")


def _sections(summaries: Sequence[Summary], rows: Sequence[ArmResult], bare: str) -> list[dict[str, Any]]:
    """What the page tells of each benchmark."""
    own = benchmarks(rows)
    return [
        {
            "summary": one,
            "forest": charts.forest(one),
            "price": charts.price(one),
            "reliabilities": charts.reliabilities(own[one.benchmark], bare),
        }
        for one in summaries
    ]


def _environment() -> jinja2.Environment:
    """Templates in which every text is made visible and escaped, unless it is markup of our own."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value,
    )
    words = {name: getattr(figures, name) for name in ("share", "points", "probability", "count", "cost")}
    environment.filters.update(words, short=short)
    environment.globals.update(ungraded_names=NAMES, label=charts.LABEL)
    return environment


def _own(name: str) -> Markup:
    """A file of this package as it stands. It must not hold `</`, which would end its block."""
    return Markup((HERE / name).read_text(encoding="utf-8"))  # noqa: S704 - ours


def _policy(style: str, script: str) -> str:
    """The Content-Security-Policy: these two blocks and nothing else, and no request at all."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(text: str) -> str:
    return "sha256-" + b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")

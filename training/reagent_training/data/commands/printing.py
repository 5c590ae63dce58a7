"""Sets and records as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reagent_sdk.cli.terminal import clean, console, one_line, to_stderr

if TYPE_CHECKING:
    from rich.console import Console

    from reagent_training.data.card import DataCard
    from reagent_training.data.record import LabelledTrajectory
    from reagent_training.data.summary import Summary

_ROOM = 1_000_000


def show_summary(about: Summary, screen: Console) -> None:
    """Prints what a set holds."""
    from rich.table import Table
    from rich.text import Text

    table = Table("source")
    for name in ("rows", "quest.", "right", "wrong", "score", "targets", "pairs"):
        table.add_column(name, justify="right")
    for name, of in about.sources.items():
        mean = "-" if of.mean_score is None else f"{of.mean_score:.2f}"
        figures = (of.rows, of.groups, of.right, of.wrong, mean, of.with_targets, of.pairs)
        table.add_row(clean(name), *map(str, figures))
    screen.print(f"{about.rows} rows, {about.groups} questions, prompt {clean(about.prompt_version)}")
    screen.print(table)
    for name, of in about.sources.items():
        licence = of.licence or "no licence named"
        screen.print(Text(clean(f"{name}: labelled by {', '.join(of.labelled_by)}; {licence}"), style="dim"))
    if about.score_histogram:
        most = max(about.score_histogram)
        for place, count in enumerate(about.score_histogram):
            bar = "█" * round(30 * count / most)
            screen.print(Text(f"score {place / 10:.1f} to {(place + 1) / 10:.1f} {count:>7} {bar}", style="dim"))
    if (size := about.characters) is not None:
        screen.print(
            f"characters: mean {size.mean:.0f}, median {size.median}, 90% up to {size.p90}, longest {size.longest}"
        )


def show_rows(records: Sequence[tuple[int, LabelledTrajectory]], screen: Console) -> None:
    """Prints records, one a line."""
    from rich.table import Table

    table = Table("row", "source", "right", "score", "labels", "question")
    for number, record in records:
        right = {True: "right", False: "wrong", None: "-"}[record.correct]
        score = "-" if record.score is None else f"{record.score:.2f}"
        labels = ", ".join(label for label in record.labels if label not in ("correct", "score"))
        table.add_row(str(number), one_line(record.source), right, score, labels, one_line(record.task.question, 60))
    screen.print(table)


def show_record(number: int, record: LabelledTrajectory, screen: Console) -> None:
    """Prints one record in full: labels and targets, and the work as the judge reads it."""
    from rich.rule import Rule
    from rich.text import Text

    from reagent_sdk.rendering import render_record

    facts = {
        "row": number,
        "id": record.id,
        "group": record.group,
        "source": f"{record.source}, labelled by {record.label_source}, licence {record.licence or '-'}",
        "right": record.correct,
        "score": record.score,
        "pair": None if record.pair is None else f"{record.pair}, {'preferred' if record.preferred else 'rejected'}",
        "prompt": record.prompt_version,
    }
    for name, value in facts.items():
        if value is not None:
            screen.print(Text.assemble((f"{name}: ", "cyan"), clean(str(value))))
    for step in record.steps:
        screen.print(Text(clean(f"message {step.message}: {step.label:+d} {step.reason}"), style="dim"))
    for name, text in (("analysis", record.analysis), ("critique", record.critique)):
        if text is not None:
            screen.print(Rule(name))
            screen.print(Text(clean(text)))
    screen.print(Rule("what the judge reads"))
    screen.print(Text(clean(render_record(record.task, record.trajectory, max_chars=_ROOM).text)))


def tell(cards: Sequence[DataCard], *, as_json: bool) -> None:
    """Prints what was written, and what was left out and why."""
    from reagent_sdk.cli.terminal import write_json

    if as_json:
        write_json([card.model_dump(mode="json") for card in cards])
        return
    screen = console()
    for card in cards:
        screen.print(f"{clean(card.file)}: {card.summary.rows} rows, {card.summary.groups} questions")
    for reason, count in cards[0].steps[-1].left_out.items():
        screen.print(f"left out: {count} {clean(reason)}")
    if len(cards) == 1:
        show_summary(cards[0].summary, screen)
    to_stderr("a data card lies beside each file")

"""The data card for people."""

from __future__ import annotations

from collections.abc import Mapping

from reagent_training.data.card import DataCard, SplitInfo


def markdown(card: DataCard) -> str:
    """The card for people."""
    about = card.summary
    lines = [
        f"# Data card: {card.file}",
        "",
        f"{about.rows:,} labelled trajectories on {about.groups:,} questions, for the judge's prompt "
        f"`{about.prompt_version}`. Written by {card.tool}.",
        "",
        f"SHA-256 `{card.sha256}`, {card.bytes:,} bytes.",
        "",
        "## Sources",
        "",
        "| source | rows | questions | labelled by | right | wrong | mean score | pairs | licence |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, of in about.sources.items():
        by = ", ".join(of.labelled_by)
        mean = "-" if of.mean_score is None else f"{of.mean_score:.2f}"
        cells = (name, of.rows, of.groups, by, of.right, of.wrong, mean, of.pairs, of.licence or "-")
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    lines += ["", "## Labels", "", _counts(about.labels, "rows have")]
    if about.score_histogram:
        bins = {
            f"{place / 10:.1f} to {(place + 1) / 10:.1f}": count for place, count in enumerate(about.score_histogram)
        }
        lines += ["", "## Scores", "", f"Mean {about.mean_score}.", "", _counts(bins, "rows score")]
    if (size := about.characters) is not None:
        lines += ["", "## Lengths", "", f"Characters of the record as a judge reads it: mean {size.mean:,.0f}, median "]
        lines[-1] += f"{size.median:,}, 90% up to {size.p90:,}, longest {size.longest:,}."
    if card.split is not None:
        lines += ["", "## Split", "", *_split_lines(card.split)]
    lines += ["", "## How it was made", ""]
    for number, step in enumerate(card.steps, start=1):
        settings = ", ".join(f"{key}: {value}" for key, value in step.settings.items())
        lines.append(
            f"{number}. `{step.command}` of {', '.join(step.inputs) or '-'}{f' ({settings})' if settings else ''}"
        )
        lines += [f"   - left out: {count:,} {_cell(reason)}" for reason, count in step.left_out.items()]
    return "\n".join(lines)


def _split_lines(split: SplitInfo) -> list[str]:
    whole = sum(split.groups.values())
    lines = [f"Part **{split.part}**, seed {split.seed}, by question: no question is in two parts.", ""]
    return lines + [
        f"- {part}: {split.rows[part]:,} rows, {split.groups[part]:,} of {whole:,} questions (share {share:g})"
        for part, share in split.shares.items()
    ]


def _counts(counts: Mapping[str, int], what: str) -> str:
    return "\n".join(f"- {count:,} {what} {name}" for name, count in counts.items())


def _cell(value: object) -> str:
    return str(value).replace("|", "/").replace("\n", " ")

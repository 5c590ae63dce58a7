"""Tables in Markdown, for reports and cards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table: a line for its head, one for the rule below it, and one for each row.

    Args:
        head: names of the columns.
        rows: their cells, as many in each.
    """
    return "\n".join([_line(head), "|---" * len(head) + "|", *map(_line, rows)])


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"

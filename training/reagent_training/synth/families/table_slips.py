"""What goes wrong with tables: the wrong year, the wrong filter, rows that are not copied."""

from __future__ import annotations

from dataclasses import replace

from reagent_training.synth.families.desk import Desk
from reagent_training.synth.families.queries import Form, Query
from reagent_training.synth.puzzle import Slip

_DROPPED = 3


def slips_of(desk: Desk, form: Form, query: Query) -> tuple[Slip, ...]:
    """The slips that a question allows."""
    slips = [_dropped(desk, query)]
    if not form.compares:
        before = desk.names[query.year - 1]
        slips.append(
            Slip(
                "year",
                f"reads {before} for the figures",
                f"the question is about {query.year}",
                "read the file of the year that the question names before computing",
            )
        )
    slips += _attributes(desk, query) if form.joins else _groups(desk, query)
    return tuple(slips)


def with_slip(desk: Desk, query: Query, slip: Slip | None) -> Query:
    """The query that somebody with a slip works on."""
    if slip is None:
        return query
    kind, _, value = slip.key.partition(":")
    if kind == "year":
        return replace(query, year=query.year - 1)
    if kind == "rows":
        return replace(query, dropped=_DROPPED)
    return replace(query, **{kind: value})  # type: ignore[arg-type]


def _dropped(desk: Desk, query: Query) -> Slip:
    count = len(desk.rows[query.year])
    return Slip(
        "rows",
        f"copies {count - _DROPPED} of the {count} rows of {desk.names[query.year]} into the code",
        "the last rows are missing",
        "copy every row of the table and run the code again",
    )


def _groups(desk: Desk, query: Query) -> list[Slip]:
    name = desk.theme.group
    return [
        Slip(
            f"group:{other}",
            f"filters by the {name} {other}",
            f"the question names {query.group}",
            f"filter by the {name} that the question names",
        )
        for other in desk.theme.groups
        if other != query.group
    ]


def _attributes(desk: Desk, query: Query) -> list[Slip]:
    name = desk.theme.attribute
    return [
        Slip(
            f"attribute:{other}",
            f"selects the {name} {other}",
            f"the question names {query.attribute}",
            f"select the {name} that the question names",
        )
        for other in sorted(set(desk.explained.values()))
        if other != query.attribute
    ]

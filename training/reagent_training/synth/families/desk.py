"""A folder of tables: this year's, last year's, and a second table that explains a column. Many questions share it."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from reagent_training.synth.families.themes import THEMES, Theme
from reagent_training.synth.record import Split
from reagent_training.synth.seeds import random_for

Table: TypeAlias = "list[list[str | int]]"

_MANY = 14
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a yearly table."""

    id: str
    group: str
    key: str
    value: int


@dataclass(frozen=True, slots=True)
class Desk:
    """The content of a folder.

    Attributes:
        theme: what the tables are about.
        year: of the newer table.
        rows: of each year.
        names: file name of each year's table.
        explained: attribute of each key.
        second: file name of the table that explains keys.
    """

    theme: Theme
    year: int
    rows: Mapping[int, tuple[Row, ...]]
    names: Mapping[int, str]
    explained: Mapping[str, str]
    second: str

    def files(self) -> dict[str, bytes]:
        """All files by name; the same bytes whenever they are made."""
        theme = self.theme
        head: list[str | int] = [theme.entry, theme.group, theme.key, theme.value]
        tables: dict[str, Table] = {}
        for year, name in self.names.items():
            tables[name] = [head, *_lists([row.id, row.group, row.key, row.value] for row in self.rows[year])]
        tables[self.second] = [
            [theme.key, theme.attribute],
            *_lists([key, told] for key, told in self.explained.items()),
        ]
        return {name: _encoded(name, table) for name, table in tables.items()}


def make_desk(split: Split, seed: int, number: int) -> Desk:
    """The folder of a number; the same for the same seed."""
    rng = random_for("desk", split, seed, number)
    theme = rng.choice(THEMES[split])
    year = rng.randrange(2031, 2060)
    formats = rng.sample(("csv", "csv", "xlsx", "json"), 3)
    names = {year: f"{theme.stem}_{year}.{formats[0]}", year - 1: f"{theme.stem}_{year - 1}.{formats[1]}"}
    rows = {one: _rows(rng, theme, one) for one in names}
    explained = {key: rng.choice(theme.attributes) for key in theme.keys}
    return Desk(theme, year, rows, names, explained, f"{theme.key}_{theme.attribute}.{formats[2]}")


def _rows(rng: Random, theme: Theme, year: int) -> tuple[Row, ...]:
    count = rng.randrange(9, _MANY)
    values = rng.sample(range(11, 190), count)
    ids = rng.sample(range(100, 999), count)
    # Each group comes at least twice, so that no question about it is empty.
    groups = [*theme.groups, *theme.groups, *(rng.choice(theme.groups) for _ in range(count))][:count]
    rng.shuffle(groups)
    letter = theme.entry[0].upper()
    return tuple(
        Row(f"{letter}{number}-{year % 100}", group, rng.choice(theme.keys), value)
        for number, group, value in zip(ids, groups, values, strict=True)
    )


def _lists(rows: Iterable[list[str | int]]) -> Table:
    return list(rows)


def _encoded(name: str, table: Table) -> bytes:
    kind = name.rpartition(".")[2]
    if kind == "xlsx":
        return _workbook(table)
    if kind == "json":
        head, *rows = table
        return ("[\n" + ",\n".join(json.dumps(dict(zip(head, row, strict=True))) for row in rows) + "\n]\n").encode()
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    return text.getvalue().encode()


def _workbook(table: Table) -> bytes:
    """A workbook without the time of its making, which would make each one differ."""
    from openpyxl import Workbook  # type: ignore[import-untyped]

    book = Workbook()
    for row in table:
        book.active.append(row)
    raw, fixed = io.BytesIO(), io.BytesIO()
    book.save(raw)
    with zipfile.ZipFile(raw) as old, zipfile.ZipFile(fixed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "docProps/core.xml":
                data = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"2000-01-01T00:00:00Z", data)
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, data)
    return fixed.getvalue()

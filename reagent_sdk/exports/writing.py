"""Reads a run log as a stream and writes a line for each run that has one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import BinaryIO

from pydantic import Field

from reagent_sdk.errors import InvalidInput
from reagent_sdk.exports.choosing import LeftOut
from reagent_sdk.exports.formats import ExportSettings, converter
from reagent_sdk.frozen import Frozen
from reagent_sdk.record_line import DamagedRecord
from reagent_sdk.run import Run

_DAMAGE_KEPT = 5


class ExportReport(Frozen):
    """What an export did."""

    format: str
    runs: int = Field(ge=0, description="runs that were read")
    written: int = Field(ge=0, description="lines that were written")
    left_out: dict[str, int] = Field(description="runs without a line, by reason")
    masked: int = Field(ge=0, description="written lines in which something that looks like a key was masked")
    damaged: int = Field(ge=0, description="lines of the log that are no readable run")
    first_damaged: tuple[DamagedRecord, ...] = Field((), description="the first of them")

    @property
    def told(self) -> str:
        """The counts in one line."""
        parts = [f"{count} {reason}" for reason, count in self.left_out.items()]
        return f"{self.written} of {self.runs} runs" + (f"; left out: {', '.join(parts)}" if parts else "")


def export_runs(
    records: Iterable[Run | DamagedRecord],
    out: BinaryIO,
    settings: ExportSettings,
    *,
    source: str = "the run log",
) -> ExportReport:
    """Writes runs in a format, one line of JSON each, holding one run at a time.

    Args:
        records: as `RunLog.scan` yields them.
        out: where to.
        settings: what and how.
        source: where the runs come from, for messages.

    Raises:
        InvalidInput: no line was written; the message says why.
        MissingExtra: the format needs a package that is not installed.
    """
    convert = converter(settings)
    left_out: Counter[str] = Counter()
    damaged: list[DamagedRecord] = []
    n_runs = n_written = n_masked = n_damaged = 0
    for record in records:
        if isinstance(record, DamagedRecord):
            n_damaged += 1
            damaged += [record] if n_damaged <= _DAMAGE_KEPT else []
            continue
        n_runs += 1
        try:
            row, masked = convert(record)
        except LeftOut as reason:
            left_out[str(reason)] += 1
            continue
        out.write(_line(row))
        n_written += 1
        n_masked += masked
    report = ExportReport(
        format=settings.format.value,
        runs=n_runs,
        written=n_written,
        left_out=dict(left_out.most_common()),
        masked=n_masked,
        damaged=n_damaged,
        first_damaged=tuple(damaged),
    )
    if not n_written:
        raise InvalidInput(_nothing(report, source))
    return report


def _line(row: dict[str, object]) -> bytes:
    return json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _nothing(report: ExportReport, source: str) -> str:
    if report.first_damaged:
        first = report.first_damaged[0]
        if not report.runs:
            return f"{source} holds no run that this release reads (line {first.line}: {first.reason:.200})"
    return f"nothing to write of {source}: {report.told}" if report.runs else f"{source} holds no runs"

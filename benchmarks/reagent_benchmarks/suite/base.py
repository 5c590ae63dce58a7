"""A benchmark, and one question of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, JsonValue, field_validator

from reagent_benchmarks.judging.rows import Row
from reagent_sdk.frozen import Frozen
from reagent_sdk.task import Task


class BenchmarkItem(Frozen):
    """One question. Agents and judges are given `task` and nothing else."""

    id: str = Field(min_length=1, description="unique within the benchmark")
    task: Task
    references: tuple[str, ...] = Field(min_length=1, description="every answer that is right")
    group: str = Field(min_length=1, description="the question: items of one group are drawn and resampled together")
    metadata: dict[str, JsonValue] = Field(default_factory=dict, description="level, type ...; never the answer")
    grader: str | None = Field(None, description="how this item is graded, where that is not the benchmark's way")
    left_out: str = Field("", description="why a plain run passes this item over; empty for all others")

    @field_validator("references")
    @classmethod
    def _say_something(cls, references: tuple[str, ...]) -> tuple[str, ...]:
        if any(not reference.strip() for reference in references):
            raise ValueError("a gold answer is empty")
        return references

    def staged(self, folder: Path) -> Path | None:
        """Puts the item's files into a folder of their own, for the root of file tools.

        The folder of a set often holds its answers as well: a tool that may read all of it could find them there.

        Args:
            folder: where that folder is made; named after the item.

        Returns:
            The folder; None for an item without files.
        """
        if not self.task.attachments:
            return None
        own = folder / "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in self.id)
        own.mkdir(parents=True, exist_ok=True)
        for attachment in self.task.attachments:
            target = own / Path(attachment).name
            if not target.exists():
                part = target.with_name(f".{target.name}.{os.getpid()}")
                shutil.copyfile(attachment, part)
                part.replace(target)
        return own


@dataclass(frozen=True)
class Benchmark:
    """What a set is, where it comes from and how agents are to work on it.

    Attributes:
        name: as on the command line.
        title: as in papers.
        what: one line for people.
        size: questions of the published split; None where that depends on what is loaded.
        hub_id: on the Hugging Face hub; empty where there is no copy that can be loaded.
        config: the part of the hub's data set; None where it has no parts.
        split: of the hub's data set.
        gated: whether the hub asks to accept conditions first.
        licence: what its publisher states.
        home: the page with the data and the licence.
        columns: the columns that are read, and what they mean; of several names that stand together, one is enough.
        files: patterns of its files in a folder; the first that fits counts.
        folders: names of folders that hold such files, below the one that is given.
        grader: how answers are graded: maths, text, f1, choice, yes_no, numeric, code or llm.
        tools: names of the tools that agents work with.
        instructions: what agents are told besides the question.
        steps: how often an agent may call tools.
        parse: makes an item of a row.
        prepare: what is done to all rows before that, such as joining them with a file of answers.
        sample: how many questions are drawn where no limit is given; None takes all.
        repository: whether the hub's files are fetched as they are, because rows name other files.
        corpus: the file for offline search that comes with it; empty where there is none.
        needs: what a run needs that this package does not have; such a set can be loaded but not run.
    """

    name: str
    title: str
    what: str
    size: int | None
    hub_id: str
    split: str
    licence: str
    home: str
    columns: Mapping[str, str]
    files: tuple[str, ...]
    folders: tuple[str, ...]
    grader: str
    tools: tuple[str, ...]
    instructions: str
    parse: Callable[[Row], BenchmarkItem]
    config: str | None = None
    gated: bool = False
    steps: int = 30
    prepare: Callable[[Sequence[Row]], Sequence[Row]] | None = None
    sample: int | None = None
    repository: bool = False
    corpus: str = ""
    needs: str = ""

    def read(self, rows: Sequence[Row]) -> Iterator[BenchmarkItem]:
        """The items of rows, in order. A question that comes twice with the same answers is marked as left out.

        Raises:
            InvalidInput: a column is missing, a question or a gold answer is empty, or an id is there twice.
        """
        seen: dict[str, tuple[Row, BenchmarkItem]] = {}
        for row in self.prepare(rows) if self.prepare else rows:
            item = self.parse(row)
            if item.id not in seen:
                seen[item.id] = (row, item)
                yield item
                continue
            first, known = seen[item.id]
            if item.id != item.group or item.references != known.references:
                what = "question" if item.id == item.group else f"id {item.id!r}"
                raise row.wrong(f"the {what} is in {first.file.name}, {first.counted} {first.line} already")
            yield item.model_copy(update={"id": f"{item.id}/{row.line}", "left_out": "repeated questions"})

"""A folder of `reagent data synth`: generated tool tasks with their files and pages, which no model can know."""

from __future__ import annotations

from reagent_benchmarks.judging.rows import Row
from reagent_benchmarks.suite.base import Benchmark, BenchmarkItem
from reagent_benchmarks.suite.items import gold, item, optional, text
from reagent_benchmarks.suite.wording import SHORT


def _parse(row: Row) -> BenchmarkItem:
    """A task with its files; its tools, where its corpus lies and how exact a number must be are in the metadata."""
    home = row.file.parent.resolve()
    folder, corpus, rule = optional(row, "folder"), optional(row, "corpus"), row.get("rule", dict)
    files = [home / str(folder) / str(name) for name in (optional(row, "files") or ())] if folder else []
    for path in (*files, *([home / str(corpus)] if corpus else [])):
        if not path.resolve().is_relative_to(home):
            raise row.wrong(f"{path} lies outside the folder of the set")
        if not path.is_file():
            raise row.wrong(f"{path} is missing; generate the set again with `reagent data synth`")
    aliases = rule.get("aliases") or ()
    return item(
        row,
        text(row, "question"),
        tuple(dict.fromkeys((*gold(row, "answer"), *map(str, aliases)))),
        id=text(row, "id"),
        metadata={
            "type": optional(row, "family"),
            "level": optional(row, "difficulty"),
            "template": optional(row, "template"),
            "tolerance": rule.get("tolerance") or None,
            "tools": list(optional(row, "tools") or ()),
            "corpus": str(home / str(corpus)) if corpus else None,
        },
        grader="numeric" if rule.get("kind") == "number" else None,
        attachments=tuple(map(str, files)),
    )


SYNTH = Benchmark(
    name="synth",
    title="Generated tool tasks",
    what="sums, tables and lookups that `reagent data synth` makes, with files and pages of their own",
    size=None,
    hub_id="",
    split="test",
    licence="yours",
    home="",
    columns={
        "id": "id",
        "question": "what is asked",
        "answer, rule": "the answer, and how it is compared: number or text, with aliases",
        "folder, files, corpus": "the task's files and pages",
        "family, difficulty, template, tools": "what kind of task it is",
    },
    files=("tasks.jsonl",),
    folders=("synth",),
    grader="text",
    tools=("search", "browse", "python", "file_reader"),
    instructions=SHORT,
    parse=_parse,
)

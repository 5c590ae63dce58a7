"""GAIA: questions for assistants that search, read files, look and listen. The validation split has public answers."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from reagent_benchmarks.judging.rows import Row
from reagent_benchmarks.suite.base import Benchmark, BenchmarkItem
from reagent_benchmarks.suite.items import column, gold, item, optional, text
from reagent_benchmarks.suite.wording import EXACT

_NUMBER = re.compile(r"[-+]?[$€£]?\d{1,20}(?:,\d{3})*(?:\.\d{1,20})?%?", re.ASCII)


def _parse(row: Row) -> BenchmarkItem:
    """A question, with its file next to the metadata file; the annotator's solution stays out."""
    references = gold(row, "Final answer", "answer")
    if references == ("?",):
        raise row.wrong('the answer is "?": the test split has no public answers; take the validation split')
    question, name = text(row, "Question", "question"), optional(row, "file_name")
    attachments = (str(_beside(row, str(name))),) if name else ()
    return item(
        row,
        f"{question}\n\nAttached file: {name}" if name else question,
        references,
        id=text(row, "task_id", "id"),
        metadata={"level": str(column(row, "Level", "level")), "file": bool(attachments)},
        grader="numeric" if _NUMBER.fullmatch(references[0]) else None,
        attachments=attachments,
    )


def _text_only(row: Row) -> BenchmarkItem:
    found = _parse(row)
    return found.model_copy(update={"left_out": "questions with a file"}) if found.task.attachments else found


def _beside(row: Row, name: str) -> Path:
    folder = row.file.parent.resolve()
    path = folder / name
    if not path.is_relative_to(folder) or ".." in Path(name).parts:
        raise row.wrong(f'"file_name" is {name!r}, which lies outside the folder of the set')
    if not path.exists():
        raise row.wrong(f"the file {name!r} is not next to it; fetch the whole set, files included")
    if not path.resolve().is_relative_to(folder):
        raise row.wrong(
            f"{name!r} is a link out of the folder; fetch with `hf download --repo-type dataset --local-dir`"
        )
    if not path.is_file():
        raise row.wrong(f"{name!r} is not a file")
    return path


GAIA = Benchmark(
    name="gaia",
    title="GAIA",
    what="questions that need the web, files, images, sound and code; three levels",
    size=165,
    hub_id="gaia-benchmark/GAIA",
    config="2023_all",
    split="validation",
    gated=True,
    licence="none stated; not to be shared on",
    home="https://huggingface.co/datasets/gaia-benchmark/GAIA",
    columns={
        "task_id": "id",
        "Question": "what is asked",
        "Final answer, answer": "the gold answer",
        "Level": "1 to 3",
        "file_name": "a file next to the metadata file; empty for most questions",
    },
    files=(
        "metadata.jsonl",
        "metadata.parquet",
        "2023/validation/metadata.jsonl",
        "2023/validation/metadata.parquet",
        "validation/metadata.jsonl",
        "validation/metadata.parquet",
    ),
    folders=("gaia", "GAIA"),
    grader="text",
    tools=("search", "browse", "python", "file_reader", "image2text", "audio2text"),
    instructions=EXACT,
    parse=_parse,
    repository=True,
)

GAIA_TEXT = replace(
    GAIA,
    name="gaia-text",
    title="GAIA (text)",
    what="the questions of GAIA without a file",
    size=None,
    files=(*GAIA.files, "dev.json"),
    tools=("search", "browse", "python"),
    parse=_text_only,
)

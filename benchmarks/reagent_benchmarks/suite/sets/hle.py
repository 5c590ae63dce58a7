"""Humanity's Last Exam: expert questions of many fields; 500 without images are drawn, as in the paper."""

from __future__ import annotations

import re

from reagent_benchmarks.judging.rows import Row
from reagent_benchmarks.suite.base import Benchmark, BenchmarkItem
from reagent_benchmarks.suite.items import gold, item, optional, text
from reagent_benchmarks.suite.wording import EXPERT
from reagent_sdk.messages import ContentPart, Message


def _parse(row: Row) -> BenchmarkItem:
    """A question; one with an image is marked, and carries it in its message. The rationale stays out."""
    references, question = gold(row, "answer"), text(row, "question")
    image, kind = optional(row, "image"), optional(row, "answer_type")
    more = {}
    if image:
        more = {"left_out": "questions with an image", "last": _with_image(question, image)}
    return item(
        row,
        question,
        references,
        id=text(row, "id"),
        metadata={
            "type": kind,
            "category": optional(row, "category"),
            "subject": optional(row, "raw_subject"),
            "image": bool(image),
        },
        grader="choice" if kind == "multipleChoice" and re.fullmatch("[A-Z]", references[0]) else None,
        **more,
    )


def _with_image(question: str, image: object) -> Message | None:
    if not isinstance(image, str):
        return None
    picture = ContentPart.model_validate({"type": "image_url", "image_url": {"url": image}})
    return Message(role="user", content=(ContentPart(type="text", text=question), picture))


HLE = Benchmark(
    name="hle",
    title="HLE",
    what="Humanity's Last Exam: hard questions of experts in a hundred fields; a sample of 500 without images",
    size=2500,
    hub_id="cais/hle",
    split="test",
    gated=True,
    licence="MIT; not to be put into training data",
    home="https://huggingface.co/datasets/cais/hle",
    columns={
        "id": "id",
        "question": "what is asked, choices included",
        "answer": "the gold answer, or the letter of the right choice",
        "answer_type": "exactMatch or multipleChoice",
        "image": "a data URL; empty for most questions",
        "category, raw_subject": "the field",
    },
    files=("hle*.jsonl", "hle*.json", "hle*.parquet", "data/test-*.parquet", "test-*.parquet"),
    folders=("hle", "HLE"),
    grader="llm",
    tools=("search", "browse", "python"),
    instructions=EXPERT,
    parse=_parse,
    sample=500,
)

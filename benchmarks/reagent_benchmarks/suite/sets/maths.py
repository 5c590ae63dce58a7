"""Mathematics: AIME24, AIME25, MATH500 and GSM8K."""

from __future__ import annotations

from dataclasses import replace

from reagent_benchmarks.judging.rows import Row
from reagent_benchmarks.suite.base import Benchmark, BenchmarkItem
from reagent_benchmarks.suite.items import gold, item, optional, text
from reagent_benchmarks.suite.wording import MATHS

_PROBLEM = ("problem", "Problem", "question", "Question")
_ANSWER = ("answer", "Answer")


def _aime(row: Row) -> BenchmarkItem:
    """A problem; its answer is a whole number from 0 to 999, which some copies write with leading zeros."""
    told = gold(row, *_ANSWER)[0]
    if not (told.isascii() and told.isdigit() and int(told) <= 999):
        raise row.wrong(f"an answer of AIME is a whole number from 0 to 999, not {told[:40]!r}; is this its file?")
    return item(row, text(row, *_PROBLEM), (str(int(told)),), id=optional(row, "ID", "id"))


def _math500(row: Row) -> BenchmarkItem:
    """A problem with its answer in LaTeX; the solution stays out."""
    level, references = optional(row, "level"), gold(row, *_ANSWER)
    if "####" in references[0]:
        raise row.wrong('"answer" holds a solution with "####", as in GSM8K; is this the file of MATH500?')
    return item(
        row,
        text(row, *_PROBLEM),
        references,
        id=optional(row, "unique_id", "id"),
        metadata={"type": optional(row, "subject", "type"), "level": None if level is None else str(level)},
    )


def _gsm8k(row: Row) -> BenchmarkItem:
    """A word problem; its answer stands behind the last #### of the solution, which stays out."""
    told = gold(row, *_ANSWER)[0].rpartition("####")[2].strip().replace(",", "")
    if not told:
        raise row.wrong('nothing stands behind the "####" of "answer"; the number that is right belongs there')
    if "\n" in told:
        raise row.wrong('"answer" has no "####" before the number that is right; is this the file of GSM8K?')
    return item(row, text(row, *_PROBLEM), (told,))


AIME24 = Benchmark(
    name="aime24",
    title="AIME24",
    what="problems of a contest for high schools, 2024",
    size=30,
    hub_id="Maxwell-Jia/AIME_2024",
    split="train",
    licence="see its page; the problems are the MAA's",
    home="https://huggingface.co/datasets/Maxwell-Jia/AIME_2024",
    columns={
        "problem, Problem, question": "what is asked",
        "answer, Answer": "a whole number from 0 to 999",
        "ID, id": "id; by default a key of the question",
    },
    files=("aime24.*", "aime_2024*.*", "aime2024*.*", "AIME*2024*.*", "data/train-*.parquet"),
    folders=("aime24", "AIME_2024", "arpo_eval"),
    grader="maths",
    tools=("python",),
    instructions=MATHS,
    parse=_aime,
)

AIME25 = replace(
    AIME24,
    name="aime25",
    title="AIME25",
    what="problems of a contest for high schools, 2025",
    hub_id="math-ai/aime25",
    split="test",
    home="https://huggingface.co/datasets/math-ai/aime25",
    files=("aime25.*", "aime_2025*.*", "aime2025*.*", "AIME*2025*.*", "test.jsonl", "data/test-*.parquet"),
    folders=("aime25", "arpo_eval"),
)

MATH500 = replace(
    AIME24,
    name="math500",
    title="MATH500",
    what="contest problems of five levels, from MATH",
    size=500,
    hub_id="HuggingFaceH4/MATH-500",
    split="test",
    licence="MIT",
    home="https://huggingface.co/datasets/HuggingFaceH4/MATH-500",
    columns={
        "problem, question": "what is asked",
        "answer": "the gold answer, in LaTeX",
        "unique_id": "id; by default a key of the question",
        "subject, level": "as in the set",
    },
    files=("math500.*", "math-500.*", "MATH-500*.*", "test.jsonl"),
    folders=("math500", "MATH-500", "arpo_eval"),
    parse=_math500,
)

GSM8K = replace(
    AIME24,
    name="gsm8k",
    title="GSM8K",
    what="word problems of grade school",
    size=1319,
    hub_id="openai/gsm8k",
    config="main",
    split="test",
    licence="MIT",
    home="https://huggingface.co/datasets/openai/gsm8k",
    columns={"question": "what is asked", "answer": "the solution, with #### before the number that is right"},
    files=("gsm8k.*", "test.jsonl", "main/test-*.parquet", "test-*.parquet", "gsm8k_test*.*"),
    folders=("gsm8k",),
    parse=_gsm8k,
)

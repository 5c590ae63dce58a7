"""Questions that are answered on the web: WebWalkerQA, xbench-DeepSearch, SimpleQA and BrowseComp."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reagent_benchmarks.judging.rows import Row
from reagent_benchmarks.suite.base import Benchmark, BenchmarkItem
from reagent_benchmarks.suite.ciphers import unscrambled, unscrambled_by_digest
from reagent_benchmarks.suite.items import gold, item, optional, text
from reagent_benchmarks.suite.wording import RESEARCH, SHORT

_TOOLS = ("search", "browse", "python")


def _webwalker(row: Row) -> BenchmarkItem:
    """A question; where its answer is found (source pages, golden path) stays out."""
    info = {key.lower(): value for key, value in _mapping(optional(row, "info", "Info")).items()}
    return item(
        row,
        text(row, "question", "Question"),
        gold(row, "answer", "Answer"),
        metadata={
            "root_url": optional(row, "root_url", "Root_Url"),
            "level": info.get("difficulty_level"),
            "type": info.get("hop", info.get("type")),
            "domain": info.get("domain"),
            "language": info.get("language", info.get("lang")),
        },
    )


def _xbench(row: Row) -> BenchmarkItem:
    """A question, decoded with the row's canary; the reference steps stay out."""
    plain = _decoded(row, unscrambled, "prompt", "question", "answer")
    return item(row, text(plain, "prompt", "question"), gold(plain, "answer"), id=text(row, "id"))


def _simpleqa(row: Row) -> BenchmarkItem:
    """A question; the pages that hold its answer stay out."""
    plain = _decoded(row, unscrambled_by_digest, "problem", "question", "answer", "problem_topic")
    told = _mapping(optional(row, "metadata"))
    topic = told.get("topic") or optional(plain, "problem_topic", "topic")
    return item(
        row,
        text(plain, "problem", "question"),
        gold(plain, "answer"),
        metadata={"topic": topic, "type": told.get("answer_type") or optional(row, "answer_type")},
    )


def _decoded(row: Row, decode: Callable[[str, str], str], *names: str) -> Row:
    """The row with these columns decoded; as it is where it has no canary, because somebody has decoded it already."""
    canary = optional(row, "canary")
    if not isinstance(canary, str):
        return row
    with row.located():
        found = {name: decode(row.data[name], canary) for name in names if isinstance(row.data.get(name), str)}
    return replace(row, data={**row.data, **found})


def _mapping(told: Any) -> dict[str, Any]:
    """An object, also where it is written as JSON or, as in SimpleQA, as a Python literal."""
    for read in (json.loads, ast.literal_eval):
        if not isinstance(told, str):
            break
        try:
            told = read(told)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return told if isinstance(told, dict) else {}


WEBWALKER = Benchmark(
    name="webwalkerqa",
    title="WebWalkerQA",
    what="questions whose answers lie several links deep in a web site, in English and Chinese",
    size=680,
    hub_id="callanwu/WebWalkerQA",
    split="main",
    licence="Apache-2.0",
    home="https://huggingface.co/datasets/callanwu/WebWalkerQA",
    columns={
        "question, Question": "what is asked",
        "answer, Answer": "the gold answer",
        "root_url, Root_Url": "the site; kept beside the question, not in it",
        "info, Info": "an object with hop, domain, lang and difficulty_level",
    },
    files=(
        "*[wW]eb[wW]alker*.json*",
        "*[wW]eb[wW]alker*.parquet",
        "data/main-*.parquet",
        "main-*.parquet",
        "test.json*",
    ),
    folders=("webwalkerqa", "WebWalkerQA"),
    grader="llm",
    tools=_TOOLS,
    instructions=RESEARCH,
    parse=_webwalker,
)

XBENCH = Benchmark(
    name="xbench-deepsearch",
    title="xbench-DeepSearch",
    what="deep search in Chinese; questions and answers are scrambled, and decoded while they are loaded",
    size=100,
    hub_id="xbench/DeepSearch",
    split="train",
    licence="see its page",
    home="https://huggingface.co/datasets/xbench/DeepSearch",
    columns={
        "id": "id",
        "prompt, question": "what is asked, scrambled",
        "answer": "the gold answer, scrambled",
        "canary": "the key of the row; without it the row is taken as plain text",
    },
    files=(
        "DeepSearch*.csv",
        "data/DeepSearch*.csv",
        "*[xX][bB]ench*.csv",
        "*[xX][bB]ench*.json*",
        "data/train-*.parquet",
    ),
    folders=("xbench-deepsearch", "xbench", "DeepSearch"),
    grader="llm",
    tools=_TOOLS,
    instructions=RESEARCH,
    parse=_xbench,
)

SIMPLEQA = Benchmark(
    name="simpleqa",
    title="SimpleQA",
    what="short questions for facts that models seldom know by heart",
    size=4326,
    hub_id="basicv8vc/SimpleQA",
    split="test",
    licence="MIT",
    home="https://huggingface.co/datasets/basicv8vc/SimpleQA",
    columns={
        "problem, question": "what is asked",
        "answer": "the gold answer, or a list of them",
        "metadata": "an object with topic and answer_type",
    },
    files=("simple_qa_test_set.csv", "[sS]imple[qQ][aA].*", "simple_qa*.csv", "data/test-*.parquet", "test-*.parquet"),
    folders=("simpleqa", "SimpleQA", "arpo_eval"),
    grader="llm",
    tools=("search", "browse"),
    instructions=SHORT,
    parse=_simpleqa,
)

BROWSECOMP = Benchmark(
    name="browsecomp",
    title="BrowseComp",
    what="facts that are hard to find and easy to check; scrambled, and decoded while they are loaded",
    size=1266,
    hub_id="",
    split="test",
    licence="MIT",
    home="https://github.com/openai/simple-evals",
    columns={
        "problem": "what is asked, scrambled",
        "answer": "the gold answer, scrambled",
        "problem_topic": "the field, scrambled",
        "canary": "the key of the row; without it the row is taken as plain text",
    },
    files=("browse_comp_test_set.csv", "*[bB]rowse*[cC]omp*.csv", "*[bB]rowse*[cC]omp*.json*"),
    folders=("browsecomp", "browse_comp"),
    grader="llm",
    tools=_TOOLS,
    instructions=SHORT,
    parse=_simpleqa,
)

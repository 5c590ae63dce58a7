"""Questions over several pages of Wikipedia: HotpotQA, 2WikiMultihopQA, Bamboogle, MuSiQue, and an offline variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reagent_benchmarks.judging.rows import Row
from reagent_benchmarks.suite.base import Benchmark, BenchmarkItem
from reagent_benchmarks.suite.items import gold, item, optional, text, yes_or_no
from reagent_benchmarks.suite.wording import SHORT

_FLASHRAG = "RUC-NLPIR/FlashRAG_datasets"
"""Copies of all four with one layout, aliases included; the authors' own files are read as well."""


def _parse(row: Row) -> BenchmarkItem:
    """A question with all its aliases; passages, supporting facts and the steps of the solution stay out."""
    references = gold(row, "golden_answers", "answer", "Answer")
    aliases = optional(row, "answer_aliases")
    if isinstance(aliases, list):
        references = tuple(dict.fromkeys((*references, *gold(row, "answer_aliases"))))
    question, id = text(row, "question", "Question"), optional(row, "id", "_id")
    more = {}
    if row.data.get("answerable") is False:  # MuSiQue-Full has a twin without an answer under the same id
        more, id = {"left_out": "questions without an answer"}, f"{id}/unanswerable"
    return item(
        row,
        question,
        references,
        id=id,
        metadata={"type": optional(row, "type"), "level": optional(row, "level")},
        grader=yes_or_no(references),
        **more,
    )


def _with_gold(row: Row) -> BenchmarkItem:
    target = row.get("ground_truth", dict).get("target")
    known = replace(row, data={"ground_truth.target": target})
    references = gold(known, "ground_truth.target")
    return item(row, text(row, "question"), references, grader=yes_or_no(references))


def _questions(rows: Sequence[Row]) -> Sequence[Row]:
    """One row for each question; the set holds several trajectories of each."""
    return list({text(row, "question"): row for row in reversed(rows)}.values())[::-1]


HOTPOTQA = Benchmark(
    name="hotpotqa",
    title="HotpotQA",
    what="questions over two pages of Wikipedia: bridges and comparisons",
    size=7405,
    hub_id=_FLASHRAG,
    config="hotpotqa",
    split="dev",
    licence="CC BY-SA 4.0",
    home="https://hotpotqa.github.io",
    columns={
        "question, Question": "what is asked",
        "golden_answers, answer, Answer": "the gold answer, or a list of all that are right",
        "id, _id": "id; by default a key of the question",
        "type, level": "as in the set",
    },
    files=(
        "hotpotqa.jsonl",
        "hotpotqa/dev.jsonl",
        "hotpot_dev*.json",
        "dev.jsonl",
        "hotpotqa.*",
        "validation-*.parquet",
    ),
    folders=("hotpotqa", "arpo_eval", "distractor"),
    grader="text",
    tools=("search", "browse"),
    instructions=SHORT,
    parse=_parse,
)

TWOWIKI = replace(
    HOTPOTQA,
    name="2wiki",
    title="2WikiMultihopQA",
    what="questions over two to four pages of Wikipedia, made from Wikidata",
    size=12576,
    config="2wikimultihopqa",
    licence="Apache-2.0",
    home="https://github.com/Alab-NII/2wikimultihop",
    files=("2wiki.jsonl", "2wikimultihopqa/dev.jsonl", "dev.json", "dev.jsonl", "dev.parquet", "2wiki*.*"),
    folders=("2wiki", "2wikimultihopqa", "arpo_eval"),
)

BAMBOOGLE = replace(
    HOTPOTQA,
    name="bamboogle",
    title="Bamboogle",
    what="two-step questions whose answers no single page holds",
    size=125,
    config="bamboogle",
    split="test",
    licence="MIT",
    home="https://github.com/ofirpress/self-ask",
    files=("bamboogle.*", "bamboogle/test.jsonl", "[bB]amboogle*.*", "test.jsonl", "data/test-*.parquet"),
    folders=("bamboogle", "arpo_eval"),
)

MUSIQUE = replace(
    HOTPOTQA,
    name="musique",
    title="MuSiQue",
    what="questions in two to four steps that cannot be cut short",
    size=2417,
    config="musique",
    licence="CC BY 4.0",
    home="https://github.com/StonyBrookNLP/musique",
    columns={**HOTPOTQA.columns, "answer_aliases": "further answers that are right", "answerable": "false is left out"},
    files=(
        "musique.jsonl",
        "musique/dev.jsonl",
        "musique_*dev.jsonl",
        "dev.jsonl",
        "musique.*",
        "validation-*.parquet",
    ),
    folders=("musique", "arpo_eval"),
)

AGENTPROCESSBENCH = replace(
    HOTPOTQA,
    name="agentprocessbench-hotpotqa",
    title="HotpotQA offline (AgentProcessBench)",
    what="questions of HotpotQA with the passages that real agents found for them: no network is needed",
    size=50,
    hub_id="",
    config=None,
    split="test",
    licence="MIT; passages CC BY-SA",
    home="https://github.com/RUCBM/AgentProcessBench",
    columns={"question": "what is asked", "ground_truth": 'an object; "target" lists all answers that are right'},
    files=("hotpotqa_trajectories.jsonl",),
    folders=("agentprocessbench",),
    parse=_with_gold,
    prepare=_questions,
    corpus="hotpotqa_corpus.jsonl",
)

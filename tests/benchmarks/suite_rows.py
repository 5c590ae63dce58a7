"""Small files in the documented layout of each benchmark, with made-up questions."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

from .judge_rows import apb_row, written

HIDDEN = "HIDDEN-SOLUTION"
"""Stands in every column that tells how an answer is found, and must not be shown to anybody."""
CANARY = "canary-1234"
Rows = list[dict[str, Any]]


def scrambled(text: str, key: bytes) -> str:
    return base64.b64encode(bytes(a ^ b for a, b in zip(text.encode(), cycle(key), strict=False))).decode()


def gaia(gold: str) -> Rows:
    row = {"Final answer": gold, "Annotator Metadata": {"Steps": HIDDEN}, "file_name": ""}
    first = {"task_id": "a-1", "Question": "How many moons has the planet?", "Level": 1}
    return [row | first, row | {"task_id": "b-2", "Question": "What does the note say?", "Level": "2"}]


def webwalker(gold: str) -> Rows:
    info = {"hop": "single-source", "lang": "en", "difficulty_level": "easy", "golden_path": [HIDDEN]}
    rest = {"root_url": "https://example.org", "info": info | {"source_website": [HIDDEN]}}
    return [{"question": f"When does talk {n} start?", "answer": gold} | rest for n in range(3)]


def hle(gold: str) -> Rows:
    row = {"answer": gold, "rationale": HIDDEN, "answer_type": "exactMatch", "image": "", "category": "Maths"}
    return [row | {"id": f"h{n}", "question": f"What is the rank of group {n}?"} for n in range(3)]


def xbench(gold: str) -> Rows:
    def row(number: int) -> dict[str, Any]:
        texts = {"prompt": f"第{number}座桥有多长？", "answer": gold, "reference_steps": HIDDEN}
        return {name: scrambled(text, CANARY.encode()) for name, text in texts.items()}

    return [{"id": str(n), **row(n), "canary": CANARY} for n in range(3)]


def browsecomp(gold: str) -> Rows:
    key = hashlib.sha256(CANARY.encode()).digest()
    texts = [
        {"problem": f"Which ship sank in harbour {n}?", "answer": gold, "problem_topic": "Ships"} for n in range(3)
    ]
    return [{name: scrambled(text, key) for name, text in row.items()} | {"canary": CANARY} for row in texts]


def simpleqa(gold: str) -> Rows:
    about = str({"topic": "Art", "answer_type": "Person", "urls": [HIDDEN]})  # a Python literal, as published
    return [{"metadata": about, "problem": f"Who painted picture {n}?", "answer": gold} for n in range(3)]


def hotpotqa(gold: str) -> Rows:
    row = {"answer": gold, "type": "bridge", "level": "hard", "supporting_facts": [HIDDEN], "context": [HIDDEN]}
    return [row | {"_id": f"hp{n}", "question": f"Where was the author of book {n} born?"} for n in range(3)]


def flashrag(gold: str) -> Rows:
    row = {"golden_answers": [gold, f"{gold} (alias)"], "metadata": {"evidences": [HIDDEN]}}
    return [row | {"id": f"dev_{n}", "question": f"Who is the mother of queen {n}?"} for n in range(3)]


def bamboogle(gold: str) -> Rows:
    return [{"Question": f"Who led the country when town {n} was founded?", "Answer": gold} for n in range(3)]


def musique(gold: str) -> Rows:
    row = {"answer": gold, "answer_aliases": [f"{gold} (alias)"], "answerable": True}
    row |= {"question_decomposition": [{"answer": HIDDEN}], "paragraphs": [HIDDEN]}
    return [row | {"id": f"2hop__{n}", "question": f"Which river crosses the home of {n}?"} for n in range(3)]


def aime24(gold: str) -> Rows:
    return [{"ID": f"2024-I-{n}", "Problem": f"Find {n}.", "Solution": HIDDEN, "Answer": int(gold)} for n in range(3)]


def aime25(gold: str) -> Rows:
    return [{"id": str(n), "problem": f"Find the sum {n}.", "answer": gold} for n in range(3)]


def math500(gold: str) -> Rows:
    row = {"solution": HIDDEN, "answer": gold, "subject": "Algebra", "level": 2}
    return [row | {"unique_id": f"test/algebra/{n}.json", "problem": f"Solve $x={n}$."} for n in range(3)]


def gsm8k(gold: str) -> Rows:
    return [{"question": f"Tom has {n} eggs. And then?", "answer": f"{HIDDEN}\n#### {gold}"} for n in range(3)]


def bfcl(gold: str) -> Rows:
    tool = {"name": "area", "parameters": {"type": "dict", "properties": {"side": {"type": "integer"}}}}
    row = {"function": [tool], "ground_truth": [{"area": {"side": [gold]}}]}
    asked = [[[{"role": "user", "content": f"How large is square {n}?"}]] for n in range(3)]
    return [row | {"id": f"simple_{n}", "question": turns} for n, turns in enumerate(asked)]


def tau(gold: str) -> Rows:
    chat = [{"role": "system", "content": "# Policy\nNo refunds."}, {"role": "user", "content": HIDDEN}]
    task = {"user_id": "mia_1", "outputs": [gold], "actions": [{"name": "cancel", "kwargs": {"id": HIDDEN}}]}
    wishes = [task | {"instruction": f"You are Mia and want to change flight {n}."} for n in range(3)]
    return [
        {"task_id": n, "trial": trial, "reward": 1.0, "task": wish, "traj": chat}
        for n, wish in enumerate(wishes)
        for trial in range(2)
    ]


def tau2(gold: str) -> Rows:
    criteria = {"actions": [], "communicate_info": [gold], "nl_assertions": [HIDDEN], "reward_basis": ["DB"]}
    wish = {"domain": "airline", "reason_for_call": "You want a refund.", "known_info": "You are Mia."}
    row = {"description": {"purpose": HIDDEN}, "evaluation_criteria": criteria, "initial_state": None}
    return [row | {"id": str(n), "user_scenario": {"persona": None, "instructions": wish}} for n in range(3)]


def apb(gold: str) -> Rows:
    rows = [apb_row(question, sample, right=True) for question in range(3) for sample in range(2)]
    return [row | {"ground_truth": {"target": [gold]}, "answer_text": HIDDEN} for row in rows]


def synth(gold: str) -> Rows:
    row = {"family": "words", "template": "t", "split": "test", "difficulty": 1, "answer": gold, "corpus": None}
    row |= {"rule": {"kind": "text", "tolerance": 0.0, "aliases": []}, "tools": ["python"], "folder": None, "files": []}
    return [row | {"id": f"words-{n}", "question": f"What is twice {n}?"} for n in range(3)]


LAYOUTS: dict[str, tuple[str, str, Callable[[str], Rows]]] = {
    "gaia": ("gaia", "2023/validation/metadata.jsonl", gaia),
    "gaia-text": ("gaia-text", "metadata.jsonl", gaia),
    "webwalkerqa": ("webwalkerqa", "WebWalkerQA.jsonl", webwalker),
    "hle": ("hle", "hle.jsonl", hle),
    "xbench": ("xbench-deepsearch", "DeepSearch.csv", xbench),
    "browsecomp": ("browsecomp", "browse_comp_test_set.csv", browsecomp),
    "simpleqa": ("simpleqa", "simple_qa_test_set.csv", simpleqa),
    "hotpotqa": ("hotpotqa", "hotpot_dev_distractor_v1.json", hotpotqa),
    "2wiki": ("2wiki", "2wikimultihopqa/dev.jsonl", flashrag),
    "bamboogle": ("bamboogle", "bamboogle.csv", bamboogle),
    "musique": ("musique", "musique_ans_v1.0_dev.jsonl", musique),
    "aime24": ("aime24", "aime_2024_problems.parquet", aime24),
    "aime25": ("aime25", "aime2025.jsonl", aime25),
    "math500": ("math500", "test.jsonl", math500),
    "gsm8k": ("gsm8k", "gsm8k.jsonl", gsm8k),
    "bfcl": ("bfcl", "BFCL_v4_simple_python.json", bfcl),
    "tau": ("tau-bench", "airline_trajectories.jsonl", tau),
    "tau2": ("tau-bench", "airline_tasks.json", tau2),
    "apb": ("agentprocessbench-hotpotqa", "hotpotqa_trajectories.jsonl", apb),
    "synth": ("synth", "tasks.jsonl", synth),
}
"""Layout -> benchmark, file and rows."""


def small(layout: str, folder: Path, gold: str = "7") -> Path:
    """A folder with a small set whose gold answers are all the same."""
    _, name, rows = LAYOUTS[layout]
    return file_of(folder / name, rows(gold), listed=layout in ("hotpotqa", "tau2"))


def file_of(file: Path, rows: Rows, *, listed: bool = False) -> Path:
    """Writes rows in the format that the name asks for; returns the folder of the set."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".csv":
        import csv

        with file.open("w", encoding="utf-8-sig", newline="") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif file.suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist(rows), file)
    elif listed:
        file.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    else:
        written(file, rows)
    return file.parent

"""Graders on the answers of public data sets, and maths beside math-verify alone."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from reagent_benchmarks.grading.maths import MathsGrader
from reagent_benchmarks.grading.numeric import NumericGrader
from reagent_benchmarks.grading.text import F1Grader, TextGrader

math_verify = pytest.importorskip("math_verify")
PAIRS = 60


@pytest.fixture(scope="module")
def maths() -> Iterator[MathsGrader]:
    made = MathsGrader(wall=100)
    yield made
    made.close()


def answers(path: Path) -> list[str]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    golds = [row.get("answer") or row["golden_answers"] for row in rows]
    return [gold if isinstance(gold, str) else str(gold[0]) for gold in golds]


def test_maths_accepts_math500_and_agrees_with_math_verify_on_pairs(maths: MathsGrader, shared_data: Path) -> None:
    golds = answers(shared_data / "arpo_eval" / "math500.jsonl")
    assert all(maths.check(f"\\boxed{{{gold}}}", [gold]).right for gold in golds)
    drawn = random.Random(1)
    for _ in range(PAIRS):
        said, gold = drawn.choice(golds), drawn.choice(golds)
        read = [math_verify.parse(f"${text}$", parsing_timeout=None) for text in (gold, said)]
        alone = math_verify.verify(*read, timeout_seconds=None)
        assert maths.check(f"\\boxed{{{said}}}", [gold]).right is alone, (said, gold)


def test_worked_solutions_of_gsm8k_are_right(maths: MathsGrader, shared_data: Path) -> None:
    for solution in answers(shared_data / "gsm8k" / "test.jsonl"):
        gold = solution.rpartition("####")[2].strip()
        assert maths.check(solution, [gold]).right, gold
        assert NumericGrader().check(solution, [gold]).right, gold


@pytest.mark.parametrize("name", ["hotpotqa", "2wiki", "musique", "SimpleQA"])
def test_short_answers_are_right_alone_and_wrong_when_hedged(name: str, shared_data: Path) -> None:
    for gold in answers(shared_data / "arpo_eval" / f"{name}.jsonl"):
        for rule in (TextGrader(), F1Grader(), F1Grader(0.67)):
            assert rule.check(f"Answer: {gold}", [gold]).right, gold
            for hedged in (f"{gold} or London", f"It may be {gold} or something else", f"not {gold}"):
                assert not rule.check(f"Answer: {hedged}", [gold]).right, hedged

"""Defects of grading that were seen in published code, each as a test that fails where it comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from reagent_benchmarks.grading import Grade, RuleGrader
from reagent_benchmarks.grading.choice import ChoiceGrader, YesNoGrader
from reagent_benchmarks.grading.llm import LLMGrader, read_label
from reagent_benchmarks.grading.maths import MathsGrader
from reagent_benchmarks.grading.numeric import NumericGrader
from reagent_benchmarks.grading.text import F1Grader, TextGrader

from reagent_sdk.clients.base import Completion
from reagent_sdk.clients.openai_compatible import OpenAICompatible
from reagent_sdk.messages import assistant
from reagent_sdk.testing import ChatServer, Fault, Reply


@pytest.fixture(scope="module")
def maths() -> Iterator[MathsGrader]:
    made = MathsGrader(seconds=1, wall=100)
    yield made
    made.close()


def test_defect_the_first_box_was_taken_where_the_last_was_meant(maths: MathsGrader) -> None:
    reply = r"First I got \boxed{12}. That is wrong, so \boxed{14}."
    assert maths.check(reply, ["14"]).right is True
    assert maths.check(reply, ["12"]).right is False
    assert NumericGrader().check(reply, ["14"]).right is True
    assert TextGrader().check(r"\boxed{\text{Rome}} no, \boxed{\text{Paris}}", ["Rome"]).right is False


def test_defect_gold_no_accepted_not_known() -> None:
    for rule in (YesNoGrader(), TextGrader(), F1Grader(0.7)):
        for said in ("not known", "none", "nobody", "no idea", "I do not know", "unknown", "notable"):
            assert rule.check(said, ["no"]).right is False, (rule.name, said)
        assert rule.check("No.", ["no"]).right is True


def test_defect_gold_true_accepted_untrue() -> None:
    for rule in (YesNoGrader(), TextGrader(), F1Grader(0.7)):
        for said in ("untrue", "not true", "It is untrue", "truest"):
            assert rule.check(said, ["true"]).right is False, (rule.name, said)
        assert rule.check("True", ["true"]).right is True


def test_defect_f1_of_a_third_counted_as_correct() -> None:
    for gold in ("Paris", "London", "Rome"):
        for threshold in (None, 0.67, 1.0):
            grade = F1Grader(threshold).check("Paris or London or Rome", [gold])
            assert (grade.right, grade.value) == (False, 0.0)
        assert TextGrader().check("Paris or London or Rome", [gold]).right is False
    assert ChoiceGrader().check("A or B or C", ["B"]).right is False


def test_defect_any_hyphen_sent_text_to_the_maths_grader(maths: MathsGrader) -> None:
    assert TextGrader().check("Jean-Paul Sartre", ["jean-paul sartre"]).right is True
    assert TextGrader().check("Sartre-Jean Paul", ["Jean-Paul Sartre"]).right is False
    assert maths.check("X-ray", ["x-ray"]).right is True
    assert maths.check(r"\boxed{-ray+X}", ["X-ray"]).right is False  # equal as a difference of letters


@pytest.mark.parametrize("rule", [TextGrader(), F1Grader(), NumericGrader()])
@pytest.mark.parametrize("gold", ["0", "0.0"])
def test_defect_gold_zero_counted_as_no_ground_truth(rule: RuleGrader, gold: str, maths: MathsGrader) -> None:
    assert rule.check(f"Answer: {gold}", [gold]).right is True
    assert rule.check("Answer: 1", [gold]).right is False
    assert maths.check(r"\boxed{0}", [gold]).right is True
    assert maths.check(r"\boxed{1}", [gold]).right is False
    assert rule.check("Answer: 0", []).right is None
    assert rule.check("Answer: 0", [" "]).right is None


@pytest.mark.parametrize(
    "label",
    ["no (yes only if the year is meant)", "yes and no", "yes? no", "not yes", "Yes, but", "1", "right",
     '{"right": "yes"}',
     '{"right": 1}', '{"right": false} {"right": true}', '{"right": false, "right": true}', '[{"right": true}]',
     'the label is {"right": true}', '{"right": true, "score": 1}', '{"right": null}', ""],
)  # fmt: skip
def test_defect_a_label_such_as_no_yes_only_if_scored_one(label: str) -> None:
    grade, trouble = read_label(Completion(message=assistant(label)))
    assert grade is None
    assert trouble


def test_defect_a_dead_grader_became_a_score_with_no_flag() -> None:
    with ChatServer([Fault.status(400, body="no")]) as server:
        grade = _asked(server, "Berlin")
    assert (grade.right, grade.value) == (None, None)
    assert "ModelRejected" in grade.why


def test_defect_an_unreadable_label_became_zero() -> None:
    for label in ("8/10", "90%", "-0.2", "0.8 (good)", '{"why": "it is'):
        with ChatServer([label]) as server:
            grade = _asked(server, "Berlin")
        assert grade.right is None, label
        assert len(server.requests) == 2


def test_defect_a_truncated_reply_was_read_as_a_label() -> None:
    with ChatServer([Reply("yes", finish_reason="length"), "no"]) as server:
        grade = _asked(server, "Berlin")
    assert grade.right is False
    assert server.requests[1].body["max_tokens"] > server.requests[0].body["max_tokens"]


def test_defect_identical_retries_at_temperature_zero() -> None:
    with ChatServer(["hm", '{"why": "same place", "right": true}']) as server:
        grade = _asked(server, "the capital of France")
    first, second = (request.body for request in server.requests)
    assert grade.right is True
    assert (first["temperature"], second["temperature"] > 0) == (0.0, True)
    assert second["seed"] != first.get("seed")
    assert len(second["messages"]) == len(first["messages"]) + 2


def test_defect_a_cut_off_reply_was_graded_by_where_it_stopped(maths: MathsGrader) -> None:
    for rule in (TextGrader(), NumericGrader(), maths):
        assert rule.check("So far we have\n1", ["1"], cut_off=True).right is False
        assert rule.check("Answer: 1", ["1"], cut_off=True).right is False  # it may have been 12
        assert rule.check("Answer: 1", ["1"]).right is True


def _asked(server: ChatServer, answer: str) -> Grade:
    async def ask() -> Grade:
        client = OpenAICompatible(server.base_url, "m")
        try:
            return await LLMGrader(client).grade(f"Answer: {answer}", ["Paris"], question="Which city?")
        finally:
            await client.aclose()

    return asyncio.run(ask())

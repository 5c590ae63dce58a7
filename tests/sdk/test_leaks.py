"""The leak guard: what counts as an answer given away, and what becomes of it."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reagent_sdk import Budget, CritiqueLoop, JudgeSettings, ModelJudge, Policy, Task, Trajectory, VerdictStatus
from reagent_sdk.errors import ModelUnavailable
from reagent_sdk.judges.base import heard
from reagent_sdk.leaks import REDACTED, leaked_answers, redact, stated_answers
from reagent_sdk.messages import Message, ToolCall
from reagent_sdk.number_words import worth_of
from reagent_sdk.testing import ScriptedAgent, ScriptedJudge

from .strategies import hostile_text
from .test_model_judge import Client

TASK = Task(question="How many apples are 3 boxes of 12 apples?")
WORK = Trajectory(
    messages=(
        Message(role="assistant", content=None, tool_calls=(ToolCall.make("python", {"code": "print(3 * 11.5)"}),)),
        Message(role="tool", content="34.5"),
    ),
    answer="It is 35.",
)


@pytest.mark.parametrize(
    ("critique", "leak"),
    [
        ("The correct answer is 36.", "36"),
        ("The answer should be **36**", "**36**"),
        ("3*12 = 36, so fix it.", "36"),
        ("Instead, it is 1,036.50", "1,036.50"),
        ("use 36 rather than 35", "36"),
        (r"End with \boxed{36}", r"\boxed{36}"),
        ("36 is the correct final answer", "36"),
        ('Answer with "Paris"', '"Paris"'),
        ("It should be Marion, South Australia.", "Marion, South Australia."),
        ("The answer is John of Gaunt.", "John of Gaunt."),
        ("The answer is yes", "yes"),
        ("The result equals 3/4", "3/4"),
        ("The total is: $36", "$36"),
        ("The answer is thirty-six.", "thirty-six"),
        ("It should be one thousand and four", "one thousand and four"),
    ],
)
def test_an_answer_that_the_work_does_not_hold_is_found_and_redacted(critique: str, leak: str) -> None:
    assert leaked_answers(critique, TASK, WORK) == (leak,)
    cleaned = redact(critique, [leak])
    assert REDACTED in cleaned
    assert leak not in cleaned
    assert leaked_answers(cleaned, TASK, WORK) == ()


@pytest.mark.parametrize(
    "critique",
    [
        "The answer is wrong; recompute the product.",
        "The final answer is incorrect. Verify step 2.",
        "The answer is not verified.",
        "The answer is no longer supported by the tool's result.",
        "The answer is: Search again",
        "The result should be checked with python.",
        "Python is the right tool for this.",
        "You wrote 35; check the product.",
        "The answer is 35, which contradicts the tool.",
        "The tool's result is 34.50 and you rounded it.",
        "The code says print(3 * 11.5) = 34.5 but boxes hold 12.",
        "The number is 12.",
        "The number is twelve.",
        "The answer is thirty-five, which is wrong.",
        "The answer is one of several.",
        "The result is one that nobody checked.",
        "",
        "Do not trust the first result, check it.",
        "The unit is missing. Does not follow from step [2]. Should not be rounded.",
    ],
)
def test_naming_the_flaw_or_what_the_work_itself_says_is_no_leak(critique: str) -> None:
    assert leaked_answers(critique, TASK, WORK) == ()


def test_yes_and_no_are_held_against_the_answer_alone() -> None:
    said_no = WORK.model_copy(update={"answer": "No."})
    asked = Task(question="Is there no answer but yes?")
    assert leaked_answers("The answer is yes.", asked, said_no) == ("yes",)
    assert leaked_answers("The answer is no.", asked, said_no) == ()


@given(st.integers(0, 10**9))
def test_numbers_are_compared_by_value(number: int) -> None:
    work = Trajectory(answer=f"{number:,}.0")
    task = Task(question="What?")
    assert leaked_answers(f"The answer is {number}.", task, work) == ()
    assert leaked_answers(f"The answer is {number + 1}.", task, work) == (f"{number + 1}",)


@given(st.integers(0, 999_999_999))
def test_numbers_in_words_are_worth_what_they_say(number: int) -> None:
    assert worth_of(spelled(number)) == number
    assert worth_of(f"{spelled(number)} apples") is None


def spelled(number: int) -> str:
    """A number in words, by the rules of the schoolbook."""
    ones = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    ones += ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
    tens = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
    if number < 20:
        return ones[number]
    if number < 100:
        return tens[number // 10] + (f"-{ones[number % 10]}" if number % 10 else "")
    for size, name in ((10**6, "million"), (10**3, "thousand"), (100, "hundred")):
        if number >= size:
            rest = number % size
            return f"{spelled(number // size)} {name}" + (f" and {spelled(rest)}" if rest else "")
    raise AssertionError


@given(hostile_text)
def test_no_text_of_any_kind_raises_and_redaction_removes_what_was_found(text: str) -> None:
    leaks = leaked_answers(text, TASK, WORK)
    assert set(leaks) <= set(stated_answers(text))
    redact(text, leaks)


@pytest.mark.parametrize(
    "piece",
    [
        "A",
        "one ",
        "two-",
        "A ",
        "=",
        "answer is ",
        "1",
        "1,",
        "'",
        "**",
        "$",
        "A, ",
        "instead ",
        " ",
        "\\boxed{",
        "answer is A of the ",
    ],
)
def test_a_hostile_critique_costs_no_time(piece: str) -> None:
    began = time.process_time()
    leaked_answers("answer is " + piece * (20_000 // len(piece)), TASK, WORK)
    assert time.process_time() - began < 2.0


def said(critique: str, score: float = 0.4) -> str:
    return f"<analysis>checked</analysis>\n<critique>{critique}</critique>\n<score>{score}</score>"


def test_a_model_judge_writes_a_leaking_critique_anew_and_its_score_stands() -> None:
    client = Client(said("The answer is 36.", 0.4), said("Recompute the product.", 0.9))
    verdict = asyncio.run(ModelJudge(client, secret=b"k").judge(TASK, WORK))
    assert (verdict.score, verdict.critique, verdict.leaks) == (0.4, "Recompute the product.", ())
    assert (verdict.asks, verdict.usage.calls) == (2, 2)
    assert "states an answer" in client.asked[1][0][-1].text


@pytest.mark.parametrize("second", ["nonsense", ModelUnavailable("gone")])
def test_a_failed_rewriting_never_costs_the_score(second: str | Exception) -> None:
    client = Client(said("The answer is 36."), second)
    verdict = asyncio.run(ModelJudge(client, secret=b"k").judge(TASK, WORK))
    assert (verdict.status, verdict.score, verdict.leaks) == (VerdictStatus.SCORED, 0.4, ("36",))


def test_a_budget_that_ends_before_the_rewriting_never_costs_the_score() -> None:
    judge = ModelJudge(Client(said("The answer is 36.")), secret=b"k")
    run = asyncio.run(CritiqueLoop(TASK, ScriptedAgent(["35"]), judge, budget=Budget(calls=2)).run())
    assert run.score == 0.4
    assert run.attempts[0].verdict is not None
    assert run.attempts[0].verdict.leaks == ("36",)


def test_flagging_alone_asks_once() -> None:
    client = Client(said("The answer is 36."))
    verdict = asyncio.run(ModelJudge(client, JudgeSettings(on_leak="flag"), secret=b"k").judge(TASK, WORK))
    assert (verdict.asks, verdict.leaks, verdict.critique) == (1, ("36",), "The answer is 36.")


@pytest.mark.parametrize(("on_leak", "read"), [("redact", f"The answer is {REDACTED}."), ("keep", "The answer is 36.")])
def test_the_policy_decides_what_the_agent_reads(on_leak: str, read: str) -> None:
    agent = ScriptedAgent(["35", "37"])
    judge = ScriptedJudge([(0.2, "The answer is 36."), (0.9, "")])
    run = asyncio.run(CritiqueLoop(TASK, agent, judge, policy=Policy(on_leak=on_leak)).run())  # type: ignore[arg-type]
    feedback = agent.seen[1][1]
    assert feedback is not None
    assert feedback.critique == read
    assert run.attempts[0].verdict is not None
    assert run.attempts[0].verdict.leaks == ("36",)


def test_every_judge_is_guarded() -> None:
    verdict = asyncio.run(heard(ScriptedJudge([(0.2, "It should be 36.")]), TASK, WORK, redacted=True))
    assert (verdict.critique, verdict.leaks) == (f"It should be {REDACTED}.", ("36",))

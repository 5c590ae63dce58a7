from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reagent_sdk.clients.base import Completion, Sampling
from reagent_sdk.grading import DIGITS, Alternatives, alternatives_from, digit_of, expected_score, two_hot
from reagent_sdk.judges.model import JudgeSettings, ModelJudge
from reagent_sdk.messages import assistant
from reagent_sdk.prompts import GRADED_GRAMMAR, judge_prompt
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict

scores = st.floats(0, 1)


@given(scores)
def test_two_hot_targets_have_the_score_as_their_mean(score: float) -> None:
    target = two_hot(score)
    assert sum(target) == pytest.approx(1)
    assert sum(digit * share for digit, share in enumerate(target)) / 9 == pytest.approx(score)
    assert sum(share > 0 for share in target) <= 2
    assert max(range(10), key=target.__getitem__) in {digit_of(score), digit_of(score) - 1, digit_of(score) + 1}


@given(st.lists(st.floats(0.001, 1), min_size=10, max_size=10))
def test_the_expected_score_is_the_mean_over_nine_whatever_the_blanks(weights: list[float]) -> None:
    shares = [weight / sum(weights) for weight in weights]
    mean = sum(digit * share for digit, share in enumerate(shares)) / 9
    for blank, opening in (("", ["<analysis>\n", "Grade:", " "]), (" ", ["<analysis>", "\n", "Gra", "de:"])):
        top = {f"{blank}{digit}": math.log(share) for digit, share in zip(DIGITS, shares, strict=True)}
        tokens = [Alternatives(text, {}) for text in opening] + [Alternatives(f"{blank}3", top)]
        assert expected_score("Grade: ", tokens) == pytest.approx(mean)


def test_no_grade_is_no_score() -> None:
    sure = {"7": math.log(0.9)}
    assert expected_score("Grade: ", []) is None
    assert expected_score("Grade: ", [Alternatives("7", sure)]) is None, "a digit before the mark"
    assert expected_score("Grade: ", [Alternatives("Grade:", {}), Alternatives(" seven", sure)]) is None
    doubtful = {"7": math.log(0.2), "x": math.log(0.8)}
    assert expected_score("Grade: ", [Alternatives("Grade:", {}), Alternatives("7", doubtful)]) is None


@given(
    st.recursive(
        st.none() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["content", "token", "top_logprobs", "logprob"]), inner)
        ),
        max_leaves=12,
    )
)
def test_malformed_logprobs_never_raise(given: object) -> None:
    for one in alternatives_from(given):
        assert all(math.isfinite(value) for value in one.top.values())


class _Client:
    """Answers with a fixed graded verdict, and keeps what it was asked."""

    name = "fixed"

    def __init__(self, text: str, alternatives: tuple[Alternatives, ...]) -> None:
        self.reply = Completion(message=assistant(text), alternatives=alternatives)
        self.asked: list[Sampling] = []

    async def complete(self, messages: object, sampling: Sampling) -> Completion:
        self.asked.append(sampling)
        return self.reply

    async def aclose(self) -> None:
        """Nothing to free."""


@pytest.mark.anyio
async def test_a_graded_judge_scores_by_its_probabilities_and_keeps_the_number_it_wrote() -> None:
    text = judge_prompt("rrm-2").target(Verdict.of(0.8, "Check the sum again.", analysis="One step, no call."))
    assert text.startswith("<analysis>\nGrade: 7\n")
    grade = {"7": math.log(0.6), "2": math.log(0.4)}
    client = _Client(text, (Alternatives("<analysis>\nGrade: ", {}), Alternatives("7", grade)))
    judge = ModelJudge(client, JudgeSettings(prompt_version="rrm-2"))
    verdict = await judge.judge(Task.of("q"), Trajectory(answer="a"))
    assert verdict.score == pytest.approx((0.6 * 7 + 0.4 * 2) / 9, abs=1e-4)
    assert verdict.said_score == 0.8
    assert (client.asked[0].grammar, client.asked[0].top_logprobs) == (GRADED_GRAMMAR, 20)
    told = await ModelJudge(_Client(text, ()), JudgeSettings(prompt_version="rrm-2")).judge(
        Task.of("q"), Trajectory(answer="a")
    )
    assert (told.score, told.said_score) == (0.8, None), "a server without log-probabilities: the number as written"

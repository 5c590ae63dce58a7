from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given

from reagent_sdk import Budget, BudgetExceeded, InvalidInput, JudgeSettings, ModelJudge, Task, Trajectory, VerdictStatus
from reagent_sdk.budget import Meter
from reagent_sdk.clients.base import ChatClient, Completion, MeteredCall, Sampling
from reagent_sdk.errors import BadReply, ContextOverflow, ModelUnavailable
from reagent_sdk.judges.base import Judge
from reagent_sdk.messages import Message
from reagent_sdk.scope import Scope, entered
from reagent_sdk.usage import Usage
from reagent_sdk.verdict import Verdict

from .strategies import hostile_text

GOOD = "<analysis>checked</analysis>\n<critique>verify</critique>\n<score>0.7</score>"
TASK = Task(question="What is 2 + 2?")
WORK = Trajectory(messages=(Message(role="assistant", content="4"),), answer="4")
SPENT = Usage(prompt_tokens=10, completion_tokens=5, cached_tokens=4)


class Client:
    """A chat client that replies from a list; the last reply repeats."""

    name = "fake"

    def __init__(self, *replies: Completion | str | Exception) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[list[Message], Sampling]] = []

    async def complete(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        async with MeteredCall() as call:
            call.used(SPENT)
            self.asked.append((list(messages), sampling))
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            if isinstance(reply, Exception):
                raise reply
            if isinstance(reply, str):
                reply = Completion(message=Message(role="assistant", content=reply))
            return reply.model_copy(update={"usage": call.usage})

    async def aclose(self) -> None: ...


def cut(text: str) -> Completion:
    return Completion(message=Message(role="assistant", content=text), finish_reason="length")


def verdict_of(*replies: Completion | str | Exception, **settings: Any) -> tuple[Verdict, Client]:
    client = Client(*replies)
    judge = ModelJudge(client, JudgeSettings(**settings) if settings else None, secret=b"k")
    assert isinstance(client, ChatClient)
    assert isinstance(judge, Judge)
    return asyncio.run(judge.judge(TASK, WORK)), client


def test_a_verdict_names_its_judge_prompt_and_usage() -> None:
    verdict, client = verdict_of(GOOD)
    assert (verdict.status, verdict.score, verdict.critique) == (VerdictStatus.SCORED, 0.7, "verify")
    assert (verdict.judge, verdict.prompt_version, verdict.asks, verdict.omitted_chars) == ("fake", "rrm-1", 1, 0)
    assert (verdict.usage.calls, verdict.usage.known_tokens, verdict.usage.cached_tokens) == (1, 15, 4)
    messages, sampling = client.asked[0]
    assert "What is 2 + 2?" in messages[-1].text
    assert sampling.grammar is not None


# Identical retries at temperature 0 gave the same failure in the published code.
def test_defect_retries_were_identical() -> None:
    verdict, client = verdict_of("no blocks at all", GOOD)
    assert (verdict.score, verdict.asks, verdict.usage.calls) == (0.7, 2, 2)
    (first, cold), (second, warm) = client.asked
    assert cold.temperature == 0.0
    assert warm.temperature
    assert warm.seed != cold.seed
    assert second[: len(first)] == first
    assert second[-2].text == "no blocks at all"
    assert "<analysis>" in second[-1].text


def test_two_unreadable_replies_are_unparseable_with_the_reason_and_the_text() -> None:
    verdict, client = verdict_of(GOOD.replace("0.7", "8/10"))
    assert (verdict.status, verdict.score, len(client.asked)) == (VerdictStatus.UNPARSEABLE, None, 2)
    assert "8/10" in verdict.reason
    assert verdict.raw


def test_a_cut_off_reply_is_asked_again_with_more_room() -> None:
    verdict, client = verdict_of(cut("<analysis>long"), GOOD)
    assert verdict.scored
    (first, little), (second, more) = client.asked
    assert first == second
    assert more.max_tokens == 2 * (little.max_tokens or 0)
    verdict, _ = verdict_of(cut("<analysis>long"))
    assert verdict.status is VerdictStatus.TRUNCATED


def test_a_record_that_overflows_the_window_is_cut_and_the_cut_is_counted() -> None:
    long = Trajectory(messages=(Message(role="tool", content="x" * 50_000),), answer="4")
    client = Client(ContextOverflow("too long"), ContextOverflow("still"), GOOD)
    verdict = asyncio.run(ModelJudge(client, secret=b"k").judge(TASK, long))
    assert verdict.scored
    assert verdict.omitted_chars > 30_000
    sizes = [len(messages[-1].text) for messages, _ in client.asked]
    assert sizes[0] > sizes[1] > sizes[2]
    verdict, client = verdict_of(ContextOverflow("never fits"))
    assert verdict.status is VerdictStatus.UNAVAILABLE
    assert len(client.asked) < 10


@pytest.mark.parametrize("error", [ModelUnavailable("refused"), BadReply("not JSON")])
def test_a_failing_model_is_an_unavailable_judge(error: Exception) -> None:
    verdict, _ = verdict_of(error)
    assert (verdict.status, verdict.score) == (VerdictStatus.UNAVAILABLE, None)
    assert str(error) in verdict.reason


def test_the_budget_is_checked_before_each_ask() -> None:
    client = Client("unreadable")
    meter = Meter(Budget(calls=1))

    async def judged() -> None:
        with entered(Scope(meter)):
            await ModelJudge(client).judge(TASK, WORK)

    with pytest.raises(BudgetExceeded):
        asyncio.run(judged())
    assert len(client.asked) == meter.usage.calls == 1


def test_reasoning_in_its_own_field_is_read() -> None:
    message = Message.model_validate(
        {"role": "assistant", "content": GOOD.split("</analysis>\n")[1], "reasoning_content": "deep"}
    )
    verdict, _ = verdict_of(Completion(message=message))
    assert (verdict.score, verdict.analysis) == (0.7, "deep")


@given(hostile_text)
def test_no_reply_of_any_kind_raises(text: str) -> None:
    verdict, _ = verdict_of(text)
    assert verdict.scored or verdict.reason


def test_the_frame_code_never_leaves_with_the_critique() -> None:
    _, client = verdict_of(GOOD)
    code = client.asked[0][0][-1].text.split("[record ")[1].split()[0]
    verdict, _ = verdict_of(GOOD.replace("verify", f"the code is {code}"))
    assert code not in verdict.critique


def test_an_unknown_prompt_version_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"prompt version 'rrm-99' is unknown.*upgrade"):
        ModelJudge(Client(GOOD), JudgeSettings(prompt_version="rrm-99"))


def test_rounds_of_one_task_share_their_prompt_up_to_the_work() -> None:
    client = Client(GOOD)
    judge = ModelJudge(client)
    other = Trajectory(messages=(Message(role="assistant", content="5"),), answer="5")
    asyncio.run(judge.judge(TASK, WORK))
    asyncio.run(judge.judge(TASK, other))
    one, two = (messages[-1].text for messages, _ in client.asked)
    shared = next(i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b)
    assert "What is 2 + 2?" in one[:shared]

"""The parts of the proxy that need no server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reagent_adapters.proxy.assemble import Assembly
from reagent_adapters.proxy.chunks import chunks_of
from reagent_adapters.proxy.patience import PatientJudge
from reagent_adapters.proxy.report import summed
from reagent_adapters.proxy.rules import read_wish, split_model
from reagent_adapters.proxy.turn import Unreadable, read_turn

from reagent_sdk import Task
from reagent_sdk.marks import marks_for
from reagent_sdk.policy import Policy
from reagent_sdk.serving.answers import Refused
from reagent_sdk.testing import ScriptedJudge
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import VerdictStatus

WORK = Trajectory.from_openai([{"role": "assistant", "content": "three"}])


@pytest.mark.parametrize(
    ("name", "model", "wish"),
    [
        ("gpt-4o", "gpt-4o", {}),
        ("llama3:8b", "llama3:8b", {}),
        ("ft:gpt-4o:org::id", "ft:gpt-4o:org::id", {}),
        ("org/name:latest", "org/name:latest", {}),
        ("gpt-4o:critique", "gpt-4o", {"mode": "critique"}),
        ("llama3:8b:bare", "llama3:8b", {"mode": "bare"}),
        ("gpt-4o:rounds=2,accept=0.8,keep=last", "gpt-4o", {"rounds": 2, "accept": 0.8, "keep": "last"}),
        ("gpt-4o:drafts", "gpt-4o", {"stream": "drafts"}),
        ("m:floor=none", "m", {"floor": None}),
    ],
)
def test_a_suffix_is_told_from_a_name(name: str, model: str, wish: dict[str, Any]) -> None:
    assert split_model(name) == (model, wish)


@given(st.text(max_size=60))
def test_any_text_is_a_wish_or_refused(text: str) -> None:
    try:
        wish = read_wish(text, "X-Reagent-Policy")
    except Refused:
        return
    assert all(isinstance(name, str) and name for name in wish)


_TEXT = st.text(max_size=900)
_CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.text("abc", min_size=1),
            "type": st.just("function"),
            "function": st.fixed_dictionaries({"name": st.text("fgh", min_size=1), "arguments": st.text(max_size=30)}),
        }
    ),
    max_size=3,
)


@given(_TEXT, _CALLS, st.one_of(st.none(), _TEXT))
def test_a_reply_in_chunks_put_together_is_the_reply(text: str, calls: list[Any], reasoning: str | None) -> None:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = calls
    if reasoning is not None:
        message["reasoning_content"] = reasoning
    reply = {
        "id": "c",
        "created": 1,
        "model": "m",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    written = Assembly()
    pieces = [written.add(chunk) for chunk in chunks_of(reply, 0)]
    assert "".join(pieces) == text
    assert written.completion() == reply


def test_servers_that_repeat_names_do_not_double_them() -> None:
    written = Assembly()
    for arguments in ("{", "}"):
        part = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
        written.add({"choices": [{"delta": {"role": "assistant", "tool_calls": [part]}}]})
    message = written.completion()["choices"][0]["message"]
    assert message["role"] == "assistant"
    assert message["tool_calls"] == [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
    ]


def test_usages_are_added_field_by_field() -> None:
    details = {"cached_tokens": 4, "audio_tokens": None}
    one = {"prompt_tokens": 5, "total_tokens": 6, "prompt_tokens_details": details}
    two = {"prompt_tokens": 1, "total_tokens": 2, "prompt_tokens_details": None, "tier": "x"}
    assert summed([two, one, None, one]) == {
        "prompt_tokens": 11,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": None},
        "tier": "x",
    }
    assert summed([None]) is None


def test_a_turn_begins_after_the_users_last_message() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    earlier = [{"role": "user", "content": "first"}, {"role": "assistant", "content": "one"}]
    asked = {"role": "user", "content": "second"}
    work = [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "3"}]
    turn = read_turn([*earlier, asked, *work])
    assert turn.task.question == "second"
    assert [message.text for message in turn.task.history] == ["first", "one"]
    reply = {"choices": [{"message": {"content": "done"}, "finish_reason": "length"}]}
    trajectory = turn.trajectory(reply)
    assert [message.role for message in trajectory.messages] == ["assistant", "tool", "assistant"]
    assert (trajectory.answer, trajectory.stop.value) == ("done", "truncated")
    with pytest.raises(Unreadable, match="message 0"):
        read_turn(["hello"])


def ask(judge: PatientJudge) -> VerdictStatus:
    return asyncio.run(judge.judge(Task(question="q"), WORK)).status


def test_a_judge_that_keeps_failing_is_left_alone_and_tried_again() -> None:
    now = 0.0
    inner = ScriptedJudge([VerdictStatus.UNAVAILABLE] * 4 + [0.7])
    judge = PatientJudge(inner, failures=3, rest=10, clock=lambda: now)
    assert [ask(judge) for _ in range(6)] == [VerdictStatus.UNAVAILABLE] * 6
    assert len(inner.seen) == 3
    now = 11.0
    assert ask(judge) is VerdictStatus.UNAVAILABLE
    assert len(inner.seen) == 4
    assert judge.resting
    now = 22.0
    assert ask(judge) is VerdictStatus.SCORED
    assert not judge.resting


def test_a_judge_that_came_back_is_asked_at_once() -> None:
    inner = ScriptedJudge([0.7])
    judge = PatientJudge(inner)
    judge.known_down = True
    assert ask(judge) is VerdictStatus.UNAVAILABLE
    assert inner.seen == []
    judge.found_up()
    assert ask(judge) is VerdictStatus.SCORED


def test_a_patient_judge_has_the_gate_of_the_judge() -> None:
    judge = PatientJudge(ScriptedJudge([0.7], name="inner", gate=0.6))
    assert marks_for(Policy(), judge).accept == 0.6
    verdict = asyncio.run(judge.judge(Task(question="q"), WORK))
    assert marks_for(Policy(), judge, verdict).accept == 0.6
    assert verdict.judge == "inner"

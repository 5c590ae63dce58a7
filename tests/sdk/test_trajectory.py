from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reagent_sdk import InvalidInput, Message, Run, StopReason, Task, ToolCall, Trajectory
from reagent_sdk.run import Attempt

from .strategies import chat_messages

PARALLEL = [
    {
        "role": "user",
        "content": [{"type": "text", "text": "Compare"}, {"type": "image_url", "image_url": {"url": "x"}}],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "search", "arguments": '{"q": "one"}'}, "index": 0},
            {"id": "b", "type": "function", "function": {"name": "search", "arguments": "{not json"}, "index": 1},
        ],
        "refusal": None,
    },
    {"role": "tool", "tool_call_id": "b", "content": "second"},
    {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "first"}]},
    {"role": "assistant", "content": "Both.", "reasoning_content": "hm", "annotations": []},
]


def test_parallel_calls_ids_parts_and_unknown_keys_survive() -> None:
    trajectory = Trajectory.from_openai(PARALLEL)
    assert trajectory.to_openai() == PARALLEL
    assert trajectory.answer == "Both."
    calls = trajectory.messages[1].tool_calls
    assert calls is not None
    assert [call.id for call in calls] == ["a", "b"]
    assert calls[1].arguments_text == "{not json"


@given(st.lists(chat_messages(), min_size=1, max_size=5))
def test_any_conversation_round_trips_losslessly(messages: list[dict[str, Any]]) -> None:
    trajectory = Trajectory.from_openai(messages, answer="x")
    assert trajectory.to_openai() == messages
    run = Run(task=Task(question="q"), attempts=(Attempt(index=0, trajectory=trajectory),), stop=StopReason.ROUNDS)
    again = Run.model_validate_json(run.model_dump_json())
    assert again.attempts[0].trajectory.to_openai() == messages
    assert again == run


def test_real_tool_trajectories_round_trip(shared_data: Path) -> None:
    path = shared_data / "agentprocessbench" / "hotpotqa_trajectories.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(rows) > 100
    for row in rows:
        assert Trajectory.from_openai(row["messages"], answer=row["answer_text"] or "").to_openai() == row["messages"]


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([], "at least one message"),
        ([{"content": "no role"}], "message 0 .*role"),
        ([{"role": "user", "content": "q"}], "no answer"),
        ([{"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": [{"id": 3}]}], "message 1"),
        (["text"], "message 0"),
    ],
)
def test_bad_messages_name_their_position(messages: list[Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        Trajectory.from_openai(messages)


def test_types_are_immutable() -> None:
    message = Message(role="user", content="q")
    with pytest.raises(ValueError, match="frozen"):
        message.role = "system"
    with pytest.raises(ValueError, match="frozen"):
        Task(question="q").question = "other"


def test_same_work_ignores_usage_and_white_space_but_not_tool_calls() -> None:
    one = Trajectory(messages=(Message(role="assistant", content="A "),), answer="A")
    assert one.same_work(Trajectory(messages=(Message(role="assistant", content="A"),), answer=" A"))
    called = Message(role="assistant", content="A", tool_calls=(ToolCall.make("search", {"q": "x"}),))
    assert not one.same_work(Trajectory(messages=(called,), answer="A"))


@pytest.mark.parametrize("bad", ["", "  \n", [], [{"role": "user", "content": ""}], 7, None, b"bytes"])
def test_a_task_needs_a_question(bad: Any) -> None:
    with pytest.raises(InvalidInput, match=r"task|empty|question"):
        Task.of(bad)


def test_a_conversation_keeps_its_history_and_its_last_message() -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "u"}}]
    given_messages = [{"role": "system", "content": "s"}, {"role": "user", "content": parts}]
    task = Task.of(given_messages)
    assert task.question == "What is this?\n[image_url]"
    assert [message.to_openai() for message in task.messages] == given_messages
    assert not task.given_as_text

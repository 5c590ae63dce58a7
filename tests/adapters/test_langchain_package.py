"""What both LangChain adapters share: messages, versions, the page, and one run each on a real model."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain")

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from reagent_adapters import versions
from reagent_adapters.langchain import CritiqueMiddleware, CritiqueRunnable
from reagent_adapters.langchain.messages import answer_of, asked_in, stop_of, to_chat, usage_of_all
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser

from reagent_sdk import Policy
from reagent_sdk.errors import MissingExtra
from reagent_sdk.events import Event, RunFinished
from reagent_sdk.testing import ChatServer, ScriptedJudge
from reagent_sdk.trajectory import AgentStop

from .real_model import KEY, MODEL, model_url  # noqa: F401 - a fixture


def test_tool_calls_reasoning_and_broken_calls_stay_in_the_chat_format() -> None:
    thought: list[str | dict[str, Any]] = [
        {"type": "reasoning", "reasoning": "add them"},
        {"type": "text", "text": "I add"},
    ]
    call = {"name": "add", "args": {"a": 1}, "id": "c1"}
    bad = {"name": "add", "args": '{"a": ', "id": "c2", "error": "cut off"}
    chat = to_chat(
        [
            HumanMessage("1 + 2?"),
            AIMessage(thought, tool_calls=[call], invalid_tool_calls=[bad]),  # type: ignore[list-item]
            ToolMessage("3", tool_call_id="c1", name="add"),
            AIMessage("three", additional_kwargs={"reasoning_content": "so it is"}),
        ]
    )
    assert [message.role for message in chat] == ["user", "assistant", "tool", "assistant"]
    assert (chat[1].reasoning, chat[1].text) == ("add them", "I add")
    assert chat[1].tool_calls is not None
    assert [(c.id, c.arguments_text) for c in chat[1].tool_calls] == [("c1", '{"a": 1}'), ("c2", '{"a": ')]
    assert (chat[2].tool_call_id, chat[2].text) == ("c1", "3")
    assert (chat[3].reasoning, chat[3].text) == ("so it is", "three")


def test_images_and_system_messages_belong_to_the_task() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    conversation = [
        SystemMessage("be brief"),
        HumanMessage([{"type": "text", "text": "what is this?"}, image]),
        AIMessage("a cat"),
    ]
    task, index = asked_in(conversation)
    assert (index, task.history[0].text) == (1, "be brief")
    assert task.last is not None
    assert task.last.to_openai()["content"][1] == image


def test_usage_answers_and_cut_off_work() -> None:
    told = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10, "input_token_details": {"cache_read": 2}}
    known, unknown = AIMessage("a", usage_metadata=told), AIMessage("b")  # type: ignore[arg-type]
    usage = usage_of_all([known, ToolMessage("x", tool_call_id="c"), unknown])
    assert (usage.calls, usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) == (2, 7, 3, 2)
    assert (usage.unmetered_calls, usage.unpriced_calls) == (1, 2)
    assert answer_of([ToolMessage("the result", tool_call_id="c")]) == "the result"
    for metadata in ({"finish_reason": "length"}, {"stop_reason": "max_tokens"}, {"done_reason": "length"}):
        assert stop_of([AIMessage("a", response_metadata=metadata)]) is AgentStop.TRUNCATED
    assert stop_of([AIMessage("a", response_metadata={"finish_reason": "stop"})]) is AgentStop.COMPLETED


@pytest.mark.parametrize("package", ["langchain", "langchain-core", "langgraph"])
def test_another_version_is_refused_by_name(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["reagent_adapters.langchain"]
    real = versions.version
    versions.require.cache_clear()
    monkeypatch.setattr(versions, "version", lambda name: "99.0" if name == package else real(name))
    with pytest.raises(versions.UnsupportedVersion, match=rf"{package} 99\.0 is installed"):
        importlib.reload(module)

    def absent(name: str) -> str:
        raise versions.PackageNotFoundError(name)

    monkeypatch.setattr(versions, "version", absent)
    with pytest.raises(MissingExtra, match=r"reagent-sdk\[langchain\]"):
        importlib.reload(module)
    versions.require.cache_clear()


def test_the_examples_of_the_page_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("langchain_openai")
    verdict = "<analysis>\nLooked at it.\n</analysis>\n<critique>\nFine.\n</critique>\n<score>0.9</score>"

    def answer(body: dict[str, Any]) -> str:
        return verdict if "strict reviewer" in str(body["messages"]) else "3.60 euros"

    page = Document.parse(str(Path(__file__).parents[2] / "docs/adapters/langchain.md"), PythonCodeBlockParser())
    with ChatServer(answer) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("OPENAI_API_BASE", server.base_url)
        monkeypatch.setenv("REAGENT_JUDGE", server.base_url)
        for example in page.examples():
            example.evaluate()
    printed = capsys.readouterr().out
    assert printed.startswith("3.60 euros\nReturned attempt")
    assert printed.endswith("3.60 euros")


def real_chat_model(url: str) -> Any:
    openai = pytest.importorskip("langchain_openai")
    return openai.ChatOpenAI(
        model=MODEL, base_url=url, api_key=KEY, max_tokens=24, temperature=0, timeout=240, stream_usage=True
    )


@pytest.mark.real_model
def test_a_real_model_behind_a_real_server(model_url: str) -> None:  # noqa: F811
    from langchain.agents import create_agent

    events: list[Event] = []
    settings: dict[str, Any] = {"policy": Policy(rounds=1), "observe": events.append}
    ours = CritiqueMiddleware(ScriptedJudge([(0.3, "Name the colour alone."), 0.8]), **settings)
    agent = create_agent(real_chat_model(model_url), [], system_prompt="Answer in one sentence.", middleware=[ours])
    answer = agent.invoke({"messages": [("user", "What colour is the sky?")]})
    solver = CritiqueRunnable(
        real_chat_model(model_url), ScriptedJudge([(0.3, "Name the colour alone."), 0.8]), **settings
    )
    chunks = list(solver.stream("What colour is the sky?"))
    runs = [event.run for event in events if isinstance(event, RunFinished)]
    assert answer["messages"][-1].content == runs[0].attempts[1].answer
    assert len(answer["messages"]) == 2
    assert "".join(str(chunk.content) for chunk in chunks) == runs[1].attempts[1].answer
    assert len(chunks) > 2
    for run in runs:
        assert run.chosen == 1
        assert run.usage.prompt_tokens > 60
        assert run.usage.unmetered_calls == 2  # the judge's; the server told all tokens of the model's

"""Responses requests as chats, and completions as responses that OpenAI's own types take."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reagent_adapters.proxy.responses import from_chat, to_chat

from reagent_sdk.serving.answers import Refused

Json = dict[str, Any]

responses = pytest.importorskip("openai.types.responses")


def chat(input: Any = "hi", **more: Any) -> Json:
    return to_chat({"model": "m", "input": input, **more})


def valid(response: Json) -> Any:
    """The response as OpenAI's client would have it, if it holds to the format in every field."""
    return responses.Response.model_validate(json.loads(json.dumps(response)), strict=True)


def completion(message: Json | None = None, finish: str = "stop", **more: Any) -> Json:
    message = {"role": "assistant", "content": "4"} if message is None else message
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "upstream-model",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        **more,
    }


# --- requests ---


def test_a_text_and_instructions() -> None:
    assert chat("What is 2+2?", instructions="Be brief.") == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2+2?"}],
    }


def test_every_form_of_message() -> None:
    given = [
        {"role": "developer", "content": "Be kind."},
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be brief."}]},
        {"role": "user", "content": "one"},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "what is this?"},
                {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            ],
        },
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [
                {"type": "output_text", "text": "a ", "annotations": []},
                {"type": "output_text", "text": "cat"},
            ],
        },
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "assistant", "content": "again"},
    ]
    assert chat(given)["messages"] == [
        {"role": "developer", "content": "Be kind."},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            ],
        },
        {"role": "assistant", "content": "a cat"},
        {"role": "assistant", "content": None, "refusal": "no"},
        {"role": "assistant", "content": "again"},
    ]  # fmt: skip


def call(id: str, name: str = "add", arguments: str = '{"a": 1}') -> Json:
    return {"type": "function_call", "id": f"fc_{id}", "call_id": id, "name": name, "arguments": arguments}


def chat_call(id: str, name: str = "add", arguments: str = '{"a": 1}') -> Json:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(id: str, output: Any = "2") -> Json:
    return {"type": "function_call_output", "call_id": id, "output": output}


def reasoning(text: str) -> Json:
    return {"type": "reasoning", "id": "rs", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


def test_items_of_one_turn_become_one_message() -> None:
    given = [
        {"role": "user", "content": "q"},
        reasoning("I need both."),
        {"role": "assistant", "content": "Let me see."},
        call("a"),
        call("b"),
        result("a"),
        result("b", [{"type": "input_text", "text": "3"}]),
        call("c"),
        reasoning("on the way"),
        {"role": "assistant", "content": "and one more"},
        call("d"),
        result("c", [{"type": "input_text", "text": "x"}, {"type": "input_text", "text": "y"}]),
        result("d"),
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "?"},
        {"role": "assistant", "content": "done"},
    ]
    assert chat(given)["messages"] == [
        {"role": "user", "content": "q"},
        {
            "role": "assistant",
            "content": "Let me see.",
            "reasoning_content": "I need both.",
            "tool_calls": [chat_call("a"), chat_call("b")],
        },
        {"role": "tool", "tool_call_id": "a", "content": "2"},
        {"role": "tool", "tool_call_id": "b", "content": "3"},
        {
            "role": "assistant",
            "content": "and one more",
            "reasoning_content": "on the way",
            "tool_calls": [chat_call("c"), chat_call("d")],
        },
        {
            "role": "tool",
            "tool_call_id": "c",
            "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}],
        },
        {"role": "tool", "tool_call_id": "d", "content": "2"},
        {"role": "assistant", "content": "done"},
    ]


def test_parameters_under_their_names_in_a_chat() -> None:
    got = chat(
        temperature=0.0,
        top_p=0.5,
        max_output_tokens=99,
        reasoning={"effort": "low", "summary": "auto"},
        top_logprobs=3,
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
        text={"verbosity": "low", "format": {"type": "text"}},
        user="u",
        service_tier="flex",
        safety_identifier="s",
        prompt_cache_key="p",
        truncation="auto",
        max_tool_calls=3,
        metadata={"a": "b"},
        store=False,
        parallel_tool_calls=True,
        tool_choice="auto",
        stream=True,
        stream_options={"include_obfuscation": False},
        previous_response_id=None,
        background=False,
        seed=7,
        top_k=5,
        reagent={"rounds": 2},
    )
    del got["messages"]
    assert got == {
        "model": "m",
        "temperature": 0.0,
        "top_p": 0.5,
        "max_completion_tokens": 99,
        "reasoning_effort": "low",
        "logprobs": True,
        "top_logprobs": 3,
        "verbosity": "low",
        "user": "u",
        "service_tier": "flex",
        "safety_identifier": "s",
        "prompt_cache_key": "p",
        "stream": True,
        "stream_options": {"include_usage": True},
        "seed": 7,
        "top_k": 5,
        "reagent": {"rounds": 2},
    }


def test_metadata_goes_on_only_along_with_store() -> None:
    assert chat(store=True, metadata={"a": "b"})["metadata"] == {"a": "b"}
    assert "metadata" not in chat(metadata={"a": "b"})


TOOL = {"type": "function", "name": "add", "description": "adds", "parameters": {"type": "object"}, "strict": True}
OTHER = {"type": "function", "name": "sub", "parameters": None, "strict": None}


def test_tools_and_their_choice() -> None:
    got = chat(tools=[TOOL, OTHER], tool_choice={"type": "function", "name": "sub"}, parallel_tool_calls=False)
    del got["messages"], got["model"]
    assert got == {
        "tools": [
            {
                "type": "function",
                "function": {"name": "add", "description": "adds", "parameters": {"type": "object"}, "strict": True},
            },
            {"type": "function", "function": {"name": "sub"}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "sub"}},
        "parallel_tool_calls": False,
    }
    for choice in ("auto", "none", "required"):
        assert chat(tools=[TOOL], tool_choice=choice)["tool_choice"] == choice
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "sub"}]}
    got = chat(tools=[TOOL, OTHER], tool_choice=allowed)
    assert ([tool["function"]["name"] for tool in got["tools"]], got["tool_choice"]) == (["sub"], "required")
    assert chat(tool_choice="required")["tool_choice"] == "required"  # which the upstream refuses, as it should


def test_the_form_of_the_text() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    form = {"type": "json_schema", "name": "point", "schema": schema, "strict": True, "description": None}
    assert chat(text={"format": form})["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "point", "schema": schema, "strict": True},
    }
    assert chat(text={"format": {"type": "json_object"}})["response_format"] == {"type": "json_object"}
    assert "response_format" not in chat(text={"format": {"type": "text"}})


PART = "input[0].content[0]"
REFUSED: list[tuple[Json, str]] = [
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"conversation": "conv_1"}, "conversation"),
    ({"background": True}, "background"),
    ({"prompt": {"id": "p"}}, "prompt"),
    ({"context_management": [{"type": "compaction"}]}, "context_management"),
    ({"n": 2}, "n"),
    ({"tools": [TOOL, {"type": "web_search"}]}, "tools[1].type"),
    ({"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}, "tools[0].type"),
    ({"tools": [{"type": "computer_use_preview"}]}, "tools[0].type"),
    ({"tools": [{"type": "mcp", "server_label": "s"}]}, "tools[0].type"),
    ({"tools": [{"type": "custom", "name": "c"}]}, "tools[0].type"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ({"tools": "add"}, "tools"),
    ({"tools": ["add"]}, "tools[0]"),
    ({"tool_choice": {"type": "web_search"}}, "tool_choice.type"),
    ({"tool_choice": "any"}, "tool_choice"),
    ({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}]}}, "tool_choice.tools[0]"),
    ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
    ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
    ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
    ({"stream": "yes"}, "stream"),
    ({"instructions": ["x"]}, "instructions"),
    ({"reasoning": "low"}, "reasoning"),
    ({"input": None}, "input"),
    ({"input": []}, "input"),
    ({"input": ["hi"]}, "input[0]"),
    ({"input": [{"role": "user", "content": "q"}, {"type": "item_reference", "id": "x"}]}, "input[1]"),
    ({"input": [{"id": "msg_1"}]}, "input[0]"),
    ({"input": [{"type": "web_search_call", "id": "x"}]}, "input[0].type"),
    ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
    ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": ["x"]}]}, "input[0].content[0]"),
    ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
    ({"input": [{"role": "user", "content": [{"type": "video"}]}]}, "input[0].content[0].type"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, f"{PART}.file_id"),
    ({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "u"}]}]}, f"{PART}.file_url"),
    ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
    ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}]}, "input[0].arguments"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": 5}]}, "input[0].output"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "param"), REFUSED)
def test_what_a_chat_cannot_express_is_refused_by_name(wrong: Json, param: str) -> None:
    with pytest.raises(Refused) as caught:
        to_chat({"model": "m", "input": "hi", **wrong})
    assert (caught.value.status, caught.value.param) == (400, param)
    assert caught.value.message.startswith(param)
    assert caught.value.code in ("unsupported_parameter", "invalid_value")


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    ["input", "tools", "tool_choice", "text", "reasoning", "include", "stream", "instructions", "store", "metadata"]
)
kinds = st.sampled_from(
    ["message", "function_call", "function_call_output", "reasoning", "function", "allowed_tools", "input_image", None]
)
names = st.sampled_from(
    ["role", "content", "call_id", "name", "arguments", "output", "text", "tools", "mode", "image_url", "format"]
)
near_misses = st.builds(lambda kind, rest: {"type": kind, **rest}, kinds, st.dictionaries(names, any_json, max_size=4))


@given(st.dictionaries(fields, any_json | near_misses | st.lists(near_misses, max_size=3), max_size=5))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_sent_is_translated_or_refused(body: Json) -> None:
    try:
        json.dumps(to_chat(body))
    except Refused as refused:
        assert refused.status == 400  # noqa: PT017


# --- answers ---


def test_a_plain_answer() -> None:
    body = {
        "model": "m",
        "input": "q",
        "instructions": "Be brief.",
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 100,
        "metadata": {"a": "b"},
        "tools": [TOOL, {"type": "function", "name": "bare"}],
        "tool_choice": {"type": "function", "name": "add"},
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low"},
        "text": {"verbosity": "low"},
        "user": "u",
    }
    response = valid(from_chat(completion(reagent={"score": 0.9}), body))
    assert response.output_text == "4"
    assert response.id.startswith("resp_")
    assert (response.object, response.status, response.model) == ("response", "completed", "upstream-model")
    assert response.created_at == 1_700_000_000
    assert response.incomplete_details is response.error is None
    assert response.usage.model_dump() == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 10,
    }
    assert response.reagent == {"score": 0.9}
    assert (response.instructions, response.temperature, response.top_p) == ("Be brief.", 0.5, 0.9)
    assert (response.max_output_tokens, response.metadata, response.user) == (100, {"a": "b"}, "u")
    assert [tool.name for tool in response.tools] == ["add", "bare"]
    assert response.tool_choice.name == "add"
    assert response.parallel_tool_calls is False
    assert response.reasoning.effort == response.text.verbosity == "low"
    assert response.store is False  # whatever was asked for


def test_reasoning_text_and_calls_in_this_order() -> None:
    message = {
        "role": "assistant",
        "content": "let me",
        "reasoning_content": "hm",
        "tool_calls": [chat_call("a"), chat_call("b", "sub", "{}")],
    }
    response = valid(from_chat(completion(message, "tool_calls"), {"input": "q"}))
    thought, text, first, second = response.output
    assert (thought.type, thought.content[0].text, thought.summary) == ("reasoning", "hm", [])
    assert (text.type, text.content[0].text, text.status) == ("message", "let me", "completed")
    assert (first.type, first.call_id, first.name, first.arguments) == ("function_call", "a", "add", '{"a": 1}')
    assert (second.call_id, second.name) == ("b", "sub")
    assert response.status == "completed"
    assert len({item.id for item in response.output}) == 4


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_off(finish: str, reason: str) -> None:
    response = valid(from_chat(completion(finish=finish), {"input": "q"}))
    assert (response.status, response.incomplete_details.reason) == ("incomplete", reason)
    assert response.output[-1].status == "incomplete"
    only_thoughts = {"role": "assistant", "content": None, "reasoning": "so far"}
    response = valid(from_chat(completion(only_thoughts, finish), {"input": "q"}))
    assert [item.type for item in response.output] == ["reasoning"]
    assert response.output_text == ""


def test_refusals_citations_and_log_probabilities() -> None:
    refused = valid(from_chat(completion({"role": "assistant", "content": None, "refusal": "no"}), {"input": "q"}))
    assert refused.output[0].content[0].refusal == "no"
    cited = {"title": "t", "url": "https://example.com", "start_index": 0, "end_index": 1}
    message = {"role": "assistant", "content": "4", "annotations": [{"type": "url_citation", "url_citation": cited}]}
    reply = completion(message)
    top = {"token": "é", "logprob": -0.5, "bytes": None}
    reply["choices"][0]["logprobs"] = {"content": [{**top, "top_logprobs": [top]}]}
    part = valid(from_chat(reply, {"input": "q"})).output[0].content[0]
    assert part.annotations[0].url == "https://example.com"
    assert part.logprobs[0].bytes == list("é".encode())
    assert part.logprobs[0].top_logprobs[0].logprob == -0.5


def test_usage_with_details_and_without_any() -> None:
    details = {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    usage = valid(from_chat(completion(usage=details), {"input": "q"})).usage
    assert (usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens) == (5, 2)
    assert usage.total_tokens == 10
    assert valid(from_chat(completion(usage=None), {"input": "q"})).usage is None


def test_a_completion_without_choices_is_the_upstreams_fault() -> None:
    with pytest.raises(Refused, match="no choices") as caught:
        from_chat({"choices": []}, {"input": "q"})
    assert caught.value.status == 502


# --- there and back ---

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
calls = st.lists(st.builds(chat_call, st.uuids().map(str), words, words), min_size=1, max_size=3)


@st.composite
def turns(draw: st.DrawFn) -> list[Json]:
    """What an assistant says in one turn, with the results of its calls."""
    message: Json = {"role": "assistant", "content": draw(st.none() | words)}
    if draw(st.booleans()):
        message["reasoning_content"] = draw(words)
    if message["content"] is None or draw(st.booleans()):
        message["tool_calls"] = draw(calls)
    results = [
        {"role": "tool", "tool_call_id": made["id"], "content": draw(words)} for made in message.get("tool_calls", ())
    ]
    return [message, *results]


@given(st.lists(turns(), max_size=4), words)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_conversation_survives_the_way_through_responses(conversation: list[list[Json]], question: str) -> None:
    items: list[Json] = [{"role": "user", "content": question}]
    expected: list[Json] = [{"role": "user", "content": question}]
    for message, *results in conversation:
        response = from_chat(completion(message), {"input": items})
        items += [item.model_dump(exclude_unset=True) for item in valid(response).output]
        items += [
            {"type": "function_call_output", "call_id": r["tool_call_id"], "output": r["content"]} for r in results
        ]
        items.append({"role": "user", "content": "go on"})
        expected += [message, *results, {"role": "user", "content": "go on"}]
    assert chat(items)["messages"] == expected


def test_translating_loads_neither_litellm_nor_openai() -> None:
    code = "import sys, reagent_adapters.proxy.responses; print([m for m in ('litellm', 'openai') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"

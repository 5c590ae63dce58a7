"""Chunks as events, read by OpenAI's real client from a real HTTP server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reagent_adapters.proxy.responses import as_events, from_chat
from reagent_adapters.proxy.responses_dialect import ResponsesDialect

from reagent_sdk.serving.answers import Refused

openai = pytest.importorskip("openai")
from openai.types.responses import Response, ResponseStreamEvent  # noqa: E402
from pydantic import BaseModel, TypeAdapter  # noqa: E402

Json = dict[str, Any]
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
BODY = {"model": "m", "input": "q", "stream": True}
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def chunk(delta: Json | None = None, finish: str | None = None, *, index: int = 0, **more: Any) -> Json:
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    frame = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "upstream-model"}
    return {**frame, "choices": [choice], **more}


def piece(index: int | None, id: str | None = None, name: str | None = None, arguments: str | None = None) -> Json:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    told = {"index": index, "id": id, "function": function}
    return {key: value for key, value in told.items() if value is not None}


async def stream(*chunks: Json | Exception) -> AsyncIterator[Json]:
    for one in chunks:
        if isinstance(one, Exception):
            raise one
        yield one


def events(*chunks: Json | Exception, body: Json = BODY) -> list[Json]:
    """The events that the chunks make, checked against OpenAI's types; an error that was raised comes last."""

    async def collect() -> list[Json]:
        found = []
        try:
            async for name, data in as_events(stream(*chunks), body):
                assert data["type"] == name
                found.append(json.loads(json.dumps(data)))  # as it is at this moment: later changes must not show
        except Exception as error:
            found.append({"type": "raised", "error": error})
        return found

    told = asyncio.run(collect())
    numbered = [event for event in told if event["type"] != "raised"]
    assert [event["sequence_number"] for event in numbered] == list(range(len(numbered)))
    for event in numbered:
        if event["type"] != "response.reagent":
            EVENT.validate_python(event, strict=True)
    return told


def names(told: list[Json]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in told]


def test_a_text_with_reasoning_before_it() -> None:
    told = events(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "let "}),
        chunk({"reasoning_content": "me"}),
        chunk({"content": "4"}),
        chunk({"content": "2"}),
        chunk({}, "stop", reagent={"score": 0.9}),
        {"choices": [], "usage": USAGE},
    )
    assert names(told) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert (told[0]["response"]["status"], told[0]["response"]["output"]) == ("in_progress", [])
    assert told[2]["item"] | {"id": ""} == {
        "id": "",
        "type": "reasoning",
        "summary": [],
        "content": [],
        "status": "in_progress",
    }
    assert told[3]["part"] == {"type": "reasoning_text", "text": ""}
    assert told[6]["text"] == "let me"
    assert told[10]["part"]["text"] == ""
    assert told[13]["text"] == told[14]["part"]["text"] == "42"
    assert {event["item_id"] for event in told[10:15]} == {told[9]["item"]["id"]}
    assert {event["output_index"] for event in told[9:16]} == {1}
    response = Response.model_validate(told[-1]["response"], strict=True)
    assert response.output_text == "42"
    assert response.usage is not None
    assert response.usage.total_tokens == 10
    assert told[-1]["response"]["reagent"] == {"score": 0.9}
    assert told[-1]["response"]["output"] == [told[8]["item"], told[15]["item"]]


def test_calls_side_by_side() -> None:
    told = events(
        chunk({"content": "hm"}),
        chunk({"tool_calls": [piece(0, "a", "add", "")]}),
        chunk({"tool_calls": [piece(0, arguments='{"x"')]}),
        chunk({"tool_calls": [piece(1, "b", "sub", '{"y": '), piece(0, arguments=": 1}")]}),
        chunk({"tool_calls": [piece(1, arguments="2}")]}),
        chunk({}, "tool_calls"),
    )
    made = [item for item in told[-1]["response"]["output"] if item["type"] == "function_call"]
    assert [(call["call_id"], call["name"], call["arguments"], call["status"]) for call in made] == [
        ("a", "add", '{"x": 1}', "completed"),
        ("b", "sub", '{"y": 2}', "completed"),
    ]
    added = [event for event in told if event["type"] == "response.output_item.added"]
    assert [event["output_index"] for event in added] == [0, 1, 2]
    assert [event["item"].get("arguments") for event in added] == [None, "", ""]
    assert names(told).index("output_item.done") < names(told).index("function_call_arguments.delta")
    done = [event for event in told if event["type"] == "response.function_call_arguments.done"]
    assert [(event["name"], event["arguments"]) for event in done] == [("add", '{"x": 1}'), ("sub", '{"y": 2}')]


def calls_of(*pieces: Json) -> list[tuple[str, str, str]]:
    told = events(*(chunk({"tool_calls": [one]}) for one in pieces), chunk({}, "tool_calls"))
    return [(item["call_id"], item["name"], item["arguments"]) for item in told[-1]["response"]["output"]]


def test_calls_of_servers_that_number_them_badly() -> None:
    same = calls_of(piece(0, "a", "f", "{}"), piece(0, "b", "g", "{"), piece(0, arguments="}"))
    none = calls_of(piece(None, "a", "f", "{}"), piece(None, "b", "g", "{"), piece(None, arguments="}"))
    again = calls_of(piece(0, "a", "f", "{"), piece(0, "a", "f", "}"), piece(1, "b", "g", "{}"))
    late = calls_of(piece(0, "a"), piece(0, arguments="{"), piece(0, name="f", arguments="}"), piece(1, "b", "g", "{}"))
    assert same == none == again == late == [("a", "f", "{}"), ("b", "g", "{}")]
    assert calls_of(piece(0, "a", arguments="{}")) == [("a", "", "{}")]
    (unnamed,) = calls_of(piece(0, None, "f", "{}"))
    assert unnamed[0].startswith("call_")


def test_text_after_calls_is_a_message_of_its_own() -> None:
    told = events(
        chunk({"content": "one"}),
        chunk({"tool_calls": [piece(0, "a", "f", "{}")]}),
        chunk({"content": "two"}),
        chunk({}, "stop"),
    )
    output = told[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "function_call", "message"]
    assert Response.model_validate(told[-1]["response"], strict=True).output_text == "onetwo"


def test_a_refusal_follows_a_text_in_the_same_message() -> None:
    told = events(chunk({"content": "well"}), chunk({"refusal": "n"}), chunk({"refusal": "o"}), chunk({}, "stop"))
    (item,) = told[-1]["response"]["output"]
    assert [part.get("text") or part.get("refusal") for part in item["content"]] == ["well", "no"]
    assert [event["content_index"] for event in told if event["type"] == "response.refusal.delta"] == [1, 1]


def test_log_probabilities_are_told_once_and_summed() -> None:
    row = {"token": "4", "logprob": -0.5, "bytes": [52], "top_logprobs": []}
    one = chunk({"content": "4"})
    one["choices"][0]["logprobs"] = {"content": [row]}
    told = events(one, one, chunk({}, "stop"))
    deltas = [event for event in told if event["type"] == "response.output_text.delta"]
    assert [len(event["logprobs"]) for event in deltas] == [1, 1]
    assert len(told[-1]["response"]["output"][0]["content"][0]["logprobs"]) == 2


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_a_cut_off_answer_is_incomplete(finish: str) -> None:
    told = events(chunk({"content": "so f"}), chunk({}, finish))
    assert told[-1]["type"] == "response.incomplete"
    assert told[-1]["response"]["output"][0]["status"] == "incomplete"
    assert told[-1]["response"]["incomplete_details"] is not None
    told = events(chunk({"tool_calls": [piece(0, "a", "f", '{"x')]}), chunk({}, finish))
    assert told[-1]["response"]["output"][0]["status"] == "incomplete"


def test_nothing_at_all_is_a_response_without_output() -> None:
    told = events(chunk({"role": "assistant", "content": ""}), chunk({}, "stop"))
    assert names(told) == ["created", "in_progress", "completed"]


def test_other_choices_are_left_out() -> None:
    told = events(chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk({}, "stop"))
    assert told[-1]["response"]["output"][0]["content"][0]["text"] == "a"


def test_drafts_are_events_of_our_own() -> None:
    drafts = [{"event": "draft", "attempt": 0, "delta": "3"}, {"event": "retract", "attempt": 0}]
    told = events(*(chunk(reagent=draft) for draft in drafts), chunk({"content": "4"}), chunk({}, "stop"))
    assert [event["reagent"] for event in told if event["type"] == "response.reagent"] == drafts
    assert names(told)[:4] == ["created", "in_progress", "reagent", "reagent"]
    assert told[-1]["response"]["output"][0]["content"][0]["text"] == "4"


# --- failures ---


def test_what_fails_before_the_first_chunk_can_still_be_a_status() -> None:
    refused = Refused(429, "at its limit")
    assert events(refused) == [{"type": "raised", "error": refused}]
    (told,) = events()
    assert told["error"].status == 502


def test_what_fails_later_is_told_and_raised() -> None:
    told = events(chunk({"content": "so f"}), Refused(429, "at its limit"))
    assert names(told)[-5:] == ["output_text.done", "content_part.done", "output_item.done", "failed", "raised"]
    response = told[-2]["response"]
    assert response["status"] == "failed"
    assert response["error"] == {"code": "rate_limit_exceeded", "message": "at its limit"}
    assert response["output"][0]["status"] == "incomplete"
    assert response["output"][0]["content"][0]["text"] == "so f"

    told = events(chunk({"content": "so f"}), RuntimeError("secret insides"))
    assert "secret" not in json.dumps(told[:-1])
    assert told[-2]["response"]["error"] == {"code": "server_error", "message": "the server failed on this request"}
    assert isinstance(told[-1]["error"], RuntimeError)


def test_an_answer_without_an_end_is_a_failure() -> None:
    for last in ([], [{"error": {"message": "CUDA out of memory at /srv/secret"}}]):
        told = events(chunk({"content": "so f"}), *last)
        assert names(told)[-2:] == ["failed", "raised"]
        assert told[-1]["error"].status == 502
        assert "secret" not in json.dumps(told[:-1])


def test_leaving_the_stream_closes_the_upstream() -> None:
    closed = asyncio.Event()

    async def chunks() -> AsyncIterator[Json]:
        try:
            while True:
                yield chunk({"content": "x"})
        finally:
            closed.set()

    async def scene() -> None:
        told = as_events(chunks(), BODY)
        await anext(told)
        await told.aclose()
        assert closed.is_set()

    asyncio.run(scene())


# --- the same as a whole answer, however it is cut ---

text = st.text(max_size=30)
parts = st.fixed_dictionaries(
    {},
    optional={
        "reasoning_content": text,
        "content": text,
        "refusal": text,
        "tool_calls": st.lists(st.tuples(st.uuids().map(str), st.text(min_size=1, max_size=8), text), max_size=3),
    },
)


@given(parts, st.sampled_from(["stop", "length", "tool_calls"]), st.integers(1, 7))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_stream_ends_as_the_whole_answer_would(message: Json, finish: str, size: int) -> None:
    message = {key: value for key, value in message.items() if value}
    calls = message.pop("tool_calls", [])
    deltas: list[Json] = [{"role": "assistant"}]
    for key in ("reasoning_content", "content", "refusal"):
        value = message.get(key, "")
        deltas += [{key: value[at : at + size]} for at in range(0, len(value), size)]
    for index, (id, name, arguments) in enumerate(calls):
        deltas.append({"tool_calls": [piece(index, id, name)]})
        cut = [arguments[at : at + size] for at in range(0, len(arguments), size)]
        deltas += [{"tool_calls": [piece(index, arguments=one)]} for one in cut]
    told = events(*map(chunk, deltas), chunk({}, finish), {"choices": [], "usage": USAGE})

    whole: Json = {"role": "assistant", **message}
    if calls:
        whole["tool_calls"] = [
            {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id, name, arguments in calls
        ]
    choice = {"index": 0, "message": whole, "finish_reason": finish}
    reply = {"created": 1_700_000_000, "model": "upstream-model", "choices": [choice], "usage": USAGE}
    expected = from_chat(reply, BODY)
    if not message and not calls:
        expected["output"] = []  # a stream has nothing to open an empty message with
    assert _unnumbered(told[-1]["response"]) == _unnumbered(expected)


def _unnumbered(response: Json) -> Json:
    output = [{**item, "id": ""} for item in response["output"]]
    return {**response, "id": "", "completed_at": None, "output": output}


# --- OpenAI's client ---


async def with_client(chunks: list[Json | Exception], use: Callable[[Any], Awaitable[None]]) -> None:
    """Serves the events of the chunks over HTTP, as the proxy does, to OpenAI's own client."""
    from aiohttp import web

    dialect = ResponsesDialect()

    async def answer(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        try:
            async for data in dialect.events(stream(*chunks), await request.json()):  # type: ignore[arg-type]
                await reply.write(data)
        except Refused as refused:
            await reply.write(dialect.wrong(refused))
        await reply.write_eof()
        return reply

    app = web.Application()
    app.router.add_post("/v1/responses", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            await use(client)
    finally:
        await runner.cleanup()


CHUNKS: list[Json | Exception] = [
    chunk(reagent={"event": "draft", "attempt": 0, "delta": "41"}),
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "hm"}),
    chunk({"content": '{"x": '}),
    chunk({"content": "42}"}),
    chunk({"tool_calls": [piece(0, "a", "add", '{"y": '), piece(1, "b", "add", "{}")]}),
    chunk({"tool_calls": [piece(0, arguments="1}")]}),
    chunk({}, "tool_calls", reagent={"score": 0.9}),
    {"choices": [], "usage": USAGE},
]


class Point(BaseModel):
    x: int


def test_the_clients_plain_stream() -> None:
    async def use(client: Any) -> None:
        seen = [event async for event in await client.responses.create(model="m", input="q", stream=True)]
        assert [event.type for event in seen].count("response.reagent") == 1
        draft = next(event for event in seen if event.type == "response.reagent")
        assert draft.reagent["delta"] == "41"
        assert "".join(event.delta for event in seen if event.type == "response.output_text.delta") == '{"x": 42}'
        assert seen[-1].response.output_text == '{"x": 42}'
        assert seen[-1].response.reagent == {"score": 0.9}

    asyncio.run(with_client(CHUNKS, use))


def test_the_clients_accumulating_stream() -> None:
    async def use(client: Any) -> None:
        snapshots, arguments = [], []
        async with client.responses.stream(model="m", input="q", text_format=Point) as told:
            async for event in told:
                if event.type == "response.output_text.delta":
                    snapshots.append(event.snapshot)
                elif event.type == "response.function_call_arguments.delta":
                    arguments.append(event.snapshot)
            final = await told.get_final_response()
        assert snapshots == ['{"x": ', '{"x": 42}']
        assert arguments == ['{"y": ', "{}", '{"y": 1}']
        assert final.output_parsed == Point(x=42)
        assert [item.type for item in final.output] == ["reasoning", "message", "function_call", "function_call"]
        assert final.usage.total_tokens == 10

    asyncio.run(with_client(CHUNKS, use))


async def read(asked: Awaitable[Any], into: list[str]) -> None:
    async for event in await asked:
        into.append(event.type)  # noqa: PERF401  # what came before the error counts


def test_the_client_raises_what_went_wrong() -> None:
    async def use(client: Any) -> None:
        seen: list[str] = []
        with pytest.raises(openai.APIError, match="at its limit"):
            await read(client.responses.create(model="m", input="q", stream=True), seen)
        assert seen[-1] == "response.failed"
        async with client.responses.stream(model="m", input="q") as told:
            with pytest.raises(openai.APIError, match="at its limit"):
                await told.get_final_response()

    asyncio.run(with_client([chunk({"content": "so f"}), Refused(429, "at its limit")], use))


def test_the_client_raises_what_went_wrong_before_the_first_event() -> None:
    async def use(client: Any) -> None:
        seen: list[str] = []
        with pytest.raises(openai.APIError, match="at its limit"):
            await read(client.responses.create(model="m", input="q", stream=True), seen)
        assert not seen

    asyncio.run(with_client([Refused(429, "at its limit")], use))

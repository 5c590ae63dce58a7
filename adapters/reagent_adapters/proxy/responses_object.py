"""A chat completion as a Response object."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from reagent_adapters.proxy.responses_items import (
    call_item,
    logprobs_of,
    message_item,
    new_id,
    reasoning_item,
    reasoning_of,
    text_part,
    usage_of,
)
from reagent_adapters.proxy.upstream import Json
from reagent_sdk.serving.answers import Refused

_ECHOED = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
    "service_tier",
    "temperature",
    "top_logprobs",
    "top_p",
    "user",
)
_NEW_TOOL = {"parameters": None, "strict": None}
CUT_OFF = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why a chat ended before its answer did, in both vocabularies."""


def envelope(body: Mapping[str, Any], reply: Mapping[str, Any]) -> Json:
    """A Response object without output, as it is when work begins.

    Args:
        body: the request, which it repeats.
        reply: a completion or a chunk of one, for the model's name and the time.
    """
    tools = [{**_NEW_TOOL, **tool} if tool.get("type") == "function" else tool for tool in body.get("tools") or ()]
    model, created = reply.get("model") or body.get("model"), reply.get("created")
    reasoning = body.get("reasoning") or {}
    text = body.get("text") or {}
    found: Json = {
        "id": new_id("resp"),
        "object": "response",
        "created_at": created if isinstance(created, int | float) and created > 0 else int(time.time()),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": model if isinstance(model, str) else "",
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None, **reasoning},
        "store": False,
        "text": {"format": {"type": "text"}, **text},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": tools,
        "truncation": "disabled",
        "usage": None,
        "metadata": body.get("metadata") or {},
    }
    found |= {name: body.get(name) for name in _ECHOED}
    return found | {name: reply[name] for name in ("service_tier",) if reply.get(name)}


def ended(response: Json, finish: str | None, usage: object, reagent: object) -> Json:
    """Fills in how the work ended.

    Args:
        response: the object with its output.
        finish: the chat's reason.
        usage: the chat's usage, if there was any.
        reagent: the report on attempts and verdicts, if there was any.
    """
    cut_off = CUT_OFF.get(finish or "")
    response["status"] = "incomplete" if cut_off else "completed"
    response["incomplete_details"] = {"reason": cut_off} if cut_off else None
    if not cut_off:
        response["completed_at"] = int(time.time())
    response["usage"] = usage_of(usage)
    if reagent is not None:
        response["reagent"] = reagent
    return response


def from_chat(completion: Mapping[str, Any], body: Mapping[str, Any]) -> Json:
    """The Response object that says what a completion says; of several choices, the first.

    Args:
        completion: a chat completion. Its field `reagent` is carried over.
        body: the request to `/v1/responses`, which the object repeats.

    Raises:
        Refused: 502, when the completion has no choice.
    """
    choices = completion.get("choices")
    if not isinstance(choices, list) or not choices:
        raise Refused(502, "the upstream's reply has no choices")
    choice = choices[0]
    message, finish = choice.get("message") or {}, choice.get("finish_reason")
    response = envelope(body, completion)
    status = "incomplete" if finish in CUT_OFF else "completed"
    response["output"] = _items(message, logprobs_of(choice), status)
    return ended(response, finish, completion.get("usage"), completion.get("reagent"))


def _items(message: Mapping[str, Any], logprobs: list[Json], status: str) -> list[Json]:
    items: list[Json] = []
    reasoning, content, refusal = reasoning_of(message), message.get("content"), message.get("refusal")
    calls = message.get("tool_calls") or ()
    if reasoning:
        items.append(reasoning_item(reasoning, "completed"))
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content if isinstance(part, Mapping))
    parts = []
    if content or not (refusal or calls or reasoning):
        parts.append(text_part(content or "", logprobs, message.get("annotations")))
    if refusal:
        parts.append({"type": "refusal", "refusal": refusal})
    if parts:
        items.append(message_item(parts, "completed"))
    items += [call_item(call, "completed") for call in calls]
    items[-1]["status"] = status
    return items

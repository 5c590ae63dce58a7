"""A Responses request as a chat request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reagent_adapters.proxy.responses_input import messages_of
from reagent_adapters.proxy.responses_parts import as_list, as_object, expect, unsupported
from reagent_adapters.proxy.responses_tools import format_of, tools_of
from reagent_adapters.proxy.upstream import Json

_LOGPROBS = "message.output_text.logprobs"

_REFUSED = {
    "previous_response_id": "is not supported, because nothing is kept here; send the whole conversation in input",
    "conversation": "is not supported, because nothing is kept here; send the whole conversation in input",
    "background": "is not supported; ask again without it, or with stream",
    "prompt": "is not supported, because no templates are kept here; send instructions and input",
    "context_management": "is not supported; shorten input yourself",
    "moderation": "is not supported",
}
"""What would change the answer and cannot be done."""

_OWN = {
    "input",
    "instructions",
    "include",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "reasoning",
    "store",
    "stream",
    "stream_options",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "truncation",
    *_REFUSED,
}
"""What has another name in a chat, or none. All else goes on as it came: sampling, and what only some servers know."""


def to_chat(body: Mapping[str, Any]) -> Json:
    """The chat request that asks for the same.

    Args:
        body: a request to `/v1/responses`. Fields that the Responses API does not know, such as `seed` or `reagent`,
            are passed on as they are.

    Raises:
        Refused: 400; `param` names what is wrong, or has no counterpart in a chat.
    """
    for name, told in _REFUSED.items():
        if body.get(name):
            raise unsupported(name, told)
    if body.get("n") not in (None, 1):
        raise unsupported("n", "is not supported: a response holds one answer")
    chat: Json = {name: value for name, value in body.items() if name not in _OWN and value is not None}
    chat["messages"] = messages_of(body)
    chat |= tools_of(body) | format_of(body) | _reasoning(body) | _logprobs(body)
    # Not max_tokens, which OpenAI's reasoning models refuse; vLLM and llama.cpp take either.
    if body.get("max_output_tokens") is not None:
        chat["max_completion_tokens"] = body["max_output_tokens"]
    if body.get("store") is True:
        chat["store"] = True
        if body.get("metadata"):  # which chats take only along with store
            chat["metadata"] = body["metadata"]
    stream = body.get("stream")
    expect(stream is None or isinstance(stream, bool), "stream", "must be true or false")
    if stream:
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    return chat


def _reasoning(body: Mapping[str, Any]) -> Json:
    reasoning = as_object(body.get("reasoning"), "reasoning")
    return {"reasoning_effort": reasoning["effort"]} if reasoning.get("effort") else {}


def _logprobs(body: Mapping[str, Any]) -> Json:
    include, top = as_list(body.get("include"), "include"), body.get("top_logprobs")
    if _LOGPROBS not in include and not top:
        return {}
    return {"logprobs": True, **({"top_logprobs": top} if top else {})}

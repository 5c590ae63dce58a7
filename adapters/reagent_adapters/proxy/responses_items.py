"""The output items of a Response, their parts, and its usage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from reagent_adapters.proxy.upstream import Json


def new_id(kind: str) -> str:
    """An identifier such as `resp_...`, `msg_...` or `fc_...`."""
    return f"{kind}_{uuid4().hex}"


def usage_of(usage: object) -> Json | None:
    """A chat's usage in the words of the Responses API, None when there was none."""
    if not isinstance(usage, Mapping):
        return None
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    read, written = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    return {
        "input_tokens": prompt,
        "input_tokens_details": {
            "cached_tokens": _count(read, "cached_tokens"),
            "cache_write_tokens": _count(read, "cache_write_tokens"),
        },
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": _count(written, "reasoning_tokens")},
        "total_tokens": _count(usage, "total_tokens") or prompt + completion,
    }


def reasoning_item(text: str, status: str, *, id: str = "") -> Json:
    """An item of reasoning that the upstream showed."""
    content = [{"type": "reasoning_text", "text": text}] if text else []
    return {"id": id or new_id("rs"), "type": "reasoning", "summary": [], "content": content, "status": status}


def message_item(content: list[Json], status: str, *, id: str = "") -> Json:
    """An assistant message."""
    return {"id": id or new_id("msg"), "type": "message", "role": "assistant", "content": content, "status": status}


def call_item(call: Mapping[str, Any], status: str, *, id: str = "") -> Json:
    """A function call, from one of the chat format."""
    function = call.get("function") or {}
    return {
        "id": id or new_id("fc"),
        "type": "function_call",
        "call_id": call.get("id") or new_id("call"),
        "name": function.get("name") or "",
        "arguments": function.get("arguments") or "",
        "status": status,
    }


def text_part(text: str, logprobs: list[Json] | None = None, annotations: object = None) -> Json:
    """A part of text."""
    found = annotations if isinstance(annotations, list) else []
    return {
        "type": "output_text",
        "text": text,
        "annotations": [_annotation(one) for one in found if isinstance(one, Mapping) and _cites(one)],
        "logprobs": logprobs or [],
    }


def logprobs_of(choice: Mapping[str, Any]) -> list[Json]:
    """The log probabilities of a choice or of a piece of one."""
    told = choice.get("logprobs")
    rows = told.get("content") if isinstance(told, Mapping) else None
    return [
        _logprob(row) | {"top_logprobs": [_logprob(top) for top in row.get("top_logprobs") or ()]} for row in rows or ()
    ]


def reasoning_of(message: Mapping[str, Any]) -> str:
    """Reasoning in a field of its own, under either of the names that servers use."""
    found = message.get("reasoning_content") or message.get("reasoning")
    return found if isinstance(found, str) else ""


def _count(usage: object, name: str) -> int:
    value = usage.get(name) if isinstance(usage, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _logprob(row: Mapping[str, Any]) -> Json:
    token = row.get("token") or ""
    raw = row.get("bytes")
    return {
        "token": token,
        "bytes": list(raw) if raw is not None else list(token.encode("utf-8", "replace")),
        "logprob": row.get("logprob", 0.0),
    }


def _cites(annotation: Mapping[str, Any]) -> bool:
    return annotation.get("type") == "url_citation" and isinstance(annotation.get("url_citation"), Mapping)


def _annotation(annotation: Mapping[str, Any]) -> Json:
    cited = annotation["url_citation"]
    return {
        "type": "url_citation",
        "url": cited.get("url") or "",
        "title": cited.get("title") or "",
        "start_index": _count(cited, "start_index"),
        "end_index": _count(cited, "end_index"),
    }

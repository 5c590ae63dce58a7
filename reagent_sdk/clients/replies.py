"""Reads a chat completion strictly: what is not one is a `BadReply` that says what was wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import ValidationError

from reagent_sdk.clients.base import Completion
from reagent_sdk.errors import BadReply
from reagent_sdk.frozen import first_problem
from reagent_sdk.grading import alternatives_from
from reagent_sdk.messages import Message
from reagent_sdk.usage import Usage

Price: TypeAlias = tuple[float, float]
"""US dollars for a million prompt tokens, and for a million completion tokens."""

_ABSURD = 10**9
"""Tokens that no single call uses; a server that reports more is not believed."""


def json_object(body: bytes) -> dict[str, Any]:
    """Parses a JSON object.

    Raises:
        BadReply: it is not one.
    """
    if not body.strip():
        raise BadReply("the reply is empty")
    try:
        parsed = json.loads(body)
        # Half a surrogate pair is legal in JSON and in str, and breaks whoever encodes the text later.
        parsed = _whole_letters(parsed) if b"\\u" in body else parsed
    except RecursionError:
        raise BadReply("the reply is nested too deeply") from None
    except ValueError as error:
        raise BadReply(f"the reply is not JSON ({error})") from None
    if not isinstance(parsed, dict):
        raise BadReply(f"the reply is a JSON {type(parsed).__name__}, not an object")
    return parsed


def _whole_letters(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole_letters(item) for item in value]
    if isinstance(value, dict):
        return {_whole_letters(key): _whole_letters(item) for key, item in value.items()}
    return value


def completion_from(body: Mapping[str, Any], *, price: Price | None = None) -> Completion:
    """Reads an OpenAI chat completion. Unknown message fields, such as `reasoning_content`, are kept.

    Args:
        body: the parsed reply.
        price: what tokens cost; None leaves the call unpriced.

    Raises:
        BadReply: it is not a chat completion.
    """
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise BadReply("the reply has no choices")
    raw = choices[0].get("message")
    if not isinstance(raw, Mapping):
        raise BadReply("the reply's first choice has no message")
    try:
        message = Message.model_validate({"role": "assistant", **raw})
        message.to_openai()  # what cannot be written would fail later, in somebody's log
    except ValidationError as error:
        raise BadReply(f"the reply's message is malformed ({first_problem(error)})") from None
    except ValueError:
        raise BadReply("the reply's message is nested too deeply") from None
    reason, model = choices[0].get("finish_reason"), body.get("model")
    if not isinstance(reason, str) or not reason:
        reason = "tool_calls" if message.tool_calls else "stop"
    return Completion(
        message=message,
        finish_reason=reason,
        usage=usage_from(body.get("usage"), price=price),
        model=model if isinstance(model, str) else "",
        alternatives=tuple(alternatives_from(choices[0].get("logprobs"))),
    )


def usage_from(reported: object, *, price: Price | None = None) -> Usage:
    """Reads the usage of one call. Counts that are missing or cannot be true make the call unmetered."""
    counts = reported if isinstance(reported, Mapping) else {}
    prompt, completion = _tokens(counts.get("prompt_tokens")), _tokens(counts.get("completion_tokens"))
    if prompt is None or completion is None:
        return Usage(calls=1, unpriced_calls=1, unmetered_calls=1)
    details = counts.get("prompt_tokens_details")
    cached = _tokens(details.get("cached_tokens")) if isinstance(details, Mapping) else None
    cost = (prompt * price[0] + completion * price[1]) / 1e6 if price else None
    return Usage(
        calls=1,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached if cached is not None and cached <= prompt else 0,
        priced_usd=cost or 0.0,
        unpriced_calls=int(cost is None),
    )


def _tokens(count: object) -> int | None:
    if isinstance(count, float) and count.is_integer():
        count = int(count)
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count < _ABSURD:
        return None
    return count

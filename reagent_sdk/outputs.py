"""Reads whatever an agent returned as a trajectory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from reagent_sdk.errors import AgentError, InvalidInput
from reagent_sdk.messages import Message, assistant, from_openai
from reagent_sdk.trajectory import Trajectory


def read_output(output: object, name: str = "the agent") -> Trajectory:
    """Reads what an agent returned: text, a message, messages, a Trajectory, a chat completion, a number or a model.

    Raises:
        AgentError: it is none of these, or empty.
    """
    if isinstance(output, Trajectory):
        return output
    text = _plain_text(output)
    if text is not None:
        if not text.strip():
            raise AgentError(f"{name} returned an empty answer")
        return Trajectory(messages=(assistant(text),), answer=text)
    try:
        return Trajectory.from_openai(_as_messages(output))
    except InvalidInput as error:
        raise AgentError(
            f"{name} returned {type(output).__name__}, which is not an answer ({error}); "
            "return a text, a chat message, a list of chat messages or a Trajectory"
        ) from None


def _plain_text(output: object) -> str | None:
    if isinstance(output, str):
        return output
    if isinstance(output, bool | int | float):
        return str(output)
    if isinstance(output, BaseModel) and not isinstance(output, Message) and not hasattr(output, "choices"):
        return output.model_dump_json()
    if isinstance(output, Mapping) and "role" not in output and "choices" not in output:
        try:
            return json.dumps(output, ensure_ascii=False)
        except (TypeError, ValueError):
            return None
    return None


def _as_messages(output: object) -> Sequence[Message | Mapping[str, Any]]:
    """Messages out of a message, a list of them or a chat completion object of a provider's client."""
    if isinstance(output, Message | Mapping) and not (isinstance(output, Mapping) and "choices" in output):
        return [output]
    if isinstance(output, list | tuple):
        return from_openai(output)
    dump = getattr(output, "model_dump", None)
    data = dump(exclude_none=True) if callable(dump) else output
    if isinstance(data, Mapping) and data.get("choices"):
        return [data["choices"][0]["message"]]
    raise InvalidInput("it has no text and no messages")

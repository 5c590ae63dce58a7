"""Chat messages in the OpenAI format, kept losslessly: what came in is what goes out.

Unknown keys are preserved, absent keys stay absent (an absent `content` is not a null one), and tool-call
arguments stay the exact string that the model wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, ValidationError, model_serializer

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import first_problem


class _Wire(BaseModel):
    """A piece of the chat format: frozen, open to unknown keys, and silent about keys that were never set."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @model_serializer(mode="wrap")
    def _only_what_was_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = handler(self)
        return {key: value for key, value in dumped.items() if key in self.model_fields_set}


class ContentPart(_Wire):
    """One part of a multi-part message: text, an image, audio or a file."""

    type: str
    text: str | None = None


class FunctionCall(_Wire):
    """The function a tool call names, with its arguments as the model wrote them."""

    name: str
    arguments: str | dict[str, Any] = ""


class ToolCall(_Wire):
    """One tool call of an assistant message."""

    id: str = ""
    type: str = "function"
    function: FunctionCall

    @classmethod
    def make(cls, name: str, arguments: Mapping[str, Any] | str, *, id: str = "") -> ToolCall:
        """Builds a call; a mapping of arguments becomes its JSON text."""
        text = arguments if isinstance(arguments, str) else json.dumps(dict(arguments), ensure_ascii=False)
        return cls(id=id, type="function", function=FunctionCall(name=name, arguments=text))

    @property
    def name(self) -> str:
        """Name of the tool."""
        return self.function.name

    @property
    def arguments_text(self) -> str:
        """The arguments as text, exactly as they came when they came as text."""
        arguments = self.function.arguments
        return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


class Message(_Wire):
    """One chat message. `role` is system, developer, user, assistant or tool."""

    role: str
    content: str | tuple[ContentPart, ...] | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    tool_call_id: str | None = None
    name: str | None = None

    @property
    def text(self) -> str:
        """All text of the message; parts that are not text appear as `[image_url]` and the like."""
        if self.content is None:
            return ""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text if part.text is not None else f"[{part.type}]" for part in self.content)

    @property
    def reasoning(self) -> str:
        """Reasoning that a server returned in a field of its own, or an empty text."""
        extra = self.model_extra or {}
        found = extra.get("reasoning_content") or extra.get("reasoning") or ""
        return found if isinstance(found, str) else ""

    def to_openai(self) -> dict[str, Any]:
        """The message as a plain JSON-ready dict in the OpenAI chat format."""
        return self.model_dump(mode="json")


def user(text: str) -> Message:
    """A user message."""
    return Message(role="user", content=text)


def assistant(text: str) -> Message:
    """An assistant message."""
    return Message(role="assistant", content=text)


def system(text: str) -> Message:
    """A system message."""
    return Message(role="system", content=text)


def from_openai(messages: Iterable[Message | Mapping[str, Any]]) -> tuple[Message, ...]:
    """Reads chat messages from plain dicts.

    Raises:
        InvalidInput: naming the position of the first message that is not one.
    """
    read: list[Message] = []
    for index, raw in enumerate(messages):
        if isinstance(raw, Message):
            read.append(raw)
            continue
        try:
            read.append(Message.model_validate(raw))
        except ValidationError as error:
            raise InvalidInput(
                f"message {index} is not a chat message ({first_problem(error, 'message')}); "
                'expected a dict such as {"role": "user", "content": "..."}'
            ) from None
    return tuple(read)


def to_openai(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Chat messages as plain dicts; the inverse of :func:`from_openai`."""
    return [message.to_openai() for message in messages]

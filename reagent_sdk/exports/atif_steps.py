"""Chat messages as steps of an ATIF document: a reply of the agent and the results of its calls are one step."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from reagent_sdk.exports.chat import arguments_of
from reagent_sdk.messages import ContentPart, Message, ToolCall

_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_SYSTEM = ("system", "developer")


class Steps:
    """The steps of one document, numbered from 1.

    Attributes:
        done: the steps so far.
    """

    def __init__(self) -> None:
        self.done: list[dict[str, Any]] = []
        self._ids: set[str] = set()
        self._open: list[tuple[str, str, dict[str, Any]]] = []  # id in the log, id here, step: calls without a result
        self._left_out = 0

    @property
    def last(self) -> dict[str, Any]:
        """The latest step."""
        return self.done[-1]

    @property
    def notes(self) -> str:
        """What the document does not hold; empty if it holds everything."""
        if not self._left_out:
            return ""
        return f"{self._left_out} parts of messages that are neither text nor a linked image are named, not included"

    def add(self, messages: Iterable[Message], *, copied: bool = False) -> None:
        """Adds messages in order.

        Args:
            messages: of any role.
            copied: whether they come from elsewhere, such as an earlier attempt; nobody learns from such steps.
        """
        for message in messages:
            if message.role in ("tool", "function"):
                self._result(message)
                continue
            source = "agent" if message.role == "assistant" else "system" if message.role in _SYSTEM else "user"
            self.say(source, self._content(message))
            if source == "agent":
                self._reply(message)
            if copied:
                self.last["is_copied_context"] = True

    def say(self, source: str, message: str | list[dict[str, Any]], extra: dict[str, Any] | None = None) -> None:
        """Adds one step.

        Args:
            source: system, user or agent.
            message: a text, or parts.
            extra: what the format has no field for.
        """
        step: dict[str, Any] = {"step_id": len(self.done) + 1, "source": source, "message": message}
        self.done.append(step if extra is None else {**step, "extra": extra})

    def _reply(self, message: Message) -> None:
        if message.reasoning:
            self.last["reasoning_content"] = message.reasoning
        self._open = []
        calls = [self._call(call) for call in message.tool_calls or ()]
        if calls:
            self.last["tool_calls"] = calls

    def _call(self, call: ToolCall) -> dict[str, Any]:
        given = arguments_of(call)
        id_here = self._own_id(call.id)
        self._open.append((call.id, id_here, self.last))
        made: dict[str, Any] = {"tool_call_id": id_here, "function_name": call.name, "arguments": given or {}}
        if given is None:  # a model may write what is no JSON object, and the format takes objects only
            made["extra"] = {"reagent": {"arguments_text": call.arguments_text}}
        return made

    def _own_id(self, given: str) -> str:
        """An id that is this call's alone: servers count anew in each reply, or give none."""
        first = given or f"call-{len(self._ids) + 1}"
        own, copy = first, 1
        while own in self._ids:
            copy += 1
            own = f"{first}-{copy}"
        self._ids.add(own)
        return own

    def _result(self, message: Message) -> None:
        """A result belongs to the call of its id, or to the next one without a result where it has none."""
        found = next((one for one in self._open if one[0] == (message.tool_call_id or "")), None)
        result: dict[str, Any] = {"content": self._content(message)}
        if found is not None:
            self._open.remove(found)
            result = {"source_call_id": found[1], **result}
            step = found[2]
        else:
            if not self.done or self.last["source"] == "user":
                self.say("system", "")
            step = self.last
        step.setdefault("observation", {"results": []})["results"].append(result)

    def _content(self, message: Message) -> str | list[dict[str, Any]]:
        if not isinstance(message.content, tuple):
            return message.text
        made = [self._part(part) for part in message.content]
        return made if any(part["type"] == "image" for part in made) else "\n".join(part["text"] for part in made)

    def _part(self, part: ContentPart) -> dict[str, Any]:
        if part.text is not None:
            return {"type": "text", "text": part.text}
        linked = (part.model_extra or {}).get("image_url")
        url = linked.get("url") if isinstance(linked, dict) else linked
        if isinstance(url, str) and url.startswith(("http://", "https://")):
            kind, _ = mimetypes.guess_type(urlsplit(url).path)
            if kind in _IMAGES:
                return {"type": "image", "source": {"media_type": kind, "path": url}}
        self._left_out += 1
        return {"type": "text", "text": f"[{part.type}]"}

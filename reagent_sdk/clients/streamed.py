"""Putting a streamed chat completion together again."""

from __future__ import annotations

from typing import Any

from reagent_sdk.clients.base import Completion
from reagent_sdk.grading import Alternatives, alternatives_from
from reagent_sdk.messages import Message
from reagent_sdk.usage import Usage

Chunk = dict[str, Any]
"""One piece of a reply, as the OpenAI protocol streams it."""


class Streamed:
    """What has arrived of one reply. Single use."""

    def __init__(self) -> None:
        self.error: dict[str, Any] | None = None
        self.finish_reason: str | None = None
        self.prompt_done = 0
        self.prompt_total = 0
        self._cached = 0
        self._generated = 0
        self._model = ""
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._tool_calls: dict[int, dict[str, Any]] = {}
        self._alternatives: list[Alternatives] = []

    def add(self, chunk: Chunk) -> str:
        """Takes the next chunk; returns the text it adds to the reply."""
        if "error" in chunk:
            self.error = chunk["error"]
            return ""
        self._model = chunk.get("model") or self._model
        self._count(chunk)
        text = ""
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            text += delta.get("content") or ""
            self._alternatives += alternatives_from(choice.get("logprobs"))
            self._reasoning.append(delta.get("reasoning_content") or "")
            for part in delta.get("tool_calls") or ():
                self._add_tool_call(part)
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
        self._text.append(text)
        return text

    @property
    def usage(self) -> Usage:
        """Tokens read and written so far; exact also for a reply that was broken off. Local work has a price: none."""
        return Usage(
            calls=1,
            prompt_tokens=self.prompt_done,
            completion_tokens=self._generated,
            cached_tokens=min(self._cached, self.prompt_done),
        )

    def completion(self, usage: Usage) -> Completion:
        """The whole reply."""
        message: dict[str, Any] = {"role": "assistant", "content": "".join(self._text)}
        reasoning = "".join(self._reasoning)
        if reasoning:
            message["reasoning_content"] = reasoning
        if self._tool_calls:
            message["tool_calls"] = [self._tool_calls[index] for index in sorted(self._tool_calls)]
        return Completion(
            message=Message.model_validate(message),
            finish_reason=self.finish_reason or "stop",
            usage=usage,
            model=self._model,
            alternatives=tuple(self._alternatives),
        )

    def _count(self, chunk: Chunk) -> None:
        progress = chunk.get("prompt_progress") or {}
        self.prompt_done = progress.get("processed", self.prompt_done)
        self.prompt_total = progress.get("total", self.prompt_total)
        self._cached = progress.get("cache", self._cached)
        self._generated = (chunk.get("timings") or {}).get("predicted_n", self._generated)
        usage = chunk.get("usage") or {}
        self.prompt_done = usage.get("prompt_tokens", self.prompt_done)
        self._generated = usage.get("completion_tokens", self._generated)
        self._cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", self._cached)

    def _add_tool_call(self, part: dict[str, Any]) -> None:
        call = self._tool_calls.setdefault(
            part.get("index", 0), {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        )
        call["id"] = part.get("id") or call["id"]
        function = part.get("function") or {}
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""

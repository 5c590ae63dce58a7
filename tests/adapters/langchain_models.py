"""A chat model of LangChain that follows a script: whole or word by word, with tool calls and usage."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

USAGE = {
    "input_tokens": 10,
    "output_tokens": 5,
    "total_tokens": 15,
    "input_token_details": {"cache_read": 4},
}


class Hang:
    """A reply that never comes; it tells when it was asked for and when it was given up."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def wait(self) -> None:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()


Scripted = str | AIMessage | Exception | Hang | Callable[[list[BaseMessage]], AIMessage]


def calls(*asked: tuple[str, dict[str, Any]], id: str = "call") -> AIMessage:
    """A reply that calls tools."""
    made = [ToolCall(name=name, args=args, id=f"{id}-{index}") for index, (name, args) in enumerate(asked)]
    return AIMessage("", tool_calls=made)


class ScriptedModel(GenericFakeChatModel):
    """Gives the scripted replies in order and keeps what it was asked. Each reply reports `USAGE`."""

    _seen: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    @classmethod
    def of(cls, *script: Scripted) -> ScriptedModel:
        return cls(messages=iter(script))  # type: ignore[arg-type]

    @property
    def seen(self) -> list[list[BaseMessage]]:
        return self._seen

    @property
    def texts(self) -> list[list[str]]:
        """What it was asked, each time: the texts of all messages."""
        return [[str(message.content) for message in messages] for messages in self._seen]

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> ScriptedModel:
        return self

    def _next(self, messages: list[BaseMessage]) -> AIMessage | Hang:
        self._seen.append(list(messages))
        reply: Any = next(self.messages)
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Hang):
            return reply
        if callable(reply):
            reply = reply(messages)
        reply = AIMessage(reply) if isinstance(reply, str) else reply
        told: AIMessage = reply.model_copy(update={"usage_metadata": USAGE})
        return told

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        reply = self._next(messages)
        assert isinstance(reply, AIMessage)
        return ChatResult(generations=[ChatGeneration(message=reply)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        reply = self._next(messages)
        if isinstance(reply, Hang):
            await reply.wait()
        assert isinstance(reply, AIMessage)
        return ChatResult(generations=[ChatGeneration(message=reply)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        reply = self._next(messages)
        assert isinstance(reply, AIMessage)
        for chunk in _chunks(reply):
            if run_manager:
                run_manager.on_llm_new_token(str(chunk.message.content), chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        reply = self._next(messages)
        if isinstance(reply, Hang):
            await reply.wait()
        assert isinstance(reply, AIMessage)
        for chunk in _chunks(reply):
            if run_manager:
                await run_manager.on_llm_new_token(str(chunk.message.content), chunk=chunk)
            yield chunk


def _chunks(reply: AIMessage) -> list[ChatGenerationChunk]:
    words = re.findall(r"\S+\s*", str(reply.content))
    made = [AIMessageChunk(word, id=reply.id) for word in words]
    for index, call in enumerate(reply.tool_calls):
        part = {"name": call["name"], "args": json.dumps(call["args"]), "id": call["id"], "index": index}
        made.append(AIMessageChunk("", id=reply.id, tool_call_chunks=[{**part, "type": "tool_call_chunk"}]))  # type: ignore[list-item]
    made.append(AIMessageChunk("", id=reply.id, usage_metadata=reply.usage_metadata))
    return [ChatGenerationChunk(message=message) for message in made]

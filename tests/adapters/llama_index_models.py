"""Models for the tests of the LlamaIndex adapter: one that follows a script, one behind an HTTP server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from typing import Any

import httpx
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata, ToolCallBlock
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.llms.mock import MockFunctionCallingLLM
from pydantic import PrivateAttr


def calls(*asked: tuple[str, dict[str, Any]]) -> ChatMessage:
    """A reply that calls tools."""
    blocks = [
        ToolCallBlock(tool_call_id=f"call-{index}", tool_name=name, tool_kwargs=arguments)
        for index, (name, arguments) in enumerate(asked)
    ]
    return ChatMessage(role="assistant", blocks=blocks)


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


Scripted = str | ChatMessage | Exception | Hang


class ScriptedLLM(MockFunctionCallingLLM):
    """Gives the scripted replies in order, word by word where it streams, and reports token counts."""

    _script: list[Scripted] = PrivateAttr()
    _seen: list[list[ChatMessage]] = PrivateAttr(default_factory=list)
    _usage: dict[str, int] | None = PrivateAttr()

    def __init__(self, script: Iterable[Scripted], usage: dict[str, int] | None = None) -> None:
        super().__init__()
        self._script = list(script)
        self._usage = usage

    @property
    def seen(self) -> list[list[tuple[str, str]]]:
        """Role and text of all messages of each call."""
        return [[(message.role.value, message.content or "") for message in messages] for messages in self._seen]

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_function_calling_model=True, is_chat_model=True, context_window=8000)

    def _reply(self, messages: Sequence[ChatMessage]) -> ChatResponse | Hang:
        self._seen.append([message.model_copy(deep=True) for message in messages])
        reply = self._script.pop(0)
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Hang):
            return reply
        message = ChatMessage(role="assistant", content=reply) if isinstance(reply, str) else reply
        return ChatResponse(message=message, raw={"usage": self._usage})

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        reply = self._reply(messages)
        assert isinstance(reply, ChatResponse)
        return reply

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        reply = self._reply(messages)
        if isinstance(reply, Hang):
            await reply.wait()
        assert isinstance(reply, ChatResponse)
        return reply

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        reply = self._reply(messages)
        assert isinstance(reply, ChatResponse)
        return (part for part in parts(reply))

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncGenerator[ChatResponse, None]:
        reply = self._reply(messages)
        if isinstance(reply, Hang):
            await reply.wait()
        assert isinstance(reply, ChatResponse)

        async def stream() -> AsyncGenerator[ChatResponse, None]:
            for part in parts(reply):
                yield part

        return stream()


def parts(reply: ChatResponse) -> list[ChatResponse]:
    """A reply as a stream gives it: the text so far, and the usage with the last part."""
    words = (reply.message.content or "").split(" ")
    if len(words) == 1:  # one part, which may be calls or blocks without text
        return [reply.model_copy(update={"delta": words[0]})]
    deltas = [words[0], *(f" {word}" for word in words[1:])]
    texts = ["".join(deltas[: end + 1]) for end in range(len(deltas))]
    made = [
        ChatResponse(message=ChatMessage(role="assistant", content=text), delta=delta)
        for text, delta in zip(texts, deltas, strict=True)
    ]
    made[-1].raw = reply.raw
    return made


class ServerLLM(MockFunctionCallingLLM):
    """A chat model behind an OpenAI-compatible server."""

    url: str
    key: str
    model: str
    max_tokens: int = 48

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_function_calling_model=True, is_chat_model=True, context_window=8000)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        sent = [{"role": message.role.value, "content": message.content or ""} for message in messages]
        body = {"model": self.model, "messages": sent, "max_tokens": self.max_tokens, "temperature": 0}
        async with httpx.AsyncClient(timeout=240, trust_env=False) as client:
            headers = {"Authorization": f"Bearer {self.key}"}
            reply = await client.post(f"{self.url}/chat/completions", json=body, headers=headers)
        reply.raise_for_status()
        told = reply.json()
        text = told["choices"][0]["message"]["content"]
        return ChatResponse(message=ChatMessage(role="assistant", content=text), raw=told)

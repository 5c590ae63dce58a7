"""What an agent remembers during a run, apart from the user's memory, which sees the chosen attempt alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer
from llama_index.core.workflow import Context

from reagent_adapters.llama_index.reading import message_of
from reagent_sdk.agents import Feedback
from reagent_sdk.errors import InvalidInput
from reagent_sdk.prompts import revision_request
from reagent_sdk.task import Task


def _buffer() -> ChatMemoryBuffer:
    """A memory that forgets nothing: what it is given was cut to size by the user's memory already."""
    return ChatMemoryBuffer.from_defaults(token_limit=sys.maxsize, tokenizer_fn=str.split)


class Conversation:
    """The conversation of one run.

    All attempts share one memory of their own, so that a revision sees the draft, its tool results and the critique.
    :meth:`keep` adds the chosen attempt to the user's memory. Make one with :meth:`opened`.
    """

    def __init__(self, seen: Sequence[ChatMessage], memory: BaseMemory | None, ctx: Context | None) -> None:
        self.scratch = _buffer()
        self._seen = [message.model_copy(deep=True) for message in seen]  # agents write their state into messages
        self._memory = memory
        self._ctx = ctx
        self._made: list[list[ChatMessage]] = []

    @classmethod
    async def opened(
        cls,
        user_msg: str | ChatMessage | None,
        chat_history: Sequence[ChatMessage] | None,
        memory: BaseMemory | None,
        ctx: Context | None,
    ) -> Conversation:
        """Reads what `run` was given, and puts history and question into the user's memory as LlamaIndex does.

        Raises:
            InvalidInput: there is no question.
        """
        history = [
            one if isinstance(one, ChatMessage) else ChatMessage.model_validate(one) for one in chat_history or ()
        ]
        asked = ChatMessage(role="user", content=user_msg) if isinstance(user_msg, str) else user_msg
        if asked is None and (not history or history[-1].role.value != "user"):
            raise InvalidInput("no question: pass user_msg=, or a chat_history= that ends with the user's message")
        if ctx is not None and memory is None:
            memory = await ctx.store.get("memory", default=None) or _buffer()
        told = memory or _buffer()
        if history:
            await told.aset(history)
        if asked is not None:
            await told.aput(asked)
        return cls(await told.aget(), memory, ctx)

    def task(self) -> Task:
        """The task for the judge."""
        messages = [message_of(message) for message in self._seen]
        return Task.of(messages[0].text if len(messages) == 1 and len(self._seen[0].blocks) == 1 else messages)

    async def ask(self, feedback: Feedback | None) -> dict[str, Any]:
        """What the agent is given for the next attempt."""
        given: dict[str, Any] = {"memory": self.scratch}
        if self._ctx is not None:
            await self._ctx.store.set("memory", None)  # or the agent would take the memory of its last run
            given["ctx"] = self._ctx
        if feedback is None:
            self._start = len(self._seen)
            return given | {"chat_history": list(self._seen)}
        self._start = len(self.scratch.get_all()) + 1
        return given | {"user_msg": revision_request(feedback.critique)}

    def answered(self) -> None:
        """Notes what the agent added to its memory in the attempt that just ended."""
        self._made.append(self.scratch.get_all()[self._start :])

    async def keep(self, chosen: int | None) -> None:
        """Adds the chosen attempt to the user's memory; None adds nothing. The context gets its memory back."""
        if self._memory is not None and chosen is not None:
            await self._memory.aput_messages(self._made[chosen])
        if self._ctx is not None:
            await self._ctx.store.set("memory", self._memory)

"""What a runnable was asked, whatever the form of its input, and the same with a draft and a critique."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage, convert_to_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable
from langchain_core.runnables.base import RunnableBindingBase

from reagent_adapters.langchain.messages import answer_of, asked_in
from reagent_sdk.errors import InvalidInput
from reagent_sdk.prompts import revision_prompt, revision_request
from reagent_sdk.task import Task

KEYS = ("messages", "question", "input", "query")
"""Where the question of a dict usually stands."""


@dataclass(frozen=True)
class Question:
    """An input that was read: a text or a conversation, perhaps under a key of a dict."""

    given: Any
    key: str | None
    text: str | None
    messages: tuple[BaseMessage, ...]

    @classmethod
    def of(cls, given: Any, bound: Runnable[Any, Any], key: str | None = None) -> Self:
        """Reads the input of a runnable.

        Args:
            given: a text, messages, a prompt value, or a dict that holds one of these.
            bound: the runnable; a chat model takes a text as a conversation.
            key: where it stands in a dict; by default under "messages" or another usual name, or as the only text.

        Raises:
            InvalidInput: there is no question in it.
        """
        key = _key(given, key) if isinstance(given, Mapping) else None
        value = given if key is None else given[key]
        if isinstance(value, str) and key != "messages" and not isinstance(core(bound), BaseChatModel):
            return cls(given, key, value, (HumanMessage(value),))
        return cls(given, key, None, tuple(_with_id(message) for message in _read(value)))

    def task(self, before: Sequence[BaseMessage] = ()) -> Task:
        """The task, after a conversation that the runnable remembers."""
        return Task.of(self.text) if self.text is not None and not before else asked_in([*before, *self.messages])[0]

    def first(self) -> Any:
        """The input as it is sent: as it was given, with messages that can be told apart."""
        return self.given if self.text is not None else self._put(list(self.messages))

    def revised(self, work: Sequence[BaseMessage], answer: str, critique: str) -> Any:
        """The input of a revision, in the form of the first.

        Args:
            work: messages of the draft.
            answer: what the draft says.
            critique: what is said of it.
        """
        if self.text is not None:
            return self._put(revision_prompt(self.text, answer, critique))
        return self._put([*self.messages, *settled(work), critic(critique)])

    def _put(self, value: Any) -> Any:
        return value if self.key is None else {**self.given, self.key: value}


def critic(critique: str) -> HumanMessage:
    """The critique as a message."""
    return HumanMessage(revision_request(critique), id=str(uuid4()))


def settled(work: Sequence[BaseMessage]) -> list[BaseMessage]:
    """The work as part of a conversation: calls that nobody answered become words, as servers refuse them otherwise."""
    answered = {message.tool_call_id for message in work if isinstance(message, ToolMessage)}
    return [
        AIMessage(answer_of([message]), id=message.id)
        if isinstance(message, AIMessage) and any(call["id"] not in answered for call in message.tool_calls)
        else message
        for message in work
    ]


def core(bound: Runnable[Any, Any]) -> Runnable[Any, Any]:
    """The runnable inside of `bind`, `with_config` and the like."""
    while isinstance(bound, RunnableBindingBase):
        bound = bound.bound
    return bound


def _key(given: Mapping[str, Any], key: str | None) -> str:
    if key is not None and key not in given:
        raise InvalidInput(f"the input has no key {key!r}, which input_key names; it has {sorted(given)}")
    texts = [name for name, value in given.items() if isinstance(value, str)]
    usual = [name for name in KEYS if name in given]
    found = [key] if key is not None else (usual[:1] or (texts if len(texts) == 1 else []))
    if not found:
        raise InvalidInput(f"which of {sorted(given)} is the question? Say so with CritiqueRunnable(input_key=...)")
    return found[0]


def _read(value: Any) -> list[BaseMessage]:
    if isinstance(value, PromptValue):
        return value.to_messages()
    alone = isinstance(value, str | Mapping | BaseMessage) or (isinstance(value, tuple) and isinstance(value[0], str))
    try:
        return convert_to_messages([value] if alone else value)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise InvalidInput(f"cannot read a question out of {type(value).__name__}: {error}") from None


def _with_id(message: BaseMessage) -> BaseMessage:
    return message if message.id else message.model_copy(update={"id": str(uuid4())})

"""What the user asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from uuid import uuid4

from pydantic import Field, field_validator

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen
from reagent_sdk.messages import Message, from_openai, user

TaskInput: TypeAlias = "str | Task | Sequence[Message | Mapping[str, Any]]"


class Task(Frozen):
    """A question, with the conversation that led to it where there is one.

    `question` is the text of the last user message; `history` holds everything before it.
    """

    question: str
    history: tuple[Message, ...] = ()
    last: Message | None = Field(None, description="the asking message itself, where it is more than plain text")
    attachments: tuple[str, ...] = Field((), description="paths or URLs of files that belong to the question")
    id: str = Field(default_factory=lambda: uuid4().hex)
    metadata: dict[str, Any] = Field(default_factory=dict)

    @field_validator("question")
    @classmethod
    def _not_empty(cls, question: str) -> str:
        if not question.strip():
            raise ValueError("the task is empty: pass a question, or messages that end with one from the user")
        return question

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation as an agent should see it, the question last."""
        return (*self.history, self.last or user(self.question))

    @property
    def given_as_text(self) -> bool:
        """Whether the task is a plain question, and not a conversation."""
        return self.last is None and not self.history

    @classmethod
    def of(cls, given: TaskInput) -> Task:
        """Reads a task from a text, chat messages or a task.

        Raises:
            InvalidInput: empty, or not something that asks a question.
        """
        if isinstance(given, Task):
            return given
        if isinstance(given, str):
            if not given.strip():
                raise InvalidInput("the task is empty: pass a question as text, or chat messages that end with one")
            return cls(question=given)
        if isinstance(given, list | tuple):
            return cls._of_messages(from_openai(given))
        raise InvalidInput(f"a task is a text, a list of chat messages or a Task, not {type(given).__name__}")

    @classmethod
    def _of_messages(cls, messages: tuple[Message, ...]) -> Task:
        if not messages:
            raise InvalidInput("the list of messages is empty: it must end with the user's question")
        *history, last = messages
        if not last.text.strip():
            raise InvalidInput("the last message has no text: it must hold the user's question")
        return cls(question=last.text, history=tuple(history), last=last)

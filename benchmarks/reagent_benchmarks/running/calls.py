"""Clients that keep their replies: a question that was under way when the process died goes on from what it had heard.

inspect_ai keeps questions that are finished. This keeps the calls of those that are not: a client that is wrapped here
looks first whether the same question had the same request answered before.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from reagent_benchmarks.running.call_journal import CallJournal
from reagent_sdk import scope
from reagent_sdk.cli.terminal import as_json
from reagent_sdk.clients.base import ChatClient, Completion, Sampling
from reagent_sdk.messages import Message

_OPEN: ContextVar[CallJournal | None] = ContextVar("reagent_calls", default=None)
_ASKED: ContextVar[QuestionCalls | None] = ContextVar("reagent_question_calls", default=None)


class QuestionCalls:
    """The calls of one question in one epoch, in this process.

    Attributes:
        spared: seconds that kept replies took when they were made.
    """

    def __init__(self, journal: CallJournal, name: str) -> None:
        self.spared = 0.0
        self._journal = journal
        self._name = name
        self._asked = Counter[str]()

    async def complete(self, client: ChatClient, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """A kept reply, charged as when it was made; else a new one, which is kept.

        Raises:
            BudgetExceeded: the run's budget allows no further call.
            ModelError: as the client raises; what failed is not kept.
        """
        request = as_json([self._name, client.name, list(messages), sampling])
        key = hashlib.sha256(request.encode()).hexdigest()
        number = self._asked[key]
        self._asked[key] += 1
        kept = self._journal.reply(key, number)
        if kept is None:
            made = await client.complete(messages, sampling)
            self._journal.keep(key, made)
            return made
        meter = scope.current().meter
        meter.admit()
        meter.charge(kept.usage.model_copy(update={"calls": max(0, kept.usage.calls - 1)}))
        self.spared += kept.usage.seconds
        return kept


class KeptClient:
    """A client whose replies are kept while a question is open (`question`).

    Args:
        client: who is asked; closed together with this.
    """

    def __init__(self, client: ChatClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        """Whatever else the client has."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._client, name)

    @property
    def name(self) -> str:
        """The client's name."""
        return self._client.name

    async def complete(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """Completes a conversation, or gives the reply that it was completed with before; see `QuestionCalls`."""
        asked = _ASKED.get()
        if asked is None:
            return await self._client.complete(messages, sampling)
        return await asked.complete(self._client, messages, sampling)

    async def aclose(self) -> None:
        """Closes the client."""
        await self._client.aclose()


@contextmanager
def keeping(journal: CallJournal) -> Iterator[CallJournal]:
    """Tells agents and judges that are made in this block to keep their replies."""
    token = _OPEN.set(journal)
    try:
        yield journal
    finally:
        _OPEN.reset(token)


def journal_in_force() -> CallJournal | None:
    """The journal of the study that is being set up; None outside any."""
    return _OPEN.get()


@contextmanager
def question(journal: CallJournal | None, name: str) -> Iterator[None]:
    """Calls in this block belong to the question of this name; without a journal nothing is kept."""
    token = _ASKED.set(None if journal is None else QuestionCalls(journal, name))
    try:
        yield
    finally:
        _ASKED.reset(token)


def clock() -> float:
    """Seconds that only ever grow, on which kept replies take as long as they took when they were made."""
    asked = _ASKED.get()
    return time.monotonic() + (0.0 if asked is None else asked.spared)

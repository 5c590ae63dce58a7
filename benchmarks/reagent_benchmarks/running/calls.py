"""Replies of models, kept on disk as they come: a question that was under way when the process died goes on from them.

inspect_ai keeps questions that are finished. This keeps the calls of those that are not: a client that is wrapped here
looks first whether the same question had the same request answered before.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reagent_sdk import framing, scope
from reagent_sdk.cli.terminal import as_json
from reagent_sdk.clients.base import ChatClient, Completion, Sampling
from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import Message

_OPEN: ContextVar[CallJournal | None] = ContextVar("reagent_calls", default=None)
_ASKED: ContextVar[QuestionCalls | None] = ContextVar("reagent_question_calls", default=None)


class CallJournal:
    """The replies of a study, one a line, under a key of question, model and request.

    The first line is the secret of the judge's frames: with another one no request of a judge would come again. A line
    is written in one go and survives a killed process; after a power cut, the last calls may be asked again.

    Args:
        path: the file; it is made when there is a first reply.

    Raises:
        InvalidInput: the file is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.secret = framing.new_secret()
        self._places: dict[str, list[int]] = {}
        self._begun = path.is_file() and self._read()

    def reply(self, key: str, number: int) -> Completion | None:
        """The reply that a request of this key got at its `number`-th time, from 0; None where it got none."""
        places = self._places.get(key, [])
        if number >= len(places):
            return None
        with self.path.open("rb") as file:
            file.seek(places[number])
            line = file.readline()
        try:
            return Completion.model_validate(json.loads(line)["reply"])
        except ValidationError:  # of another release
            return None

    def keep(self, key: str, reply: Completion) -> None:
        """Adds a reply; it is there once this returns."""
        if not self._begun:
            self._append({"secret": self.secret.hex()})
            self._begun = True
        self._append({"key": key, "reply": reply})

    def remove(self) -> None:
        """Removes the file: nothing is left to do."""
        self.path.unlink(missing_ok=True)

    def _append(self, entry: dict[str, Any]) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, as_json(entry).encode() + b"\n")
        finally:
            os.close(file)

    def _read(self) -> bool:
        """Finds what is there, and cuts off a line that breaks off; False where nothing is left."""
        end = 0
        with self.path.open("rb+") as file:
            for line in file:
                if line.endswith(b"\n"):
                    self._note(line, end)
                    end += len(line)
            file.truncate(end)
        return end > 0

    def _note(self, line: bytes, place: int) -> None:
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            entry = json.loads(line)
            if place == 0:
                self.secret = bytes.fromhex(entry["secret"])
            else:
                self._places.setdefault(entry["key"], []).append(place)
            return
        raise InvalidInput(f"{self.path} does not hold replies of models; move it away, or pass another --out")


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

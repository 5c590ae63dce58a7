"""Replies of models on disk, written as they come."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reagent_sdk import framing
from reagent_sdk.cli.terminal import as_json
from reagent_sdk.clients.base import Completion
from reagent_sdk.errors import InvalidInput
from reagent_sdk.lines import LineFile


class CallJournal:
    """The replies of a study, one a line, under a key of question, model and request.

    The first line is the secret of the judge's frames: with another one no request of a judge would come again.

    Args:
        path: the file; it is made when there is a first reply.

    Raises:
        InvalidInput: the file is something else.
    """

    def __init__(self, path: Path) -> None:
        self._file = LineFile(path, mode=0o600)
        self.secret = framing.new_secret()
        self._places: dict[str, list[int]] = {}
        self._begun = False
        for place, line in self._file:
            self._note(line, place)
            self._begun = True

    def reply(self, key: str, number: int) -> Completion | None:
        """The reply that a request of this key got at its `number`-th time, from 0; None where it got none."""
        places = self._places.get(key, [])
        if number >= len(places):
            return None
        try:
            return Completion.model_validate(json.loads(self._file.at(places[number]))["reply"])
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
        self._file.remove()

    def _append(self, entry: dict[str, Any]) -> None:
        self._file.append(as_json(entry).encode())

    def _note(self, line: bytes, place: int) -> None:
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            entry = json.loads(line)
            if place == 0:
                self.secret = bytes.fromhex(entry["secret"])
            else:
                self._places.setdefault(entry["key"], []).append(place)
            return
        raise InvalidInput(f"{self._file.path} does not hold replies of models; move it away, or pass another --out")

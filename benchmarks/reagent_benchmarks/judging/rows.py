"""Rows of a data set's JSONL files, checked; every complaint names file and line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import Message, from_openai

T = TypeVar("T")

_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


@dataclass(frozen=True)
class Row:
    """One JSON object, and where it stands."""

    data: dict[str, Any]
    file: Path
    line: int
    counted: str = "line"  # what the number counts: "row" in files without lines

    def wrong(self, problem: str) -> InvalidInput:
        """The error that says what is wrong with this row."""
        return InvalidInput(f"{self.file}, {self.counted} {self.line}: {problem}")

    def get(self, key: str, kind: type[T]) -> T:
        """A field of one type; an object or a list may also be given as its JSON text.

        Raises:
            InvalidInput: it is missing or of another type.
        """
        value = self.data.get(key)
        if kind in (list, dict) and isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise self.wrong(f'"{key}" must be {_WORDS[kind]}, and its text is not JSON') from None
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            found = f"not {type(value).__name__}" if key in self.data else "and is missing"
            raise self.wrong(f'"{key}" must be {_WORDS[kind]}, {found}')
        return value

    def chosen(self, key: str, meanings: dict[Any, bool]) -> bool:
        """A label that is written in one of the given ways.

        Raises:
            InvalidInput: it is written in another.
        """
        value = self.data.get(key)
        if isinstance(value, bool | int | float) and value in meanings:
            return meanings[value]
        raise self.wrong(f'"{key}" must be one of {", ".join(map(str, meanings))}, not {value!r}')

    @contextmanager
    def located(self) -> Iterator[None]:
        """Adds file and line to what goes wrong inside.

        Raises:
            InvalidInput: as raised inside.
        """
        try:
            yield
        except InvalidInput as error:
            raise error if str(error).startswith(str(self.file)) else self.wrong(str(error)) from None

    def chat(self, messages: object) -> tuple[Message, ...]:
        """Messages in the OpenAI format.

        Raises:
            InvalidInput: they are not.
        """
        if not isinstance(messages, list) or not messages:
            raise self.wrong("a list of chat messages that is not empty is needed")
        with self.located():
            return from_openai(messages)


def files_of(folder: Path, pattern: str, dataset: str) -> list[Path]:
    """The files of a data set: those in the folder that match, or in its subfolder `dataset`, or the file itself.

    Raises:
        InvalidInput: there are none.
    """
    if not folder.exists():
        raise InvalidInput(f"there is no {folder}; pass the folder with the files of {dataset}")
    if folder.is_file():
        return [folder]
    for place in (folder, folder / dataset):
        if found := sorted(place.glob(pattern)):
            return found
    raise InvalidInput(f"{folder} holds no files of {dataset}: pass a folder with {pattern}")


def read_rows(file: Path) -> Iterator[Row]:
    """The rows of a file in order; blank lines are passed over.

    Raises:
        InvalidInput: the file cannot be read, or a line is not a JSON object.
    """
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _row(line, file, number)
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}") from error


def _row(line: bytes, file: Path, number: int) -> Row:
    try:
        data = json.loads(line.decode())
    except UnicodeDecodeError:
        raise InvalidInput(f"{file}, line {number}: not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{file}, line {number}: not JSON ({error})") from None
    if not isinstance(data, dict):
        raise InvalidInput(f"{file}, line {number}: a JSON object is needed, not {type(data).__name__}")
    return Row(data, file, number)

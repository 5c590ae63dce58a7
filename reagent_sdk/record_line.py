"""One line of the run log: a run to JSON and back, whatever text models put into it."""

from __future__ import annotations

import json
from contextlib import suppress

from pydantic import Field, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen
from reagent_sdk.run import Run

MAX_REASON = 300
_GIVEN = frozenset({"schema_version", "id", "started_at"})


class DamagedRecord(Frozen):
    """A line of the log that is not a readable run."""

    line: int = Field(ge=1, description="line number, counted from 1")
    offset: int = Field(ge=0, description="position of the line's first byte in the file")
    reason: str = Field(description="one sentence: what is wrong with it")
    torn: bool = Field(description="the line breaks off in the middle, as a killed writer leaves it")


def encode(run: Run) -> bytes:
    """A run as one line.

    Raises:
        InvalidInput: its metadata cannot be written as JSON.
    """
    # UTF-8 has no lone surrogates, which model output can contain. pydantic raises on one in a text and quietly puts
    # U+FFFD in its place in a key; such runs are written in plain ASCII with escapes instead.
    with suppress(PydanticSerializationError):
        text = run.model_dump_json(fallback=str)
        if "\ufffd" not in text:
            return text.encode() + b"\n"
    try:
        return json.dumps(run.model_dump(), default=_plain).encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"run {run.id} cannot be stored as JSON ({error}): simplify its metadata") from error


def _plain(value: object) -> object:
    try:
        return to_jsonable_python(value, fallback=str)
    except ValueError:  # bytes that are not UTF-8
        return str(value)


def decode(line: bytes, number: int, offset: int) -> Run | DamagedRecord:
    """The run of a line, or what is wrong with the line."""
    try:
        run = _validate(line.removesuffix(b"\n"))
    except ValidationError as error:
        reason = _reason(error)
        torn = not line.endswith(b"\n") or "EOF while parsing" in reason
        return DamagedRecord(line=number, offset=offset, reason=reason, torn=torn)
    missing = sorted(_GIVEN - run.model_fields_set)
    if missing:
        return DamagedRecord(line=number, offset=offset, reason=f"{missing[0]}: Field required", torn=False)
    return run


def _validate(line: bytes) -> Run:
    try:
        return Run.model_validate_json(line)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] != "json_invalid":
            raise
        # pydantic refuses escaped lone surrogates; the standard library reads them.
        try:
            data = json.loads(line.decode())
        except (ValueError, RecursionError):
            raise error from None
        return Run.model_validate(data)


def _reason(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False)
    for one in found:
        if one["loc"] == ("schema_version",):
            return f"schema version {repr(one['input'])[:40]} is unknown to this release, which reads version 1"
    where = ".".join(str(part) for part in found[0]["loc"])
    text = f"{where}: {found[0]['msg']}" if where else found[0]["msg"]
    return text if len(text) <= MAX_REASON else text[: MAX_REASON - 3] + "..."  # an unknown field's name has no limit

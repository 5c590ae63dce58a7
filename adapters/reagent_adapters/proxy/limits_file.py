"""Files of limits, and what files of limits and of keys have in common. No error quotes a file: it may hold a key."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reagent_adapters.proxy.accounts_limits import Limits
from reagent_sdk.errors import InvalidInput

_LONGEST_FILE = 2**20
_FIELD = re.compile(r"[a-z_]{1,30}")
_PLACE = re.compile(r"\(at (?:line \d+, column \d+|end of document)\)$")


def read_limits(path: Path) -> Limits:
    """Reads the limits of guests: settings of `Limits`, in JSON when the file's name ends in .json, else in TOML.

    Raises:
        InvalidInput: it cannot be read, sets nothing, or a setting is wrong; the message names it.
    """
    what = f"the file of limits {path}"
    given = read_table(path, what)
    if not isinstance(given, dict) or not given:
        raise InvalidInput(f"{what}: it must hold at least one of {', '.join(Limits.model_fields)}")
    try:
        require_known(given, Limits.model_fields)
        return Limits(**given)
    except ValidationError as error:
        raise InvalidInput(f"{what}: {problems(error)}") from None
    except InvalidInput as error:
        raise InvalidInput(f"{what}: {error}") from None


def read_table(path: Path, what: str) -> object:
    """What a file holds, which is JSON when its name ends in .json, else TOML.

    Args:
        path: which file.
        what: what to call it in errors.

    Raises:
        InvalidInput: it cannot be read.
    """
    try:
        with path.expanduser().open("rb") as opened:
            data = opened.read(_LONGEST_FILE + 1)
        if len(data) > _LONGEST_FILE:
            raise InvalidInput(f"{what} is larger than {_LONGEST_FILE} bytes")
        text = data.decode()
    except OSError as error:
        raise InvalidInput(f"cannot read {what}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{what} is not text") from None
    try:
        return _parsed(text, is_json=path.suffix.lower() == ".json")
    except InvalidInput as error:
        raise InvalidInput(f"{what}: {error}") from None


def _parsed(text: str, *, is_json: bool) -> object:
    # The parsers' own messages can quote the file.
    try:
        return json.loads(text) if is_json else tomllib.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"it is not JSON (at line {error.lineno}, column {error.colno})") from None
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        raise InvalidInput(f"it is not TOML {place[0] if place else ''}".rstrip()) from None
    except RecursionError:
        raise InvalidInput("it is nested too deeply") from None


def require_known(row: dict[str, Any], known: Iterable[str]) -> None:
    """Checks that there are no settings but known ones.

    Raises:
        InvalidInput: there is one.
    """
    known = tuple(known)
    for field in row.keys() - set(known):
        shown = field if _FIELD.fullmatch(field) else "one of its fields"  # which may be a misplaced key
        raise InvalidInput(f"{shown} is not a setting; there are {', '.join(known)}")


def problems(error: ValidationError) -> str:
    """What is wrong with which field, without what was given."""
    told = []
    for problem in error.errors(include_input=False, include_context=False):
        field = str(problem["loc"][0]) if problem["loc"] else ""
        told.append(f"{field}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(dict.fromkeys(told))

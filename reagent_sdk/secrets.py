"""Keeps keys out of names, logs, exceptions and pickles."""

from __future__ import annotations

import json
import re
from typing import NoReturn, Self
from urllib.parse import quote

MASK = "***"

EXCERPT = 200
"""Characters of a server's text that an error quotes."""

_SHORT = 8
"""A key shorter than this may be part of ordinary words, so only whole words of it are masked."""

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)\b(bearer)\s+(?:(?=[^\s\"']*\d)[\w.~+/=-]{4,}|[\w.~+/=-]{16,})"), rf"\1 {MASK}"),
    (re.compile(r"(?i)\b(basic)\s+(?=[^\s\"']*[\d=])[A-Za-z0-9+/]{6,}={0,2}"), rf"\1 {MASK}"),
    (re.compile(r"\b(?:sk|pk|rk|xai|nvapi|glpat)-[\w*.-]{6,}"), MASK),
    (re.compile(r"\b(?:hf|gsk|ghp|gho|ghs|github_pat)_\w{8,}"), MASK),
    (re.compile(r"\b(?:AIza[\w-]{10,}|AKIA[A-Z0-9]{12,}|xox[abp]-[\w-]{8,})"), MASK),
    (re.compile(r"(?i)\b((?:x-)?api-key|authorization)(\s*:\s*)(?!bearer|basic)[^\s\"',;]{4,}"), rf"\1\2{MASK}"),
    (
        re.compile(
            r"(?i)\b(\w*(?:api[_-]?key|access[_-]?key|token|password|secret))(=[\"']?|[\"']\s*:\s*[\"'])[^\s\"'&,;]{4,}"
        ),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"(://)[^/\s@:]*:[^/\s@]*@"), rf"\1{MASK}@"),
)


class Secret:
    """A key that prints as `***` and refuses to be pickled. Copies are the object itself."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself. Call it where the key is sent, and keep no copy."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a key is not pickled: make the client anew in the process that uses it")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


def redact(text: str, *secrets: Secret | None) -> str:
    """Masks the given keys, also where they are escaped for JSON or URLs, and whatever else looks like a key."""
    for form in sorted(_forms(secrets), key=len, reverse=True):
        pattern = re.escape(form)
        text = re.sub(rf"(?<!\w){pattern}(?!\w)" if len(form) < _SHORT else pattern, MASK, text)
    for known, mask in _PATTERNS:
        text = known.sub(mask, text)
    return text


def excerpt(text: str, *secrets: Secret | None, limit: int = EXCERPT) -> str:
    """The beginning of a text from outside, on one line, without control characters and without keys.

    Redaction comes before the cut, which could leave an unrecognisable half of a key.
    """
    line = " ".join(redact(text, *secrets).split())
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    return line if len(line) <= limit else line[: limit - 3] + "..."


def _forms(secrets: tuple[Secret | None, ...]) -> set[str]:
    values = {secret.reveal() for secret in secrets if secret is not None}
    escaped = {json.dumps(value)[1:-1] for value in values}
    return {form for form in values | escaped | {quote(value, safe="") for value in values} if form}

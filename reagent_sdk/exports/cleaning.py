"""Takes out of a run what must not travel: keys, characters that UTF-8 does not have, numbers that JSON does not."""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from typing import Any

from reagent_sdk.run import Run
from reagent_sdk.secrets import MASK, redact

_SURROGATE = re.compile("[\ud800-\udfff]")
_ARGUMENTS = "arguments"


def cleaned(run: Run) -> tuple[Run, bool]:
    """The run with whatever looks like a key masked and lone surrogates replaced, and whether a key was masked.

    NaN and infinities become null. What holds nothing of all this is the very run that was given.
    """
    walk = _Walk()
    before = run.model_dump()
    after = walk.value(before)
    return (run if after == before else Run.model_validate(after)), walk.masked


class _Walk:
    """One pass over nested data."""

    def __init__(self) -> None:
        self.masked = False
        self._in_text = False
        self._redacted: dict[str, str] = {}  # a revision repeats what the draft found

    def value(self, given: Any, key: str = "") -> Any:
        """The cleaned data.

        Args:
            given: any data.
            key: the name that it goes by, which may tell a key that does not look like one.
        """
        if isinstance(given, str):
            return self._arguments(given) if key == _ARGUMENTS else self._text(given, key)
        if isinstance(given, dict):
            return {
                self._text(name) if isinstance(name, str) else name: self.value(inner, str(name))
                for name, inner in given.items()
            }
        if isinstance(given, list | tuple):
            return type(given)(self.value(inner, key) for inner in given)
        no_json = isinstance(given, float) and not math.isfinite(given)
        return None if no_json and not self._in_text else given

    def _text(self, text: str, key: str = "") -> str:
        # A password looks like any word; what it is called tells it.
        shown = MASK if key and text and _names_a_key(key) else self._redact(text)
        self.masked |= shown != text
        return _SURROGATE.sub("\ufffd", shown)

    def _redact(self, text: str) -> str:
        if text not in self._redacted:
            self._redacted[text] = redact(text)
        return self._redacted[text]

    def _arguments(self, text: str) -> str:
        """The arguments of a tool call, which stay the text that the model wrote unless something was masked."""
        self._in_text = True
        try:
            given = json.loads(text)
            clean = self.value(given)
            return text if clean == given else json.dumps(clean, ensure_ascii=False)
        except (ValueError, RecursionError):
            return self._text(text)
        finally:
            self._in_text = False


@lru_cache(1_000)
def _names_a_key(name: str) -> bool:
    probe = f"{name}=00000000"
    return redact(probe) != probe

"""How text is cut before byte-level BPE: the names it has in GGUF files, and how tokenizer.json says the same."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _bytes(*, use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def _sequence(first: dict[str, Any], *, use_regex: bool) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": [first, _bytes(use_regex=use_regex)]}


PRETOKENIZERS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "gpt-2": _bytes(use_regex=True),
        "smollm": _sequence({"type": "Digits", "individual_digits": True}, use_regex=True),
        "llama-bpe": _sequence(
            {"type": "Split", "pattern": {"Regex": _LLAMA3}, "behavior": "Isolated", "invert": False}, use_regex=False
        ),
    }
)
"""By the value of `tokenizer.ggml.pre`. Both engines were compared on real text for each of them."""

WHOLE_WORDS = ("llama-bpe",)
"""Where a word that is a token stays whole, whatever the merges say (`ignore_merges`)."""


def named(pretokenizer: Mapping[str, Any] | None, *, ignore_merges: bool) -> str | None:
    """The name of what a tokenizer.json does; None for anything that no name says exactly."""
    if pretokenizer is None:
        return None
    for name, known in PRETOKENIZERS.items():
        if _essence(pretokenizer) == _essence(known) and ignore_merges == (name in WHOLE_WORDS):
            return name
    return None


def _essence(value: Any) -> Any:
    """What changes tokens: offsets do not, and a list of one is that one."""
    if isinstance(value, Mapping):
        inner = value.get("pretokenizers")
        if isinstance(inner, list) and len(inner) == 1:
            return _essence(inner[0])
        return {key: _essence(item) for key, item in value.items() if key != "trim_offsets"}
    return [_essence(item) for item in value] if isinstance(value, list) else value

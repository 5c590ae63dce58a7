"""Which filters run, and what they are set to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reagent_sdk.errors import InvalidInput, MissingExtra
from reagent_training.data.contamination import Contamination, read_questions
from reagent_training.data.filters import (
    CloseDuplicates,
    ExactDuplicates,
    Filter,
    Length,
    broken_format,
    contaminated,
    leaks,
)


@dataclass(frozen=True)
class Choice:
    """Filters and their settings.

    Attributes:
        skip: filters that do not run: leaks, format, duplicates, near-duplicates.
        against: evaluation sets whose questions must not be in the set.
        near: Jaccard similarity of near duplicates.
        min_chars: least characters of the rendered record.
        max_chars: most characters.
        max_tokens: most tokens.
        tokenizer: counts them; a folder or a hub id.
    """

    skip: tuple[str, ...] = ()
    against: tuple[Path, ...] = ()
    near: float = 0.9
    min_chars: int = 0
    max_chars: int | None = None
    max_tokens: int | None = None
    tokenizer: str | None = None

    def filters(self) -> list[Filter]:
        """The filters, in the order in which they get to name a reason.

        Raises:
            InvalidInput: tokens without a tokenizer, a tokenizer that cannot be loaded, or a malformed evaluation set.
            MissingExtra: a package that a filter takes is not installed.
        """
        if (self.max_tokens is None) != (self.tokenizer is None):
            raise InvalidInput("--max-tokens and --tokenizer belong together")
        chosen: list[Filter] = []
        if "leaks" not in self.skip:
            chosen.append(leaks)
        if "format" not in self.skip:
            chosen.append(broken_format)
        if self.min_chars or self.max_chars is not None:
            chosen.append(Length(self.min_chars, self.max_chars))
        if self.tokenizer is not None:
            chosen.append(Length(most=self.max_tokens, measure=_counter(self.tokenizer), unit="tokens"))
        if self.against:
            chosen.append(contaminated(Contamination(one for file in self.against for one in read_questions(file))))
        if "duplicates" not in self.skip:
            chosen.append(ExactDuplicates())
        if "near-duplicates" not in self.skip:
            chosen.append(CloseDuplicates(self.near))
        return chosen

    def settings(self) -> dict[str, Any]:
        """What the data card says of it."""
        given = {
            "skip": list(self.skip),
            "against": [file.name for file in self.against],
            "near": self.near,
            "min_chars": self.min_chars,
            "max_chars": self.max_chars,
            "max_tokens": self.max_tokens,
            "tokenizer": None if self.tokenizer is None else Path(self.tokenizer).name,
        }
        return {name: value for name, value in given.items() if value}


def _counter(name: str) -> Callable[[str], int]:
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise MissingExtra("counting tokens", "hf") from None
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot load the tokenizer {name!r} ({str(error).splitlines()[0]:.200})") from None
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])

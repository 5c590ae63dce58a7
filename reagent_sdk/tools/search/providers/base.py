"""What a search provider is, and how it fails.

SearchFailed
├── ProviderDown             not reached, too slow, a 5xx, a reply that is not JSON
├── RateLimited              it asked us to wait, or our own limit does
└── ProviderMisconfigured    a key is refused, credit is used up, a package is missing
"""

from __future__ import annotations

import html
import re
from typing import Protocol, runtime_checkable

from reagent_sdk.errors import ReagentError
from reagent_sdk.frozen import Frozen

_TITLE = 200
_SNIPPET = 2_000
_URL = 2_000
_MARKUP = re.compile(r"</?(?:strong|b|em|i|mark|span|br|p)\b[^<>]{0,100}>", re.IGNORECASE)


class Hit(Frozen):
    """One search result. Text from outside: each field is one line without control characters."""

    title: str
    url: str
    snippet: str = ""
    provider: str = ""


@runtime_checkable
class SearchProvider(Protocol):
    """Something that searches."""

    @property
    def name(self) -> str:
        """Short name for results and errors; never a key."""

    async def search(self, query: str, limit: int) -> list[Hit]:
        """The best hits for a query, at most `limit`.

        Raises:
            SearchFailed: no answer; the next provider is asked.
        """


class SearchFailed(ReagentError):
    """A provider gave no answer.

    Attributes:
        reason: why, in a few words, without keys.
        retry_after: seconds before which it makes no sense to ask again, where that is known.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class ProviderDown(SearchFailed):
    """It cannot be reached, or does not answer as it should."""


class RateLimited(SearchFailed):
    """Too many requests."""


class ProviderMisconfigured(SearchFailed):
    """It will not answer until somebody changes a setting."""


def hit_of(provider: str, title: object, url: object, snippet: object) -> Hit | None:
    """A hit out of fields of a reply, whatever they are; None without an address."""
    address = _line(url, _URL + 1)
    if not address or " " in address or len(address) > _URL:
        return None
    return Hit(title=_line(title, _TITLE) or address, url=address, snippet=_line(snippet, _SNIPPET), provider=provider)


def _line(value: object, limit: int) -> str:
    """One line of plain text: nothing in it can pass for another result, and no markup of the search engine is left."""
    if not isinstance(value, str):
        return ""
    text = html.unescape(_MARKUP.sub("", value[: 4 * limit]))
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"

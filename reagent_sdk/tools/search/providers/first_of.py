"""Asks providers in order until one answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio

from reagent_sdk.errors import InvalidInput
from reagent_sdk.secrets import excerpt
from reagent_sdk.tools.search.providers.base import Hit, SearchFailed, SearchProvider

_SHORT_WAIT = 5.0


@dataclass(frozen=True, slots=True)
class Found:
    """The hits for a query, and the reasons of the providers that gave no answer before, by their names."""

    hits: tuple[Hit, ...]
    failures: Mapping[str, str] = field(default_factory=dict)


class NoProviderAnswered(SearchFailed):
    """Every provider failed.

    Attributes:
        failures: the reasons by the names of the providers.
    """

    def __init__(self, failures: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in failures.items()))
        self.failures = failures


class FirstOf:
    """Providers in the order in which they are asked; itself a provider.

    The next one is asked when one fails in any way, and also when it finds nothing: a search engine that blocks a
    caller often looks like that. When all fail and one has asked for a short wait, it is asked once more after it.

    Args:
        providers: at least one, the best first.
        sleep: how to wait; tests pass one that does not.

    Raises:
        InvalidInput: there are none, or one cannot search.
    """

    def __init__(
        self, providers: Sequence[SearchProvider], *, sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    ) -> None:
        if not providers:
            raise InvalidInput("there is no search provider; pass at least one, such as DuckDuckGo()")
        for provider in providers:
            if not isinstance(provider, SearchProvider):
                raise InvalidInput(
                    f"{provider!r} is no search provider: it needs a name and an async search(query, limit)"
                )
        self.providers = tuple(providers)
        self._sleep = sleep

    @property
    def name(self) -> str:
        """The names of all providers."""
        return ", ".join(provider.name for provider in self.providers)

    async def search(self, query: str, limit: int) -> list[Hit]:
        """The hits of the first provider that has any.

        Raises:
            NoProviderAnswered: all failed.
        """
        return list((await self.find(query, limit)).hits)

    async def find(self, query: str, limit: int) -> Found:
        """The hits, and who failed before.

        Raises:
            NoProviderAnswered: all failed.
        """
        failures: dict[str, Exception] = {}
        answered = False
        for provider in self.providers:
            try:
                hits = await provider.search(query, limit)
            except Exception as error:  # also a defect in somebody's own provider: the next one may still answer
                failures[provider.name] = error
                continue
            answered = True
            if hits:
                return Found(tuple(hits[:limit]), _reasons(failures))
        if answered:
            return Found((), _reasons(failures))
        return await self._once_more(query, limit, failures)

    async def _once_more(self, query: str, limit: int, failures: dict[str, Exception]) -> Found:
        waits = [
            (error.retry_after, provider)
            for provider in self.providers
            if isinstance(error := failures[provider.name], SearchFailed) and error.retry_after is not None
        ]
        wait, provider = min(waits, key=lambda pair: pair[0], default=(None, self.providers[0]))
        if wait is not None and wait <= _SHORT_WAIT:
            await self._sleep(wait)
            try:
                hits = await provider.search(query, limit)
            except Exception as error:
                failures[provider.name] = error
            else:
                del failures[provider.name]
                return Found(tuple(hits[:limit]), _reasons(failures))
        raise NoProviderAnswered(_reasons(failures))


def _reasons(failures: Mapping[str, Exception]) -> dict[str, str]:
    return {name: _reason(error) for name, error in failures.items()}


def _reason(error: Exception) -> str:
    if isinstance(error, SearchFailed):
        return error.reason
    return excerpt(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)

"""Results of the public search engines that `ddgs` asks, without a key."""

from __future__ import annotations

import anyio
import anyio.to_thread

from reagent_sdk.secrets import excerpt
from reagent_sdk.tools.search.providers.base import (
    Hit,
    ProviderDown,
    ProviderMisconfigured,
    RateLimited,
    SearchFailed,
    hit_of,
)
from reagent_sdk.tools.search.providers.pace import Pace

_HOLD = 30.0
_TOLD = 120
_NOTHING = "No results found"


class DuckDuckGo:
    """DuckDuckGo and other public engines through `ddgs`. Needs no key and promises nothing.

    Args:
        backend: the engines to ask, as `ddgs` names them; "auto" takes any.
        timeout: seconds for each engine.
        pace: how fast they may be asked; by default once a second.
    """

    name = "duckduckgo"

    def __init__(self, *, backend: str = "auto", timeout: int = 8, pace: Pace | None = None) -> None:
        self.pace = pace or Pace(1.0)
        self._backend = backend
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"DuckDuckGo(backend={self._backend!r})"

    async def search(self, query: str, limit: int) -> list[Hit]:
        """The best hits for a query, at most `limit`.

        Raises:
            SearchFailed: no engine answered.
        """
        await self.pace.turn()
        try:
            # ddgs asks engines one after another, each with its own timeout.
            with anyio.fail_after(3 * self._timeout):
                return await anyio.to_thread.run_sync(self._ask, query, limit, abandon_on_cancel=True)
        except TimeoutError:
            slow = ProviderDown("no answer in time", retry_after=_HOLD)
            self.pace.hold(slow)
            raise slow from None
        except SearchFailed as error:
            self.pace.hold(error)
            raise

    def _ask(self, query: str, limit: int) -> list[Hit]:
        try:
            from ddgs import DDGS
            from ddgs.exceptions import DDGSException, RatelimitException, TimeoutException
        except ImportError:
            raise ProviderMisconfigured("ddgs is not installed: pip install 'reagent-sdk[tools]'") from None
        try:
            # A new one for each query: its engines keep the state of their last search.
            rows = DDGS(timeout=self._timeout).text(query, max_results=limit, backend=self._backend)
        except RatelimitException as error:
            raise RateLimited(f"rate limited ({excerpt(str(error), limit=_TOLD)})", retry_after=_HOLD) from error
        except TimeoutException as error:
            raise ProviderDown(f"no answer in time ({excerpt(str(error), limit=_TOLD)})", retry_after=_HOLD) from error
        except DDGSException as error:
            if _NOTHING in str(error):
                return []
            raise ProviderDown(f"no engine answered ({excerpt(str(error), limit=_TOLD)})") from error
        hits = (hit_of(self.name, row.get("title"), row.get("href"), row.get("body")) for row in rows)
        return [hit for hit in hits if hit is not None]

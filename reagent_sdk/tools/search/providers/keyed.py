"""What the providers that want a key have in common."""

from __future__ import annotations

from typing import ClassVar

from reagent_sdk.tools.search.providers.http import HttpProvider
from reagent_sdk.tools.search.providers.pace import Pace


class KeyedProvider(HttpProvider):
    """A provider behind an HTTP interface that wants a key.

    Args:
        api_key: the key, as in the environment variable that `key_variable` names.
        base_url: where the interface is; by default the provider's own.
        timeout: seconds for one request.
        pace: how fast it may be asked; by default as the free plan allows.

    Raises:
        InvalidInput: the address or the key cannot be used.
    """

    home: ClassVar[str]

    def __init__(
        self, api_key: str, *, base_url: str | None = None, timeout: float = 10.0, pace: Pace | None = None
    ) -> None:
        super().__init__(self.home if base_url is None else base_url, api_key, timeout=timeout, pace=pace)

    @property
    def _secret(self) -> str:
        return self._key.reveal() if self._key else ""

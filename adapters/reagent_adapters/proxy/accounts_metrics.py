"""Numbers about each key, by its name."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from reagent_sdk.usage import Usage

_PREFIX = "reagent_proxy_key_"


class AccountMetrics:
    """Counts what each key asks for and uses. Nothing is kept in the process's global registry.

    Args:
        registry: where the counters are shown, such as `Metrics.registry` of the server.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry(auto_describe=True)
        self._requests = self._counter("requests", "Requests that had a valid key.")
        self._refusals = self._counter("refusals", "Requests refused on account of the key.", "reason")
        self._tokens = self._counter("tokens", "Tokens used; cached ones are also in prompt.", "kind")
        self._calls = self._counter("calls", "Model calls made, the judge's as well.")
        self._usd = self._counter("usd", "US dollars of the calls whose price is known.")
        self._unpriced = self._counter("unpriced_calls", "Calls without a known price.")
        self._unmetered = self._counter("unmetered_calls", "Calls that reported no token counts.")

    def request(self, name: str) -> None:
        """Counts a request."""
        self._requests.labels(name).inc()

    def refusal(self, name: str, reason: str) -> None:
        """Counts a refusal: for the key, its model, a rate, a budget, or the ledger that could not be asked."""
        self._refusals.labels(name, reason).inc()

    def used(self, name: str, usage: Usage) -> None:
        """Counts what a request used."""
        self._tokens.labels(name, "prompt").inc(usage.prompt_tokens)
        self._tokens.labels(name, "completion").inc(usage.completion_tokens)
        self._tokens.labels(name, "cached").inc(usage.cached_tokens)
        self._calls.labels(name).inc(usage.calls)
        self._usd.labels(name).inc(usage.priced_usd)
        self._unpriced.labels(name).inc(usage.unpriced_calls)
        self._unmetered.labels(name).inc(usage.unmetered_calls)

    def _counter(self, what: str, told: str, *labels: str) -> Counter:
        return Counter(_PREFIX + what, told, ("key", *labels), registry=self.registry)

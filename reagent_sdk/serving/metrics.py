"""The server's own numbers, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from reagent_sdk.serving.account import Account
    from reagent_sdk.serving.backends import Backend
    from reagent_sdk.serving.drain import Drain
    from reagent_sdk.serving.in_flight import InFlight

PREFIX = "reagent_serve_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
"""Upper bounds: a probe takes milliseconds, a verdict on a CPU minutes."""


class Metrics:
    """Counts requests and tokens. One object a server: nothing is kept in the process's global registry.

    Args:
        prefix: what all names begin with.
    """

    def __init__(self, prefix: str = PREFIX) -> None:
        self._prefix = prefix
        self.registry = CollectorRegistry(auto_describe=True)
        self._requests = Counter(prefix + "requests", "Requests answered.", ("path", "status"), registry=self.registry)
        self._seconds = Histogram(
            prefix + "request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._tokens = Counter(
            prefix + "tokens",
            "Tokens that replies reported; cached ones are also in prompt.",
            ("kind",),
            registry=self.registry,
        )
        for kind in ("prompt", "completion", "cached"):
            self._tokens.labels(kind)

    def watch(self, drain: Drain, in_flight: InFlight, backend: Backend | None = None) -> None:
        """Adds what is not counted but looked up: the state of the server and, where it has one, of its backend."""
        self.look_up("in_flight", "Requests being served.", lambda: in_flight.count)
        self.look_up("draining", "1 while the server finishes its last requests.", lambda: drain.draining)
        if backend is not None:
            self.registry.register(_BackendState(backend))

    def look_up(self, name: str, told: str, value: Callable[[], float]) -> None:
        """Adds a number that is looked up whenever somebody asks."""
        Gauge(self._prefix + name, told, registry=self.registry).set_function(value)

    def count(self, account: Account) -> None:
        """Counts a request that has ended."""
        self._requests.labels(account.path, account.status).inc()
        self._seconds.labels(account.path).observe(account.seconds)
        if account.usage is not None:
            self._tokens.labels("prompt").inc(account.usage.prompt_tokens)
            self._tokens.labels("completion").inc(account.usage.completion_tokens)
            self._tokens.labels("cached").inc(account.usage.cached_tokens)

    def page(self, backend: bytes = b"") -> bytes:
        """All numbers as text.

        Args:
            backend: the backend's own page, appended when it is one and claims none of our names.
        """
        own = generate_latest(self.registry)
        return own + _readable(backend)


class _BackendState(Collector):
    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(PREFIX + "backend_up", "1 while the backend answers.", labels=["engine"])
        up.add_metric([self._backend.engine], self._backend.target is not None)
        restarts = CounterMetricFamily(PREFIX + "backend_restarts", "Starts after the first one.", labels=["engine"])
        restarts.add_metric([self._backend.engine], self._backend.restarts)
        return up, restarts


def _readable(page: bytes) -> bytes:
    """The page if it can be appended, else nothing: one bad line would cost the scraper all numbers."""
    try:
        text = page.decode()
        names = [family.name for family in text_string_to_metric_families(text)]
    except (ValueError, KeyError, IndexError):
        return b""
    if any(name.startswith(PREFIX) for name in names):
        return b""
    return text.rstrip("\n").encode() + b"\n" if names else b""

"""One span that is written after the fact."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, cast

from reagent_sdk.telemetry import Told

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Span, Status, StatusCode

SCOPE = "reagent_sdk"


class PastSpan:
    """Collects what `Told` sets, as a live span would.

    Args:
        run_id: of the run whose trace it belongs to.
        path: names it within the trace, such as `run/attempt-0/chat-1`.
        name: such as `invoke_agent`.
        kind: of OpenInference: CHAIN, AGENT, EVALUATOR, LLM or TOOL.
        parent: the span around it.

    Attributes:
        told: sets attributes.
        times: first and last nanosecond since 1970.
    """

    def __init__(self, run_id: str, path: str, name: str, kind: str, parent: PastSpan | None = None) -> None:
        self.run_id, self.path, self.name, self.parent = run_id, path, name, parent
        self.attributes: dict[str, Any] = {"openinference.span.kind": kind}
        self.times = (0, 0)
        self.told = Told(cast("Span", self))
        self._events: list[tuple[str, dict[str, Any]]] = []
        self._failed = ""

    def set_attributes(self, attributes: dict[str, Any]) -> None:
        """Takes attributes."""
        self.attributes.update(attributes)

    def set_attribute(self, name: str, value: Any) -> None:
        """Takes one attribute."""
        self.attributes[name] = value

    def set_status(self, status: Status | StatusCode, description: str = "") -> None:
        """Takes down a failure, the only status that is ever told."""
        self._failed = description

    def event(self, name: str, attributes: dict[str, Any]) -> None:
        """Adds an event at the span's end."""
        self._events.append((name, attributes))

    def readable(self) -> ReadableSpan:
        """The span as OpenTelemetry's encoder takes it."""
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import Event, ReadableSpan
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        from opentelemetry.trace import Status, StatusCode

        from reagent_sdk import __version__

        status = Status(StatusCode.ERROR, self._failed) if self._failed else Status()
        return ReadableSpan(
            name=self.name,
            context=self._context(),
            parent=self.parent._context() if self.parent else None,
            resource=Resource({"service.name": "reagent-sdk", "service.version": __version__}),
            attributes=self.attributes,
            events=[Event(name, attributes, timestamp=self.times[1]) for name, attributes in self._events],
            status=status,
            start_time=self.times[0],
            end_time=self.times[1],
            instrumentation_scope=InstrumentationScope(SCOPE, __version__),
        )

    def _context(self) -> Any:
        from opentelemetry.trace import SpanContext, TraceFlags

        return SpanContext(
            trace_id=_number(self.run_id, 16),
            span_id=_number(f"{self.run_id}/{self.path}", 8),
            is_remote=False,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
        )


def _number(name: str, size: int) -> int:
    """A number of so many bytes that is this name's alone; 0 would be no id."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:size], "big") or 1

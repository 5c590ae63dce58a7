"""Runs as OTLP/JSON traces: the spans that `telemetry.py` tells while a run goes on, written afterwards.

The log knows when a run began and how long its calls took, not when each of them began: spans are laid end to end, and
all but the root say so (`reagent.times` is "estimated"). Ids are hashes of the run's id, so that a second export of a
run is the same trace.
"""

from __future__ import annotations

import base64
from typing import Any

from reagent_sdk.errors import MissingExtra
from reagent_sdk.exports.otel_tree import tree_of
from reagent_sdk.run import Run


def require_encoder() -> None:
    """Looks for OpenTelemetry's own encoder.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import opentelemetry.exporter.otlp.proto.common.trace_encoder  # noqa: F401
    except ImportError:
        raise MissingExtra("exporting OpenTelemetry traces", "otel") from None


def trace_of(run: Run, *, texts: bool = True) -> dict[str, Any]:
    """A run as one `ExportTraceServiceRequest` in OTLP's JSON encoding.

    Args:
        run: any run.
        texts: whether spans hold questions, answers, critiques, arguments and results. The judge's analysis stays out.
    """
    from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    message = encode_spans([span.readable() for span in tree_of(run, texts=texts)])
    trace: dict[str, Any] = MessageToDict(message, use_integers_for_enums=True)
    for resource in trace["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                # OTLP writes ids in hexadecimal, unlike protobuf's own JSON.
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in span:
                        span[name] = base64.b64decode(span[name]).hex()
    return trace

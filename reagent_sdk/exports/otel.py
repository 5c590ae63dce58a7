"""Runs as OTLP/JSON traces: the spans that `telemetry.py` tells while a run goes on, written afterwards.

The log knows when a run began and how long its calls took, not when each of them began: spans are laid end to end, and
all but the root say so (`reagent.times` is "estimated"). Ids are hashes of the run's id, so that a second export of a
run is the same trace.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from reagent_sdk.errors import InvalidInput, MissingExtra
from reagent_sdk.exports.otel_tree import tree_of
from reagent_sdk.run import Run

_IDS = ("traceId", "spanId", "parentSpanId")


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
    _ids(trace, lambda text: base64.b64decode(text).hex())
    return trace


def as_protobuf(line: str | bytes) -> bytes:
    """A line of an export as the bytes that a server of OTLP over HTTP takes: some take no JSON.

    Raises:
        InvalidInput: it is no such line.
        MissingExtra: OpenTelemetry's encoder is not installed.
    """
    require_encoder()
    from google.protobuf.json_format import ParseDict, ParseError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        trace = json.loads(line)
        _ids(trace, lambda text: base64.b64encode(bytes.fromhex(text)).decode())
        encoded: bytes = ParseDict(trace, ExportTraceServiceRequest()).SerializeToString()
    except (ValueError, TypeError, KeyError, AttributeError, ParseError) as error:
        raise InvalidInput(f"not a line of `reagent runs export --format otel` ({error})") from None
    return encoded


def _ids(trace: dict[str, Any], written: Callable[[str], str]) -> None:
    """Rewrites all ids: OTLP has them in hexadecimal, unlike protobuf's own JSON."""
    for resource in trace["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in _IDS:
                    if name in span:
                        span[name] = written(span[name])

"""Sending spans and metrics away by OTLP over HTTP, as the standard `OTEL_*` variables say. Imported when it is wanted.

The OpenTelemetry SDK reads those variables itself. What it would ignore here, or print on the standard output that is
the protocol's pipe, is refused.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence

from keyframe_mcp.errors import InvalidSettings
from keyframe_mcp.telemetry.standard import unusable

try:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
except ImportError as missing:
    raise InvalidSettings(
        f"KEYFRAME_TELEMETRY is set, and what sends telemetry is not installed ({missing.name}): "
        "pip install 'keyframe-mcp[telemetry]', or unset the variable"
    ) from None
except Exception as broken:
    # some variables are read while it is imported, and each module raises what it likes
    raise unusable(broken, os.environ) from broken

from opentelemetry import trace

from keyframe_mcp import __version__
from keyframe_mcp.telemetry.cleaning import Cleaning, Cleanse
from keyframe_mcp.telemetry.recorder import Recorder, Tally

SCOPE = "keyframe-mcp"
END_SECONDS = 1.0
EXPORTERS = ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL")


def start(environment: Mapping[str, str], tally: Tally, cleanse: Cleanse) -> Recorder:
    """An observer whose spans and metrics are sent away. Raises `InvalidSettings` for what cannot be done as asked."""
    require_possible(environment)
    try:
        spans = [BatchSpanProcessor(Cleaning(OTLPSpanExporter(), cleanse))] if wanted("TRACES", environment) else []
        readers = [PeriodicExportingMetricReader(OTLPMetricExporter())] if wanted("METRICS", environment) else []
        return recorder(spans, readers, tally)
    except Exception as broken:  # whatever the SDK raises over its variables
        raise unusable(broken, environment) from broken


def recorder(processors: Sequence[SpanProcessor], readers: Sequence[MetricReader], tally: Tally) -> Recorder:
    """An observer whose spans and metrics go there. It becomes the one that the MCP SDK's spans go to."""
    ours = Resource.create({"service.name": SCOPE, "service.version": __version__})
    resource = ours.merge(OTELResourceDetector().detect())
    tracing = TracerProvider(resource=resource, shutdown_on_exit=False)
    for each in processors:
        tracing.add_span_processor(each)
    metering = MeterProvider(readers, resource, shutdown_on_exit=False)
    trace.set_tracer_provider(tracing)
    tracer, meter = tracing.get_tracer(SCOPE, __version__), metering.get_meter(SCOPE, __version__)
    return Recorder(tracer, meter, tally, lambda: at_most(END_SECONDS, tracing.shutdown, metering.shutdown))


def at_most(seconds: float, *ends: Callable[[], None]) -> None:
    """Carry them out beside each other, and be gone in time: a collector that does not answer holds nobody up."""
    threads = [threading.Thread(target=end, name="keyframe-telemetry-end", daemon=True) for end in ends]
    for each in threads:
        each.start()
    for each in threads:
        each.join(seconds / len(threads))


def require_possible(environment: Mapping[str, str]) -> None:
    """Raise `InvalidSettings` for a way of sending there is not."""
    for name in EXPORTERS:
        if (value := environment.get(name, "").strip().lower()) not in ("", "otlp", "none"):
            raise InvalidSettings(f"{name}={value} cannot be used; otlp, the default, and none can")
    for name in PROTOCOLS:
        if (value := environment.get(name, "").strip().lower()) not in ("", "http/protobuf"):
            raise InvalidSettings(f"{name}={value} cannot be used; http/protobuf, the default, can")


def wanted(signal: str, environment: Mapping[str, str]) -> bool:
    """Whether spans, or metrics, are to be sent."""
    return environment.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() != "none"

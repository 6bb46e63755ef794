"""Spans as they may leave: what others wrote into them is looked through before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status
from opentelemetry.util.types import AnyValue, Attributes

Cleanse = Callable[[str], str]

UNSAID = frozenset({"exception.message", "exception.stacktrace"})
"""Texts of exceptions quote what they choke on: prompts, addresses, whole requests. Their types stay."""
MOST_CHARACTERS = 120  # of a name; the MCP SDK puts what a client calls a tool into it


class Cleaning(SpanExporter):
    """Another exporter, which gets spans without texts of exceptions, keys and signatures."""

    def __init__(self, exporter: SpanExporter, cleanse: Cleanse) -> None:
        self._exporter = exporter
        self._cleanse = cleanse

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send them."""
        return self._exporter.export([self._cleaned(each) for each in spans])

    def shutdown(self) -> None:
        """Send what is left, and end."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is left."""
        return self._exporter.force_flush(timeout_millis)

    def _cleaned(self, span: ReadableSpan) -> ReadableSpan:
        return ReadableSpan(
            name=self._cleanse(span.name)[:MOST_CHARACTERS],
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=self._values(span.attributes),
            events=[Event(each.name, self._values(each.attributes), each.timestamp) for each in span.events],
            links=span.links,
            kind=span.kind,
            status=Status(span.status.status_code),  # its description is the text of an exception
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _values(self, attributes: Attributes) -> dict[str, AnyValue]:
        kept = {name: value for name, value in (attributes or {}).items() if name not in UNSAID}
        return {name: self._cleanse(value) if isinstance(value, str) else value for name, value in kept.items()}

"""Which trace a request belongs to, and how long its answer takes. Around everything else, the SDK's own span too."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.types import CallToolResult

from keyframe_mcp.server.beneath import handler_of
from keyframe_mcp.telemetry import Observer
from keyframe_mcp.telemetry.correlation import answering, correlation_of, trace_id_of

TRACEPARENT = "traceparent"
OTHER = "_OTHER"


@dataclass(frozen=True)
class Correlating:
    """Middleware. A client names its trace in `_meta`, or over HTTP in a header; the SDK heeds only the former."""

    server: MCPServer
    observer: Observer
    tools: Collection[str]

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Answer a request with a correlation id in force."""
        meta = cast("Mapping[str, object]", ctx.meta or {})
        headers = headers_of(ctx.request) if trace_id_of(meta.get(TRACEPARENT)) is None else {}
        correlation = correlation_of(headers.get(TRACEPARENT) if headers else meta.get(TRACEPARENT))
        with answering(correlation), self.observer.continuing(headers):
            if ctx.request_id is None:
                return await call_next(ctx)
            with self.observer.calling(self._method(ctx.method), self._tool(ctx)) as told:
                result = await call_next(ctx)
                if is_error(result):
                    told.failed("tool_error")
                return result

    def _method(self, method: str) -> str:
        """A method there is: a client may ask for any."""
        return method if handler_of(self.server, method) is not None else OTHER

    def _tool(self, ctx: ServerRequestContext[Any, Any]) -> str | None:
        """A tool there is."""
        if ctx.method != "tools/call":
            return None
        name = (ctx.params or {}).get("name")
        return name if isinstance(name, str) and name in self.tools else OTHER


def headers_of(request: object) -> dict[str, str]:
    """What the headers of an HTTP request say of its trace. Nothing where there is no such request, or no trace."""
    headers = getattr(request, "headers", None)
    if not isinstance(headers, Mapping):
        return {}
    found = cast("Mapping[str, str]", headers)
    if trace_id_of(found.get(TRACEPARENT)) is None:
        return {}
    return {name: found[name] for name in (TRACEPARENT, "tracestate") if name in found}


def is_error(result: HandlerResult) -> bool:
    """Whether a tool answered with an error, before or after it became a plain dictionary."""
    match result:
        case CallToolResult(is_error=True) | {"isError": True}:
            return True
        case _:
            return False

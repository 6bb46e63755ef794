"""The first thing a request meets: it must call this server by one of its names, and not come from a stranger's page.

A browser sends any page's requests to this machine, and a name in the DNS can be made to point here; neither may
reach a tool, a file or an upload (the specification asks for both checks).
"""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from keyframe_mcp.server.http.access import LOOPBACK_ORIGIN, METADATA, Access

METHODS = ("GET", "HEAD", "POST", "DELETE")
REQUEST_HEADERS = (
    "Accept",
    "Authorization",
    "Content-Type",
    "If-None-Match",
    "If-Range",
    "Last-Event-ID",
    "Mcp-Method",
    "Mcp-Name",
    "Mcp-Protocol-Version",
    "Mcp-Session-Id",
    "Range",
    "Traceparent",
    "Tracestate",
)
RESPONSE_HEADERS = ("Content-Range", "ETag", "Location", "Mcp-Session-Id", "Retry-After", "WWW-Authenticate")
FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip")
"""What proxies say. Not all do: a sign-in is what keeps others out."""
PREFLIGHT_SECONDS = 600


class Gate:
    """Refuses requests for other hosts, and from pages of other origins."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it in, or say why not."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        host, origin = header(scope, b"host") or "", header(scope, b"origin")
        if not self._access.knows(host):
            refusal = refused(421, f"this server is not called {host[:100]!r}; KEYFRAME_ALLOWED_HOSTS gives its names")
        elif origin is not None and not is_for_everybody(scope) and not self._access.welcomes(origin):
            allowing = "KEYFRAME_ALLOWED_ORIGINS names those that may"
            refusal = refused(403, f"pages of {origin[:100]!r} may not call; {allowing}")
        elif self._access.is_open and any(header(scope, each) is not None for each in FORWARDED):
            refusal = refused(403, "a proxy brings others here, and there is no sign-in; set KEYFRAME_AUTH_TOKENS")
        else:
            await self.app(scope, receive, send)
            return
        await refusal(scope, receive, send)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start and end go through. Web sockets do not: nothing here speaks them, and nothing would check them."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})


class Sharing(CORSMiddleware):
    """Tells browsers what pages may read. Whoever posts without an origin is none, and nobody keeps such an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with the headers that browsers ask for."""
        needless = scope["type"] == "http" and (
            (scope["method"] == "POST" and header(scope, b"origin") is None) or is_for_everybody(scope)
        )
        await (self.app(scope, receive, send) if needless else super().__call__(scope, receive, send))


def is_for_everybody(scope: Scope) -> bool:
    """Whether it is what any page may read: where tokens come from (RFC 9728), which has headers of its own."""
    return str(scope["path"]).startswith(METADATA)


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of that name, which is in small letters."""
    return next((value.decode("latin-1") for each, value in scope["headers"] if each == name), None)


def refused(status: int, message: str) -> JSONResponse:
    """What was wrong, for people and programs."""
    return JSONResponse({"error": message}, status)


def sharing(access: Access) -> Middleware:
    """What pages of other origins may do, and read: nothing, but for those that are named."""
    return Middleware(
        Sharing,
        allow_origins=access.origins,
        allow_origin_regex=LOOPBACK_ORIGIN if access.is_private else None,
        allow_methods=METHODS,
        allow_headers=REQUEST_HEADERS,
        expose_headers=RESPONSE_HEADERS,
        max_age=PREFLIGHT_SECONDS,
    )

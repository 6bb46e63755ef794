"""Serving over HTTP: Streamable HTTP on /mcp, SSE on /sse for older clients, and what belongs to them, from one app."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import time
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial

import uvicorn
from mcp.server import MCPServer
from mcp.server.auth.provider import TokenVerifier
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from keyframe_mcp.app import Application
from keyframe_mcp.engine import Caller
from keyframe_mcp.errors import InvalidSettings
from keyframe_mcp.server import build_server
from keyframe_mcp.server.http.access import Access, access_of
from keyframe_mcp.server.http.connections import BACKLOG, HEAD_SECONDS, Accidents, connections, most_connections
from keyframe_mcp.server.http.ending import Outermost, QuietServer, serve_until_signal
from keyframe_mcp.server.http.files import Files
from keyframe_mcp.server.http.gate import Gate, sharing
from keyframe_mcp.server.http.health import Checks, Health
from keyframe_mcp.server.http.rooms import MCP_PATH, Beside, Rooms, Transport
from keyframe_mcp.server.http.signing_in import guarded, metadata_routes
from keyframe_mcp.server.http.uploads import UPLOAD_SECONDS, Reception, how_to_upload
from keyframe_mcp.server.http.webhooks import ROUTE, WebhookCalls
from keyframe_mcp.server.links import Links

__all__ = ["Access", "Site", "Transport", "access_of", "configured", "listen", "serve_http"]

GRACE_SECONDS = 3
OBJECTS_BEFORE_A_SEARCH = 10_000


class Site:
    """Everything that is served from one port. `furnish` makes an owner's server."""

    def __init__(
        self,
        application: Application,
        access: Access,
        transports: Collection[Transport],
        furnish: Callable[[str], MCPServer] | None = None,
        upload_seconds: float = UPLOAD_SECONDS,
    ) -> None:
        self._access = access
        self._application = application
        self.links = links_of(application, access)
        self._reception = Reception(application.uploads, upload_seconds)
        self._webhooks = WebhookCalls(application.webhooks, application.engine.clock)
        self.rooms = Rooms(furnish or furnisher(application, access, self.links), transports, application.engine.clock)
        self.health = Health(checks_of(application))
        self.app = Starlette(
            routes=self._routes(),
            lifespan=self._open,
            middleware=[Middleware(Outermost), Middleware(Gate, access=access), sharing(access)],
        )

    def _routes(self) -> list[BaseRoute]:
        signed = signed_tokens(self._access, self.rooms.beside)
        reception = guarded(self._reception, self._access, signed)
        rooms = guarded(self.rooms, self._access, signed)
        return [
            Route(MCP_PATH, rooms),  # first: a router tries one after the other
            Route("/health", self.health.health),
            Route("/ready", self.health.ready),
            *metadata_routes(self._access),
            Route("/files/{path:path}", Files(self.links)),
            Route(ROUTE, self._webhooks.receive, methods=["POST"]),
            Route("/uploads", reception),
            Route("/uploads/{upload_id}", reception),
            Mount("/", rooms),
        ]

    @asynccontextmanager
    async def _open(self, _: Starlette) -> AsyncGenerator[None]:
        async with self.rooms.open():
            yield

    def begin_end(self) -> None:
        """The process is about to end: nothing new, and what only waits is let go."""
        self.health.is_ending = True
        self._application.engine.bulletin.let_go()
        self.rooms.end_streams()


def furnisher(application: Application, access: Access, links: Links) -> Callable[[str], MCPServer]:
    """Whoever calls over a socket need not be the person whose files these are: paths mean nothing here."""

    def furnish(owner: str) -> MCPServer:
        caller = Caller(owner=owner, may_name_files=False, upload=how_to_upload(access))
        return build_server(application, caller, links=links)

    return furnish


def links_of(application: Application, access: Access) -> Links:
    """Addresses for results. On a server for this machine alone, paths are told beside them."""
    return Links(
        application.seal,
        application.engine.clock,
        application.settings.output_dir,
        access.base_url,
        shows_files=access.is_private,
    )


def checks_of(application: Application) -> Checks:
    """What has to work for the server to be of use."""

    async def database() -> None:
        await application.engine.store.recent("", limit=1)

    return {"database": database}


def signed_tokens(access: Access, beside: Beside) -> TokenVerifier | None:
    """What checks an issuer's tokens, if any are accepted. `beside` does something while requests are answered."""
    if access.oauth is None:
        return None
    from keyframe_mcp.server.http.jwks import fetch_keys  # noqa: PLC0415 - only where OAuth is set up
    from keyframe_mcp.server.http.keys import Keys  # noqa: PLC0415 - as above: 20 ms of cryptography
    from keyframe_mcp.server.http.oauth import SignedTokens  # noqa: PLC0415 - as above

    return SignedTokens(access.oauth, Keys(partial(fetch_keys, access.oauth.jwks_url), time.monotonic, beside))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `InvalidSettings` for a port that is taken, or an address this machine has not."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InvalidSettings(
            f"{host} port {port} cannot be used ({error.strerror}); choose another with --port or --host"
        ) from None


def search_seldom() -> None:
    """Have Python look for garbage less often, and never through what is there from the start.

    With many clients at once a search after every 700 new objects is a sixth of the time of a call
    (docs/performance.md, mcp 2.3 on Python 3.11): what is new belongs to calls that go on.
    """
    gc.freeze()
    gc.set_threshold(OBJECTS_BEFORE_A_SEARCH, 10, 10)


def configured(app: ASGIApp, most: int | None = None, head_seconds: float = HEAD_SECONDS) -> uvicorn.Config:
    """How connections are served: at most so many at once, each with so long to send the head of a request."""
    return uvicorn.Config(
        app,
        log_level="warning",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
        proxy_headers=False,  # nothing here asks who a client says it is, or by which scheme it came
        http=connections(most or most_connections(), head_seconds),
        ws="none",
        backlog=BACKLOG,
    )


async def serve_http(site: Site, listening: socket.socket, application: Application) -> None:
    """Serve until SIGTERM or SIGINT; open streams are ended, calls get a few seconds, everything is written down."""
    search_seldom()
    asyncio.get_running_loop().set_exception_handler(Accidents())
    config = configured(site.app)
    if sys.platform == "win32":  # event loops there have no signal handlers
        await uvicorn.Server(config).serve(sockets=[listening])
    else:
        await serve_until_signal(QuietServer(config), listening, site.begin_end)
    await application.stop()

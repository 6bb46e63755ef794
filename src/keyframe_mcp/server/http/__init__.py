"""Serving over HTTP: Streamable HTTP on /mcp, SSE on /sse for older clients, and what belongs to them, from one app."""

from __future__ import annotations

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

from keyframe_mcp.app import Application
from keyframe_mcp.engine import Caller
from keyframe_mcp.errors import InvalidSettings
from keyframe_mcp.server import build_server
from keyframe_mcp.server.http.access import Access, access_of
from keyframe_mcp.server.http.ending import QuietServer, serve_until_signal
from keyframe_mcp.server.http.gate import Gate, sharing
from keyframe_mcp.server.http.health import Checks, Health
from keyframe_mcp.server.http.rooms import Rooms, Transport
from keyframe_mcp.server.http.signing_in import guarded, metadata_routes

__all__ = ["Access", "Site", "Transport", "access_of", "listen", "serve_http"]

GRACE_SECONDS = 3


class Site:
    """Everything that is served from one port. `furnish` makes an owner's server."""

    def __init__(
        self,
        application: Application,
        access: Access,
        transports: Collection[Transport],
        furnish: Callable[[str], MCPServer] | None = None,
    ) -> None:
        self._access = access
        self.rooms = Rooms(furnish or furnisher(application), transports, application.engine.clock)
        self.health = Health(checks_of(application))
        self.app = Starlette(
            routes=self._routes(),
            lifespan=self._open,
            middleware=[Middleware(Gate, access=access), sharing(access)],
        )

    def _routes(self) -> list[BaseRoute]:
        return [
            Route("/health", self.health.health),
            Route("/ready", self.health.ready),
            *metadata_routes(self._access),
            Mount("/", guarded(self.rooms, self._access, signed_tokens(self._access))),
        ]

    @asynccontextmanager
    async def _open(self, _: Starlette) -> AsyncGenerator[None]:
        async with self.rooms.open():
            yield

    def begin_end(self) -> None:
        """The process is about to end: nothing new, and what only waits is let go."""
        self.health.is_ending = True
        self.rooms.end_streams()


def furnisher(application: Application) -> Callable[[str], MCPServer]:
    """Whoever calls over a socket need not be the person whose files these are: paths mean nothing here."""

    def furnish(owner: str) -> MCPServer:
        return build_server(application, Caller(owner=owner, may_name_files=False))

    return furnish


def checks_of(application: Application) -> Checks:
    """What has to work for the server to be of use."""

    async def database() -> None:
        await application.engine.store.recent("", limit=1)

    return {"database": database}


def signed_tokens(access: Access) -> TokenVerifier | None:
    """What checks an issuer's tokens, if any are accepted."""
    if access.oauth is None:
        return None
    from keyframe_mcp.server.http.jwks import fetch_keys  # noqa: PLC0415 - only where OAuth is set up
    from keyframe_mcp.server.http.oauth import Keys, SignedTokens  # noqa: PLC0415 - as above: 20 ms of cryptography

    return SignedTokens(access.oauth, Keys(partial(fetch_keys, access.oauth.jwks_url), time.monotonic))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `InvalidSettings` for a port that is taken, or an address this machine has not."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InvalidSettings(
            f"{host} port {port} cannot be used ({error.strerror}); choose another with --port or --host"
        ) from None


async def serve_http(site: Site, listening: socket.socket, application: Application) -> None:
    """Serve until SIGTERM or SIGINT; open streams are ended, calls get a few seconds, everything is written down."""
    config = uvicorn.Config(
        site.app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_SECONDS, server_header=False
    )
    if sys.platform == "win32":  # event loops there have no signal handlers
        await uvicorn.Server(config).serve(sockets=[listening])
    else:
        await serve_until_signal(QuietServer(config), listening, site.begin_end)
    await application.stop()

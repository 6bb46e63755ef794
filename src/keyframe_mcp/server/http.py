"""Serving over HTTP on this machine: Streamable HTTP on /mcp and, for older clients, SSE on /sse, from one app."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Collection, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Literal

import anyio
import uvicorn
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from keyframe_mcp import __version__
from keyframe_mcp.app import Application
from keyframe_mcp.errors import InvalidSettings
from keyframe_mcp.server.beneath import close_standing_streams
from keyframe_mcp.server.notices import end_listening

Transport = Literal["http", "sse"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LOOPBACK_ORIGIN = r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?"
GRACE_SECONDS = 3


def build_app(server: MCPServer, port: int, transports: Collection[Transport]) -> Starlette:
    """One app for the transports asked for. Requests for other hosts, or from other origins, are refused."""
    security = TransportSecuritySettings(
        allowed_hosts=[name for host in ("127.0.0.1", "localhost", "[::1]") for name in (host, f"{host}:{port}")],
        allowed_origins=[f"http://{host}:*" for host in ("127.0.0.1", "localhost", "[::1]")],
    )
    routes: list[BaseRoute] = [Route("/health", health)]
    if "http" in transports:
        routes += server.streamable_http_app(transport_security=security).routes
    if "sse" in transports:
        routes += server.sse_app(transport_security=security).routes

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        if "http" not in transports:
            yield
            return
        async with server.session_manager.run():
            yield

    cors = Middleware(
        CORSMiddleware,
        allow_origin_regex=LOOPBACK_ORIGIN,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=["Mcp-Session-Id"],
    )
    return Starlette(routes=routes, lifespan=lifespan, middleware=[cors])


async def health(_: Request) -> Response:
    """Whether the process answers."""
    return JSONResponse({"status": "ok", "version": __version__})


class QuietServer(uvicorn.Server):
    """Leaves the signals to us: uvicorn ends by raising them again, before anything of ours could be put away."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Nothing here; see `serve_until_signal`."""
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises `InvalidSettings` for an address others can reach, which would hand every tool to the network, and for a
    port that is taken.
    """
    if host not in LOOPBACK:
        raise InvalidSettings(
            f"--host {host} would open this server to the network without any sign-in. "
            f"Use one of {', '.join(LOOPBACK)}, and a tunnel or an authenticating proxy for others to reach it"
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InvalidSettings(f"port {port} cannot be used ({error.strerror}); choose another with --port") from None


async def serve_http(
    server: MCPServer, listening: socket.socket, transports: Collection[Transport], application: Application
) -> None:
    """Serve until SIGTERM or SIGINT; open streams get a few seconds, and everything is written down."""
    config = uvicorn.Config(
        build_app(server, listening.getsockname()[1], transports),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    if sys.platform == "win32":  # event loops there have no signal handlers
        await uvicorn.Server(config).serve(sockets=[listening])
    else:
        await serve_until_signal(QuietServer(config), listening, partial(end_streams, server))
    await application.stop()


def end_streams(server: MCPServer) -> None:
    """End what clients keep open to be told of changes, in both eras: it would be waited for, and broken off."""
    end_listening(server)
    close_standing_streams(server)


async def serve_until_signal(server: uvicorn.Server, listening: socket.socket, before_end: Callable[[], None]) -> None:
    """Serve; the first signal asks for an orderly end, a second one for a quick one."""

    async def heed() -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                server.force_exit = server.should_exit
                server.should_exit = True
                before_end()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heed)
        await server.serve(sockets=[listening])
        tasks.cancel_scope.cancel()

"""Serving over HTTP on this machine: Streamable HTTP on /mcp and, for older clients, SSE on /sse, from one app."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from typing import Literal

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
from keyframe_mcp.errors import InvalidSettings

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


async def serve_http(server: MCPServer, host: str, port: int, transports: Collection[Transport]) -> None:
    """Serve until SIGTERM or SIGINT; open streams get a few seconds.

    Raises `InvalidSettings` for an address others can reach: that would hand every tool to the network.
    """
    if host not in LOOPBACK:
        raise InvalidSettings(
            f"--host {host} would open this server to the network without any sign-in. "
            f"Use one of {', '.join(LOOPBACK)}, and a tunnel or an authenticating proxy for others to reach it"
        )
    config = uvicorn.Config(
        build_app(server, port, transports),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    await uvicorn.Server(config).serve()

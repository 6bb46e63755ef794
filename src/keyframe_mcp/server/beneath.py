"""What the SDK has beneath its public face. Every look behind it is here, and tests assert that it is still there."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from mcp.server import MCPServer, Server
from mcp.server.connection import Connection
from mcp.server.session import ServerSession


def lowlevel(server: MCPServer) -> Server[Any]:
    """The server beneath, which can serve streams of ours and take handlers of ours."""
    return server._lowlevel_server  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no public way to it in mcp 2.3


def handler_of(server: MCPServer, method: str) -> object:
    """What answers a method, if anything does."""
    found = lowlevel(server).get_request_handler(method)
    return None if found is None else found.handler


def close_standing_streams(server: MCPServer) -> None:
    """End the streams that sessions of the older era over HTTP keep open for notifications. Their calls go on."""
    with suppress(RuntimeError):  # nobody serves them: only SSE was asked for
        for transport in server.session_manager._server_instances.values():  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no public way to them in mcp 2.3
            transport.close_standalone_sse_stream()


def connection_of(session: ServerSession) -> Connection:
    """The client's connection, which outlives the request and says when it ends."""
    return session._connection  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no public way to it in mcp 2.3

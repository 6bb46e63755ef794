"""What the SDK has beneath its public face. Every look behind it is here, and tests assert that it is still there."""

from __future__ import annotations

from typing import Any

from mcp.server import MCPServer, Server
from mcp.server.connection import Connection
from mcp.server.session import ServerSession


def lowlevel(server: MCPServer) -> Server[Any]:
    """The server beneath, which can serve streams of ours and take handlers of ours."""
    return server._lowlevel_server  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no public way to it in mcp 2.3


def connection_of(session: ServerSession) -> Connection:
    """The client's connection, which outlives the request and says when it ends."""
    return session._connection  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no public way to it in mcp 2.3

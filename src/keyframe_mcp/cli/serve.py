"""`keyframe-mcp serve`: the MCP server."""

from __future__ import annotations

import sys
from typing import Literal

import anyio
import click

from keyframe_mcp.cli.session import ME, session, settings
from keyframe_mcp.engine import Caller
from keyframe_mcp.server import build_server

Transports = Literal["stdio", "http", "sse", "all"]

PATHS = {"http": "/mcp", "sse": "/sse"}
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8765

# Whoever calls over a socket need not be the person whose files these are.
VISITOR = Caller(owner="local", may_name_files=False)


@click.command()
@click.option(
    "--transport",
    type=click.Choice(["stdio", "http", "sse", "all"]),
    default="stdio",
    show_default=True,
    help="stdio for a host that starts this process; http is Streamable HTTP on /mcp; sse is the older /sse; "
    "all is http and sse from one port.",
)
@click.option("--host", default=DEFAULT_HOST, show_default=True, help="The address to listen on; only this machine's.")
@click.option(
    "--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(1, 65535), help="The port to listen on."
)
def serve(transport: Transports = "stdio", host: str = DEFAULT_HOST, port: int = DEFAULT_PORT) -> None:
    """Serve MCP.

    Over http and sse, pictures are named by https URL or task:<id>; paths work over stdio only.
    """
    if transport != "stdio":
        anyio.run(over_http, transport, host, port)
    elif (host, port) != (DEFAULT_HOST, DEFAULT_PORT):
        raise click.UsageError("--host and --port need --transport http, sse or all")
    else:
        anyio.run(over_stdio)


async def over_stdio() -> None:
    """Serve the host that started this process."""
    from keyframe_mcp.server.stdio import serve_stdio  # noqa: PLC0415 - each transport imports only its own needs

    if sys.stdin.isatty():
        click.echo("Serving MCP on standard input, for a host; see `keyframe-mcp --help` for people.", err=True)
    async with session(settings()) as application:
        await serve_stdio(build_server(application, ME), application)


async def over_http(transport: Transports, host: str, port: int) -> None:
    """Serve whoever connects from this machine."""
    from keyframe_mcp.server.http import listen, serve_http  # noqa: PLC0415 - as above

    found = settings()
    with listen(host, port) as listening:
        async with session(found) as application:
            chosen = ("http", "sse") if transport == "all" else (transport,)
            addresses = " and ".join(f"http://{host}:{port}{PATHS[each]}" for each in chosen)
            click.echo(f"keyframe-mcp listens on {addresses}", err=True)
            server = build_server(application, VISITOR)
            await serve_http(server, listening, [each for each in chosen if each != "stdio"], application)

"""`keyframe-mcp serve`: the MCP server."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import anyio
import click

from keyframe_mcp.cli.logs import announce
from keyframe_mcp.cli.session import ME, session, settings
from keyframe_mcp.server import build_server
from keyframe_mcp.settings import LOG_FORMATS

if TYPE_CHECKING:
    from keyframe_mcp.server.http import Access

Transports = Literal["stdio", "http", "sse", "all"]
Network = Literal["http", "sse"]

PATHS: Mapping[Network, str] = MappingProxyType({"http": "/mcp", "sse": "/sse"})
CHOICES: Mapping[Transports, tuple[Network, ...]] = MappingProxyType(
    {"stdio": (), "http": ("http",), "sse": ("sse",), "all": ("http", "sse")}
)
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8765


@click.command()
@click.option(
    "--transport",
    type=click.Choice(["stdio", "http", "sse", "all"]),
    default="stdio",
    show_default=True,
    help="stdio for a host that starts this process; http is Streamable HTTP on /mcp; sse is the older /sse; "
    "all is http and sse from one port.",
)
@click.option(
    "--host",
    default=DEFAULT_HOST,
    show_default=True,
    help="The address to listen on. Others than this "
    "machine's need a sign-in: KEYFRAME_AUTH_TOKENS or KEYFRAME_OAUTH_ISSUER.",
)
@click.option(
    "--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(1, 65535), help="The port to listen on."
)
@click.option(
    "--log-format", type=click.Choice(LOG_FORMATS), help="How log lines look. Default: KEYFRAME_LOG_FORMAT, or text."
)
def serve(
    transport: Transports = "stdio",
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    log_format: str | None = None,
) -> None:
    """Serve MCP.

    Over http and sse, pictures are named by https URL, by upload:<id> (sent to /uploads before), or by task:<id>;
    paths work over stdio only.
    """
    if transport != "stdio":
        anyio.run(over_http, transport, host, port, log_format)
    elif (host, port) != (DEFAULT_HOST, DEFAULT_PORT):
        raise click.UsageError("--host and --port need --transport http, sse or all")
    else:
        anyio.run(over_stdio, log_format)


async def over_stdio(log_format: str | None = None) -> None:
    """Serve the host that started this process."""
    from keyframe_mcp.server.stdio import serve_stdio  # noqa: PLC0415 - each transport imports only its own needs

    if sys.stdin.isatty():
        click.echo("Serving MCP on standard input, for a host; see `keyframe-mcp --help` for people.", err=True)
    async with session(settings(log_format)) as application:
        await serve_stdio(build_server(application, ME), application)


async def over_http(transport: Transports, host: str, port: int, log_format: str | None = None) -> None:
    """Serve whoever may come in."""
    from keyframe_mcp.server.http import Site, access_of, listen, serve_http  # noqa: PLC0415 - as above

    found = settings(log_format)
    access = access_of(found, host, port)
    with listen(host, port) as listening:
        async with session(found) as application:
            chosen = CHOICES[transport]
            where = " and ".join(f"{access.base_url or f'port {port} of {host}'}{PATHS[each]}" for each in chosen)
            announce(f"keyframe-mcp listens on {where}{who(access, host, port)}")
            await serve_http(Site(application, access, chosen), listening, application)


def who(access: Access, host: str, port: int) -> str:
    """Who gets in, and where a proxy finds the server."""
    if access.is_open:
        return ", for whoever is on this machine; there is no sign-in"
    here = f"http://{host}:{port}"
    return "" if access.base_url == here else f"; a proxy finds it at {here}"

"""The whole server over HTTP, on a loopback port, inside the test: what comes in and goes out is real."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from keyframe_mcp.app import Application
from keyframe_mcp.server.http import Access, Site, access_of, configured, listen
from keyframe_mcp.server.http.ending import QuietServer
from keyframe_mcp.server.links import Links
from studio import open_server_inside

ANN, BEN = "a-token-of-ann-and-of-nobody-else", "a-token-of-ben-and-of-nobody-else"
NOTHING: Mapping[str, str] = {}
TOKENS = f"ann:{ANN}, ben:{BEN}"


@dataclass(frozen=True)
class Served:
    """A server that answers at `address`."""

    address: str
    application: Application
    site: Site
    access: Access
    links: Links

    @asynccontextmanager
    async def client(self, token: str | None = None) -> AsyncGenerator[httpx.AsyncClient]:
        """Whoever holds a token, or has none."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=self.address, headers=headers, trust_env=False, timeout=20) as client:
            yield client

    @asynccontextmanager
    async def agent(self, token: str | None = None, era: Any = "auto") -> AsyncGenerator[Client]:
        """An MCP client of theirs."""
        if token is None:
            async with Client(f"{self.address}/mcp", mode=era) as client:
                yield client
        else:
            async with signed_in(self.address, token, era) as client:
                yield client


@asynccontextmanager
async def open_site(
    folder: Path,
    settings: Mapping[str, str] = NOTHING,
    upload_seconds: float = 60,
    most: int = 100,
    head_seconds: float = 20,
    **more: str,
) -> AsyncGenerator[Served]:
    """A server on a free port of this machine. With KEYFRAME_PUBLIC_URL it believes that others reach it there."""
    async with open_server_inside(folder, **{**settings, **more}) as application:
        with listen("127.0.0.1", 0) as listening:
            port = listening.getsockname()[1]
            access = access_of(application.settings, "127.0.0.1", port)
            site = Site(application, access, ("http", "sse"), upload_seconds=upload_seconds)
            server = QuietServer(configured(site.app, most, head_seconds))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(server.serve, [listening])
                try:
                    yield Served(f"http://127.0.0.1:{port}", application, site, access, site.links)
                finally:
                    site.begin_end()
                    server.should_exit = True


@asynccontextmanager
async def signed_in(address: str, token: str, era: Any = "auto") -> AsyncGenerator[Client]:
    """An MCP client with a bearer token."""
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=60) as http,
        Client(streamable_http_client(f"{address}/mcp", http_client=http), mode=era) as client,
    ):
        yield client


def browser(**headers: str) -> httpx.AsyncClient:
    """Any HTTP client."""
    return httpx.AsyncClient(headers=headers, trust_env=False, timeout=20)


async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool answers."""
    with anyio.fail_after(50):
        answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    return answer.structured_content or {}


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    """Why a tool does not do it."""
    with anyio.fail_after(50):
        answer = await client.call_tool(tool, arguments)
    assert answer.is_error
    return "".join(getattr(each, "text", "") for each in answer.content)

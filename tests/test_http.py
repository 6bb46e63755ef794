"""The server over HTTP, as a process on a loopback port: Streamable HTTP and SSE from one app."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client.sse import sse_client

from test_stdio import environment


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@asynccontextmanager
async def serving(folder: Path, transport: str = "all") -> AsyncGenerator[str]:
    """The address of a server that answers."""
    port = free_port()
    command = [sys.executable, "-m", "keyframe_mcp", "serve", "--transport", transport, "--port", str(port)]
    quiet = subprocess.DEVNULL
    process = await anyio.open_process(command, env=environment(folder), cwd=folder, stdout=quiet, stderr=quiet)
    try:
        await answering(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        with anyio.fail_after(6):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.aclose()


async def answering(url: str) -> None:
    """Return once the server answers there."""
    async with httpx.AsyncClient(trust_env=False) as client:
        with anyio.fail_after(20):
            while not await answers(client, url):
                await anyio.sleep(0.05)


async def answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        await client.get(url)
    except httpx.TransportError:
        return False
    return True


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_both_transports_serve_one_store_in_both_eras(tmp_path: Path, era: str):
    async with serving(tmp_path) as address:
        with anyio.fail_after(60):
            async with Client(f"{address}/mcp", mode=era) as client:
                arguments = {"prompt": f"over http {era}", "duration": 1, "wait_seconds": 40}
                made = (await client.call_tool("generate_t2v", arguments)).structured_content
                assert made
                assert made["status"] == "succeeded"
            async with Client(sse_client(f"{address}/sse"), mode=era) as client:
                seen = (await client.call_tool("get_task", {"task_id": made["task_id"]})).structured_content
                assert seen
                assert seen["outputs"] == made["outputs"]
                refused = await client.call_tool("generate_i2v", {"image": "/etc/hostname"})
                assert refused.is_error


async def test_foreign_hosts_and_origins_are_refused(tmp_path: Path):
    async with serving(tmp_path) as address, httpx.AsyncClient(trust_env=False) as client:
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        accept = {"Accept": "application/json, text/event-stream"}
        for path in ("/mcp", "/messages/?session_id=0"):
            evil_host = await client.post(address + path, json=ping, headers=accept | {"Host": "evil.example"})
            evil_origin = await client.post(
                address + path, json=ping, headers=accept | {"Origin": "http://evil.example"}
            )
            assert evil_host.status_code == 421
            assert evil_origin.status_code == 403
        asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
        preflight = await client.options(f"{address}/mcp", headers=asked)
        assert "access-control-allow-origin" not in preflight.headers


async def test_only_the_transport_asked_for_is_there(tmp_path: Path):
    async with serving(tmp_path, "http") as address, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{address}/sse")).status_code == 404
        assert (await client.get(f"{address}/health")).json()["status"] == "ok"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "example.com"])  # noqa: S104 - it is refused
def test_an_address_others_can_reach_is_refused(tmp_path: Path, host: str):
    command = [sys.executable, "-m", "keyframe_mcp", "serve", "--transport", "http", "--host", host]
    ended = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=30, check=False)

    assert ended.returncode == 3
    assert "without any sign-in" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_port_that_is_taken_is_said_in_a_sentence(tmp_path: Path):
    async with serving(tmp_path) as address:
        port = address.rpartition(":")[2]
        command = [sys.executable, "-m", "keyframe_mcp", "serve", "--transport", "http", "--port", port]
        ended = await anyio.run_process(command, env=environment(tmp_path), check=False)

        assert ended.returncode == 3
        assert f"port {port} cannot be used" in ended.stderr.decode()
        assert "listens on" not in ended.stderr.decode()
        assert "Traceback" not in ended.stderr.decode()

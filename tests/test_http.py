"""The server over HTTP, as a process on a loopback port: Streamable HTTP and SSE from one app."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import Process
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
    async with running(folder, transport) as (address, process):
        yield address
        process.send_signal(signal.SIGTERM)
        with anyio.fail_after(6):
            assert await process.wait() == 0


@asynccontextmanager
async def running(folder: Path, transport: str) -> AsyncGenerator[tuple[str, Process]]:
    """The address of a server that answers, and its process, which writes its log into `log`."""
    port = free_port()
    command = [sys.executable, "-m", "keyframe_mcp", "serve", "--transport", transport, "--port", str(port)]
    quiet = subprocess.DEVNULL
    with (folder / "log").open("wb") as log:
        process = await anyio.open_process(command, env=environment(folder), cwd=folder, stdout=quiet, stderr=log)
    try:
        await answering(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}", process
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


async def test_a_signal_ends_open_streams_with_their_answer_and_the_process_at_once(tmp_path: Path):
    async with running(tmp_path, "http") as (address, process), httpx.AsyncClient(trust_env=False) as client:
        with anyio.fail_after(30):
            async with Client(f"{address}/mcp") as maker:
                made = (await maker.call_tool("generate_t2v", {"prompt": "heard of", "duration": 1})).structured_content
            assert made
            wanted = ({"taskIds": [made["task_id"]]}, {"resourceSubscriptions": ["keyframe://tasks"]})
            async with AsyncExitStack() as open_streams:
                streams = [
                    await open_streams.enter_async_context(client.stream("POST", f"{address}/mcp", **listen(each)))
                    for each in wanted * 3
                ]
                frames = [data_of(each) for each in streams]
                for each in frames:
                    assert (await anext(each))["method"] == "notifications/subscriptions/acknowledged"
                process.send_signal(signal.SIGTERM)
                with anyio.fail_after(2.5):  # uvicorn's own patience is longer
                    assert await process.wait() == 0
                last = [[frame async for frame in each][-1] for each in frames]

    assert [each["id"] for each in last] == [7] * 6
    assert all("result" in each for each in last)
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_a_signal_ends_connections_of_the_older_transport_with_their_last_chunk(tmp_path: Path):
    async with running(tmp_path, "sse") as (address, process), httpx.AsyncClient(trust_env=False) as client:
        with anyio.fail_after(30):
            async with client.stream("GET", f"{address}/sse") as stream:
                chunks = stream.aiter_text()
                assert "/messages/" in await anext(chunks)
                process.send_signal(signal.SIGTERM)
                with anyio.fail_after(2.5):
                    assert await process.wait() == 0
                assert [each async for each in chunks] == []

    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_signal_answers_who_waits_for_a_task_at_once_and_the_task_goes_on_later(tmp_path: Path, era: str):
    answers: list[dict[str, Any]] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        begun.set()

    async def wait(address: str, task_id: str) -> None:
        async with Client(f"{address}/mcp", mode=era) as client:
            arguments = {"task_id": task_id, "wait_seconds": 45}
            await client.list_tools()  # or it asks for them after the answer, when the server has gone
            result = await client.call_tool("get_task", arguments, progress_callback=heard)
            answers.append(result.structured_content or {})

    with anyio.fail_after(60):
        async with running(tmp_path, "http") as (address, process):
            begun = anyio.Event()
            async with Client(f"{address}/mcp") as maker:
                long = {"prompt": "long", "duration": 30, "resolution": "1080p", "wait_seconds": 0}
                made = (await maker.call_tool("generate_t2v", long)).structured_content
                assert made
            async with anyio.create_task_group() as waiting:
                waiting.start_soon(wait, address, made["task_id"])
                await begun.wait()
                process.send_signal(signal.SIGTERM)
                with anyio.fail_after(4):
                    assert await process.wait() == 0

    assert [each["task_id"] for each in answers] == [made["task_id"]]
    assert answers[0]["status"] in ("queued", "submitting", "running")
    assert "Traceback" not in (tmp_path / "log").read_text()


async def test_a_signal_does_not_wait_for_the_standing_streams_of_older_clients(tmp_path: Path):
    async with running(tmp_path, "all") as (address, process), httpx.AsyncClient(trust_env=False) as client:
        with anyio.fail_after(30):
            accept = {"accept": "application/json, text/event-stream"}
            about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "any", "version": "1"}}
            opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about}
            opened = await client.post(f"{address}/mcp", json=opening, headers=accept)
            session = {"mcp-session-id": opened.headers["mcp-session-id"]}
            async with client.stream("GET", f"{address}/mcp", headers=accept | session) as stream:
                assert stream.status_code == 200
                process.send_signal(signal.SIGTERM)
                with anyio.fail_after(2.5):
                    assert await process.wait() == 0
                assert await stream.aread() == b""

    assert "Traceback" not in (tmp_path / "log").read_text()


def listen(wanted: dict[str, list[str]]) -> dict[str, Any]:
    """A request to be told of changes, as any HTTP client could write it."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}},
    }
    params = {"notifications": wanted, "_meta": meta}
    return {
        "headers": {
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "subscriptions/listen",
        },
        "json": {"jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": params},
    }


async def data_of(stream: httpx.Response) -> AsyncGenerator[dict[str, Any]]:
    """What a stream of events carries."""
    async for line in stream.aiter_lines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "example.com"])  # noqa: S104 - it is refused
def test_an_address_others_can_reach_is_refused(tmp_path: Path, host: str):
    command = [sys.executable, "-m", "keyframe_mcp", "serve", "--transport", "http", "--host", host]
    ended = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=30, check=False)

    assert ended.returncode == 3
    assert "KEYFRAME_AUTH_TOKENS" in ended.stderr
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

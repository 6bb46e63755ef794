"""The server as hosts run it: a process on two pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client, StdioServerParameters
from mcp.server import MCPServer

from emulators.faults import Silence
from emulators.replicate import Replicate
from keyframe_mcp.server.stdio import lowlevel
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Status

MODERN = {
    "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "a host", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
}
HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a host", "version": "1"}}


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {"KEYFRAME_OUTPUT_DIR": str(folder / "out"), "KEYFRAME_STATE_DIR": str(folder / "state")}
    return {name: value for name, value in os.environ.items() if not name.startswith("KEYFRAME_")} | kept | more


class Pipe:
    """A host that speaks JSON lines by hand."""

    def __init__(self, process: Process) -> None:
        assert process.stdin
        assert process.stdout
        self.process = process
        self._out = process.stdin
        self._lines = BufferedByteReceiveStream(process.stdout)
        self._last = 0

    async def send(self, method: str, params: dict[str, Any] | None = None) -> None:
        await self._write({"jsonrpc": "2.0", "method": method, "params": params or {}})

    async def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._last += 1
        await self._write({"jsonrpc": "2.0", "id": self._last, "method": method, "params": params})
        while True:
            message = await self.read()
            if message.get("id") == self._last:
                return message

    async def read(self) -> dict[str, Any]:
        with anyio.fail_after(50):
            return json.loads(await self._lines.receive_until(b"\n", 1 << 20))

    async def hang_up(self) -> None:
        await self._out.aclose()

    async def _write(self, message: dict[str, Any]) -> None:
        await self._out.send(json.dumps(message).encode() + b"\n")


@asynccontextmanager
async def server(folder: Path, **more: str) -> AsyncGenerator[Pipe]:
    process = await anyio.open_process(
        [sys.executable, "-m", "keyframe_mcp"], env=environment(folder, **more), cwd=folder, stderr=subprocess.DEVNULL
    )
    try:
        yield Pipe(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.aclose()


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_the_official_client_makes_a_video_over_pipes(tmp_path: Path, era: str):
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "keyframe_mcp"], env=environment(tmp_path), cwd=tmp_path
    )
    with anyio.fail_after(60):
        async with Client(command, mode=era) as client:
            assert len((await client.list_tools()).tools) == 12
            arguments = {"prompt": "over pipes", "duration": 1, "wait_seconds": 40}
            result = await client.call_tool("generate_t2v", arguments)

    assert result.structured_content
    assert result.structured_content["status"] == "succeeded"


@pytest.mark.parametrize("probes", [0, 1, 3])
async def test_a_host_may_probe_in_one_era_and_initialize_in_the_other(tmp_path: Path, probes: int):
    async with server(tmp_path) as pipe:
        for _ in range(probes):
            answer = await pipe.ask("server/discover", MODERN)
            assert "2026-07-28" in json.dumps(answer["result"])
        answer = await pipe.ask("initialize", HANDSHAKE)
        assert answer["result"]["protocolVersion"] == "2025-11-25"
        await pipe.send("notifications/initialized")
        tools = (await pipe.ask("tools/list", {}))["result"]["tools"]
        assert len(tools) == 12


async def test_a_host_that_discovers_may_go_on_in_the_same_era(tmp_path: Path):
    async with server(tmp_path) as pipe:
        await pipe.ask("server/discover", MODERN)
        answer = await pipe.ask("tools/list", MODERN)

        assert len(answer["result"]["tools"]) == 12


async def test_nothing_but_protocol_is_on_standard_output_while_a_video_is_made(tmp_path: Path):
    async with server(tmp_path) as pipe:
        await pipe.ask("initialize", HANDSHAKE)
        await pipe.send("notifications/initialized")
        call = {"name": "generate_t2v", "arguments": {"prompt": "quiet", "duration": 1, "wait_seconds": 40}}
        answer = await pipe.ask("tools/call", call)  # every line read on the way had to be JSON

        assert answer["result"]["structuredContent"]["status"] == "succeeded"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals there")
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_within_two_seconds_and_the_task_is_taken_up_again(tmp_path: Path, by: signal.Signals):
    async with server(tmp_path) as pipe:
        await pipe.ask("initialize", HANDSHAKE)
        await pipe.send("notifications/initialized")
        call = {"name": "generate_t2v", "arguments": {"prompt": "interrupted", "duration": 12}}
        task_id = (await pipe.ask("tools/call", call))["result"]["structuredContent"]["task_id"]
        began = time.monotonic()
        pipe.process.send_signal(by)
        with anyio.fail_after(2):
            code = await pipe.process.wait()

        assert code == 0
        assert time.monotonic() - began < 2

    async with server(tmp_path) as pipe:
        await pipe.ask("initialize", HANDSHAKE)
        await pipe.send("notifications/initialized")
        call = {"name": "get_task", "arguments": {"task_id": task_id, "wait_seconds": 45}}
        with anyio.fail_after(45):
            answer = await pipe.ask("tools/call", call)

        assert answer["result"]["structuredContent"]["status"] == "succeeded"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL there")
async def test_a_killed_server_loses_no_task(tmp_path: Path):
    async with server(tmp_path) as pipe:
        await pipe.ask("initialize", HANDSHAKE)
        await pipe.send("notifications/initialized")
        call = {"name": "generate_t2v", "arguments": {"prompt": "killed", "duration": 3}}
        task_id = (await pipe.ask("tools/call", call))["result"]["structuredContent"]["task_id"]
        pipe.process.kill()
        await pipe.process.wait()

    async with server(tmp_path) as pipe:
        await pipe.ask("initialize", HANDSHAKE)
        await pipe.send("notifications/initialized")
        call = {"name": "get_task", "arguments": {"task_id": task_id, "wait_seconds": 45}}
        task = (await pipe.ask("tools/call", call))["result"]["structuredContent"]

        assert task["status"] == "succeeded"


async def test_two_servers_share_the_tasks_and_the_work(tmp_path: Path):
    async with server(tmp_path) as one, server(tmp_path) as two:
        for pipe in (one, two):
            await pipe.ask("initialize", HANDSHAKE)
            await pipe.send("notifications/initialized")
        ids: list[str] = []
        for number, pipe in enumerate((one, two, one)):
            call = {"name": "generate_t2v", "arguments": {"prompt": f"shared {number}", "duration": 1}}
            ids.append((await pipe.ask("tools/call", call))["result"]["structuredContent"]["task_id"])
        call = {"name": "get_task", "arguments": {"task_ids": ids, "wait_seconds": 40}}
        for pipe in (two, one):
            tasks = (await pipe.ask("tools/call", call))["result"]["structuredContent"]["tasks"]
            assert {task["status"] for task in tasks} == {"succeeded"}

    assert len(list((tmp_path / "out").glob("kf_*.mp4"))) == 3


async def test_it_ends_by_itself_when_the_host_hangs_up(tmp_path: Path):
    async with server(tmp_path) as pipe:
        await pipe.ask("initialize", HANDSHAKE)
        await pipe.hang_up()
        with anyio.fail_after(5):
            assert await pipe.process.wait() == 0


async def test_it_ends_when_the_host_hangs_up_without_a_word(tmp_path: Path):
    async with server(tmp_path) as pipe:
        await pipe.hang_up()
        with anyio.fail_after(10):
            assert await pipe.process.wait() == 0


def test_a_server_that_cannot_start_says_why_in_a_sentence(tmp_path: Path):
    broken = environment(tmp_path) | {"KEYFRAME_LOG_LEVEL": "loud", "KEYFRAME_OUTPUT_DIR": "videos"}
    command = [sys.executable, "-m", "keyframe_mcp"]
    ended = subprocess.run(
        command, env=broken, capture_output=True, text=True, timeout=20, check=False, stdin=subprocess.DEVNULL
    )

    assert ended.returncode == 3
    assert ended.stdout == ""
    assert "KEYFRAME_OUTPUT_DIR=videos is not an absolute path" in ended.stderr
    assert "KEYFRAME_LOG_LEVEL=loud is not one of debug, info, warning, error" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_sdk_still_has_the_server_beneath_where_we_look_for_it():
    assert callable(lowlevel(MCPServer("any")).run)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
async def test_a_signal_waits_for_the_answer_to_a_job_that_is_being_sent(tmp_path: Path):
    async with Replicate() as provider:
        provider.next("submit", Silence(recorded=True))
        chosen = {"KEYFRAME_REPLICATE_BASE_URL": provider.base_url, "REPLICATE_API_TOKEN": "emulated-key"}
        async with server(tmp_path, **chosen) as pipe:
            await pipe.ask("initialize", HANDSHAKE)
            await pipe.send("notifications/initialized")
            words = {"prompt_start": "a", "prompt_end": "b", "model": "replicate/stable-diffusion-animation"}
            started = await pipe.ask("tools/call", {"name": "generate_animation", "arguments": words})
            task_id = started["result"]["structuredContent"]["task_id"]
            await provider.until_asked("submit")
            pipe.process.send_signal(signal.SIGTERM)
            with anyio.move_on_after(2.5) as waiting:  # longer than an idle server takes to leave
                await pipe.process.wait()
            assert waiting.cancelled_caught
            provider.release()
            with anyio.fail_after(20):
                assert await pipe.process.wait() == 0

        store = SqliteStore(tmp_path / "state" / "tasks.db", time.time)
        task = await store.get(task_id)
        await store.aclose()
        assert (task.status, task.remote_id) == (Status.RUNNING, provider.jobs[0].id)

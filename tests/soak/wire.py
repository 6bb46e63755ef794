"""The same made-up calls as lines on the pipe of a real server process, some of which no client library would send."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from anyio.from_thread import start_blocking_portal
from anyio.streams.buffered import BufferedByteReceiveStream
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from mcp.types import CallToolResult

from soak.fuzz import SLOW_AND_LARGE, furnish, within_reason
from soak.rules import INSIDES, Rules, require
from soak.values import Call, Known, Schema, calls, layers

ANSWER_SECONDS = 30
MOST_BYTES = 16 << 20
HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a host", "version": "1"}}
RUBBISH = (b"", b"\x00", b"garbage", b"[]", b"null", b"\xff\xfe\xfa", b'{"jsonrpc":"2.0","method":"a/b"}', b'{"id":1')
DEEP = st.builds(lambda depth, kind: {"task_id": layers(depth, kind)}, st.just(240), st.sampled_from(("list", "table")))


@dataclass
class Wire:
    """A server process, spoken to in lines."""

    process: Process
    lines: BufferedByteReceiveStream
    rules: Rules
    tools: dict[str, Schema] = field(default_factory=dict[str, Schema])
    seconds: list[float] = field(default_factory=list[float])
    last: int = 0

    async def ask(self, method: str, params: object) -> dict[str, Any]:
        """A request and its answer, which must come."""
        self.last += 1
        await self.say(json.dumps({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}).encode())
        return await self.answer(self.last)

    async def answer(self, to: int | str) -> dict[str, Any]:
        """The answer to a request."""
        with anyio.fail_after(ANSWER_SECONDS):
            while True:
                heard = json.loads(await self.lines.receive_until(b"\n", MOST_BYTES))
                if heard.get("id") == to:
                    return heard

    async def say(self, line: bytes) -> None:
        """One line, whatever is in it."""
        assert self.process.stdin is not None
        await self.process.stdin.send(line + b"\n")

    async def fire(self, call: Call, rubbish: bytes) -> None:
        """Rubbish, then a call. It is answered: by the tool, or as a request that cannot be read."""
        await self.say(rubbish)
        begun = time.monotonic()
        answer = await self.ask("tools/call", {"name": call.tool, "arguments": within_reason(call)})
        self.seconds.append(time.monotonic() - begun)
        if "result" in answer:
            self.rules.check(call, CallToolResult.model_validate(answer["result"]))
            return
        text = answer["error"]["message"]
        require(answer["error"]["code"] == -32700 and not INSIDES.search(text), call, "a refusal of another kind", text)


@asynccontextmanager
async def on_the_wire(folder: Path, log: Path) -> AsyncGenerator[Wire]:
    """A server over two pipes, watched for what it connects to, without keys or leave to fetch from this machine."""
    inside, outside = folder / "inside", folder / "outside"
    inside.mkdir()
    outside.mkdir()
    furnish(inside, outside)
    own = {"KEYFRAME_OUTPUT_DIR": str(inside / "out"), "KEYFRAME_STATE_DIR": str(inside / "state")}
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")}
    command = [sys.executable, str(Path(__file__).with_name("watched.py")), str(log)]
    process = await anyio.open_process(command, env=kept | own, cwd=inside, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    wire = Wire(process, BufferedByteReceiveStream(process.stdout), Rules((folder,), {}))
    try:
        await wire.ask("initialize", HANDSHAKE)
        await wire.say(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
        tools = (await wire.ask("tools/list", {}))["result"]["tools"]
        wire.tools |= {tool["name"]: tool["inputSchema"] for tool in tools}
        wire.rules = Rules((folder,), {tool["name"]: tool.get("outputSchema") for tool in tools})
        yield wire
    finally:
        with anyio.CancelScope(shield=True):
            process.kill()
            await process.aclose()


def fuzz_wire(folder: Path, count: int, seed_number: int) -> dict[str, float]:
    """Send so many calls. Raises `Broken`, and `AssertionError` when anything was connected to."""
    log = folder / "connections.jsonl"
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(on_the_wire(folder, log)) as wire:
        files = ["a.png", "clip.mp4"]
        known = Known(["local/camera", "local/storyboard"], ["kf_" + "a" * 26], files, files, ["motion", "nothing"])
        deep = DEEP.map(lambda given: Call("get_task", given))

        @seed(seed_number)
        @settings(max_examples=count, deadline=None, database=None, suppress_health_check=SLOW_AND_LARGE)
        @given(st.one_of(calls(wire.tools, known), deep), st.sampled_from(RUBBISH))
        def fire(call: Call, rubbish: bytes) -> None:
            portal.call(wire.fire, call, rubbish)

        fire()
        connected = connections(log)
        assert not connected, f"the server reached out: {connected[:5]}"
        ordered = sorted(wire.seconds)
        return {"wire_calls": len(ordered), "wire_p99_ms": round(1000 * ordered[int(len(ordered) * 0.99)], 1)}


def connections(log: Path) -> list[str]:
    """Where a watched process connected to."""
    events = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [where for event, where in events if event != "socket.getaddrinfo"]

"""Many clients that wait inside their calls, all in one process: everybody is answered, and nothing stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import psutil
import uvicorn

from emulators.jobs import AT_ONCE, Pace
from keyframe_mcp.server.http import Site, access_of, listen
from keyframe_mcp.server.http.ending import QuietServer
from systems import Systems, open_systems
from test_http import free_port
from test_stdio import MODERN

ENDLESS = Pace(checks_queued=0, checks_running=1_000_000)
T2V = "wavespeed/wan-2.1-t2v-720p"
CROWD = 50


@dataclass(frozen=True)
class Crowded:
    """A server in this process, and a task on it that goes on."""

    systems: Systems
    address: str
    task_id: str

    @property
    def waiting(self) -> int:
        """How many are told when the task moves."""
        return len(self.systems.application.engine.bulletin._listeners.get(self.task_id, ()))


@asynccontextmanager
async def crowded(folder: Path) -> AsyncGenerator[Crowded]:
    """Everything open, and one video made already: the worker that checks videos stays."""
    async with open_systems(folder) as systems:
        port = free_port()
        site = Site(systems.application, access_of(systems.application.settings, "127.0.0.1", port), ("http",))
        server = QuietServer(uvicorn.Config(site.app, log_level="warning", access_log=False))
        with listen("127.0.0.1", port) as listening:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(server.serve, sockets=[listening]))
                address = f"http://127.0.0.1:{port}/mcp"
                async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                    systems.wavespeed.pace = AT_ONCE
                    first = await ask(client, address, "generate_t2v", model=T2V, prompt="a crane", wait_seconds=45)
                    assert first["status"] == "succeeded"
                    systems.wavespeed.pace = ENDLESS
                    task_id = (await ask(client, address, "generate_t2v", model=T2V, prompt="a heron"))["task_id"]
                yield Crowded(systems, address, task_id)
                server.should_exit = True


async def ask(client: httpx.AsyncClient, address: str, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool answers, in the newer era, as somebody who asks for no progress."""
    params = {"name": tool, "arguments": arguments, **MODERN}
    headers = {
        "Accept": "application/json, text/event-stream",
        "Mcp-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": tool,
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = await client.post(address, json=message, headers=headers)
    return answer.json()["result"]["structuredContent"]


@asynccontextmanager
async def waiting_inside(place: Crowded) -> AsyncGenerator[list[asyncio.Task[dict[str, Any]]]]:
    """Fifty clients, all of them inside a call that waits for the task."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(trust_env=False, timeout=60, limits=limits) as client:
        wait = partial(ask, client, place.address, "get_task", task_id=place.task_id, wait_seconds=45)
        calls = [asyncio.create_task(wait()) for _ in range(CROWD)]
        await until(lambda: place.waiting == CROWD)
        yield calls


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not holds():
            await anyio.sleep(0.01)


def descriptors() -> int:
    """Those of this process: the clients' and the server's."""
    return psutil.Process().num_fds()


def at_work() -> int:
    """Tasks of this event loop."""
    return len(asyncio.all_tasks())


async def test_everybody_who_waits_is_answered_and_leaves_nothing_behind(tmp_path: Path):
    async with crowded(tmp_path) as place:
        open_before, at_work_before = descriptors(), at_work()
        async with waiting_inside(place) as calls:
            assert descriptors() > open_before + CROWD  # both ends are in this process
            job = place.systems.wavespeed.jobs[-1]
            job.pace = AT_ONCE
            answers = await asyncio.gather(*calls)

        assert [(answer["task_id"], answer["status"]) for answer in answers] == [(place.task_id, "succeeded")] * CROWD
        assert place.waiting == 0
        await until(lambda: descriptors() <= open_before)
        await until(lambda: at_work() <= at_work_before)


async def test_those_who_hang_up_while_they_wait_leave_nothing_behind(tmp_path: Path):
    async with crowded(tmp_path) as place:
        open_before, at_work_before = descriptors(), at_work()
        async with waiting_inside(place) as calls:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

        await until(lambda: place.waiting == 0)
        await until(lambda: descriptors() <= open_before)
        await until(lambda: at_work() <= at_work_before)

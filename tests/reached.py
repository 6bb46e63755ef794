"""A server that emulated providers can call: the whole application, and its site on a loopback port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import anyio
import httpx
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from emulators.jobs import Job
from emulators.provider import Emulator
from emulators.replicate import Replicate
from emulators.wavespeed import WaveSpeed
from keyframe_mcp.app import Application, open_application
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.server.http import Site, access_of
from keyframe_mcp.task import Inputs, Mode, Status, Task
from studio import BRISK, ME, settings_in

KEY = "emulated-key"


@dataclass(frozen=True)
class Reached:
    """The providers, the server they call, and how to ask it for something."""

    wavespeed: WaveSpeed
    replicate: Replicate
    application: Application
    url: str

    async def start(self, model: str, **more: Any) -> str:
        """The id of a new task."""
        prompts = {"prompt_start": "dawn", "prompt_end": "dusk", "options": {"output_format": "mp4"}}
        asked = {"mode": Mode.ANIMATION, **prompts} if "animation" in model else {"mode": Mode.T2V, "prompt": "a boat"}
        request = Inputs.model_validate(asked | more)
        return (await self.application.engine.start(ME, request, model=model)).task.id

    async def task(self, task_id: str) -> Task:
        """A task as it is."""
        return await self.application.engine.store.get(task_id)

    async def until(self, task_id: str, *statuses: Status) -> Task:
        """A task once it is in one of these states."""
        with anyio.fail_after(20):
            while (task := await self.task(task_id)).status not in statuses:
                await anyio.sleep(0.01)
        return task

    async def job(self, provider: Emulator, number: int = 0) -> Job:
        """A job of a provider, as soon as it is in the books."""
        with anyio.fail_after(10):
            while len(provider.jobs) <= number:
                await anyio.sleep(0.01)
        return provider.jobs[number]

    async def post(self, url: str, headers: dict[str, str], body: bytes = b"{}") -> int:
        """The status of a call that is made by hand."""
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.post(url, headers=headers, content=body)).status_code


@asynccontextmanager
async def open_reached(
    folder: Path, *, pace: Pace = BRISK, is_public: bool = True, **more: str
) -> AsyncGenerator[Reached]:
    """Everything running on loopback. `more` are further environment variables."""
    async with AsyncExitStack() as stack:
        wavespeed = await stack.enter_async_context(WaveSpeed())
        replicate = await stack.enter_async_context(Replicate())
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listening.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        settings = settings_in(
            folder,
            KEYFRAME_ALLOW_LOOPBACK="1",
            KEYFRAME_WAVESPEED_BASE_URL=wavespeed.base_url,
            KEYFRAME_REPLICATE_BASE_URL=replicate.base_url,
            **{"WAVESPEED_API_KEY": KEY, "REPLICATE_API_TOKEN": KEY} | more,
            **({"KEYFRAME_PUBLIC_URL": url} if is_public else {}),
        )
        application = await stack.enter_async_context(open_application(settings, folder, pace=pace))
        site = Site(application, access_of(settings, "127.0.0.1", port), ["http"])
        await stack.enter_async_context(answering(site, listening))
        yield Reached(wavespeed, replicate, application, url)


@asynccontextmanager
async def answering(site: Site, listening: socket.socket) -> AsyncGenerator[None]:
    """A site that answers on a socket, in this event loop."""
    config = uvicorn.Config(site.app, log_level="error", access_log=False, lifespan="off")
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: H11Protocol(config, state, {}, loop), sock=listening)
    try:
        yield
    finally:
        server.close()
        for connection in list(state.connections):
            cast("Any", connection).transport.abort()
        if state.tasks:
            await asyncio.wait(list(state.tasks), timeout=5)
        await server.wait_closed()

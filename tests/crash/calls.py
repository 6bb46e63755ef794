"""Providers that call, through a gate that drops, delays, doubles and loses; and a person who does not wait."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from crash.server import AGENT
from crash.shops import Books
from emulators.jobs import by_the_clock
from keyframe_mcp.engine.budget import NO_BUDGET
from keyframe_mcp.engine.bulletin import Bulletin
from keyframe_mcp.engine.settling import Settling
from keyframe_mcp.errors import InvalidInput
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Status

CALLERS = ("crash-wavespeed", "crash-replicate")
AGAIN = (0.05, 0.2, 0.5, 1.0, 2.0)  # seconds before a provider calls once more
DROPPED, DOUBLED, LOST = 0.08, 0.3, 0.15  # shares of the calls
LONGEST_DELAY = 0.2  # seconds
LOOK = 0.05  # seconds

Urls = Callable[[], Sequence[str]]


@dataclass
class Gate:
    """Stands at the public address. `urls` says which servers there are just now; `dice` is None in fair weather."""

    url: str
    dice: random.Random | None
    client: httpx.AsyncClient
    urls: Urls = tuple
    seen: Counter[str] = field(default_factory=Counter[str])

    async def pass_on(self, request: Request) -> JSONResponse:
        """Give a call to one server, or to none, or to all of them twice."""
        body = await request.body()
        names = ("content-type", "webhook-id", "webhook-timestamp", "webhook-signature")
        headers = {name: request.headers[name] for name in names if name in request.headers}
        answer = await self._pass_on(request.url.path, headers, body)
        self.seen[f"answered {answer}"] += 1
        if self._happens(LOST):
            self.seen["answer lost"] += 1
            answer = 500
        return JSONResponse({}, answer)

    async def _pass_on(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        servers = list(self.urls())
        if not servers or self._happens(DROPPED):
            self.seen["dropped"] += 1
            return 502
        if self._happens(DOUBLED):
            self.seen["doubled"] += 1
            return max(await asyncio.gather(*(self._post(each + path, headers, body) for each in servers * 2)))
        if self.dice is not None:
            await anyio.sleep(self.dice.uniform(0, LONGEST_DELAY))
            servers = [self.dice.choice(servers)]
        return await self._post(servers[0] + path, headers, body)

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        try:
            return (await self.client.post(url, headers=dict(headers), content=body)).status_code
        except httpx.TransportError:
            return 502

    def _happens(self, share: float) -> bool:
        return self.dice is not None and self.dice.random() < share


@asynccontextmanager
async def open_gate(books: Books, dice: random.Random | None) -> AsyncGenerator[Gate]:
    """A gate that listens, before shops whose jobs end by the clock, so that their calls are news."""
    for name in CALLERS:
        books[name].pace = by_the_clock(0.02, 0.25)
        books[name].calls.again = AGAIN
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            gate = Gate(f"http://127.0.0.1:{listening.getsockname()[1]}", dice, client)
            app = Starlette(routes=[Route("/{path:path}", gate.pass_on, methods=["POST"])])
            server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
            serving = asyncio.ensure_future(server._serve([listening]))  # not `serve`: it would take our signals
            try:
                yield gate
            finally:
                server.should_exit = True
                await asyncio.wait([serving], timeout=5)


@dataclass
class Person:
    """Sees a task of unknown fate and has it sent again, at once: often just when the provider calls."""

    database: Path
    clock: Callable[[], float]
    dice: random.Random
    most: int
    again: Counter[str] = field(default_factory=Counter[str])
    """How often each task was sent again."""

    async def work(self) -> None:
        """Until there have been so many."""
        while not self.database.exists():
            await anyio.sleep(LOOK)
        store = SqliteStore(self.database, self.clock)
        try:
            while self.again.total() < self.most:
                await anyio.sleep(self.dice.uniform(LOOK, 4 * LOOK))
                await self._look(store)
        finally:
            with anyio.CancelScope(shield=True):
                await store.aclose()

    async def _look(self, store: SqliteStore) -> None:
        """Send one again, where there is one."""
        unknown = await store.recent(AGENT.owner, {Status.UNKNOWN}, 100)
        waiting = [task for task in unknown if task.provider in CALLERS and not self.again[task.id]]
        if not waiting:
            return
        task = self.dice.choice(waiting)
        settling = Settling({}, store, NO_BUDGET, Bulletin(), self.clock)
        with suppress(InvalidInput):  # it was settled meanwhile
            await settling.resubmit(task.id, AGENT, attempt=task.attempt)
            self.again[task.id] += 1

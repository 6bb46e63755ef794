"""Server processes on one state folder: started, killed, stopped and continued, each by its id."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import cast

import anyio
import anyio.to_thread
import psutil

from crash import server
from crash.server import Orders
from crash.steps import Trap

START_SECONDS = 20
END_SECONDS = 10
WARM = (
    "keyframe_mcp.app",
    "keyframe_mcp.server.http",
    "keyframe_mcp.server",
    "keyframe_mcp.adapters.http",
    "keyframe_mcp.adapters.connection",
    "keyframe_mcp.media.fetch",
)
"""Imported once, in the process that the servers are forked from: that makes a start ten times as fast."""


@dataclass(frozen=True)
class Running:
    """A process, and the line it would hear of our end by."""

    process: ForkServerProcess
    line: Connection
    url: str

    @property
    def pid(self) -> int:
        """Its id."""
        return cast("int", self.process.pid)


class Fleet:
    """Processes by place. Dead ones stay until somebody has waited for their end."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(WARM))
        self._running: dict[int, Running] = {}
        self._news = anyio.Event()

    async def start(self, place: int, trap: Trap | None = None) -> None:
        """Start a process and wait until it listens. Raises `EOFError` when it died before, `TimeoutError`."""
        ours, theirs = self._context.Pipe()
        orders = replace(self._orders, trap=trap or Trap())
        process = self._context.Process(target=server.run, args=(orders, theirs), daemon=True)
        await anyio.to_thread.run_sync(process.start)
        theirs.close()
        try:
            with anyio.fail_after(START_SECONDS):
                await anyio.wait_readable(ours.fileno())
            running = Running(process, ours, f"http://127.0.0.1:{ours.recv()}/mcp")
        except BaseException:
            process.kill()
            process.join()
            ours.close()
            raise
        self._running[place] = running
        self._tell()

    def _tell(self) -> None:
        """Wake those who wait for a change."""
        self._news.set()
        self._news = anyio.Event()

    @property
    def addresses(self) -> list[str]:
        """Where the processes listen that there are."""
        return [running.url.removesuffix("/mcp") for running in self._running.values()]

    async def url(self, number: int) -> str:
        """Where a process listens, spread by number; waits while there is none."""
        while not self._running:
            await self._news.wait()
        places = sorted(self._running)
        return self._running[places[number % len(places)]].url

    async def until_up(self, place: int) -> None:
        """Wait until there is a process in a place."""
        while place not in self._running:
            await self._news.wait()

    def signal(self, place: int, deed: signal.Signals) -> None:
        """Send a process a signal."""
        if running := self._running.get(place):
            with suppress(ProcessLookupError):
                os.kill(running.pid, deed)

    def stop(self, place: int) -> None:
        """Have a process stand still, and return when it does."""
        self.signal(place, signal.SIGSTOP)
        give_up = time.monotonic() + END_SECONDS
        while not self.is_stopped(place) and time.monotonic() < give_up:
            time.sleep(0.001)

    async def kill(self, place: int) -> None:
        """Kill a process, and wait until whoever keeps it up has seen it."""
        running = self._running.get(place)
        self.signal(place, signal.SIGKILL)
        while running is not None and self._running.get(place) is running:
            await self._news.wait()

    async def until_gone(self, place: int) -> int | None:
        """Wait for the end of a process. Its exit code: minus the signal that killed it."""
        running = self._running[place]
        await anyio.wait_readable(running.process.sentinel)
        self._running.pop(place, None)
        running.process.join()
        running.line.close()
        self._tell()
        return running.process.exitcode

    async def until_stopped(self, place: int) -> None:
        """Wait until a process stands still."""
        with anyio.fail_after(END_SECONDS):
            while not self.is_stopped(place):
                await anyio.sleep(0.02)

    def is_stopped(self, place: int) -> bool:
        """Whether a process stands still."""
        return psutil.Process(self._running[place].pid).status() == psutil.STATUS_STOPPED

    async def retire(self, place: int) -> int | None:
        """Have a process leave in good order, also one that stands still. Its exit code."""
        self.signal(place, signal.SIGCONT)
        self.signal(place, signal.SIGTERM)
        with anyio.fail_after(END_SECONDS):
            return await self.until_gone(place)

    async def retire_all(self) -> None:
        """Have every process leave in good order."""
        for place in list(self._running):
            await self.retire(place)

    def end(self) -> None:
        """Kill what is left, also what stands still."""
        for running in self._running.values():
            running.process.kill()
            running.process.join(END_SECONDS)
            running.line.close()
        self._running.clear()


@asynccontextmanager
async def open_fleet(orders: Orders) -> AsyncGenerator[Fleet]:
    """A fleet without processes. None is left at the end."""
    fleet = Fleet(orders)
    try:
        yield fleet
    finally:
        fleet.end()

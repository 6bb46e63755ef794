"""The real application in a process of its own, over Streamable HTTP, with a trap in it. It is made to be killed."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import anyio

from crash.steps import Trap, WatchedAdapter, WatchedStore
from crash.strategies import Strategy, Unfenced, adapted, stored
from keyframe_mcp.adapters.base import Adapter
from keyframe_mcp.app import open_application
from keyframe_mcp.engine import Caller
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.server import build_server
from keyframe_mcp.server.http import Site, access_of, listen, serve_http
from keyframe_mcp.settings import read_settings
from keyframe_mcp.store import Store
from keyframe_mcp.store.sqlite import SqliteStore

AGENT = Caller(owner="agent", may_name_files=False)
LOOKS = (0.05, 0.3)


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What a process is started with. `folder` is where everything is kept; `lease` is in seconds."""

    folder: Path
    environment: Mapping[str, str]
    lease: float
    strategy: Strategy = Strategy.SOUND
    trap: Trap = field(default_factory=Trap)

    @property
    def log(self) -> Path:
        """Where its standard error goes: that of all processes of a run, one after the other."""
        return self.folder / "servers.log"


def pace(orders: Orders) -> Pace:
    """How fast things go here."""
    kind = Unfenced if orders.strategy is Strategy.STATE_ONLY else Pace
    return kind(poll=0.1, place=0.05, busy=0.2, trouble=0.2, saving=0.2, looks=LOOKS, lease=orders.lease)


def run(orders: Orders, line: Connection) -> None:
    """The whole life of the process. Says on the line at which port it listens."""
    with orders.log.open("ab") as log:
        os.dup2(log.fileno(), 2)
    logging.basicConfig(format=f"%(asctime)s {os.getpid()} %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    threading.Thread(target=leave_with, args=(line,), daemon=True).start()
    orders.trap.listen()
    anyio.run(serve, orders, line)


def leave_with(line: Connection) -> None:
    """End when whoever started this process is gone: nobody else would end it."""
    with suppress(EOFError, OSError):
        line.recv()
    os._exit(1)


async def serve(orders: Orders, line: Connection) -> None:
    """Serve until a signal, whichever."""
    settings = read_settings(orders.environment, orders.folder, Path("/nonexistent-home"))
    orders.trap.database = settings.database
    with listen("127.0.0.1", 0) as listening:
        async with open_application(
            settings,
            orders.folder,
            pace=pace(orders),
            open_store=store_opener(orders),
            adapted=lambda adapter: watched(orders, adapter),
        ) as application:
            port = listening.getsockname()[1]
            site = Site(
                application,
                access_of(settings, "127.0.0.1", port),
                ["http"],
                furnish=lambda _: build_server(application, AGENT),
            )
            line.send(port)
            await serve_http(site, listening, application)


def store_opener(orders: Orders) -> Callable[[Path, Callable[[], float]], Store]:
    """What opens the store: the trap sees every write as it really is made, whatever the strategy."""

    def open_store(path: Path, clock: Callable[[], float] = time.time) -> Store:
        watched_store = cast("Store", WatchedStore(SqliteStore(path, clock), orders.trap))
        return stored(orders.strategy, watched_store)

    return open_store


def watched(orders: Orders, adapter: Adapter) -> Adapter:
    """An adapter with the strategy around it, and the trap informed."""
    return adapted(orders.strategy, cast("Adapter", WatchedAdapter(adapter)))

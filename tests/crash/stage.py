"""Shops, servers and agents on one folder, and what is known about the tasks from outside."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from crash.agents import Agents, Order
from crash.calls import CALLERS, Gate, open_gate
from crash.catalogue import KEY, write_catalogue
from crash.fleet import Fleet, open_fleet
from crash.server import AGENT, Orders
from crash.shops import Books, open_shops
from crash.steps import AT_THE_PROVIDER, Step, Trap, between_transactions
from crash.strategies import Strategy
from crash.verdict import Verdict, judge
from crash.weather import Strike, StrikeHalfway, Weather
from emulators.provider import EMULATED_KEY
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Task

LOOK = 0.1
SETTLED = "'succeeded', 'failed', 'cancelled', 'unknown'"


@dataclass(frozen=True)
class Stage:
    """Everything that takes part."""

    folder: Path
    books: Books
    weather: Weather
    fleet: Fleet
    agents: Agents
    gate: Gate | None = None
    """What providers call through, where they do."""
    marks: list[str] = field(default_factory=list[str])

    @property
    def database(self) -> Path:
        """The tasks."""
        return self.folder / "state" / "tasks.db"

    async def order(self, order: Order) -> None:
        """Have an agent order a video, until it knows its task."""
        self.marks.append(order.mark)
        await self.agents.order(order)

    async def order_all(self, orders: Sequence[Order], agents: int) -> None:
        """Have so many agents order videos, until they know every task."""
        self.marks.extend(order.mark for order in orders)
        await self.agents.order_all(iter(orders), agents)

    async def start(self, place: int, order: Order, step: Step | None, deed: signal.Signals = signal.SIGKILL) -> None:
        """Start a process that will meet its end, or a pause, at a step in the life of an order."""
        if step is not None and step in AT_THE_PROVIDER:
            self._lie_in_wait(place, order, step, deed)
            await self.fleet.start(place)
        else:
            await self.fleet.start(place, Trap(step, deed))

    def _lie_in_wait(self, place: int, order: Order, step: Step, deed: signal.Signals) -> None:
        """Let the provider do it."""
        shop = self.books[order.provider]

        def strike() -> None:
            if deed is signal.SIGSTOP:
                with between_transactions(self.database):
                    self.fleet.stop(place)
            else:
                self.fleet.signal(place, deed)

        if step is Step.DOWNLOADING:
            shop.next("download", StrikeHalfway(strike))
        else:
            shop.next("submit", Strike(strike, recorded=step is Step.BOOKED))

    async def until_settled(self, seconds: float) -> bool:
        """Wait until every order has a task that waits for nothing any more. False when the time is over."""
        with anyio.move_on_after(seconds):
            while not self.is_settled():
                await anyio.sleep(LOOK)
            return True
        return False

    def is_settled(self) -> bool:
        """Whether every order has a task, all tasks are settled, and none is still looked for in a list."""
        looking = "status NOT IN ('succeeded', 'failed', 'cancelled') AND due_at IS NOT NULL"
        sql = f"SELECT count(*), sum(status NOT IN ({SETTLED}) OR ({looking})) FROM tasks"  # noqa: S608 - constants
        try:
            with closing(sqlite3.connect(self.database, timeout=30)) as connection:
                count, open_tasks = connection.execute(sql).fetchone()
        except sqlite3.OperationalError:
            return False  # it is only just being made
        return count == len(self.marks) and not open_tasks

    async def tasks(self) -> Sequence[Task]:
        """Every task, as it was last written down."""
        store = SqliteStore(self.database, time.time)
        try:
            return await store.recent(AGENT.owner, (), len(self.marks) + 100)
        finally:
            await store.aclose()

    async def verdict(self, again: Mapping[str, int] | None = None) -> Verdict:
        """What became of everything. `again` says how often a person had a task sent again."""
        return judge(self.marks, await self.tasks(), self.books, self.folder / "out", again or {})


@asynccontextmanager
async def open_stage(
    folder: Path,
    *,
    weather: Weather | None = None,
    strategy: Strategy = Strategy.SOUND,
    lease: float = 1.5,
    calls: bool = False,
) -> AsyncGenerator[Stage]:
    """A stage without servers. No process is left at the end. `lease` is in seconds. With `calls`, providers call."""
    weather = weather or Weather()
    async with AsyncExitStack() as stack:
        books = await stack.enter_async_context(open_shops(weather))
        gate = await stack.enter_async_context(open_gate(books, weather.dice)) if calls else None
        write_catalogue(folder / "catalogue", books, CALLERS if gate else ())
        environment = {
            "KEYFRAME_OUTPUT_DIR": str(folder / "out"),
            "KEYFRAME_STATE_DIR": str(folder / "state"),
            "KEYFRAME_CATALOG_DIR": str(folder / "catalogue"),
            "KEYFRAME_ALLOW_LOOPBACK": "1",
            KEY: EMULATED_KEY,
            **({"KEYFRAME_PUBLIC_URL": gate.url} if gate else {}),
        }
        orders = Orders(folder=folder, environment=environment, lease=lease, strategy=strategy)
        fleet = await stack.enter_async_context(open_fleet(orders))
        if gate is not None:
            gate.urls = lambda: fleet.addresses
        yield Stage(folder, books, weather, fleet, Agents(fleet), gate)

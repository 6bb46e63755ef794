"""What hosts do: call a tool, and when the call is lost, call it again with the same idempotency key."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp import Client

from crash.fleet import Fleet

PATIENCE = 5.0  # seconds; a server that stands still never answers, others do within four
AGAIN = 0.1
PROVIDERS = ("crash-wavespeed", "crash-replicate", "crash-siliconflow", "crash-gateway")


@dataclass(frozen=True)
class Order:
    """One video an agent wants. `mark` is in its prompt, and is its idempotency key."""

    number: int
    provider: str

    @property
    def mark(self) -> str:
        """What it is known by, at the provider too."""
        return f"mark-{self.number}"

    @property
    def tool(self) -> str:
        """The tool that makes it."""
        return "generate_animation" if self.provider in ("crash-replicate", "crash-gateway") else "generate_t2v"

    @property
    def arguments(self) -> dict[str, Any]:
        """What the tool is called with."""
        words = {"prompt_start": f"{self.mark}, dawn", "prompt_end": "dusk"}
        prompts = words if self.tool == "generate_animation" else {"prompt": f"{self.mark}, a heron"}
        return {**prompts, "model": f"{self.provider}/film", "idempotency_key": self.mark}


def orders(count: int, providers: Sequence[str] = PROVIDERS) -> Iterator[Order]:
    """So many orders, taking turns with the providers."""
    return (Order(number, providers[number % len(providers)]) for number in range(count))


@dataclass
class Agents:
    """They insist until there is an answer. `task_ids` has what they were told, by mark."""

    fleet: Fleet
    task_ids: dict[str, str] = field(default_factory=dict[str, str])
    calls: Counter[str] = field(default_factory=Counter[str])

    async def order(self, order: Order) -> None:
        """Have one agent order one video. Raises `AssertionError` where the tool says no."""
        await Agent(self, order.number, iter([order])).work()

    async def order_all(self, waiting: Iterator[Order], agents: int) -> None:
        """Have several agents order everything, side by side."""
        async with anyio.create_task_group() as tasks:
            for number in range(agents):
                tasks.start_soon(Agent(self, number, waiting).work)

    @property
    def repeated(self) -> int:
        """How many calls were lost."""
        return sum(self.calls.values()) - len(self.calls)


class Agent:
    """One of them, with the order it is busy with."""

    def __init__(self, all_of_them: Agents, number: int, waiting: Iterator[Order]) -> None:
        self._all = all_of_them
        self._number = number
        self._waiting = waiting
        self._order = next(waiting, None)
        self._refusal: object = None

    async def work(self) -> None:
        """Talk to one server after the other until nothing is left to order."""
        while self._order is not None:
            url = await self._all.fleet.url(self._number + self._all.calls[self._order.mark])
            with anyio.CancelScope() as patience:
                await self._converse(url, patience)
            if self._refusal is not None:
                raise AssertionError(f"{self._order.mark} was refused: {self._refusal}")
            await anyio.sleep(AGAIN)

    async def _converse(self, url: str, patience: anyio.CancelScope) -> None:
        """Order from one server for as long as it answers."""
        patience.deadline = anyio.current_time() + PATIENCE
        try:
            async with Client(url) as client:
                while self._order is not None and self._refusal is None:
                    patience.deadline = anyio.current_time() + PATIENCE
                    await self._call(client, self._order)
        except Exception as error:  # noqa: BLE001 - a killed server fails its client in many ways; each is one lost call
            logging.getLogger(__name__).info("%s: %r", url, error)

    async def _call(self, client: Client, order: Order) -> None:
        """One call of the tool."""
        self._all.calls[order.mark] += 1
        result = await client.call_tool(order.tool, order.arguments)
        told = result.structured_content
        if told is None or "task_id" not in told:
            self._refusal = result.content
            return
        self._all.task_ids[order.mark] = told["task_id"]
        self._order = next(self._waiting, None)

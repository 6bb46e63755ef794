"""A workshop whose every order somebody hears of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel

from keyframe_mcp.media.orders import Order
from keyframe_mcp.media.workshop import Workshop
from keyframe_mcp.telemetry import QUIET, Observer

Reply = TypeVar("Reply", bound=BaseModel)


class ObservedWorkshop(Workshop):
    """The same, with how long each order took, the wait for its place included."""

    def __init__(self, observer: Observer = QUIET, places: int | None = None) -> None:
        super().__init__(places)
        self._observer = observer

    async def run(
        self,
        order: Order[Reply],
        report: Callable[[float], None] = lambda _: None,
        *,
        time_limit: float = 600,
    ) -> Reply:
        """See `Workshop.run`."""
        with self._observer.at_work(type(order).__name__):
            return await super().run(order, report, time_limit=time_limit)

"""The one place where a task moves: `advance` does at most one thing to the outside, then writes down what came."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from keyframe_mcp.adapters.base import Adapter
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.bulletin import Bulletin
from keyframe_mcp.engine.following import Following
from keyframe_mcp.engine.keeper import Keeper
from keyframe_mcp.engine.moves import Moves
from keyframe_mcp.engine.pace import PACE, Pace
from keyframe_mcp.engine.pictures import Pictures
from keyframe_mcp.engine.reconciling import Reconciling
from keyframe_mcp.engine.saving import Saving
from keyframe_mcp.engine.submitting import Submitting
from keyframe_mcp.errors import MissingCredential
from keyframe_mcp.store import Store
from keyframe_mcp.task import Failure, Status, Task

Step = Callable[[Task, Adapter], Awaitable[float | None]]


@dataclass(frozen=True)
class Steps:
    """Moves tasks on. Holds no state of its own."""

    catalog: Catalog
    adapters: Mapping[str, Adapter]
    store: Store
    keeper: Keeper
    pictures: Pictures
    bulletin: Bulletin
    clock: Callable[[], float]
    pace: Pace = PACE

    async def advance(self, task_id: str) -> float | None:
        """Do the next thing for a task. Seconds until it should be called again; None when nothing is left to do."""
        task = await self.store.get(task_id)
        moves = Moves(self.store, self.bulletin)
        step = self._step(task.status, moves)
        if step is None:
            return None
        adapter = self.adapters.get(task.provider)
        if adapter is None:
            key = self.catalog.providers[task.provider].key if task.provider in self.catalog.providers else None
            waits = MissingCredential(f"this task waits for {key} to be set again")
            await moves.note(task, failure=Failure.of(waits))
            return self.pace.unconfigured
        return await step(task, adapter)

    def _step(self, status: Status, moves: Moves) -> Step | None:
        """What there is to do for a task in this state."""
        match status:
            case Status.QUEUED:
                return Submitting(self.catalog, self.pictures, moves, self.clock, self.pace).submit
            case Status.SUBMITTING:
                return Submitting(self.catalog, self.pictures, moves, self.clock, self.pace).abandoned
            case Status.RUNNING:
                return Following(self.catalog, moves, self.clock, self.pace).check
            case Status.SAVING:
                return Saving(self.keeper, moves, self.pace).save
            case Status.UNKNOWN:
                return Reconciling(self.catalog, moves, self.pace).look
            case _:
                return None

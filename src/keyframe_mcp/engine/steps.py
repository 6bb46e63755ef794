"""The one place where a task moves: `advance` does at most one thing to the outside, then writes down what came."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

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
from keyframe_mcp.engine.submitting import Sending, Submitting
from keyframe_mcp.errors import KeyframeError, MissingCredential
from keyframe_mcp.store import Store
from keyframe_mcp.task import Failure, Status, Task

log = logging.getLogger(__name__)

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
    sending: Sending = field(default_factory=Sending)

    async def advance(self, task_id: str) -> float | None:
        """Do the next thing for a task. Seconds until it should be called again; None when nothing is left to do."""
        task = await self.store.get(task_id)
        moves = Moves(self.store, self.bulletin)
        step = self._step(task.status, moves)
        if step is None:
            return None
        adapter = self.adapters.get(task.provider)
        if adapter is None:
            await moves.note(task, failure=Failure.of(MissingCredential(self._waits_for(task.provider))))
            return self.pace.unconfigured
        try:
            return await step(task, adapter)
        except Exception as error:
            log.exception("advancing %s failed; it is tried again", task_id)
            broke = KeyframeError(f"this server stumbled over the task ({type(error).__name__}); it is tried again")
            await moves.note(task, failure=Failure.of(broke))
            return self.pace.trouble

    def _waits_for(self, provider_id: str) -> str:
        """What keeps a task from going on."""
        provider = self.catalog.providers.get(provider_id)
        if provider is None:
            return f"this task waits for the catalogue to have {provider_id} again"
        return f"this task waits for {provider.key} to be set again"

    def _submitting(self, moves: Moves) -> Submitting:
        return Submitting(self.catalog, self.pictures, moves, self.clock, self.pace, self.sending)

    def _step(self, status: Status, moves: Moves) -> Step | None:
        """What there is to do for a task in this state."""
        match status:
            case Status.QUEUED:
                return self._submitting(moves).submit
            case Status.SUBMITTING:
                return self._submitting(moves).abandoned
            case Status.RUNNING:
                return Following(self.catalog, moves, self.clock, self.pace).check
            case Status.SAVING:
                return Saving(self.catalog, self.keeper, moves, self.clock, self.pace).save
            case Status.UNKNOWN:
                return Reconciling(self.catalog, moves, self.pace).look
            case _:
                return None

"""The one place where a task moves: `advance` does at most one thing to the outside, then writes down what came."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import random

from keyframe_mcp.adapters.base import Adapter
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.bulletin import Bulletin
from keyframe_mcp.engine.callbacks import NO_CALLBACKS, Callbacks
from keyframe_mcp.engine.circuit import Circuits, Watched
from keyframe_mcp.engine.claiming import Claiming, claim
from keyframe_mcp.engine.fallback import Fallback
from keyframe_mcp.engine.following import Following
from keyframe_mcp.engine.keeper import Keeper
from keyframe_mcp.engine.moves import Moves
from keyframe_mcp.engine.pace import PACE, Pace
from keyframe_mcp.engine.pictures import Pictures
from keyframe_mcp.engine.polling import Polling
from keyframe_mcp.engine.reconciling import Reconciling
from keyframe_mcp.engine.saving import Saving
from keyframe_mcp.engine.submitting import Rules, Sending, Submitting
from keyframe_mcp.errors import KeyframeError, ProviderUnavailable
from keyframe_mcp.store import Store
from keyframe_mcp.task import Failure, Status, Task
from keyframe_mcp.telemetry import QUIET, Observer
from keyframe_mcp.telemetry.correlation import working_on

log = logging.getLogger(__name__)

Step = Callable[[Task, Adapter], Awaitable[float | None]]


@dataclass(frozen=True)
class Steps:
    """Moves tasks on. All it remembers is what is being sent and who is out of order. `chance` is from 0 up to 1."""

    catalog: Catalog
    adapters: Mapping[str, Adapter]
    store: Store
    keeper: Keeper
    pictures: Pictures
    bulletin: Bulletin
    clock: Callable[[], float]
    pace: Pace = PACE
    sending: Sending = field(default_factory=Sending)
    rules: Rules = field(default_factory=Rules)
    circuits: Circuits = field(default_factory=Circuits)
    chance: Callable[[], float] = random
    observer: Observer = QUIET
    callbacks: Callbacks = NO_CALLBACKS

    async def advance(self, task_id: str) -> float | None:
        """Do the next thing for a task. Seconds until it should be called again; None when nothing is left to do."""
        task = await self.store.get(task_id)
        moves = Moves(self.store, self.bulletin)
        step = self._step(task.status, moves)
        if claim(task) is not None:
            step = Claiming(self.catalog, moves, self.pace).settle
        if step is None:
            return None
        adapter = self.adapters.get(task.provider)
        if adapter is None:
            return self.pace.unconfigured  # its key was taken away, here; the engine says so to whoever asks
        with working_on(task), self.observer.working(task):
            try:
                return await self._take(step, task, adapter, moves)
            except Exception as error:
                log.exception("advancing %s failed; it is tried again", task_id)
                broke = KeyframeError(f"this server stumbled over the task ({type(error).__name__}); it is tried again")
                await moves.note(task, failure=Failure.of(broke))
                return self.pace.trouble

    async def _take(self, step: Step, task: Task, adapter: Adapter, moves: Moves) -> float | None:
        """Take the step, unless its provider is out of order and it would have to be asked."""
        if adapter.idempotent:
            return await step(task, adapter)
        provider = self.catalog.providers.get(task.provider)
        circuit = self.circuits.of(task.provider, self.pace)
        name = provider.name if provider else task.provider
        watched = Watched(adapter, circuit, self.clock, self.pace, name)
        try:
            if self._asks(task) and (wait := watched.wait()):
                if await self._went_on(task, watched, moves):
                    return 0
                await self._left_alone(task, watched, moves)
                return self._spread(wait, task.status)
            return await step(task, watched)
        finally:
            watched.leave()

    def _asks(self, task: Task) -> bool:
        """Whether the next step surely asks the provider. Saving does so only where a result is gone."""
        match task.status:
            case Status.QUEUED:
                return not task.cancel_requested
            case Status.UNKNOWN:
                return task.looks < len(self.pace.looks)
            case status:
                return status is Status.RUNNING

    async def _went_on(self, task: Task, watched: Watched, moves: Moves) -> bool:
        """Whether a task that would have to wait for its provider has another to go on to."""
        if task.status is not Status.QUEUED or not task.alternatives or claim(task):
            return False
        fallback = Fallback(moves, self.rules.budget, self.clock, self.adapters.keys())
        return await fallback.left(task, ProviderUnavailable(watched.why))

    async def _left_alone(self, task: Task, watched: Watched, moves: Moves) -> None:
        """Say why the task waits. What an unknown one says is worth more than that."""
        failure = Failure.of(ProviderUnavailable(watched.why))
        if task.status is not Status.UNKNOWN and task.failure != failure:
            await moves.note(task, failure=failure)

    def _spread(self, wait: float, status: Status) -> float:
        """Not all at the same moment, and questions before submissions: when one fails, nothing is in doubt."""
        later = 0.2 if status is Status.QUEUED else 0.0
        return wait * (1 + later + 0.2 * self.chance())

    def _submitting(self, moves: Moves) -> Submitting:
        return Submitting(
            self.catalog,
            self.pictures,
            moves,
            self.clock,
            self.pace,
            self.sending,
            self.rules,
            self._polling(),
            self.keeper,
            self.adapters.keys(),
            self.callbacks,
        )

    def _polling(self) -> Polling:
        return Polling(self.catalog, self.store, self.clock, self.pace, self.chance, self.callbacks)

    def _step(self, status: Status, moves: Moves) -> Step | None:
        """What there is to do for a task in this state."""
        match status:
            case Status.QUEUED:
                return self._submitting(moves).submit
            case Status.SUBMITTING:
                return self._submitting(moves).abandoned
            case Status.RUNNING:
                return Following(self.catalog, moves, self.clock, self.pace, self._polling()).check
            case Status.SAVING:
                return Saving(self.catalog, self.keeper, moves, self.clock, self.pace).save
            case Status.UNKNOWN:
                return Reconciling(self.catalog, moves, self.clock, self.pace).look
            case _:
                return None

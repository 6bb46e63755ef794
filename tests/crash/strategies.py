"""Ways to submit: ours, and two that are known to be wrong, with which the harness proves that it can fail."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any, cast

from keyframe_mcp.adapters.base import Accepted, Adapter, Job
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.errors import ProviderUnavailable, SubmissionUncertain, UnexpectedReply
from keyframe_mcp.store import Store
from keyframe_mcp.task import Status


class Strategy(StrEnum):
    """What to do about a job whose submission nobody knows the fate of."""

    SOUND = "sound"  # what the application does: it is never sent again
    NAIVE = "naive"  # send it again, as if a repeated submission were harmless
    STATE_ONLY = "state-only"  # send it again when the provider's list lacks it; writes compare the status alone


class Unfenced(Pace):
    """A pace with which a paused process sends however late it is."""

    @property
    def fence(self) -> float:
        """No moment is too late."""
        return math.inf


class NaiveAdapter:
    """Takes every accident for a proof that nothing was sent."""

    idempotent = True

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def __getattr__(self, name: str) -> Any:
        """Everything else is as it was."""
        return getattr(self._adapter, name)

    async def submit(self, job: Job) -> Accepted:
        """See `Adapter.submit`, which says what is wrong with this."""
        try:
            return await self._adapter.submit(job)
        except (SubmissionUncertain, UnexpectedReply) as error:
            raise ProviderUnavailable(str(error)) from None


class StateOnlyStore:
    """Compares the status alone, and queues again what was looked for in the provider's list and not found there."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        """Every other method, without its attempt where it has one that may be left out."""
        return getattr(self._store, name)

    async def begin(self, task_id: str, **named: Any) -> Any:
        """See `Store.begin`."""
        task = await self._store.get(task_id)
        named["attempt"] = task.attempt
        return await self._store.begin(task_id, **named)

    async def move(self, task_id: str, **named: Any) -> Any:
        """See `Store.move`."""
        named["attempt"] = None
        moved = await self._store.move(task_id, **named)
        if moved is not None and "looks" in named.get("changes", {}):
            await self._store.move(task_id, of={Status.UNKNOWN}, to=Status.QUEUED)
            await self._store.wake(task_id)
        return moved


def stored(strategy: Strategy, store: Store) -> Store:
    """The store as a strategy uses it."""
    return cast("Store", StateOnlyStore(store)) if strategy is Strategy.STATE_ONLY else store


def adapted(strategy: Strategy, adapter: Adapter) -> Adapter:
    """The adapter as a strategy uses it."""
    return cast("Adapter", NaiveAdapter(adapter)) if strategy is Strategy.NAIVE else adapter

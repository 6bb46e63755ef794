"""Writing down what happened to a task, and telling those who wait.

Every write names the statuses, and the attempt, it may change. A late or concurrent answer can therefore never undo
a final state, and an answer to an older attempt never touches a newer one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from keyframe_mcp.adapters.base import Adapter
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.bulletin import Bulletin
from keyframe_mcp.errors import KeyframeError, ProviderBusy, ProviderError
from keyframe_mcp.store import Caps, Changes, Full, Limits, Store
from keyframe_mcp.store.claims import Claimed, claimed
from keyframe_mcp.task import Status, Task


@dataclass(frozen=True)
class Moves:
    """The only way a step changes a task."""

    store: Store
    bulletin: Bulletin

    async def move(self, task: Task, of: Collection[Status], to: Status, **changes: object) -> Task | None:
        """Change the status. None when the task had moved on."""
        return await self.warn(task, of, to, (), changes)

    async def warn(
        self, task: Task, of: Collection[Status], to: Status, warnings: Sequence[str], changes: Mapping[str, object]
    ) -> Task | None:
        """Change the status, and add to the warnings: others may have come since the task was read."""
        private = discreet(task) if to.is_final else {}

        def become(current: Task) -> Mapping[str, object]:
            return {**changes, **private, "warnings": (*current.warnings, *warnings)}

        moved = await self.store.move(task.id, of=of, to=to, attempt=task.attempt, changes=become)
        if moved is not None:
            self.bulletin.ring(task.id)
        return moved

    async def note(self, task: Task, **changes: object) -> None:
        """Remember something without moving."""
        if await self.store.move(task.id, of={task.status}, attempt=task.attempt, changes=changes):
            self.bulletin.ring(task.id)

    async def fail(self, task: Task, of: Collection[Status], **changes: object) -> None:
        """It failed and costs nothing. Raises `Claimed` when its provider has called about a job of this attempt."""

        def become(current: Task) -> Mapping[str, object]:
            if remote_id := claimed(current):
                raise Claimed(remote_id)
            return changes | uncharged(current) | discreet(current)

        if await self.store.move(task.id, of=of, to=Status.FAILED, attempt=task.attempt, changes=become):
            self.bulletin.ring(task.id)

    async def revise(self, task: Task, changes: Changes) -> None:
        """Remember what follows from the task as it is by then, without moving."""
        if await self.store.move(task.id, of={task.status}, attempt=task.attempt, changes=changes):
            self.bulletin.ring(task.id)

    async def begin(self, task: Task, changes: Mapping[str, object], limits: Limits) -> Task | Full | None:
        """Begin the next attempt. What keeps it from beginning, or None when the task had moved on."""
        begun = await self.store.begin(task.id, attempt=task.attempt, changes=changes, limits=limits)
        if isinstance(begun, Task):
            self.bulletin.ring(task.id)
        return begun

    async def switch(self, task: Task, of: Collection[Status], changes: Changes, caps: Caps) -> Task | None:
        """Queue the task with another model. None when it had moved on. Raises `OverCap`."""
        switched = await self.store.switch(task.id, of=of, attempt=task.attempt, changes=changes, caps=caps)
        if switched is not None:
            self.bulletin.ring(task.id)
        return switched

    async def take(
        self, task: Task, remote_id: str, of: Collection[Status], changes: Mapping[str, object]
    ) -> Task | None:
        """The provider's word that a job is this task's."""
        taken = await self.store.take(task.id, remote_id, of=of, attempt=task.attempt, changes=changes)
        if taken is not None:
            self.bulletin.ring(task.id)
        return taken

    async def remark(self, task: Task, warning: str) -> None:
        """Add a warning, whatever became of the task."""
        await self.store.remark(task.id, warning)
        self.bulletin.ring(task.id)

    async def adopt(self, task: Task, remote_id: str) -> bool:
        """Take up a provider's job for a task of unknown fate, unless another task has it."""
        adopted = await self.store.adopt(task.id, remote_id, attempt=task.attempt)
        if adopted:
            self.bulletin.ring(task.id)
        return adopted


def discreet(task: Task) -> dict[str, object]:
    """The end of what was only needed to send the task, as a change to it: URLs of pictures may be signed."""
    pictures = {name: picture.model_copy(update={"url": None}) for name, picture in task.pictures.items()}
    return {"pictures": pictures, "sent_pictures": {}, "alternatives": ()}


def uncharged(task: Task) -> dict[str, object]:
    """Proof that this attempt costs nothing, as a change to the task."""
    return {"counted_usd": task.spent_before}


async def forget(task: Task, adapter: Adapter) -> None:
    """It is over: the adapter may let go of what it kept for the task."""
    if task.remote_id is not None:
        await adapter.forget(task.remote_id)


def expires_at(catalog: Catalog, task: Task, now: float) -> float | None:
    """When the provider deletes a result it has only now told of, as far as it says how long it keeps them."""
    provider = catalog.providers.get(task.provider)
    return None if provider is None or provider.results_seconds is None else now + provider.results_seconds


def waiting(error: KeyframeError, otherwise: float) -> float:
    """Seconds until it is worth trying again: the provider's own word, where it gave one."""
    asked = error.retry_after if isinstance(error, ProviderBusy) else None
    return otherwise if asked is None else max(asked, 1.0)


def trace_of(error: KeyframeError) -> dict[str, object]:
    """The provider's name for the exchange, as a change to the task."""
    trace = error.trace_id if isinstance(error, ProviderError) else None
    return {} if trace is None else {"trace_id": trace}

"""A store whose writes somebody hears of: each task as it was before, and as it is now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import anyio

from keyframe_mcp.store import NO_CAPS, NO_CHANGES, Caps, Changes, Full, Limits, Store, nobody
from keyframe_mcp.task import Status, Task

Result = TypeVar("Result")
Hear = Callable[[Task | None, Task], None]


class HeardStore:
    """Another store, everything of which is its own. Writes that move a task, or its price, are told to `hear`.

    What a write stands for is known when it is done; it is told also when its caller was cancelled meanwhile.
    """

    def __init__(self, store: Store, hear: Sequence[Hear]) -> None:
        self._store = store
        self._hear = hear

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
        return getattr(self._store, name)

    async def add(self, task: Task, *, same_request_since: float, caps: Caps = NO_CAPS) -> tuple[Task, bool]:
        """See `Store.add`."""
        added, is_new = await done(self._store.add(task, same_request_since=same_request_since, caps=caps))
        self._tell(None, added if is_new else None)
        return added, is_new

    async def move(
        self,
        task_id: str,
        *,
        of: Collection[Status],
        to: Status | None = None,
        attempt: int | None = None,
        changes: Changes = NO_CHANGES,
    ) -> Task | None:
        """See `Store.move`."""
        seen: list[Task] = []
        how = noting(changes, seen)
        return await self._told(seen, self._store.move(task_id, of=of, to=to, attempt=attempt, changes=how))

    async def resume(self, task_id: str, *, attempt: int, changes: Changes, caps: Caps) -> Task | None:
        """See `Store.resume`."""
        seen: list[Task] = []
        return await self._told(
            seen, self._store.resume(task_id, attempt=attempt, changes=noting(changes, seen), caps=caps)
        )

    async def switch(
        self, task_id: str, *, of: Collection[Status], attempt: int, changes: Changes, caps: Caps
    ) -> Task | None:
        """See `Store.switch`."""
        seen: list[Task] = []
        how = noting(changes, seen)
        return await self._told(seen, self._store.switch(task_id, of=of, attempt=attempt, changes=how, caps=caps))

    async def begin(
        self, task_id: str, *, attempt: int, changes: Mapping[str, object], limits: Limits
    ) -> Task | Full | None:
        """See `Store.begin`."""
        begun = await done(self._store.begin(task_id, attempt=attempt, changes=changes, limits=limits))
        if isinstance(begun, Task):
            self._tell(begun.model_copy(update={"status": Status.QUEUED, "attempt": attempt}), begun)
        return begun

    async def count(
        self, task_id: str, *, of: Collection[Status], attempt: int, usd: float, caps: Caps = NO_CAPS
    ) -> Task | None:
        """See `Store.count`."""
        before = [await self._store.get(task_id)]
        return await self._told(before, self._store.count(task_id, of=of, attempt=attempt, usd=usd, caps=caps))

    async def take(
        self,
        task_id: str,
        remote_id: str,
        *,
        of: Collection[Status],
        attempt: int,
        changes: Mapping[str, object],
        robbed: Callable[[Task, Task], None] = nobody,
    ) -> Task | None:
        """See `Store.take`."""
        before = [await self._store.get(task_id)]
        others: list[tuple[Task, Task]] = []

        def losing(task: Task, without: Task) -> None:
            others.append((task, without))
            robbed(task, without)

        how: dict[str, Any] = {"of": of, "attempt": attempt, "changes": changes, "robbed": losing}
        after = await done(self._store.take(task_id, remote_id, **how))
        for task, without in others:
            self._tell(task, without)
        self._tell(before[-1], after)
        return after

    async def adopt(
        self, task_id: str, remote_id: str, *, attempt: int, changes: Mapping[str, object] = NO_CHANGES
    ) -> bool:
        """See `Store.adopt`."""
        before = await self._store.get(task_id)
        is_ours = await done(self._store.adopt(task_id, remote_id, attempt=attempt, changes=changes))
        if is_ours:
            self._tell(before, await done(self._store.get(task_id)))
        return is_ours

    async def _told(self, before: list[Task], write: Awaitable[Task | None]) -> Task | None:
        """Carry a write out, and tell of it. `before` has, by then, the task as the write found it."""
        after = await done(write)
        self._tell(before[-1] if before else None, after)
        return after

    def _tell(self, before: Task | None, after: Task | None) -> None:
        if after is not None:
            for each in self._hear:
                each(before, after)


async def done(write: Awaitable[Result]) -> Result:
    """What comes of a write, which a cancelled caller would not undo."""
    with anyio.CancelScope(shield=True):
        return await write
    raise AssertionError("a shielded scope was cancelled")


def noting(changes: Changes, seen: list[Task]) -> Changes:
    """The same changes, which leave behind what the task was in that transaction."""

    def become(task: Task) -> Mapping[str, object]:
        seen.append(task)
        return changes(task) if callable(changes) else changes

    return become

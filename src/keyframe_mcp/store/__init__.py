"""Where tasks live. `Store` is the seam; `sqlite` is the one that needs nothing installed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from keyframe_mcp.task import Status, Task

NO_CHANGES: Mapping[str, object] = MappingProxyType({})


class Store(Protocol):
    """Remembers tasks. A write is on disk when it returns, and only moves that `NEXT` allows happen."""

    async def add(self, task: Task, *, same_request_since: float) -> tuple[Task, bool]:
        """Remember a new task and say True; or return the one that already answers it, and False.

        One answers it when it has the same owner and idempotency key, or the same owner and request hash, was
        created since then, and neither failed nor was cancelled.
        """
        ...

    async def get(self, task_id: str, owner: str | None = None) -> Task:
        """The task with that id. Raises `UnknownTask`, also for another owner's."""
        ...

    async def recent(self, owner: str, statuses: Collection[Status] = (), limit: int = 20) -> Sequence[Task]:
        """The newest tasks first, of all statuses when none are named."""
        ...

    async def move(
        self,
        task_id: str,
        *,
        of: Collection[Status],
        to: Status | None = None,
        attempt: int | None = None,
        changes: Mapping[str, object] = NO_CHANGES,
    ) -> Task | None:
        """Change a task if it is still in one of these statuses and, where given, at this attempt.

        Returns the task as it now is, or None when it had moved on. `to=None` keeps the status.
        """
        ...

    async def adopt(self, task_id: str, remote_id: str, *, attempt: int) -> bool:
        """Make a task of unknown fate the owner of a provider's job. False when another of its provider's tasks is."""
        ...

    async def claim(self, worker: str, limit: int, lease: float) -> Sequence[str]:
        """Take up to `limit` due tasks nobody holds, for `lease` seconds. Their ids, longest overdue first."""
        ...

    async def renew(self, worker: str, task_ids: Collection[str], lease: float) -> None:
        """Hold tasks for longer."""
        ...

    async def release(self, worker: str, task_id: str, due_in: float | None) -> None:
        """Let go of a task until it is due again. None: it is never due again."""
        ...

    async def wake(self, task_id: str) -> None:
        """Make a task due now."""
        ...

    async def next_due(self) -> float | None:
        """Seconds until some task is due. None when none waits."""
        ...

    async def uploaded(self, account: str, content: str, *, until: float) -> str | None:
        """Where a provider keeps its copy of a picture, if it does so at least until then (seconds since the epoch)."""
        ...

    async def remember_upload(self, account: str, content: str, url: str, kept_until: float) -> None:
        """Remember where a provider keeps its copy of a picture, and until when."""
        ...

    async def forget_uploads(self, account: str, contents: Collection[str]) -> None:
        """Forget where a provider keeps its copies of pictures: it no longer has them."""
        ...

    async def aclose(self) -> None:
        """Finish what was asked and close."""
        ...

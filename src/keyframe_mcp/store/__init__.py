"""Where tasks live. `Store` is the seam; `sqlite` is the one that needs nothing installed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol

from keyframe_mcp.task import Status, Task

Changes = Mapping[str, object] | Callable[[Task], Mapping[str, object]]
"""What becomes of a task's fields; as a function, what follows from the task as it is in that transaction."""

NO_CHANGES: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Caps:
    """The most that tasks counted since a moment may cost, in US dollars: all of them, and each owner's. None: any."""

    since: float = 0.0
    all_usd: float | None = None
    owner_usd: float | None = None


NO_CAPS = Caps()


class OverCap(Exception):
    """What a task would cost is more than is left. `left` is in US dollars."""

    def __init__(self, which: Literal["all", "owner"], left: float) -> None:
        super().__init__(f"{left:g} left of {which}")
        self.which: Literal["all", "owner"] = which
        self.left = left


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much a provider takes, over all processes: submissions on their way, jobs at once, submissions a minute."""

    on_their_way: int
    at_once: int | None = None
    submits_per_minute: int | None = None


@dataclass(frozen=True)
class Full:
    """A provider takes no more for now: which limit says so, and in how many seconds it may be different."""

    limit: Literal["on_their_way", "at_once", "submits_per_minute"]
    seconds: float | None = None


@dataclass(frozen=True)
class Hint:
    """What follows from a call of a provider: what becomes of a task, whatever its status, and whether it is due."""

    changes: Mapping[str, object] = field(default_factory=lambda: NO_CHANGES)
    is_due: bool = False


def nobody(before: Task, after: Task) -> None:
    """Is told, and does nothing."""


class Store(Protocol):
    """Remembers tasks. A write is on disk when it returns, and only moves that `NEXT` allows happen.

    A job that was called about (`called_id`) and that a write leaves without use is named in a warning by that write.
    """

    async def add(self, task: Task, *, same_request_since: float, caps: Caps = NO_CAPS) -> tuple[Task, bool]:
        """Remember a new task and say True; or return the one that already answers it, and False.

        One answers it when it has the same owner and idempotency key, or, where no key is given, the same owner and
        request hash, and is either of unknown fate, or was created since then and neither failed nor was cancelled.
        Raises `OverCap`, and remembers nothing, when its `counted_usd` is more than is left.
        """
        ...

    async def same(self, task: Task, since: float) -> Task | None:
        """The task that would answer this one by its request, as `add` judges it, or by its key."""
        ...

    async def keyed(self, owner: str, key: str) -> Task | None:
        """The owner's task with that idempotency key."""
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
        changes: Changes = NO_CHANGES,
    ) -> Task | None:
        """Change a task if it is still in one of these statuses and, where given, at this attempt.

        Returns the task as it now is, or None when it had moved on. `to=None` keeps the status.
        """
        ...

    async def begin(
        self, task_id: str, *, attempt: int, changes: Mapping[str, object], limits: Limits
    ) -> Task | Full | None:
        """Make a queued task's next attempt, if the provider takes one more.

        None when the task had moved on, or a job that its provider called about has to be asked about first.
        The count of attempts goes up, and the submission counts from here on, whatever comes of it.
        """
        ...

    async def full(self, task: Task, limits: Limits) -> Full | None:
        """Which limit keeps a queued task from being sent now. None when its provider takes it."""
        ...

    async def resume(self, task_id: str, *, attempt: int, changes: Changes, caps: Caps) -> Task | None:
        """Queue a task of unknown fate again, if it is still at this attempt. None when it had moved on.

        Raises `OverCap` as `add` does.
        """
        ...

    async def switch(
        self, task_id: str, *, of: Collection[Status], attempt: int, changes: Changes, caps: Caps
    ) -> Task | None:
        """Queue a task with another model. None when it had moved on, is to be cancelled, or may have a job.

        The count of attempts goes up, so that whoever has read the task before can no longer send it. Raises `OverCap`
        as `add` does.
        """
        ...

    async def count(
        self, task_id: str, *, of: Collection[Status], attempt: int, usd: float, caps: Caps = NO_CAPS
    ) -> Task | None:
        """Let a task in one of these statuses, final ones too, count for so much from now on.

        None when it had moved on. Raises `OverCap` as `add` does.
        """
        ...

    async def counted(self, since: float, owner: str | None = None) -> float:
        """What the tasks counted since then cost, in US dollars: all of them, or an owner's."""
        ...

    async def remark(self, task_id: str, warning: str) -> None:
        """Add a warning to a task, in whatever status it is."""
        ...

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
        """Make a task the owner of a job, on the provider's own word, and running. None when it had moved on.

        Another task that took the job up because it looked like its own is of unknown fate again, or is told; `robbed`
        is called with it, as it was and as it is, inside the transaction. A task that a person had queued again, and
        that is not sent again now, counts once.
        """
        ...

    async def adopt(
        self, task_id: str, remote_id: str, *, attempt: int, changes: Mapping[str, object] = NO_CHANGES
    ) -> bool:
        """Make a task of unknown fate the owner of a provider's job. False when another of its provider's tasks is."""
        ...

    async def hear(
        self, provider: str, call_id: str, task_id: str, remote_id: str | None, decide: Callable[[Task, bool], Hint]
    ) -> bool:
        """Let a task hear of its provider's call, once. False when that call was heard before.

        `decide` is asked with the task as it is, and whether another task has the job. Remembering the call and what
        follows from it are one transaction: a call that could not be dealt with was not heard. Raises `UnknownTask`.
        """
        ...

    async def claim(
        self, worker: str, limit: int, lease: float, providers: Collection[str] | None = None
    ) -> Sequence[str]:
        """Take up to `limit` due tasks nobody holds, for `lease` seconds. Their ids, longest overdue first.

        Only those of these providers, where any are named: whoever cannot work on a task leaves it to others.
        """
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

    async def next_due(self, providers: Collection[str] | None = None) -> float | None:
        """Seconds until some task, of these providers, is due. None when none waits."""
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

    async def learn(self, model: str, seconds: float) -> None:
        """Remember how long a model took for a job. Only the latest of each model are kept."""
        ...

    async def learned(self, model: str) -> Sequence[float]:
        """How long a model took for its latest jobs, in seconds, shortest first."""
        ...

    async def aclose(self) -> None:
        """Finish what was asked and close."""
        ...

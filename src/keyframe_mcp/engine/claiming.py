"""A job that its provider called about while nobody knew whether there is one: the provider is asked, then it is ours.

The call came to an address that was made for this attempt of this task, and was signed by the provider; so it is worth
as much as an answer to the submission that came late. Another task's job is never taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keyframe_mcp.adapters.base import Adapter, Report
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.doubts import refixed
from keyframe_mcp.engine.moves import Moves
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.errors import KeyframeError, ProviderRefused
from keyframe_mcp.store.claims import claimed, named
from keyframe_mcp.task import Status, Task

OPEN = frozenset({Status.QUEUED, Status.UNKNOWN})
"""Where there is something to claim. While it is being submitted, the answer is waited for."""

IN_VAIN = frozenset({Status.FAILED, Status.CANCELLED})


@dataclass(frozen=True)
class Claiming:
    """From unknown to running; and from queued, where a person had it sent again and that has not begun."""

    catalog: Catalog
    moves: Moves
    pace: Pace

    async def settle(self, task: Task, adapter: Adapter) -> float | None:
        """Ask about the job, and take it up. Seconds until the next step."""
        remote_id = claim(task)
        if remote_id is None:
            return 0
        try:
            report = await adapter.check(remote_id)
        except ProviderRefused:
            return await self._let_go(task, f"does not know job {named((remote_id,))}, which it has called about")
        except KeyframeError:
            return await self._unanswered(task, remote_id)
        if task.status is Status.QUEUED and report.status in IN_VAIN:
            return await self._let_go(task, in_vain(remote_id, report))
        if not await self._take(task, remote_id):
            return await self._let_go(task, f"called about job {named((remote_id,))}, which is another task's")
        return 0

    async def _take(self, task: Task, remote_id: str) -> bool:
        """Whether the job is the task's now, or the task has moved on."""
        if task.status is Status.UNKNOWN:
            taken = await self.moves.adopt(task, remote_id)
        else:
            changes = {"failure": None, "is_adopted": True}
            taken = await self.moves.take(task, remote_id, {Status.QUEUED}, changes) is not None
        now = await self.moves.store.get(task.id)
        return taken or (now.status, now.attempt) != (task.status, task.attempt)

    async def _let_go(self, task: Task, why: str) -> float:
        """Nothing came of the call, and the task says so. Another call may have come meanwhile: that one stays."""

        def changes(current: Task) -> Mapping[str, object]:
            told = {"warnings": (*current.warnings, f"{task.provider} {why}")}
            if current.called_id != task.called_id:
                return told
            return told | {"called_id": None} | self._told(current.model_copy(update={"called_id": None}))

        await self.moves.revise(task, changes)
        return 0

    async def _unanswered(self, task: Task, remote_id: str) -> float | None:
        """Count the look, and name the job to whoever looks. A person's order is not kept waiting for ever."""
        if task.looks + 1 < len(self.pace.looks):
            await self.moves.note(task, looks=task.looks + 1, **self._told(task))
            return self.pace.looks[task.looks + 1]
        if task.status is Status.QUEUED:
            return await self._let_go(task, f"does not say how job {named((remote_id,))} is, which it has called about")
        await self.moves.note(task, looks=len(self.pace.looks), **self._told(task))
        return None

    def _told(self, task: Task) -> dict[str, object]:
        """What a person is told to look for, where nobody knows what became of the task."""
        return refixed(self.catalog, task) if task.status is Status.UNKNOWN else {}


def claim(task: Task) -> str | None:
    """The job that was called about, and that may be the task's."""
    return claimed(task) if task.status in OPEN else None


def in_vain(remote_id: str, report: Report) -> str:
    """That the job a person had replaced has come to nothing."""
    why = f" ({report.failure.message})" if report.failure else ""
    return f"says that job {named((remote_id,))}, which it has called about, is {report.status}{why}"

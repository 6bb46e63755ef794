"""Looking for a job whose submission nobody knows the fate of, in the provider's own list. Nothing is sent again.

Only a job that is surely ours is taken up: same model, same inputs, made when ours was sent, and no other task's. A
list that does not show the inputs proves nothing; what it shows is then told to whoever has to look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keyframe_mcp.adapters.base import Adapter, Found, Job
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.following import is_overdue
from keyframe_mcp.engine.moves import Moves
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.errors import KeyframeError
from keyframe_mcp.store.claims import named
from keyframe_mcp.task import Status, Task

LISTED = ". Its list has these jobs of that time: "


@dataclass(frozen=True)
class Reconciling:
    """From unknown to running, where there is proof. It looks a few times and then lets the task be."""

    catalog: Catalog
    moves: Moves
    clock: Callable[[], float]
    pace: Pace

    async def look(self, task: Task, adapter: Adapter) -> float | None:
        """Look once. Seconds until the next look; None when there is nothing more to be had from looking."""
        if task.sent_at is None or task.looks >= len(self.pace.looks):
            return None
        if task.remote_id is not None:
            return await self._ask_again(task, task.remote_id, adapter)
        try:
            model = self.catalog.find(task.model).model
            job = Job(
                task_id=task.id,
                attempt=task.attempt,
                model=model.remote,
                version=model.version,
                mode=task.mode,
                wire=task.wire | task.sent_pictures,
            )
            found = await adapter.find(job, task.sent_at)
        except KeyframeError:
            found = Found()
        if found is None:
            return None
        for remote_id in found.certain:
            if await self.moves.adopt(task, remote_id):
                return 0
        await self._tell(task, found)
        return self._next_look(task)

    async def _ask_again(self, task: Task, remote_id: str, adapter: Adapter) -> float | None:
        """A job whose id is known, and of which nothing was heard for too long. Any answer brings it back.

        Where the provider has been saying for too long that it is running, only an end does.
        """
        try:
            report = await adapter.check(remote_id)
        except KeyframeError:
            return await self._looked(task)
        if report.status is Status.RUNNING and is_overdue(self.catalog, task, self.pace, self.clock()):
            return await self._looked(task)
        await self.moves.move(task, {Status.UNKNOWN}, Status.RUNNING, failure=None, unheard_since=None)
        return 0

    async def _looked(self, task: Task) -> float | None:
        """Count a look that showed nothing."""
        await self.moves.note(task, looks=task.looks + 1)
        return self._next_look(task)

    def _next_look(self, task: Task) -> float | None:
        """Seconds until the look after this one."""
        return self.pace.looks[task.looks + 1] if task.looks + 1 < len(self.pace.looks) else None

    async def _tell(self, task: Task, found: Found) -> None:
        """Count the look, and name the jobs a person should look at."""
        changes: dict[str, object] = {"looks": task.looks + 1}
        if found.possible and task.failure is not None:
            before = task.failure.message.partition(LISTED)[0].rstrip(".")
            message = f"{before}{LISTED}{named(found.possible)}"
            changes["failure"] = task.failure.model_copy(update={"message": message})
        await self.moves.note(task, **changes)

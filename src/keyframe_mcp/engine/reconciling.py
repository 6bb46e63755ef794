"""Looking for a job whose submission nobody knows the fate of, in the provider's own list. Nothing is sent again.

Only a job that is surely ours is taken up: same model, same inputs, made when ours was sent, and no other task's. A
list that does not show the inputs proves nothing; what it shows is then told to whoever has to look.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keyframe_mcp.adapters.base import Adapter, Found, Job
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.following import is_overdue
from keyframe_mcp.engine.moves import Moves
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.errors import KeyframeError
from keyframe_mcp.task import Status, Task

LISTED = ". Its list has these jobs of that time: "
MOST_NAMED = 5
MOST_WORDS = 2
PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:~-]{0,63}")
WORD = re.compile(r"(?<![^._:~-])[A-Za-z]{3,}(?![^._:~-])")


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


def named(remote_ids: Sequence[str]) -> str:
    """The first few ids, for a sentence of ours. They are the provider's text: quoted, and none that says much."""
    plain = [f'"{each}"' for each in remote_ids if is_plain(each)][:MOST_NAMED]
    more = len(remote_ids) - len(plain)
    rest = [f"{more} more" if plain else f"{more} that cannot be named here"] if more else []
    return ", ".join([*plain, *rest])


def is_plain(remote_id: str) -> bool:
    """Whether it looks like an id: short, with a digit in it, and not made of words."""
    has_digit = any(each.isdecimal() for each in remote_id)
    return has_digit and bool(PLAIN_ID.fullmatch(remote_id)) and len(WORD.findall(remote_id)) <= MOST_WORDS

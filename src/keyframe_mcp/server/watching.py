"""Waiting for tasks inside a call, and telling the host meanwhile how they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mcp.server.mcpserver import Context

from keyframe_mcp.engine import Caller, Engine
from keyframe_mcp.server.sentences import heading, share
from keyframe_mcp.task import Task

HEARTBEAT_SECONDS = 5.0  # hosts show the time that has passed, and some give up on what is silent
LONGEST_MESSAGE = 200  # characters; Claude Code shows no more
STILL = 0.01  # percent: the protocol wants every report to be more than the one before


@dataclass(frozen=True)
class Watched:
    """Tasks as they were when the wait began, and as they are now."""

    before: Sequence[Task]
    now: Sequence[Task]

    def is_unchanged(self, place: int) -> bool:
        """Whether nothing has happened to a task, by its place in the list."""
        return self.before[place] == self.now[place]

    def seen_by(self, shown: Callable[[Task], Task]) -> Watched:
        """The same as somebody sees it."""
        now = [shown(task) for task in self.now]
        return Watched(now if self.before is self.now else [shown(task) for task in self.before], now)


@dataclass(frozen=True)
class Watch:
    """Waits for a caller's tasks. `clock` gives seconds since the epoch."""

    engine: Engine
    caller: Caller
    clock: Callable[[], float]

    async def wait(self, task_ids: Sequence[str], seconds: float, context: Context) -> Watched:
        """The tasks once all are settled, or after `seconds`. Raises `UnknownTask`.

        An answer that is there at once comes alone: a report before it would turn it into a stream over HTTP.
        """
        until = self.clock() + seconds
        before = [await self.engine.get(each, self.caller) for each in task_ids]
        if seconds <= 0 or are_settled(before):
            return Watched(before, before)
        reported, tasks = Reported(context), before
        while True:
            left = until - self.clock()
            async for tasks in self.engine.follow(task_ids, self.caller, min(max(left, 0), HEARTBEAT_SECONDS)):
                await reported.tell(tasks, self.clock())
            if left <= HEARTBEAT_SECONDS or self.engine.bulletin.is_closing or are_settled(tasks):
                return Watched(before, tasks)


def are_settled(tasks: Sequence[Task]) -> bool:
    """Whether waiting longer is pointless for all of them."""
    return all(task.status.is_settled for task in tasks)


class Reported:
    """How much has been told to the host, so that it only grows."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._told = -1.0

    async def tell(self, tasks: Sequence[Task], now: float) -> None:
        """Say how the tasks are doing."""
        done = round(100 * sum(share(task) for task in tasks) / len(tasks), 2)
        # a provider may take its word back, and many give no figure at all
        done = max(done, self._told + STILL)
        if done > 100:
            return
        self._told = done
        words = "; ".join(heading(task, now) for task in tasks)
        message = words if len(words) <= LONGEST_MESSAGE else words[: LONGEST_MESSAGE - 3] + "..."
        await self._context.report_progress(round(self._told, 2), 100, message)

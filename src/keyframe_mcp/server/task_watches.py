"""One look at a task for all the streams that follow it, and none when no stream does."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import TaskGroup

from keyframe_mcp.server.task_states import TaskSource, wire

log = logging.getLogger(__name__)

SECONDS_APART = 1.0  # a task that moves faster is shown as it is then
TROUBLE_SECONDS = 30.0

Shown = Mapping[str, Any]
"""A task as it goes out. All streams share one, so nobody changes it."""


class Untold:
    """What one stream has not been told yet: of each task only how it is now, however slowly its client reads."""

    def __init__(self) -> None:
        self._shown: dict[str, Shown] = {}
        self._news = anyio.Event()

    def put(self, shown: Shown) -> None:
        """A task is like this now."""
        self._shown[shown["taskId"]] = shown
        self._news.set()

    async def take(self) -> list[Shown]:
        """Everything there is to tell, once there is something."""
        await self._news.wait()
        self._news = anyio.Event()
        shown, self._shown = self._shown, {}
        return list(shown.values())


@dataclass
class Watch:
    """A task that is looked at, as it was seen last, and the streams that hear of it."""

    shown: Shown
    streams: set[Untold] = field(default_factory=set[Untold])
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class TaskWatches:
    """The watches of one caller's tasks. `tasks` is where they run."""

    def __init__(self, source: TaskSource, tasks: TaskGroup, seconds_apart: float = SECONDS_APART) -> None:
        self._source = source
        self._tasks = tasks
        self._seconds_apart = seconds_apart
        self._watches: dict[str, Watch] = {}

    async def look(self, task_id: str) -> Shown | None:
        """A task as it is, if it is the caller's."""
        if watch := self._watches.get(task_id):
            return watch.shown
        state = await self._source.find(task_id)
        return None if state is None else wire(state)

    @contextmanager
    def following(self, seen: Mapping[str, Shown]) -> Generator[Untold]:
        """Hear how these tasks are, first as they were seen, for as long as the block lasts."""
        untold = Untold()
        for task_id, shown in seen.items():
            self._join(task_id, shown, untold)
        try:
            yield untold
        finally:
            for task_id in seen:
                self._leave(task_id, untold)

    def _join(self, task_id: str, shown: Shown, untold: Untold) -> None:
        watch = self._watches.get(task_id)
        if watch is None:
            watch = self._watches[task_id] = Watch(shown)
            self._tasks.start_soon(self._run, task_id, watch)
        watch.streams.add(untold)
        untold.put(watch.shown)

    def _leave(self, task_id: str, untold: Untold) -> None:
        watch = self._watches[task_id]
        watch.streams.discard(untold)
        if not watch.streams:
            watch.scope.cancel()
            del self._watches[task_id]

    async def _run(self, task_id: str, watch: Watch) -> None:
        """Look until nobody listens or the task is over. Trouble ends no watch, and nothing else either."""
        with watch.scope:
            while True:
                try:
                    return await self._follow(task_id, watch)
                except Exception:
                    log.exception("task %s could not be looked at; it is tried again in %g s", task_id, TROUBLE_SECONDS)
                    await anyio.sleep(TROUBLE_SECONDS)

    async def _follow(self, task_id: str, watch: Watch) -> None:
        async with aclosing(self._source.follow([task_id])) as moves:
            async for (state,) in moves:
                shown = wire(state)
                if untouched(shown) == untouched(watch.shown):
                    continue
                watch.shown = shown
                for untold in watch.streams:
                    untold.put(shown)
                await anyio.sleep(self._seconds_apart)


def untouched(shown: Shown) -> Shown:
    """A task apart from when it was touched, which alone is no news."""
    return {name: value for name, value in shown.items() if name != "lastUpdatedAt"}

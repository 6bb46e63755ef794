"""Looking out for changes of what somebody wants to hear about, and of nothing else.

Every address is looked at by one watch, however many clients listen, and by none when nobody does. A move in this
process is heard at once; another process's is seen within `LOOK_AGAIN_SECONDS`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup
from mcp.server.subscriptions import ResourcesListChanged, ResourceUpdated, ServerEvent, SubscriptionBus

from keyframe_mcp.engine.bulletin import WAKE, Bulletin
from keyframe_mcp.engine.engine import LOOK_AGAIN_SECONDS
from keyframe_mcp.server.resources import MODELS, TASKS, NoSuchAddress, Resources
from keyframe_mcp.task import Task

log = logging.getLogger(__name__)

SPACING_SECONDS = 1.0  # between two notices of one address
GATHER_SECONDS = 0.1  # one step often rings more than once
OVER_SECONDS = 60.0  # a task that is over may still get a warning, from another process too
TROUBLE_SECONDS = 30.0


@dataclass(frozen=True)
class Sight:
    """What was seen: what is there, what of it may change, where to hear of that, and when to look without a word."""

    ids: tuple[str, ...]
    mark: tuple[object, ...]
    topics: tuple[str, ...]
    again: float


@dataclass
class Watch:
    """One address that is looked at, for so many listeners."""

    listeners: int = 0
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class Lookout:
    """Publishes what changes at the addresses somebody listens to. `tasks` is where the watches run."""

    def __init__(
        self,
        resources: Resources,
        bus: SubscriptionBus,
        tasks: TaskGroup,
        spacing: float = SPACING_SECONDS,
        look_again: float = LOOK_AGAIN_SECONDS,
    ) -> None:
        self._resources = resources
        self._bulletin: Bulletin = resources.application.engine.bulletin
        self._bus = bus
        self._tasks = tasks
        self._spacing = spacing
        self._look_again = look_again
        self._watches: dict[str, Watch] = {}

    @property
    def addresses(self) -> tuple[str, ...]:
        """What is looked at now."""
        return tuple(self._watches)

    async def see(self, uri: str) -> Sight:
        """What is at an address. Raises `NoSuchAddress`."""
        if uri == TASKS:
            return self._seen_list(await self._resources.recent())
        if uri.startswith(TASKS + "/"):
            task = await self._resources.task(uri)
            return Sight((task.id,), mark_of(task), (task.id,), OVER_SECONDS if is_over(task) else self._look_again)
        if uri.startswith(MODELS + "/"):
            self._resources.model(uri)
        elif uri != MODELS:
            raise NoSuchAddress(f"Only {TASKS}, {TASKS}/<task id> and models can be followed.")
        return Sight((), (), (), math.inf)  # models stay as they are while the server runs

    def _seen_list(self, recent: Iterable[Task]) -> Sight:
        shown = list(recent)
        moving = [task.id for task in shown if not is_over(task)]
        mark = tuple((task.id, task.status, task.outputs) for task in shown)
        return Sight(tuple(task.id for task in shown), mark, (WAKE, *moving), self._look_again)

    @contextmanager
    def looking(self, sights: Mapping[str, Sight]) -> Generator[None]:
        """Look out for changes since these sights for as long as the block lasts."""
        for uri, sight in sights.items():
            self.join(uri, sight)
        try:
            yield
        finally:
            for uri in sights:
                self.leave(uri)

    def join(self, uri: str, sight: Sight) -> None:
        """One more wants to hear of this address."""
        watch = self._watches.get(uri)
        if watch is None:
            watch = self._watches[uri] = Watch()
            if sight.topics:
                self._tasks.start_soon(self._run, uri, sight, watch.scope)
        watch.listeners += 1

    def leave(self, uri: str) -> None:
        """One less does."""
        watch = self._watches[uri]
        watch.listeners -= 1
        if not watch.listeners:
            watch.scope.cancel()
            del self._watches[uri]

    async def _run(self, uri: str, sight: Sight, scope: anyio.CancelScope) -> None:
        """Look until nobody listens. Trouble ends no watch, and nothing else either."""
        with scope:
            while True:
                try:
                    sight = await self._turn(uri, sight)
                except Exception:
                    log.exception("%s could not be looked at; it is tried again in %g s", uri, TROUBLE_SECONDS)
                    await anyio.sleep(TROUBLE_SECONDS)

    async def _turn(self, uri: str, before: Sight) -> Sight:
        """Look; tell what has changed, and then nothing for a while; or wait for a word."""
        with self._bulletin.listening(before.topics) as listener:
            now = await self.see(uri)
            if now.mark == before.mark:
                await listener.wait(now.again)
                await anyio.sleep(GATHER_SECONDS)
                return before
        for event in events(uri, before, now):
            await self._bus.publish(event)
        await anyio.sleep(self._spacing)
        return now


def events(uri: str, before: Sight, now: Sight) -> Iterator[ServerEvent]:
    """What a change is called."""
    yield ResourceUpdated(uri)
    if before.ids != now.ids:
        yield ResourcesListChanged()


def mark_of(task: Task) -> tuple[object, ...]:
    """What of a task is worth a word when it changes."""
    return (task.status, task.progress, task.outputs, task.failure, task.warnings)


def is_over(task: Task) -> bool:
    """Whether it stays as it is, but for a late warning."""
    return task.status.is_final

"""When to look at a running job again: seldom enough for the provider, soon enough for whoever waits.

The first look is when the quickest jobs of that model end, as its latest jobs have shown; from then on a small share of
the time the job has taken, so that a short job is seen to end soon and a long one is not asked about needlessly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keyframe_mcp.adapters.base import Adapter
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.callbacks import NO_CALLBACKS, Callbacks
from keyframe_mcp.engine.moves import waiting
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.errors import KeyframeError
from keyframe_mcp.store import Store
from keyframe_mcp.task import Task

SHARE = 0.03  # of the time a job has taken
SPREAD = 0.15  # either way, so that jobs that were sent together are not asked about together
EARLY = 0.2  # never later than learned: what ends unseen before the first look would make the next first look later
ENOUGH = 3  # jobs of a model, before anything is concluded from them
QUICKEST = 10  # one in so many jobs ends before the first look
MOST_ASKED = 120.0  # seconds; a provider that asks for more patience is asked once in between
LOOKS_IN_TIME = 4  # how often a result is looked for at least while its provider keeps it


@dataclass(frozen=True)
class Polling:
    """Says how long to leave a job alone, in seconds. `chance` gives numbers from 0 up to 1."""

    catalog: Catalog
    store: Store
    clock: Callable[[], float]
    pace: Pace
    chance: Callable[[], float]
    callbacks: Callbacks = NO_CALLBACKS

    async def first(self, task: Task, adapter: Adapter) -> float:
        """Until the first look at a job that was just accepted."""
        if adapter.idempotent:
            return adapter.poll_seconds
        learned = await self.store.learned(task.model)
        return self._unless_called(task, first_wait(learned, self.taken(task), self.pace, self.chance()))

    def again(self, task: Task, adapter: Adapter) -> float:
        """Until the look after one that found the job running."""
        if adapter.idempotent:
            return adapter.poll_seconds
        return self._unless_called(task, next_wait(self.taken(task), self.pace, self.chance()))

    def after_trouble(self, task: Task, error: KeyframeError, since: float) -> float:
        """Until the look after one that had no answer; there has been none since that moment."""
        own = self._in_time(task, trouble_wait(self.clock() - since, self.pace, self.chance()))
        return max(own, min(waiting(error, own), MOST_ASKED))

    async def learn(self, task: Task, adapter: Adapter) -> None:
        """Remember how long a job took that was seen to end now."""
        if not adapter.idempotent:
            await self.store.learn(task.model, max(0.0, self.taken(task)))

    def taken(self, task: Task) -> float:
        """How long ago the job was sent."""
        return self.clock() - (task.created_at if task.sent_at is None else task.sent_at)

    def _unless_called(self, task: Task, wait: float) -> float:
        """Longer where the provider is going to call, and has shown that its calls arrive."""
        safety = jittered(self.pace.safety, self.chance()) if self.callbacks.is_expected(task) else 0.0
        return self._in_time(task, max(wait, safety))

    def _in_time(self, task: Task, wait: float) -> float:
        """Never so long that a result could be deleted before it is seen."""
        provider = self.catalog.providers.get(task.provider)
        kept = provider.results_seconds if provider else None
        return wait if kept is None else min(wait, kept / LOOKS_IN_TIME)


def first_wait(learned: Sequence[float], taken: float, pace: Pace, chance: float) -> float:
    """Until the first look, with how long the model's latest jobs took, shortest first."""
    if len(learned) < ENOUGH:
        return jittered(pace.poll, chance)
    quick = learned[(len(learned) - 1) // QUICKEST]
    return max(pace.soonest, min(quick - taken, pace.first) * (1 - EARLY * chance))


def next_wait(taken: float, pace: Pace, chance: float) -> float:
    """Until the next look at a job that has taken so long."""
    return jittered(min(max(SHARE * taken, pace.soonest), pace.latest), chance)


def trouble_wait(unheard: float, pace: Pace, chance: float) -> float:
    """Until the next try after so long without an answer: the time it has lasted is the measure, so it doubles."""
    return max(pace.soonest, chance * min(pace.longest_trouble, pace.trouble + unheard))


def jittered(wait: float, chance: float) -> float:
    """A little more or less."""
    return wait * (1 + SPREAD * (2 * chance - 1))

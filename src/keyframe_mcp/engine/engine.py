"""What every way in uses, be it a tool, a command or a protocol task. Nothing here talks to a provider."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio

from keyframe_mcp.adapters.base import Adapter, Outgoing
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.budget import Budget, Left
from keyframe_mcp.engine.bulletin import WAKE, Bulletin
from keyframe_mcp.engine.callbacks import NO_CALLBACKS, Callbacks
from keyframe_mcp.engine.caller import Caller
from keyframe_mcp.engine.fallback import after
from keyframe_mcp.engine.films import Films
from keyframe_mcp.engine.finding import find_task
from keyframe_mcp.engine.intake import Draft, Intake
from keyframe_mcp.engine.moves import discreet, uncharged
from keyframe_mcp.engine.outgoing import outgoing
from keyframe_mcp.engine.retaking import Again, Retake, retake
from keyframe_mcp.engine.settling import Settling
from keyframe_mcp.errors import BudgetExceeded, MissingCredential
from keyframe_mcp.store import OverCap, Store
from keyframe_mcp.task import Failure, Inputs, Status, Task, is_sent_alike
from keyframe_mcp.telemetry import QUIET, Observer

SAME_REQUEST_SECONDS = 120
MOST_UNKNOWN = 1000  # looked through for the same request
UNTOLD = "this task was started without fallback, and stays with its model"
LOOK_AGAIN_SECONDS = 2.0  # another process may have moved the task


@dataclass(frozen=True)
class Started:
    """A task, whether it is one that was there already, and what this request in particular must be told.

    `why` is how its model was chosen, where this request made it and named none.
    """

    task: Task
    deduplicated: bool
    warnings: tuple[str, ...]
    why: str | None = None


@dataclass(frozen=True)
class Rehearsal:
    """What starting a task would do: what would be sent, what it would cost, and why it would be refused, if so."""

    draft: Draft
    request: Outgoing | None
    """What the provider would be sent. None where nothing goes over a network."""
    left: Left | None = None
    refusal: BudgetExceeded | None = None
    answered_by: Task | None = None
    """The task that a real call would get, and nothing be started."""
    doubts: tuple[str, ...] = ()
    """Warnings of tasks of the same request that may be billed."""


@dataclass(frozen=True)
class Engine:
    """Starts tasks and says how they are doing. `clock` gives seconds since the epoch."""

    catalog: Catalog
    adapters: Mapping[str, Adapter]
    store: Store
    intake: Intake
    films: Films
    settling: Settling
    budget: Budget
    bulletin: Bulletin
    clock: Callable[[], float]
    observer: Observer = QUIET
    callbacks: Callbacks = NO_CALLBACKS

    async def start(
        self,
        caller: Caller,
        request: Inputs,
        *,
        model: str | None = None,
        idempotency_key: str | None = None,
        strict: bool = True,
        fallback: bool = False,
        again: Again | None = None,
    ) -> Started:
        """Check a request and write it down; the runner submits it. Raises before anything is written.

        The same key, or the same request again within two minutes, is the same task, with `fallback` or without; and
        without a key, whenever, the same request as that of a task of unknown fate. One that makes an earlier task
        `again` is never that task.
        """
        now = self.clock()
        again = await self._looked_up(again, caller, idempotency_key)
        how: Any = {"strict": strict, "fallback": fallback, "again": again}
        prepared = await self.intake.prepare(caller, request, model, idempotency_key, now, **how)
        draft = prepared.task
        task, is_new = await self._add(draft, now - SAME_REQUEST_SECONDS)
        while not is_new and idempotency_key is None and await is_gone(task, now):
            task, is_new = await self._add(draft, math.nextafter(task.created_at, math.inf))
        doubts = await self._doubts(task) if is_new and idempotency_key is not None else ()
        for doubt in doubts:
            await self.store.remark(task.id, doubt)
        self.bulletin.ring(WAKE)
        told = draft.warnings if task.model == draft.model else after(draft)
        moved = (moved_text(draft, task),) if task.model != draft.model and not fallback else ()
        lonely = (UNTOLD,) if not is_new and draft.alternatives and is_alone(task) else ()
        why = prepared.why if model is None and is_new else None
        return Started(task, deduplicated=not is_new, warnings=(*told, *moved, *lonely, *doubts), why=why)

    async def rehearse(
        self,
        caller: Caller,
        request: Inputs,
        *,
        model: str | None = None,
        idempotency_key: str | None = None,
        strict: bool = True,
        fallback: bool = False,
        again: Again | None = None,
    ) -> Rehearsal:
        """Check a request as `start` does, and write and send nothing. Too high a price is told, not raised."""
        now = self.clock()
        again = await self._looked_up(again, caller, idempotency_key)
        how: Any = {"strict": strict, "fallback": fallback, "again": again, "key": idempotency_key}
        draft = await self.intake.rehearse(caller, request, model, now, **how)
        sent = outgoing(draft.task, self.catalog, self.adapters[draft.task.provider], self.callbacks)
        same = await self.store.same(draft.task, now - SAME_REQUEST_SECONDS)
        is_made_anew = same is None or (idempotency_key is None and await is_gone(same, now))
        answer = None if is_made_anew else same
        doubts = await self._doubts(draft.task) if answer is None and idempotency_key is not None else ()
        if draft.task.cost is None or not self.budget.is_limited:
            return Rehearsal(draft, sent, answered_by=answer, doubts=doubts)
        left = await self.budget.left(self.store, caller.owner, now)
        refusal = None if answer else self.budget.refusal_now(draft.task.cost, left, now)
        return Rehearsal(draft, sent, left, refusal, answer, doubts)

    async def _looked_up(self, again: Again | None, caller: Caller, key: str | None) -> Again | None:
        """The same retake, knowing whether a task with the key is there already."""
        if again is None or key is None:
            return again
        return replace(again, is_there=await self.store.keyed(caller.owner, key) is not None)

    async def retake(self, caller: Caller, task_id: str, overrides: Mapping[str, Any]) -> Retake:
        """An earlier task's request with changes, to be given to `start` or `rehearse`."""
        return retake(await self.get(task_id, caller), overrides, self.catalog)

    async def _add(self, draft: Task, since: float) -> tuple[Task, bool]:
        """Write a task down, within what may be spent. One that answers the request already costs nothing."""
        try:
            caps = self.budget.caps(draft.created_at)
            with self.observer.accepting(draft) as accepting:
                task, is_new = await self.store.add(accepting.draft, same_request_since=since, caps=caps)
                accepting.became(task)
                return task, is_new
        except OverCap as over:
            raise self.budget.exceeded(over, draft.counted_usd, draft.created_at) from None

    async def _doubts(self, task: Task) -> tuple[str, ...]:
        """A warning for each task of unknown fate that was asked for the same."""
        unknown = await self.store.recent(task.owner, {Status.UNKNOWN}, MOST_UNKNOWN)
        others = [each for each in unknown if each.id != task.id]
        twins = [each for each in others if task.request_hash == each.request_hash or is_sent_alike(each, task)]
        return tuple(f"task {each.id} of the same request is unknown and may be billed" for each in twins)

    async def get(self, task_id: str, caller: Caller) -> Task:
        """A task as it was last written down, and whether this server can do nothing for it."""
        task = await find_task(self.store, task_id, caller)
        if task.status.is_settled or task.provider in self.intake.choosing.configured:
            return task
        return task.model_copy(update={"failure": Failure.of(MissingCredential(self._waits_for(task.provider)))})

    def _waits_for(self, provider_id: str) -> str:
        """What keeps a task of a provider from going on here."""
        provider = self.catalog.providers.get(provider_id)
        if provider is None:
            return f"this task waits for the catalogue to have {provider_id} again"
        elsewhere = "or for another server with it that shares these tasks"
        return f"this task waits for {provider.key} to be set here again, {elsewhere}"

    async def recent(self, caller: Caller, statuses: Collection[Status] = (), limit: int = 20) -> Sequence[Task]:
        """The caller's newest tasks."""
        return await self.store.recent(caller.owner, statuses, limit)

    async def follow(self, task_ids: Sequence[str], caller: Caller, seconds: float) -> AsyncGenerator[Sequence[Task]]:
        """The tasks now and after every change, until all are settled or `seconds` have passed."""
        until = self.clock() + seconds
        before: Sequence[Task] | None = None
        with self.bulletin.listening(task_ids) as listener:
            while True:
                tasks = [await self.get(each, caller) for each in task_ids]
                if tasks != before:
                    yield tasks
                    before = tasks
                left = until - self.clock()
                if left <= 0 or self.bulletin.is_closing or all(task.status.is_settled for task in tasks):
                    return
                await listener.wait(min(left, LOOK_AGAIN_SECONDS))

    async def cancel(self, task_id: str, caller: Caller) -> Task:
        """Stop a task that was not sent yet, or have the runner ask the provider. A finished one stays as it is."""
        await self.get(task_id, caller)
        moved = await self.store.move(task_id, of={Status.QUEUED}, to=Status.CANCELLED, changes=cancelled)
        if moved is None:
            asked = {"cancel_requested": True}
            await self.store.move(task_id, of={Status.SUBMITTING, Status.RUNNING}, changes=asked)
            await self.store.wake(task_id)
        self.bulletin.ring(task_id)
        self.bulletin.ring(WAKE)
        return await self.get(task_id, caller)


def cancelled(task: Task) -> dict[str, object]:
    """What becomes of a task that was stopped before it was sent."""
    return uncharged(task) | discreet(task) | {"failure": None}


def moved_text(draft: Task, task: Task) -> str:
    """That a request is answered by a task of another model, which is not the one that it would be made with now."""
    how = f"went on from {task.refused[0].partition(':')[0]} to {task.model}" if task.refused else f"is of {task.model}"
    new = "a new idempotency_key makes a new video, which is paid"
    return f"task {task.id} is of the same request and {how}, so nothing is made with {draft.model}; {new}"


def is_alone(task: Task) -> bool:
    """Whether a task that is still open has no other model to go on to, and never had."""
    return not (task.status.is_final or task.alternatives or task.refused)


async def is_gone(task: Task, now: float) -> bool:
    """Whether a task's video was made and has been removed since: then asking again is asking for a new one."""
    for output in task.outputs:
        if output.file and not await anyio.Path(output.file).exists():
            return True
        if output.kept is False and output.expires_at is not None and output.expires_at.timestamp() < now:
            return True
    return False

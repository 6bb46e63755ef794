"""Sending a job: what costs nothing is prepared, the intent is written down, then it is sent, once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

import anyio

from keyframe_mcp.adapters.base import Accepted, Adapter, Job
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.budget import NO_BUDGET, Budget
from keyframe_mcp.engine.callbacks import NO_CALLBACKS, Callbacks
from keyframe_mcp.engine.doubts import doubtful, uncertain
from keyframe_mcp.engine.fallback import DEFINITE, Fallback
from keyframe_mcp.engine.keeper import Keeper
from keyframe_mcp.engine.moves import Moves, trace_of, uncharged, waiting
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.engine.pictures import Pictures
from keyframe_mcp.engine.polling import Polling
from keyframe_mcp.errors import (
    KeyframeError,
    OutputUnwritable,
    ProviderBusy,
    ProviderRefused,
    ProviderUnavailable,
    StoreUnusable,
    SubmissionUncertain,
    UnexpectedReply,
)
from keyframe_mcp.store import Full, Limits, OverCap
from keyframe_mcp.task import Cost, Failure, Status, Task

MOST_ON_THEIR_WAY = 4  # to one provider, over all processes: a crash leaves no more than these in doubt
UNLIMITED = Limits(on_their_way=1000)  # where sending twice is harmless

# An answer to an attempt is evidence, also when others have given it up for unknown, or a person had it sent again
# and that has not begun.
OPEN = frozenset({Status.SUBMITTING, Status.UNKNOWN, Status.QUEUED})

log = logging.getLogger(__name__)


class Sending:
    """The jobs that are on their way: few at once to each provider, and counted for whoever wants to leave."""

    def __init__(self) -> None:
        self._places: dict[str, anyio.CapacityLimiter] = {}

    def is_any(self) -> bool:
        """Whether one is on its way."""
        return any(places.borrowed_tokens for places in self._places.values())

    def place(self, provider: str) -> anyio.CapacityLimiter:
        """To be held while a job is sent to this provider."""
        return self._places.setdefault(provider, anyio.CapacityLimiter(MOST_ON_THEIR_WAY))


@dataclass(frozen=True)
class Rules:
    """What holds for sending: the budget, and how much each provider takes."""

    budget: Budget = NO_BUDGET
    limits: Mapping[str, Limits] = field(default_factory=dict[str, Limits])

    def limits_of(self, provider: str, adapter: Adapter) -> Limits:
        """How much a provider takes."""
        if adapter.idempotent:
            return UNLIMITED
        return self.limits.get(provider, Limits(on_their_way=MOST_ON_THEIR_WAY))


@dataclass(frozen=True)
class Submitting:
    """From queued to running, or to knowing why not, or to knowing that nobody can tell."""

    catalog: Catalog
    pictures: Pictures
    moves: Moves
    clock: Callable[[], float]
    pace: Pace
    sending: Sending
    rules: Rules
    polling: Polling
    keeper: Keeper
    configured: Collection[str]
    """The providers that jobs can be sent to."""
    callbacks: Callbacks = NO_CALLBACKS

    async def submit(self, task: Task, adapter: Adapter) -> float | None:
        """Prepare what costs nothing, write the intent down, then send it, once."""
        if task.cancel_requested:
            await self.moves.move(task, {Status.QUEUED}, Status.CANCELLED, failure=None, **uncharged(task))
            return None
        if adapter.idempotent:
            return await self._prepare(task, adapter)
        limits = self.rules.limits_of(task.provider, adapter)
        if full := await self.moves.store.full(task, limits):
            return await self._wait(task, full)
        # Not waited for: whoever waits here keeps the runner from other providers' tasks.
        place = self.sending.place(task.provider)
        try:
            place.acquire_nowait()
        except anyio.WouldBlock:
            return self.pace.place
        try:
            return await self._prepare(task, adapter)
        finally:
            place.release()

    async def _wait(self, task: Task, full: Full) -> float:
        """Leave the task queued, and say why where that takes longer than a moment."""
        if full.limit == "on_their_way":
            return self.pace.place
        provider = self.catalog.providers[task.provider]
        takes = {"at_once": "jobs at once", "submits_per_minute": "submissions a minute"}[full.limit]
        many = getattr(self.rules.limits[task.provider], full.limit)
        variable = f"KEYFRAME_{task.provider.upper().replace('-', '_')}_{full.limit.upper()}"
        turn = f"it waits its turn: {provider.name} takes {many} {takes}; where an account has more, {variable} says so"
        failure = Failure.of(ProviderBusy(turn))
        if task.failure != failure:
            await self.moves.note(task, failure=failure)
        return self.pace.turn if full.seconds is None else max(full.seconds, self.pace.place)

    async def _prepare(self, task: Task, adapter: Adapter) -> float | None:
        """Everything that costs nothing; then it is sent."""
        try:
            if not adapter.idempotent:
                await self.keeper.require_room()
            job = await self._job(task, adapter)
        except (ProviderBusy, ProviderUnavailable, OutputUnwritable) as error:
            if await self._fallback.left(task, error):
                return 0
            await self.moves.note(task, failure=Failure.of(error))
            return waiting(error, self.pace.busy)
        except KeyframeError as error:
            return await self._fallback.refused(task, {Status.QUEUED}, error)
        return await self._submit(task, job, adapter)

    @property
    def _fallback(self) -> Fallback:
        return Fallback(self.moves, self.rules.budget, self.clock, self.configured)

    async def _submit(self, task: Task, job: Job, adapter: Adapter) -> float | None:
        """The intent, and then the job."""
        now = self.clock()
        # before anything is written: the key for its signature may be unreadable
        callback = self.callbacks.address(task.provider, task.id, task.attempt + 1)
        changes = {"sent_at": now, "sent_pictures": as_sent(task, job), "calls_back": callback is not None}
        intent = await self.moves.begin(task, changes, self.rules.limits_of(task.provider, adapter))
        if intent is None:
            return 0
        if isinstance(intent, Full):
            return await self._wait(task, intent)
        late = anyio.current_time() + self.pace.fence
        job = replace(job, attempt=intent.attempt, callback=callback)
        job = replace(job, not_after=now + self.pace.fence, not_after_ticks=late)
        return await self._send(intent, job, adapter)

    async def _job(self, task: Task, adapter: Adapter) -> Job:
        """The job as the provider is asked for it: its pictures where the provider reads them, its price asked for."""
        model = self.catalog.find(task.model).model
        wire = await self.pictures.wire(task, adapter)
        job = Job(task_id=task.id, attempt=0, model=model.remote, version=model.version, mode=task.mode, wire=wire)
        if task.attempt == task.planned_at and (usd := await adapter.quote(job)) is not None:
            basis = f"quoted by {task.provider} for this request"
            await self._price(task, Cost(estimated_usd=usd, basis=basis))
        return job

    async def _price(self, task: Task, cost: Cost) -> None:
        """Count the task at the provider's own price. Raises `BudgetExceeded` when that is too much."""
        usd = task.spent_before + self.rules.budget.counts(cost)
        now = self.clock()
        try:
            caps, of = self.rules.budget.caps(now), {Status.QUEUED}
            await self.moves.store.count(task.id, of=of, attempt=task.attempt, usd=usd, caps=caps)
        except OverCap as over:
            raise self.rules.budget.exceeded(over, usd, now) from None
        finally:
            await self.moves.note(task, cost=cost)

    async def _send(self, task: Task, job: Job, adapter: Adapter) -> float | None:
        # Shielded: stopping must not leave a job behind that nobody has written down.
        with anyio.CancelScope(shield=True):
            return await self._send_once(task, job, adapter)

    async def _send_once(self, task: Task, job: Job, adapter: Adapter) -> float | None:
        open_states = {Status.SUBMITTING, Status.UNKNOWN}
        try:
            accepted = await adapter.submit(job)
        except (ProviderBusy, ProviderUnavailable) as error:
            return await self._unsent(task, open_states, error)
        except (SubmissionUncertain, UnexpectedReply) as error:
            return await self._doubt(task, uncertain(error))
        except DEFINITE as error:
            again = await self._fallback.refused(task, open_states, error)
            if isinstance(error, ProviderRefused):
                await self.pictures.forget(task, adapter)
            return again
        except KeyframeError as error:
            return await self._fallback.failed(task, open_states, error)
        except Exception:
            log.exception("submitting %s broke; whether it was sent is not known", task.id)
            return await self._doubt(task, SubmissionUncertain())
        await self._remember(task, accepted)
        return await self.polling.first(task, adapter)

    async def _unsent(self, task: Task, of: set[Status], error: ProviderBusy | ProviderUnavailable) -> float:
        """Proof that nothing was sent: the same task goes on to another provider, or waits its turn again."""
        if await self._fallback.left(task, error):
            return 0
        await self.moves.move(task, of, Status.QUEUED, failure=Failure.of(error), **trace_of(error))
        return waiting(error, self.pace.busy)

    async def _doubt(self, task: Task, error: SubmissionUncertain) -> float:
        """Nobody can tell whether there is a job."""
        failure = doubtful(self.catalog, task, error)
        await self.moves.move(task, {Status.SUBMITTING}, Status.UNKNOWN, failure=failure, **trace_of(error))
        return self.pace.looks[0]

    async def _remember(self, task: Task, accepted: Accepted) -> None:
        """Write the provider's id down, however often that takes: it is all there is of a job that may be paid."""
        for wait in (0.1, 1, 5, 10, *[30] * 20):
            try:
                await self._take(task, accepted)
            except StoreUnusable:
                log.exception(
                    "task %s is job %s at %s; writing that down again", task.id, accepted.remote_id, task.provider
                )
                await anyio.sleep(wait)
            else:
                return
        await self._take(task, accepted)

    async def _take(self, task: Task, accepted: Accepted) -> None:
        """The job is the task's. Where that has moved on to another job, this one is mentioned: it may be billed."""
        changes = {"native_status": accepted.native_status, "trace_id": accepted.trace_id, "failure": None}
        if await self.moves.take(task, accepted.remote_id, OPEN, changes):
            return
        now = await self.moves.store.get(task.id)
        if now.remote_id != accepted.remote_id:
            job = f"{task.provider} took attempt {task.attempt} too, as job {accepted.remote_id}"
            await self.moves.remark(task, f"{job}; nothing follows that job, and it may be billed")

    async def abandoned(self, task: Task, adapter: Adapter) -> float | None:
        """Found submitting, and not by the one who began it: that process died before it could write the answer."""
        if adapter.idempotent:
            await self.moves.move(task, {Status.SUBMITTING}, Status.QUEUED)
            return 0
        died = SubmissionUncertain("the server was stopped before it heard whether the provider took the job")
        await self._doubt(task, died)
        return 0


def as_sent(task: Task, job: Job) -> dict[str, str]:
    """What stands for each picture in the request. Bytes are not kept: an empty text says that they travelled in it."""
    sent = {name: str(job.wire[name]) for name in task.pictures}
    return {name: "" if text.startswith("data:") else text for name, text in sent.items()}

"""Sending a job: what costs nothing is prepared, the intent is written down, then it is sent, once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import anyio

from keyframe_mcp.adapters.base import Accepted, Adapter, Job
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.moves import Moves, trace_of, waiting
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.engine.pictures import Pictures
from keyframe_mcp.errors import (
    KeyframeError,
    OutputUnwritable,
    ProviderBusy,
    ProviderUnavailable,
    StoreUnusable,
    SubmissionUncertain,
    UnexpectedReply,
)
from keyframe_mcp.task import Cost, Failure, Status, Task

MOST_ON_THEIR_WAY = 4  # to one provider: a crash leaves no more than these in doubt

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
class Submitting:
    """From queued to running, or to knowing why not, or to knowing that nobody can tell."""

    catalog: Catalog
    pictures: Pictures
    moves: Moves
    clock: Callable[[], float]
    pace: Pace
    sending: Sending

    async def submit(self, task: Task, adapter: Adapter) -> float | None:
        """Prepare what costs nothing, write the intent down, then send it, once."""
        if task.cancel_requested:
            await self.moves.move(task, {Status.QUEUED}, Status.CANCELLED)
            return None
        if adapter.idempotent:
            return await self._prepare(task, adapter)
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

    async def _prepare(self, task: Task, adapter: Adapter) -> float | None:
        """Everything that costs nothing; then it is sent."""
        try:
            job = await self._job(task, adapter)
        except (ProviderBusy, ProviderUnavailable, OutputUnwritable) as error:
            await self.moves.note(task, failure=Failure.of(error))
            return waiting(error, self.pace.busy)
        except KeyframeError as error:
            await self.moves.move(task, {Status.QUEUED}, Status.FAILED, failure=Failure.of(error), **trace_of(error))
            return None
        return await self._submit(task, job, adapter)

    async def _submit(self, task: Task, job: Job, adapter: Adapter) -> float | None:
        """The intent, and then the job."""
        attempt, queued = task.attempt + 1, {Status.QUEUED}
        changes = {"attempt": attempt, "sent_at": self.clock(), "sent_pictures": as_sent(task, job)}
        intent = await self.moves.move(task, queued, Status.SUBMITTING, **changes)
        if intent is None:
            return 0
        return await self._send(intent, replace(job, attempt=attempt), adapter)

    async def _job(self, task: Task, adapter: Adapter) -> Job:
        """The job as the provider is asked for it: its pictures where the provider reads them, its price asked for."""
        model = self.catalog.find(task.model).model
        wire = await self.pictures.wire(task, adapter)
        job = Job(task_id=task.id, attempt=0, model=model.remote, version=model.version, mode=task.mode, wire=wire)
        if task.attempt == 0 and (usd := await adapter.quote(job)) is not None:
            basis = f"quoted by {task.provider} for this request"
            await self.moves.note(task, cost=Cost(estimated_usd=usd, basis=basis))
        return job

    async def _send(self, task: Task, job: Job, adapter: Adapter) -> float | None:
        # Shielded: stopping must not leave a job behind that nobody has written down.
        with anyio.CancelScope(shield=True):
            return await self._send_once(task, job, adapter)

    async def _send_once(self, task: Task, job: Job, adapter: Adapter) -> float | None:
        sending, open_states = {Status.SUBMITTING}, {Status.SUBMITTING, Status.UNKNOWN}
        try:
            accepted = await adapter.submit(job)
        except (ProviderBusy, ProviderUnavailable) as error:
            # Proof that nothing was sent: the same task waits its turn again.
            await self.moves.move(task, open_states, Status.QUEUED, failure=Failure.of(error), **trace_of(error))
            return waiting(error, self.pace.busy)
        except (SubmissionUncertain, UnexpectedReply) as error:
            failure = Failure.of(uncertain(error))
            await self.moves.move(task, sending, Status.UNKNOWN, failure=failure, **trace_of(error))
            return self.pace.looks[0]
        except KeyframeError as error:
            await self.moves.move(task, sending, Status.FAILED, failure=Failure.of(error), **trace_of(error))
            return None
        except Exception:
            log.exception("submitting %s broke; whether it was sent is not known", task.id)
            await self.moves.move(task, sending, Status.UNKNOWN, failure=Failure.of(SubmissionUncertain()))
            return self.pace.looks[0]
        await self._remember(task, open_states, accepted)
        return adapter.poll_seconds

    async def _remember(self, task: Task, of: set[Status], accepted: Accepted) -> None:
        """Write the provider's id down, however often that takes: it is all there is of a job that may be paid."""
        remote_id = accepted.remote_id
        changes = {"remote_id": remote_id, "native_status": accepted.native_status, "trace_id": accepted.trace_id}
        for wait in (0.1, 1, 5, 10, 30):
            try:
                await self.moves.move(task, of, Status.RUNNING, **changes, failure=None)
            except StoreUnusable:
                log.exception("task %s is job %s at %s; writing that down again", task.id, remote_id, task.provider)
                await anyio.sleep(wait)
            else:
                return
        await self.moves.move(task, of, Status.RUNNING, **changes, failure=None)

    async def abandoned(self, task: Task, adapter: Adapter) -> float | None:
        """Found submitting, and not by the one who began it: that process died before it could write the answer."""
        if adapter.idempotent:
            await self.moves.move(task, {Status.SUBMITTING}, Status.QUEUED)
            return 0
        await self.moves.move(task, {Status.SUBMITTING}, Status.UNKNOWN, failure=Failure.of(SubmissionUncertain()))
        return 0


def as_sent(task: Task, job: Job) -> dict[str, str]:
    """What stands for each picture in the request. Bytes are not kept: an empty text says that they travelled in it."""
    sent = {name: str(job.wire[name]) for name in task.pictures}
    return {name: "" if text.startswith("data:") else text for name, text in sent.items()}


def uncertain(error: SubmissionUncertain | UnexpectedReply) -> SubmissionUncertain:
    """An answer to a submission that cannot be read leaves it open whether there is a job."""
    if isinstance(error, SubmissionUncertain):
        return error
    return SubmissionUncertain(f"{error}. The job may exist and be billed, so it was not sent again")

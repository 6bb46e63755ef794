"""The one place where a task moves: `advance` does at most one thing to the outside, then writes down what came.

Every write names the statuses, and the attempt, it may change. A late or concurrent answer can therefore never undo
a final state, and an answer to an older attempt never touches a newer one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import anyio

from keyframe_mcp.adapters.base import Adapter, Job, Report
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.bulletin import Bulletin
from keyframe_mcp.engine.keeper import Keeper
from keyframe_mcp.errors import (
    KeyframeError,
    MissingCredential,
    OutputUnwritable,
    ProviderBusy,
    ProviderUnavailable,
    StoreUnusable,
    SubmissionUncertain,
    UnexpectedReply,
)
from keyframe_mcp.store import Store
from keyframe_mcp.task import Failure, Status, Task

log = logging.getLogger(__name__)

BUSY_SECONDS = 10.0
TROUBLE_SECONDS = 10.0
UNWRITABLE_SECONDS = 15.0
UNCONFIGURED_SECONDS = 60.0


@dataclass(frozen=True)
class Steps:
    """Moves tasks on. Holds no state of its own."""

    catalog: Catalog
    adapters: Mapping[str, Adapter]
    store: Store
    keeper: Keeper
    bulletin: Bulletin

    async def advance(self, task_id: str) -> float | None:
        """Do the next thing for a task. Seconds until it should be called again; None when nothing is left to do."""
        task = await self.store.get(task_id)
        step = self._next_step(task.status)
        if step is None:
            return None
        adapter = self.adapters.get(task.provider)
        if adapter is None:
            key = self.catalog.providers[task.provider].key if task.provider in self.catalog.providers else None
            await self._note(task, failure=Failure.of(MissingCredential(f"this task waits for {key} to be set again")))
            return UNCONFIGURED_SECONDS
        return await step(task, adapter)

    def _next_step(self, status: Status) -> Callable[[Task, Adapter], Awaitable[float | None]] | None:
        match status:
            case Status.QUEUED:
                return self._submit
            case Status.SUBMITTING:
                return self._abandoned
            case Status.RUNNING:
                return self._check
            case Status.SAVING:
                return self._save
            case _:
                return None

    async def _submit(self, task: Task, adapter: Adapter) -> float | None:
        """Write the intent down, then send it, once."""
        if task.cancel_requested:
            await self._move(task, {Status.QUEUED}, Status.CANCELLED)
            return None
        attempt = task.attempt + 1
        changes = {"attempt": attempt}
        queued = {Status.QUEUED}
        intent = await self.store.move(task.id, of=queued, to=Status.SUBMITTING, attempt=task.attempt, changes=changes)
        if intent is None:
            return 0
        self.bulletin.ring(task.id)
        return await self._send(intent, adapter)

    async def _send(self, task: Task, adapter: Adapter) -> float | None:
        job = Job(task_id=task.id, attempt=task.attempt, model=self._remote(task), mode=task.mode, wire=task.wire)
        # Shielded: stopping must not leave a job behind that nobody has written down.
        with anyio.CancelScope(shield=True):
            return await self._send_once(task, job, adapter)

    async def _send_once(self, task: Task, job: Job, adapter: Adapter) -> float | None:
        sending, open_states = {Status.SUBMITTING}, {Status.SUBMITTING, Status.UNKNOWN}
        try:
            remote_id = await adapter.submit(job)
        except (ProviderBusy, ProviderUnavailable) as error:
            # Proof that nothing was sent: the same task waits its turn again.
            await self._move(task, open_states, Status.QUEUED, failure=Failure.of(error))
            return getattr(error, "retry_after", None) or BUSY_SECONDS
        except (SubmissionUncertain, UnexpectedReply) as error:
            await self._move(task, sending, Status.UNKNOWN, failure=Failure.of(error))
            return None
        except KeyframeError as error:
            await self._move(task, sending, Status.FAILED, failure=Failure.of(error))
            return None
        except Exception:
            log.exception("submitting %s broke; whether it was sent is not known", task.id)
            await self._move(task, sending, Status.UNKNOWN, failure=Failure.of(SubmissionUncertain()))
            return None
        await self._remember(task, open_states, remote_id)
        return adapter.poll_seconds

    async def _remember(self, task: Task, of: set[Status], remote_id: str) -> None:
        """Write the provider's id down, however often that takes: it is all there is of a job that may be paid."""
        for wait in (0.1, 1, 5, 10, 30):
            try:
                await self._move(task, of, Status.RUNNING, remote_id=remote_id, failure=None)
            except StoreUnusable:
                log.exception("task %s is job %s at %s; writing that down again", task.id, remote_id, task.provider)
                await anyio.sleep(wait)
            else:
                return
        await self._move(task, of, Status.RUNNING, remote_id=remote_id, failure=None)

    async def _abandoned(self, task: Task, adapter: Adapter) -> float | None:
        """Found submitting, and not by the one who began it: that process died before it could write the answer."""
        if adapter.idempotent:
            await self._move(task, {Status.SUBMITTING}, Status.QUEUED)
            return 0
        await self._move(task, {Status.SUBMITTING}, Status.UNKNOWN, failure=Failure.of(SubmissionUncertain()))
        return None

    async def _check(self, task: Task, adapter: Adapter) -> float | None:
        """Ask how it is doing. Not hearing back is not failing."""
        if task.remote_id is None:
            raise ValueError(f"task {task.id} is running without a remote id")
        remote_id = task.remote_id
        try:
            if task.cancel_requested:
                task = await self._ask_to_stop(task, remote_id, adapter)
            report = await adapter.check(remote_id)
        except KeyframeError as error:
            await self._note(task, failure=Failure.of(error))
            return TROUBLE_SECONDS
        return await self._hear(task, report, adapter)

    async def _ask_to_stop(self, task: Task, remote_id: str, adapter: Adapter) -> Task:
        """The task as it is after asking."""
        if not await adapter.cancel(remote_id):
            warning = f"{task.provider} cannot stop a job; it runs on and may be billed"
            await self._note(task, cancel_requested=False, warnings=(*task.warnings, warning))
        return await self.store.get(task.id)

    async def _hear(self, task: Task, report: Report, adapter: Adapter) -> float | None:
        """Write down what the provider said."""
        running = {Status.RUNNING}
        heard = {"native_status": report.native_status, "progress": report.progress, "failure": None}
        match report.status:
            case Status.SUCCEEDED:
                made = {"engine": report.engine, "confidence": report.confidence, "progress": 1.0}
                warnings = (*task.warnings, *report.warnings)
                outputs = report.outputs
                changes = heard | made | {"remote_outputs": outputs, "warnings": warnings}
                await self._move(task, running, Status.SAVING, **changes)
                return 0
            case Status.FAILED | Status.CANCELLED:
                await self._move(task, running, report.status, **(heard | {"failure": report.failure}))
                await self._forget(task, adapter)
                return None
            case _:
                if (task.native_status, task.progress, task.failure) != tuple(heard.values()):
                    await self._note(task, **heard)
                return adapter.poll_seconds

    async def _save(self, task: Task, adapter: Adapter) -> float | None:
        """Copy the result here. Until that worked the task has not succeeded, and it is not lost either."""
        try:
            outputs = await self.keeper.keep(task)
        except OutputUnwritable as error:
            await self._note(task, failure=Failure.of(error))
            return UNWRITABLE_SECONDS
        except KeyframeError as error:
            await self._move(task, {Status.SAVING}, Status.FAILED, failure=Failure.of(error))
            await self._forget(task, adapter)
            return None
        await self._move(task, {Status.SAVING}, Status.SUCCEEDED, outputs=outputs, failure=None)
        await self._forget(task, adapter)
        return None

    async def _forget(self, task: Task, adapter: Adapter) -> None:
        if task.remote_id is not None:
            await adapter.forget(task.remote_id)

    async def _move(self, task: Task, of: set[Status], to: Status, **changes: object) -> None:
        if await self.store.move(task.id, of=of, to=to, attempt=task.attempt, changes=changes):
            self.bulletin.ring(task.id)

    async def _note(self, task: Task, **changes: object) -> None:
        """Remember something without moving."""
        if await self.store.move(task.id, of={task.status}, attempt=task.attempt, changes=changes):
            self.bulletin.ring(task.id)

    def _remote(self, task: Task) -> str:
        return self.catalog.find(task.model).model.remote

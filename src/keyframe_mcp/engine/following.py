"""Asking how a running job is doing, and stopping it if that is wanted. Not hearing back is not failing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from keyframe_mcp.adapters.base import Adapter, Report
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.doubts import doubtful
from keyframe_mcp.engine.moves import Moves, expires_at, forget, trace_of, uncharged
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.engine.polling import Polling
from keyframe_mcp.errors import JobLost, KeyframeError, ProviderRefused, UnknownModel, by_kind
from keyframe_mcp.task import Failure, Status, Task


@dataclass(frozen=True)
class Following:
    """From running to saving, or to however else it ended."""

    catalog: Catalog
    moves: Moves
    clock: Callable[[], float]
    pace: Pace
    polling: Polling

    async def check(self, task: Task, adapter: Adapter) -> float | None:
        """Ask how it is doing. Not hearing back is not failing."""
        if task.remote_id is None:
            raise ValueError(f"task {task.id} is running without a remote id")
        if task.cancel_requested:
            task = await self._ask_to_stop(task, task.remote_id, adapter)
        try:
            report = await adapter.check(task.remote_id or "")
        except KeyframeError as error:
            return await self._unheard(task, error)
        return await self._hear(task, report, adapter)

    async def _unheard(self, task: Task, error: KeyframeError) -> float:
        """No answer ends no job. But one that never comes is said to be missing, in the end."""
        since = task.unheard_since
        # Being told that there is no such job is no part of a silence before it.
        if since is None or (isinstance(error, ProviderRefused) and not was_refused(task)):
            since = self.clock()
        if self.clock() - since >= self._patience(task, error):
            why = f"{task.provider} has not said how its job {task.remote_id} is doing for too long: {error}"
            return await self._lose(task, why, {})
        failure = Failure.of(error)
        if (task.unheard_since, task.failure) != (since, failure):
            trace = {} if task.trace_id else trace_of(error)
            await self.moves.note(task, failure=failure, unheard_since=since, **trace)
        return self.polling.after_trouble(task, error, since)

    async def _lose(self, task: Task, why: str, heard: Mapping[str, object]) -> float:
        """Nobody can tell what becomes of the job, and it may well be billed."""
        changes = dict(heard) | {"failure": doubtful(self.catalog, task, JobLost(why)), "looks": 0}
        await self.moves.move(task, {Status.RUNNING}, Status.UNKNOWN, **changes)
        return self.pace.looks[0]

    def _patience(self, task: Task, error: KeyframeError) -> float:
        """How long it is asked without an answer. Being told that there is no such job takes less than silence."""
        if isinstance(error, ProviderRefused):
            return self.pace.disowned
        provider = self.catalog.providers.get(task.provider)
        longest = provider.longest_seconds if provider else None
        return self.pace.silence + (longest or 0)

    async def _ask_to_stop(self, task: Task, remote_id: str, adapter: Adapter) -> Task:
        """The task as it is after asking. Trouble with asking must not keep us from hearing how the job is."""
        try:
            if not self._can_stop(task) or not await adapter.cancel(remote_id):
                why = f"{task.provider} cannot stop a job"
                await self.moves.note(task, cancel_requested=False, stop_refusal=why)
        except ProviderRefused as error:
            why = f"{task.provider} did not stop the job: {error}"
            await self.moves.note(task, cancel_requested=False, stop_refusal=why)
        except KeyframeError as error:
            if task.failure != (failure := Failure.of(error)):
                await self.moves.note(task, failure=failure)
        return await self.moves.store.get(task.id)

    def _can_stop(self, task: Task) -> bool:
        """Whether jobs of this model can be stopped. One that has left the catalogue is tried."""
        try:
            return self.catalog.find(task.model).can_cancel
        except UnknownModel:
            return True

    async def _hear(self, task: Task, report: Report, adapter: Adapter) -> float | None:
        """Write down what the provider said."""
        heard: dict[str, object] = {"native_status": report.native_status, "failure": None, "unheard_since": None}
        heard |= {} if report.seed is None else {"seed": report.seed}
        heard |= {} if report.progress is None else {"progress": report.progress}
        match report.status:
            case Status.SUCCEEDED if not report.outputs:
                return await self._nothing_to_save(task, report, heard, adapter)
            case Status.SUCCEEDED:
                await self._ended(task, Status.SAVING, heard | self._made(task, report), adapter, report.warnings)
                return 0
            case Status.FAILED:
                await self._end(task, report, heard | self._refund(task), adapter)
                return None
            case Status.CANCELLED:
                await self._end(task, report, heard, adapter)
                return None
            case _:
                return await self._goes_on(task, heard, adapter)

    async def _goes_on(self, task: Task, heard: Mapping[str, object], adapter: Adapter) -> float:
        """It is running, they say. That is believed for about as long as the provider lets a job run."""
        if not adapter.idempotent and is_overdue(self.catalog, task, self.pace, self.clock()):
            hours = self.polling.taken(task) / 3600
            said = f"{task.provider} says that its job {task.remote_id} has been running for {hours:.1f} h"
            return await self._lose(task, f"{said}, and none is let run for so long", heard)
        if any(getattr(task, name) != value for name, value in heard.items()):
            await self.moves.note(task, **heard)
        return self.polling.again(task, adapter)

    async def _ended(
        self, task: Task, to: Status, changes: Mapping[str, object], adapter: Adapter, warn: Sequence[str] = ()
    ) -> None:
        """The provider is done with it, and how long that took is remembered."""
        if await self.moves.warn(task, {Status.RUNNING}, to, warn, changes) and to is not Status.CANCELLED:
            await self.polling.learn(task, adapter)

    def _refund(self, task: Task) -> dict[str, object]:
        """What a provider that could not finish a job takes nothing for counts for nothing."""
        provider = self.catalog.providers.get(task.provider)
        return uncharged(task) if provider and provider.failures_are_free else {}

    def _made(self, task: Task, report: Report) -> dict[str, object]:
        """What is remembered of a job that succeeded."""
        return {
            "engine": report.engine,
            "confidence": report.confidence,
            "inference_seconds": report.inference_seconds,
            "progress": 1.0,
            "remote_outputs": report.outputs,
            "remote_expires_at": expires_at(self.catalog, task, self.clock()),
        }

    async def _nothing_to_save(
        self, task: Task, report: Report, heard: Mapping[str, object], adapter: Adapter
    ) -> float | None:
        """Success without a file is asked about once more: some say done a moment before the file is there."""
        if task.failure != report.failure:
            await self.moves.note(task, **(dict(heard) | {"failure": report.failure}))
            return self.polling.again(task, adapter)
        await self._end(task, replace(report, status=Status.FAILED), heard, adapter)
        return None

    async def _end(self, task: Task, report: Report, heard: Mapping[str, object], adapter: Adapter) -> None:
        """It is over, and there is nothing to save."""
        ended = dict(heard) | {"failure": report.failure, "inference_seconds": report.inference_seconds}
        await self._ended(task, report.status, ended, adapter)
        if report.is_picture_gone:
            gone = [picture.content for picture in task.pictures.values()]
            await self.moves.store.forget_uploads(adapter.account, gone)
        await forget(task, adapter)


def is_overdue(catalog: Catalog, task: Task, pace: Pace, now: float) -> bool:
    """Whether a job has run for longer than its provider lets any."""
    provider = catalog.providers.get(task.provider)
    longest = (provider.longest_seconds if provider else None) or pace.longest
    return task.sent_at is not None and now - task.sent_at > longest + pace.overdue


def was_refused(task: Task) -> bool:
    """Whether the provider, when it was asked last, said that it has no such job."""
    kind = by_kind().get(task.failure.kind) if task.failure else None
    return kind is not None and issubclass(kind, ProviderRefused)

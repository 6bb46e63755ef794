"""Asking how a running job is doing, and stopping it if that is wanted. Not hearing back is not failing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from keyframe_mcp.adapters.base import Adapter, Report
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.moves import Moves, expires_at, forget, trace_of, waiting
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.errors import JobLost, KeyframeError, ProviderRefused, UnknownModel
from keyframe_mcp.task import Failure, Status, Task


@dataclass(frozen=True)
class Following:
    """From running to saving, or to however else it ended."""

    catalog: Catalog
    moves: Moves
    clock: Callable[[], float]
    pace: Pace

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

    async def _unheard(self, task: Task, error: KeyframeError) -> float | None:
        """No answer ends no job. But one that never comes is said to be missing, in the end."""
        since = self.clock() if task.unheard_since is None else task.unheard_since
        if self.clock() - since < self._patience(task, error):
            trace = {} if task.trace_id else trace_of(error)
            await self.moves.note(task, failure=Failure.of(error), unheard_since=since, **trace)
            return waiting(error, self.pace.trouble)
        lost = JobLost(f"{task.provider} has not said how its job {task.remote_id} is doing for too long: {error}")
        await self.moves.move(task, {Status.RUNNING}, Status.UNKNOWN, failure=Failure.of(lost), looks=0)
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
                warning = f"{task.provider} cannot stop a job; it runs on and may be billed"
                await self.moves.note(task, cancel_requested=False, warnings=(*task.warnings, warning))
        except ProviderRefused as error:
            warning = f"{task.provider} did not stop the job: {error}"
            await self.moves.note(task, cancel_requested=False, warnings=(*task.warnings, warning))
        except KeyframeError as error:
            await self.moves.note(task, failure=Failure.of(error))
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
                await self.moves.move(task, {Status.RUNNING}, Status.SAVING, **(heard | self._made(task, report)))
                return 0
            case Status.FAILED | Status.CANCELLED:
                await self._end(task, report, heard, adapter)
                return None
            case _:
                if any(getattr(task, name) != value for name, value in heard.items()):
                    await self.moves.note(task, **heard)
                return adapter.poll_seconds

    def _made(self, task: Task, report: Report) -> dict[str, object]:
        """What is remembered of a job that succeeded."""
        return {
            "engine": report.engine,
            "confidence": report.confidence,
            "inference_seconds": report.inference_seconds,
            "progress": 1.0,
            "remote_outputs": report.outputs,
            "remote_expires_at": expires_at(self.catalog, task, self.clock()),
            "warnings": (*task.warnings, *report.warnings),
        }

    async def _nothing_to_save(
        self, task: Task, report: Report, heard: Mapping[str, object], adapter: Adapter
    ) -> float | None:
        """Success without a file is asked about once more: some say done a moment before the file is there."""
        if task.failure != report.failure:
            await self.moves.note(task, **(dict(heard) | {"failure": report.failure}))
            return adapter.poll_seconds
        await self._end(task, replace(report, status=Status.FAILED), heard, adapter)
        return None

    async def _end(self, task: Task, report: Report, heard: Mapping[str, object], adapter: Adapter) -> None:
        """It is over, and there is nothing to save."""
        ended = dict(heard) | {"failure": report.failure, "inference_seconds": report.inference_seconds}
        await self.moves.move(task, {Status.RUNNING}, report.status, **ended)
        if report.is_picture_gone:
            gone = [picture.content for picture in task.pictures.values()]
            await self.moves.store.forget_uploads(adapter.account, gone)
        await forget(task, adapter)

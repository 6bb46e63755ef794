"""Our tasks in the words of the Tasks extension."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import anyio
from mcp.types import CallToolResult, ErrorData

from keyframe_mcp.engine import Caller, Engine
from keyframe_mcp.errors import UnknownTask
from keyframe_mcp.server.links import as_it_is
from keyframe_mcp.server.results import result
from keyframe_mcp.server.sentences import sentence
from keyframe_mcp.server.views import POLL_SECONDS, TaskView, told
from keyframe_mcp.task import Status, Task

Word = Literal["working", "completed", "failed", "cancelled"]

# An unknown task is not `working`: a client would wait for it for ever, and its model would never read that a person
# has to look. Nor is one of ours ever `failed`, which the extension keeps for calls that ended in a JSON-RPC error.
WORDS: dict[Status, Word] = {
    Status.SUCCEEDED: "completed",
    Status.FAILED: "completed",
    Status.UNKNOWN: "completed",
    Status.CANCELLED: "cancelled",
}
DOING = {
    Status.QUEUED: "Waiting to be sent to {provider}",
    Status.SUBMITTING: "Being sent to {provider}",
    Status.RUNNING: "Being made by {model}",
    Status.SAVING: "Made; the file is being fetched and checked",
}
SETTLED_POLL_SECONDS = 1.0  # it is done: asking at once gets the result
UNSETTLED_SECONDS = 10.0  # between looks at tasks of unknown fate, which only a person or a late answer moves


@dataclass(frozen=True)
class TaskState:
    """A task as the extension shows it. Times are in seconds since the epoch."""

    task_id: str
    status: Word
    message: str
    created_at: float
    updated_at: float
    poll_seconds: float
    result: CallToolResult | None = None
    error: ErrorData | None = None


class TaskSource(Protocol):
    """Where the tasks of one caller are."""

    async def get(self, task_id: str) -> TaskState:
        """A task as it is now. Raises `UnknownTask`, also for another caller's."""
        ...

    async def find(self, task_id: str) -> TaskState | None:
        """A task as it is now, if it is one of the caller's."""
        ...

    async def cancel(self, task_id: str) -> None:
        """Ask for a task to be stopped. Asking again, or too late, is no error. Raises `UnknownTask`."""
        ...

    def follow(self, task_ids: Sequence[str]) -> AsyncGenerator[Sequence[TaskState]]:
        """The tasks now and after every change, until none of them can change any more."""
        ...


@dataclass(frozen=True)
class EngineTasks:
    """The tasks of one caller in the engine."""

    engine: Engine
    caller: Caller
    shown: Callable[[Task], Task] = as_it_is

    async def get(self, task_id: str) -> TaskState:
        """See `TaskSource.get`."""
        task = await self.engine.get(task_id, self.caller)
        if task.id != task_id:  # tools take other spellings of an id; here it is an address
            raise UnknownTask(f"there is no task {task_id!r}")
        return state_of(self.shown(task))

    async def find(self, task_id: str) -> TaskState | None:
        """See `TaskSource.find`. Nobody is told which other one may have been meant, so none is looked for."""
        try:
            await self.engine.store.get(task_id, self.caller.owner)
        except UnknownTask:
            return None
        return await self.get(task_id)

    async def cancel(self, task_id: str) -> None:
        """See `TaskSource.cancel`."""
        await self.engine.cancel(task_id, self.caller)

    async def follow(self, task_ids: Sequence[str]) -> AsyncGenerator[Sequence[TaskState]]:
        """See `TaskSource.follow`."""
        tasks: Sequence[Task] = ()
        while True:
            async with aclosing(self.engine.follow(task_ids, self.caller, math.inf)) as moves:
                async for tasks in moves:
                    yield [state_of(self.shown(task)) for task in tasks]
            if all(task.status.is_final for task in tasks):
                return
            await anyio.sleep(UNSETTLED_SECONDS)


def state_of(task: Task) -> TaskState:
    """A task as it is now."""
    is_open = not task.status.is_settled
    return TaskState(
        task_id=task.id,
        status=WORDS.get(task.status, "working"),
        message=doing(task) if is_open else sentence(task),
        created_at=task.created_at,
        updated_at=task.updated_at,
        poll_seconds=POLL_SECONDS[task.generative] if is_open else SETTLED_POLL_SECONDS,
        result=outcome(task) if WORDS.get(task.status) == "completed" else None,
    )


def doing(task: Task) -> str:
    """What is happening to a task that is not settled, for a person who waits."""
    what = DOING[task.status].format(provider=task.provider, model=task.model)
    far = "" if task.progress is None or task.status is not Status.RUNNING else f", {task.progress:.0%}"
    stopping = " It was asked to stop." if task.cancel_requested else ""
    stopping += f" It was asked to stop, but {task.stop_refusal}." if task.stop_refusal else ""
    trouble = told(task)
    return f"{what}{far}.{stopping}" + (f" {trouble.message.rstrip('.')}. {trouble.fix}" if trouble else "")


def outcome(task: Task) -> CallToolResult:
    """What the call would have answered, had it waited. Without a video it is an error that says what to do."""
    failed = task.status is not Status.SUCCEEDED
    return result(TaskView.of(task), sentence(task), is_error=failed)


def wire(state: TaskState) -> dict[str, Any]:
    """A task as it goes out. Tasks are kept for good, which is a `ttlMs` of null."""
    shown: dict[str, Any] = {
        "taskId": state.task_id,
        "status": state.status,
        "statusMessage": state.message,
        "createdAt": timestamp(state.created_at),
        "lastUpdatedAt": timestamp(state.updated_at),
        "ttlMs": None,
        "pollIntervalMs": round(state.poll_seconds * 1000),
    }
    for name, part in (("result", state.result), ("error", state.error)):
        if part is not None:
            shown[name] = part.model_dump(by_alias=True, mode="json", exclude_none=True)
    return shown


def timestamp(seconds: float) -> str:
    """Seconds since the epoch in ISO 8601, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

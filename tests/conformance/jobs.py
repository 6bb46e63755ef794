"""Pretended work for the suite's task scenarios. The handles, methods, refusals and notices are the shipped ones."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
from anyio.abc import TaskGroup
from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.types import CallToolResult, ErrorData, InputRequest, TextContent

from keyframe_mcp.engine.bulletin import Bulletin
from keyframe_mcp.errors import UnknownTask
from keyframe_mcp.server.task_states import TaskSource, TaskState

POLL_SECONDS = 0.2


@dataclass
class Job:
    """A job, what it takes to stop it, and what it asks its client."""

    state: TaskState
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    open_questions: dict[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    answers: dict[str, Any] = field(default_factory=dict[str, Any])
    all_answered: anyio.Event = field(default_factory=anyio.Event)

    async def ask(self, **questions: InputRequest) -> Mapping[str, Any]:
        """The answers, when there is one to every question."""
        self.open_questions = {name: as_sent(each) for name, each in questions.items()}
        await self.all_answered.wait()
        return self.answers

    def answer(self, answers: Mapping[str, Any]) -> None:
        """Take the answers to questions that are open. Others are ignored, as the extension has it."""
        for name in [each for each in answers if each in self.open_questions]:
            del self.open_questions[name]
            self.answers[name] = answers[name]
        if self.answers and not self.open_questions:
            self.all_answered.set()


Work = Callable[[Job], Awaitable[CallToolResult]]


@dataclass
class Jobs:
    """Jobs in memory; what the engine is to the real server. The engine's own tasks are found too."""

    tasks: TaskGroup
    others: TaskSource | None = None
    jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    bulletin: Bulletin = field(default_factory=Bulletin)

    def start(self, work: Work) -> CallToolResult:
        """The answer of a tool whose work has begun. It names the job, as our generate tools do."""
        task_id, now = secrets.token_urlsafe(24), time.time()
        self.jobs[task_id] = Job(TaskState(task_id, "working", "At work.", now, now, POLL_SECONDS))
        self.tasks.start_soon(self._run, task_id, work)
        return CallToolResult(content=said("started").content, structured_content={"task_id": task_id})

    async def get(self, task_id: str) -> TaskState:
        """See `TaskSource.get`."""
        if task_id in self.jobs:
            return self.jobs[task_id].state
        if self.others is None:
            raise UnknownTask(f"there is no task {task_id!r}")
        return await self.others.get(task_id)

    async def find(self, task_id: str) -> TaskState | None:
        """See `TaskSource.find`."""
        if task_id in self.jobs:
            return self.jobs[task_id].state
        return None if self.others is None else await self.others.find(task_id)

    async def cancel(self, task_id: str) -> None:
        """See `TaskSource.cancel`."""
        if task_id not in self.jobs and self.others is not None:
            return await self.others.cancel(task_id)
        if (await self.get(task_id)).status == "working":
            self.jobs[task_id].scope.cancel()
            self._become(task_id, status="cancelled", message="Stopped as asked.")
        return None

    async def follow(self, task_ids: Sequence[str]) -> AsyncGenerator[Sequence[TaskState]]:
        """See `TaskSource.follow`."""
        with self.bulletin.listening(task_ids) as listener:
            while True:
                states = [await self.get(each) for each in task_ids]
                yield states
                if all(state.status != "working" for state in states):
                    return
                await listener.wait(1)

    async def _run(self, task_id: str, work: Work) -> None:
        job = self.jobs[task_id]
        with job.scope:
            try:
                self._become(task_id, status="completed", message="Done.", result=await work(job))
            except MCPError as error:
                failed = ErrorData(code=error.code, message=str(error))
                self._become(task_id, status="failed", message=str(error), error=failed)

    def _become(self, task_id: str, **changes: object) -> None:
        job = self.jobs[task_id]
        job.state = replace(job.state, updated_at=time.time(), **changes)
        self.bulletin.ring(task_id)


@dataclass(frozen=True)
class Questions:
    """Middleware: jobs that ask their client something. No task of ours does, so the extension has no word of it.

    Whether a client may ask and answer at all is decided before, by the shipped methods.
    """

    jobs: Jobs

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Add the open questions to a task, and hand on the answers."""
        result = await call_next(ctx)
        params = ctx.params or {}
        job = self.jobs.jobs.get(str(params.get("taskId")))
        if job is not None and ctx.method == "tasks/update":
            job.answer(params["inputResponses"])
        if job is not None and ctx.method == "tasks/get" and job.open_questions and isinstance(result, Mapping):
            return {**result, "status": "input_required", "inputRequests": dict(job.open_questions)}
        return result


def said(text: str, *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=is_error)


def as_sent(question: InputRequest) -> Mapping[str, Any]:
    return question.model_dump(by_alias=True, mode="json", exclude_none=True)

"""The server the suite's task scenarios want: their tools, answered through our Tasks extension.

The jobs are pretended; the handles, the methods, the refusals and the notifications are the ones that are shipped.
"""

from __future__ import annotations

import secrets
import socket
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import anyio
import uvicorn
from anyio.abc import TaskGroup
from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver import Context, require_client_extension
from mcp.types import INTERNAL_ERROR, MISSING_REQUIRED_CLIENT_CAPABILITY, CallToolResult, ErrorData, TextContent

from keyframe_mcp.engine.bulletin import Bulletin
from keyframe_mcp.errors import UnknownTask
from keyframe_mcp.server.protocol_tasks import TASKS, TasksExtension
from keyframe_mcp.server.task_notices import TaskNotices
from keyframe_mcp.server.task_states import TaskState
from keyframe_mcp.server.task_watches import TaskWatches

SLOW_TOOLS = ("slow_compute", "failing_job", "protocol_error_job")
POLL_SECONDS = 0.2

Work = Callable[[], Awaitable[CallToolResult]]


@dataclass
class Job:
    """A job and what it takes to stop it."""

    state: TaskState
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


@dataclass
class Jobs:
    """Jobs in memory; what the engine is to the real server."""

    tasks: TaskGroup
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
        if task_id not in self.jobs:
            raise UnknownTask(f"there is no task {task_id!r}")
        return self.jobs[task_id].state

    async def find(self, task_id: str) -> TaskState | None:
        """See `TaskSource.find`."""
        return self.jobs[task_id].state if task_id in self.jobs else None

    async def cancel(self, task_id: str) -> None:
        """See `TaskSource.cancel`."""
        if (await self.get(task_id)).status == "working":
            self.jobs[task_id].scope.cancel()
            self._become(task_id, status="cancelled", message="Stopped as asked.")

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
        with self.jobs[task_id].scope:
            try:
                self._become(task_id, status="completed", message="Done.", result=await work())
            except MCPError as error:
                failed = ErrorData(code=error.code, message=str(error))
                self._become(task_id, status="failed", message=str(error), error=failed)

    def _become(self, task_id: str, **changes: object) -> None:
        job = self.jobs[task_id]
        job.state = replace(job.state, updated_at=time.time(), **changes)
        self.bulletin.ring(task_id)


def said(text: str, *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=is_error)


def build_fixture(jobs: Jobs) -> MCPServer:
    """The tools the scenarios name."""
    server = MCPServer(
        "keyframe-mcp-fixture",
        version="1",
        extensions=[TasksExtension(jobs, SLOW_TOOLS)],
        middleware=[TaskNotices(TaskWatches(jobs, jobs.tasks))],
        log_level="ERROR",
    )

    @server.tool()
    async def greet(name: str) -> str:
        """Answers at once."""
        return f"Hello, {name}!"

    @server.tool()
    async def slow_compute(seconds: float = 1, label: str = "") -> CallToolResult:
        """Takes as long as it is told."""

        async def work() -> CallToolResult:
            await anyio.sleep(seconds)
            return said(f"done {label}")

        return jobs.start(work)

    @server.tool()
    async def failing_job(context: Context) -> CallToolResult:
        """Ends with a tool's own error, and is for clients with tasks alone."""
        require_client_extension(context.request_context, TASKS)

        async def work() -> CallToolResult:
            return said("boom", is_error=True)

        return jobs.start(work)

    @server.tool()
    async def protocol_error_job() -> CallToolResult:
        """Ends with an error of the protocol."""

        async def work() -> CallToolResult:
            raise MCPError(INTERNAL_ERROR, "exploded")

        return jobs.start(work)

    @server.tool()
    async def test_missing_capability(context: Context) -> CallToolResult:
        """Needs something of its client, as none of our tools does."""
        capabilities = context.request_context.session.client_capabilities
        if capabilities is None or capabilities.sampling is None:
            data = {"requiredCapabilities": {"sampling": {}}}
            raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "this tool needs sampling", data)
        return said("the client samples")

    return server


async def serve(port: int) -> None:
    """Serve on a loopback port until the process is ended."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        async with anyio.create_task_group() as tasks:
            app = build_fixture(Jobs(tasks)).streamable_http_app()
            await uvicorn.Server(uvicorn.Config(app, log_level="error")).serve(sockets=[listening])


if __name__ == "__main__":
    anyio.run(serve, int(sys.argv[1]))

"""`python -m conformance.fixture PORT`: the real server and its HTTP app, with what the suite's scenarios name added.

The tools, prompts, resources, extensions and middleware people use are all there. With `--events` it also keeps what
was sent on streams of the older era, as the real app does not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context, require_client_extension
from mcp.server.mcpserver.prompts.base import Prompt, UserMessage
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.types import (
    INTERNAL_ERROR,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    EmptyResult,
    GetPromptRequestParams,
    InputRequiredResult,
    JSONRPCMessage,
    PromptReference,
    SetLevelRequestParams,
    SubscribeRequestParams,
    UnsubscribeRequestParams,
)

from conformance.content import add_content, embedded, picture
from conformance.jobs import Job, Jobs, Questions, said
from conformance.questions import Answer, add_questions, asking, form, who, written
from keyframe_mcp.app import Application, open_application
from keyframe_mcp.engine import Caller
from keyframe_mcp.server import SLOW_TOOLS, build_server
from keyframe_mcp.server.beneath import lowlevel
from keyframe_mcp.server.completions import completion
from keyframe_mcp.server.http import Site, access_of, listen, serve_http
from keyframe_mcp.server.protocol_tasks import TASKS
from keyframe_mcp.server.task_states import EngineTasks
from keyframe_mcp.settings import read_settings

SLOW = (
    "slow_compute",
    "failing_job",
    "protocol_error_job",
    "confirm_delete",
    "multi_input",
    "test_tool_with_task",
)
RETRY_MILLISECONDS = 100

Asked = ServerRequestContext[Any, Any]


def build_fixture(application: Application, owner: str) -> MCPServer:
    """The server people use over HTTP, and beside its own what the scenarios name."""
    caller = Caller(owner=owner, may_name_files=False)
    jobs = Jobs(application.tasks, EngineTasks(application.engine, caller))
    server = build_server(application, caller, jobs, (*SLOW_TOOLS, *SLOW))
    server.middleware.append(Questions(jobs))
    add_content(server)
    add_questions(server)
    add_jobs(server, jobs)
    add_prompts(server)
    add_older_methods(server)
    return server


def add_jobs(server: MCPServer, jobs: Jobs) -> None:
    """Serve the tools of the task scenarios."""

    async def greet(name: str) -> CallToolResult:
        """Answers at once."""
        return said(f"Hello, {name}!")

    async def slow_compute(seconds: float = 1, label: str = "") -> CallToolResult:
        """Takes as long as it is told."""

        async def work(_: Job) -> CallToolResult:
            await anyio.sleep(seconds)
            return said(f"done {label}")

        return jobs.start(work)

    async def failing_job(context: Context) -> CallToolResult:
        """Ends with a tool's own error, and is for clients with tasks alone."""
        require_client_extension(context.request_context, TASKS)

        async def work(_: Job) -> CallToolResult:
            return said("boom", is_error=True)

        return jobs.start(work)

    async def protocol_error_job() -> CallToolResult:
        """Ends with an error of the protocol."""

        async def work(_: Job) -> CallToolResult:
            raise MCPError(INTERNAL_ERROR, "exploded")

        return jobs.start(work)

    async def confirm_delete(filename: str) -> CallToolResult:
        """Asks in the middle of its work."""

        async def work(job: Job) -> CallToolResult:
            answers = await job.ask(confirm=form(f"Delete {filename}?", confirm={"type": "boolean"}))
            return said(f"{filename}: {answers['confirm']['action']}")

        return jobs.start(work)

    async def multi_input() -> CallToolResult:
        """Asks two things at once, which may be answered one by one."""

        async def work(job: Job) -> CallToolResult:
            return said(f"answered: {sorted(await job.ask(first=who(), second=who()))}")

        return jobs.start(work)

    async def test_tool_with_task(context: Context) -> Answer:
        """Asks by its result first; with the answer, its work begins."""
        require_client_extension(context.request_context, TASKS)
        name = written(context, "user_name", "name")

        async def work(_: Job) -> CallToolResult:
            return said(f"done for {name}")

        return asking(user_name=who()) if name is None else jobs.start(work)

    tools = greet, slow_compute, failing_job, protocol_error_job, confirm_delete, multi_input, test_tool_with_task
    for tool in tools:
        server.add_tool(tool, structured_output=False)


async def simple_prompt() -> list[UserMessage]:
    """Takes nothing."""
    return [UserMessage("a prompt")]


async def prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    """Takes two words."""
    return [UserMessage(f"first {arg1}, then {arg2}")]


async def prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803 - the suite's word
    """Shows a resource."""
    return [UserMessage(embedded(resourceUri)), UserMessage("What does it say?")]


async def prompt_with_image() -> list[UserMessage]:
    """Shows a picture."""
    return [UserMessage(picture()), UserMessage("What is it?")]


async def input_required_result_prompt(context: Context) -> list[UserMessage] | InputRequiredResult:
    """Asks a person before it says anything."""
    words = written(context, "user_context", "context")
    question = form("What is it for?", context={"type": "string"})
    return asking(user_context=question) if words is None else [UserMessage(f"It is for {words}.")]


PROMPTS = (
    simple_prompt,
    prompt_with_arguments,
    prompt_with_embedded_resource,
    prompt_with_image,
    input_required_result_prompt,
)
PROMPT_NAMES = frozenset(f"test_{each.__name__}" for each in PROMPTS)


def add_prompts(server: MCPServer) -> None:
    """Serve the prompts, and completions for them. Any other is our own server's."""
    for prompt in PROMPTS:
        server.add_prompt(Prompt.from_function(prompt, name=f"test_{prompt.__name__}"))
    ours_get, ours_complete = before(server, "prompts/get"), before(server, "completion/complete")

    async def get(context: Asked, asked: GetPromptRequestParams) -> HandlerResult:
        if asked.name in PROMPT_NAMES:
            return await server._handle_get_prompt(context, asked)
        return await ours_get(context, asked)

    async def complete(context: Asked, asked: CompleteRequestParams) -> HandlerResult:
        if isinstance(asked.ref, PromptReference) and asked.ref.name in PROMPT_NAMES:
            return CompleteResult(completion=completion(("paris", "parchment"), asked.argument.value))
        return await ours_complete(context, asked)

    lowlevel(server).add_request_handler("prompts/get", GetPromptRequestParams, get)
    lowlevel(server).add_request_handler("completion/complete", CompleteRequestParams, complete)


def add_older_methods(server: MCPServer) -> None:
    """Serve what clients of 2025-11-25 ask for: log levels, and word of resources that are not ours."""
    ours_subscribe, ours_unsubscribe = before(server, "resources/subscribe"), before(server, "resources/unsubscribe")

    async def set_level(_: Asked, __: SetLevelRequestParams) -> EmptyResult:
        return EmptyResult()

    async def subscribe(context: Asked, asked: SubscribeRequestParams) -> HandlerResult:
        return EmptyResult() if asked.uri.startswith("test:") else await ours_subscribe(context, asked)

    async def unsubscribe(context: Asked, asked: UnsubscribeRequestParams) -> HandlerResult:
        return EmptyResult() if asked.uri.startswith("test:") else await ours_unsubscribe(context, asked)

    beneath = lowlevel(server)
    beneath.add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)
    beneath.add_request_handler("resources/subscribe", SubscribeRequestParams, subscribe)
    beneath.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, unsubscribe)


def before(server: MCPServer, method: str) -> Any:
    """What answers a method until something else does."""
    found = lowlevel(server).get_request_handler(method)
    assert found is not None, f"our server does not answer {method}"
    return found.handler


@dataclass
class Events(EventStore):
    """What was sent on streams of the older era, for clients that come back."""

    sent: list[tuple[str, JSONRPCMessage | None]] = field(default_factory=list[tuple[str, JSONRPCMessage | None]])

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Keep a message. The id of it."""
        self.sent.append((stream_id, message))
        return str(len(self.sent))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        """Send again what the same stream had after this."""
        last = int(last_event_id)
        stream_id = self.sent[last - 1][0]
        for number, (stream, message) in enumerate(self.sent[last:], start=last + 1):
            if stream == stream_id and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream_id


def build_remembering(application: Application, owner: str) -> MCPServer:
    """The same, which keeps what it sent."""
    server = build_fixture(application, owner)
    kept = partial(server.streamable_http_app, event_store=Events(), retry_interval=RETRY_MILLISECONDS)
    server.streamable_http_app = kept  # pyright: ignore[reportAttributeAccessIssue] - the app is made elsewhere
    return server


async def serve(port: int, environment: Mapping[str, str], options: Collection[str]) -> None:
    """Serve on a loopback port until the process is ended."""
    home, host = Path(environment["HOME"]), "127.0.0.1"
    settings = read_settings(environment, home, home)
    build = build_remembering if "--events" in options else build_fixture
    with listen(host, port) as listening:
        async with open_application(settings, home) as application:
            site = Site(application, access_of(settings, host, port), ["http"], partial(build, application))
            await serve_http(site, listening, application)


if __name__ == "__main__":
    anyio.run(serve, int(sys.argv[1]), os.environ, sys.argv[2:])

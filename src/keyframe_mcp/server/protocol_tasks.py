"""The Tasks extension of MCP: a slow call answers with a handle, and the client asks how it is doing when it likes.

Source: specification/draft/tasks.md of github.com/modelcontextprotocol/ext-tasks, 2026-08-21. The SDK has the hooks and
none of the methods. Clients that do not declare the extension, and all of the older era, see nothing of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.shared.inbound import MCP_METHOD_HEADER, MCP_NAME_HEADER, decode_header_value
from mcp.types import HEADER_MISMATCH, INTERNAL_ERROR, INVALID_PARAMS, CallToolRequestParams, CallToolResult
from mcp.types import RequestParams as Params
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ConfigDict

from keyframe_mcp.errors import KeyframeError, UnknownTask
from keyframe_mcp.server.strict import explained, sayable
from keyframe_mcp.server.task_states import TaskSource, TaskState, wire

TASKS = "io.modelcontextprotocol/tasks"

Asked = ServerRequestContext[Any, Any]


class TaskParams(Params):
    """Which task."""

    model_config = ConfigDict(defer_build=True)

    task_id: str


class UpdateParams(TaskParams):
    """Answers to questions a task asked."""

    input_responses: dict[str, Any]


class TasksExtension(Extension):
    """Answers calls of `tools` with a handle where they made a task, and serves the methods that take one."""

    identifier = TASKS

    def __init__(self, source: TaskSource, tools: Collection[str]) -> None:
        self._source = source
        self._tools = frozenset(tools)

    def methods(self) -> Sequence[MethodBinding]:
        """The methods beyond the protocol's own."""
        versions = frozenset(MODERN_PROTOCOL_VERSIONS)
        return (
            MethodBinding("tasks/get", TaskParams, self._get, versions),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, versions),
            MethodBinding("tasks/update", UpdateParams, self._update, versions),
        )

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: Asked, call_next: CallNext
    ) -> HandlerResult:
        """The tool's own answer, or the handle of the task it names. Refusals and dry runs name none."""
        result = await call_next(ctx)
        if params.name not in self._tools or not is_declared(ctx) or (named := task_named(result)) is None:
            return result
        task_id, told = named
        try:
            state = await self._source.get(task_id)
        except KeyframeError:  # the task exists and may be paid: its ordinary answer must not be lost
            return result
        handle = {name: value for name, value in wire(state).items() if name not in ("result", "error")}
        return handle | {"resultType": "task", "statusMessage": " ".join((state.message, *told))}

    async def _get(self, ctx: Asked, params: TaskParams) -> HandlerResult:
        """How a task is doing, with its result when it is done."""
        return {"resultType": "complete", **wire(await self._admitted(ctx, params))}

    async def _cancel(self, ctx: Asked, params: TaskParams) -> HandlerResult:
        """Ask for a task to be stopped. Whether it could be, `tasks/get` tells."""
        state = await self._admitted(ctx, params)
        try:
            await self._source.cancel(state.task_id)
        except KeyframeError as error:
            raise refusal(error) from error
        return {"resultType": "complete"}

    async def _update(self, ctx: Asked, params: UpdateParams) -> HandlerResult:
        """Nothing: no task of ours asks anything, and answers to questions never asked are to be ignored."""
        await self._admitted(ctx, params)
        return {"resultType": "complete"}

    async def _admitted(self, ctx: Asked, params: TaskParams) -> TaskState:
        """The task a request is about. Raises `MCPError` where the client may not ask, or there is none such."""
        require_routed(ctx, params.task_id)
        require_client_extension(ctx, TASKS)
        try:
            return await self._source.get(params.task_id)
        except KeyframeError as error:
            raise refusal(error) from error


def is_declared(ctx: Asked) -> bool:
    """Whether this very request says that its client takes tasks."""
    capabilities = ctx.session.client_capabilities
    declared = capabilities is not None and TASKS in (capabilities.extensions or ())
    return declared and ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def require_routed(ctx: Asked, task_id: str) -> None:
    """Raise `MCPError` unless the header by which proxies route a request names the same task as its body.

    The SDK checks that only for the protocol's own methods. Only Streamable HTTP has these headers.
    """
    headers: Mapping[str, str] = getattr(ctx.request, "headers", {})
    if MCP_METHOD_HEADER in headers and decode_header_value(headers.get(MCP_NAME_HEADER)) != task_id:
        raise MCPError(HEADER_MISMATCH, f"the {MCP_NAME_HEADER} header must be the same as params.taskId")


def refusal(error: KeyframeError) -> MCPError:
    """An error of ours as the protocol has it. Another owner's task is no task."""
    code = INVALID_PARAMS if isinstance(error, UnknownTask) else INTERNAL_ERROR
    return MCPError(code, sayable(explained(error)))


def task_named(result: HandlerResult) -> tuple[str, list[str]] | None:
    """The id of the task a tool answered with, and what that answer says of the call alone, which no later one does."""
    if not isinstance(result, CallToolResult) or result.is_error:
        return None
    structure: Mapping[str, Any] = result.structured_content or {}
    if not isinstance(task_id := structure.get("task_id"), str):
        return None
    known = ["It was there already; nothing new was started."] if structure.get("deduplicated") else []
    return task_id, [*known, *structure.get("warnings", ())]

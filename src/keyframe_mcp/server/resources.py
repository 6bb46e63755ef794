"""What can be read: tasks and models, as JSON. Files are served elsewhere, and nobody sees another owner's tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote, unquote

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.types import (
    INVALID_PARAMS,
    Annotations,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from keyframe_mcp.app import Application
from keyframe_mcp.catalog import Listed
from keyframe_mcp.engine import Caller
from keyframe_mcp.errors import UnknownModel, UnknownTask
from keyframe_mcp.server.beneath import lowlevel
from keyframe_mcp.server.links import as_it_is
from keyframe_mcp.server.model_views import ModelsView, model_view
from keyframe_mcp.server.strict import explained, sayable
from keyframe_mcp.server.views import TaskListView, TaskView, View, instant, line
from keyframe_mcp.task import Task

TASKS, MODELS = "keyframe://tasks", "keyframe://models"
TASK_TEMPLATE, MODEL_TEMPLATE = TASKS + "/{id}", MODELS + "/{provider}/{model}"
JSON = "application/json"

MOST_LISTED = 20
MOST_CHARACTERS = 200  # of an address, where it is said again
GONE = -32002  # what the older era calls a resource that is not there; the newer one says INVALID_PARAMS
ADVICE = f"Read {TASKS} or {MODELS} for what there is."


class NoSuchAddress(Exception):
    """Nothing of ours is there. The text is advice."""


@dataclass(frozen=True)
class Resources:
    """What one caller can read."""

    application: Application
    caller: Caller
    shown: Callable[[Task], Task] = as_it_is

    async def listed(self) -> list[Resource]:
        """The lists, and the caller's newest tasks."""
        return [*lists(), *map(task_resource, await self.recent())]

    async def recent(self) -> Sequence[Task]:
        """The caller's newest tasks."""
        return await self.application.engine.recent(self.caller, limit=MOST_LISTED)

    async def task(self, uri: str) -> Task:
        """The task at an address. Raises `NoSuchAddress`, also for another owner's."""
        task_id = unquote(uri.removeprefix(TASKS + "/"))
        try:
            task = await self.application.engine.get(task_id, self.caller)
        except UnknownTask as error:
            raise NoSuchAddress(explained(error)) from None
        if task.id != task_id:
            raise NoSuchAddress(f"Its address is {task_uri(task)}.")
        return task

    def model(self, uri: str) -> Listed:
        """The model at an address. Raises `NoSuchAddress`."""
        try:
            listed = self.application.engine.catalog.find(unquote(uri.removeprefix(MODELS + "/")))
        except UnknownModel as error:
            raise NoSuchAddress(explained(error)) from None
        if model_uri(listed) != uri:
            raise NoSuchAddress(f"Its address is {model_uri(listed)}.")
        return listed

    async def read(self, uri: str) -> View:
        """What is at an address. Raises `NoSuchAddress`."""
        if uri == TASKS:
            return TaskListView.of([self.shown(task) for task in await self.recent()])
        if uri == MODELS:
            return self._models()
        if uri.startswith(TASKS + "/"):
            return TaskView.of(self.shown(await self.task(uri)))
        if uri.startswith(MODELS + "/"):
            listed = self.model(uri)
            return model_view(listed, configured=self.is_configured(listed), whole=True)
        raise NoSuchAddress(ADVICE)

    def is_configured(self, listed: Listed) -> bool:
        """Whether the model can be used here."""
        return listed.provider_id in self.application.configured

    def models(self) -> list[Listed]:
        """Every model, those that can be used here first."""
        return sorted(self.application.engine.catalog.models(), key=lambda each: not self.is_configured(each))

    def _models(self) -> ModelsView:
        views = [model_view(each, configured=self.is_configured(each), whole=False) for each in self.models()]
        return ModelsView(models=views, next_step=f"Read {MODEL_TEMPLATE} for every input of one.")


@cache
def lists() -> tuple[Resource, ...]:
    """What is always listed. Built when asked for: the SDK builds its models on first use, and a start is short."""
    return (
        Resource(
            uri=TASKS,
            name="tasks",
            title="Recent tasks",
            description=f"Your {MOST_LISTED} newest tasks, each with status and file.",
            mime_type=JSON,
        ),
        Resource(
            uri=MODELS,
            name="models",
            title="Video models",
            description="Every model in a line: what it makes, its inputs and its price. Those with a key come first.",
            mime_type=JSON,
        ),
    )


@cache
def addresses() -> tuple[ResourceTemplate, ...]:
    """Where tasks and models are read."""
    return (
        ResourceTemplate(
            uri_template=TASK_TEMPLATE,
            name="task",
            title="One task",
            description="Status, progress, cost and the finished files of one of your tasks. As get_task.",
            mime_type=JSON,
        ),
        ResourceTemplate(
            uri_template=MODEL_TEMPLATE,
            name="model",
            title="One model",
            description="Every input of one model with its limits, its prices and where that is documented.",
            mime_type=JSON,
        ),
    )


def add_resources(server: MCPServer, resources: Resources) -> None:
    """Serve them, beside what the server has already."""
    beneath = lowlevel(server)
    read_before = beneath.get_request_handler("resources/read")

    async def listing(_: ServerRequestContext[Any], __: PaginatedRequestParams) -> ListResourcesResult:
        return ListResourcesResult(resources=[*await resources.listed(), *await server.list_resources()])

    async def templates(_: ServerRequestContext[Any], __: PaginatedRequestParams) -> ListResourceTemplatesResult:
        others = await server.list_resource_templates()
        return ListResourceTemplatesResult(resource_templates=[*addresses(), *others])

    async def read(context: ServerRequestContext[Any], asked: ReadResourceRequestParams) -> HandlerResult:
        if read_before is not None and not asked.uri.startswith("keyframe:"):
            try:
                return await read_before.handler(context, asked)
            except MCPError as error:
                if error.code == INVALID_PARAMS:
                    raise not_found(context, asked.uri, ADVICE) from None
                raise
        try:
            view = await resources.read(asked.uri)
        except NoSuchAddress as nothing:
            raise not_found(context, asked.uri, str(nothing)) from None
        text = view.model_dump_json(exclude_none=True)
        return ReadResourceResult(contents=[TextResourceContents(uri=asked.uri, mime_type=JSON, text=text)])

    beneath.add_request_handler("resources/list", PaginatedRequestParams, listing)
    beneath.add_request_handler("resources/templates/list", PaginatedRequestParams, templates)
    beneath.add_request_handler("resources/read", ReadResourceRequestParams, read)


def not_found(context: ServerRequestContext[Any], uri: str, advice: str) -> MCPError:
    """The error of an address with nothing behind it, as the client's era wants it."""
    code = INVALID_PARAMS if context.protocol_version in MODERN_PROTOCOL_VERSIONS else GONE
    shown = sayable(uri[:MOST_CHARACTERS])
    return MCPError(code, f"Resource not found: {shown}. {advice[:1].upper()}{advice[1:]}", {"uri": shown})


def task_uri(task: Task) -> str:
    """Where a task is read."""
    return f"{TASKS}/{task.id}"


def model_uri(listed: Listed) -> str:
    """Where a model is read."""
    name = listed.id.removeprefix(listed.provider_id + "/")
    return f"{MODELS}/{quote(listed.provider_id, safe='')}/{quote(name, safe='')}"


def task_resource(task: Task) -> Resource:
    """A task as it is listed: found by what it shows, and as fresh as its last change."""
    about = line(task).about
    return Resource(
        uri=task_uri(task),
        name=task.id,
        title=f"{task.mode}: {sayable(about)}" if about else f"{task.mode} with {task.model}",
        description=f"{task.status}, made with {task.model}",
        mime_type=JSON,
        annotations=Annotations(last_modified=instant(task.updated_at).isoformat()),
    )

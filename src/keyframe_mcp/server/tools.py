"""The tools. None of them talks to a provider: they read and write tasks, and look at files that are here."""

from __future__ import annotations

import base64
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio
from mcp import MCPError
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ImageContent, ListRootsRequest, ListRootsResult, TextContent

from keyframe_mcp.app import Application
from keyframe_mcp.engine import Caller
from keyframe_mcp.engine.doubts import uncancellable
from keyframe_mcp.engine.finding import bare_id
from keyframe_mcp.errors import InvalidInput, Problem
from keyframe_mcp.media.references import At
from keyframe_mcp.server import arguments as take
from keyframe_mcp.server.dry_run_view import DryRunView, rehearsed
from keyframe_mcp.server.film_views import FrameView, JoinView
from keyframe_mcp.server.links import Links, place_of, shown_by
from keyframe_mcp.server.model_list import listing
from keyframe_mcp.server.results import result
from keyframe_mcp.server.sentences import caption, counted, going_on, sentence
from keyframe_mcp.server.views import StartedView, TaskListView, TasksView, TaskView, seen
from keyframe_mcp.server.watching import Watch
from keyframe_mcp.task import Mode, Status, Task

Given = TypeVar("Given")
Asked = TypeVar("Asked", bound=take.Arguments)

SUBMIT_SECONDS = 4.0  # how long a generate tool waits to learn whether the provider took the job
CANCEL_SECONDS = 5.0
ROOTS_SECONDS = 1.0  # for a client to say where it works
MORE_FRAMES = "extract_frame saves any one frame in full size."
ALLOWING = "KEYFRAME_ALLOWED_DIRS"  # in the refusal of a path outside


class Tools:
    """One method per tool."""

    def __init__(
        self,
        application: Application,
        caller: Caller,
        links: Links | None = None,
        *,
        submit_seconds: float = SUBMIT_SECONDS,
    ) -> None:
        self._links = links
        self._shown = shown_by(links)
        self._submit_seconds = submit_seconds
        self._has_all_tools = application.settings.toolset == "full"
        self._engine = application.engine
        self._configured = application.configured
        self._caller = caller
        self._watch = Watch(application.engine, caller, application.engine.clock)

    async def generate_flf2v(self, arguments: take.GenerateFlf2v, context: Context) -> CallToolResult:
        """Start a video that opens on one image and ends on another."""
        return await self._generate(arguments, Mode.FLF2V, context)

    async def generate_i2v(self, arguments: take.GenerateI2v, context: Context) -> CallToolResult:
        """Start a video from one image."""
        return await self._generate(arguments, Mode.I2V, context)

    async def generate_t2v(self, arguments: take.GenerateT2v, context: Context) -> CallToolResult:
        """Start a video from words."""
        return await self._generate(arguments, Mode.T2V, context)

    async def generate_animation(self, arguments: take.GenerateAnimation, context: Context) -> CallToolResult:
        """Start a video from two prompts."""
        return await self._generate(arguments, Mode.ANIMATION, context)

    async def regenerate(self, arguments: take.Regenerate, context: Context) -> CallToolResult:
        """Start an earlier task's video again, with changes."""
        arguments, who = self._read(arguments)
        retake = await self._engine.retake(self._caller, arguments.task_id, arguments.overrides or {})
        return await self._start(arguments, retake.wanted, context, who)

    async def get_task(self, arguments: take.GetTask, context: Context) -> CallToolResult:
        """How tasks are doing, after waiting for them if asked to."""
        named = [*([arguments.task_id] if arguments.task_id else []), *(arguments.task_ids or [])]
        ids = list(dict.fromkeys(bare_id(each) for each in named))
        if not ids:
            raise InvalidInput(problems=[Problem("task_id", "name a task, or several in task_ids")])
        watched = (await self._watch.wait(ids, arguments.wait_seconds, context)).seen_by(self._shown)
        views = seen(watched) if arguments.wait_seconds else [TaskView.of(task) for task in watched.now]
        now = self._engine.clock()
        said = [sentence(task, now) for task in watched.now]
        return result(views[0], *said) if len(views) == 1 else result(TasksView.of(views), *said)

    async def cancel_task(self, arguments: take.CancelTask, _: Context) -> CallToolResult:
        """Stop a task, and wait a moment to see whether it did stop."""
        task_id = bare_id(arguments.task_id)
        before = await self._engine.get(task_id, self._caller)
        if not before.status.is_settled:
            await self._engine.cancel(task_id, self._caller)
        task = self._shown(await self._stopped(task_id))
        view = TaskView.of(task)
        if task.status is Status.UNKNOWN:
            refusal = uncancellable(task)
            return result(view.model_copy(update={"next_step": f"{refusal} {view.next_step}"}), refusal)
        if task.status.is_settled:
            return result(view, sentence(task))
        why = going_on(task)
        step = view.model_copy(update={"next_step": f"{why} {view.next_step}"})
        return result(step, f"{sentence(task, self._engine.clock())} {why}")

    async def list_tasks(self, arguments: take.ListTasks, _: Context) -> CallToolResult:
        """The newest tasks."""
        statuses = () if arguments.status is None else (arguments.status,)
        tasks = await self._engine.recent(self._caller, statuses, arguments.limit + 1)
        shown = [self._shown(task) for task in tasks[: arguments.limit]]
        view = TaskListView.of(shown, arguments.status, more=len(tasks) > len(shown))
        return result(view, counted(len(shown), "task"))

    async def list_models(self, arguments: take.ListModels, _: Context) -> CallToolResult:
        """The models that fit."""
        view = listing(arguments, self._engine.catalog, self._configured)
        return result(view, counted(len(view.models), "model"))

    async def view_video(self, arguments: take.ViewVideo, context: Context) -> CallToolResult:
        """A contact sheet, as a picture the model can see. No structured part: hosts would show only that."""
        films, size = self._engine.films, arguments.size or "full"
        arguments, who = self._read(arguments)
        sheet = await self._told(context, who, lambda who: films.sheet(arguments.source, who, arguments.cells, size))
        picture = base64.b64encode(await anyio.Path(sheet.path).read_bytes()).decode()
        image = ImageContent(type="image", data=picture, mime_type="image/jpeg")
        said = caption(sheet, place_of(sheet.path, self._links))
        text = f"{said} {MORE_FRAMES}" if self._has_all_tools else said
        return CallToolResult(content=[image, TextContent(type="text", text=text)])

    async def extract_frame(self, arguments: take.ExtractFrame, context: Context) -> CallToolResult:
        """One frame as a file."""
        films, at = self._engine.films, moment(arguments.at)
        arguments, who = self._read(arguments)
        facts = await self._told(context, who, lambda who: films.frame(arguments.source, at, who))
        view = FrameView.of(facts, place_of(facts.path, self._links))
        return result(view, f"The frame at {facts.at:.2f} s is {view.file or view.reference}.")

    async def join_videos(self, arguments: take.JoinVideos, context: Context) -> CallToolResult:
        """Several videos as one file."""
        films, fade = self._engine.films, arguments.crossfade_seconds
        arguments, who = self._read(arguments)
        facts = await self._told(context, who, lambda who: films.join(arguments.sources, who, fade))
        view = JoinView.of(facts, place_of(facts.path, self._links))
        return result(view, f"{facts.video.duration:.2f} s of video in {view.file or view.reference}.")

    async def _generate(self, arguments: take.Generation, mode: Mode, context: Context) -> CallToolResult:
        """Write the task down, then wait a little: for the provider's word, or as long as was asked."""
        arguments, who = self._read(arguments)
        wanted = {"model": arguments.model, "strict": arguments.strict, "fallback": arguments.fallback}
        return await self._start(arguments, {"request": arguments.request(mode), **wanted}, context, who)

    async def _start(
        self, arguments: take.Generation | take.Regenerate, wanted: Mapping[str, Any], context: Context, who: Caller
    ) -> CallToolResult:
        """Start a task, or only check it."""
        how: dict[str, Any] = {**wanted, "idempotency_key": arguments.idempotency_key}
        if arguments.dry_run:
            rehearsal = await self._told(context, who, lambda who: self._engine.rehearse(who, **how))
            view = DryRunView.of(rehearsal, self._engine.budget)
            return result(view, rehearsed(view))
        started = await self._told(context, who, lambda who: self._engine.start(who, **how))
        until = self._engine.clock() + arguments.wait_seconds
        task = await self._taken(started.task.id)
        if (left := until - self._engine.clock()) > 0:
            (task,) = (await self._watch.wait([task.id], left, context)).now
        task = self._shown(task)
        return result(StartedView.of_started(task, started), sentence(task, self._engine.clock()))

    def _read(self, arguments: Asked) -> tuple[Asked, Caller]:
        """Arguments without links of our own, and who gave them."""
        return (arguments, self._caller) if self._links is None else self._links.read(arguments, self._caller)

    async def _told(self, context: Context, who: Caller, act: Callable[[Caller], Awaitable[Given]]) -> Given:
        """Do something for the caller. Where a path was refused, once more, to say where the client works."""
        try:
            return await act(who)
        except InvalidInput as refusal:
            outside = who.may_name_files and ALLOWING in str(refusal)
            workspaces = await workspaces_of(context) if outside else ()
            if not workspaces:
                raise
        return await act(replace(who, workspaces=workspaces))

    async def _taken(self, task_id: str) -> Task:
        """The task once the provider has taken or refused it."""
        async for (task,) in self._engine.follow([task_id], self._caller, self._submit_seconds):
            if task.status not in (Status.QUEUED, Status.SUBMITTING):
                return task
        return await self._engine.get(task_id, self._caller)

    async def _stopped(self, task_id: str) -> Task:
        """The task once it is over, or its provider has not stopped it; or as it is after a while."""
        async for (task,) in self._engine.follow([task_id], self._caller, CANCEL_SECONDS):
            if task.stop_refusal and not task.cancel_requested:
                return task
        return await self._engine.get(task_id, self._caller)


async def workspaces_of(context: Context) -> tuple[str, ...]:
    """The folders a client of the older era says it works in. They open nothing; an error names them."""
    capabilities = context.client_capabilities
    if capabilities is None or capabilities.roots is None:
        return ()
    try:
        with anyio.fail_after(ROOTS_SECONDS):
            answer = await context.session.send_request(ListRootsRequest(), ListRootsResult)
    except (MCPError, TimeoutError, ValueError):  # it was a courtesy
        return ()
    parts = (urlsplit(str(root.uri)) for root in answer.roots)
    return tuple(url2pathname(each.path) for each in parts if each.scheme == "file")


def moment(at: str | None) -> At | None:
    """Which frame an `at` argument means."""
    if at in (None, "first", "last"):
        return at
    try:
        seconds = float(str(at).removesuffix("s"))
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0:
        raise InvalidInput(problems=[Problem("at", f"{at!r} is not first, last or a number of seconds")])
    return seconds

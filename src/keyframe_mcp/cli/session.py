"""What the commands share: settings, the engine for as long as a command lasts, and how things are shown."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

import click

from keyframe_mcp.app import Application, open_application
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.cli import OVER_BUDGET
from keyframe_mcp.cli.logs import JsonLines, Redaction, TextLines, log_to, log_what_escapes, no_ids, redact, secrets_in
from keyframe_mcp.engine import Caller
from keyframe_mcp.engine.doubts import settling
from keyframe_mcp.engine.ownership import LOCAL
from keyframe_mcp.errors import BudgetExceeded, by_kind
from keyframe_mcp.server.views import TaskView, told, warned
from keyframe_mcp.settings import Settings, read_settings, strangers
from keyframe_mcp.store.tally import tally
from keyframe_mcp.task import Output, Status, Task
from keyframe_mcp.telemetry import QUIET, Observer

ME = Caller(owner=LOCAL, may_name_files=True)
EXIT_OF = {Status.SUCCEEDED: 0, Status.FAILED: 1, Status.CANCELLED: 1, Status.UNKNOWN: 4}
STILL_RUNNING = 5
SENDING = "waiting for the provider's answer to a job that is being sent; stopping now leaves it in doubt"
DAY = 86_400.0  # the longest wait, in seconds


class Seconds(click.FloatRange):
    """A time to wait. A range alone would let through what is not a number."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number of seconds."""
        seconds = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail("it is not a number of seconds", param, ctx)
        return seconds


WAIT = Seconds(0, DAY)


def settings(log_format: str | None = None) -> Settings:
    """The settings of this process, and logging on standard error as they say, or in another format."""
    found = read_settings(os.environ, Path.cwd(), Path.home())
    redaction = Redaction(secrets_in(os.environ))
    if (log_format or found.log_format) == "json":
        log_to(sys.stderr, found.log_level, JsonLines(redaction, current_ids if found.telemetry else no_ids))
        log_what_escapes()
    else:
        log_to(sys.stderr, found.log_level, TextLines(redaction))
    return found


def current_ids() -> Mapping[str, str]:
    """The ids of the present span."""
    from keyframe_mcp.telemetry.recorder import span_ids  # noqa: PLC0415 - only where there are traces

    return span_ids()


def observer_of(found: Settings) -> Observer:
    """What hears of the work. Raises `InvalidSettings` where telemetry is wanted and cannot be sent."""
    if not found.telemetry:
        return QUIET
    from keyframe_mcp.telemetry import export  # noqa: PLC0415 - the OpenTelemetry SDK costs 0.3 s

    redaction = Redaction(secrets_in(os.environ))
    return export.start(os.environ, partial(tally, found.database), redaction)


def warn_of_strangers(catalog: Catalog) -> None:
    """Point out settings that mean nothing. Which hosts can be set is known once the catalogue is read."""
    keys = [provider.key for provider in catalog.providers.values() if provider.key]
    redact(value for value in map(os.environ.get, keys) if value)
    for stranger in strangers(os.environ, catalog.providers, keys):
        logging.getLogger(__name__).warning("%s", stranger)


@asynccontextmanager
async def session(found: Settings | None = None, *, works: bool = True) -> AsyncGenerator[Application]:
    """The engine for one command; running unless the command only looks."""
    chosen = found or settings()
    with closing(observer_of(chosen) if works else QUIET) as observer:
        async with opened(chosen, observer, works=works) as application:
            yield application


@asynccontextmanager
async def opened(chosen: Settings, observer: Observer, *, works: bool) -> AsyncGenerator[Application]:
    """The application, and what a person must be told of it."""
    async with open_application(chosen, Path.cwd(), works=works, observer=observer) as application:
        warn_of_strangers(application.engine.catalog)
        try:
            yield application
        finally:
            if application.is_sending():
                click.echo(SENDING, err=True)


async def follow(application: Application, task: Task, seconds: float, *, quiet: bool) -> Task:
    """Wait for a task with a progress bar on standard error."""
    bar = click.progressbar(length=100, label=task.model, file=sys.stderr, hidden=quiet or not sys.stderr.isatty())
    with bar:
        latest = task
        async for (latest,) in application.engine.follow([task.id], ME, seconds):
            done = 100 if latest.status.is_settled else round(100 * (latest.progress or 0))
            bar.update(max(0, done - bar.pos))
    return latest


def show_json(data: object) -> None:
    """For programs: one JSON document on standard output."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def described(output: Output) -> str:
    """A video, a preview picture, or what is lost, in a line."""
    if output.file is None:
        end = "" if output.expires_at is None else f", works until {output.expires_at:%Y-%m-%d %H:%M} UTC"
        return f"{output.url} (not copied{end})"
    length = "" if output.duration is None else f"  {output.duration:g} s  {output.fps:g} fps"
    return f"{output.file}  {output.width}x{output.height}{length}"


def show_task(task: Task, *, as_json: bool) -> None:
    """For people: what they need to know about a task."""
    if as_json:
        show_json(TaskView.of(task).data() | ({"correlation_id": task.correlation_id} if task.correlation_id else {}))
        return
    click.echo(f"{task.id}  {task.status}  {task.mode}  {task.model}")
    for output in task.outputs:
        click.echo(f"  {described(output)}")
    if task.engine:
        sure = "" if task.confidence is None else f", confidence {task.confidence:.2f}"
        click.echo(f"  drawn with {task.engine}{sure}")
    for warning in warned(task):
        click.echo(f"  note: {warning}")
    for line in state(task):
        click.echo(f"  {line}")
    if task.correlation_id:
        theirs = f", {task.provider}'s trace {task.trace_id}" if task.trace_id else ""
        click.echo(f"  ids: call {task.correlation_id}{theirs}")


def state(task: Task) -> Iterator[str]:
    """What is wrong with a task, and what to do now."""
    failure = told(task)
    if failure is not None:
        yield f"{failure.kind}: {failure.message}"
    if task.status is Status.UNKNOWN:
        yield settling(task)
    elif failure is not None:
        yield failure.fix
    if not task.status.is_settled:
        yield going_on(task)


def going_on(task: Task) -> str:
    """What becomes of a task that is not done, and what a person can do about it."""
    free = task.cost is not None and task.cost.estimated_usd == 0
    stop = "" if task.cancel_requested else f"; or stop it: keyframe-mcp task {task.id} --cancel"
    match task.status:
        case Status.QUEUED:
            state = "It is still to be made" if free else "It is still to be sent, and is paid then"
        case Status.SAVING:
            state, stop = "It is made, and still to be brought here", ""
        case _:
            state = "It is being made" if free else f"It was sent to {task.provider}, and is followed until it is done"
    if task.status is Status.SUBMITTING and not free:
        state = f"It is being sent to {task.provider}, whose answer is still to come"
    return f"{state}. A running server goes on with it; without one: keyframe-mcp task {task.id} --wait 1800{stop}"


def exit_code(tasks: Sequence[Task]) -> int:
    """The worst of what came of tasks."""
    return max((code_of(task) for task in tasks), default=0)


def code_of(task: Task) -> int:
    """What came of a task; money that is not there is the same whether it was missed before the quote or after."""
    error = by_kind().get(task.failure.kind) if task.failure is not None and task.status is Status.FAILED else None
    if error is not None and issubclass(error, BudgetExceeded):
        return OVER_BUDGET
    return EXIT_OF.get(task.status, STILL_RUNNING)

"""`keyframe-mcp task`: what became of the tasks."""

from __future__ import annotations

import sys

import anyio
import click

from keyframe_mcp.cli.session import ME, WAIT, exit_code, follow, session, show_json, show_task
from keyframe_mcp.server.views import TaskListView
from keyframe_mcp.task import Status


@click.command()
@click.argument("task_id", required=False)
@click.option("--wait", type=WAIT, default=0, help="Seconds to wait for its end.")
@click.option("--cancel", is_flag=True, help="Stop it.")
@click.option("--status", type=click.Choice([str(status) for status in Status]), help="List only these.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="List at most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def task(task_id: str | None, wait: float, status: str | None, limit: int, *, cancel: bool, as_json: bool) -> None:
    """Show one task, or list the newest."""
    if task_id is None:
        if cancel or wait:
            raise click.UsageError("--cancel and --wait need a TASK_ID")
        anyio.run(list_tasks, status, limit, as_json)
    else:
        sys.exit(anyio.run(one_task, task_id, wait, cancel, as_json))


async def one_task(task_id: str, wait: float, cancel: bool, as_json: bool) -> int:  # noqa: FBT001 - anyio.run passes arguments by position
    """Show a task, after stopping it or waiting for it."""
    async with session(works=cancel or wait > 0) as application:
        found = await application.engine.get(task_id, ME)
        if cancel and not found.status.is_settled:
            found = await follow(application, await application.engine.cancel(task_id, ME), max(wait, 10), quiet=True)
        elif wait:
            found = await follow(application, found, wait, quiet=as_json)
        show_task(found, as_json=as_json)
        return exit_code([found]) if wait else 0


async def list_tasks(status: str | None, limit: int, as_json: bool) -> None:  # noqa: FBT001 - as above
    """A line for each task."""
    async with session(works=False) as application:
        tasks = await application.engine.recent(ME, () if status is None else (Status(status),), limit)
        view = TaskListView.of(tasks)
    if as_json:
        show_json(view.data())
        return
    for each in view.tasks:
        click.echo(
            f"{each.task_id}  {each.status:10}  {each.mode:9}  {each.created_at:%Y-%m-%d %H:%M}  {each.about or ''}"
        )
    if not view.tasks:
        click.echo("No tasks yet. Make one: keyframe-mcp generate t2v --prompt '...'")

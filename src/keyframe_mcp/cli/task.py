"""`keyframe-mcp task`: what became of the tasks, and a person's word on those whose fate nobody knows."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import anyio
import click

from keyframe_mcp.app import Application
from keyframe_mcp.cli.session import ME, WAIT, exit_code, follow, session, show_json, show_task
from keyframe_mcp.engine.budget import dollars
from keyframe_mcp.engine.doubts import uncancellable
from keyframe_mcp.engine.settling import require_unknown
from keyframe_mcp.errors import InvalidInput, Problem
from keyframe_mcp.server.views import TaskListView
from keyframe_mcp.task import Status, Task

UNKNOWN_HELP = """\
  It may have reached the provider, and nobody can tell. Look at the
  provider's own web page, then say what you found; `keyframe-mcp task ID`
  tells which job to look for.
    --attach JOB_ID            it is there: it is followed
    --resubmit --not-billed    it is not there, and was not billed: it is sent again
    --give-up --not-billed     the same, and it is not wanted any more
  Without --not-billed it goes on counting as spent, beside what is sent again;
  for a task that was given up, it can be said later.
"""


@dataclass(frozen=True, kw_only=True)
class Word:
    """What a person says about a task."""

    cancel: bool = False
    attach: str | None = None
    give_up: bool = False
    resubmit: bool = False
    not_billed: bool = False
    yes: bool = False
    attempt: int | None = None
    """The attempt that a person was asked about, and whose sequel is wanted."""

    @property
    def count(self) -> int:
        """How many things it asks for at once."""
        return sum((self.cancel, self.attach is not None, self.give_up, self.resubmit))


@click.command(epilog=f"\b\nTasks that are unknown:\n{UNKNOWN_HELP}")
@click.argument("task_id", required=False)
@click.option("--wait", type=WAIT, default=0, help="Seconds to wait for its end.")
@click.option("--cancel", is_flag=True, help="Stop it.")
@click.option(
    "--attach", metavar="JOB_ID", help="Unknown: the provider has it, as this job; it is asked, then followed."
)
@click.option("--give-up", is_flag=True, help="Unknown: end it as failed.")
@click.option("--resubmit", is_flag=True, help="Unknown: send it again, which is paid again.")
@click.option("--not-billed", is_flag=True, help="With those two: the provider billed nothing, so it counts no more.")
@click.option("--yes", is_flag=True, help="With --resubmit: do not ask; for scripts of your own.")
@click.option("--status", type=click.Choice([str(status) for status in Status]), help="List only these.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="List at most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def task(
    task_id: str | None,
    wait: float,
    attach: str | None,
    status: str | None,
    limit: int,
    *,
    cancel: bool,
    give_up: bool,
    resubmit: bool,
    not_billed: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Show one task, or list the newest; stop one, or settle one that is unknown."""
    word = Word(cancel=cancel, attach=attach, give_up=give_up, resubmit=resubmit, not_billed=not_billed, yes=yes)
    require_sense(word)
    if task_id is None:
        if word != Word() or wait:
            raise click.UsageError("--cancel, --wait and what settles a task need a TASK_ID")
        anyio.run(list_tasks, status, limit, as_json)
        return
    if resubmit and not yes:
        attempt = anyio.run(confirmed, task_id, not_billed)
        if attempt is None:
            click.echo("Nothing was changed.", err=True)
            sys.exit(1)
        word = replace(word, attempt=attempt)
    sys.exit(anyio.run(one_task, task_id, wait, word, as_json))


def require_sense(word: Word) -> None:
    """Refuse flags that do not go together."""
    if word.count > 1:
        raise click.UsageError("give one of --cancel, --attach, --give-up and --resubmit")
    if word.not_billed and not (word.give_up or word.resubmit):
        raise click.UsageError("--not-billed goes with --give-up or --resubmit")
    if word.yes and not word.resubmit:
        raise click.UsageError("--yes goes with --resubmit")


async def one_task(task_id: str, wait: float, word: Word, as_json: bool) -> int:  # noqa: FBT001 - anyio.run passes arguments by position
    """Show a task, after stopping it, settling it or waiting for it."""
    async with session(works=word.cancel or (wait > 0 and not word.give_up)) as application:
        found = await application.engine.get(task_id, ME)
        if word.cancel and found.status is Status.UNKNOWN:
            click.echo(uncancellable(found), err=True)
        elif word.cancel and not found.status.is_settled:
            found = await follow(application, await application.engine.cancel(task_id, ME), max(wait, 10), quiet=True)
        elif word.count and not word.cancel:
            before, found = found, await settled(application, found, word)
            click.echo(consequence(before, found, word), err=as_json)
        if wait and not (word.cancel or word.give_up):
            found = await follow(application, found, wait, quiet=as_json)
        show_task(found, as_json=as_json)
        in_vain = word.cancel and found.status is Status.UNKNOWN
        return exit_code([found]) if in_vain or (wait and not word.give_up) else 0


async def settled(application: Application, found: Task, word: Word) -> Task:
    """The task after a person's word."""
    settling = application.engine.settling
    if word.attach is not None:
        return await settling.attach(found.id, ME, word.attach)
    if word.give_up:
        return await settling.give_up(found.id, ME, was_billed=not word.not_billed)
    return await settling.resubmit(found.id, ME, attempt=word.attempt, was_billed=not word.not_billed)


def consequence(before: Task, now: Task, word: Word) -> str:
    """What happens now, and what the task counts for."""
    counts = f"It counts as {dollars(now.counted_usd)} spent"
    if word.attach is not None:
        return f"Job {now.remote_id} of {now.provider} is followed from here on. {counts}, as before."
    if word.give_up:
        return f"It is over, and nothing more is asked about it. {counts}."
    first = "the first attempt left out"
    if not word.not_billed:
        first = f"{dollars(before.counted_usd)} of it the first attempt"
    return f"It is sent again. {counts}, {first}."


async def confirmed(task_id: str, not_billed: bool) -> int | None:  # noqa: FBT001 - as above
    """After which attempt a person wants to pay again, if at all. Raises `InvalidInput` when nobody can be asked."""
    async with session(works=False) as application:
        found = await application.engine.get(task_id, ME)
        worth = None if found.cost is None else application.engine.budget.worth(found.cost)
    # Not left to later: it may become unknown in between, and nobody would have been asked.
    require_unknown(found)
    price = "at a price nobody knows" if worth is None else f"for {dollars(worth)}"
    again = f"This sends the job to {found.provider} again, {price}"
    if not sys.stdin.isatty():
        asks = f"{again}. A person has to decide that, at a terminal; --yes is for scripts of that person's own"
        raise InvalidInput(problems=[Problem("--resubmit", asks)])
    counts = dollars(found.counted_usd)
    doubt = "" if not_billed else f" The first may exist and be billed: it counts as {counts} spent."
    return found.attempt if click.confirm(f"{again}.{doubt} Send it?", err=True) else None


async def list_tasks(status: str | None, limit: int, as_json: bool) -> None:  # noqa: FBT001 - as above
    """A line for each task."""
    async with session(works=False) as application:
        wanted = None if status is None else Status(status)
        tasks = await application.engine.recent(ME, () if wanted is None else (wanted,), limit)
        view = TaskListView.of(tasks, wanted)
    if as_json:
        show_json(view.data())
        return
    for each, found in zip(view.tasks, tasks, strict=True):
        mark = "!" if each.status is Status.UNKNOWN else " "
        when = f"{each.created_at:%Y-%m-%d %H:%M}"
        counts = dollars(found.counted_usd) if found.counted_usd > 0 else ""
        click.echo(f"{each.task_id} {mark}{each.status:10}  {each.mode:9}  {when}  {counts:>7}  {each.about or ''}")
    if unknown := [each.task_id for each in view.tasks if each.status is Status.UNKNOWN]:
        click.echo(
            f"! {len(unknown)} unknown: it may exist at the provider and be billed, and is never sent again by itself. "
            f"What to look for: keyframe-mcp task {unknown[0]}"
        )
    if not view.tasks and wanted is not None:
        click.echo(f"No task is {wanted}. keyframe-mcp task without --status shows the others.")
    elif not view.tasks:
        click.echo("No tasks yet. Make one: keyframe-mcp generate t2v --prompt '...'")

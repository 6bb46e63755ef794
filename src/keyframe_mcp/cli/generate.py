"""`keyframe-mcp generate`: make a video without a host."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any

import anyio
import click

from keyframe_mcp.cli import OVER_BUDGET
from keyframe_mcp.cli.session import ME, WAIT, exit_code, follow, session, show_json, show_task
from keyframe_mcp.engine import Engine, Rehearsal, Started
from keyframe_mcp.engine.budget import dollars
from keyframe_mcp.errors import InvalidInput, Problem
from keyframe_mcp.server.dry_run_view import NO_LIMIT, BudgetView, DryRunView, given, rehearsed
from keyframe_mcp.task import Inputs, Mode

MODES = "\n".join(f"  {mode:10} {mode.meaning}" for mode in Mode)

EXAMPLES = """\
  keyframe-mcp generate flf2v --first-image dawn.png --last-image dusk.png
  keyframe-mcp generate i2v --image task:kf_... --prompt "the camera slowly pulls back"
"""


@click.command(epilog=f"\b\nModes:\n{MODES}\n\n\b\nExamples:\n{EXAMPLES}")
@click.argument("mode", type=click.Choice([str(mode) for mode in Mode]))
@click.option("--prompt", help="What happens, and how the camera moves.")
@click.option("--prompt-start", help="animation: what it starts as.")
@click.option("--prompt-end", help="animation: what it becomes.")
@click.option("--first-image", help="flf2v: path, https URL or task:<id>.")
@click.option("--last-image", help="flf2v: path, https URL or task:<id>.")
@click.option("--image", help="i2v: path, https URL or task:<id> (its last frame).")
@click.option("--model", help="provider/model; the best configured one by default.")
@click.option("--duration", type=float, help="Seconds.")
@click.option("--resolution", help="For example 720p.")
@click.option("--aspect-ratio", help="For example 9:16.")
@click.option("--negative-prompt", help="What to keep out.")
@click.option("--seed", type=int, help="Repeat a seed to repeat a result.")
@click.option("--num-inference-steps", type=int)
@click.option("--guidance-scale", type=float)
@click.option("--num-outputs", type=int)
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="An input only this model has.")
@click.option("--strict/--no-strict", default=True, show_default=True, help="Refuse, or drop, what it cannot honour.")
@click.option("--fallback", is_flag=True, help="If it is refused before anything is charged, try the next best model.")
@click.option("--idempotency-key", help="The same key is the same task, and is paid once.")
@click.option(
    "--wait",
    type=WAIT,
    default=1800,
    show_default=True,
    help="Seconds to wait for the video; 0 returns.",
)
@click.option("--dry-run", is_flag=True, help="Check and price it; write and send nothing. Exit code 6: too dear.")
@click.option("--json", "as_json", is_flag=True, help="Print the task as JSON.")
def generate(
    mode: str,
    model: str | None,
    options: tuple[str, ...],
    idempotency_key: str | None,
    wait: float,
    *,
    strict: bool,
    fallback: bool,
    dry_run: bool,
    as_json: bool,
    **inputs: Any,  # noqa: ANN401 - the options above, by our own names
) -> None:
    """Make a video and wait for it."""
    request = Inputs.model_validate({"mode": mode, "options": parsed(options)} | inputs)
    wanted = {"model": model, "idempotency_key": idempotency_key, "strict": strict, "fallback": fallback}
    if dry_run:
        check = partial(Engine.rehearse, caller=ME, request=request, **wanted)
        sys.exit(anyio.run(partial(rehearse, check, as_json=as_json)))
    start = partial(Engine.start, request=request, **wanted)
    sys.exit(anyio.run(partial(make, start, wait, as_json=as_json)))


async def make(start: Callable[..., Awaitable[Started]], wait: float, *, as_json: bool) -> int:
    """Start it, follow it, show it."""
    async with session(works=wait > 0) as application:
        started = await start(application.engine, caller=ME)
        task = await follow(application, started.task, wait, quiet=as_json)
        show_task(task, as_json=as_json)
        return exit_code([task]) if wait else 0


async def rehearse(check: Callable[[Engine], Awaitable[Rehearsal]], *, as_json: bool) -> int:
    """Show what would be sent, and what it would cost. The exit code."""
    async with session(works=False) as application:
        engine = application.engine
        rehearsal = await check(engine)
    view = DryRunView.of(rehearsal, engine.budget)
    if as_json:
        show_json(view.data())
    else:
        click.echo("\n".join(in_words(view, given(rehearsal.draft.task))))
    return 0 if view.budget is None or view.budget.fits else OVER_BUDGET


def in_words(view: DryRunView, sent: Mapping[str, object]) -> Iterator[str]:
    """A dry run, line by line. `sent` is the request in the model's own words."""
    assumed = view.assumed or {}
    yield f"{rehearsed(view)} Nothing was written or sent."
    yield f"Why this model: {view.why}."
    yield "Sent:" if view.request is None else f"Sent: {view.request.method} {view.request.url}"
    yield from (f"  {name} = {value}{' (a default)' * (name in assumed)}" for name, value in sent.items())
    if left := {name: value for name, value in assumed.items() if name not in sent}:
        yield "Left to the model's defaults:"
        yield from (f"  {name} = {value}" for name, value in left.items())
    yield "Price and limits:"
    yield from (f"  {line}" for line in (view.cost and view.cost.basis, view.quote) if line)
    yield from (f"  {line}" for line in (left_in_words(view.budget) if view.budget is not None else (NO_LIMIT,)))
    for number, each in enumerate(view.alternatives or (), 1):
        yield f"{number}. alternative: {each.model}, {each.basis}"
    yield from (f"Note: {warning}" for warning in view.warnings or ())


def left_in_words(budget: BudgetView) -> Iterator[str]:
    """What is left of the limits that there are."""
    limits = {
        "a video may cost": budget.per_task_usd,
        "left today": budget.left_today_usd,
        "left today for you": budget.left_owner_today_usd,
    }
    yield from (f"{words} {dollars(usd)}" for words, usd in limits.items() if usd is not None)
    if budget.counts_usd is not None:
        yield f"counts for {dollars(budget.counts_usd)}, its price not being known"
    if budget.resets_at is not None:
        yield f"a new day begins at {budget.resets_at:%Y-%m-%d %H:%M} UTC"


def parsed(options: tuple[str, ...]) -> dict[str, Any]:
    """`fps=30` as a name and a number; what is not JSON is text."""
    found: dict[str, Any] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals:
            raise InvalidInput(problems=[Problem("--option", f"{option!r} is not NAME=VALUE")])
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found

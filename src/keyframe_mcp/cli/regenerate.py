"""`keyframe-mcp regenerate`: make an earlier video again, with changes."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import anyio
import click

from keyframe_mcp.cli.generate import make, parsed, rehearse
from keyframe_mcp.cli.session import ME, WAIT
from keyframe_mcp.engine import Engine, Rehearsal, Started
from keyframe_mcp.engine.caller import Caller
from keyframe_mcp.errors import InvalidInput, Problem
from keyframe_mcp.task import Inputs

EXAMPLES = """\
  keyframe-mcp regenerate kf_... --set seed=7
  keyframe-mcp regenerate kf_... --set prompt="the same at night" --set duration=10
  keyframe-mcp regenerate kf_... --set model=provider/model --remove negative_prompt
"""


@click.command(epilog=f"\b\nExamples:\n{EXAMPLES}")
@click.argument("task_id")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="An input, model, strict or options.NAME.")
@click.option("--remove", "removed", multiple=True, metavar="NAME", help="Leave out an input it was made with.")
@click.option("--idempotency-key", help="The same key is the same task, and is paid once.")
@click.option("--wait", type=WAIT, default=1800, show_default=True, help="Seconds to wait for the video; 0 returns.")
@click.option("--dry-run", is_flag=True, help="Check and price it; write and send nothing. Exit code 6: too dear.")
@click.option("--json", "as_json", is_flag=True, help="Print the task as JSON.")
def regenerate(
    task_id: str,
    changes: tuple[str, ...],
    removed: tuple[str, ...],
    idempotency_key: str | None,
    wait: float,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the video of an earlier task again, with changes, from the pictures as they were then."""
    overrides = overrides_of(changes, removed)
    if dry_run:
        sys.exit(anyio.run(partial(rehearse, partial(check, task_id, overrides, idempotency_key), as_json=as_json)))
    start = partial(again, task_id, overrides, idempotency_key)
    sys.exit(anyio.run(partial(make, start, wait, as_json=as_json)))


async def again(
    task_id: str, overrides: dict[str, Any], idempotency_key: str | None, engine: Engine, caller: Caller
) -> Started:
    """Start it."""
    retake = await engine.retake(caller, task_id, overrides)
    return await engine.start(caller, idempotency_key=idempotency_key, **retake.wanted)


async def check(task_id: str, overrides: dict[str, Any], idempotency_key: str | None, engine: Engine) -> Rehearsal:
    """Check it."""
    retake = await engine.retake(ME, task_id, overrides)
    return await engine.rehearse(ME, idempotency_key=idempotency_key, **retake.wanted)


def overrides_of(changes: tuple[str, ...], removed: tuple[str, ...]) -> dict[str, Any]:
    """`seed=7` as a name and a value. Raises `InvalidInput`."""
    overrides: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise InvalidInput(problems=[Problem("--set", f"{change!r} is not NAME=VALUE")])
        put(overrides, name, value_of(name, text))
    for name in removed:
        put(overrides, name, None)
    return overrides


def put(overrides: dict[str, Any], name: str, value: object) -> None:
    """One change, also to one of the model's own inputs."""
    group, dot, option = name.partition(".")
    if dot and group == "options":
        options = overrides.setdefault("options", {})
        if not isinstance(options, dict):
            raise InvalidInput(problems=[Problem(name, "options are given or removed whole already; name either")])
        options[option] = value
    else:
        overrides[name] = value


def value_of(name: str, text: str) -> object:
    """A number, where numbers or options are wanted; else the text as it is."""
    field = Inputs.model_fields.get(name)
    is_text = name == "model" or (field is not None and field.annotation == str | None)
    return text if is_text else parsed((f"value={text}",))["value"]

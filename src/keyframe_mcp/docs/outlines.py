"""The outline of the commands: what a shell completes, without importing what the commands need to run."""

from __future__ import annotations

import json
from pathlib import Path

import click

from keyframe_mcp.cli import COMMANDS, load_command
from keyframe_mcp.cli.outline import FILE

KINDS = {
    "model": "model",
    "model_id": "model",
    "task_id": "task",
    "first_image": "picture",
    "last_image": "picture",
    "image": "picture",
    "refresh": "provider",
}
"""What a parameter of that name is completed with."""


def path(root: Path) -> Path:
    """Where it is kept: beside the code that reads it."""
    return root / "src" / "keyframe_mcp" / "cli" / FILE


def text() -> str:
    """Every command but those that have commands of their own, which are imported after all."""
    commands = {name: load_command(name) for name in COMMANDS}
    plain = {name: each for name, each in commands.items() if not isinstance(each, click.Group)}
    return json.dumps({name: command(each) for name, each in plain.items()}, indent=1) + "\n"


def command(command: click.Command) -> dict[str, object]:
    """One command."""
    return {"help": command.get_short_help_str(100), "parameters": [parameter(each) for each in command.params]}


def parameter(parameter: click.Parameter) -> dict[str, object]:
    """One option or argument, as far as a shell needs it."""
    facts: dict[str, object] = {"name": parameter.name, "flags": [*parameter.opts, *parameter.secondary_opts]}
    if isinstance(parameter, click.Option):
        facts["help"] = parameter.help or ""
    else:
        facts["argument"] = True
    if isinstance(parameter, click.Option) and parameter.is_flag:
        facts["switch"] = True
    elif isinstance(parameter.type, click.Choice):
        facts["choices"] = [str(each) for each in parameter.type.choices]
    elif isinstance(parameter.type, click.Path):
        facts["kind"] = "file" if parameter.type.file_okay else "folder"
    elif parameter.name in KINDS:
        facts["kind"] = KINDS[parameter.name]
    if parameter.multiple or parameter.nargs != 1:
        facts["several"] = True
    return facts

"""The commands as a shell completes them, read from a generated file.

The commands themselves import the engine and the MCP SDK, which takes the better part of a second: too long for a key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import click

from keyframe_mcp.cli.completing import Completed

FILE = "outline.json"


def outlined(name: str) -> click.Command | None:
    """A command that cannot run but has the options, arguments and help of the one with that name."""
    outline = everything().get(name)
    if outline is None:
        return None
    parameters = [parameter(each) for each in outline["parameters"]]
    return click.Command(name, params=parameters, help=outline["help"], add_help_option=True)


@cache
def everything() -> Mapping[str, Any]:
    """The generated file."""
    return json.loads(resources.files("keyframe_mcp.cli").joinpath(FILE).read_text("utf-8"))


def parameter(outline: Mapping[str, Any]) -> click.Parameter:
    """One option or argument."""
    kind = Completed(outline.get("kind", ""), tuple(outline.get("choices", ())))
    several = outline.get("several", False)
    if outline.get("argument"):
        return click.Argument([outline["name"]], type=kind, required=False, nargs=-1 if several else 1)
    names = [outline["name"], *outline["flags"]]
    if outline.get("switch"):
        return click.Option(names, is_flag=True, flag_value=True, help=outline["help"])
    return click.Option(names, type=kind, multiple=several, help=outline["help"])

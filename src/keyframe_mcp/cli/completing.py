"""What may come next, asked while somebody holds a key: model ids, task ids, and what a list in the code says.

Nothing here says what is wrong: a shell would print it into the line being typed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import click
from click.shell_completion import CompletionItem

from keyframe_mcp.errors import KeyframeError

OWNER = "local"  # as in `session.ME`, which would import the engine
TASKS = 50


class Completed(click.types.StringParamType):
    """A value of any text, with proposals."""

    def __init__(self, kind: str, choices: tuple[str, ...] = ()) -> None:
        self._kind, self._choices = kind, choices

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        """The proposals that go on from what was typed."""
        del ctx, param
        if self._kind in FILES:
            return [CompletionItem(incomplete, type=FILES[self._kind])]
        try:
            found = PROPOSALS[self._kind]() if self._kind in PROPOSALS else dict.fromkeys(self._choices, "")
        except (KeyframeError, OSError, sqlite3.Error):
            return []
        return [CompletionItem(value, help=about or None) for value, about in found.items() if fits(value, incomplete)]


def fits(value: str, incomplete: str) -> bool:
    """Whether one goes on from the other; a shell puts in what is proposed, whatever was typed."""
    return value.startswith(incomplete)


def models() -> dict[str, str]:
    """Every model, those from the folder of the user and learned ones included."""
    from keyframe_mcp import catalog  # noqa: PLC0415 - a tenth of a second that other completions need not take
    from keyframe_mcp.settings import read_settings  # noqa: PLC0415 - as above

    found = read_settings(os.environ, Path.cwd(), Path.home())
    listed = catalog.load(found.catalog_dir, learned=found.learned_models).models()
    return {each.id: ", ".join(sorted(each.model.modes)) for each in listed}


def providers() -> dict[str, str]:
    """Every provider that has a key."""
    from keyframe_mcp import catalog  # noqa: PLC0415 - as above

    return {name: each.name for name, each in catalog.load().providers.items() if each.key}


def tasks() -> dict[str, str]:
    """The newest tasks of whoever uses the command line."""
    from keyframe_mcp.settings import read_settings  # noqa: PLC0415 - as above
    from keyframe_mcp.store.glance import newest  # noqa: PLC0415 - as above

    database = read_settings(os.environ, Path.cwd(), Path.home()).database
    return {each.id: f"{each.status}, {each.model}" for each in newest(database, OWNER, TASKS)}


PROPOSALS: Mapping[str, Callable[[], dict[str, str]]] = MappingProxyType(
    {"model": models, "provider": providers, "task": tasks}
)
FILES: Mapping[str, str] = MappingProxyType({"picture": "file", "file": "file", "folder": "dir"})
"""What the shell itself completes, and its word for it."""

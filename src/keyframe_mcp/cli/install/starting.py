"""How a host starts this server: by a path that is still there tomorrow."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from keyframe_mcp.errors import InvalidSettings

PACKAGE = "keyframe-mcp[local]"
PUBLISHED = ("uvx", "--from", PACKAGE, "keyframe-mcp")
"""What works on a machine that has uv and nothing else, once the package is published."""
IS_PUBLISHED = False
"""The one thing to change on the first release: the documentation then says no more that it is still to come."""
UVX = re.compile(r"[/\\](archive-v\d+|environments-v\d+|builds-v\d+)[/\\]")
PIPX_RUN = re.compile(r"[/\\]pipx[/\\](\.cache|cache)[/\\]|[/\\]\.cache[/\\]pipx[/\\]", re.IGNORECASE)


@dataclass(frozen=True)
class Installation:
    """Where this program runs from. `found` looks a program up in the PATH."""

    prefix: Path
    python: Path
    windows: bool
    found: Callable[[str], str | None]
    temporary: Path

    @classmethod
    def here(cls) -> Self:
        """The one that runs."""
        windows = sys.platform == "win32"
        return cls(Path(sys.prefix), Path(sys.executable), windows, shutil.which, Path(tempfile.gettempdir()))

    def command(self, chosen: str = "", *, shared: bool = False, lasting: bool = True) -> Sequence[str]:
        """The command and its arguments. `shared`: the file is other people's too, whose uvx is elsewhere.

        Raises `InvalidSettings` when nothing here would last, unless it need not be `lasting`.
        """
        if chosen:
            return split(chosen, windows=self.windows)
        if UVX.search(f"{self.prefix}/"):
            uvx = self.found("uvx")
            return PUBLISHED if shared or uvx is None else (uvx, *PUBLISHED[1:])
        if PIPX_RUN.search(f"{self.prefix}/"):
            return (self.found("pipx") or "pipx", "run", "--spec", PACKAGE, "keyframe-mcp")
        if lasting and (doubt := self.passing()):
            raise InvalidSettings(doubt)
        return self.installed()

    def passing(self) -> str:
        """Why what is here may not last, and what to do; empty where it will."""
        if UVX.search(f"{self.prefix}/") or not self.prefix.is_relative_to(self.temporary):
            return ""
        return (
            f"this keyframe-mcp is in {self.prefix}, which may be gone tomorrow; install it in a folder of yours, or "
            # double quotes alone: what other shells make of these words is the same
            f'say how to start it; once the package is published: --command "{" ".join(PUBLISHED)}"'
        )

    def installed(self) -> Sequence[str]:
        """The program beside this Python, or this Python itself."""
        name = "keyframe-mcp.exe" if self.windows else "keyframe-mcp"
        program = self.prefix / ("Scripts" if self.windows else "bin") / name
        beside = self.python.with_name(name)
        for each in (program, beside):
            if each.is_file():
                return (str(each),)
        return (str(self.python), "-m", "keyframe_mcp")


def split(command: str, *, windows: bool) -> Sequence[str]:
    """A command line as a list. On Windows a backslash is part of a path."""
    try:
        parts = [part.strip('"') for part in shlex.split(command, posix=False)] if windows else shlex.split(command)
    except ValueError as error:
        raise InvalidSettings(f"--command {command}: {error}; put quotes around what has spaces") from None
    if not parts:
        raise InvalidSettings("--command is empty; write the program and its arguments, such as 'uvx keyframe-mcp'")
    return parts

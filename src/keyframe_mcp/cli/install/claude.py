"""Claude Code's user scope. Its file is the program's own and is written while it runs, so the program is asked."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Sequence

from keyframe_mcp.cli.install.entries import NAME, Entry
from keyframe_mcp.errors import UnusableHostFile

PATIENCE = 60
"""Seconds `claude mcp` may take."""

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


def adding(entry: Entry) -> Sequence[str]:
    """The command that adds the entry for every project of a person."""
    return ("claude", "mcp", "add-json", "--scope", "user", NAME, json.dumps(entry, ensure_ascii=False))


def removing() -> Sequence[str]:
    """The command that takes it out."""
    return ("claude", "mcp", "remove", "--scope", "user", NAME)


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run `claude`."""
    return subprocess.run(  # noqa: S603 - a list, without a shell
        command, capture_output=True, text=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL
    )


def line(command: Sequence[str]) -> str:
    """A command as one types it."""
    return shlex.join(command)


def has_it(program: str, start: Run = run) -> bool:
    """Whether it knows the server already; a server of that name is not replaced by adding it."""
    try:
        return "Scope: User" in start((program, "mcp", "get", NAME)).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False


def asked(program: str, command: Sequence[str], safe: Sequence[str], start: Run = run) -> str:
    """What `claude` answered. Raises `UnusableHostFile` when it refused; `safe` is the command without secrets."""
    try:
        done = start((program, *command[1:]))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnusableHostFile(
            f"{program} could not be run ({type(error).__name__}); run it yourself: {line(safe)}"
        ) from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        why = said[-1] if said else f"exit code {done.returncode}"
        raise UnusableHostFile(f"claude refused: {why}; run it yourself: {line(safe)}")
    return done.stdout.strip()

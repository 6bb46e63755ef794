"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """`owner` sees only its own tasks. Over a network nobody may name files of this machine.

    `workspaces` are the folders a client says it works in. They open nothing: error texts name them.
    """

    owner: str
    may_name_files: bool
    workspaces: tuple[str, ...] = ()

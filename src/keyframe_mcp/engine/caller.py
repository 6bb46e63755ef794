"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """`owner` sees only its own tasks. Over a network nobody may name files of this machine.

    `workspaces` are the folders a client says it works in. They open nothing: error texts name them. `shown` are names
    of results to which the caller has a link, whoever made them. `upload` says how to send a picture in, where paths
    mean nothing.
    """

    owner: str
    may_name_files: bool
    workspaces: tuple[str, ...] = ()
    shown: frozenset[str] = frozenset()
    upload: str = ""

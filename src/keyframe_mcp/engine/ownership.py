"""Whose a file in the output folder is that no task made: a joined film, a frame, a contact sheet."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from pathlib import PurePath

from keyframe_mcp.engine.seal import Seal

LOCAL = "local"
"""Whoever works at this machine: the owner of everything where nobody has to sign in."""
MARK = re.compile(r"-of-([0-9a-f]{12})$")


@dataclass(frozen=True)
class Ownership:
    """Says it in the file's name, so that it needs no book: a mark that only this server can make for an owner."""

    seal: Seal

    def marked(self, name: str, owner: str) -> str:
        """A name for an owner's file. Those of this machine's own user bear no mark."""
        path = PurePath(name)
        return name if owner == LOCAL else f"{path.stem}-of-{self._mark(owner)}{path.suffix}"

    def is_owned(self, name: str, owner: str) -> bool:
        """Whether a file is an owner's, by its name."""
        mark = MARK.search(PurePath(name).stem)
        return owner == LOCAL if mark is None else owner != LOCAL and hmac.compare_digest(mark[1], self._mark(owner))

    def _mark(self, owner: str) -> str:
        return self.seal.sign("owner", owner)[:12]

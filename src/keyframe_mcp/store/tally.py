"""How many tasks there are, for whoever measures: on a connection and a thread of the caller's own, for a moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from keyframe_mcp.task import Status

PATIENCE = 1.0  # seconds, while somebody writes
COUNTS = "SELECT status, provider, count(*) FROM tasks GROUP BY status, provider"


def tally(path: Path) -> Mapping[tuple[Status, str], int]:
    """The tasks by status and provider. Empty where they cannot be counted now: a measurement is no reason to fail."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=PATIENCE)) as connection:
            rows = connection.execute(COUNTS).fetchall()
    except sqlite3.Error:
        return {}
    return {(Status(status), str(provider)): int(many) for status, provider, many in rows if status in set(Status)}

"""A look at the newest tasks without opening the store: for shells, which ask with every key."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

WAIT_SECONDS = 0.2  # for a database that is being changed


@dataclass(frozen=True)
class Glimpse:
    """As much of a task as fits beside its id."""

    id: str
    status: str
    model: str


def newest(database: Path, owner: str, most: int) -> list[Glimpse]:
    """The newest tasks of an owner. Raises `sqlite3.Error`; a database there is not is not made."""
    sql = "SELECT id, status, json_extract(body, '$.model') FROM tasks WHERE owner = ? ORDER BY created_at DESC LIMIT ?"
    uri = f"{database.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=WAIT_SECONDS)) as connection:
        return [Glimpse(*row) for row in connection.execute(sql, (owner, most))]

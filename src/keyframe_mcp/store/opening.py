"""The database file: made, upgraded and connected to."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from keyframe_mcp.errors import StoreUnusable
from keyframe_mcp.store.migrations import migrate
from keyframe_mcp.store.thread import LOCKED

BUSY_MILLISECONDS = 30_000


def prepare(path: Path) -> None:
    """Create or upgrade the file, readable by its owner only. Raises `StoreUnusable` with what to do."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        # not `connect`: choosing a journal writes, and the file may turn out to be somebody else's
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000)
        try:
            migrate(connection)
        finally:
            connection.close()
    except StoreUnusable as error:
        raise StoreUnusable(f"{path}: {error}") from None
    except (OSError, sqlite3.Error) as error:
        if "locked" in str(error):
            raise StoreUnusable(f"{path}: {LOCKED}") from None
        raise StoreUnusable(f"{path}: {error}; set KEYFRAME_STATE_DIR to a folder that can be written") from None


def connect(path: Path) -> sqlite3.Connection:
    """A connection that flushes on every commit."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    connection.execute(f"PRAGMA journal_mode = {journal_mode(sqlite3.sqlite_version_info)}")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def journal_mode(linked: tuple[int, int, int]) -> str:
    """WAL where the linked SQLite is safe with several writing processes.

    Older ones can corrupt the file when a WAL reset meets a checkpoint (fixed in 3.51.3; 3.52.0 was withdrawn).
    Source: the SQLite change log, read 2026-11-20.
    """
    return "WAL" if linked >= (3, 51, 3) and linked != (3, 52, 0) else "TRUNCATE"

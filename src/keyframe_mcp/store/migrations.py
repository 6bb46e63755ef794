"""The schema, as the list of steps that lead to it. Steps are added, never edited."""

from __future__ import annotations

import sqlite3

from keyframe_mcp.errors import StoreUnusable

APPLICATION_ID = 0x4B46524D  # "KFRM": tells our file from somebody else's

MIGRATIONS = (
    """
    CREATE TABLE tasks (
        id              TEXT PRIMARY KEY,
        owner           TEXT NOT NULL,
        status          TEXT NOT NULL,
        attempt         INTEGER NOT NULL,
        idempotency_key TEXT,
        request_hash    TEXT NOT NULL,
        created_at      REAL NOT NULL,
        due_at          REAL,
        lease_holder    TEXT,
        lease_until     REAL NOT NULL DEFAULT 0,
        woken           INTEGER NOT NULL DEFAULT 0,
        body            TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX tasks_by_key ON tasks (owner, idempotency_key) WHERE idempotency_key IS NOT NULL;
    CREATE INDEX tasks_by_request ON tasks (owner, request_hash, created_at);
    CREATE INDEX tasks_by_owner ON tasks (owner, created_at);
    CREATE INDEX tasks_due ON tasks (due_at) WHERE due_at IS NOT NULL;
    """,
    """
    CREATE TABLE uploads (
        account    TEXT NOT NULL,
        content    TEXT NOT NULL,
        url        TEXT NOT NULL,
        kept_until REAL NOT NULL,
        PRIMARY KEY (account, content)
    ) WITHOUT ROWID;
    """,
)
"""`PRAGMA user_version` counts how many have been applied."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file up to date in one transaction. Raises `StoreUnusable` for a file that is not ours or is newer."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        (done,) = connection.execute("PRAGMA user_version").fetchone()
        refuse_strangers(connection, done)
        for script in MIGRATIONS[done:]:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def refuse_strangers(connection: sqlite3.Connection, done: int) -> None:
    """Raise for a file this version must not touch."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application not in (0, APPLICATION_ID) or (application == 0 and tables):
        raise StoreUnusable("the file is another program's database; set KEYFRAME_STATE_DIR to a folder of its own")
    if done > len(MIGRATIONS):
        raise StoreUnusable(
            f"the task database is of schema {done}, this version knows {len(MIGRATIONS)}: "
            "a newer keyframe-mcp made it; upgrade this one, or set KEYFRAME_STATE_DIR to another folder"
        )

"""The schema, as the list of steps that lead to it. Steps are added, never edited.

The third keeps tasks in an ordinary table: without row ids, SQLite puts all but the smallest on a page of their own.
"""

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
    """
    ALTER TABLE tasks RENAME TO tasks_before;
    CREATE TABLE tasks (
        id              TEXT PRIMARY KEY,
        owner           TEXT NOT NULL,
        provider        TEXT NOT NULL,
        remote_id       TEXT GENERATED ALWAYS AS (json_extract(body, '$.remote_id')) VIRTUAL,
        status          TEXT NOT NULL,
        attempt         INTEGER NOT NULL,
        idempotency_key TEXT,
        request_hash    TEXT NOT NULL,
        created_at      REAL NOT NULL,
        counted_usd     REAL NOT NULL,
        counted_at      REAL NOT NULL,
        due_at          REAL,
        lease_holder    TEXT,
        lease_until     REAL NOT NULL DEFAULT 0,
        woken           INTEGER NOT NULL DEFAULT 0,
        body            TEXT NOT NULL
    );
    UPDATE tasks_before SET body = json_set(body, '$.counted_at', created_at, '$.counted_usd', CASE
        WHEN status IN ('failed', 'cancelled') THEN 0 ELSE coalesce(json_extract(body, '$.cost.estimated_usd'), 0) END);
    INSERT INTO tasks (id, owner, provider, status, attempt, idempotency_key, request_hash, created_at, counted_usd,
        counted_at, due_at, lease_holder, lease_until, woken, body)
        SELECT id, owner, json_extract(body, '$.provider'), status, attempt, idempotency_key, request_hash, created_at,
        json_extract(body, '$.counted_usd'), created_at,
        CASE WHEN status IN ('queued', 'submitting', 'running', 'saving') THEN coalesce(due_at, 0) ELSE due_at END,
        lease_holder, lease_until, woken, body FROM tasks_before;
    DROP TABLE tasks_before;
    CREATE UNIQUE INDEX tasks_by_key ON tasks (owner, idempotency_key) WHERE idempotency_key IS NOT NULL;
    CREATE INDEX tasks_by_request ON tasks (owner, request_hash, created_at);
    CREATE INDEX tasks_by_owner ON tasks (owner, created_at);
    CREATE INDEX tasks_due ON tasks (due_at) WHERE due_at IS NOT NULL;
    CREATE INDEX tasks_by_job ON tasks (provider, remote_id) WHERE remote_id IS NOT NULL;
    CREATE INDEX tasks_in_flight ON tasks (provider, status, created_at)
        WHERE status IN ('queued', 'submitting', 'running');
    CREATE INDEX tasks_counted ON tasks (counted_at) WHERE counted_usd > 0;
    CREATE TABLE submissions (
        provider TEXT NOT NULL,
        at       REAL NOT NULL
    );
    CREATE INDEX submissions_by_provider ON submissions (provider, at);
    CREATE TABLE durations (
        number  INTEGER PRIMARY KEY,
        model   TEXT NOT NULL,
        seconds REAL NOT NULL
    );
    CREATE INDEX durations_by_model ON durations (model, number);
    """,
    """
    CREATE INDEX tasks_unknown ON tasks (owner) WHERE status = 'unknown';
    """,
    """
    CREATE TABLE calls (
        provider TEXT NOT NULL,
        id       TEXT NOT NULL,
        at       REAL NOT NULL,
        PRIMARY KEY (provider, id)
    ) WITHOUT ROWID;
    CREATE INDEX calls_by_time ON calls (at);
    """,
)
"""`PRAGMA user_version` counts how many have been applied."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file up to date in one transaction. Raises `StoreUnusable` for a file that is not ours or is newer.

    One that is up to date is only read: a start must not wait for whoever writes.
    """
    if version(connection) == (APPLICATION_ID, len(MIGRATIONS)):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        application, done = version(connection)
        refuse_strangers(connection, application, done)
        for script in MIGRATIONS[done:]:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def version(connection: sqlite3.Connection) -> tuple[int, int]:
    """Whose file it is, and how many migrations have been applied."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (done,) = connection.execute("PRAGMA user_version").fetchone()
    return application, done


def refuse_strangers(connection: sqlite3.Connection, application: int, done: int) -> None:
    """Raise for a file this version must not touch."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application not in (0, APPLICATION_ID) or (application == 0 and tables):
        raise StoreUnusable("the file is another program's database; set KEYFRAME_STATE_DIR to a folder of its own")
    if done > len(MIGRATIONS):
        raise StoreUnusable(
            f"the task database is of schema {done}, this version knows {len(MIGRATIONS)}: "
            "a newer keyframe-mcp made it; upgrade this one, or set KEYFRAME_STATE_DIR to another folder"
        )

"""Tasks as rows of the table: reading and writing one. Whoever calls these holds the transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from keyframe_mcp.errors import InvalidInput, Problem, StoreUnusable
from keyframe_mcp.store.claims import settled
from keyframe_mcp.task import Status, Task, is_sent_alike


def find_same(connection: sqlite3.Connection, task: Task, since: float) -> Task | None:
    """An earlier task that already answers this request."""
    if task.idempotency_key is not None:
        earlier = find_keyed(connection, task.owner, task.idempotency_key)
        if earlier and task.request_hash not in (earlier.request_hash, earlier.moved_hash):
            problem = f"it was used for another request (task {earlier.id}); use a new one for a new video"
            raise InvalidInput(problems=[Problem("idempotency_key", problem)])
        return earlier
    # One of unknown fate may have been billed however long ago it was sent. One that has gone on to another model
    # answers also who names that; it is looked for by time, which has an index. Last, one of unknown fate that was
    # sent alike, though it was asked for otherwise: as an earlier task made again, or of another model.
    since_then = "created_at >= ?"
    for fits, of in (
        (f"({since_then} OR status = 'unknown')", "request_hash"),
        (since_then, "json_extract(body, '$.moved_hash')"),
    ):
        sql = f"""
            SELECT body FROM tasks WHERE owner = ? AND {fits}
            AND status NOT IN ('failed', 'cancelled') AND {of} = ? ORDER BY created_at DESC LIMIT 1
        """  # noqa: S608 - all of it is our own
        if row := connection.execute(sql, (task.owner, since, task.request_hash)).fetchone():
            return parse(row)
    sql = "SELECT body FROM tasks WHERE owner = ? AND status = 'unknown'"
    unknown = (parse(row) for row in connection.execute(sql, (task.owner,)))
    return next((each for each in unknown if is_sent_alike(each, task)), None)


def find_keyed(connection: sqlite3.Connection, owner: str, key: str) -> Task | None:
    """The task with that idempotency key."""
    sql = "SELECT body FROM tasks WHERE owner = ? AND idempotency_key = ?"
    row = connection.execute(sql, (owner, key)).fetchone()
    return parse(row) if row else None


def insert(connection: sqlite3.Connection, task: Task, due_at: float) -> None:
    """Add one row."""
    connection.execute(
        "INSERT INTO tasks (id, owner, provider, status, attempt, idempotency_key, request_hash, created_at,"
        " due_at, counted_usd, counted_at, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            task.id,
            task.owner,
            task.provider,
            task.status,
            task.attempt,
            task.idempotency_key,
            task.request_hash,
            task.created_at,
            due_at,
            task.counted_usd,
            task.counted_at,
            task.model_dump_json(exclude_defaults=True),
        ),
    )


def update(connection: sqlite3.Connection, task: Task, before: Task) -> Task:
    """Replace one row, comparing status and attempt with what was read. The task as it was written.

    A final task is never due. One whose fate is known again is due now, whoever holds it and has let it be: the answer
    may have come late, to a process that no longer holds the task.
    """
    task = settled(task, before)
    comes_back = task.status is not before.status and (
        before.status is Status.UNKNOWN or (before.status is Status.QUEUED and task.status is Status.RUNNING)
    )
    changed = connection.execute(
        "UPDATE tasks SET provider = ?, status = ?, attempt = ?, counted_usd = ?, counted_at = ?, body = ?,"
        " woken = CASE WHEN ? THEN 1 ELSE woken END,"
        " due_at = CASE WHEN ? THEN NULL WHEN ? THEN ? ELSE due_at END"
        " WHERE id = ? AND status = ? AND attempt = ?",
        (
            task.provider,
            task.status,
            task.attempt,
            task.counted_usd,
            task.counted_at,
            task.model_dump_json(exclude_defaults=True),
            comes_back,
            task.status.is_final,
            comes_back,
            task.updated_at,
            task.id,
            before.status,
            before.attempt,
        ),
    ).rowcount
    if changed != 1:
        raise StoreUnusable(f"task {task.id} changed under its own write lock")
    return task


def read(connection: sqlite3.Connection, task_id: str) -> Task | None:
    """One task, or None."""
    row = connection.execute("SELECT body FROM tasks WHERE id = ?", (task_id,)).fetchone()
    return parse(row) if row else None


def parse(row: Sequence[str]) -> Task:
    """A task from its row."""
    return Task.model_validate_json(row[0])


def marks(values: Sequence[object]) -> str:
    """One placeholder for each value."""
    return ", ".join("?" * len(values))

"""Calls of providers: each is heard once, by all processes together, and forgotten after a day."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from keyframe_mcp.errors import UnknownTask
from keyframe_mcp.store import Hint
from keyframe_mcp.store.rows import read, update
from keyframe_mcp.task import Task

KEPT_SECONDS = 86_400.0  # a call is refused for its age long before


@dataclass(frozen=True)
class Call:
    """A provider's call about one of its jobs, and the task it was for. `at` is in seconds since the epoch."""

    provider: str
    id: str
    task_id: str
    remote_id: str | None
    at: float


def hear(connection: sqlite3.Connection, call: Call, decide: Callable[[Task, bool], Hint]) -> bool:
    """See `Store.hear`."""
    if not is_new(connection, call):
        return False
    task = read(connection, call.task_id)
    if task is None:
        raise UnknownTask(f"there is no task {call.task_id!r}")
    hint = decide(task, is_anothers(connection, call))
    if hint.changes:
        changed = Task.model_validate(dict(task) | dict(hint.changes) | {"updated_at": call.at})
        update(connection, changed, task)
    if hint.is_due:
        wake(connection, call)
    return True


def is_new(connection: sqlite3.Connection, call: Call) -> bool:
    """Whether it is heard for the first time; from now on it is not."""
    connection.execute("DELETE FROM calls WHERE at < ?", (call.at - KEPT_SECONDS,))
    sql = "INSERT INTO calls (provider, id, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    return connection.execute(sql, (call.provider, call.id, call.at)).rowcount == 1


def is_anothers(connection: sqlite3.Connection, call: Call) -> bool:
    """Whether the job is another task's."""
    sql = "SELECT 1 FROM tasks WHERE provider = ? AND remote_id = ? AND id != ?"
    return connection.execute(sql, (call.provider, call.remote_id, call.task_id)).fetchone() is not None


def wake(connection: sqlite3.Connection, call: Call) -> None:
    """Make the task due now, also for whoever holds it and is about to let go of it."""
    sql = "UPDATE tasks SET due_at = ?, woken = 1 WHERE id = ? AND status NOT IN ('succeeded', 'failed', 'cancelled')"
    connection.execute(sql, (call.at, call.task_id))

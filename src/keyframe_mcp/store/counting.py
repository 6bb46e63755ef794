"""What is held against limits, inside the transaction that uses it up: money, and how much a provider takes."""

from __future__ import annotations

import sqlite3

from keyframe_mcp.store import Caps, Full, Limits, OverCap
from keyframe_mcp.task import Task

MINUTE = 60.0
SOON = 6.0  # seconds; what is due later waits for something else than its turn
TINY = 1e-9  # prices are sums of fractions


def counted(connection: sqlite3.Connection, since: float, owner: str | None = None, but: str = "") -> float:
    """What tasks count for since a moment, in US dollars, one task apart."""
    sql = "SELECT total(counted_usd) FROM tasks WHERE counted_usd > 0 AND counted_at >= ? AND id != ?"
    whose, of = ("", ()) if owner is None else (" AND owner = ?", (owner,))
    return float(connection.execute(sql + whose, (since, but, *of)).fetchone()[0])


def require_room(connection: sqlite3.Connection, task: Task, caps: Caps) -> None:
    """Raise `OverCap` if the task counts for more than is left beside all others."""
    if not task.counted_usd:
        return
    if caps.all_usd is not None:
        require("all", caps.all_usd - counted(connection, caps.since, but=task.id), task)
    if caps.owner_usd is not None:
        require("owner", caps.owner_usd - counted(connection, caps.since, task.owner, task.id), task)


def require(which: str, left: float, task: Task) -> None:
    """Raise `OverCap` if that is less than the task counts for."""
    if task.counted_usd > left + TINY:
        raise OverCap("all" if which == "all" else "owner", max(0.0, left))


def fullness(connection: sqlite3.Connection, task: Task, limits: Limits, now: float) -> Full | None:
    """Which limit of its provider keeps a queued task from being sent now. None when there is room.

    Where jobs at once or in a minute are limited, older tasks that are about to be sent have what room there is.
    """
    counts = "SELECT status, count(*) FROM tasks WHERE provider = ? AND status IN ('submitting', 'running') GROUP BY 1"
    found = {str(status): int(count) for status, count in connection.execute(counts, (task.provider,))}
    if found.get("submitting", 0) >= limits.on_their_way:
        return Full("on_their_way")
    if limits.at_once is None and limits.submits_per_minute is None:
        return None
    older = waiting_before(connection, task, now)
    if limits.at_once is not None and sum(found.values()) + older >= limits.at_once:
        return Full("at_once")
    if limits.submits_per_minute is None:
        return None
    sql = "SELECT at FROM submissions WHERE provider = ? AND at > ? AND at <= ? ORDER BY at DESC LIMIT -1 OFFSET ?"
    room = limits.submits_per_minute - 1
    last = connection.execute(sql, (task.provider, now - MINUTE, now, max(0, room - older))).fetchone()
    if last:
        return Full("submits_per_minute", float(last[0]) + MINUTE - now)
    return Full("submits_per_minute") if older > room else None


def waiting_before(connection: sqlite3.Connection, task: Task, now: float) -> int:
    """How many tasks of the provider are older, and about to be sent."""
    sql = """
        SELECT count(*) FROM tasks
        WHERE provider = ? AND status = 'queued' AND created_at < ? AND id != ? AND due_at <= ?
    """
    return int(connection.execute(sql, (task.provider, task.created_at, task.id, now + SOON)).fetchone()[0])


def note_submission(connection: sqlite3.Connection, provider: str, now: float) -> None:
    """Count a submission, and forget those that count no more."""
    connection.execute("DELETE FROM submissions WHERE provider = ? AND at <= ?", (provider, now - MINUTE))
    connection.execute("INSERT INTO submissions (provider, at) VALUES (?, ?)", (provider, now))

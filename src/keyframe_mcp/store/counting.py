"""What is held against limits, inside the transaction that uses it up: money, and how much a provider takes."""

from __future__ import annotations

import sqlite3

from keyframe_mcp.store import Caps, Full, Limits, OverCap
from keyframe_mcp.task import Task

MINUTE = 60.0
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


def fullness(connection: sqlite3.Connection, provider: str, limits: Limits, now: float) -> Full | None:
    """Which limit of a provider keeps another job from being sent now. None when there is room."""
    counts = "SELECT status, count(*) FROM tasks WHERE provider = ? AND status IN ('submitting', 'running') GROUP BY 1"
    found = {str(status): int(count) for status, count in connection.execute(counts, (provider,))}
    if found.get("submitting", 0) >= limits.on_their_way:
        return Full("on_their_way")
    if limits.at_once is not None and sum(found.values()) >= limits.at_once:
        return Full("at_once")
    if limits.submits_per_minute is None:
        return None
    sql = "SELECT at FROM submissions WHERE provider = ? AND at > ? ORDER BY at DESC LIMIT 1 OFFSET ?"
    last = connection.execute(sql, (provider, now - MINUTE, limits.submits_per_minute - 1)).fetchone()
    return Full("submits_per_minute", float(last[0]) + MINUTE - now) if last else None


def note_submission(connection: sqlite3.Connection, provider: str, now: float) -> None:
    """Count a submission, and forget those that count no more."""
    connection.execute("DELETE FROM submissions WHERE provider = ? AND at <= ?", (provider, now - MINUTE))
    connection.execute("INSERT INTO submissions (provider, at) VALUES (?, ?)", (provider, now))

"""What happened to a task, as a log line at info. Its facts are fields where lines are JSON."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType

from keyframe_mcp.task import Status, Task

log = logging.getLogger(__name__)

ACCEPTED = "accepted: {task.mode} with {task.model}, counts {worth}"
LINES: Mapping[Status, str] = MappingProxyType(
    {
        Status.QUEUED: "queued again, with {task.model}, after attempt {task.attempt} ({kind})",
        Status.RUNNING: "submitted to {task.provider} as job {task.remote_id}, attempt {task.attempt}",
        Status.SUCCEEDED: "finished in {taken}, counts {worth}",
        Status.FAILED: "failed after {taken}: {kind}, counts {worth}",
        Status.CANCELLED: "cancelled after {taken}, counts {worth}",
        Status.UNKNOWN: "unknown: {kind}; attempt {task.attempt} at {task.provider} may be billed, counts {worth}",
    }
)
"""What is said of a task that came into a state."""


def is_narrated() -> bool:
    """Whether anybody would read it."""
    return log.isEnabledFor(logging.INFO)


def narrate(before: Task | None, after: Task) -> None:
    """Log a task that was written down, or came into another state; one line, or none."""
    if before is not None and (before.status, before.attempt) == (after.status, after.attempt):
        return
    if said := line(before, after):
        log.info("task %s %s", after.id, said, extra={"facts": facts(after)})


def line(before: Task | None, task: Task) -> str | None:
    """What is said of it. None for a move that tells a person nothing."""
    said = ACCEPTED if before is None else LINES.get(task.status)
    kind = task.failure.kind if task.failure else "no reason given"
    taken = f"{task.updated_at - task.created_at:.1f} s"
    return said and said.format(task=task, kind=kind, taken=taken, worth=f"${task.counted_usd:g}")


def facts(task: Task) -> dict[str, object]:
    """The fields beside the text."""
    found: dict[str, object | None] = {
        "task_id": task.id,
        "correlation_id": task.correlation_id,
        "status": str(task.status),
        "provider": task.provider,
        "model": task.model,
        "attempt": task.attempt,
        "job_id": task.remote_id,
        "provider_trace_id": task.trace_id,
        "seconds": round(task.updated_at - task.created_at, 3) if task.status.is_settled else None,
        "counted_usd": task.counted_usd,
        "error_kind": task.failure.kind if task.failure else None,
    }
    return {name: value for name, value in found.items() if value is not None}

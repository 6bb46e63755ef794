"""What the tests of the store share: a clock, tasks to store, and ways to bring them somewhere."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Mode, Status, Task

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="file modes are a POSIX matter")
EVERY = frozenset(Status)
FINAL = frozenset(status for status in Status if status.is_final)


class Clock:
    """Seconds since the epoch, as the test says."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def a_task(task_id: str = "kf_a", *, created_at: float = 1_000_000.0, **changes: Any) -> Task:
    values: dict[str, Any] = {
        "id": task_id,
        "owner": "local",
        "mode": Mode.T2V,
        "model": "local/storyboard",
        "provider": "local",
        "request": {"mode": "t2v", "prompt": "a fox"},
        "wire": {"prompt": f"a fox, for {task_id}", "duration": 5},  # two that were sent alike are one request
        "request_hash": f"hash of {task_id}",
        "created_at": created_at,
        "updated_at": created_at,
    }
    return Task.model_validate(values | changes)


async def added(store: SqliteStore, task: Task, since: float = 0) -> Task:
    remembered, is_new = await store.add(task, same_request_since=since)
    assert is_new
    return remembered


async def moved(store: SqliteStore, task_id: str, *statuses: Status) -> Task:
    """Move a task along."""
    for status in statuses:
        task = await store.move(task_id, of=EVERY, to=status)
        assert task is not None
        assert task.status is status
    return await store.get(task_id)

"""Only the moves of the table happen, and of many at once one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio
import pytest

from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import NEXT, Status
from ledger import EVERY, FINAL, Clock, a_task, added


@pytest.mark.parametrize("before", list(Status))
@pytest.mark.parametrize("after", list(Status))
async def test_only_the_moves_of_the_table_happen(tmp_path: Path, clock: Clock, before: Status, after: Status):
    """Starting from a row as it might be found, not from the moves that led there."""
    store = SqliteStore(tmp_path / "tasks.db", clock)
    try:
        await added(store, a_task(status=before))
        found = await store.move("kf_a", of=EVERY, to=after)
        kept = await store.get("kf_a")
    finally:
        await store.aclose()

    if after in NEXT[before] or (after is before and before not in FINAL):
        assert found == kept
        assert kept.status is after
    else:
        assert found is None
        assert kept.status is before


async def test_a_move_from_a_status_that_was_not_named_does_not_happen(store: SqliteStore):
    await added(store, a_task())

    assert await store.move("kf_a", of={Status.RUNNING, Status.UNKNOWN}, to=Status.FAILED) is None
    assert await store.move("kf_a", of=(), changes={"progress": 0.5}) is None
    assert await store.get("kf_a") == a_task()


async def test_an_answer_to_an_older_attempt_changes_nothing(store: SqliteStore):
    """The same status again, one attempt later: comparing the status alone would let the late answer through."""
    await added(store, a_task())
    for attempt in (1, 2):
        await store.move("kf_a", of={Status.QUEUED}, to=Status.SUBMITTING, changes={"attempt": attempt})
        if attempt == 1:
            await store.move("kf_a", of={Status.SUBMITTING}, to=Status.QUEUED, attempt=1)

    late = await store.move("kf_a", of={Status.SUBMITTING}, to=Status.RUNNING, attempt=1, changes={"remote_id": "old"})
    assert late is None
    right = await store.move("kf_a", of={Status.SUBMITTING}, to=Status.RUNNING, attempt=2, changes={"remote_id": "new"})
    assert right is not None
    assert (await store.get("kf_a")).remote_id == "new"


async def test_a_move_of_a_task_there_is_not_does_not_happen(store: SqliteStore):
    assert await store.move("kf_a", of=EVERY, to=Status.FAILED) is None


async def test_a_change_without_a_move_keeps_the_status_and_says_when(store: SqliteStore, clock: Clock):
    await added(store, a_task())
    clock.now += 5
    found = await store.move("kf_a", of={Status.QUEUED}, changes={"progress": 0.5})

    assert found == a_task(progress=0.5, updated_at=clock.now)
    assert await store.get("kf_a") == found


@pytest.mark.parametrize("ending", sorted(FINAL))
async def test_a_final_task_never_changes_again(store: SqliteStore, clock: Clock, ending: Status):
    before = await added(store, a_task(status=ending))
    clock.now += 5

    assert await store.move("kf_a", of=EVERY, changes={"progress": 0.5}) is None
    assert await store.move("kf_a", of=EVERY, to=ending, changes={"warnings": ("late",)}) is None
    assert await store.get("kf_a") == before


async def test_a_change_that_is_no_field_of_a_task_is_refused_and_nothing_is_written(store: SqliteStore):
    await added(store, a_task())

    with pytest.raises(ValueError, match="progres"):
        await store.move("kf_a", of=EVERY, to=Status.SUBMITTING, changes={"progres": 1})
    assert await store.get("kf_a") == a_task()


async def test_of_many_that_move_a_task_at_once_one_wins(store: SqliteStore, other: SqliteStore):
    await added(store, a_task())
    tries = [
        handle.move(
            "kf_a",
            of={Status.QUEUED},
            to=Status.SUBMITTING,
            attempt=0,
            changes={"attempt": 1, "trace_id": f"try {number}"},
        )
        for number, handle in enumerate([store, other] * 20)
    ]
    with anyio.fail_after(20):
        won = [task for task in await asyncio.gather(*tries) if task is not None]

    assert [await store.get("kf_a")] == won


async def test_changes_by_two_writers_to_different_fields_both_survive(store: SqliteStore, other: SqliteStore):
    await added(store, a_task())
    with anyio.fail_after(20):
        for number in range(10):
            await asyncio.gather(
                store.move("kf_a", of=EVERY, changes={"progress": number / 10}),
                other.move("kf_a", of=EVERY, changes={"native_status": str(number)}),
            )
            task = await store.get("kf_a")
            assert (task.progress, task.native_status) == (number / 10, str(number))

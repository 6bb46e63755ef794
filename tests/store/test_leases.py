"""Each task is worked on by one process, and by another when that one is gone."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from keyframe_mcp.store import Limits
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Status, Task
from ledger import FINAL, Clock, a_task, added, moved


async def test_a_new_task_is_due_at_once(store: SqliteStore):
    await added(store, a_task())

    assert await store.claim("one", 10, 30) == ["kf_a"]


async def test_each_task_is_given_to_one_worker(store: SqliteStore, other: SqliteStore):
    for number in range(20):
        await added(store, a_task(f"kf_{number}"))
    with anyio.fail_after(20):
        given = await asyncio.gather(
            *(handle.claim(f"worker {number}", 4, 30) for number, handle in enumerate([store, other] * 5))
        )

    ids = [task_id for batch in given for task_id in batch]
    assert sorted(ids) == sorted(f"kf_{number}" for number in range(20))
    assert max(map(len, given)) <= 4


async def test_the_longest_overdue_task_is_given_first(store: SqliteStore, clock: Clock):
    for task_id in ("kf_c", "kf_a", "kf_b"):
        await added(store, a_task(task_id))
        clock.now += 1

    assert await store.claim("one", 2, 30) == ["kf_c", "kf_a"]


async def test_what_a_dead_worker_held_is_due_again_when_its_lease_ends(store: SqliteStore, clock: Clock):
    await added(store, a_task())
    await store.claim("dead", 10, 30)

    clock.now += 29.9
    assert await store.claim("alive", 10, 30) == ()
    clock.now += 0.2
    assert await store.claim("alive", 10, 30) == ["kf_a"]


async def test_renewing_holds_a_task_for_longer(store: SqliteStore, clock: Clock):
    await added(store, a_task())
    await store.claim("one", 10, 30)
    clock.now += 20
    await store.renew("one", ["kf_a", "kf_missing"], 30)

    clock.now += 29
    assert await store.claim("two", 10, 30) == ()


async def test_a_worker_that_lost_its_task_can_neither_renew_nor_release_it(store: SqliteStore, clock: Clock):
    await added(store, a_task())
    await store.claim("slow", 10, 30)
    clock.now += 31
    await store.claim("quick", 10, 30)

    await store.renew("slow", ["kf_a"], 1000)
    await store.release("slow", "kf_a", 0)
    assert await store.claim("third", 10, 30) == ()
    clock.now += 31
    assert await store.claim("third", 10, 30) == ["kf_a"]


async def test_a_released_task_is_due_when_it_was_said(store: SqliteStore, clock: Clock):
    await added(store, a_task())
    await store.claim("one", 10, 30)
    await store.release("one", "kf_a", 5)

    assert await store.claim("one", 10, 30) == ()
    clock.now += 5
    assert await store.claim("one", 10, 30) == ["kf_a"]


async def test_a_task_that_is_let_be_is_due_again_only_when_woken(store: SqliteStore, clock: Clock):
    await added(store, a_task(status=Status.UNKNOWN))
    await store.claim("one", 10, 30)
    await store.release("one", "kf_a", None)

    clock.now += 1_000_000
    assert await store.claim("one", 10, 30) == ()
    await store.wake("kf_a")
    assert await store.claim("one", 10, 30) == ["kf_a"]


async def test_waking_makes_a_waiting_task_due_now(store: SqliteStore):
    await added(store, a_task())
    await store.claim("one", 10, 30)
    await store.release("one", "kf_a", 1000)
    await store.wake("kf_a")

    assert await store.claim("one", 10, 30) == ["kf_a"]


@pytest.mark.parametrize("due_in", [1000, None])
async def test_waking_a_task_that_is_held_is_not_forgotten(
    store: SqliteStore, other: SqliteStore, due_in: float | None
):
    await added(store, a_task())
    await store.claim("one", 10, 30)
    await other.wake("kf_a")
    assert await other.claim("two", 10, 30) == ()

    await store.release("one", "kf_a", due_in)
    assert await store.claim("two", 10, 30) == ["kf_a"]


async def test_waking_is_for_once(store: SqliteStore):
    await added(store, a_task())
    await store.wake("kf_a")
    await store.claim("one", 10, 30)
    await store.release("one", "kf_a", 1000)

    assert await store.claim("one", 10, 30) == ()


@pytest.mark.parametrize("ending", sorted(FINAL))
async def test_a_final_task_is_never_due(store: SqliteStore, clock: Clock, ending: Status):
    way = {
        Status.SUCCEEDED: (Status.SUBMITTING, Status.RUNNING, Status.SAVING, Status.SUCCEEDED),
        Status.FAILED: (Status.FAILED,),
        Status.CANCELLED: (Status.CANCELLED,),
    }[ending]
    for task_id in ("kf_waiting", "kf_held"):
        await added(store, a_task(task_id))
    await store.claim("one", 1, 30)
    for task_id in ("kf_waiting", "kf_held"):
        await moved(store, task_id, *way)
        await store.wake(task_id)
        await store.release("one", task_id, 0)

    clock.now += 1_000_000
    assert await store.claim("one", 10, 30) == ()
    assert await store.next_due() is None


async def test_the_next_due_task_is_said_in_seconds(store: SqliteStore, clock: Clock):
    assert await store.next_due() is None
    await added(store, a_task("kf_a"))
    await added(store, a_task("kf_b"))
    assert await store.next_due() == 0

    await store.claim("one", 10, 30)
    assert await store.next_due() == 30
    await store.release("one", "kf_a", 12)
    assert await store.next_due() == 12
    clock.now += 15
    assert await store.next_due() == 0
    await store.claim("one", 10, 30)
    await moved(store, "kf_a", Status.FAILED)
    await store.release("one", "kf_a", None)
    assert await store.next_due() == 15


@pytest.mark.parametrize("status", [Status.QUEUED, Status.SUBMITTING, Status.RUNNING, Status.SAVING])
async def test_no_task_with_something_left_to_do_is_ever_let_be(store: SqliteStore, status: Status):
    await added(store, a_task(status=status))
    await store.claim("one", 10, 30)
    await store.release("one", "kf_a", None)
    assert await store.next_due() == 0


@pytest.mark.parametrize("due_in", [None, 900.0])
async def test_an_answer_that_came_while_another_held_the_task_is_followed_at_once(
    store: SqliteStore, due_in: float | None
):
    await added(store, a_task(status=Status.UNKNOWN, attempt=1))
    await store.claim("another", 10, 30)
    await store.take("kf_a", "job-1", of={Status.UNKNOWN}, attempt=1, changes={})
    await store.release("another", "kf_a", due_in)
    assert await store.claim("one", 10, 30) == ["kf_a"]


async def test_a_process_leaves_tasks_to_those_who_can_work_on_them(store: SqliteStore):
    for task_id, provider in (("kf_a", "paid"), ("kf_b", "local")):
        await added(store, a_task(task_id, provider=provider))
    assert await store.claim("one", 10, 30, {"local", "other"}) == ["kf_b"]
    assert await store.next_due({"other"}) is None
    assert await store.next_due({"paid"}) == 0
    assert await store.claim("two", 10, 30, set()) == ()


async def test_what_a_clock_that_was_ahead_has_written_holds_nobody_up(store: SqliteStore, clock: Clock):
    await added(store, a_task())
    clock.now += 400 * 86_400
    await store.claim("one", 10, 30)
    await store.begin("kf_a", attempt=0, changes={}, limits=Limits(on_their_way=9, submits_per_minute=1))
    clock.now -= 400 * 86_400
    assert await store.claim("two", 10, 30) == ["kf_a"]

    await store.release("two", "kf_a", None)
    await added(store, a_task("kf_b"))
    begun = await store.begin("kf_b", attempt=0, changes={}, limits=Limits(on_their_way=9, submits_per_minute=1))
    assert isinstance(begun, Task)


def version(connection: sqlite3.Connection, path: Path) -> tuple[int, int]:
    """Differs once anything was committed to the file by another connection."""
    return connection.execute("PRAGMA data_version").fetchone()[0], path.stat().st_mtime_ns


async def test_an_idle_claim_writes_nothing_and_waits_for_no_writer(store: SqliteStore, path: Path):
    await added(store, a_task())
    await store.claim("one", 10, 30)
    with closing(sqlite3.connect(path, isolation_level=None)) as watching:
        before = version(watching, path)
        watching.execute("BEGIN IMMEDIATE")
        with anyio.fail_after(5):
            for _ in range(5):
                assert await store.claim("one", 10, 30) == ()
        watching.execute("COMMIT")

        assert version(watching, path) == before

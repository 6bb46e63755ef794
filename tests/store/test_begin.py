"""An attempt begins only where the provider takes one more, counted over every process that shares the file."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from keyframe_mcp.store import Full, Limits
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Status, Task
from ledger import EVERY, FINAL, Clock, a_task, added, moved

ROOMY = Limits(on_their_way=100)


async def begun(store: SqliteStore, task_id: str, limits: Limits, attempt: int = 0) -> Task | Full | None:
    return await store.begin(task_id, attempt=attempt, changes={"sent_at": 1.0}, limits=limits)


async def several(store: SqliteStore, count: int, provider: str = "paid") -> list[str]:
    ids = [f"kf_{provider}{number}" for number in range(count)]
    for task_id in ids:
        await added(store, a_task(task_id, provider=provider))
    return ids


async def test_an_attempt_that_begins_has_the_next_number(store: SqliteStore):
    await added(store, a_task())
    task = await begun(store, "kf_a", ROOMY)
    assert isinstance(task, Task)
    assert (task.status, task.attempt, task.sent_at) == (Status.SUBMITTING, 1, 1.0)


@pytest.mark.parametrize("status", sorted(EVERY - {Status.QUEUED}))
async def test_only_a_queued_task_begins_an_attempt(store: SqliteStore, status: Status):
    await added(store, a_task(status=status))
    assert await begun(store, "kf_a", ROOMY) is None
    assert (await store.get("kf_a")).attempt == 0


async def test_one_of_two_processes_begins_the_attempt(store: SqliteStore, other: SqliteStore):
    await added(store, a_task())
    with anyio.fail_after(20):
        both = await asyncio.gather(*(begun(handle, "kf_a", ROOMY) for handle in (store, other) * 4))
    assert len([each for each in both if isinstance(each, Task)]) == 1
    assert (await store.get("kf_a")).attempt == 1


async def test_two_processes_together_send_no_more_than_a_provider_is_sent_at_once(
    store: SqliteStore, other: SqliteStore
):
    ids = await several(store, 20)
    with anyio.fail_after(20):
        found = await asyncio.gather(
            *(begun((store, other)[number % 2], each, Limits(on_their_way=4)) for number, each in enumerate(ids))
        )
    assert len([each for each in found if isinstance(each, Task)]) == 4
    assert {each.limit for each in found if isinstance(each, Full)} == {"on_their_way"}


async def test_jobs_that_run_count_against_what_a_provider_takes_at_once_until_they_end(store: SqliteStore):
    one, two, three = await several(store, 3)
    limits = Limits(on_their_way=4, at_once=2)
    for task_id in (one, two):
        await begun(store, task_id, limits)
        await moved(store, task_id, Status.RUNNING)
    assert await begun(store, three, limits) == Full("at_once")
    assert await store.full(await store.get(three), limits) == Full("at_once")

    await moved(store, one, Status.SAVING)
    assert isinstance(await begun(store, three, limits), Task)


async def test_submissions_a_minute_are_counted_whatever_became_of_them(store: SqliteStore, clock: Clock):
    one, two, three = await several(store, 3)
    limits = Limits(on_their_way=4, submits_per_minute=2)
    await begun(store, one, limits)
    await moved(store, one, Status.FAILED)
    clock.now += 20
    await begun(store, two, limits)
    await moved(store, two, Status.RUNNING)
    clock.now += 10
    assert await begun(store, three, limits) == Full("submits_per_minute", 30.0)

    clock.now += 30.1
    assert isinstance(await begun(store, three, limits), Task)


async def test_one_provider_s_jobs_do_not_count_against_another_s(store: SqliteStore):
    (mine,), (theirs,) = await several(store, 1), await several(store, 1, "other")
    limits = Limits(on_their_way=1, at_once=1, submits_per_minute=1)
    assert isinstance(await begun(store, mine, limits), Task)
    assert isinstance(await begun(store, theirs, limits), Task)


async def test_over_any_minute_no_more_are_begun_than_the_limit(store: SqliteStore, clock: Clock):
    """A day of a queue that is never empty."""
    ids, limits, times = await several(store, 60), Limits(on_their_way=100, submits_per_minute=5), list[float]()
    for task_id in ids:
        while isinstance(full := await begun(store, task_id, limits), Full):
            clock.now += full.seconds or 1
        await moved(store, task_id, Status.RUNNING)
        times.append(clock.now)
        clock.now += 1.7
    for start in times:
        assert len([each for each in times if start <= each < start + 60]) <= 5


@pytest.mark.parametrize("status", sorted(EVERY))
async def test_a_warning_can_be_added_in_any_status_and_changes_nothing_else(store: SqliteStore, status: Status):
    before = await added(store, a_task(status=status, warnings=("one",)))
    await store.remark("kf_a", "two")
    after = await store.get("kf_a")
    assert after == before.model_copy(update={"warnings": ("one", "two")})


async def test_a_task_that_came_to_a_new_status_is_due_even_if_it_had_been_let_be(store: SqliteStore):
    await added(store, a_task(status=Status.UNKNOWN))
    await store.claim("one", 1, 10)
    await store.release("one", "kf_a", None)
    assert await store.next_due() is None

    await moved(store, "kf_a", Status.RUNNING)
    assert await store.next_due() == 0


@pytest.mark.parametrize("status", sorted(FINAL))
async def test_a_final_task_is_never_due(store: SqliteStore, status: Status):
    await added(store, a_task(status=Status.SAVING if status is Status.SUCCEEDED else Status.RUNNING))
    await moved(store, "kf_a", status)
    assert await store.next_due() is None


async def test_only_the_latest_durations_of_a_model_are_kept(store: SqliteStore):
    for seconds in range(100):
        await store.learn("paid/film", float(seconds))
    await store.learn("paid/other", 5)
    assert await store.learned("paid/film") == [float(seconds) for seconds in range(60, 100)]
    assert await store.learned("paid/other") == [5.0]
    assert await store.learned("paid/new") == []


@pytest.mark.parametrize("limits", [Limits(on_their_way=9, at_once=2), Limits(on_their_way=9, submits_per_minute=2)])
async def test_where_a_provider_takes_few_the_older_tasks_go_first(store: SqliteStore, clock: Clock, limits: Limits):
    for number in range(4):
        await added(store, a_task(f"kf_{number}", provider="paid", created_at=1_000_000.0 + number))
    assert isinstance(await begun(store, "kf_3", limits), Full)
    assert isinstance(await begun(store, "kf_2", limits), Full)
    assert isinstance(await begun(store, "kf_1", limits), Task)
    assert isinstance(await begun(store, "kf_0", limits), Task)
    assert isinstance(await begun(store, "kf_2", limits), Full)


async def test_an_older_task_that_waits_for_something_else_keeps_nobody_from_going_first(store: SqliteStore):
    for number in range(2):
        await added(store, a_task(f"kf_{number}", provider="paid", created_at=1_000_000.0 + number))
    assert list(await store.claim("one", 1, 10)) == ["kf_0"]
    await store.release("one", "kf_0", 120.0)
    assert isinstance(await begun(store, "kf_1", Limits(on_their_way=9, at_once=1)), Task)


async def test_where_nothing_but_the_way_is_narrow_nobody_waits_for_older_tasks(store: SqliteStore):
    for number in range(9):
        await added(store, a_task(f"kf_{number}", provider="paid", created_at=1_000_000.0 + number))
    assert isinstance(await begun(store, "kf_8", Limits(on_their_way=4)), Task)

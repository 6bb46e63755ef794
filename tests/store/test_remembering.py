"""Tasks come back as they were added, and asking twice is asking once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from keyframe_mcp.errors import InvalidInput, UnknownTask
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Cost, Failure, Output, Status, Task
from ledger import Clock, a_task, added, moved


async def test_a_task_comes_back_as_it_was_added(store: SqliteStore):
    task = a_task(
        idempotency_key="key",
        cost=Cost(estimated_usd=0.5, basis="$0.1 a second"),
        failure=Failure(kind="provider_busy", message="slow down", fix="wait", retryable=True),
        outputs=(Output(file="/videos/a.mp4", width=640),),
        remote_outputs=("https://videos.example/a.mp4",),
        warnings=("one", "two"),
    )

    await added(store, task)

    assert await store.get("kf_a") == task


async def test_a_task_survives_the_end_of_the_process_that_added_it(path: Path, clock: Clock):
    first = SqliteStore(path, clock)
    await added(first, a_task())
    await moved(first, "kf_a", Status.SUBMITTING)
    await first.aclose()

    second = SqliteStore(path, clock)
    try:
        assert (await second.get("kf_a")).status is Status.SUBMITTING
    finally:
        await second.aclose()


async def test_a_task_is_on_disk_when_adding_it_returns(store: SqliteStore, path: Path):
    await added(store, a_task())

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id, status FROM tasks").fetchall() == [("kf_a", "queued")]


async def test_another_owners_task_is_as_unknown_as_one_there_never_was(store: SqliteStore):
    await added(store, a_task())

    with pytest.raises(UnknownTask) as missing:
        await store.get("kf_b", "local")
    with pytest.raises(UnknownTask) as foreign:
        await store.get("kf_a", "somebody else")

    assert str(foreign.value).replace("kf_a", "kf_b") == str(missing.value)
    assert (await store.get("kf_a", "local")).id == "kf_a"


async def test_the_newest_tasks_come_first_and_only_the_owners(store: SqliteStore):
    for number in range(5):
        await added(store, a_task(f"kf_{number}", created_at=1_000_000.0 + number))
    await added(store, a_task("kf_foreign", owner="somebody else"))
    await moved(store, "kf_3", Status.FAILED)

    def ids(tasks: Sequence[Task]) -> list[str]:
        return [task.id for task in tasks]

    assert ids(await store.recent("local")) == ["kf_4", "kf_3", "kf_2", "kf_1", "kf_0"]
    assert ids(await store.recent("local", limit=2)) == ["kf_4", "kf_3"]
    assert ids(await store.recent("local", [Status.FAILED])) == ["kf_3"]
    assert ids(await store.recent("local", [Status.FAILED, Status.QUEUED], 3)) == ["kf_4", "kf_3", "kf_2"]
    assert ids(await store.recent("nobody")) == []


async def test_the_same_key_is_the_same_task(store: SqliteStore, clock: Clock):
    first = await added(store, a_task("kf_a", idempotency_key="key", request_hash="same"))
    clock.now += 10_000_000
    again = a_task("kf_b", idempotency_key="key", request_hash="same", created_at=clock.now)

    assert await store.add(again, same_request_since=clock.now) == (first, False)


async def test_the_same_key_is_the_same_task_even_when_it_failed(store: SqliteStore):
    await added(store, a_task("kf_a", idempotency_key="key", request_hash="same"))
    failed = await moved(store, "kf_a", Status.FAILED)

    again = a_task("kf_b", idempotency_key="key", request_hash="same")
    assert await store.add(again, same_request_since=0) == (failed, False)


async def test_a_key_used_for_another_request_is_refused_and_names_the_task(store: SqliteStore):
    await added(store, a_task("kf_a", idempotency_key="key", request_hash="one"))

    with pytest.raises(InvalidInput) as caught:
        await store.add(a_task("kf_b", idempotency_key="key", request_hash="other"), same_request_since=0)

    assert caught.value.problems[0].argument == "idempotency_key"
    assert "kf_a" in str(caught.value)
    with pytest.raises(UnknownTask):
        await store.get("kf_b")


async def test_two_owners_may_use_one_key(store: SqliteStore):
    await added(store, a_task("kf_a", idempotency_key="key", request_hash="one"))
    await added(store, a_task("kf_b", idempotency_key="key", request_hash="other", owner="somebody else"))


async def test_a_new_key_is_a_new_task_though_the_request_is_the_same(store: SqliteStore):
    await added(store, a_task("kf_a", idempotency_key="one", request_hash="same"))
    await added(store, a_task("kf_b", idempotency_key="two", request_hash="same"))


async def test_the_same_request_within_the_window_is_the_same_task(store: SqliteStore):
    first = await added(store, a_task("kf_a", request_hash="same", created_at=1000))
    again = a_task("kf_b", request_hash="same", created_at=1100)

    assert await store.add(again, same_request_since=1000) == (first, False)


async def test_the_same_request_after_the_window_is_a_new_task(store: SqliteStore):
    await added(store, a_task("kf_a", request_hash="same", created_at=1000))
    await added(store, a_task("kf_b", request_hash="same", created_at=1200), since=1000.5)


async def test_the_same_request_of_somebody_else_is_a_new_task(store: SqliteStore):
    await added(store, a_task("kf_a", request_hash="same"))
    await added(store, a_task("kf_b", request_hash="same", owner="somebody else"))


@pytest.mark.parametrize("ending", [Status.FAILED, Status.CANCELLED])
async def test_a_request_that_came_to_nothing_may_be_made_again(store: SqliteStore, ending: Status):
    await added(store, a_task("kf_a", request_hash="same"))
    await moved(store, "kf_a", ending)
    await added(store, a_task("kf_b", request_hash="same"))


@pytest.mark.parametrize(
    "way",
    [(Status.SUBMITTING, Status.UNKNOWN), (Status.SUBMITTING, Status.RUNNING, Status.SAVING, Status.SUCCEEDED)],
    ids=["unknown", "succeeded"],
)
async def test_a_request_that_may_have_been_billed_is_not_made_again(store: SqliteStore, way: Sequence[Status]):
    await added(store, a_task("kf_a", request_hash="same"))
    await moved(store, "kf_a", *way)

    found, is_new = await store.add(a_task("kf_b", request_hash="same"), same_request_since=0)
    assert (found.id, is_new) == ("kf_a", False)


async def test_a_request_of_unknown_fate_is_not_made_again_however_long_ago_it_was(store: SqliteStore):
    await added(store, a_task("kf_a", request_hash="same", created_at=1000))
    unknown = await moved(store, "kf_a", Status.SUBMITTING, Status.UNKNOWN)
    again = a_task("kf_b", request_hash="same", created_at=9_000_000)

    assert await store.add(again, same_request_since=8_999_880) == (unknown, False)
    await added(store, a_task("kf_hers", request_hash="same", owner="her"), since=8_999_880)
    await added(store, a_task("kf_keyed", request_hash="same", idempotency_key="new"), since=8_999_880)
    await moved(store, "kf_a", Status.FAILED)  # a person gave it up
    await added(store, again, since=8_999_880)


@pytest.mark.parametrize("key", [None, "key"])
async def test_of_many_that_ask_the_same_at_once_one_task_is_made(
    store: SqliteStore, other: SqliteStore, key: str | None
):
    asked = [
        handle.add(a_task(f"kf_{number}", request_hash="same", idempotency_key=key), same_request_since=0)
        for number, handle in enumerate([store, other] * 10)
    ]
    with anyio.fail_after(20):
        answers = await asyncio.gather(*asked)

    assert sum(is_new for _, is_new in answers) == 1
    assert len({task.id for task, _ in answers}) == 1

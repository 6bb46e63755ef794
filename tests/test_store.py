"""Tasks that survive: one file, several writers, nothing lost and nothing done twice."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import stat
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from keyframe_mcp.errors import InvalidInput, StoreUnusable, UnknownTask
from keyframe_mcp.store.migrations import APPLICATION_ID, MIGRATIONS, migrate
from keyframe_mcp.store.sqlite import SqliteStore, journal_mode, prepare
from keyframe_mcp.store.thread import DatabaseThread
from keyframe_mcp.task import NEXT, Cost, Failure, Mode, Output, Status, Task

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="file modes are a POSIX matter")
EVERY = frozenset(Status)
FINAL = frozenset(status for status in Status if status.is_final)


class Clock:
    """Seconds since the epoch, as the test says."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "tasks.db"


@pytest.fixture
async def store(path: Path, clock: Clock) -> AsyncGenerator[SqliteStore]:
    opened = SqliteStore(path, clock)
    yield opened
    await opened.aclose()


@pytest.fixture
async def other(store: SqliteStore, path: Path, clock: Clock) -> AsyncGenerator[SqliteStore]:
    """A second handle on the same file, as another process has."""
    opened = SqliteStore(path, clock)
    yield opened
    await opened.aclose()


def a_task(task_id: str = "kf_a", *, created_at: float = 1_000_000.0, **changes: Any) -> Task:
    values: dict[str, Any] = {
        "id": task_id,
        "owner": "local",
        "mode": Mode.T2V,
        "model": "local/storyboard",
        "provider": "local",
        "request": {"mode": "t2v", "prompt": "a fox"},
        "wire": {"prompt": "a fox", "duration": 5},
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


# Remembering


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


# Asking twice


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


# Moving


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


# Leases


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


async def test_a_task_with_nothing_left_to_do_is_due_again_only_when_woken(store: SqliteStore, clock: Clock):
    await added(store, a_task())
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
    await store.release("one", "kf_a", None)
    assert await store.next_due() == 15


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


# The file


@posix_only
def test_the_file_and_its_folder_are_the_owners_only(path: Path):
    prepare(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_file_of_a_newer_version_is_refused_with_what_to_do(path: Path, clock: Clock):
    await SqliteStore(path, clock).aclose()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(StoreUnusable, match=r"schema 99.*upgrade this one, or set KEYFRAME_STATE_DIR") as caught:
        SqliteStore(path, clock)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
@pytest.mark.parametrize("application_id", [0, 0x12345678])
def test_another_programs_database_is_refused_and_left_as_it_was(
    tmp_path: Path, clock: Clock, journal: str, application_id: int
):
    path = tmp_path / "tasks.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute(f"PRAGMA application_id = {application_id}")
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    before = path.read_bytes()

    with pytest.raises(StoreUnusable, match="another program's database; set KEYFRAME_STATE_DIR"):
        SqliteStore(path, clock)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(tmp_path: Path, clock: Clock):
    path = tmp_path / "tasks.db"
    path.write_text("dear diary, " * 100)

    with pytest.raises(StoreUnusable, match="not a database"):
        SqliteStore(path, clock)
    assert path.read_text() == "dear diary, " * 100


def test_a_folder_that_cannot_be_written_is_refused_with_what_to_do(tmp_path: Path, clock: Clock):
    (tmp_path / "file").touch()

    with pytest.raises(StoreUnusable, match="set KEYFRAME_STATE_DIR to a folder that can be written"):
        SqliteStore(tmp_path / "file" / "tasks.db", clock)
    with pytest.raises(StoreUnusable, match="set KEYFRAME_STATE_DIR to a folder that can be written"):
        SqliteStore(tmp_path, clock)


@pytest.mark.parametrize(
    ("linked", "mode"),
    [
        ((3, 40, 1), "TRUNCATE"),
        ((3, 51, 2), "TRUNCATE"),
        ((3, 51, 3), "WAL"),
        ((3, 51, 4), "WAL"),
        ((3, 52, 0), "TRUNCATE"),
        ((3, 53, 0), "WAL"),
        ((4, 0, 0), "WAL"),
    ],
)
def test_the_journal_is_the_one_that_is_safe_in_the_linked_sqlite(linked: tuple[int, int, int], mode: str):
    assert journal_mode(linked) == mode


async def test_every_commit_is_flushed(store: SqliteStore):
    def ask(connection: sqlite3.Connection) -> tuple[int, str]:
        (flushes,) = connection.execute("PRAGMA synchronous").fetchone()
        (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
        return flushes, journal

    assert await store._writer.run(ask) == (2, journal_mode(sqlite3.sqlite_version_info).lower())


# The schema


def schema(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    shape = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name").fetchall()
    return [*shape, *(connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version"))]


def stepped(connection: sqlite3.Connection, steps: int) -> None:
    """What a version with only the first `steps` migrations left behind."""
    for script in MIGRATIONS[:steps]:
        connection.executescript(script)
    connection.execute(f"PRAGMA user_version = {steps}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID if steps else 0}")


@pytest.fixture
def memory() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


async def test_the_schema_on_disk_is_all_migrations_applied(store: SqliteStore, path: Path, memory: sqlite3.Connection):
    stepped(memory, len(MIGRATIONS))

    with closing(sqlite3.connect(path)) as connection:
        assert schema(connection) == schema(memory)


@pytest.mark.parametrize("steps", range(len(MIGRATIONS) + 1))
def test_a_file_of_any_earlier_version_becomes_the_same_as_a_new_one(memory: sqlite3.Connection, steps: int):
    stepped(memory, steps)
    migrate(memory)

    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        migrate(fresh)
        assert schema(memory) == schema(fresh)


def test_migrating_again_changes_nothing(memory: sqlite3.Connection):
    migrate(memory)
    before = schema(memory)
    migrate(memory)

    assert schema(memory) == before


def test_a_migration_that_breaks_leaves_the_file_as_it_was(memory: sqlite3.Connection):
    memory.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    memory.execute("CREATE TABLE tasks (in_the_way TEXT)")
    before = schema(memory)

    with pytest.raises(sqlite3.OperationalError):
        migrate(memory)
    assert not memory.in_transaction
    assert schema(memory) == before


async def test_many_that_open_a_new_file_at_once_all_succeed(path: Path, clock: Clock):
    with anyio.fail_after(20):
        opened = await asyncio.gather(*(asyncio.to_thread(SqliteStore, path, clock) for _ in range(6)))
        await added(opened[0], a_task())
        assert [(await store.get("kf_a")).id for store in opened] == ["kf_a"] * 6
        await asyncio.gather(*(store.aclose() for store in opened))


# The thread


@dataclass(frozen=True)
class Table:
    """A thread on a database of its own, and every statement it ran."""

    thread: DatabaseThread
    connection: sqlite3.Connection
    statements: list[str]

    async def held(self, *works: Callable[[sqlite3.Connection], object]) -> list[object]:
        """What came of each work, all of them put in the queue while the thread was busy with something else."""
        go = threading.Event()
        busy = asyncio.create_task(self.thread.run(lambda _: go.wait(10)))
        rest = [asyncio.create_task(self.thread.run(work)) for work in works]
        await anyio.lowlevel.checkpoint()
        go.set()
        with anyio.fail_after(10):
            results = await asyncio.gather(busy, *rest, return_exceptions=True)
        return results[1:]

    def rows(self) -> list[int]:
        return [row[0] for row in self.connection.execute("SELECT number FROM numbers ORDER BY number")]


@pytest.fixture
async def table(tmp_path: Path) -> AsyncGenerator[Table]:
    connection = sqlite3.connect(tmp_path / "numbers.db", isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY, parent REFERENCES numbers (number))")
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    thread = DatabaseThread(connection, name="numbers", writes=True)
    yield Table(thread, connection, statements)
    await thread.aclose()


def insert(number: int) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute("INSERT INTO numbers (number) VALUES (?)", (number,)).rowcount


async def test_many_writes_share_few_commits(table: Table):
    await table.held(*map(insert, range(200)))

    assert table.rows() == list(range(200))
    assert table.statements.count("COMMIT") <= 3


async def test_a_failing_errand_does_not_undo_its_neighbours(table: Table):
    def half_done(connection: sqlite3.Connection) -> object:
        insert(100)(connection)
        raise ValueError("changed my mind")

    results = await table.held(insert(1), half_done, insert(1), insert(2))

    assert table.rows() == [1, 2]
    assert table.statements.count("COMMIT") <= 2
    assert [type(result) for result in results] == [int, ValueError, sqlite3.IntegrityError, int]


async def test_when_the_commit_itself_fails_every_caller_hears_it_and_work_goes_on(table: Table):
    def orphan(connection: sqlite3.Connection) -> object:
        connection.execute("PRAGMA defer_foreign_keys = ON")
        return connection.execute("INSERT INTO numbers VALUES (2, 999)").rowcount

    table.connection.execute("PRAGMA foreign_keys = ON")
    results = await table.held(insert(1), orphan)

    assert [type(result) for result in results] == [StoreUnusable, StoreUnusable]
    assert table.rows() == []
    assert await table.thread.run(insert(3)) == 1


async def test_work_is_done_in_the_order_it_came(table: Table):
    done: list[int] = []

    def note(number: int) -> Callable[[sqlite3.Connection], object]:
        return lambda _: done.append(number)

    await table.held(*map(note, range(50)))

    assert done == list(range(50))


async def test_a_caller_that_gives_up_does_not_undo_its_write(table: Table):
    go = threading.Event()
    busy = asyncio.create_task(table.thread.run(lambda _: go.wait(10)))
    with anyio.move_on_after(0.01) as gave_up:
        await table.thread.run(insert(7))
    go.set()
    with anyio.fail_after(10):
        await busy
        await table.thread.run(lambda _: None)

    assert gave_up.cancelled_caught
    assert table.rows() == [7]


async def test_closing_finishes_what_was_asked(path: Path, clock: Clock):
    store = SqliteStore(path, clock)
    adding = [asyncio.create_task(added(store, a_task(f"kf_{number}"))) for number in range(20)]
    await anyio.lowlevel.checkpoint()
    with anyio.fail_after(10):
        await store.aclose()
        assert len(await asyncio.gather(*adding)) == 20
        await store.aclose()


async def test_asking_a_closed_store_is_an_error_and_not_a_wait_for_ever(path: Path, clock: Clock):
    store = SqliteStore(path, clock)
    await store.aclose()

    with anyio.fail_after(5), pytest.raises(StoreUnusable, match="closed"):
        await store.get("kf_a")
    with anyio.fail_after(5), pytest.raises(StoreUnusable, match="closed"):
        await store.wake("kf_a")


async def test_closing_leaves_no_thread_behind(path: Path, clock: Clock):
    store = SqliteStore(path, clock)
    threads = [store._writer._thread, store._reader._thread]
    await store.aclose()

    assert not any(thread.is_alive() for thread in threads)


async def test_the_event_loop_goes_on_while_another_process_writes(store: SqliteStore, path: Path):
    await added(store, a_task("kf_a"))
    with closing(sqlite3.connect(path, isolation_level=None)) as writing:
        writing.execute("BEGIN IMMEDIATE")
        adding = asyncio.create_task(added(store, a_task("kf_b")))
        ticks = 0
        with anyio.move_on_after(0.1):
            while not adding.done():
                await anyio.lowlevel.checkpoint()
                ticks += 1
        with anyio.fail_after(5):
            assert (await store.get("kf_a")).id == "kf_a"

        assert not adding.done()
        assert ticks > 20
        writing.execute("COMMIT")
    with anyio.fail_after(10):
        assert (await adding).id == "kf_b"


# Whatever happens, in whatever order


@dataclass
class Known:
    """What the machine believes of a task's row."""

    due_at: float | None
    holder: str | None = None
    until: float = 0
    woken: bool = False


WORKERS = st.sampled_from(["one", "two", "three"])
HANDLES = st.sampled_from([0, 1])
NUMBERS = st.integers(0, 7)


class TwoWriters(RuleBasedStateMachine):
    """Two handles on one file, held against a model of what is due and who holds it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.clock = Clock()
        self.runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        path = Path(self.folder.name) / "tasks.db"
        self.handles = [SqliteStore(path, self.clock) for _ in range(2)]
        self.tasks: dict[str, Task] = {}
        self.known: dict[str, Known] = {}
        self.names = (f"kf_{number}" for number in itertools.count())

    def teardown(self) -> None:
        for handle in self.handles:
            self.runner.run(handle.aclose())
        self.runner.close()
        self.folder.cleanup()

    def nth(self, number: int) -> str:
        return list(self.tasks)[number % len(self.tasks)]

    @initialize()
    def begin(self) -> None:
        self.add(0)

    @rule(handle=HANDLES)
    def add(self, handle: int) -> None:
        name = next(self.names)
        self.tasks[name] = self.runner.run(added(self.handles[handle], a_task(name)))
        self.known[name] = Known(due_at=self.clock.now)

    @rule(
        handle=HANDLES,
        number=NUMBERS,
        of=st.frozensets(st.sampled_from(Status), min_size=1) | st.just(EVERY),
        to=st.none() | st.sampled_from(Status),
        behind=st.sampled_from([None, 0, 0, 1]),
    )
    def move(self, handle: int, number: int, of: Collection[Status], to: Status | None, behind: int | None) -> None:
        """A move as the engine makes it, perhaps on the word of an attempt ago."""
        before = self.tasks[self.nth(number)]
        attempt = None if behind is None else before.attempt - behind
        counted = {"attempt": before.attempt + 1 - (behind or 0)} if to is Status.SUBMITTING else {}
        changes = {"progress": 0.5, **counted}
        after = self.runner.run(self.handles[handle].move(before.id, of=of, to=to, attempt=attempt, changes=changes))

        may = before.status in of and not behind and not before.status.is_final
        may = may and (to in (None, before.status) or to in NEXT[before.status])
        assert (after is not None) == may
        if after is not None:
            assert after.status is (to or before.status)
            self.tasks[before.id] = after
            if after.status.is_final:
                self.known[before.id].due_at = None

    @rule(number=NUMBERS, to=st.sampled_from(Status))
    def race(self, number: int, to: Status) -> None:
        """Both handles try the same move of the same attempt at once."""
        before = self.tasks[self.nth(number)]

        async def both() -> list[Task | None]:
            changes = {"attempt": before.attempt + 1}
            tries = [
                handle.move(before.id, of={before.status}, to=to, attempt=before.attempt, changes=changes)
                for handle in self.handles
            ]
            return await asyncio.gather(*tries)

        won = [task for task in self.runner.run(both()) if task is not None]
        possible = not before.status.is_final and (to is before.status or to in NEXT[before.status])
        assert len(won) == possible
        for task in won:
            self.tasks[task.id] = task
            if task.status.is_final:
                self.known[task.id].due_at = None

    @rule(handle=HANDLES, worker=WORKERS, limit=st.integers(1, 5))
    def claim(self, handle: int, worker: str, limit: int) -> None:
        now = self.clock.now
        due = [name for name, known in self.known.items() if known.due_at is not None and known.due_at <= now]
        free = {name for name in due if self.known[name].until <= now}
        given = self.runner.run(self.handles[handle].claim(worker, limit, 30))

        assert set(given) <= free
        assert len(given) == min(limit, len(free))
        assert not any(self.tasks[name].status.is_final for name in given)
        for name in given:
            self.known[name] = Known(self.known[name].due_at, worker, now + 30)

    @rule(handle=HANDLES, worker=WORKERS, number=NUMBERS)
    def renew(self, handle: int, worker: str, number: int) -> None:
        known = self.known[self.nth(number)]
        self.runner.run(self.handles[handle].renew(worker, [self.nth(number)], 30))
        if known.holder == worker:
            known.until = self.clock.now + 30

    @rule(handle=HANDLES, worker=WORKERS, number=NUMBERS, due_in=st.none() | st.integers(0, 60))
    def release(self, handle: int, worker: str, number: int, due_in: float | None) -> None:
        name = self.nth(number)
        known = self.known[name]
        self.runner.run(self.handles[handle].release(worker, name, due_in))
        if known.holder == worker:
            due_at = self.clock.now if known.woken else None if due_in is None else self.clock.now + due_in
            self.known[name] = Known(None if self.tasks[name].status.is_final else due_at)

    @rule(handle=HANDLES, number=NUMBERS)
    def wake(self, handle: int, number: int) -> None:
        name = self.nth(number)
        self.runner.run(self.handles[handle].wake(name))
        if not self.tasks[name].status.is_final:
            self.known[name].due_at = self.clock.now
            self.known[name].woken = True

    @rule(seconds=st.integers(1, 100))
    def time_passes(self, seconds: int) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self.tasks)
    @invariant()
    def every_row_is_as_the_last_allowed_move_left_it(self) -> None:
        """Final tasks stay, attempts never go back, statuses follow the table: all else would differ from these."""
        for handle in self.handles:
            rows = self.runner.run(handle.recent("local", limit=1000))
            assert {task.id: task for task in rows} == self.tasks

    @precondition(lambda self: self.tasks)
    @invariant()
    def the_next_due_task_is_known(self) -> None:
        waiting = [max(known.due_at, known.until) for known in self.known.values() if known.due_at is not None]
        expected = max(0.0, min(waiting) - self.clock.now) if waiting else None
        assert self.runner.run(self.handles[0].next_due()) == expected


def test_two_writers_never_lose_or_undo_a_move_and_never_hold_the_same_task():
    run_state_machine_as_test(TwoWriters, settings=settings(max_examples=15, stateful_step_count=30, deadline=None))

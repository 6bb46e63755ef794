"""The thread that writes: many callers, few commits, and the event loop never waits."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from keyframe_mcp.errors import StoreUnusable
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.store.thread import DatabaseThread
from ledger import Clock, a_task, added


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
    begun, go = threading.Event(), threading.Event()

    def hold(_: object) -> bool:
        begun.set()
        return go.wait(10)

    busy = asyncio.create_task(table.thread.run(hold))
    assert await anyio.to_thread.run_sync(begun.wait, 10)
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

"""The file: whose it is, who may read it, and how its schema grows."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from keyframe_mcp.errors import StoreUnusable
from keyframe_mcp.store.migrations import APPLICATION_ID, MIGRATIONS, migrate
from keyframe_mcp.store.opening import journal_mode, prepare
from keyframe_mcp.store.sqlite import SqliteStore
from ledger import Clock, a_task, added, posix_only


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

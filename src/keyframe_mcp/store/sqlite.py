"""Tasks in one SQLite file, shared safely by every process that opens it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from keyframe_mcp.errors import InvalidInput, Problem, StoreUnusable, UnknownTask
from keyframe_mcp.store import NO_CHANGES
from keyframe_mcp.store.migrations import migrate
from keyframe_mcp.store.thread import DatabaseThread
from keyframe_mcp.task import NEXT, Status, Task

BUSY_MILLISECONDS = 30_000


class SqliteStore:
    """A `Store` in a file. `clock` gives seconds since the epoch: leases are compared across processes."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        prepare(path)
        self._writer = DatabaseThread(connect(path), name="keyframe-store-writer", writes=True)
        self._reader = DatabaseThread(connect(path), name="keyframe-store-reader", writes=False)

    async def add(self, task: Task, *, same_request_since: float) -> tuple[Task, bool]:
        """See `Store.add`. Raises `InvalidInput` when the key was used for a different request."""

        def work(connection: sqlite3.Connection) -> tuple[Task, bool]:
            if earlier := find_same(connection, task, same_request_since):
                return earlier, False
            insert(connection, task, due_at=self._clock())
            return task, True

        return await self._writer.run(work)

    async def get(self, task_id: str, owner: str | None = None) -> Task:
        """See `Store.get`."""
        # Not every text can be asked for: SQLite wants it as UTF-8, and ours are of plain letters.
        task = await self._reader.run(lambda connection: read(connection, task_id)) if task_id.isascii() else None
        if task is None or owner not in (None, task.owner):
            raise UnknownTask(f"there is no task {task_id!r}")
        return task

    async def recent(self, owner: str, statuses: Collection[Status] = (), limit: int = 20) -> Sequence[Task]:
        """See `Store.recent`."""
        wanted = [str(status) for status in statuses or Status]
        sql = (
            f"SELECT body FROM tasks WHERE owner = ? AND status IN ({marks(wanted)})"  # noqa: S608 - only placeholders
            " ORDER BY created_at DESC LIMIT ?"
        )
        return await self._reader.run(
            lambda connection: [parse(row) for row in connection.execute(sql, (owner, *wanted, limit))]
        )

    async def move(
        self,
        task_id: str,
        *,
        of: Collection[Status],
        to: Status | None = None,
        attempt: int | None = None,
        changes: Mapping[str, object] = NO_CHANGES,
    ) -> Task | None:
        """See `Store.move`. Changes are made to the row as it is now, so two writers never undo each other's."""
        if unknown := changes.keys() - Task.model_fields.keys():
            raise ValueError(f"a task has no {', '.join(sorted(unknown))}")

        def work(connection: sqlite3.Connection) -> Task | None:
            task = read(connection, task_id)
            if task is None or task.status.is_final or task.status not in of or attempt not in (None, task.attempt):
                return None
            return self._moved(connection, task, to or task.status, changes)

        return await self._writer.run(work)

    async def adopt(self, task_id: str, remote_id: str, *, attempt: int) -> bool:
        """See `Store.adopt`. Looking and writing are one transaction, so no two tasks take the same job."""
        others = """
            SELECT 1 FROM tasks
            WHERE id != ? AND json_extract(body, '$.remote_id') = ? AND json_extract(body, '$.provider') = ?
        """

        def work(connection: sqlite3.Connection) -> bool:
            task = read(connection, task_id)
            if task is None or task.status is not Status.UNKNOWN or task.attempt != attempt:
                return False
            if connection.execute(others, (task_id, remote_id, task.provider)).fetchone():
                return False
            changes = {"remote_id": remote_id, "failure": None}
            return self._moved(connection, task, Status.RUNNING, changes) is not None

        return await self._writer.run(work)

    def _moved(
        self, connection: sqlite3.Connection, task: Task, status: Status, changes: Mapping[str, object]
    ) -> Task | None:
        """Write the task as it becomes, if the move is allowed."""
        if status is not task.status and status not in NEXT[task.status]:
            return None
        moved = Task.model_validate(dict(task) | dict(changes) | {"status": status, "updated_at": self._clock()})
        update(connection, moved, task)
        return moved

    async def claim(self, worker: str, limit: int, lease: float) -> Sequence[str]:
        """See `Store.claim`. Looks before it writes, so that an idle loop costs no flush."""
        now = self._clock()
        due = "SELECT id FROM tasks WHERE due_at <= ? AND lease_until <= ? ORDER BY due_at LIMIT ?"
        if not await self._reader.run(lambda connection: connection.execute(due, (now, now, 1)).fetchone()):
            return ()

        def work(connection: sqlite3.Connection) -> Sequence[str]:
            ids = [str(row[0]) for row in connection.execute(due, (now, now, limit))]
            hold = "UPDATE tasks SET lease_holder = ?, lease_until = ?, woken = 0 WHERE id = ?"
            connection.executemany(hold, [(worker, now + lease, each) for each in ids])
            return ids

        return await self._writer.run(work)

    async def renew(self, worker: str, task_ids: Collection[str], lease: float) -> None:
        """See `Store.renew`."""
        until = self._clock() + lease
        sql = "UPDATE tasks SET lease_until = ? WHERE id = ? AND lease_holder = ?"
        rows = [(until, each, worker) for each in task_ids]
        await self._writer.run(lambda connection: connection.executemany(sql, rows).rowcount)

    async def release(self, worker: str, task_id: str, due_in: float | None) -> None:
        """See `Store.release`. A `wake` that came while the task was held is not forgotten."""
        now = self._clock()
        sql = """
            UPDATE tasks SET lease_holder = NULL, lease_until = 0, due_at = CASE
                WHEN status IN ('succeeded', 'failed', 'cancelled') THEN NULL WHEN woken THEN ? ELSE ? END
            WHERE id = ? AND lease_holder = ?
        """
        due_at = None if due_in is None else now + due_in
        await self._writer.run(lambda connection: connection.execute(sql, (now, due_at, task_id, worker)).rowcount)

    async def wake(self, task_id: str) -> None:
        """See `Store.wake`."""
        sql = (
            "UPDATE tasks SET due_at = ?, woken = 1 WHERE id = ? AND status NOT IN ('succeeded', 'failed', 'cancelled')"
        )
        now = self._clock()
        await self._writer.run(lambda connection: connection.execute(sql, (now, task_id)).rowcount)

    async def next_due(self) -> float | None:
        """See `Store.next_due`. A held task is due when its lease ends."""
        sql = "SELECT min(max(due_at, lease_until)) FROM tasks WHERE due_at IS NOT NULL"
        found = await self._reader.run(lambda connection: connection.execute(sql).fetchone())
        return None if found[0] is None else max(0.0, float(found[0]) - self._clock())

    async def uploaded(self, account: str, content: str, *, until: float) -> str | None:
        """See `Store.uploaded`."""
        sql = "SELECT url FROM uploads WHERE account = ? AND content = ? AND kept_until >= ?"
        found = await self._reader.run(lambda connection: connection.execute(sql, (account, content, until)).fetchone())
        return str(found[0]) if found else None

    async def remember_upload(self, account: str, content: str, url: str, kept_until: float) -> None:
        """See `Store.remember_upload`. What has been deleted by now is forgotten on the way."""
        now = self._clock()

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM uploads WHERE kept_until < ?", (now,))
            connection.execute(
                "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?)", (account, content, url, kept_until)
            )

        await self._writer.run(work)

    async def forget_uploads(self, account: str, contents: Collection[str]) -> None:
        """See `Store.forget_uploads`."""
        rows = [(account, each) for each in contents]
        sql = "DELETE FROM uploads WHERE account = ? AND content = ?"
        await self._writer.run(lambda connection: connection.executemany(sql, rows).rowcount)

    async def aclose(self) -> None:
        """See `Store.aclose`."""
        await self._writer.aclose()
        await self._reader.aclose()


def prepare(path: Path) -> None:
    """Create or upgrade the file, readable by its owner only. Raises `StoreUnusable` with what to do."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        # not `connect`: choosing a journal writes, and the file may turn out to be somebody else's
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000)
        try:
            migrate(connection)
        finally:
            connection.close()
    except StoreUnusable as error:
        raise StoreUnusable(f"{path}: {error}") from None
    except (OSError, sqlite3.Error) as error:
        raise StoreUnusable(f"{path}: {error}; set KEYFRAME_STATE_DIR to a folder that can be written") from None


def connect(path: Path) -> sqlite3.Connection:
    """A connection that flushes on every commit."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    connection.execute(f"PRAGMA journal_mode = {journal_mode(sqlite3.sqlite_version_info)}")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def journal_mode(linked: tuple[int, int, int]) -> str:
    """WAL where the linked SQLite is safe with several writing processes.

    Older ones can corrupt the file when a WAL reset meets a checkpoint (fixed in 3.51.3; 3.52.0 was withdrawn).
    Source: the SQLite change log, read 2026-11-20.
    """
    return "WAL" if linked >= (3, 51, 3) and linked != (3, 52, 0) else "TRUNCATE"


def find_same(connection: sqlite3.Connection, task: Task, since: float) -> Task | None:
    """An earlier task that already answers this request."""
    if task.idempotency_key is not None:
        sql = "SELECT body FROM tasks WHERE owner = ? AND idempotency_key = ?"
        row = connection.execute(sql, (task.owner, task.idempotency_key)).fetchone()
        if row and (earlier := parse(row)).request_hash != task.request_hash:
            problem = f"it was used for another request (task {earlier.id}); use a new one for a new video"
            raise InvalidInput(problems=[Problem("idempotency_key", problem)])
        return parse(row) if row else None
    sql = """
        SELECT body FROM tasks WHERE owner = ? AND request_hash = ? AND created_at >= ?
        AND status NOT IN ('failed', 'cancelled') ORDER BY created_at DESC LIMIT 1
    """
    row = connection.execute(sql, (task.owner, task.request_hash, since)).fetchone()
    return parse(row) if row else None


def insert(connection: sqlite3.Connection, task: Task, due_at: float) -> None:
    """Add one row."""
    connection.execute(
        "INSERT INTO tasks (id, owner, status, attempt, idempotency_key, request_hash, created_at, due_at, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            task.id,
            task.owner,
            task.status,
            task.attempt,
            task.idempotency_key,
            task.request_hash,
            task.created_at,
            due_at,
            task.model_dump_json(),
        ),
    )


def update(connection: sqlite3.Connection, task: Task, before: Task) -> None:
    """Replace one row, comparing status and attempt with what was read. A final task is never due."""
    changed = connection.execute(
        "UPDATE tasks SET status = ?, attempt = ?, body = ?, due_at = CASE WHEN ? THEN NULL ELSE due_at END"
        " WHERE id = ? AND status = ? AND attempt = ?",
        (
            task.status,
            task.attempt,
            task.model_dump_json(),
            task.status.is_final,
            task.id,
            before.status,
            before.attempt,
        ),
    ).rowcount
    if changed != 1:
        raise StoreUnusable(f"task {task.id} changed under its own write lock")


def read(connection: sqlite3.Connection, task_id: str) -> Task | None:
    """One task, or None."""
    row = connection.execute("SELECT body FROM tasks WHERE id = ?", (task_id,)).fetchone()
    return parse(row) if row else None


def parse(row: Sequence[str]) -> Task:
    """A task from its row."""
    return Task.model_validate_json(row[0])


def marks(values: Sequence[object]) -> str:
    """One placeholder for each value."""
    return ", ".join("?" * len(values))

"""Tasks in one SQLite file, shared safely by every process that opens it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from keyframe_mcp.errors import SubmissionUncertain, UnknownTask
from keyframe_mcp.store import NO_CAPS, NO_CHANGES, Caps, Changes, Full, Hint, Limits, nobody
from keyframe_mcp.store.calls import Call, hear
from keyframe_mcp.store.claims import claimed
from keyframe_mcp.store.counting import counted, fullness, note_submission, require_room
from keyframe_mcp.store.opening import connect, prepare
from keyframe_mcp.store.rows import find_keyed, find_same, insert, marks, parse, read, update
from keyframe_mcp.store.thread import DatabaseThread
from keyframe_mcp.task import NEXT, Failure, Status, Task

DURATIONS_KEPT = 40  # of each model
LONGEST_SECONDS = 3600.0  # nothing is due or held for so long: a clock that was ahead has said so


class SqliteStore:
    """A `Store` in a file. `clock` gives seconds since the epoch: leases are compared across processes."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        prepare(path)
        self._writer = DatabaseThread(connect(path), name="keyframe-store-writer", writes=True)
        self._reader = DatabaseThread(connect(path), name="keyframe-store-reader", writes=False)

    async def add(self, task: Task, *, same_request_since: float, caps: Caps = NO_CAPS) -> tuple[Task, bool]:
        """See `Store.add`. Raises `InvalidInput` when the key was used for a different request."""

        def work(connection: sqlite3.Connection) -> tuple[Task, bool]:
            if earlier := find_same(connection, task, same_request_since):
                return earlier, False
            require_room(connection, task, caps)
            insert(connection, task, due_at=self._clock())
            return task, True

        return await self._writer.run(work)

    async def same(self, task: Task, since: float) -> Task | None:
        """See `Store.same`."""
        return await self._reader.run(lambda connection: find_same(connection, task, since))

    async def keyed(self, owner: str, key: str) -> Task | None:
        """See `Store.keyed`."""
        return await self._reader.run(lambda connection: find_keyed(connection, owner, key))

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
        changes: Changes = NO_CHANGES,
    ) -> Task | None:
        """See `Store.move`. Changes are made to the row as it is now, so two writers never undo each other's."""

        def work(connection: sqlite3.Connection) -> Task | None:
            task = read(connection, task_id)
            if task is None or task.status.is_final or task.status not in of or attempt not in (None, task.attempt):
                return None
            return self._moved(connection, task, to or task.status, changes)

        return await self._writer.run(work)

    async def begin(
        self, task_id: str, *, attempt: int, changes: Mapping[str, object], limits: Limits
    ) -> Task | Full | None:
        """See `Store.begin`. Counting and writing are one transaction, so no two processes take the last place."""
        now = self._clock()

        def work(connection: sqlite3.Connection) -> Task | Full | None:
            task = read(connection, task_id)
            if task is None or task.status is not Status.QUEUED or task.attempt != attempt or claimed(task):
                return None
            if full := fullness(connection, task, limits, now):
                return full
            note_submission(connection, task.provider, now)
            return self._moved(connection, task, Status.SUBMITTING, {**changes, "attempt": attempt + 1})

        return await self._writer.run(work)

    async def resume(self, task_id: str, *, attempt: int, changes: Changes, caps: Caps) -> Task | None:
        """See `Store.resume`."""

        def work(connection: sqlite3.Connection) -> Task | None:
            task = read(connection, task_id)
            if task is None or task.status is not Status.UNKNOWN or task.attempt != attempt:
                return None
            queued = self._moved(connection, task, Status.QUEUED, {**of(task, changes), "counted_at": self._clock()})
            if queued is not None:
                require_room(connection, queued, caps)
            return queued

        return await self._writer.run(work)

    async def switch(
        self, task_id: str, *, of: Collection[Status], attempt: int, changes: Changes, caps: Caps
    ) -> Task | None:
        """See `Store.switch`."""

        def work(connection: sqlite3.Connection) -> Task | None:
            task = read(connection, task_id)
            if task is None or task.status not in of or task.attempt != attempt:
                return None
            if task.cancel_requested or claimed(task):
                return None
            become = changes(task) if callable(changes) else changes
            switched = self._moved(connection, task, Status.QUEUED, {**become, "attempt": attempt + 1})
            if switched is not None:
                require_room(connection, switched, caps)
            return switched

        return await self._writer.run(work)

    async def count(
        self, task_id: str, *, of: Collection[Status], attempt: int, usd: float, caps: Caps = NO_CAPS
    ) -> Task | None:
        """See `Store.count`."""

        def work(connection: sqlite3.Connection) -> Task | None:
            task = read(connection, task_id)
            if task is None or task.status not in of or task.attempt != attempt:
                return None
            recounted = self._moved(connection, task, task.status, {"counted_usd": usd, "counted_at": self._clock()})
            if recounted is not None:
                require_room(connection, recounted, caps)
            return recounted

        return await self._writer.run(work)

    async def full(self, task: Task, limits: Limits) -> Full | None:
        """See `Store.full`."""
        now = self._clock()
        return await self._reader.run(lambda connection: fullness(connection, task, limits, now))

    async def counted(self, since: float, owner: str | None = None) -> float:
        """See `Store.counted`."""
        return await self._reader.run(lambda connection: counted(connection, since, owner))

    async def remark(self, task_id: str, warning: str) -> None:
        """See `Store.remark`."""

        def work(connection: sqlite3.Connection) -> None:
            if task := read(connection, task_id):
                update(connection, task.model_copy(update={"warnings": (*task.warnings, warning)}), task)

        await self._writer.run(work)

    async def take(
        self,
        task_id: str,
        remote_id: str,
        *,
        of: Collection[Status],
        attempt: int,
        changes: Mapping[str, object],
        robbed: Callable[[Task, Task], None] = nobody,
    ) -> Task | None:
        """See `Store.take`."""
        others = "SELECT body FROM tasks WHERE provider = ? AND remote_id = ? AND id != ?"

        def work(connection: sqlite3.Connection) -> Task | None:
            task = read(connection, task_id)
            if task is None or task.status not in of or task.attempt != attempt:
                return None
            for row in connection.execute(others, (task.provider, remote_id, task_id)).fetchall():
                if (other := parse(row)).is_adopted:
                    robbed(other, self._rob(connection, other, remote_id))
            once = {"counted_usd": max(task.spent_before, task.counted_usd - task.spent_before), "spent_before": 0.0}
            paid = once if task.status is Status.QUEUED else {}
            return self._moved(connection, task, Status.RUNNING, {**changes, **paid, "remote_id": remote_id})

        return await self._writer.run(work)

    def _rob(self, connection: sqlite3.Connection, task: Task, remote_id: str) -> Task:
        """Take a job from a task that had taken it up by mistake: it is unknown again, or told where it is too late."""
        reason = f"the job it was taken for ({remote_id}) is another task's, as the provider says"
        if task.status is Status.RUNNING:
            lost = {"remote_id": None, "is_adopted": False, "looks": 0, "failure": doubt(reason)}
            return self._moved(connection, task, Status.UNKNOWN, lost) or task
        told = f"{reason}; what its own became is not known, and it may be billed"
        return update(connection, task.model_copy(update={"warnings": (*task.warnings, told)}), task)

    async def adopt(
        self, task_id: str, remote_id: str, *, attempt: int, changes: Mapping[str, object] = NO_CHANGES
    ) -> bool:
        """See `Store.adopt`. Looking and writing are one transaction, so no two tasks take the same job."""
        others = "SELECT 1 FROM tasks WHERE provider = ? AND remote_id = ? AND id != ?"

        def work(connection: sqlite3.Connection) -> bool:
            task = read(connection, task_id)
            if task is None or task.status is not Status.UNKNOWN or task.attempt != attempt:
                return False
            if connection.execute(others, (task.provider, remote_id, task_id)).fetchone():
                return False
            found = {"remote_id": remote_id, "is_adopted": True, "failure": None, "unheard_since": None}
            return self._moved(connection, task, Status.RUNNING, {**found, **changes}) is not None

        return await self._writer.run(work)

    def _moved(self, connection: sqlite3.Connection, task: Task, status: Status, changes: Changes) -> Task | None:
        """Write the task as it becomes, if the move is allowed."""
        if status is not task.status and status not in NEXT[task.status]:
            return None
        become = of(task, changes)
        moved = Task.model_validate(dict(task) | become | {"status": status, "updated_at": self._clock()})
        return update(connection, moved, task)

    async def hear(
        self, provider: str, call_id: str, task_id: str, remote_id: str | None, decide: Callable[[Task, bool], Hint]
    ) -> bool:
        """See `Store.hear`."""
        call = Call(provider, call_id, task_id, remote_id, self._clock())
        return await self._writer.run(lambda connection: hear(connection, call, decide))

    async def claim(
        self, worker: str, limit: int, lease: float, providers: Collection[str] | None = None
    ) -> Sequence[str]:
        """See `Store.claim`. Looks before it writes, so that an idle loop costs no flush."""
        now = self._clock()
        far = now + LONGEST_SECONDS
        whose, names = among(providers)
        due = (
            "SELECT id FROM tasks WHERE due_at IS NOT NULL AND (due_at <= ? OR due_at > ?)"  # noqa: S608 - only placeholders
            f" AND (lease_until <= ? OR lease_until > ?){whose} ORDER BY due_at LIMIT ?"
        )
        given = (now, far, now, far, *names)
        if not await self._reader.run(lambda connection: connection.execute(due, (*given, 1)).fetchone()):
            return ()

        def work(connection: sqlite3.Connection) -> Sequence[str]:
            ids = [str(row[0]) for row in connection.execute(due, (*given, limit))]
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
        """See `Store.release`. What woke the task meanwhile is not forgotten, and only what is unknown is let be."""
        now = self._clock()
        sql = """
            UPDATE tasks SET lease_holder = NULL, lease_until = 0, due_at = CASE
                WHEN status IN ('succeeded', 'failed', 'cancelled') THEN NULL
                WHEN woken OR (? AND status != 'unknown') THEN ? ELSE ? END
            WHERE id = ? AND lease_holder = ?
        """
        due_at = None if due_in is None else now + due_in
        await self._writer.run(
            lambda connection: connection.execute(sql, (due_at is None, now, due_at, task_id, worker)).rowcount
        )

    async def wake(self, task_id: str) -> None:
        """See `Store.wake`."""
        sql = (
            "UPDATE tasks SET due_at = ?, woken = 1 WHERE id = ? AND status NOT IN ('succeeded', 'failed', 'cancelled')"
        )
        now = self._clock()
        await self._writer.run(lambda connection: connection.execute(sql, (now, task_id)).rowcount)

    async def next_due(self, providers: Collection[str] | None = None) -> float | None:
        """See `Store.next_due`. A held task is due when its lease ends."""
        whose, names = among(providers)
        sql = f"SELECT min(max(due_at, lease_until)) FROM tasks WHERE due_at IS NOT NULL{whose}"  # noqa: S608 - only placeholders
        found = await self._reader.run(lambda connection: connection.execute(sql, names).fetchone())
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

    async def learn(self, model: str, seconds: float) -> None:
        """See `Store.learn`."""
        forget = """
            DELETE FROM durations WHERE model = ? AND number <=
            (SELECT number FROM durations WHERE model = ? ORDER BY number DESC LIMIT 1 OFFSET ?)
        """

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO durations (model, seconds) VALUES (?, ?)", (model, seconds))
            connection.execute(forget, (model, model, DURATIONS_KEPT))

        await self._writer.run(work)

    async def learned(self, model: str) -> Sequence[float]:
        """See `Store.learned`."""
        sql = "SELECT seconds FROM durations WHERE model = ? ORDER BY seconds"
        return await self._reader.run(lambda connection: [float(row[0]) for row in connection.execute(sql, (model,))])

    async def aclose(self) -> None:
        """See `Store.aclose`."""
        await self._writer.aclose()
        await self._reader.aclose()


def of(task: Task, changes: Changes) -> dict[str, object]:
    """What becomes of a task's fields. Raises `ValueError` for one it does not have."""
    become = dict(changes(task) if callable(changes) else changes)
    if unknown := become.keys() - Task.model_fields.keys():
        raise ValueError(f"a task has no {', '.join(sorted(unknown))}")
    return become


def among(providers: Collection[str] | None) -> tuple[str, tuple[str, ...]]:
    """A condition that holds for tasks of some providers, and what stands in its places."""
    if providers is None:
        return "", ()
    names = tuple(sorted(providers))
    return f" AND provider IN ({marks(names)})", names


def doubt(reason: str) -> Failure:
    """What a task says that is of unknown fate again."""
    return Failure.of(SubmissionUncertain(reason))

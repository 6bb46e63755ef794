"""One SQLite connection on a thread of its own, so that the event loop never waits for a disk.

Work that arrives while a commit is under way shares the next one (group commit): durable writes cost one flush for
many callers, which is what makes `synchronous=FULL` cheap.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from keyframe_mcp.errors import StoreUnusable

Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], Result]

MOST_PER_COMMIT = 256
LOCKED = (
    "another process holds the task database and does not let go of it, perhaps because it was stopped; continue or "
    "end that process. Do not use another state folder meanwhile: the tasks that are paid for are in this one"
)


@dataclass(frozen=True)
class Errand(Generic[Result]):
    """Work for the thread and where its result goes."""

    work: Work[Result]
    future: asyncio.Future[Result]
    loop: asyncio.AbstractEventLoop


class DatabaseThread:
    """Runs work on `connection`, in order. `writes` says whether each batch is a transaction."""

    def __init__(self, connection: sqlite3.Connection, *, name: str, writes: bool) -> None:
        self._connection = connection
        self._writes = writes
        self._closed = False
        self._gathered: list[Errand[object]] = []
        self._errands: queue.SimpleQueue[Sequence[Errand[object]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    async def run(self, work: Work[Result]) -> Result:
        """The result of `work`, committed if this thread writes. A cancelled caller does not undo it."""
        if self._closed:
            raise StoreUnusable("the task database was closed; this server is stopping")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        if not self._gathered:
            loop.call_soon(self._hand_over)
        self._gathered.append(Errand(work, future, loop))  # pyright: ignore[reportArgumentType] - the list forgets which Result
        return await future

    def _hand_over(self) -> None:
        """Wake the thread once for all that was asked for in one turn of the loop: waking it costs more than a read."""
        if self._gathered:
            self._errands.put(self._gathered)
            self._gathered = []

    async def aclose(self) -> None:
        """Finish what is queued, close the connection, end the thread."""
        self._closed = True
        self._hand_over()
        self._errands.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, 10)

    def _serve(self) -> None:
        while batch := self._next_batch():
            self._carry_out(self._connection, batch)
        self._connection.close()

    def _next_batch(self) -> Sequence[Errand[object]]:
        """What has piled up; empty when the thread should end."""
        first = self._errands.get()
        if first is None:
            return ()
        batch = list(first)
        while len(batch) < MOST_PER_COMMIT:
            try:
                more = self._errands.get_nowait()
            except queue.Empty:
                break
            if more is None:
                self._errands.put(None)
                break
            batch += more
        return batch

    def _carry_out(self, connection: sqlite3.Connection, batch: Sequence[Errand[object]]) -> None:
        try:
            if self._writes:
                connection.execute("BEGIN IMMEDIATE")
            results = [self._attempt(connection, errand) for errand in batch]
            if self._writes:
                connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - nothing was committed: every caller must hear it
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            results = [unusable("written", error)] * len(batch)
        deliver(batch, results)

    def _attempt(self, connection: sqlite3.Connection, errand: Errand[object]) -> object:
        """One piece of work. Its own error undoes only itself, not its neighbours in the commit."""
        if not self._writes:
            return guarded(connection, errand.work)
        connection.execute("SAVEPOINT errand")
        result = guarded(connection, errand.work)
        if isinstance(result, Exception):
            connection.execute("ROLLBACK TO errand")
        connection.execute("RELEASE errand")
        return result


def unusable(what: str, error: Exception) -> StoreUnusable:
    """What to do about a database that does not take a write."""
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return StoreUnusable(LOCKED)
    return StoreUnusable(f"the task database could not be {what}: {error}")


def guarded(connection: sqlite3.Connection, work: Work[object]) -> object:
    """The result of `work`, or its exception as a value."""
    try:
        return work(connection)
    except sqlite3.IntegrityError as error:
        return error
    except sqlite3.Error as error:
        return unusable("used", error)
    except Exception as error:  # noqa: BLE001 - carried to the caller that waits for it
        return error


def deliver(batch: Sequence[Errand[object]], results: Sequence[object]) -> None:
    """Hand results to the event loop that waits for them, all at once: waking it costs more than a read.

    A loop that has gone is no error: the write stands.
    """
    settled: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[object], object]]] = {}
    for errand, result in zip(batch, results, strict=True):
        settled.setdefault(errand.loop, []).append((errand.future, result))
    for loop, answers in settled.items():
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, answers)


def settle(answers: Sequence[tuple[asyncio.Future[object], object]]) -> None:
    """Give everybody what they wait for. Who has left in the meantime gets nothing."""
    for future, result in answers:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

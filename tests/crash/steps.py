"""The named steps in the life of a paid job at which a process can be made to die, or to stand still."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from keyframe_mcp.adapters.base import Accepted, Adapter, Job
from keyframe_mcp.store import Store
from keyframe_mcp.task import Status


class Step(StrEnum):
    """Where it happens. Those of the provider are met there, the others in the process itself."""

    BEFORE_ROW = "before-row"  # the tool was called, nothing is written down
    AFTER_ROW = "after-row"
    BEFORE_INTENT = "before-intent"
    AFTER_INTENT = "after-intent"
    BEFORE_CONNECT = "before-connect"
    RECEIVED = "received"  # the provider has the request and did nothing yet
    BOOKED = "booked"  # the job exists, the answer has not left
    BEFORE_ID = "before-id"  # the answer is here, and written down nowhere
    AFTER_ID = "after-id"
    BEFORE_POLL = "before-poll"
    AFTER_POLL = "after-poll"
    BEFORE_MADE = "before-made"  # the provider says that it is done, and where
    AFTER_MADE = "after-made"
    DOWNLOADING = "downloading"  # half of the file is here
    BEFORE_RENAME = "before-rename"
    BEFORE_SUCCESS = "before-success"  # the file has its name, the task does not know
    AFTER_SUCCESS = "after-success"
    BEFORE_DOUBT = "before-doubt"  # no answer came, and that is not written down
    AFTER_DOUBT = "after-doubt"
    BEFORE_ADOPTION = "before-adoption"  # it was found in the provider's list
    AFTER_ADOPTION = "after-adoption"


AT_THE_PROVIDER = frozenset({Step.RECEIVED, Step.BOOKED, Step.DOWNLOADING})
IN_DOUBT = frozenset({Step.BEFORE_DOUBT, Step.AFTER_DOUBT, Step.BEFORE_ADOPTION, Step.AFTER_ADOPTION})
"""Reached only by a job whose submission was not answered."""

HEARD = frozenset({Step.BEFORE_CONNECT, Step.BEFORE_RENAME})
"""Known to the interpreter alone."""

Around = tuple[Step, Step]

METHODS: Mapping[str, Around] = {
    "add": (Step.BEFORE_ROW, Step.AFTER_ROW),
    "begin": (Step.BEFORE_INTENT, Step.AFTER_INTENT),
    "take": (Step.BEFORE_ID, Step.AFTER_ID),
    "adopt": (Step.BEFORE_ADOPTION, Step.AFTER_ADOPTION),
}
"""The store's methods that make one kind of move each."""

MOVES: Mapping[Status, Around] = {
    Status.SUBMITTING: (Step.BEFORE_INTENT, Step.AFTER_INTENT),
    Status.RUNNING: (Step.BEFORE_ID, Step.AFTER_ID),
    Status.SAVING: (Step.BEFORE_MADE, Step.AFTER_MADE),
    Status.SUCCEEDED: (Step.BEFORE_SUCCESS, Step.AFTER_SUCCESS),
    Status.UNKNOWN: (Step.BEFORE_DOUBT, Step.AFTER_DOUBT),
}
"""What moving a task there means. Moving it nowhere while it runs is writing a check down."""

sending: ContextVar[bool] = ContextVar("sending", default=False)


@dataclass
class Trap:
    """One signal at one step, to the process that gets there. It snaps once."""

    step: Step | None = None
    deed: signal.Signals = signal.SIGKILL
    database: Path | None = None

    def reach(self, step: Step) -> None:
        """A step was reached."""
        if step is self.step:
            self.step = None
            if self.deed is signal.SIGSTOP and self.database is not None:
                await_writers(self.database)
            # To this very thread: with any other, a few more lines could still run.
            signal.raise_signal(self.deed)

    def listen(self) -> None:
        """Watch also what only the interpreter knows of: connections and renames. There is no way back."""
        if self.step in HEARD:
            sys.addaudithook(self._hear)

    def _hear(self, event: str, details: tuple[Any, ...]) -> None:
        if event == "socket.connect" and sending.get():
            self.reach(Step.BEFORE_CONNECT)
        if event == "os.rename" and is_unfinished(details[0]):
            self.reach(Step.BEFORE_RENAME)


@contextmanager
def between_transactions(database: Path) -> Generator[None]:
    """While nobody reads or writes: whoever stands still in the middle of that keeps the others from writing."""
    with closing(sqlite3.connect(database, isolation_level=None, timeout=10)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def await_writers(database: Path) -> None:
    """Return between two transactions. The process itself cannot hold the lock while it stands still."""
    with between_transactions(database):
        pass


def is_unfinished(path: object) -> bool:
    """Whether a file that is renamed is a result that has just arrived."""
    return isinstance(path, str | os.PathLike) and Path(os.fspath(cast("str", path))).name.startswith(".kf_")


class WatchedStore:
    """A store that says, before and after each write, which step that is."""

    def __init__(self, store: Store, trap: Trap) -> None:
        self._store = store
        self._trap = trap

    def __getattr__(self, name: str) -> Any:
        """The store's own method, between its two steps."""
        method = getattr(self._store, name)

        async def between(*given: Any, **named: Any) -> Any:
            around = steps_around(name, named)
            if around is None:
                return await method(*given, **named)
            self._trap.reach(around[0])
            done = await method(*given, **named)
            if done:
                self._trap.reach(around[1])
            return done

        return between


def steps_around(name: str, named: Mapping[str, Any]) -> Around | None:
    """The steps before and after one call of the store, if it is one that counts."""
    if name != "move":
        return METHODS.get(name)
    if named.get("to") is None:
        is_check = named["of"] == {Status.RUNNING}
        return (Step.BEFORE_POLL, Step.AFTER_POLL) if is_check else None
    return MOVES.get(named["to"])


class WatchedAdapter:
    """An adapter that lets the trap know which connections are made to send a job."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def __getattr__(self, name: str) -> Any:
        """Everything else is as it was."""
        return getattr(self._adapter, name)

    async def submit(self, job: Job) -> Accepted:
        """See `Adapter.submit`."""
        token = sending.set(True)
        try:
            return await self._adapter.submit(job)
        finally:
            sending.reset(token)

"""Whatever happens, in whatever order: two writers on one file."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

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

from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import NEXT, Status, Task
from ledger import EVERY, Clock, a_task, added


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
            self.remember(before, after)

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
            self.remember(before, task)

    def remember(self, before: Task, after: Task) -> None:
        """A task as it has become, and when it is due by that."""
        self.tasks[after.id], known = after, self.known[after.id]
        if after.status.is_final:
            known.due_at = None
        elif after.status is not before.status and (
            before.status is Status.UNKNOWN or (before.status is Status.QUEUED and after.status is Status.RUNNING)
        ):
            known.due_at, known.woken = self.clock.now, True

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
            is_let_be = due_in is None and self.tasks[name].status is Status.UNKNOWN
            is_now = known.woken or (due_in is None and not is_let_be)
            due_at = self.clock.now if is_now else None if due_in is None else self.clock.now + due_in
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

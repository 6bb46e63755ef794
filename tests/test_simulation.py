"""A whole life of tasks in one thread, from one seed: two processes on one database, pauses, deaths and accidents.

Time, accidents and the order of everything come from the seed, so a run that fails can be had again. The provider's
books are the truth that the tasks are held against.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from keyframe_mcp.adapters.base import Accepted, Found, Job, Report
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.engine.steps import Steps
from keyframe_mcp.errors import (
    KeyframeError,
    ProviderBusy,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUncertain,
)
from keyframe_mcp.store import Store
from keyframe_mcp.task import Status, Task
from studio import ME, Clock, ScriptedProvider, Studio, open_studio

PACE = Pace(poll=2, place=0.5, turn=1, busy=1, trouble=1, looks=(1.0, 2.0, 4.0), lease=10.0)
PRICE = 2.5
ACCIDENTS: dict[str, KeyframeError | None] = {
    "none": None,
    "not reached": ProviderUnavailable("not reached"),
    "busy": ProviderBusy("too many", retry_after=1),
    "refused": ProviderRefused("no such size"),
    "lost before it was booked": SubmissionUncertain("reset"),
    "lost after it was booked": SubmissionUncertain("reset"),
}
LIKELY = (12, 2, 2, 1, 2, 2)


class Killed(BaseException):
    """A dead process does nothing more."""


@dataclass
class Process:
    """One server process: alive, or dead and writing nothing."""

    name: str
    alive: bool = True


@dataclass
class Mortal:
    """A store as one process sees it. What a dead process would write is never written."""

    store: Any
    process: Process

    def __getattr__(self, name: str) -> Any:
        if not self.process.alive:
            raise Killed
        return getattr(self.store, name)


@dataclass
class Books:
    """What the provider has, and what it would bill. `waiting` are calls that hang until the scheduler lets go."""

    chance: random.Random
    clock: Clock
    lists: bool
    jobs: dict[str, str] = field(default_factory=dict[str, str])
    waiting: list[asyncio.Event] = field(default_factory=list[asyncio.Event])
    accidents: Counter[str] = field(default_factory=Counter[str])
    doubtful: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """The attempts of a task that may have made a job, and that no person has let go of."""
    resubmitted: Counter[str] = field(default_factory=Counter[str])
    """How often a person had a task sent again."""
    wrong: list[str] = field(default_factory=list[str])

    def of(self, task_id: str) -> list[str]:
        """The jobs of a task."""
        return [job for job, task in self.jobs.items() if task == task_id]


class Simulated(ScriptedProvider):
    """The provider as one process reaches it: calls may hang on either side of being booked."""

    def __init__(self, books: Books, process: Process) -> None:
        super().__init__(poll_seconds=2)
        self.books, self.process = books, process

    async def hang(self) -> None:
        """Now and then, until somebody lets go."""
        if self.books.chance.random() < 0.5:
            event = asyncio.Event()
            self.books.waiting.append(event)
            await event.wait()
        if not self.process.alive:
            raise Killed

    async def submit(self, job: Job) -> Accepted:
        books = self.books
        doubtful = books.doubtful[job.task_id]
        if doubtful:
            books.wrong.append(f"{job.task_id[-4:]}: attempt {job.attempt} sent while {doubtful} was in doubt")
        doubtful.add(job.attempt)
        try:
            return await self.answer(job)
        except (ProviderUnavailable, ProviderBusy, ProviderRefused):
            doubtful.discard(job.attempt)
            raise

    async def answer(self, job: Job) -> Accepted:
        """What comes back, if anything does."""
        books = self.books
        accident = books.chance.choices(list(ACCIDENTS), LIKELY)[0]
        books.accidents[accident] += 1
        await self.hang()
        if books.clock() > job.not_after:
            raise ProviderUnavailable("held up; nothing was sent")
        error = ACCIDENTS[accident]
        if error is None or accident == "lost after it was booked":
            remote_id = f"job-{len(books.jobs) + 1}"
            books.jobs[remote_id] = job.task_id
            await self.hang()
            if error is None:
                return Accepted(remote_id=remote_id)
        raise error or AssertionError

    async def check(self, remote_id: str) -> Report:
        assert remote_id in self.books.jobs
        return Report(status=Status.RUNNING, native_status="rendering")

    async def find(self, job: Job, sent_at: float) -> Found | None:
        if not self.books.lists:
            return None
        return Found(certain=tuple(self.books.of(job.task_id)))


@dataclass
class Simulation:
    """The scheduler. Each action runs until nothing moves by itself any more."""

    studio: Studio
    chance: random.Random
    books: Books
    store_of: Callable[[Any, Process], Any] = Mortal
    processes: list[Process] = field(default_factory=lambda: [Process("p0"), Process("p1")])
    running: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    log: list[str] = field(default_factory=list[str])

    def steps(self, process: Process) -> Steps:
        """A process' own view of everything."""
        store: Store = self.store_of(self.studio.store, process)
        adapters = {"paid": Simulated(self.books, process)}
        return replace(self.studio.steps, store=store, adapters=adapters, pace=PACE)

    async def work(self, process: Process, task_id: str) -> None:
        """What the runner does with one task."""
        try:
            delay = await self.steps(process).advance(task_id)
            if process.alive:
                await self.studio.store.release(process.name, task_id, delay)
        except Killed:
            return

    async def turn(self, process: Process) -> None:
        """Let a process take up what is due."""
        for _ in range(self.chance.randint(1, 3)):  # one at a time: two at once would race, and no seed decides that
            for task_id in await self.studio.store.claim(process.name, 1, PACE.lease):
                self.log.append(f"{self.studio.clock.now:.1f} {process.name} takes {task_id[-4:]}")
                self.running.add(asyncio.create_task(self.work(process, task_id)))
            await self.quiet()

    async def quiet(self) -> None:
        """Until every step is over, or hangs in the provider."""
        with anyio.fail_after(20):
            while len(self.running) > len([event for event in self.books.waiting if not event.is_set()]):
                done, self.running = await asyncio.wait(self.running, timeout=0.002)
                for each in done:
                    each.result()

    async def act(self) -> None:
        """One thing happens."""
        process = self.chance.choice(self.processes)
        match self.chance.choices(["turn", "time", "answer", "kill", "person"], [8, 6, 4, 1, 3])[0]:
            case "turn":
                await self.turn(process)
            case "time":
                self.studio.clock.now += self.chance.choice([0.2, 1, 3, 7, 12])
            case "answer":
                await self.answer()
            case "kill":
                self.kill(process)
            case _:
                await self.person()

    async def answer(self) -> None:
        """Something that hung goes on, however late."""
        hanging = [event for event in self.books.waiting if not event.is_set()]
        if hanging:
            self.chance.choice(hanging).set()
        await self.quiet()

    def kill(self, process: Process) -> None:
        """The process is gone; another starts."""
        process.alive = False
        self.processes[self.processes.index(process)] = Process(f"{process.name}'")
        self.log.append(f"{self.studio.clock.now:.1f} {process.name} dies")

    async def person(self) -> None:
        """Somebody has a task of unknown fate sent again."""
        unknown = await self.studio.store.recent(ME.owner, [Status.UNKNOWN])
        if unknown and self.chance.random() < 0.7:
            task = self.chance.choice(sorted(unknown, key=lambda each: each.created_at))
            await self.studio.engine.settling.resubmit(task.id, ME)
            self.books.resubmitted[task.id] += 1
            self.books.doubtful[task.id].clear()
            self.log.append(f"{self.studio.clock.now:.1f} a person resubmits {task.id[-4:]}")

    async def finish(self) -> None:
        """Everything that hung goes on, and time passes until there is nothing left to do but wait for videos."""
        for _ in range(400):
            for event in self.books.waiting:
                event.set()
                await self.quiet()
            for process in self.processes:
                await self.turn(process)
            tasks = await self.studio.store.recent(ME.owner, limit=100)
            on_their_way = {Status.QUEUED, Status.SUBMITTING}
            if not self.running and not any(each.status in on_their_way for each in tasks):
                return
            self.studio.clock.now += 3
        raise AssertionError("some task was never sent")


async def simulated(folder: Path, seed: int, store_of: Callable[[Any, Process], Any] = Mortal) -> list[str]:
    """What is wrong at the end of a run: nothing, it is hoped."""
    chance = random.Random(seed)  # noqa: S311 - a run must be repeatable
    async with open_studio(folder) as studio:
        books = Books(chance, studio.clock, lists=chance.random() < 0.5)
        simulation = Simulation(studio, chance, books, store_of)
        for number in range(chance.randint(3, 8)):
            await studio.start(f"heron {number} of {seed}")
            studio.clock.now += 0.01  # ids are random, and must not decide whose turn it is
        for _ in range(chance.randint(60, 180)):
            await simulation.act()
        await simulation.finish()
        tasks = await studio.store.recent(ME.owner, limit=100)
        wrong = [fault for task in tasks for fault in faults(task, books, books.resubmitted[task.id])]
        wrong += books.wrong
        return [f"seed {seed}: {fault}" for fault in wrong] + (simulation.log if wrong else [])


def faults(task: Task, books: Books, resubmitted: int) -> list[str]:
    """Where a task says other than the provider's books do."""
    jobs, told = books.of(task.id), " ".join(task.warnings)
    checks = {
        f"{len(jobs)} jobs after {resubmitted} resubmissions": len(jobs) > 1 + resubmitted,
        f"{task.status}, and {jobs} exist": bool(jobs)
        and task.status not in (Status.RUNNING, Status.UNKNOWN)
        # a refusal of the last attempt is the truth about the last attempt
        and not (task.status is Status.FAILED and resubmitted),
        f"{task.status} with job {task.remote_id}": task.status is Status.RUNNING and task.remote_id not in jobs,
        f"counts for {task.counted_usd}, with {len(jobs)} jobs": task.counted_usd < PRICE * len(jobs),
        f"job of {task.id} is nowhere": task.status is Status.RUNNING
        and not resubmitted
        and any(job != task.remote_id and job not in told for job in jobs),
    }
    return [f"{task.id[-4:]}: {fault}" for fault, is_so in checks.items() if is_so]


@pytest.mark.parametrize("seed", range(16))
async def test_whatever_happens_no_job_is_paid_twice_or_forgotten(tmp_path: Path, seed: int):
    assert await simulated(tmp_path, seed) == []


class Careless(Mortal):
    """A store that compares the status alone, and not the attempt."""

    def __getattr__(self, name: str) -> Any:
        method = super().__getattr__(name)
        if name not in ("move", "take"):
            return method

        async def without_attempt(task_id: str, *positional: Any, **how: Any) -> Any:
            now: Task = await self.store.get(task_id)
            return await method(task_id, *positional, **(how | {"attempt": now.attempt}))

        return without_attempt


async def test_the_simulation_would_notice_a_store_that_forgets_to_compare_the_attempt(tmp_path: Path):
    found: list[str] = []
    for seed in range(30, 130):
        (folder := tmp_path / str(seed)).mkdir()
        found += await simulated(folder, seed, Careless)
        if found:
            return
    raise AssertionError("100 runs with a careless store, and nothing was noticed")

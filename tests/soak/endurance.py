"""Thousands of tasks through one application, each with its whole life, and what that leaves behind."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import psutil

from emulators import results
from keyframe_mcp.engine import Engine
from keyframe_mcp.task import Inputs, Mode, Status
from soak.quick_provider import QuickProvider, open_quick_provider
from studio import ME, open_server_inside

MODEL = "wavespeed/wan-2.1-t2v-720p"
IN_FLIGHT = 24
WARM_UP = 12
"""Tasks before anything is measured, so that all is there that loads late, and connections that are kept."""
TASK_SECONDS = 120.0
WARM = 0.4
"""The share of the tasks after which nothing should grow any more: caches are full, threads are there."""
SAMPLES = 50


@dataclass
class Run:
    """One long run. `memory` is resident bytes, a sample for each share of the tasks."""

    tasks: int
    film: str = "a long film"
    done: int = 0
    given: int = 0
    memory: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    latencies: list[float] = field(default_factory=list[float])
    others: list[str] = field(default_factory=list[str])

    async def feed(self, engine: Engine, sample: Callable[[], int]) -> None:
        """Start a task, wait for its end, and again, until enough were given out."""
        while self.given < self.tasks:
            self.given += 1
            begun = time.monotonic()
            request = Inputs(mode=Mode.T2V, prompt=f"shot {self.given} of {self.film}")
            task = (await engine.start(ME, request, model=MODEL)).task
            async for (seen,) in engine.follow([task.id], ME, TASK_SECONDS):
                task = seen
            self.latencies.append(time.monotonic() - begun)
            if task.status is not Status.SUCCEEDED:
                self.others.append(f"{task.status}: {task.failure}")
            self.done += 1
            if self.done % max(1, self.tasks // SAMPLES) == 0:
                self.memory.append((self.done, sample()))

    def growth(self) -> int:
        """Bytes of memory gained between the first and the last quarter of what came after warming up."""
        warm = [each for done, each in self.memory if done >= WARM * self.tasks]
        part = max(1, len(warm) // 4)
        return sum(warm[-part:]) // part - sum(warm[:part]) // part


async def endure(folder: Path, tasks: int) -> dict[str, float | str]:
    """Make so many videos; what it took, and what is left."""
    process = psutil.Process()
    film = results.mp4(32, 32, 4, 4)
    run = Run(tasks)
    async with open_quick_provider(film) as provider:
        variables = {
            "KEYFRAME_WAVESPEED_BASE_URL": provider.base_url,
            "KEYFRAME_WAVESPEED_SUBMITS_PER_MINUTE": "1000000",
            "WAVESPEED_API_KEY": "a-key-for-the-long-run",
            "KEYFRAME_ALLOW_LOOPBACK": "1",
        }
        async with open_server_inside(folder, **variables) as application:
            await feed_all(warm := Run(WARM_UP, "a short film"), application.engine, lambda: 0)
            assert not warm.others, warm.others
            before, begun = process.num_fds(), time.monotonic()
            await feed_all(run, application.engine, lambda: resident(process))
            seconds = time.monotonic() - begun
            await settled_descriptors(process, before)
            figures = measured(run, seconds, process.num_fds() - before, provider)
        return figures | left_behind(folder, tasks + WARM_UP)


async def feed_all(run: Run, engine: Engine, sample: Callable[[], int]) -> None:
    """All tasks of a run, some at a time."""
    async with anyio.create_task_group() as feeders:
        for _ in range(IN_FLIGHT):
            feeders.start_soon(run.feed, engine, sample)


async def settled_descriptors(process: psutil.Process, before: int) -> None:
    """Wait, not for ever, until connections that are no longer used are closed."""
    with anyio.move_on_after(10):
        while abs(process.num_fds() - before) > 10:
            await anyio.sleep(0.1)


def resident(process: psutil.Process) -> int:
    """Resident bytes, without what is merely not collected yet."""
    gc.collect()
    return process.memory_info().rss


def measured(run: Run, seconds: float, descriptors: int, provider: QuickProvider) -> dict[str, float | str]:
    """Figures of the run itself."""
    ordered = sorted(run.latencies)
    return {
        "soak_tasks": run.done,
        "soak_not_succeeded": len(run.others),
        "soak_first_trouble": run.others[0] if run.others else "",
        "soak_submissions_a_task": round(provider.submitted / (run.done + WARM_UP), 4),
        "soak_seconds": round(seconds, 1),
        "soak_tasks_a_second": round(run.done / seconds, 1),
        "soak_p50_ms": round(1000 * ordered[len(ordered) // 2], 1),
        "soak_p99_ms": round(1000 * ordered[int(len(ordered) * 0.99)], 1),
        "soak_memory_mb": round(run.memory[-1][1] / 2**20, 1),
        "soak_memory_growth_mb": round(run.growth() / 2**20, 2),
        "soak_descriptors_gained": descriptors,
    }


def left_behind(folder: Path, tasks: int) -> dict[str, float | str]:
    """Figures of what is on the disk once the application is closed."""
    database = sum(path.stat().st_size for path in (folder / "state").glob("tasks.db*"))
    files = list((folder / "out").iterdir())
    films = [path for path in files if path.suffix != ".json"]  # what is beside each says how it was made
    strays = [path for path in (folder / "state").rglob("*.part") if path.is_file()]
    return {
        "soak_database_bytes_a_task": round(database / tasks),
        "soak_films": len(films),
        "soak_unfinished_files": len(strays) + sum(not path.name.startswith("kf_") for path in files),
    }

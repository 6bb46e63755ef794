"""Several processes on one file: each attempt is begun by exactly one of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Status
from ledger import a_task, added

PROCESSES = 4
TASKS = 150

RACER = """
import anyio, json, sys, time
from pathlib import Path
from keyframe_mcp.store import Limits
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Task

async def race(path, tasks):
    store = SqliteStore(Path(path), time.time)
    print("ready", flush=True)
    sys.stdin.readline()
    won = []
    async def begin(number):
        begun = await store.begin(f"kf_{number}", attempt=0, changes={}, limits=Limits(on_their_way=10_000))
        if isinstance(begun, Task):
            won.append(number)
    for start in range(0, tasks, 25):
        async with anyio.create_task_group() as group:
            for number in range(start, start + 25):
                group.start_soon(begin, number)
    await store.aclose()
    print(json.dumps(won), flush=True)

anyio.run(race, sys.argv[1], int(sys.argv[2]))
"""


async def test_each_attempt_is_begun_by_one_of_several_processes(tmp_path: Path):
    path = tmp_path / "tasks.db"
    store = SqliteStore(path, time.time)
    for number in range(TASKS):
        await added(store, a_task(f"kf_{number}"))
    won = raced(path)
    tasks = await store.recent("local", limit=TASKS)
    await store.aclose()

    assert sorted(number for each in won for number in each) == list(range(TASKS))
    assert {(task.status, task.attempt) for task in tasks} == {(Status.SUBMITTING, 1)}


def raced(path: Path) -> list[list[int]]:
    """The attempts each process began."""
    command = [sys.executable, "-c", RACER, str(path), str(TASKS)]
    pipe = subprocess.PIPE
    racers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(PROCESSES)]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        return [json.loads(racer.communicate(timeout=60)[0]) for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()

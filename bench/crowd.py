"""A thousand clients that wait inside one call each: what holding them takes, and how late they hear of the end.

The tasks are an emulated provider's, and all end at about one time; the server's own files say when each did.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import served
import wire

CROWD, TASKS = 1000, 50
JOB_SECONDS = 44  # of the emulated provider: long enough for everything before the last wait
ROUND_SECONDS, WATCH_SECONDS = 4, 2.0
LONGEST_WAIT = 45
MODEL = "wavespeed/wan-2.1-t2v-720p"
LISTEN = {"notifications": {"resourceSubscriptions": ["keyframe://tasks"]}, "_meta": wire.ENVELOPE}
ACKNOWLEDGED = b"notifications/subscriptions/acknowledged"


@dataclass(frozen=True)
class Look:
    """A server at one moment: what it holds, and what it used in the seconds before, as a share of a core."""

    when: str
    memory: float
    descriptors: int
    busy: float


class Book:
    """What was seen of one server."""

    def __init__(self, server):
        self._server = server
        self.looks: list[Look] = []

    async def look(self, when):
        """Watch for a while."""
        before = self._server.cpu()
        await asyncio.sleep(WATCH_SECONDS)
        busy = (self._server.cpu() - before) / WATCH_SECONDS
        self.looks.append(Look(when, self._server.memory(), self._server.descriptors(), busy))


async def start_tasks(server):
    """Tasks that a provider works on: their ids."""
    connection, ids = await wire.connect(server.port), []
    for number in range(TASKS):
        wanted = {"model": MODEL, "prompt": f"heron {number}"}
        request = wire.call(server.port, wire.MODERN, "generate_t2v", wanted)
        ids.append(wire.result(await connection.ask(request))["structuredContent"]["task_id"])
    connection.close()
    return ids


async def wait_round(crowd, server, ids, seconds):
    """Everybody asks for a task, each of them of twenty, and waits: the answers, and when they were here."""

    async def one(place, connection):
        wanted = {"task_id": ids[place % len(ids)], "wait_seconds": seconds}
        answer = await connection.ask(wire.call(server.port, wire.MODERN, "get_task", wanted))
        return wire.result(answer)["structuredContent"], time.time()

    return await asyncio.gather(*(one(place, each) for place, each in enumerate(crowd)))


def ended(state):
    """When each task ended, in seconds since the epoch, as the server wrote it down."""
    with closing(sqlite3.connect(state / "tasks.db")) as store:
        bodies = [json.loads(body) for (body,) in store.execute("SELECT body FROM tasks")]
    return {body["id"]: body["updated_at"] for body in bodies if body["status"] == "succeeded"}


async def join(port):
    """Everybody's connection, some at a time: a listener's queue is short."""
    crowd = []
    while len(crowd) < CROWD:
        crowd += await asyncio.gather(*(wire.connect(port) for _ in range(100)))
    return crowd


async def hold(server, state):
    """The whole visit: what was seen, and how late everybody heard, in milliseconds."""
    book = Book(server)
    ids = await start_tasks(server)
    await book.look("before, the tasks running")
    crowd = await join(server.port)
    for number in range(1, 4):
        waiting = asyncio.create_task(wait_round(crowd, server, ids, ROUND_SECONDS + WATCH_SECONDS))
        await asyncio.sleep(ROUND_SECONDS / 2)
        await book.look(f"1,000 waiting, round {number}")
        assert all(task["status"] == "running" for task, _ in await waiting)
    waiting = asyncio.create_task(wait_round(crowd, server, ids, LONGEST_WAIT))
    await asyncio.sleep(ROUND_SECONDS / 2)
    await book.look("1,000 waiting, round 4")
    answers, at = await waiting, ended(state)
    late = [(heard - at[task["task_id"]]) * 1000 for task, heard in answers]
    for each in crowd:
        each.close()
    await asyncio.sleep(1)
    await book.look("after they left")
    for number in (1, 2):
        await listen(server, book, number)
    return book.looks, late


async def listen(server, book, number):
    """The same number of open streams instead."""
    request = wire.post(
        server.port,
        {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": LISTEN},
        wire.MODERN,
        {"Mcp-Method": "subscriptions/listen"},
    )
    crowd = await join(server.port)
    await asyncio.gather(*(each.ask(request, until=ACKNOWLEDGED) for each in crowd))
    await book.look(f"1,000 streams that listen, round {number}")
    for each in crowd:
        each.close()
    await asyncio.sleep(1)
    await book.look(f"after round {number}")


def measure():
    """With a server and a provider of our own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8 * CROWD)), hard))
    with (
        tempfile.TemporaryDirectory() as scratch,
        served.emulators(JOB_SECONDS) as (_, environment),
        served.ours(scratch, **environment) as server,
    ):
        return asyncio.run(hold(server, Path(scratch, "state")))


def table(looks, late):
    """The figures as Markdown."""
    before = looks[0]
    rows = [
        f"| {look.when} | {look.memory:.0f} | {(look.memory - before.memory) * 1024 / CROWD:+.1f} "
        f"| {look.descriptors} | {look.busy:.0%} |"
        for look in looks
    ]
    cuts = statistics.quantiles(late, n=100)
    lines = "\n".join(rows)
    return f"""\
| | memory, MiB | over before, KiB a client | descriptors | of a core |
|---|---:|---:|---:|---:|
{lines}

How late they heard that their task had ended: {cuts[49]:.0f} ms in the median, {cuts[98]:.0f} ms at p99,
{max(late):.0f} ms the last."""


if __name__ == "__main__":
    print(table(*measure()))

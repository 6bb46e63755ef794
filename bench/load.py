"""What a call over HTTP costs with many clients at once, beside bare servers of the SDK on the same uvicorn.

All are asked in turn, so that a busy machine slows all alike; the figures to read are the ratios.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import crowd
import served
import wire

CLIENTS, SECONDS, ROUNDS = 100, 0.8, 8
AIM = 0.8
ERAS = (wire.MODERN, wire.LEGACY)
TOKEN = "bench-" + "0123456789abcdef" * 3
SIGNED = {"Authorization": f"Bearer {TOKEN}"}
OURS, GUARDED, LIKE, SELDOM, TINY = (
    "Keyframe",
    "Keyframe, with a token",
    "bare `mcp` server, same fields",
    "the same, garbage searched for as seldom as by ours",
    "bare `mcp` server, two fields",
)


async def make(server, headers):
    """A finished task of the embedded renderer: its structure."""
    connection = await wire.connect(server.port)
    wanted = {"model": "local/storyboard", "prompt": "a heron", "duration": 1, "wait_seconds": 45}
    request = wire.call(server.port, wire.MODERN, "generate_t2v", wanted, headers)
    made = wire.result(await connection.ask(request))["structuredContent"]
    assert made["status"] == "succeeded", made
    asked = wire.call(server.port, wire.MODERN, "get_task", {"task_id": made["task_id"]}, headers)
    task = wire.result(await connection.ask(asked))["structuredContent"]
    connection.close()
    return task


def ask(server, era, task_id, headers, seconds=SECONDS):
    """One run against one server: what the clients measured, and what the server used."""
    wanted = {
        "port": server.port, "pid": server.process.pid, "era": era, "clients": CLIENTS, "seconds": seconds,
        "task_id": task_id, "headers": headers,
    }  # fmt: skip
    command = [sys.executable, str(served.HERE / "callers.py")]
    done = subprocess.run(command, input=json.dumps(wanted), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    told = json.loads(done.stdout)
    return {
        "rate": told["calls"] / told["seconds"],
        "cpu": told["answering"] * 1000 / told["calls"],
        "p50": told["p50"],
        "p99": told["p99"],
        "busy": told["answering"] / told["seconds"],
        "asking": told["asking"] / told["seconds"],
    }


def measure(rounds=ROUNDS):
    """Every server in every era: a list of runs."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        opened, guarded = Path(scratch, "open"), Path(scratch, "guarded")
        ours = stack.enter_context(served.ours(opened))
        behind = stack.enter_context(served.ours(guarded, KEYFRAME_AUTH_TOKENS=f"ann:{TOKEN}"))
        task, other = asyncio.run(make(ours, {})), asyncio.run(make(behind, SIGNED))
        file = Path(scratch, "task.json")
        file.write_text(json.dumps(task), "utf-8")
        like, tiny = stack.enter_context(served.bare("like", file)), stack.enter_context(served.bare("tiny"))
        seldom = stack.enter_context(served.bare("like", file, "seldom"))
        asked = {
            OURS: (ours, task["task_id"], {}),
            GUARDED: (behind, other["task_id"], SIGNED),
            LIKE: (like, task["task_id"], {}),
            SELDOM: (seldom, task["task_id"], {}),
            TINY: (tiny, task["task_id"], {}),
        }
        for era in ERAS:
            for server, task_id, headers in asked.values():
                ask(server, era, task_id, headers, seconds=0.3)
        return {
            era: [
                {name: ask(server, era, task_id, headers) for name, (server, task_id, headers) in asked.items()}
                for _ in range(rounds)
            ]
            for era in ERAS
        }


def ratio(runs, name, figure, over=LIKE):
    """A figure over that of the bare server with the same fields, of each round the one over the other."""
    return statistics.median(each[name][figure] / each[over][figure] for each in runs)


def rows(measured):
    """The table's lines."""
    for era, runs in measured.items():
        for name in (OURS, GUARDED, LIKE, SELDOM, TINY):
            shown = {key: statistics.median(each[name][key] for each in runs) for key in runs[0][name]}
            rate, cpu = ratio(runs, name, "rate"), ratio(runs, name, "cpu")
            over = "| |" if name == LIKE else f"| **{rate:.2f}** | {cpu:.2f} |"
            aim = f"{AIM:g}" if name == OURS else ""
            yield (
                f"| {era} | {name} {over} {aim} | {shown['rate']:,.0f} | {shown['cpu']:.2f} | {shown['p50']:.0f} "
                f"| {shown['p99']:.0f} | {shown['busy']:.0%} | {shown['asking']:.0%} |"
            )


def missed(measured):
    """Where ours is short of the aim, in a sentence."""
    found = {era: ratio(runs, OURS, "rate") for era, runs in measured.items()}
    short = [f"{era} with {each:.2f}" for era, each in found.items() if each < AIM]
    return f"Missed ({AIM:g}): {'; '.join(short)}." if short else "The aim is reached."


def alike(measured):
    """Ours beside the one that searches for garbage as seldom, in a sentence."""
    found = (
        f"{era} {ratio(runs, OURS, 'rate', SELDOM):.2f} of its calls/s for {ratio(runs, OURS, 'cpu', SELDOM):.2f} "
        "times its CPU"
        for era, runs in measured.items()
    )
    return f"Beside the one that searches as seldom, ours has: {'; '.join(found)}."


def table(measured):
    """The figures as Markdown."""
    head = (
        "| protocol | server | calls/s over the same fields | CPU over the same fields | aim, calls/s "
        "| calls/s | CPU-ms a call | p50, ms | p99, ms | server, of a core | clients, of a core |"
    )
    ruler = "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    return "\n".join([head, ruler, *rows(measured), "", missed(measured), alike(measured)])


def section():
    """The part of the page about many clients."""
    return f"""## Many clients over HTTP

Written by `python bench/report.py --load` on {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores,
with a load average of {os.getloadavg()[0]:.1f} before it began.

### {CLIENTS} clients that ask at once

Everybody calls `get_task` on a finished task, again as soon as it is answered. Beside ours are servers of the SDK with
that one tool, answering from a dictionary: one with the same fields typed, one with two. Beneath all is the same
uvicorn. Ours has Python search for garbage less often than it does by itself, which nobody would think of who writes a
server with the SDK alone: the aim is for one without it, and one with it is shown too.
Medians of {ROUNDS} rounds of {SECONDS:g} s in turn, the ratios round by round.

{table(measure())}

The clients are one process with sockets of its own and parse no answer but the first; where the server is near a whole
core and they are far from it, the server is what is measured.

### {crowd.CROWD:,} clients that wait

Each waits inside one `get_task` for one of {crowd.TASKS} tasks that an emulated provider works on; rounds 1 to 3 end
with no news, and in the fourth all tasks end. Memory is what the process has for itself. The worker that checks
videos stays, with its pipes.

{crowd.table(*crowd.measure())}
"""


if __name__ == "__main__":
    print(table(measure(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)))

"""So many clients that ask one thing for some seconds, each again as soon as it is answered. A process of its own.

Reads what to ask as JSON from standard input, and writes what was measured.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time

import psutil

import wire


async def keep_asking(connection, request, until, took, marker):
    """One client, for one call at least. Every answer must hold these words."""
    begun = time.perf_counter()
    while begun < until or not took:
        answer = await connection.ask(request)
        took.append(time.perf_counter() - begun)
        if marker not in answer:
            raise RuntimeError(f"not the answer: {answer[:500]!r}")
        begun = time.perf_counter()


async def measure(*, port, pid, era, clients, seconds, task_id, headers):
    """Calls that were answered, how long each took, and what asking and answering cost."""
    connections = [await wire.connect(port) for _ in range(clients)]
    arguments = {"task_id": task_id}
    requests = [
        wire.call(port, era, "get_task", arguments, await wire.session(each, port, era, headers))
        for each in connections
    ]
    for each, request in zip(connections, requests, strict=True):
        wire.result(await each.ask(request))
    server, marker = psutil.Process(pid), b'"status":"succeeded"'
    took = [[] for _ in connections]
    begun, asking, answering = time.perf_counter(), time.process_time(), sum(server.cpu_times()[:2])
    places = zip(connections, requests, took, strict=True)
    await asyncio.gather(*(keep_asking(one, request, begun + seconds, mine, marker) for one, request, mine in places))
    elapsed, asking = time.perf_counter() - begun, time.process_time() - asking
    answering = sum(server.cpu_times()[:2]) - answering
    for each in connections:
        each.close()
    cuts = statistics.quantiles([each for mine in took for each in mine], n=100)
    return {
        "calls": sum(map(len, took)),
        "seconds": elapsed,
        "p50": cuts[49] * 1000,
        "p99": cuts[98] * 1000,
        "asking": asking,
        "answering": answering,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(**json.load(sys.stdin)))))

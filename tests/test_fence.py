"""A job that was held up between being written down and being sent is not sent: others may have taken it up."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import pytest

from adapters import EXAMPLES, Remote, connected, reply
from emulators.replicate import Replicate
from keyframe_mcp.adapters.base import Accepted, Job
from keyframe_mcp.adapters.connection import Connection, Fence, NotSent
from keyframe_mcp.adapters.dialect import Call
from keyframe_mcp.errors import ProviderUnavailable
from keyframe_mcp.task import Status
from studio import Clock, ScriptedProvider, open_studio

LEASE = 10.0


@dataclass
class Sleeper:
    """A clock that jumps ahead at the n-th look, as it does for a process that was stopped just before it."""

    at_look: int
    looks: int = 0

    def __call__(self) -> float:
        self.looks += 1
        return 1_000_000.0 + (60 if self.looks >= self.at_look else 0)


@pytest.mark.parametrize("paused_before", ["the connection", "the headers", "the body"])
async def test_a_process_that_was_paused_before_the_last_byte_sends_no_whole_request(paused_before: str):
    look = {"the connection": 1, "the headers": 2, "the body": 3}[paused_before]
    clock = Sleeper(at_look=look)
    async with Replicate() as provider:
        connection = Connection(provider.base_url, {"Authorization": f"Bearer {provider.key}"}, None)
        call = Call(method="POST", path="/predictions", json={"version": "a" * 64, "input": {}})
        with pytest.raises(NotSent, match="held up"):
            await connection.pay(call, Fence(1_000_005.0, clock))
        await connection.aclose()

        assert clock.looks == look
        assert provider.jobs == []
        assert provider.requests == []


async def test_a_process_that_was_not_paused_sends():
    async with Replicate() as provider:
        connection = Connection(provider.base_url, {"Authorization": f"Bearer {provider.key}"}, None)
        call = Call(method="POST", path="/predictions", json={"version": "a" * 64, "input": {}})
        await connection.pay(call, Fence(1_000_005.0, Sleeper(at_look=99)))
        await connection.aclose()

        assert len(provider.requests) == 1


@pytest.mark.parametrize("name", EXAMPLES)
async def test_no_provider_is_sent_a_job_that_comes_too_late(name: str, tmp_path: Path):
    now = Clock().now
    remote = Remote(reply(EXAMPLES[name].submit_reply))
    adapter = connected(name, remote, tmp_path)
    with pytest.raises(ProviderUnavailable, match="nothing was sent"):
        await adapter.submit(replace(EXAMPLES[name].job, not_after=now - 1))
    assert remote.requests == []

    await adapter.submit(replace(EXAMPLES[name].job, not_after=now + 1))
    assert len(remote.requests) == 1


@dataclass
class Recorder(ScriptedProvider):
    """Says when it is asked, and remembers how late it might have been."""

    clock: Callable[[], float] = field(default_factory=Clock)
    margins: list[float] = field(default_factory=list[float])

    async def submit(self, job: Job) -> Accepted:
        self.margins.append(job.not_after - self.clock())
        return await super().submit(job)


async def test_an_attempt_may_leave_for_half_as_long_as_others_leave_the_task_alone(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        provider = Recorder(clock=studio.clock)
        steps = replace(studio.steps, adapters={"paid": provider}, pace=replace(studio.steps.pace, lease=LEASE))
        await steps.advance(await studio.start())

        assert provider.margins == [LEASE / 2]


async def test_a_job_that_came_too_late_waits_its_turn_again_under_the_same_name(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        studio.provider.on_submit = lambda _: ProviderUnavailable("held up; nothing was sent")
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        assert (await studio.store.get(task_id)).status is Status.QUEUED

        studio.provider.on_submit = lambda job: f"remote-{job.attempt}"
        await studio.steps.advance(task_id)
        task = await studio.store.get(task_id)
        assert (task.status, task.remote_id, task.attempt) == (Status.RUNNING, "remote-2", 2)


async def test_a_clock_that_is_set_back_opens_no_fence():
    async with Replicate() as provider:
        connection = Connection(provider.base_url, {"Authorization": f"Bearer {provider.key}"}, None)
        call = Call(method="POST", path="/predictions", json={"version": "a" * 64, "input": {}})
        with pytest.raises(NotSent, match="held up"):
            await connection.pay(call, Fence(math.inf, lambda: 0.0, anyio.current_time() - 1))
        await connection.aclose()

        assert provider.requests == []

"""Definite evidence about a submission wins, whenever it comes; and what comes too late is mentioned, never dropped."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from keyframe_mcp.adapters.base import Accepted, Found, Job
from keyframe_mcp.errors import (
    ContentRejected,
    KeyframeError,
    ProviderBusy,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUncertain,
)
from keyframe_mcp.store import Limits
from keyframe_mcp.task import Status, Task
from studio import ME, ScriptedProvider, Studio, open_studio


class Slow(ScriptedProvider):
    """Answers a submission when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = anyio.Event()
        self.answered = anyio.Event()
        self.answer: Accepted | KeyframeError | Exception = Accepted(remote_id="remote-late")

    async def submit(self, job: Job) -> Accepted:
        self.jobs.append(job)
        if len(self.jobs) > 1:
            return Accepted(remote_id=f"remote-{len(self.jobs)}")
        self.asked.set()
        await self.answered.wait()
        if isinstance(self.answer, Accepted):
            return self.answer
        raise self.answer


@asynccontextmanager
async def paused(folder: Path) -> AsyncGenerator[tuple[Studio, Slow, str]]:
    """A task whose submission hangs; at the end of the block its answer comes."""
    provider = Slow()
    async with open_studio(folder, provider) as studio, anyio.create_task_group() as tasks:
        task_id = await studio.start()
        tasks.start_soon(studio.steps.advance, task_id)
        with anyio.fail_after(10):
            await provider.asked.wait()
        yield studio, provider, task_id


async def taken_up_by_another(studio: Studio, task_id: str) -> Task:
    """What another process makes of a task it finds submitting."""
    await studio.steps.advance(task_id)
    task = await studio.store.get(task_id)
    assert task.status is Status.UNKNOWN
    return task


async def heard(studio: Studio, provider: Slow, task_id: str, answer: Accepted | Exception) -> Task:
    """The task once the paused process has heard its answer."""
    provider.answer = answer
    before = await studio.store.get(task_id)
    provider.answered.set()
    with anyio.fail_after(10):
        while (task := await studio.store.get(task_id)) == before:
            await anyio.sleep(0.01)
    return task


async def test_an_id_that_comes_after_the_task_was_given_up_for_unknown_makes_it_running(tmp_path: Path):
    async with paused(tmp_path) as (studio, provider, task_id):
        await taken_up_by_another(studio, task_id)
        task = await heard(studio, provider, task_id, Accepted(remote_id="remote-late"))

        assert (task.status, task.remote_id, task.failure) == (Status.RUNNING, "remote-late", None)


async def test_a_task_that_was_let_be_is_followed_again_once_its_id_comes(tmp_path: Path):
    async with paused(tmp_path) as (studio, provider, task_id):
        await taken_up_by_another(studio, task_id)
        await studio.store.claim("another", 10, 1)
        await studio.store.release("another", task_id, None)  # looked for often enough
        assert await studio.store.next_due() is None
        await heard(studio, provider, task_id, Accepted(remote_id="remote-late"))

        studio.clock.now += 60
        assert await studio.store.claim("another", 10, 10) == [task_id]


@pytest.mark.parametrize("refusal", [ProviderRefused("no such size"), ContentRejected("not this")])
async def test_a_refusal_that_comes_late_fails_the_task_which_then_costs_nothing(
    tmp_path: Path, refusal: KeyframeError
):
    async with paused(tmp_path) as (studio, provider, task_id):
        assert (await taken_up_by_another(studio, task_id)).counted_usd == 2.5
        task = await heard(studio, provider, task_id, refusal)

        assert (task.status, task.counted_usd) == (Status.FAILED, 0)


@pytest.mark.parametrize("proof", [ProviderBusy("later"), ProviderUnavailable("not reached")])
async def test_late_proof_that_nothing_was_sent_queues_the_task_again(tmp_path: Path, proof: KeyframeError):
    async with paused(tmp_path) as (studio, provider, task_id):
        await taken_up_by_another(studio, task_id)
        assert (await heard(studio, provider, task_id, proof)).status is Status.QUEUED


async def test_an_id_that_comes_before_a_person_s_second_attempt_begins_is_used_and_nothing_is_sent_again(
    tmp_path: Path,
):
    async with paused(tmp_path) as (studio, provider, task_id):
        await taken_up_by_another(studio, task_id)
        await studio.engine.settling.resubmit(task_id, ME)
        task = await heard(studio, provider, task_id, Accepted(remote_id="remote-late"))
        assert (task.status, task.remote_id) == (Status.RUNNING, "remote-late")

        await studio.steps.advance(task_id)
        assert len(provider.jobs) == 1


async def test_a_job_of_an_attempt_that_was_replaced_is_named_in_a_warning(tmp_path: Path):
    async with paused(tmp_path) as (studio, provider, task_id):
        await taken_up_by_another(studio, task_id)
        await studio.engine.settling.resubmit(task_id, ME)
        await studio.steps.advance(task_id)
        task = await heard(studio, provider, task_id, Accepted(remote_id="remote-late"))

        assert (task.status, task.remote_id, task.attempt) == (Status.RUNNING, "remote-2", 2)
        assert "remote-late" in task.warnings[-1]
        assert "billed" in task.warnings[-1]


async def test_a_job_of_a_task_that_a_person_gave_up_is_named_in_a_warning(tmp_path: Path):
    async with paused(tmp_path) as (studio, provider, task_id):
        await taken_up_by_another(studio, task_id)
        await studio.engine.settling.give_up(task_id, ME)
        task = await heard(studio, provider, task_id, Accepted(remote_id="remote-late"))

        assert task.status is Status.FAILED
        assert "remote-late" in task.warnings[-1]


@pytest.mark.parametrize("proof", [ProviderBusy("later"), ProviderUnavailable("x"), ProviderRefused("no")])
async def test_what_an_old_attempt_hears_never_touches_a_newer_one(tmp_path: Path, proof: KeyframeError):
    async with paused(tmp_path) as (studio, provider, task_id):
        await taken_up_by_another(studio, task_id)
        await studio.engine.settling.resubmit(task_id, ME)
        await studio.steps.advance(task_id)
        before = await studio.store.get(task_id)
        provider.answer = proof
        provider.answered.set()
        await anyio.wait_all_tasks_blocked()
        await studio.store.learn("a barrier", 1)  # whatever it wrote is written now

        assert await studio.store.get(task_id) == before


async def test_a_job_that_another_task_took_for_its_own_goes_back_to_the_one_the_provider_names(tmp_path: Path):
    async with paused(tmp_path) as (studio, provider, task_id):
        other = await studio.start("another heron")
        provider.on_submit = lambda _: SubmissionUncertain()
        provider.on_find = lambda _job, _sent_at: Found(certain=("remote-late",))
        await studio.store.begin(other, attempt=0, changes={"sent_at": studio.clock()}, limits=Limits(on_their_way=9))
        await studio.steps.advance(other)
        await studio.steps.advance(other)
        assert (await studio.store.get(other)).remote_id == "remote-late"

        task = await heard(studio, provider, task_id, Accepted(remote_id="remote-late"))
        robbed = await studio.store.get(other)
        assert (task.status, task.remote_id) == (Status.RUNNING, "remote-late")
        assert (robbed.status, robbed.remote_id) == (Status.UNKNOWN, None)


async def test_a_task_of_unknown_fate_says_what_to_look_for_and_what_to_do_then(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        studio.provider.on_submit = lambda _: SubmissionUncertain("the connection broke")
        task_id = await studio.start()
        await studio.steps.advance(task_id)

        failure = (await studio.store.get(task_id)).failure
        assert failure is not None
        assert not failure.retryable
        assert "a job of film-v1, sent at 1970-01-12 13:46:40 UTC" in failure.fix
        for way in ("--attach JOB_ID", "--resubmit", "--give-up", "a heron takes off"):
            assert way in failure.fix
        assert task_id in failure.fix


async def test_the_job_of_an_old_attempt_is_not_taken_for_a_newer_one_of_unknown_fate(tmp_path: Path):
    async with paused(tmp_path) as (studio, provider, task_id):
        await taken_up_by_another(studio, task_id)
        await studio.engine.settling.resubmit(task_id, ME)
        await studio.store.begin(task_id, attempt=1, changes={}, limits=Limits(on_their_way=9))
        await taken_up_by_another(studio, task_id)
        task = await heard(studio, provider, task_id, Accepted(remote_id="remote-late"))

        assert (task.status, task.remote_id, task.attempt) == (Status.UNKNOWN, None, 2)
        assert "remote-late" in task.warnings[-1]

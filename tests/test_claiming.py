"""A job that its provider called about: asked about first, and taken up only for the attempt it was sent in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from keyframe_mcp.adapters.base import Accepted, Report
from keyframe_mcp.adapters.webhooks import Called
from keyframe_mcp.engine.callbacks import Address, Callbacks
from keyframe_mcp.engine.pace import PACE
from keyframe_mcp.engine.polling import Polling
from keyframe_mcp.engine.seal import Seal
from keyframe_mcp.engine.webhooks import hint
from keyframe_mcp.errors import ProviderRefused, ProviderUnavailable, SubmissionUncertain
from keyframe_mcp.store import Hint
from keyframe_mcp.task import Status, Task
from studio import ME, ScriptedProvider, Studio, open_studio


async def lost(studio: Studio) -> str:
    """A task whose submission was never answered."""
    studio.provider.on_submit = lambda _: SubmissionUncertain("silence")
    task_id = await studio.start()
    await studio.steps.advance(task_id)
    assert (await studio.store.get(task_id)).status is Status.UNKNOWN
    return task_id


async def called(
    studio: Studio, task_id: str, remote_id: str | None = "job-1", *, attempt: int = 1, is_over: bool = True
) -> Task:
    """The task after a call."""
    address, said = Address("paid", task_id, str(attempt), "0" * 32), Called(remote_id=remote_id, is_over=is_over)

    def decide(task: Task, is_anothers: bool) -> Hint:
        return hint(task, address, said, is_anothers=is_anothers)

    assert await studio.store.hear("paid", f"{task_id} {remote_id} {studio.clock.now}", task_id, remote_id, decide)
    studio.clock.now += 1
    return await studio.store.get(task_id)


async def test_a_job_that_the_provider_knows_is_the_task_s(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await lost(studio)
        await called(studio, task_id)
        assert await studio.steps.advance(task_id) == 0
        task = await studio.store.get(task_id)

        assert (task.status, task.remote_id, task.failure, task.warnings) == (Status.RUNNING, "job-1", None, ())
        assert studio.provider.checks == ["job-1"]


async def test_a_job_that_the_provider_does_not_know_is_mentioned_and_the_task_stays(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await lost(studio)
        await called(studio, task_id)
        studio.provider.on_check = lambda _: ProviderRefused("no such job")
        await studio.steps.advance(task_id)
        task = await studio.store.get(task_id)

        assert (task.status, task.called_id) == (Status.UNKNOWN, None)
        assert "job-1" in task.warnings[0]


async def test_a_provider_that_does_not_answer_is_asked_a_few_times(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await lost(studio)
        await called(studio, task_id)
        studio.provider.on_check = lambda _: ProviderUnavailable("down")
        assert [await studio.steps.advance(task_id) for _ in range(4)] == [20, 60, 300, 900]
        studio.provider.on_check = lambda _: Report(status=Status.RUNNING)
        studio.clock.now += 3600
        await called(studio, task_id)
        await studio.steps.advance(task_id)

        assert (await studio.store.get(task_id)).status is Status.RUNNING


async def test_a_job_is_used_before_a_person_s_second_attempt_begins_and_nothing_is_sent_again(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await lost(studio)
        await studio.engine.settling.resubmit(task_id, ME)
        assert (await studio.store.get(task_id)).counted_usd == 5
        await called(studio, task_id)
        await studio.steps.advance(task_id)
        task = await studio.store.get(task_id)

        assert (task.status, task.remote_id, task.attempt, task.counted_usd) == (Status.RUNNING, "job-1", 1, 2.5)
        assert len(studio.provider.jobs) == 1


async def test_a_claim_of_one_attempt_says_nothing_of_the_next(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await lost(studio)
        await called(studio, task_id)
        of = {Status.UNKNOWN}
        await studio.store.move(task_id, of=of, to=Status.QUEUED)
        await studio.store.move(task_id, of={Status.QUEUED}, changes={"attempt": 2})
        studio.provider.on_submit = lambda _: Accepted(remote_id="job-3")
        await studio.steps.advance(task_id)

        assert (await studio.store.get(task_id)).remote_id == "job-3"


async def test_a_job_that_another_task_has_is_never_claimed(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await lost(studio)
        studio.provider.on_submit = lambda _: "job-1"
        other = await studio.start("a fox")
        await studio.steps.advance(other)
        task = await called(studio, task_id)

        assert (task.status, task.called_id, task.warnings) == (Status.UNKNOWN, None, ())


async def test_a_job_that_another_task_got_in_between_is_not_taken_from_it(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await lost(studio)
        await called(studio, task_id)
        studio.provider.on_submit = lambda _: "job-1"
        other = await studio.start("a fox")
        await studio.steps.advance(other)
        await studio.steps.advance(task_id)

        assert (await studio.store.get(task_id)).status is Status.UNKNOWN
        assert (await studio.store.get(other)).remote_id == "job-1"


async def test_a_call_that_cannot_be_written_down_was_not_heard(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await lost(studio)

        def broken(task: Task, is_anothers: bool) -> Hint:
            raise RuntimeError("power cut")

        with pytest.raises(RuntimeError):
            await studio.store.hear("paid", "one", task_id, "job-1", broken)
        assert await studio.store.hear("paid", "one", task_id, "job-1", lambda task, is_anothers: Hint())
        assert not await studio.store.hear("paid", "one", task_id, "job-1", broken)
        studio.clock.now += 90_000
        assert await studio.store.hear("paid", "one", task_id, "job-1", lambda task, is_anothers: Hint())


async def test_a_running_job_that_started_is_not_looked_at_for_that(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        studio.provider.on_submit = lambda _: "job-1"
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        before = await studio.store.get(task_id)

        assert await called(studio, task_id, is_over=False) == before
        assert (await called(studio, task_id, "job-2")).warnings[0].count("job-2") == 1


async def test_a_call_of_a_provider_that_the_task_has_gone_on_from_is_named_in_a_warning(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await lost(studio)
        await studio.store.move(task_id, of={Status.UNKNOWN}, to=Status.QUEUED)
        gone_on = {"provider": "other", "model": "other/film", "attempt": 2}
        await studio.store.move(task_id, of={Status.QUEUED}, changes=gone_on)
        task = await called(studio, task_id)

        assert (task.provider, task.status, task.called_id) == ("other", Status.QUEUED, None)
        assert "paid called about job" in task.warnings[0]


async def test_a_call_about_a_task_that_was_stopped_says_that_there_is_a_job_after_all(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await lost(studio)
        await studio.store.move(task_id, of={Status.UNKNOWN}, to=Status.QUEUED)
        await studio.engine.cancel(task_id, ME)
        task = await called(studio, task_id)

        assert task.status is Status.CANCELLED
        assert "billed" in task.warnings[0]


async def test_an_address_is_given_with_each_attempt_and_remembered(tmp_path: Path):
    callbacks = Callbacks(Seal(lambda: b"k" * 32), "https://mcp.example.com", {"paid"})
    async with open_studio(tmp_path) as plain:
        studio = replace(plain, steps=replace(plain.steps, callbacks=callbacks))
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        (job,) = studio.provider.jobs

        assert job.callback == callbacks.address("paid", task_id, 1)
        assert (await studio.store.get(task_id)).calls_back
        assert str(job.callback) not in repr(job)


async def test_three_minutes_are_looked_at_with_three_questions_instead_of_sixty_once_calls_arrive(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        task = (await studio.store.get(task_id)).model_copy(update={"calls_back": True})
        looks = {name: await looked(studio, task, callbacks) for name, callbacks in WAYS.items()}

    assert looks == {"polled": 66, "not proved": 66, "called": 3}


WAYS = {
    "polled": Callbacks(),
    "not proved": Callbacks(providers={"paid"}),
    "called": Callbacks(providers={"paid"}, arrived={"paid"}),
}


async def looked(studio: Studio, task: Task, callbacks: Callbacks) -> int:
    """How often a job of 178 seconds is looked at."""
    provider, start = ScriptedProvider(), studio.clock.now
    polling = Polling(studio.steps.catalog, studio.store, studio.clock, PACE, lambda: 0.5, callbacks)
    sent = task.model_copy(update={"sent_at": start})
    wait, looks = await polling.first(sent, provider), 0
    while studio.clock.now - start + wait < 178:
        studio.clock.now += wait
        looks, wait = looks + 1, polling.again(sent, provider)
    studio.clock.now = start
    return looks + 1  # and once when it has ended

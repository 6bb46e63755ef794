"""Jobs that providers called about, and what else happens at that moment: none is paid twice, none is lost unsaid."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from emulators.faults import Reset, Silence
from keyframe_mcp.adapters.base import Accepted, Job, Report, Sent
from keyframe_mcp.engine.moves import Moves
from keyframe_mcp.engine.pace import PACE, Pace
from keyframe_mcp.errors import (
    GenerationFailed,
    ProviderBusy,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUncertain,
)
from keyframe_mcp.store.heard import HeardStore
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Failure, Inputs, Mode, Picture, Status, Task
from reached import open_reached
from studio import ME, ScriptedProvider, Studio, open_studio, picture
from test_claiming import called, lost
from test_fallback import open_market

WAVESPEED = "wavespeed/wan-2.1-t2v-720p"
PATIENT = Pace(poll=60, place=0.02, busy=0.05, trouble=0.05, saving=0.1, looks=(60, 60))


class Interrupted(ScriptedProvider):
    """One to whom something happens while it is asked: what is set is awaited once, then the answer is given."""

    while_submitting: Any = None
    while_sending: Any = None
    while_checking: Any = None

    async def check(self, remote_id: str) -> Report:
        if happening := self.while_checking:
            self.while_checking = None
            await happening()
        return await super().check(remote_id)

    async def submit(self, job: Job) -> Accepted:
        if happening := self.while_submitting:
            self.while_submitting = None
            await happening()
        return await super().submit(job)

    async def send(self, picture: Picture) -> Sent:
        if happening := self.while_sending:
            self.while_sending = None
            await happening()
        return await super().send(picture)


def mentions(task: Task, job: str) -> int:
    """How many warnings name a job."""
    return sum(job in each for each in task.warnings)


async def answered(tmp_path: Path, answer: Accepted | str | Exception, *jobs: str) -> Task:
    """A task about whose jobs the provider called before it answered the submission."""
    provider = Interrupted(on_submit=lambda _: answer)
    async with open_studio(tmp_path, provider) as studio:
        task_id = await studio.start()

        async def call() -> None:
            for job in jobs:
                await called(studio, task_id, job)

        provider.while_submitting = call
        await studio.steps.advance(task_id)
        return await studio.store.get(task_id)


@pytest.mark.parametrize("moment", ["before", "during"])
async def test_a_call_while_a_second_attempt_is_prepared_keeps_it_from_being_sent(tmp_path: Path, moment: str):
    provider = Interrupted(on_send=lambda each: Sent(text=f"https://provider.test/{each.content}"))
    async with open_studio(tmp_path, provider) as studio:
        provider.on_submit = lambda _: SubmissionUncertain("silence")
        one, other = picture(tmp_path / "a.png", 50), picture(tmp_path / "b.png", 190)
        asked = {"mode": Mode.FLF2V, "first_image": str(one), "last_image": str(other)}
        task_id = (await studio.engine.start(ME, Inputs.model_validate(asked))).task.id
        await studio.steps.advance(task_id)
        await studio.engine.settling.resubmit(task_id, ME)
        if moment == "before":
            await called(studio, task_id)
        else:
            provider.while_sending = lambda: called(studio, task_id)
        for _ in range(3):
            await studio.steps.advance(task_id)
        task = await studio.store.get(task_id)

        assert (task.remote_id, task.attempt, task.counted_usd, len(provider.jobs)) == ("job-1", 1, 2.5, 1)


async def test_a_task_with_a_claim_does_not_go_on_to_another_provider_that_is_in_order(tmp_path: Path):
    paid = ScriptedProvider(account="paid", on_submit=lambda _: ProviderBusy("too many requests"))
    async with open_market(tmp_path, paid=paid) as market:
        task_id = await market.start("paid/film")
        await market.advanced(task_id)
        await called(market.studio, task_id, "job-1")
        paid.on_submit = lambda _: ProviderUnavailable("down")
        for number in range(5):
            await market.advanced(await market.start("paid/film", fallback=False, prompt=f"n {number}"))
        task = await market.advanced(task_id, 2)
        assert (task.status, task.provider, task.called_id) == (Status.QUEUED, "paid", "job-1")

        market.studio.clock.now += 3600
        task = await market.advanced(task_id)
        assert (task.status, task.remote_id, task.attempt) == (Status.RUNNING, "job-1", 1)


async def test_a_task_that_its_provider_called_about_does_not_go_on_however_the_submission_ends(tmp_path: Path):
    paid = Interrupted(account="paid", on_submit=lambda _: ProviderRefused("a proxy's page"))
    async with open_market(tmp_path, paid=paid) as market:
        task_id = await market.start("paid/film")
        paid.while_submitting = lambda: called(market.studio, task_id, "job-1")
        task = await market.advanced(task_id)
        assert (task.status, task.called_id, task.counted_usd) == (Status.UNKNOWN, "job-1", 2.5)

        task = await market.advanced(task_id)
        assert (task.status, task.model, task.remote_id) == (Status.RUNNING, "paid/film", "job-1")


async def test_another_job_than_the_answer_s_is_named_in_a_warning(tmp_path: Path):
    task = await answered(tmp_path, "job-9", "job-1")

    assert (task.remote_id, task.called_id, mentions(task, "job-1")) == ("job-9", None, 1)


async def test_the_answer_s_own_job_is_no_news(tmp_path: Path):
    task = await answered(tmp_path, "job-1", "job-1")

    assert (task.remote_id, task.called_id, task.warnings) == ("job-1", None, ())


async def test_of_two_jobs_that_were_called_about_none_is_forgotten(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await lost(studio)
        await called(studio, task_id, "job-1")
        await called(studio, task_id, "job-2")
        await studio.steps.advance(task_id)
        task = await studio.store.get(task_id)

        assert (task.remote_id, mentions(task, "job-1"), mentions(task, "job-2")) == ("job-2", 1, 0)


async def test_a_refused_submission_that_was_called_about_all_the_same_is_asked_about(tmp_path: Path):
    task = await answered(tmp_path, ProviderRefused("bad request"), "job-1")

    assert (task.status, task.called_id, task.counted_usd) == (Status.UNKNOWN, "job-1", 2.5)
    assert task.failure is not None
    assert "bad request" in task.failure.message
    assert '"job-1"' in task.failure.message


async def test_a_picture_that_is_refused_meanwhile_does_not_end_a_task_with_a_claim(tmp_path: Path):
    provider = Interrupted()
    async with open_studio(tmp_path, provider) as studio:
        task_id = await lost(studio)
        await studio.engine.settling.resubmit(task_id, ME)
        await studio.store.move(task_id, of={Status.QUEUED}, changes={"planned_at": 1})
        before = await studio.store.get(task_id)

        def quote(_: Job) -> float:
            raise ProviderRefused("no such model")

        provider.on_quote = quote
        await called(studio, task_id)
        moves = Moves(studio.store, studio.steps.bulletin)
        assert await studio.steps._submitting(moves).submit(before, provider) == 0

        assert (await studio.store.get(task_id)).status is Status.QUEUED


async def unanswered(studio: Studio) -> str:
    """A task that has a claim, whose provider says nothing about that job."""
    task_id = await lost(studio)
    await called(studio, task_id)
    studio.provider.on_check = lambda _: ProviderUnavailable("down")
    await studio.steps.advance(task_id)
    return task_id


async def test_a_task_that_is_cancelled_names_the_job_that_was_called_about(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await unanswered(studio)
        await studio.engine.settling.resubmit(task_id, ME)
        await studio.engine.cancel(task_id, ME)
        task = await studio.store.get(task_id)

        assert (task.status, task.called_id, mentions(task, "job-1")) == (Status.CANCELLED, None, 1)


async def test_a_task_that_is_given_up_names_the_job_that_was_called_about(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await unanswered(studio)
        await studio.engine.settling.give_up(task_id, ME, was_billed=False)
        task = await studio.store.get(task_id)

        assert (task.status, task.called_id, mentions(task, "job-1")) == (Status.FAILED, None, 1)


async def test_a_task_to_which_a_person_attaches_another_job_names_the_one_that_was_called_about(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await lost(studio)
        await called(studio, task_id)
        task = await studio.engine.settling.attach(task_id, ME, "job-9")

        assert (task.remote_id, task.called_id, mentions(task, "job-1")) == ("job-9", None, 1)


async def test_a_person_is_told_which_job_to_look_for_and_no_longer_once_it_is_not_there(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await unanswered(studio)
        for _ in PACE.looks:
            await studio.steps.advance(task_id)
        task = await studio.store.get(task_id)
        assert task.failure is not None
        assert 'Look at job "job-1"' in task.failure.fix
        assert task.failure.message.startswith("silence")

        studio.provider.on_check = lambda _: ProviderRefused("no such job")
        studio.clock.now += 3600  # it is left alone for a while, having failed so often
        await called(studio, task_id)
        await studio.steps.advance(task_id)
        task = await studio.store.get(task_id)
        assert task.failure is not None
        assert (task.called_id, mentions(task, "job-1"), "job-1" in task.failure.fix) == (None, 1, False)


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
async def test_a_first_job_that_came_to_nothing_does_not_undo_a_person_s_order(tmp_path: Path, status: Status):
    async with open_studio(tmp_path) as studio:
        task_id = await lost(studio)
        await studio.engine.settling.resubmit(task_id, ME)
        studio.provider.on_submit = lambda _: "job-2"
        ended = Failure.of(GenerationFailed("it did not work out")) if status is Status.FAILED else None
        studio.provider.on_check = lambda _: Report(status=status, failure=ended)
        await called(studio, task_id)
        for _ in range(2):
            await studio.steps.advance(task_id)
        task = await studio.store.get(task_id)

        assert (task.status, task.remote_id, task.attempt) == (Status.RUNNING, "job-2", 2)
        assert mentions(task, "job-1") == 1
        assert str(status) in task.warnings[0]


@pytest.mark.parametrize(("is_over", "calls_back"), [(True, False), (False, True)])
async def test_a_job_that_was_over_before_its_answer_came_is_asked_about_often(
    tmp_path: Path, is_over: bool, calls_back: bool
):
    provider = Interrupted()
    async with open_studio(tmp_path, provider) as studio:
        provider.on_submit = lambda _: "job-1"
        task_id = await studio.start()

        async def call() -> None:
            await studio.store.move(task_id, of={Status.SUBMITTING}, changes={"calls_back": True})
            await called(studio, task_id, is_over=is_over)

        provider.while_submitting = call
        await studio.steps.advance(task_id)

        assert (await studio.store.get(task_id)).calls_back is calls_back


async def test_a_task_that_is_robbed_of_a_job_is_told_to_whoever_hears_the_store(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        wrong, right = await lost(studio), await lost_too(studio)
        assert await studio.store.adopt(wrong, "job-1", attempt=1)
        heard: list[tuple[str, Status, Status]] = []

        def hear(before: Task | None, after: Task) -> None:
            assert before is not None
            heard.append((after.id, before.status, after.status))

        store = HeardStore(studio.store, [hear])
        await store.take(right, "job-1", of={Status.UNKNOWN}, attempt=1, changes={})

        assert heard == [
            (wrong, Status.RUNNING, Status.UNKNOWN),
            (right, Status.UNKNOWN, Status.RUNNING),
        ]


async def lost_too(studio: Studio) -> str:
    """Another task whose submission was never answered."""
    task_id = await studio.start("a fox")
    await studio.steps.advance(task_id)
    return task_id


Change = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def inputs(**more: Any) -> Change:
    """What is called about, with other inputs."""
    return lambda told: {**told, "input": {**told.get("input", {}), **more}}


SPELLED_OTHERWISE: Mapping[str, Change] = {
    "trimmed prompt": inputs(prompt="a boat"),
    "improved prompt": inputs(prompt="A boat, cinematic, 8k"),
    "another seed": inputs(seed=-1),
    "number as text": inputs(duration="5"),
    "model without its owner": lambda told: {**told, "model": told["model"].rpartition("/")[2]},
}


@pytest.mark.parametrize("name", SPELLED_OTHERWISE)
async def test_a_call_that_tells_the_inputs_a_little_otherwise_finds_the_job(tmp_path: Path, name: str):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        reached.wavespeed.calls_by_itself = False
        reached.wavespeed.next("submit", Reset(recorded=True))
        task_id = await reached.start(WAVESPEED, prompt="a boat ", seed=7)
        await reached.until(task_id, Status.UNKNOWN)
        (job,) = reached.wavespeed.jobs
        reached.wavespeed.end(job, time.time())
        call = reached.wavespeed.calls.call(job.webhook or "", SPELLED_OTHERWISE[name](reached.wavespeed.told(job)))
        assert await reached.post(call.url, dict(call.headers), call.body) == 200
        await reached.until(task_id, Status.SUCCEEDED)


async def test_a_call_about_a_job_of_another_prompt_is_not_taken_and_not_lost(tmp_path: Path):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        reached.wavespeed.calls_by_itself = False
        reached.wavespeed.next("submit", Reset(recorded=True))
        task_id = await reached.start(WAVESPEED)
        await reached.until(task_id, Status.UNKNOWN)
        (job,) = reached.wavespeed.jobs
        told = inputs(prompt="two foxes at night")(reached.wavespeed.told(job))
        call = reached.wavespeed.calls.call(job.webhook or "", told)
        assert await reached.post(call.url, dict(call.headers), call.body) == 200
        task = await reached.task(task_id)

        assert (task.status, task.called_id, mentions(task, job.id)) == (Status.UNKNOWN, None, 1)
        assert "--attach" in task.warnings[0]


async def test_a_warning_that_comes_while_a_step_is_taken_is_not_written_over(tmp_path: Path):
    provider = Interrupted(on_submit=lambda _: SubmissionUncertain("silence"))
    async with open_studio(tmp_path, provider) as studio:
        task_id = await lost(studio)
        await studio.engine.settling.resubmit(task_id, ME)
        provider.on_submit = lambda _: "job-2"
        await studio.steps.advance(task_id)
        url = (await studio.clip()).as_uri()
        provider.on_check = lambda _: Report(status=Status.SUCCEEDED, outputs=(url,))
        provider.while_checking = lambda: called(studio, task_id, "job-1")
        await studio.steps.advance(task_id)
        task = await studio.store.get(task_id)

        assert (task.status, mentions(task, "job-1")) == (Status.SAVING, 1)


async def test_a_warning_that_comes_while_a_result_is_kept_is_not_written_over(tmp_path: Path):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        reached.wavespeed.calls_by_itself = False
        reached.wavespeed.next("submit", Reset(recorded=True))
        task_id = await reached.start(WAVESPEED)
        await reached.until(task_id, Status.UNKNOWN)
        await reached.application.engine.settling.resubmit(task_id, ME)
        second = await reached.job(reached.wavespeed, 1)
        await reached.until(task_id, Status.RUNNING)
        reached.wavespeed.next("download", Silence(recorded=True))
        reached.wavespeed.end(second, time.time())
        assert await reached.wavespeed.call_back(second) == 200
        await reached.wavespeed.until_asked("download")
        first = reached.wavespeed.jobs[0]
        assert await reached.wavespeed.call_back(first) == 200
        assert mentions(await reached.task(task_id), first.id) == 1
        reached.wavespeed.release()
        task = await reached.until(task_id, Status.SUCCEEDED)

        assert mentions(task, first.id) == 1


async def test_a_server_without_the_provider_s_key_asks_for_the_call_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        reached.wavespeed.calls_by_itself = False
        reached.wavespeed.next("submit", Reset(recorded=True))
        task_id = await reached.start(WAVESPEED)
        await reached.until(task_id, Status.UNKNOWN)
        (job,) = reached.wavespeed.jobs
        parts = (job.webhook or "").split("/")[-5:]
        call = reached.wavespeed.calls.call(job.webhook or "", reached.wavespeed.told(job))
        with caplog.at_level(logging.WARNING):
            async with open_reached(tmp_path, pace=PATIENT, WAVESPEED_API_KEY="") as keyless:
                url = "/".join([keyless.url, *parts])
                assert [await keyless.post(url, dict(call.headers), call.body) for _ in range(2)] == [503, 503]
                assert await keyless.post(f"{url[:-1]}z", dict(call.headers), call.body) == 404

        assert sum("WAVESPEED_API_KEY" in each for each in caplog.messages) == 1
        with anyio.fail_after(10):
            assert await reached.post(call.url, dict(call.headers), call.body) == 200


async def test_a_claim_is_not_taken_over_by_a_process_that_had_read_the_task_before(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await lost(studio)
        await studio.engine.settling.resubmit(task_id, ME)
        await called(studio, task_id)
        limits = studio.steps.rules.limits_of("paid", studio.provider)
        store: SqliteStore = studio.store

        assert await store.begin(task_id, attempt=1, changes={}, limits=limits) is None
        assert (await store.get(task_id)).attempt == 1

"""A person's word on a task whose fate nobody knows: the job is there, let it be, or send it again."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from keyframe_mcp.adapters.base import Report
from keyframe_mcp.engine.budget import NO_BUDGET, Budget
from keyframe_mcp.errors import (
    BudgetExceeded,
    InvalidInput,
    KeyframeError,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUncertain,
    UnknownTask,
)
from keyframe_mcp.server.views import TaskView
from keyframe_mcp.task import Status
from studio import ME, ScriptedProvider, Studio, open_studio
from test_budget import HER, VIDEO, counted


def unsure() -> ScriptedProvider:
    """A provider of which nobody hears whether it took the first attempt."""
    return ScriptedProvider(
        on_submit=lambda job: SubmissionUncertain("silence") if job.attempt == 1 else f"remote-{job.attempt}"
    )


@asynccontextmanager
async def doubtful(folder: Path, budget: Budget = NO_BUDGET) -> AsyncGenerator[tuple[Studio, str]]:
    """A studio with a task of unknown fate."""
    async with open_studio(folder, unsure(), budget=budget) as studio:
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        assert (await studio.store.get(task_id)).status is Status.UNKNOWN
        yield studio, task_id


async def test_a_job_that_is_there_is_followed_and_still_counts_once(tmp_path: Path):
    async with doubtful(tmp_path) as (studio, task_id):
        task = await studio.engine.settling.attach(task_id, ME, " job-7 ")
        assert (task.status, task.remote_id, task.failure) == (Status.RUNNING, "job-7", None)

        await studio.steps.advance(task_id)
        assert studio.provider.checks == ["job-7", "job-7"]  # before it is taken at its word, and after
        assert len(studio.provider.jobs) == 1
        assert await counted(studio) == VIDEO


async def test_an_attached_job_that_was_made_becomes_a_video(tmp_path: Path):
    async with doubtful(tmp_path) as (studio, task_id):
        clip = await studio.clip()
        studio.provider.on_check = lambda _: Report(
            status=Status.SUCCEEDED, native_status="done", outputs=(clip.as_uri(),)
        )
        await studio.engine.settling.attach(task_id, ME, "job-7")
        for _ in range(3):
            await studio.steps.advance(task_id)

        assert (await studio.store.get(task_id)).status is Status.SUCCEEDED


@pytest.mark.parametrize("job", ["", "  ", "a b", "https://provider.test/job", "-x", "j" * 201, "ä"])
async def test_what_cannot_be_a_job_s_id_is_refused(tmp_path: Path, job: str):
    async with doubtful(tmp_path) as (studio, task_id):
        with pytest.raises(InvalidInput, match="--attach"):
            await studio.engine.settling.attach(task_id, ME, job)
        assert (await studio.store.get(task_id)).status is Status.UNKNOWN


async def test_a_job_of_another_task_is_not_attached(tmp_path: Path):
    async with doubtful(tmp_path) as (studio, task_id):
        studio.provider.on_submit = lambda _: "job-7"
        other = await studio.start("another")
        await studio.steps.advance(other)
        with pytest.raises(InvalidInput, match="belongs to another task"):
            await studio.engine.settling.attach(task_id, ME, "job-7")

        assert (await studio.store.get(task_id)).status is Status.UNKNOWN


@pytest.mark.parametrize(("was_billed", "counts"), [(True, VIDEO), (False, 0.0)])
async def test_a_task_that_is_given_up_counts_unless_a_person_says_it_was_not_billed(
    tmp_path: Path, was_billed: bool, counts: float
):
    async with doubtful(tmp_path) as (studio, task_id):
        task = await studio.engine.settling.give_up(task_id, ME, was_billed=was_billed)

        assert task.status is Status.FAILED
        assert task.failure is not None
        assert task.failure.kind == "given_up"
        assert await counted(studio) == counts
        assert len(studio.provider.jobs) == 1


@pytest.mark.parametrize(("was_billed", "counts"), [(True, 2 * VIDEO), (False, VIDEO)])
async def test_what_is_sent_again_counts_twice_unless_the_first_was_not_billed(
    tmp_path: Path, was_billed: bool, counts: float
):
    async with doubtful(tmp_path) as (studio, task_id):
        task = await studio.engine.settling.resubmit(task_id, ME, was_billed=was_billed)
        assert (task.status, task.failure) == (Status.QUEUED, None)
        assert await counted(studio) == counts

        await studio.steps.advance(task_id)
        assert (await studio.store.get(task_id)).remote_id == "remote-2"
        assert [job.attempt for job in studio.provider.jobs] == [1, 2]
        assert await counted(studio) == counts


async def test_what_was_sent_again_and_cancelled_in_time_counts_for_the_first_alone(tmp_path: Path):
    async with doubtful(tmp_path) as (studio, task_id):
        await studio.engine.settling.resubmit(task_id, ME)
        await studio.engine.cancel(task_id, ME)

        assert await counted(studio) == VIDEO


async def test_nothing_is_sent_again_beyond_the_budget(tmp_path: Path):
    async with doubtful(tmp_path, Budget(per_day=2 * VIDEO - 1)) as (studio, task_id):
        with pytest.raises(BudgetExceeded, match=r"\$1\.5 is left"):
            await studio.engine.settling.resubmit(task_id, ME)
        assert (await studio.store.get(task_id)).status is Status.UNKNOWN
        assert await counted(studio) == VIDEO

        await studio.engine.settling.resubmit(task_id, ME, was_billed=False)
        assert await counted(studio) == VIDEO


async def test_a_wish_to_cancel_the_lost_attempt_does_not_cancel_the_next(tmp_path: Path):
    async with open_studio(tmp_path, unsure()) as studio:
        task_id = await studio.start()
        await studio.store.move(task_id, of={Status.QUEUED}, to=Status.SUBMITTING, changes={"attempt": 1})
        await studio.engine.cancel(task_id, ME)
        await studio.store.move(task_id, of={Status.SUBMITTING}, to=Status.UNKNOWN)
        await studio.engine.settling.resubmit(task_id, ME)
        await studio.steps.advance(task_id)

        assert (await studio.store.get(task_id)).status is Status.RUNNING


async def test_a_job_that_is_let_go_of_is_named(tmp_path: Path):
    async with doubtful(tmp_path) as (studio, task_id):
        await studio.engine.settling.attach(task_id, ME, "job-7")
        await studio.store.move(task_id, of={Status.RUNNING}, to=Status.UNKNOWN)
        task = await studio.engine.settling.resubmit(task_id, ME)

        assert task.remote_id is None
        assert "job-7" in " ".join(task.warnings)


async def test_only_what_is_unknown_is_settled_by_hand_and_only_by_its_owner(tmp_path: Path):
    async with doubtful(tmp_path) as (studio, unknown):
        queued = await studio.start("another")
        settling = studio.engine.settling
        for act in (settling.give_up, settling.resubmit):
            with pytest.raises(InvalidInput, match="is queued; only one that is unknown"):
                await act(queued, ME)
            with pytest.raises(UnknownTask):
                await act(unknown, HER)
        with pytest.raises(InvalidInput, match="is queued"):
            await settling.attach(queued, ME, "job-7")
        with pytest.raises(UnknownTask):
            await settling.attach(unknown, HER, "job-7")

        assert (await studio.store.get(queued)).status is Status.QUEUED
        assert (await studio.store.get(unknown)).status is Status.UNKNOWN


async def test_an_agent_is_told_to_have_a_person_settle_it_and_with_which_command(tmp_path: Path):
    async with doubtful(tmp_path) as (_, task_id), open_studio(tmp_path) as studio:
        view = TaskView.of(await studio.store.get(task_id))

        assert "Do not generate it again" in view.next_step
        for words in (f"keyframe-mcp task {task_id} --attach JOB_ID", "--resubmit", "--give-up", "film-v1"):
            assert words in view.next_step


@pytest.mark.parametrize("answer", [ProviderRefused("HTTP 404"), ProviderUnavailable("no answer")])
async def test_an_id_the_provider_does_not_confirm_is_not_attached(tmp_path: Path, answer: KeyframeError):
    async with doubtful(tmp_path) as (studio, task_id):
        before = await studio.store.get(task_id)
        studio.provider.on_check = lambda _: answer
        with pytest.raises(KeyframeError, match=r"404|no answer"):
            await studio.engine.settling.attach(task_id, ME, "job-mistyped")

        assert await studio.store.get(task_id) == before


async def test_who_gave_a_task_up_can_say_later_that_nothing_was_billed(tmp_path: Path):
    async with doubtful(tmp_path) as (studio, task_id):
        given_up = await studio.engine.settling.give_up(task_id, ME)
        assert given_up.counted_usd > 0

        task = await studio.engine.settling.give_up(task_id, ME, was_billed=False)
        assert (task.status, task.counted_usd) == (Status.FAILED, 0)
        with pytest.raises(InvalidInput):
            await studio.engine.settling.give_up(task_id, ME)


async def test_what_is_said_of_one_attempt_holds_for_no_later_one(tmp_path: Path):
    async with doubtful(tmp_path) as (studio, task_id):
        studio.provider.on_submit = lambda _: SubmissionUncertain("silence")
        await studio.engine.settling.resubmit(task_id, ME, attempt=1)
        await studio.steps.advance(task_id)
        assert (await studio.store.get(task_id)).status is Status.UNKNOWN

        with pytest.raises(InvalidInput, match="sent again meanwhile"):
            await studio.engine.settling.resubmit(task_id, ME, attempt=1)
        assert not await studio.store.adopt(task_id, "job-1", attempt=1)
        assert len(studio.provider.jobs) == 2


async def test_a_job_that_is_attached_is_followed_although_it_was_to_be_cancelled_before(tmp_path: Path):
    async with doubtful(tmp_path) as (studio, task_id):
        await studio.store.move(task_id, of={Status.UNKNOWN}, changes={"cancel_requested": True})
        await studio.engine.settling.attach(task_id, ME, "job-7")
        await studio.steps.advance(task_id)
        assert studio.provider.cancelled == []


async def test_a_first_attempt_that_comes_to_light_before_the_second_begins_counts_once(tmp_path: Path):
    async with doubtful(tmp_path) as (studio, task_id):
        for was_billed in (True, False):
            await studio.engine.settling.resubmit(task_id, ME, was_billed=was_billed)
            taken = await studio.store.take(task_id, "job-1", of={Status.QUEUED}, attempt=1, changes={})
            assert taken is not None
            assert taken.counted_usd == VIDEO
            await studio.store.move(task_id, of={Status.RUNNING}, to=Status.UNKNOWN)


async def test_cancelling_what_a_person_had_sent_again_frees_only_what_the_second_attempt_costs(tmp_path: Path):
    async with doubtful(tmp_path) as (studio, task_id):
        await studio.engine.settling.resubmit(task_id, ME)
        task = await studio.engine.cancel(task_id, ME)
        assert (task.status, task.counted_usd) == (Status.CANCELLED, VIDEO)

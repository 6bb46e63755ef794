"""The story of a task, step by step, with a provider that does as it is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from keyframe_mcp.adapters.base import Accepted, Job, Report
from keyframe_mcp.engine import Caller
from keyframe_mcp.engine.budget import Budget
from keyframe_mcp.errors import (
    BudgetExceeded,
    CredentialRefused,
    InvalidInput,
    MissingCredential,
    ProviderBusy,
    ProviderRefused,
    ProviderUnavailable,
    StoreUnusable,
    SubmissionUncertain,
    UnexpectedReply,
    UnknownTask,
)
from keyframe_mcp.server.views import TaskView
from keyframe_mcp.task import Failure, Inputs, Mode, Output, Status, Task
from studio import ME, ScriptedProvider, Studio, open_studio, picture


def done(video: Path) -> Report:
    return Report(status=Status.SUCCEEDED, native_status="completed", outputs=(video.as_uri(),))


async def test_starting_writes_the_task_down_and_sends_nothing(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task = await studio.store.get(await studio.start())

        assert task.status is Status.QUEUED
        assert task.wire == {"prompt": "a heron takes off", "duration": 5}
        assert task.cost is not None
        assert task.cost.estimated_usd == 2.5
        assert studio.provider.jobs == []


async def test_a_refused_request_leaves_no_task(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        request = Inputs(mode=Mode.FLF2V, first_image="missing.png", last_image="/etc/passwd", duration=7, seed=1)
        with pytest.raises(InvalidInput) as refused:
            await studio.engine.start(ME, request, model="paid/film")

        assert {each.argument for each in refused.value.problems} == {"first_image", "last_image", "duration", "seed"}
        assert await studio.engine.recent(ME) == []


async def test_the_intent_is_on_disk_when_the_provider_is_asked(tmp_path: Path):
    seen: list[str] = []

    def look(job: Job) -> str:
        with closing(sqlite3.connect(tmp_path / "tasks.db")) as other:
            seen.extend(other.execute("SELECT status, attempt FROM tasks WHERE id = ?", (job.task_id,)).fetchone())
        return "remote-1"

    async with open_studio(tmp_path, ScriptedProvider(on_submit=look)) as studio:
        task_id = await studio.start()
        await studio.steps.advance(task_id)

        assert seen == ["submitting", 1]
        task = await studio.store.get(task_id)
        assert (task.status, task.remote_id) == (Status.RUNNING, "remote-1")


@pytest.mark.parametrize("accident", [SubmissionUncertain(), UnexpectedReply("HTML"), RuntimeError("a bug")])
async def test_a_submission_whose_fate_is_not_known_is_never_sent_again(tmp_path: Path, accident: Exception):
    async with open_studio(tmp_path, ScriptedProvider(on_submit=lambda _: accident)) as studio:
        task_id = await studio.start()
        for _ in range(4):
            await studio.steps.advance(task_id)

        assert len(studio.provider.jobs) == 1
        task = await studio.store.get(task_id)
        assert task.status is Status.UNKNOWN
        assert task.failure is not None


@pytest.mark.parametrize("refusal", [ProviderRefused("too rude"), CredentialRefused()])
async def test_a_refusal_fails_the_task_with_its_reason(tmp_path: Path, refusal: Exception):
    async with open_studio(tmp_path, ScriptedProvider(on_submit=lambda _: refusal)) as studio:
        task_id = await studio.start()

        assert await studio.steps.advance(task_id) is None
        task = await studio.store.get(task_id)
        assert task.status is Status.FAILED
        assert task.failure == Failure.of(refusal)  # pyright: ignore[reportArgumentType] - both are ours


@pytest.mark.parametrize(("trouble", "delay"), [(ProviderBusy("slow", retry_after=7), 7), (ProviderUnavailable(), 10)])
async def test_what_was_certainly_not_sent_waits_and_is_sent_again(tmp_path: Path, trouble: Exception, delay: float):
    answers: list[str | Exception] = [trouble, "remote-2"]
    async with open_studio(tmp_path, ScriptedProvider(on_submit=lambda _: answers.pop(0))) as studio:
        task_id = await studio.start()

        assert await studio.steps.advance(task_id) == delay
        assert (await studio.store.get(task_id)).status is Status.QUEUED
        await studio.steps.advance(task_id)
        task = await studio.store.get(task_id)
        assert (task.status, task.attempt, task.remote_id) == (Status.RUNNING, 2, "remote-2")


@pytest.mark.parametrize(("idempotent", "then"), [(False, Status.UNKNOWN), (True, Status.QUEUED)])
async def test_a_task_found_submitting_is_sent_again_only_where_that_is_free(
    tmp_path: Path, idempotent: bool, then: Status
):
    async with open_studio(tmp_path, ScriptedProvider(idempotent=idempotent)) as studio:
        task_id = await studio.start()
        # what a process that died while submitting leaves behind
        await studio.store.move(task_id, of={Status.QUEUED}, to=Status.SUBMITTING, changes={"attempt": 1})

        await studio.steps.advance(task_id)

        assert (await studio.store.get(task_id)).status is then
        assert studio.provider.jobs == []


async def test_a_failing_check_never_ends_a_job(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        answers: list[Report | Exception] = [
            ProviderUnavailable("HTTP 500"),
            UnexpectedReply("<html>"),
            Report(status=Status.RUNNING, native_status="a word nobody documented", progress=0.4),
        ]
        studio.provider.on_check = lambda _: answers.pop(0)
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        for _ in range(3):
            await studio.steps.advance(task_id)

        task = await studio.store.get(task_id)
        assert (task.status, task.native_status, task.progress) == (Status.RUNNING, "a word nobody documented", 0.4)
        assert task.failure is None


async def test_a_task_succeeds_only_once_its_file_is_here_and_opens(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        made = await studio.clip()
        studio.provider.on_check = lambda _: done(made)
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        await studio.steps.advance(task_id)
        assert (await studio.store.get(task_id)).status is Status.SAVING

        await studio.steps.advance(task_id)

        task = await studio.store.get(task_id)
        assert task.status is Status.SUCCEEDED
        (output,) = task.outputs
        kept = tmp_path / "out" / f"{task_id}.mp4"
        assert output.file == str(kept)
        assert (output.width, output.height, output.duration) == (832, 480, 1.0)
        assert (await anyio.Path(kept).stat()).st_size == output.size_bytes
        assert studio.provider.forgotten == [task.remote_id]
        assert list((tmp_path / "out").iterdir()) == [kept]


async def test_a_result_that_is_no_video_fails_and_leaves_no_file(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        (tmp_path / "made.mp4").write_text("<html>gone</html>")
        studio.provider.on_check = lambda _: done(tmp_path / "made.mp4")
        task_id = await studio.start()
        for _ in range(6):
            await studio.steps.advance(task_id)

        task = await studio.store.get(task_id)
        assert task.status is Status.FAILED
        assert task.failure is not None
        assert task.failure.kind == "unexpected_reply"
        assert list((tmp_path / "out").iterdir()) == []


async def test_an_unwritable_output_folder_keeps_the_result_until_it_is_mended(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        made = await studio.clip()
        studio.provider.on_check = lambda _: done(made)
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        (tmp_path / "out").rmdir()
        (tmp_path / "out").write_text("a file where the folder should be")
        await studio.steps.advance(task_id)

        assert await studio.steps.advance(task_id) == 15
        task = await studio.store.get(task_id)
        assert task.status is Status.SAVING
        assert task.failure is not None
        assert "cannot be written" in task.failure.message
        (tmp_path / "out").unlink()
        await studio.steps.advance(task_id)
        assert (await studio.store.get(task_id)).status is Status.SUCCEEDED


async def test_a_process_killed_between_moving_the_file_and_saying_so_loses_nothing(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        made = await studio.clip()
        studio.provider.on_check = lambda _: done(made)
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        await studio.steps.advance(task_id)
        (tmp_path / "out").mkdir(exist_ok=True)
        made.rename(tmp_path / "out" / f"{task_id}.mp4")

        await studio.steps.advance(task_id)

        assert (await studio.store.get(task_id)).status is Status.SUCCEEDED


async def test_a_task_that_was_not_sent_is_cancelled_without_asking_anybody(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()

        assert (await studio.engine.cancel(task_id, ME)).status is Status.CANCELLED
        assert await studio.steps.advance(task_id) is None
        assert studio.provider.jobs == []


async def test_cancelling_a_running_task_leaves_the_asking_to_the_runner(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()
        await studio.steps.advance(task_id)

        asked = await studio.engine.cancel(task_id, ME)
        assert (asked.status, asked.cancel_requested) == (Status.RUNNING, True)
        assert studio.provider.cancelled == []
        studio.provider.on_check = lambda _: Report(status=Status.CANCELLED, native_status="canceled")
        await studio.steps.advance(task_id)

        assert studio.provider.cancelled == [asked.remote_id]
        assert (await studio.store.get(task_id)).status is Status.CANCELLED


async def test_a_provider_that_cannot_stop_a_job_is_said_to_run_on(tmp_path: Path):
    async with open_studio(tmp_path, ScriptedProvider(can_cancel=False)) as studio:
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        await studio.engine.cancel(task_id, ME)
        for _ in range(3):
            await studio.steps.advance(task_id)

        task = await studio.store.get(task_id)
        assert task.status is Status.RUNNING
        assert TaskView.of(task).warnings == ["paid cannot stop a job; it runs on and may be billed"]
        assert len(studio.provider.cancelled) == 1


async def test_that_a_job_could_not_be_stopped_is_still_said_when_it_succeeds(tmp_path: Path):
    async with open_studio(tmp_path, ScriptedProvider(can_cancel=False)) as studio:
        made = await studio.clip()
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        await studio.engine.cancel(task_id, ME)
        studio.provider.on_check = lambda _: done(made)
        for _ in range(2):
            await studio.steps.advance(task_id)

        task = await studio.store.get(task_id)
        assert task.status is Status.SUCCEEDED
        assert TaskView.of(task).warnings == ["it was asked to stop, but paid cannot stop a job"]


async def test_a_late_answer_to_an_older_attempt_changes_nothing(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()
        await studio.store.move(task_id, of={Status.QUEUED}, to=Status.SUBMITTING, changes={"attempt": 1})
        await studio.store.move(task_id, of={Status.SUBMITTING}, to=Status.QUEUED, attempt=1)
        await studio.store.move(task_id, of={Status.QUEUED}, to=Status.SUBMITTING, changes={"attempt": 2})

        late = await studio.store.move(
            task_id, of={Status.SUBMITTING}, to=Status.RUNNING, attempt=1, changes={"remote_id": "old"}
        )

        assert late is None
        assert (await studio.store.get(task_id)).remote_id is None


async def test_the_same_request_soon_after_is_the_same_task_and_later_a_new_one(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        request = Inputs(mode=Mode.T2V, prompt="again")
        first = await studio.engine.start(ME, request)
        studio.clock.now += 119
        second = await studio.engine.start(ME, request)
        studio.clock.now += 2
        third = await studio.engine.start(ME, request)

        assert (first.deduplicated, second.deduplicated, third.deduplicated) == (False, True, False)
        assert first.task.id == second.task.id != third.task.id


async def test_the_twin_of_a_task_of_unknown_fate_is_that_task_unless_a_new_key_asks_for_another(tmp_path: Path):
    provider = ScriptedProvider(on_submit=lambda _: SubmissionUncertain())
    async with open_studio(tmp_path, provider, budget=Budget(per_day=4.0)) as studio:
        first = await studio.start()
        await studio.steps.advance(first)
        studio.clock.now += 3600
        request = Inputs(mode=Mode.T2V, prompt="a heron takes off")

        twin = await studio.engine.start(ME, request)
        assert (twin.task.id, twin.task.status, twin.deduplicated) == (first, Status.UNKNOWN, True)

        doubt = f"task {first} of the same request is unknown and may be billed"
        with pytest.raises(BudgetExceeded):  # the unknown one still counts
            await studio.engine.start(ME, request, model="paid/film", idempotency_key="two")
        studio.clock.now += 86400
        other = await studio.engine.start(ME, request, idempotency_key="two")
        assert (other.deduplicated, doubt in other.warnings) == (False, True)
        assert doubt in (await studio.engine.get(other.task.id, ME)).warnings
        await studio.steps.advance(other.task.id)
        same = await studio.engine.start(ME, request, idempotency_key="two")
        assert (same.task.id, same.deduplicated, same.warnings) == (other.task.id, True, ())


async def test_equal_pictures_under_other_names_are_the_same_request(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        one, two = picture(tmp_path / "a.png"), picture(tmp_path / "b.png")
        other = picture(tmp_path / "c.png", shade=20)
        requests = [Inputs(mode=Mode.FLF2V, first_image=str(each), last_image="c.png") for each in (one, two, other)]
        started = [await studio.engine.start(ME, request) for request in requests]

        assert [each.deduplicated for each in started] == [False, True, False]


async def test_a_default_left_out_or_written_out_is_the_same_request(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        assert await studio.start(duration=5.0) == await studio.start() == await studio.start(duration=5)


async def test_one_key_is_one_task_however_late(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        request = Inputs(mode=Mode.T2V, prompt="once")
        first = await studio.engine.start(ME, request, idempotency_key="k")
        studio.clock.now += 10_000
        second = await studio.engine.start(ME, request, idempotency_key="k")

        assert second.task.id == first.task.id
        with pytest.raises(InvalidInput, match="another request"):
            await studio.engine.start(ME, Inputs(mode=Mode.T2V, prompt="other"), idempotency_key="k")


async def test_another_owner_s_task_answers_as_if_it_did_not_exist(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()
        stranger = Caller(owner="somebody else", may_name_files=True)

        for use in (studio.engine.get, studio.engine.cancel):
            with pytest.raises(UnknownTask) as foreign:
                await use(task_id, stranger)
            with pytest.raises(UnknownTask) as absent:
                await use(task_id.replace("kf_", "kf_x"), stranger)
            assert str(foreign.value).replace(task_id, "") == str(absent.value).replace(
                task_id.replace("kf_", "kf_x"), ""
            )


async def test_a_restart_goes_on_where_the_last_process_stopped(tmp_path: Path):
    provider = ScriptedProvider()
    async with open_studio(tmp_path, provider) as studio:
        task_id = await studio.start()
        await studio.steps.advance(task_id)
    async with open_studio(tmp_path, provider) as studio:
        made = await studio.clip()
        provider.on_check = lambda _: done(made)
        await studio.steps.advance(task_id)
        await studio.steps.advance(task_id)

        assert (await studio.store.get(task_id)).status is Status.SUCCEEDED
        assert len(provider.jobs) == 1


async def test_without_a_model_a_real_generator_is_chosen_before_the_embedded_renderer(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        words = Inputs(mode=Mode.T2V, prompt="a heron")
        assert studio.engine.intake.choosing.choose(words, None, strict=True).listed.id == "paid/film"
        with pytest.raises(MissingCredential, match="no configured model does animation"):
            studio.engine.intake.choosing.choose(Inputs(mode=Mode.ANIMATION), None, strict=True)


async def test_following_says_every_change_and_ends_with_the_task(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()
        seen: list[Status] = []
        async for (task,) in studio.engine.follow([task_id], ME, 60):
            seen.append(task.status)
            if task.status is Status.QUEUED:
                await studio.steps.advance(task_id)
            else:
                await studio.store.move(task_id, of={Status.RUNNING}, to=Status.CANCELLED)

        assert seen == [Status.QUEUED, Status.RUNNING, Status.CANCELLED]


async def test_a_job_is_written_down_even_when_the_server_is_stopping(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()
        async with anyio.create_task_group() as tasks:

            async def slow(job: Job) -> Accepted:
                studio.provider.jobs.append(job)
                tasks.cancel_scope.cancel()
                await anyio.sleep(0.05)
                return Accepted(remote_id="remote-paid")

            studio.provider.submit = slow
            tasks.start_soon(studio.steps.advance, task_id)

        task = await studio.store.get(task_id)
        assert (task.status, task.remote_id) == (Status.RUNNING, "remote-paid")


async def test_a_paid_job_s_id_survives_a_write_that_failed(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()
        forgetful = ForgetfulStore(studio)
        steps = replace(studio.steps, store=forgetful)
        await steps.advance(task_id)

        task = await studio.store.get(task_id)
        assert (task.status, task.remote_id) == (Status.RUNNING, f"remote-{task_id}-1")
        assert forgetful.failures == 0
        assert len(studio.provider.jobs) == 1


class ForgetfulStore:
    """The store of a studio, whose next write of a remote id fails."""

    def __init__(self, studio: Studio) -> None:
        self._store = studio.store
        self.failures = 1

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def take(self, task_id: str, remote_id: str, **how: Any) -> Task | None:
        if self.failures:
            self.failures -= 1
            raise StoreUnusable("disk full")
        return await self._store.take(task_id, remote_id, **how)


async def test_a_video_that_was_removed_is_made_once_more_and_not_once_for_every_call(tmp_path: Path):
    request = Inputs.model_validate({"mode": Mode.T2V, "prompt": "a heron"})
    async with open_studio(tmp_path) as studio:
        first = (await studio.engine.start(ME, request, model="paid/film")).task
        gone = {"outputs": (Output(file=str(tmp_path / "removed.mp4")),)}
        await studio.store.move(first.id, of={Status.QUEUED}, changes=gone)
        studio.clock.now += 10
        anew: list[str] = []

        async def ask() -> None:
            anew.append((await studio.engine.start(ME, request, model="paid/film")).task.id)

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(ask)

        assert len(anew) == 4
        assert len({*anew, first.id}) == 2

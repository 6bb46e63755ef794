"""What is remembered of every step a task takes, and what it does when a provider is less than helpful."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from emulators.faults import Answer, Reset, Silence, web_page
from emulators.replicate import Replicate
from emulators.results import MP4
from emulators.siliconflow import SiliconFlow
from keyframe_mcp.adapters.base import Accepted, Job, Report, Sent
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.engine.pace import PACE
from keyframe_mcp.errors import (
    ContentRejected,
    GenerationFailed,
    KeyframeError,
    ProviderBusy,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUncertain,
    UnexpectedReply,
)
from keyframe_mcp.runners.embedded import MOST_AT_ONCE
from keyframe_mcp.server.views import TaskView
from keyframe_mcp.task import Cost, Failure, Inputs, Mode, Output, Status, Task
from studio import ME, PAID_PROVIDER, ScriptedProvider, Studio, open_server_inside, open_studio, picture

RUNNING = Report(status=Status.RUNNING, native_status="rendering")


def made(*urls: str, **more: object) -> Report:
    return replace(Report(status=Status.SUCCEEDED, native_status="completed", outputs=urls), **more)


async def advanced(studio: Studio, task_id: str, times: int = 1) -> Task:
    """A task after so many steps."""
    for _ in range(times):
        await studio.steps.advance(task_id)
    return await studio.store.get(task_id)


async def saving(studio: Studio, report: Report) -> str:
    """The id of a task whose video is made and not here yet."""
    studio.provider.on_check = lambda _: report
    task_id = await studio.start()
    assert (await advanced(studio, task_id, 2)).status is Status.SAVING
    return task_id


def film(host: SiliconFlow, name: str, seconds: float | None = None) -> str:
    """A finished video at a host; with `seconds=0` it has been deleted already."""
    return host.publish(host.film, MP4, name, seconds)


def shown(task: Task) -> list[Output]:
    """The outputs an agent is shown."""
    return TaskView.of(task).outputs or []


# The price


async def test_what_the_provider_quotes_is_what_it_costs(tmp_path: Path):
    async with open_studio(tmp_path, ScriptedProvider(on_quote=lambda job: 0.125 * job.wire["duration"])) as studio:
        task = await advanced(studio, await studio.start())

        assert task.cost == Cost(estimated_usd=0.625, basis="quoted by paid for this request")
        assert task.status is Status.RUNNING


async def test_a_provider_that_quotes_nothing_leaves_the_price_of_the_catalogue(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        before = await studio.store.get(await studio.start())
        task = await advanced(studio, before.id)

        assert task.cost == before.cost
        assert before.cost is not None
        assert before.cost.estimated_usd == 2.5


async def test_the_price_is_asked_for_once_however_often_the_job_is_tried(tmp_path: Path):
    answers: list[str | Exception] = [ProviderBusy(), ProviderUnavailable(), "remote"]
    prices = iter([0.1, 0.2, 0.3])
    provider = ScriptedProvider(on_submit=lambda _: answers.pop(0), on_quote=lambda _: next(prices))
    async with open_studio(tmp_path, provider) as studio:
        task = await advanced(studio, await studio.start(), 3)

        assert (task.status, task.attempt) == (Status.RUNNING, 3)
        assert task.cost is not None
        assert task.cost.estimated_usd == 0.1


# Submitting


async def test_what_the_provider_said_when_it_took_the_job_is_kept(tmp_path: Path):
    accepted = Accepted(remote_id="remote-1", native_status="queued", trace_id="ti_accepted")
    async with open_studio(tmp_path, ScriptedProvider(on_submit=lambda _: accepted)) as studio:
        studio.provider.on_check = lambda _: RUNNING
        task_id = await studio.start()
        task = await advanced(studio, task_id)
        assert (task.remote_id, task.native_status, task.trace_id) == ("remote-1", "queued", "ti_accepted")
        assert task.sent_at == studio.clock.now

        studio.clock.now += 60
        task = await advanced(studio, task_id, 2)
        assert (task.native_status, task.trace_id) == ("rendering", "ti_accepted")
        assert task.sent_at == studio.clock.now - 60


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ProviderRefused("no", trace_id="ti_refused"), Status.FAILED),
        (ContentRejected("no", trace_id="ti_refused"), Status.FAILED),
        (SubmissionUncertain("perhaps", trace_id="ti_refused"), Status.UNKNOWN),
        (UnexpectedReply("<html>", trace_id="ti_refused"), Status.UNKNOWN),
    ],
)
async def test_the_trace_id_of_an_error_is_kept_for_asking_the_provider(
    tmp_path: Path, error: KeyframeError, status: Status
):
    async with open_studio(tmp_path, ScriptedProvider(on_submit=lambda _: error)) as studio:
        task = await advanced(studio, await studio.start())

        assert (task.status, task.trace_id) == (status, "ti_refused")
        assert TaskView.of(task).data()["trace_id"] == "ti_refused"


async def test_a_model_that_left_the_catalogue_while_its_task_waited_fails_it_unsent(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()
        table = tomllib.loads(PAID_PROVIDER)
        table["models"][0] |= {"id": "another", "remote": "another-v1"}
        smaller = Catalog({"paid": Provider.model_validate(table)})
        await replace(studio.steps, catalog=smaller).advance(task_id)

        task = await studio.store.get(task_id)
        assert task.status is Status.FAILED
        assert task.failure is not None
        assert task.failure.kind == "unknown_model"
        assert "paid/film" in task.failure.message
        assert (studio.provider.jobs, studio.provider.sent, task.attempt) == ([], [], 0)


async def test_a_task_whose_key_was_taken_away_waits_for_it_and_then_goes_on(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()
        delay = await replace(studio.steps, adapters={}).advance(task_id)
        choosing = replace(studio.engine.intake.choosing, configured=frozenset[str]())
        keyless = replace(studio.engine, intake=replace(studio.engine.intake, choosing=choosing))
        waiting = await keyless.get(task_id, ME)

        assert delay == 60
        assert (waiting.status, waiting.failure and waiting.failure.kind) == (Status.QUEUED, "missing_credential")
        assert (await studio.engine.get(task_id, ME)).failure is None
        assert (await advanced(studio, task_id)).status is Status.RUNNING


# Following


async def test_what_the_provider_tells_of_a_finished_job_is_kept(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        clip = (await studio.clip()).as_uri()
        task_id = await saving(studio, made(clip, seed=1833, inference_seconds=41.5, warnings=("flagged",)))
        task = await advanced(studio, task_id)

        assert task.status is Status.SUCCEEDED
        assert (task.seed, task.inference_seconds, task.progress) == (1833, 41.5, 1.0)
        assert "flagged" in task.warnings
        told = TaskView.of(task).data()
        assert (told["seed"], told["inference_seconds"]) == (1833, 41.5)


async def test_a_seed_that_is_told_once_is_not_forgotten(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        reports = [replace(RUNNING, seed=7), RUNNING, replace(RUNNING, status=Status.FAILED, inference_seconds=3.0)]
        studio.provider.on_check = lambda _: reports.pop(0)
        task = await advanced(studio, await studio.start(), 4)

        assert (task.status, task.seed, task.inference_seconds) == (Status.FAILED, 7, 3.0)


async def test_success_without_a_file_is_asked_about_once_more(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        clip = (await studio.clip()).as_uri()
        missing = Failure.of(UnexpectedReply("it says the job succeeded and names no file"))
        reports = [RUNNING, made(failure=missing), made(clip)]
        studio.provider.on_check = lambda _: reports.pop(0)
        task = await advanced(studio, await studio.start(), 3)
        assert (task.status, task.native_status, task.failure) == (Status.RUNNING, "completed", missing)

        task = await advanced(studio, task.id, 2)
        assert (task.status, task.failure) == (Status.SUCCEEDED, None)


async def test_success_that_stays_without_a_file_fails_for_the_reason_the_adapter_gives(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        withheld = Failure.of(ContentRejected("it withheld the result"))
        reports = [RUNNING, made(failure=withheld), made(failure=withheld)]
        studio.provider.on_check = lambda _: reports.pop(0)
        task_id = await studio.start()
        task = await advanced(studio, task_id, 4)

        assert (task.status, task.failure) == (Status.FAILED, withheld)
        assert studio.provider.forgotten == [task.remote_id]
        assert await studio.steps.advance(task_id) is None
        assert len(studio.provider.jobs) == 1


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
async def test_a_job_that_ended_without_a_video_says_why_and_is_let_go_of(tmp_path: Path, status: Status):
    reason = Failure.of(GenerationFailed("no GPU was free"))
    async with open_studio(tmp_path) as studio:
        studio.provider.on_check = lambda _: Report(status=status, native_status="over", failure=reason)
        task = await advanced(studio, await studio.start(), 2)

        assert (task.status, task.native_status, task.failure) == (status, "over", reason)
        assert studio.provider.forgotten == [task.remote_id]


@pytest.mark.parametrize("trouble", [ProviderUnavailable("HTTP 502"), UnexpectedReply("<html>"), ProviderBusy("slow")])
async def test_a_cancel_that_goes_wrong_is_tried_again_and_does_not_stop_the_checking(
    tmp_path: Path, trouble: KeyframeError
):
    troubles: list[Exception | None] = [trouble, None]
    async with open_studio(tmp_path, ScriptedProvider(on_cancel=lambda _: troubles.pop(0))) as studio:
        task_id = await studio.start()
        await advanced(studio, task_id)
        await studio.engine.cancel(task_id, ME)
        task = await advanced(studio, task_id)
        assert (task.status, task.cancel_requested) == (Status.RUNNING, True)
        assert len(studio.provider.checks) == 1

        studio.provider.on_check = lambda _: Report(status=Status.CANCELLED, native_status="canceled")
        task = await advanced(studio, task_id)
        assert task.status is Status.CANCELLED
        assert len(studio.provider.cancelled) == 2


async def test_a_refused_cancel_becomes_a_warning_and_is_not_repeated(tmp_path: Path):
    refusal = ProviderRefused("it is too late")
    async with open_studio(tmp_path, ScriptedProvider(on_cancel=lambda _: refusal)) as studio:
        task_id = await studio.start()
        await advanced(studio, task_id)
        await studio.engine.cancel(task_id, ME)
        task = await advanced(studio, task_id, 3)

        assert (task.status, task.cancel_requested) == (Status.RUNNING, False)
        assert "did not stop the job: it is too late" in (task.stop_refusal or "")
        assert len(studio.provider.cancelled) == 1
        assert len(studio.provider.checks) == 3


# Saving


async def test_every_output_is_kept(tmp_path: Path):
    async with open_studio(tmp_path) as studio, SiliconFlow() as host:
        urls = [film(host, f"{number}.mp4") for number in range(3)]
        task = await advanced(studio, await saving(studio, made(*urls)))

        assert task.status is Status.SUCCEEDED
        assert [output.url for output in task.outputs] == urls
        files = [Path(output.file or "") for output in task.outputs]
        assert [file.name for file in files] == [f"{task.id}.mp4", f"{task.id}-2.mp4", f"{task.id}-3.mp4"]
        assert all(file.read_bytes() == host.film for file in files)
        assert len(host.asked("download")) == 3


async def test_the_provider_s_address_is_shown_until_our_copy_is_here(tmp_path: Path):
    async with open_studio(tmp_path) as studio, SiliconFlow() as host:
        url = film(host, "a.mp4")
        task_id = await saving(studio, made(url))
        task = await studio.store.get(task_id)

        # the provider of the studio keeps results for 600 seconds
        until = datetime.fromtimestamp(studio.clock.now + 600, UTC)
        assert task.remote_expires_at == studio.clock.now + 600
        (output,) = shown(task)
        assert (output.url, output.file, output.expires_at) == (url, None, until)

        (output,) = shown(await advanced(studio, task_id))
        assert (output.url, output.file) == (url, str(tmp_path / "out" / f"{task_id}.mp4"))
        assert output.expires_at == until


async def test_a_file_on_this_machine_is_nobody_s_address(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await saving(studio, made((await studio.clip()).as_uri()))

        assert "outputs" not in TaskView.of(await studio.store.get(task_id)).data()


@pytest.mark.parametrize("trouble", [Answer(503, b""), Reset(), Answer(429, b"")])
async def test_trouble_while_saving_is_waited_out(tmp_path: Path, trouble: Answer | Reset):
    async with open_studio(tmp_path) as studio, SiliconFlow() as host:
        url = film(host, "a.mp4")
        host.next("download", trouble, times=2)
        task_id = await saving(studio, made(url))
        for _ in range(2):
            assert await studio.steps.advance(task_id) == 15
            task = await studio.store.get(task_id)
            assert (task.status, task.failure and task.failure.kind) == (Status.SAVING, "provider_unavailable")
            assert [output.url for output in shown(task)] == [url]

        task = await advanced(studio, task_id)
        assert (task.status, task.failure) == (Status.SUCCEEDED, None)
        assert len(host.asked("download")) == 3
        assert len(studio.provider.checks) == 1


async def test_where_a_result_is_gone_the_provider_is_asked_for_a_new_address(tmp_path: Path):
    async with open_studio(tmp_path) as studio, SiliconFlow() as host:
        gone, here = film(host, "old.mp4", seconds=0), film(host, "new.mp4")
        task_id = await saving(studio, made(gone))
        studio.provider.on_check = lambda _: made(here)

        assert await studio.steps.advance(task_id) == 0
        task = await studio.store.get(task_id)
        assert (task.status, task.remote_outputs) == (Status.SAVING, (here,))
        task = await advanced(studio, task_id)
        assert task.status is Status.SUCCEEDED
        assert task.outputs[0].url == here


async def test_a_new_address_is_asked_for_three_times_at_most(tmp_path: Path):
    async with open_studio(tmp_path) as studio, SiliconFlow() as host:
        task_id = await saving(studio, made(film(host, "0.mp4", seconds=0)))
        studio.provider.on_check = lambda _: made(film(host, f"{len(studio.provider.checks)}.mp4", seconds=0))
        for _ in range(8):
            await studio.steps.advance(task_id)

        task = await studio.store.get(task_id)
        assert (task.status, task.failure and task.failure.kind) == (Status.FAILED, "result_gone")
        assert len(host.asked("download")) == 4
        assert studio.provider.forgotten == [task.remote_id]


@pytest.mark.parametrize(("again", "tries"), [("the same", 4), ("none", 1)])
async def test_a_provider_that_knows_no_new_address_has_lost_the_video(tmp_path: Path, again: str, tries: int):
    async with open_studio(tmp_path) as studio, SiliconFlow() as host:
        url = film(host, "a.mp4", seconds=0)
        task_id = await saving(studio, made(url))
        studio.provider.on_check = lambda _: made(*([url] if again == "the same" else []))
        task = await advanced(studio, task_id, tries)

        assert (task.status, task.failure and task.failure.kind) == (Status.FAILED, "result_gone")
        assert [output.url for output in shown(task)] == [url]
        assert len(host.asked("download")) == tries


async def test_a_result_that_is_missing_once_is_fetched_again(tmp_path: Path):
    async with open_studio(tmp_path) as studio, SiliconFlow() as host:
        task_id = await saving(studio, made(film(host, "a.mp4")))
        host.next("download", web_page(404))

        assert (await advanced(studio, task_id)).status is Status.SAVING
        assert (await advanced(studio, task_id)).status is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("trouble", "delay"), [(ProviderUnavailable("HTTP 502"), 10), (ProviderBusy("slow", retry_after=33), 33)]
)
async def test_a_provider_that_cannot_be_asked_where_the_result_is_loses_nothing(
    tmp_path: Path, trouble: KeyframeError, delay: float
):
    async with open_studio(tmp_path) as studio, SiliconFlow() as host:
        task_id = await saving(studio, made(film(host, "a.mp4", seconds=0)))
        answers: list[Report | Exception] = [trouble, made(film(host, "b.mp4"))]
        studio.provider.on_check = lambda _: answers.pop(0)

        assert await studio.steps.advance(task_id) == delay
        assert (await studio.store.get(task_id)).status is Status.SAVING
        assert (await advanced(studio, task_id, 2)).status is Status.SUCCEEDED


async def test_a_page_that_got_in_between_is_fetched_again(tmp_path: Path):
    async with open_studio(tmp_path) as studio, SiliconFlow() as host:
        url = film(host, "a.mp4")
        host.next("download", web_page(200))
        task_id = await saving(studio, made(url))

        assert await studio.steps.advance(task_id) == 15
        task = await studio.store.get(task_id)
        assert (task.status, task.remote_outputs) == (Status.SAVING, (url,))
        task = await advanced(studio, task_id)
        assert (task.status, task.failure) == (Status.SUCCEEDED, None)


async def test_what_is_no_video_however_often_it_is_fetched_fails_the_task_with_words(tmp_path: Path):
    async with open_studio(tmp_path) as studio, SiliconFlow() as host:
        page = host.publish(b"<html>sorry</html>", "text/html", "a.mp4")
        task_id = await saving(studio, made(page))
        for _ in range(8):
            await studio.steps.advance(task_id)

        task = await studio.store.get(task_id)
        assert task.status is Status.FAILED
        assert task.failure is not None
        assert task.failure.kind == "unexpected_reply"
        assert "no video" in task.failure.message
        assert len(host.asked("download")) == 4
        assert not (tmp_path / "out" / f"{task_id}.mp4").exists()


async def test_a_job_the_provider_disowns_is_said_to_be_missing_and_comes_back_when_it_is_known_again(tmp_path: Path):
    provider = ScriptedProvider(on_check=lambda _: ProviderRefused("prediction not found"))
    async with open_studio(tmp_path, provider) as studio:
        task = await advanced(studio, await studio.start(), 2)
        assert task.status is Status.RUNNING
        studio.clock.now += PACE.disowned - 1
        assert (await advanced(studio, task.id)).status is Status.RUNNING
        studio.clock.now += 1
        task = await advanced(studio, task.id)
        assert task.status is Status.UNKNOWN
        assert task.failure is not None
        assert task.failure.kind == "job_lost"
        assert str(task.remote_id) in TaskView.of(task).next_step

        assert (await advanced(studio, task.id)).status is Status.UNKNOWN
        provider.on_check = lambda _: RUNNING
        task = await advanced(studio, task.id)
        assert (task.status, task.failure, task.unheard_since) == (Status.RUNNING, None, None)
        assert len(provider.jobs) == 1


async def test_silence_is_borne_for_hours_and_one_answer_ends_it(tmp_path: Path):
    provider = ScriptedProvider(on_check=lambda _: ProviderUnavailable("no route"))
    async with open_studio(tmp_path, provider) as studio:
        task_id = await studio.start()
        await advanced(studio, task_id, 2)
        studio.clock.now += PACE.silence - 1
        assert (await advanced(studio, task_id)).status is Status.RUNNING
        provider.on_check = lambda _: RUNNING
        assert (await advanced(studio, task_id)).unheard_since is None
        provider.on_check = lambda _: ProviderUnavailable("no route")
        studio.clock.now += PACE.silence - 1
        assert (await advanced(studio, task_id)).status is Status.RUNNING
        studio.clock.now += PACE.silence
        assert (await advanced(studio, task_id)).status is Status.UNKNOWN


async def test_a_missing_job_is_asked_after_a_few_times_and_then_left(tmp_path: Path):
    provider = ScriptedProvider(on_check=lambda _: ProviderRefused("prediction not found"))
    async with open_studio(tmp_path, provider) as studio:
        task_id = await studio.start()
        await advanced(studio, task_id, 2)
        studio.clock.now += PACE.disowned
        delay = await studio.steps.advance(task_id)
        waited = [delay]
        while delay is not None and len(waited) < 20:
            delay = await studio.steps.advance(task_id)
            waited.append(delay)

        assert waited == [*PACE.looks, None]


async def test_an_answer_to_a_submission_that_cannot_be_read_never_says_try_again(tmp_path: Path):
    async with open_studio(tmp_path, ScriptedProvider(on_submit=lambda _: UnexpectedReply("<html>"))) as studio:
        task = await advanced(studio, await studio.start())

        assert task.status is Status.UNKNOWN
        assert task.failure is not None
        assert task.failure.kind == "submission_uncertain"
        assert "<html>" in task.failure.message
        assert "not sent again" in task.failure.message


async def test_trouble_of_a_task_that_goes_on_advises_nobody_to_start_again(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        studio.provider.on_check = lambda _: ProviderUnavailable("no route")
        view = TaskView.of(await advanced(studio, await studio.start(), 2))

        assert view.error is not None
        assert not view.error.retryable
        assert "Do not start it again" in view.error.fix


async def test_a_mistake_of_ours_is_shown_on_the_task_and_tried_again(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        studio.provider.on_check = lambda _: ZeroDivisionError("ours")
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        assert await studio.steps.advance(task_id) == PACE.trouble
        task = await studio.store.get(task_id)
        assert task.failure is not None
        assert "ZeroDivisionError" in task.failure.message
        studio.provider.on_check = lambda _: RUNNING

        assert (await advanced(studio, task_id)).failure is None


async def test_a_job_of_unknown_fate_is_looked_for_with_what_stood_for_its_pictures(tmp_path: Path):
    provider = ScriptedProvider(on_submit=lambda _: SubmissionUncertain())
    looked: list[Job] = []
    provider.on_find = lambda job, _: looked.append(job)
    async with open_studio(tmp_path, provider) as studio:
        names = [str(picture(tmp_path / f"{name}.png", shade)) for name, shade in (("first", 90), ("last", 200))]
        request = Inputs(mode=Mode.FLF2V, first_image=names[0], last_image=names[1])
        task_id = (await studio.engine.start(ME, request, model="paid/film")).task.id
        await advanced(studio, task_id, 2)

        (sent,), (job,) = provider.jobs, looked
        assert job.wire == sent.wire
        assert str(sent.wire["first_image"]).startswith("https://provider.test/")


async def test_bytes_that_stood_for_a_picture_are_not_kept(tmp_path: Path):
    provider = ScriptedProvider(on_submit=lambda _: SubmissionUncertain())
    provider.on_send = lambda _: Sent(text="data:image/png;base64,QUJD")
    async with open_studio(tmp_path, provider) as studio:
        names = [str(picture(tmp_path / f"{name}.png", shade)) for name, shade in (("first", 90), ("last", 200))]
        request = Inputs(mode=Mode.FLF2V, first_image=names[0], last_image=names[1])
        task_id = (await studio.engine.start(ME, request, model="paid/film")).task.id
        task = await advanced(studio, task_id)

        assert task.sent_pictures == {"first_image": "", "last_image": ""}
        assert "QUJD" not in task.model_dump_json()


async def test_what_was_uploaded_is_not_used_again_once_the_provider_could_not_read_it(tmp_path: Path):
    unread = Report(status=Status.FAILED, failure=Failure.of(ProviderRefused("no picture")), is_picture_gone=True)
    provider = ScriptedProvider(on_check=lambda _: unread)
    async with open_studio(tmp_path, provider) as studio:
        names = [str(picture(tmp_path / f"{name}.png", shade)) for name, shade in (("first", 90), ("last", 200))]
        request = Inputs(mode=Mode.FLF2V, first_image=names[0], last_image=names[1])
        for _ in range(2):
            task_id = (await studio.engine.start(ME, request, model="paid/film")).task.id
            assert (await advanced(studio, task_id, 2)).status is Status.FAILED

        assert len(provider.sent) == 4


async def test_a_video_much_shorter_than_asked_for_is_pointed_out(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        clip = (await studio.clip()).as_uri()
        studio.provider.on_check = lambda _: made(clip)
        task = await advanced(studio, await studio.start(duration=10), 3)

        assert task.status is Status.SUCCEEDED
        assert "the video has 1 s; 10 s were asked for" in task.warnings


async def test_the_answer_to_a_job_that_is_being_sent_is_waited_for_when_the_server_closes(tmp_path: Path):
    request = Inputs(mode=Mode.ANIMATION, prompt_start="a", prompt_end="b")
    async with Replicate() as provider, anyio.create_task_group() as tasks:
        environment = {"KEYFRAME_REPLICATE_BASE_URL": provider.base_url, "REPLICATE_API_TOKEN": "emulated-key"}
        environment["KEYFRAME_ALLOW_LOOPBACK"] = "1"
        provider.next("submit", Silence(recorded=True))
        async with open_server_inside(tmp_path, **environment) as application:
            task = (await application.engine.start(ME, request, model="replicate/stable-diffusion-animation")).task
            await provider.until_asked("submit")
            assert application.is_sending()
            tasks.start_soon(release_while_closing, provider)
        async with open_server_inside(tmp_path, **environment) as application:
            seen = [task async for (task,) in application.engine.follow([task.id], ME, 30)]

        assert seen[-1].status is Status.SUCCEEDED
        assert len(provider.jobs) == len(provider.asked("submit")) == 1


async def test_few_jobs_are_on_their_way_to_a_provider_at_once_and_the_others_wait_unsent(tmp_path: Path):
    async with Replicate() as provider:
        chosen = {"KEYFRAME_REPLICATE_BASE_URL": provider.base_url, "REPLICATE_API_TOKEN": "emulated-key"}
        provider.next("submit", Silence(recorded=True), times=6)
        async with open_server_inside(tmp_path, **chosen, KEYFRAME_ALLOW_LOOPBACK="1") as application:
            engine, ids = application.engine, list[str]()
            for number in range(6):
                request = Inputs(mode=Mode.ANIMATION, prompt_start="a", prompt_end=f"b {number}")
                ids.append((await engine.start(ME, request, model="replicate/stable-diffusion-animation")).task.id)
            await provider.until_asked("submit", 4)
            statuses = sorted([(await engine.get(each, ME)).status for each in ids])
            assert statuses == [Status.QUEUED] * 2 + [Status.SUBMITTING] * 4
            provider.release()
            await provider.until_asked("submit", 6)
            provider.release()
            with anyio.fail_after(30):
                seen = [tasks async for tasks in engine.follow(ids, ME, 30)]

        assert {task.status for task in seen[-1]} == {Status.SUCCEEDED}
        assert len(provider.jobs) == 6


async def test_a_provider_that_does_not_answer_keeps_no_other_provider_s_task_waiting(tmp_path: Path):
    async with Replicate() as silent, SiliconFlow() as other:
        chosen = {
            "KEYFRAME_ALLOW_LOOPBACK": "1",
            "KEYFRAME_REPLICATE_BASE_URL": silent.base_url,
            "REPLICATE_API_TOKEN": "emulated-key",
            "KEYFRAME_SILICONFLOW_BASE_URL": other.base_url,
            "SILICONFLOW_API_KEY": "emulated-key",
        }
        silent.next("submit", Silence(recorded=False), times=MOST_AT_ONCE)
        async with open_server_inside(tmp_path, **chosen) as application:
            engine = application.engine
            for number in range(MOST_AT_ONCE + 6):
                request = Inputs(mode=Mode.ANIMATION, prompt_start="a", prompt_end=f"b {number}")
                await engine.start(ME, request, model="replicate/stable-diffusion-animation")
            await silent.until_asked("submit", 4)
            words = Inputs(mode=Mode.T2V, prompt="a heron")
            task = (await engine.start(ME, words, model="siliconflow/wan2.2-t2v")).task
            with anyio.fail_after(30):
                seen = [latest async for (latest,) in engine.follow([task.id], ME, 25)]
            assert len(silent.asked("submit")) == 4
            silent.release()

        assert seen[-1].status is Status.SUCCEEDED


async def release_while_closing(provider: Replicate) -> None:
    """Answer once the server has had many a turn to close what it should not."""
    for _ in range(200):
        await anyio.lowlevel.checkpoint()
    provider.release()


async def test_nothing_is_sent_while_there_is_no_place_for_the_result(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        (tmp_path / "out").write_text("a file where the folder should be")
        task_id = await studio.start()
        task = await advanced(studio, task_id)
        assert (task.status, studio.provider.jobs) == (Status.QUEUED, [])
        assert task.failure is not None
        assert "nothing is sent" in task.failure.message

        (tmp_path / "out").unlink()
        assert (await advanced(studio, task_id)).status is Status.RUNNING
        assert list((tmp_path / "out").iterdir()) == []


async def test_a_task_that_was_cancelled_unsent_says_nothing_of_what_it_waited_for(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        studio.provider.on_submit = lambda _: ProviderBusy("slow down")
        task_id = await studio.start()
        await studio.steps.advance(task_id)

        task = await studio.engine.cancel(task_id, ME)
        assert (task.status, task.failure, task.counted_usd) == (Status.CANCELLED, None, 0)

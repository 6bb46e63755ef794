"""A provider that is out of order is left alone for a while, and its tasks say so and wait."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from emulators.faults import Answer
from emulators.replicate import Replicate
from emulators.results import MP4
from emulators.siliconflow import SiliconFlow
from keyframe_mcp.adapters.base import Found, Job, Report, Sent
from keyframe_mcp.engine.circuit import FAILURES, UNREACHED, Circuit, Circuits, Watched
from keyframe_mcp.engine.pace import PACE
from keyframe_mcp.errors import (
    CredentialRefused,
    KeyframeError,
    ProviderBusy,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUncertain,
    UnexpectedReply,
)
from keyframe_mcp.task import Inputs, Mode, Picture, Status, Task
from studio import ME, ScriptedProvider, Studio, open_server_inside, open_studio, picture

NOW = 1_000_000.0
RUNNING = Report(status=Status.RUNNING, native_status="rendering")
DOWN = ProviderUnavailable("no route")
HERONS = itertools.count()  # the same words again would be the same task


def failing(times: int = FAILURES, apart: float = 1.0) -> Circuit:
    """A circuit that has heard of so many failures; the last is now."""
    circuit = Circuit(PACE)
    for number in reversed(range(times)):
        circuit.failed(NOW - number * apart, within=30)
    return circuit


# The circuit


def test_five_failures_within_half_a_minute_open_it_for_fifteen_seconds():
    circuit = failing()

    assert circuit.enter(NOW) == 15
    assert circuit.enter(NOW + 14) == 1
    assert circuit.enter(NOW + 15) == 0


def test_four_failures_do_not():
    assert failing(4).enter(NOW) == 0


def test_neither_do_five_that_are_far_apart():
    assert failing(apart=8).enter(NOW) == 0


def test_an_answer_in_between_starts_the_count_again():
    circuit = failing(4)
    circuit.heard()
    circuit.failed(NOW, within=30)

    assert circuit.enter(NOW) == 0


def test_when_the_pause_is_over_one_may_try_and_the_others_wait():
    circuit = failing()

    assert [circuit.enter(NOW + 15) for _ in range(3)] == [0, 15, 15]


def test_a_try_that_makes_no_call_leaves_it_to_the_next():
    circuit = failing()
    circuit.enter(NOW + 15)
    circuit.leave()

    assert circuit.enter(NOW + 15) == 0


def test_a_try_that_fails_doubles_the_pause_up_to_five_minutes():
    circuit, now, pauses = failing(), NOW, list[float]()
    for _ in range(7):
        pauses.append(circuit.enter(now))
        now += pauses[-1]
        assert circuit.enter(now) == 0
        circuit.failed(now, within=30)

    assert pauses == [15, 30, 60, 120, 240, 300, 300]


def test_a_try_that_is_answered_closes_it_and_the_next_pause_is_short_again():
    circuit = failing()
    circuit.enter(NOW + 15)
    circuit.failed(NOW + 15, within=30)
    circuit.enter(NOW + 45)
    circuit.heard()
    assert [circuit.enter(NOW + 45) for _ in range(3)] == [0, 0, 0]

    for _ in range(FAILURES):
        circuit.failed(NOW + 50, within=30)
    assert circuit.enter(NOW + 50) == 15


def test_a_call_that_had_begun_before_does_not_lengthen_the_pause():
    circuit = failing()
    circuit.failed(NOW + 10, within=30)

    assert circuit.enter(NOW + 10) == 5


def test_a_clock_that_is_set_back_does_not_lengthen_the_pause():
    circuit = failing()

    assert circuit.enter(NOW - 86_400) == 15
    assert circuit.enter(NOW - 86_400 + 15) == 0


def unreached(circuit: Circuit, times: int) -> Circuit:
    """A circuit that was tried so often with a question that failed, each time as soon as it could be."""
    now = NOW
    for _ in range(times):
        now += circuit.enter(now)
        assert circuit.enter(now) == 0
        circuit.failed(now, within=30)
        circuit.unreached()
    return circuit


def test_a_question_that_fails_until_the_pause_is_longest_leaves_the_try_to_a_submission():
    assert [unreached(failing(), times).dares() for times in range(7)] == [False] * 5 + [True] * 2


def test_after_each_such_submission_the_question_is_asked_twice_as_often_for_up_to_two_hours():
    circuit, asked = failing(), list[int]()
    for _ in range(5):
        asked.append(0)
        while not circuit.dares():
            circuit.unreached()
            asked[-1] += 1

    assert asked == [5, 10, 20, 24, 24]
    circuit.unreached()
    circuit.heard()
    assert [unreached(circuit, 1).dares() for _ in range(6)] == [False] * 4 + [True, False]


def test_every_provider_has_its_own():
    circuits = Circuits()
    for _ in range(FAILURES):
        circuits.of("one", PACE).failed(NOW, within=30)

    assert circuits.of("one", PACE).enter(NOW) == 15
    assert circuits.of("other", PACE).enter(NOW) == 0


# With tasks


async def running(studio: Studio, count: int = 1) -> list[str]:
    """The ids of tasks whose provider has taken their jobs."""
    ids = [await studio.start(prompt=f"heron {next(HERONS)}") for _ in range(count)]
    for each in ids:
        await studio.steps.advance(each)
    return ids


async def break_down(studio: Studio) -> None:
    """Five questions about five jobs go unanswered."""
    ids = await running(studio, FAILURES)
    studio.provider.on_check = lambda _: DOWN
    for each in ids:
        await studio.steps.advance(each)
    studio.provider.checks.clear()
    studio.provider.jobs.clear()


async def seen(studio: Studio, task_id: str) -> tuple[Task, float | None]:
    """A task after one step, and what that said about the next."""
    delay = await studio.steps.advance(task_id)
    return await studio.store.get(task_id), delay


async def test_while_it_is_open_nobody_is_asked_or_sent_anything_and_tasks_say_why(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        (asked,) = await running(studio)
        names = [str(picture(tmp_path / f"{name}.png", shade)) for name, shade in (("first", 90), ("last", 200))]
        request = Inputs(mode=Mode.FLF2V, first_image=names[0], last_image=names[1])
        waits = (await studio.engine.start(ME, request, model="paid/film")).task.id
        await break_down(studio)

        for task_id, status in ((asked, Status.RUNNING), (waits, Status.QUEUED)):
            task, delay = await seen(studio, task_id)
            assert task.status is status
            assert delay is not None
            assert 15 <= delay <= 21
            assert task.failure is not None
            assert "A provider that bills did not answer 5 times in a row" in task.failure.message
            assert "it is asked again at 13:46:55 UTC" in task.failure.message
            assert task.unheard_since is None
        provider = studio.provider
        assert (provider.checks, provider.jobs, provider.sent) == ([], [], [])


async def test_what_is_said_while_it_is_open_is_written_once(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        (task_id,) = await running(studio)
        await break_down(studio)
        before, _ = await seen(studio, task_id)
        studio.clock.now += 5

        assert (await seen(studio, task_id))[0] == before


async def test_when_the_provider_answers_again_everything_goes_on(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        (asked,) = await running(studio)
        waits = await studio.start()
        await break_down(studio)
        await studio.steps.advance(waits)
        studio.clock.now += PACE.pause
        studio.provider.on_check = lambda _: RUNNING

        assert (await seen(studio, asked))[0].failure is None
        assert (await seen(studio, waits))[0].status is Status.RUNNING
        assert (len(studio.provider.checks), len(studio.provider.jobs)) == (1, 1)


async def test_one_task_tries_and_when_that_fails_the_others_are_not_asked_about(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        ids = await running(studio, 4)
        await break_down(studio)
        studio.clock.now += PACE.pause
        for each in ids:
            await studio.steps.advance(each)

        assert len(studio.provider.checks) == 1
        _, delay = await seen(studio, ids[0])
        assert delay is not None
        assert 30 <= delay <= 36


async def test_questions_are_tried_before_submissions(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        (asked,), waits = await running(studio), await studio.start()
        await break_down(studio)
        for chances in ((0.0, 0.0), (0.99, 0.0), (0.5, 0.5)):
            early, late = (replace(studio.steps, chance=lambda each=each: each) for each in chances)
            before, after = await early.advance(asked), await late.advance(waits)
            assert before is not None
            assert after is not None
            assert before < after


async def test_a_task_that_is_cancelled_before_it_was_sent_does_not_wait(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()
        await break_down(studio)
        await studio.store.move(task_id, of={Status.QUEUED}, changes={"cancel_requested": True})

        assert (await seen(studio, task_id))[0].status is Status.CANCELLED


async def test_a_task_of_unknown_fate_keeps_its_advice_and_its_looks(tmp_path: Path):
    looked: list[Job] = []
    provider = ScriptedProvider(on_submit=lambda _: SubmissionUncertain())
    async with open_studio(tmp_path, provider) as studio:
        provider.on_find = lambda job, _: looked.append(job) or Found()
        (task_id,) = await running(studio)
        before = await studio.store.get(task_id)
        assert before.status is Status.UNKNOWN
        provider.on_submit = lambda job: job.task_id
        await break_down(studio)

        task, delay = await seen(studio, task_id)
        assert task == before
        assert delay is not None
        assert delay >= 15
        assert looked == []
        studio.clock.now += PACE.pause
        assert (await seen(studio, task_id))[0].looks == 1
        assert len(looked) == 1


async def test_a_result_is_downloaded_all_the_same_but_nobody_is_asked_for_its_new_address(tmp_path: Path):
    async with open_studio(tmp_path) as studio, SiliconFlow() as host:
        ids = await running(studio, 2)
        here, gone = host.publish(host.film, MP4, "a.mp4"), host.publish(host.film, MP4, "b.mp4", 0)
        for task_id, url in zip(ids, (here, gone), strict=True):
            made = Report(status=Status.SUCCEEDED, outputs=(url,))
            studio.provider.on_check = lambda _, made=made: made
            await studio.steps.advance(task_id)
        await break_down(studio)

        assert (await seen(studio, ids[0]))[0].status is Status.SUCCEEDED
        task, _ = await seen(studio, ids[1])
        assert task.status is Status.SAVING
        assert task.failure is not None
        assert "5 times in a row" in task.failure.message
        assert studio.provider.checks == []


@pytest.mark.parametrize("doubt", [SubmissionUncertain(), UnexpectedReply("<html>"), ProviderUnavailable()])
async def test_submissions_whose_fate_is_unknown_count(tmp_path: Path, doubt: KeyframeError):
    async with open_studio(tmp_path, ScriptedProvider(on_submit=lambda _: doubt)) as studio:
        ids = await running(studio, FAILURES + 2)

        assert len(studio.provider.jobs) == FAILURES
        assert [(await studio.store.get(each)).status for each in ids[-2:]] == [Status.QUEUED] * 2


async def test_submissions_that_time_out_a_few_at_a_time_count_and_the_try_is_not_a_paid_one(tmp_path: Path):
    provider = ScriptedProvider(on_submit=lambda _: SubmissionUncertain(), on_reach=lambda: DOWN)
    async with open_studio(tmp_path, provider) as studio:
        sent = list[int]()
        for _ in range(3):
            await running(studio, 4)
            studio.clock.now += 90
            sent.append(len(provider.jobs))
        assert sent == [4, FAILURES, FAILURES]
        assert provider.reached == 1

        provider.on_reach, provider.on_submit = (lambda: None), (lambda job: job.task_id)
        studio.clock.now += 600
        (task_id,) = await running(studio)
        assert (await studio.store.get(task_id)).status is Status.RUNNING


async def waited_for(studio: Studio, task_id: str, hours: float) -> Task:
    """A task after so long, or as soon as it is no longer queued."""
    end = studio.clock.now + hours * 3600
    while (task := await studio.store.get(task_id)).status is Status.QUEUED and studio.clock.now < end:
        delay = await studio.steps.advance(task_id)
        studio.clock.now += delay or 1
    return task


async def test_a_harmless_question_that_is_broken_for_good_does_not_keep_jobs_from_being_sent(tmp_path: Path):
    provider = ScriptedProvider(on_submit=lambda _: DOWN, on_reach=lambda: DOWN)
    async with open_studio(tmp_path, provider) as studio:
        (task_id,) = await running(studio)
        for _ in range(FAILURES - 1):
            await studio.steps.advance(task_id)
        provider.on_submit = lambda job: job.task_id

        assert (await waited_for(studio, task_id, 0.5)).status is Status.RUNNING
        assert (len(provider.jobs), provider.reached) == (FAILURES + 1, 5)
        (other,) = await running(studio)
        assert (await studio.store.get(other)).status is Status.RUNNING


async def test_few_jobs_are_sent_into_the_dark_while_nothing_works(tmp_path: Path):
    provider = ScriptedProvider(on_submit=lambda _: DOWN, on_reach=lambda: DOWN)
    async with open_studio(tmp_path, provider) as studio:
        (task_id,) = await running(studio)

        assert (await waited_for(studio, task_id, 8)).status is Status.QUEUED
        assert len(provider.jobs) == FAILURES + 4


async def test_when_one_job_is_the_try_the_others_wait(tmp_path: Path):
    provider = ScriptedProvider(on_submit=lambda _: SubmissionUncertain(), on_reach=lambda: DOWN)
    async with open_studio(tmp_path, provider) as studio:
        ids = await running(studio, FAILURES + 3)
        waiting = ids[FAILURES:]
        for _ in range(200):
            studio.clock.now += 10
            for each in waiting:
                await studio.steps.advance(each)
            if len(provider.jobs) > FAILURES:
                break

        assert len(provider.jobs) == FAILURES + 1
        statuses = sorted([(await studio.store.get(each)).status for each in waiting])
        assert statuses == [Status.QUEUED, Status.QUEUED, Status.UNKNOWN]


async def between_pictures(studio: Studio, count: int) -> None:
    """The first step of tasks that have pictures of their own."""
    for number in range(count):
        names = [str(picture(studio.folder / f"{shade}-{number}.png", shade, shift=number)) for shade in (90, 200)]
        request = Inputs(mode=Mode.FLF2V, first_image=names[0], last_image=names[1])
        await studio.steps.advance((await studio.engine.start(ME, request, model="paid/film")).task.id)


async def test_uploads_that_fail_count(tmp_path: Path):
    async with open_studio(tmp_path, ScriptedProvider(on_send=lambda _: DOWN)) as studio:
        await between_pictures(studio, FAILURES + 2)

        assert len(studio.provider.sent) == FAILURES
        assert studio.provider.jobs == []


async def test_a_picture_that_needs_no_upload_is_no_answer(tmp_path: Path):
    async with open_studio(tmp_path, ScriptedProvider(on_submit=lambda _: DOWN)) as studio:
        await between_pictures(studio, FAILURES + 2)

        assert len(studio.provider.jobs) == FAILURES


async def test_an_answered_upload_is_as_good_a_try_as_a_harmless_question(tmp_path: Path):
    async with open_studio(tmp_path, ScriptedProvider(on_reach=lambda: DOWN)) as studio:
        await break_down(studio)
        studio.clock.now += PACE.pause
        await between_pictures(studio, 1)

        assert (len(studio.provider.sent), studio.provider.reached, len(studio.provider.jobs)) == (2, 0, 1)


@pytest.mark.parametrize(
    "text", [lambda _: "data:image/png;base64,AAAA", lambda picture: picture.url], ids=["inline", "a URL"]
)
async def test_a_picture_that_was_not_uploaded_is_no_try(tmp_path: Path, text: Callable[[Picture], str]):
    provider = ScriptedProvider(on_reach=lambda: DOWN, on_send=lambda picture: Sent(text=text(picture)))
    circuit, pace = failing(), PACE
    watched = Watched(provider, circuit, lambda: NOW + pace.pause, pace, "it")
    await watched.send(Picture.model_construct(url="https://somewhere.test/a.png"))

    assert circuit.is_open


async def test_a_price_that_was_told_is_as_good_a_try_as_a_harmless_question(tmp_path: Path):
    async with open_studio(tmp_path, ScriptedProvider(on_reach=lambda: DOWN)) as studio:
        waits = await studio.start()
        await break_down(studio)
        studio.provider.on_quote = lambda _: 0.5
        studio.clock.now += PACE.pause
        await studio.steps.advance(waits)

        assert (studio.provider.reached, len(studio.provider.jobs)) == (0, 1)


async def test_prices_that_are_told_do_not_hide_submissions_that_fail(tmp_path: Path):
    provider = ScriptedProvider(on_submit=lambda _: SubmissionUncertain(), on_quote=lambda _: 0.5)
    async with open_studio(tmp_path, provider) as studio:
        await running(studio, FAILURES + 2)

        assert len(provider.jobs) == FAILURES


async def test_a_step_that_had_begun_before_it_was_left_alone_gives_no_second_one_the_try(tmp_path: Path):
    circuit, now = Circuit(PACE), NOW
    early, trying = (Watched(ScriptedProvider(), circuit, lambda: now, PACE, "it") for _ in range(2))
    assert early.wait() == 0
    for _ in range(FAILURES):
        circuit.failed(NOW, within=30)
    now = NOW + PACE.pause
    assert trying.wait() == 0
    early.leave()

    assert circuit.enter(now) > 0
    trying.leave()
    assert circuit.enter(now) == 0


async def test_steps_that_had_begun_before_it_was_left_alone_are_no_tries():
    provider, circuit = ScriptedProvider(on_reach=lambda: DOWN), Circuit(PACE)
    early = [Watched(provider, circuit, lambda: NOW, PACE, "it") for _ in range(UNREACHED + 1)]
    assert not any(each.wait() for each in early)
    for _ in range(FAILURES):
        circuit.failed(NOW, within=30)
    job = Job(task_id="kf_1", attempt=1, model="film-v1", mode=Mode.T2V, wire={})
    for each in early[:UNREACHED]:
        with pytest.raises(ProviderUnavailable):
            await each.submit(job)
    assert not circuit.dares()

    unreached(circuit, UNREACHED)
    with pytest.raises(ProviderUnavailable):
        await early[-1].submit(job)
    assert (provider.reached, provider.jobs) == (UNREACHED + 1, [])


@pytest.mark.parametrize(
    "answer", [ProviderBusy("slow"), ProviderRefused("no such job"), CredentialRefused("no"), UnexpectedReply("<html>")]
)
async def test_a_provider_that_answers_is_not_out_of_order_whatever_it_says(tmp_path: Path, answer: KeyframeError):
    async with open_studio(tmp_path) as studio:
        ids = await running(studio, FAILURES + 2)
        studio.provider.on_check = lambda _: answer
        for each in ids:
            await studio.steps.advance(each)

        assert len(studio.provider.checks) == FAILURES + 2


async def test_a_no_in_between_is_an_answer(tmp_path: Path):
    answers: list[KeyframeError] = [DOWN, DOWN, DOWN, DOWN, ProviderRefused("no such job"), DOWN, DOWN]
    async with open_studio(tmp_path) as studio:
        ids = await running(studio, len(answers))
        studio.provider.on_check = lambda _: answers.pop(0)
        for each in ids:
            await studio.steps.advance(each)

        assert answers == []


async def test_a_mistake_of_ours_says_nothing_of_the_provider(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        ids = await running(studio, 4)
        await break_down(studio)
        studio.clock.now += PACE.pause
        studio.provider.on_check = lambda _: ZeroDivisionError("ours")
        for each in ids[:2]:
            await studio.steps.advance(each)

        assert len(studio.provider.checks) == 2  # the first left the try to the second


async def test_what_draws_on_this_machine_is_never_left_alone(tmp_path: Path):
    provider = ScriptedProvider(idempotent=True)
    async with open_studio(tmp_path, provider) as studio:
        ids = await running(studio, FAILURES + 2)
        provider.on_check = lambda _: DOWN
        for each in ids:
            await studio.steps.advance(each)

        assert len(provider.checks) == FAILURES + 2


async def test_a_provider_that_breaks_down_and_comes_back_makes_every_video_and_holds_nobody_else_up(tmp_path: Path):
    async with SiliconFlow() as broken, Replicate() as sound:
        chosen = {
            "KEYFRAME_ALLOW_LOOPBACK": "1",
            "KEYFRAME_SILICONFLOW_BASE_URL": broken.base_url,
            "SILICONFLOW_API_KEY": "emulated-key",
            "KEYFRAME_REPLICATE_BASE_URL": sound.base_url,
            "REPLICATE_API_TOKEN": "emulated-key",
        }
        broken.next("check", Answer(503, b""), times=10)
        async with open_server_inside(tmp_path, **chosen) as application:
            engine, ids = application.engine, list[str]()
            for number in range(8):
                words = Inputs(mode=Mode.T2V, prompt=f"heron {number}")
                ids.append((await engine.start(ME, words, model="siliconflow/wan2.2-t2v")).task.id)
            between = Inputs(mode=Mode.ANIMATION, prompt_start="a", prompt_end="b")
            ids.append((await engine.start(ME, between, model="replicate/stable-diffusion-animation")).task.id)
            with anyio.fail_after(60):
                seen = [tasks async for tasks in engine.follow(ids, ME, 50)]

        assert {task.status for task in seen[-1]} == {Status.SUCCEEDED}
        assert (len(broken.jobs), len(sound.jobs)) == (8, 1)


async def test_where_only_submitting_is_broken_one_job_at_a_time_goes_into_doubt(tmp_path: Path):
    async with open_studio(tmp_path, ScriptedProvider(on_submit=lambda _: SubmissionUncertain())) as studio:
        ids = [await studio.start(f"heron {number}") for number in range(30)]
        for _ in range(60):
            for each in ids:
                if (await studio.store.get(each)).status is Status.QUEUED:
                    await studio.steps.advance(each)
            studio.clock.now += 10

        # five open the circuit; in ten minutes of 15, 30, 60, 120, 240 ... seconds a handful follows
        assert FAILURES < len(studio.provider.jobs) <= FAILURES + 6

"""What an agent is told to do next: true, said once, and in the names of tools it has."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.server import MCPServer
from mcp.types import CallToolResult

from emulators.faults import Answer, Reset
from emulators.jobs import Pace
from keyframe_mcp import catalog as catalogs
from keyframe_mcp.adapters.base import Report
from keyframe_mcp.app import open_application
from keyframe_mcp.errors import (
    CallerError,
    ContentRejected,
    InDoubt,
    InvalidInput,
    NotReady,
    NoVideo,
    SubmissionUncertain,
    by_kind,
)
from keyframe_mcp.server.arguments import ListModels
from keyframe_mcp.server.model_list import listing
from keyframe_mcp.server.sentences import sentence
from keyframe_mcp.server.strict import CRASHED, explained
from keyframe_mcp.server.toolbox import build_tools
from keyframe_mcp.server.tools import Tools
from keyframe_mcp.server.views import TaskListView, TaskView, next_step
from keyframe_mcp.task import Cost, Failure, Inputs, Mode, Output, Status, Task
from studio import ME, Studio, open_studio, settings_in
from systems import Systems, open_systems, said

ABSENT = ("generate_animation", "regenerate", "cancel_task", "list_tasks", "extract_frame", "join_videos")
ENDLESS = Pace(checks_queued=0, checks_running=1_000_000)
PAID = "wavespeed/wan-2.1-t2v-720p"
PLAIN = "siliconflow/wan2.2-t2v"


def a_task(status: Status, **more: Any) -> Task:
    """A paid task."""
    return Task(
        id="kf_a", owner="me", mode=Mode.T2V, model="paid/film", provider="paid", request={"prompt": "p"}, wire={},
        request_hash="", status=status, created_at=1000, updated_at=1000, **more,
    )  # fmt: skip


async def ended(studio: Studio, status: Status) -> str:
    """A task that came to that."""
    studio.provider.on_submit = lambda job: SubmissionUncertain() if status is Status.UNKNOWN else job.task_id
    failure = Failure.of(ContentRejected("no")) if status is Status.FAILED else None
    studio.provider.on_check = lambda _: Report(status=status, failure=failure)
    task_id = await studio.start(f"it is {status}")
    for _ in range(2):
        await studio.steps.advance(task_id)
    assert (await studio.store.get(task_id)).status is status
    return task_id


async def refusals(studio: Studio, *task_ids: str) -> list[CallerError]:
    """How these tasks are refused as a video, as clips and as pictures."""
    films, named = studio.engine.films, [f"task:{each}" for each in task_ids]
    frames = {"first_image": named[0], "last_image": named[-1]}
    request = Inputs.model_validate({"mode": Mode.FLF2V} | frames)
    found: list[CallerError] = []
    for act in (
        films.sheet(named[0], ME, None, "full"),
        films.frame(named[0], None, ME),
        films.join([named[0], named[-1]], ME),
        studio.engine.start(ME, request, model="paid/film"),
    ):
        with pytest.raises(CallerError) as caught:
            await act
        found.append(caught.value)
    return found


@pytest.mark.parametrize(
    ("status", "kind", "outlook"),
    [
        (Status.RUNNING, NotReady, "To mend: you. The same call again: may work later."),
        (Status.FAILED, NoVideo, "To mend: you. The same call again: no use."),
        (Status.CANCELLED, NoVideo, "To mend: you. The same call again: no use."),
        (Status.UNKNOWN, InDoubt, "To mend: the user. The same call again: no use."),
    ],
)
async def test_a_task_without_a_video_is_waited_for_only_where_one_can_still_come(
    tmp_path: Path, status: Status, kind: type[CallerError], outlook: str
):
    async with open_studio(tmp_path) as studio:
        for refusal in await refusals(studio, await ended(studio, status)):
            text = explained(refusal)
            assert type(refusal) is kind
            assert text.endswith(outlook)
            assert f"is {status}" in text
            assert ("until it has succeeded" in text) is (status is Status.RUNNING)


async def test_where_waiting_mends_only_a_part_the_same_call_is_of_no_use(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        running, failed = await ended(studio, Status.RUNNING), await ended(studio, Status.FAILED)

        _, _, *gathered = await refusals(studio, running, failed)
        assert {type(each) for each in gathered} == {InvalidInput}
        assert all(len(each.problems) == 2 for each in gathered)


async def test_a_frame_is_not_taken_for_a_whole_video(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        clip = await studio.clip()
        studio.provider.on_check = lambda _: Report(status=Status.SUCCEEDED, outputs=(clip.as_uri(),))
        task_id = await studio.start()
        for _ in range(3):
            await studio.steps.advance(task_id)
        films, frame = studio.engine.films, f"task:{task_id}#first"

        for act in (films.sheet(frame, ME, None, "full"), films.join([f"task:{task_id}@0.5", frame], ME)):
            with pytest.raises(
                InvalidInput, match=f"names one frame, and a whole video is meant; write task:{task_id}"
            ):
                await act
        assert (await films.frame(frame, None, ME)).at == 0


def test_an_empty_list_of_one_status_is_no_reason_to_pay():
    assert (
        TaskListView.of([], Status.FAILED).next_step == "No task is failed. list_tasks without status shows the others."
    )
    assert TaskListView.of([]).next_step == "Nothing yet: call a generate tool."


def test_a_list_says_in_a_few_words_why_a_task_failed():
    failure = Failure.of(ContentRejected("the prompt " + "is long and " * 20))
    (failed, running) = TaskListView.of(
        [a_task(each, failure=failure) for each in (Status.FAILED, Status.RUNNING)]
    ).tasks

    assert failed.error is not None
    assert failed.error.startswith("content_rejected: the prompt is long")
    assert len(failed.error) == 80
    assert running.error is None


PRICE = Cost(estimated_usd=2.5, basis="estimate: 5 s")


@pytest.mark.parametrize(
    ("task", "usd", "basis"),
    [
        (a_task(Status.CANCELLED, cost=PRICE), 0, "nothing was charged"),
        (a_task(Status.FAILED, cost=PRICE), 0, "nothing was charged"),
        (a_task(Status.FAILED, cost=PRICE, counted_usd=2.5), 2.5, PRICE.basis),
        (a_task(Status.SUCCEEDED, cost=PRICE), 2.5, PRICE.basis),
        (a_task(Status.FAILED, cost=Cost(estimated_usd=None, basis="unknown")), None, "unknown"),
        (a_task(Status.FAILED, cost=Cost(estimated_usd=0, basis="drawn here")), 0, "drawn here"),
    ],
)
def test_what_surely_cost_nothing_is_said_to(task: Task, usd: float | None, basis: str):
    assert TaskView.of(task).cost == Cost(estimated_usd=usd, basis=basis)


def test_a_task_that_goes_on_says_for_how_long():
    assert sentence(a_task(Status.RUNNING), 1040) == "Task kf_a is running, 40 s so far."
    assert sentence(a_task(Status.FAILED), 1040) == "Task kf_a failed."


def test_a_warning_is_said_again_only_with_other_news():
    view = TaskView.of(a_task(Status.RUNNING, warnings=("mind the fog",)))

    assert view.brief(unchanged=True).warnings is None
    assert view.brief(unchanged=False).warnings == ["mind the fog"]


def test_where_a_result_that_is_being_saved_lies_is_said_every_time():
    view = TaskView.of(a_task(Status.SAVING, remote_outputs=("https://example.com/a.mp4",), remote_expires_at=1_000.0))

    assert view.outputs
    assert view.brief(unchanged=True).outputs == view.outputs


def test_every_video_of_a_task_is_named_and_no_lost_one():
    files = [Output(file=f"/out/kf_a{more}.mp4", width=8, height=6, duration=1.5) for more in ("", "-2")]
    sketch = Output(file="/out/kf_a-3.png", width=8, height=6)
    task = a_task(Status.SUCCEEDED, outputs=(*files, sketch, Output(url="https://provider.test/lost")))

    assert sentence(task) == (
        "Task kf_a succeeded: /out/kf_a.mp4 (8x6, 1.5 s). Also: /out/kf_a-2.mp4 (8x6, 1.5 s), /out/kf_a-3.png (8x6)."
    )
    assert "view_video source=task:kf_a. The others: view_video source=output:kf_a-2.mp4. Continue" in next_step(task)
    assert "The others" not in next_step(task.model_copy(update={"outputs": task.outputs[:1]}))


@pytest.mark.parametrize("wish", [{}, {"mode": "t2v"}, {"mode": "t2v", "duration": 5}])
def test_a_model_without_its_key_is_not_recommended(wish: dict[str, Any]):
    catalog = catalogs.load()
    missing = "It cannot be used: WAVESPEED_API_KEY is not set; ask whoever runs this server."
    for configured in ((), ("wavespeed",)):
        one = listing(ListModels(model=PAID, **wish), catalog, configured).next_step
        many = listing(ListModels(provider="wavespeed", **wish), catalog, configured).next_step
        assert (missing in one, "WAVESPEED_API_KEY is not set" in many) == (not configured, not configured)
        assert ("Pass `model`" in one, "Pass `model`" in many) == (bool(configured), bool(configured))


async def test_the_model_of_the_earlier_task_was_not_named(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        failed = await ended(studio, Status.FAILED)
        for overrides, why in (({"prompt": "b"}, "it is the earlier task's"), ({"model": "paid/film"}, "it was named")):
            retake = await studio.engine.retake(ME, failed, overrides)
            assert (await studio.engine.rehearse(ME, **retake.wanted)).draft.why == why


async def test_a_job_that_cannot_be_stopped_is_said_to_run_on_at_once(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        systems.wavespeed.pace = ENDLESS
        task = await systems.call("generate_t2v", model=PAID, prompt="a heron")
        with anyio.fail_after(4):  # it is not waited for what will not come
            answer = await systems.client.call_tool("cancel_task", {"task_id": task["task_id"]})

        why = "It does not stop: wavespeed cannot stop a job; it runs on and may be billed."
        first = said(answer).splitlines()[0]
        assert re.fullmatch(rf"Task {task['task_id']} is running, \d+ s so far. {re.escape(why)}", first)
        assert str((answer.structured_content or {})["next_step"]).startswith(why)


async def test_waiting_includes_the_wait_for_the_providers_word(tmp_path: Path):
    async with open_application(settings_in(tmp_path), tmp_path, works=False) as application:  # nothing is ever sent
        server = MCPServer("waits", tools=list(build_tools(Tools(application, ME, submit_seconds=1))))
        async with Client(server) as client:
            began = application.engine.clock()
            answer = await client.call_tool("generate_t2v", {"prompt": "p", "wait_seconds": 1})
            assert not answer.is_error
            assert application.engine.clock() - began < 1.9


async def core_answers(systems: Systems, picture: str) -> AsyncGenerator[CallToolResult]:
    """What the core tools say on the ways an agent takes."""
    call = systems.client.call_tool
    yield await call("list_models", {"mode": "t2v"})
    yield await call("list_models", {"model": "baicai/nothing"})
    yield await call("generate_t2v", {"prompt": "a card", "model": PLAIN, "dry_run": True})
    yield (made := await call("generate_t2v", {"prompt": "a card", "model": "local/storyboard", "duration": 1}))
    card = {"task_id": (made.structured_content or {})["task_id"]}
    yield await call("get_task", card | {"wait_seconds": 45})
    yield await call("view_video", {"source": f"task:{card['task_id']}"})
    for wrong in ("#first", "a"):
        yield await call("view_video", {"source": f"task:{card['task_id']}{wrong}"})
    for fault in (Answer(400, {"message": "no"}), Reset(recorded=True)):
        systems.siliconflow.next("submit", fault)
        asked = {"prompt": f"a heron and {fault}"[:90], "model": PLAIN, "wait_seconds": 20}
        yield (over := await call("generate_t2v", asked))
        task_id = (over.structured_content or {})["task_id"]
        yield await call("get_task", {"task_id": task_id})
        yield await call("generate_i2v", {"image": f"task:{task_id}"})
    systems.wavespeed.pace = ENDLESS
    yield (runs := await call("generate_t2v", {"prompt": "a heron", "model": PAID}))
    yield await call("view_video", {"source": f"task:{(runs.structured_content or {})['task_id']}"})
    yield await call("generate_i2v", {"image": picture, "prompt": "it flies", "duration": 99, "sed": 3})
    yield await call("get_task", {"task_id": "kf_nothing"})


async def test_the_core_set_names_no_tool_it_does_not_have(tmp_path: Path):
    async with open_systems(tmp_path, KEYFRAME_TOOLSET="core") as systems:
        answers = [answer async for answer in core_answers(systems, str(tmp_path / "absent.png"))]
    words = [json.dumps(answer.structured_content, ensure_ascii=False) + said(answer) for answer in answers]
    words += [error.fix for error in by_kind().values()] + [CRASHED]

    statuses = {str((answer.structured_content or {}).get("status")) for answer in answers}
    assert {"failed", "unknown", "succeeded", "running", "dry_run"} <= statuses
    assert [(name, each) for each in words for name in ABSENT if name in each] == []

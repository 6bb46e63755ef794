"""Making an earlier video again: what is kept of it, what may be changed, and when it is refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from keyframe_mcp.adapters.base import Report
from keyframe_mcp.cli.regenerate import overrides_of
from keyframe_mcp.engine import Caller, Started
from keyframe_mcp.engine.budget import Budget
from keyframe_mcp.errors import (
    BudgetExceeded,
    CallerError,
    GenerationFailed,
    InDoubt,
    InvalidInput,
    NotReady,
    ProviderUnavailable,
    SubmissionUncertain,
    UnknownTask,
)
from keyframe_mcp.task import Failure, Inputs, Mode, Status, Task
from studio import ME, Studio, open_studio, picture
from systems import open_systems
from test_tools import ERAS, ask, client_in, refused


async def again(
    studio: Studio, task_id: str, *, key: str | None = None, caller: Caller = ME, **overrides: Any
) -> Started:
    retake = await studio.engine.retake(caller, task_id, overrides)
    return await studio.engine.start(caller, idempotency_key=key, **retake.wanted)


async def failed(studio: Studio, task_id: str) -> Task:
    """A task the provider gave up."""
    studio.provider.on_check = lambda _: Report(status=Status.FAILED, failure=Failure.of(GenerationFailed("no idea")))
    await studio.steps.advance(task_id)
    await studio.steps.advance(task_id)
    return await studio.store.get(task_id)


async def refusal(studio: Studio, task_id: str, kind: type[CallerError] = InvalidInput, **overrides: Any) -> str:
    with pytest.raises(kind) as caught:
        await again(studio, task_id, **overrides)
    return str(caught.value)


@pytest.fixture
def pair(tmp_path: Path) -> dict[str, Any]:
    first, last = picture(tmp_path / "first.png"), picture(tmp_path / "last.png", shift=9)
    return {"mode": Mode.FLF2V, "prompt": None, "first_image": str(first), "last_image": str(last)}


async def test_an_earlier_task_is_made_again_with_what_is_changed_and_remembers_it(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        parent = await failed(studio, await studio.start("a heron", duration=10))

        task = (await again(studio, parent.id, prompt="a stork")).task

        assert task.id != parent.id
        assert task.parent_id == parent.id
        assert (task.model, task.mode, task.wire) == ("paid/film", Mode.T2V, {"prompt": "a stork", "duration": 10})
        assert task.counted_usd == 5


async def test_made_again_with_nothing_changed_it_is_a_new_task_and_asked_twice_still_one(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        parent = await failed(studio, await studio.start())

        once, twice = await again(studio, parent.id), await again(studio, parent.id)

        assert (once.task.id != parent.id, once.deduplicated) == (True, False)
        assert (twice.task.id, twice.deduplicated) == (once.task.id, True)
        studio.clock.now += 121
        assert not (await again(studio, parent.id)).deduplicated


async def test_the_same_key_is_the_same_task_and_never_that_of_another_request(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        parent = await failed(studio, await studio.start())
        once = await again(studio, parent.id, key="take-2")
        studio.clock.now += 1000

        assert (await again(studio, parent.id, key="take-2")).task.id == once.task.id
        with pytest.raises(InvalidInput, match="idempotency_key"):
            await again(studio, parent.id, key="take-2", duration=10)


async def test_pictures_are_those_that_were_sent_then_though_the_files_have_changed_or_gone(
    tmp_path: Path, pair: dict[str, Any]
):
    async with open_studio(tmp_path) as studio:
        parent = await failed(studio, await studio.start(**pair))
        picture(tmp_path / "first.png", shade=10)
        (tmp_path / "last.png").unlink()

        task = (await again(studio, parent.id, duration=10)).task

        assert {name: each.content for name, each in task.pictures.items()} == {
            name: each.content for name, each in parent.pictures.items()
        }
        assert task.request["last_image"] == str(tmp_path / "last.png")


async def test_a_picture_that_is_given_anew_takes_the_place_of_one_and_the_other_stays(
    tmp_path: Path, pair: dict[str, Any]
):
    async with open_studio(tmp_path) as studio:
        parent = await failed(studio, await studio.start(**pair))
        other = picture(tmp_path / "other.png", shade=10)
        (tmp_path / "first.png").unlink()

        task = (await again(studio, parent.id, last_image=str(other))).task

        assert task.pictures["first_image"].content == parent.pictures["first_image"].content
        assert task.pictures["last_image"].content != parent.pictures["last_image"].content


@pytest.mark.parametrize("spoil", [lambda copy: copy.unlink(), lambda copy: copy.write_bytes(b"spoiled")])
async def test_where_our_copy_is_gone_the_picture_is_read_again_and_that_is_said(
    tmp_path: Path, pair: dict[str, Any], spoil: Any
):
    async with open_studio(tmp_path) as studio:
        parent = await failed(studio, await studio.start(**pair))
        spoil(Path(parent.pictures["first_image"].file))
        picture(tmp_path / "first.png", shade=10)

        started = await again(studio, parent.id, duration=10)

        assert started.task.pictures["first_image"].content != parent.pictures["first_image"].content
        assert any("first_image: the copy that was sent then is gone" in each for each in started.warnings)


async def test_a_picture_that_came_as_bytes_is_taken_from_our_copy_or_asked_for(tmp_path: Path, pair: dict[str, Any]):
    data = "data:image/png;base64," + base64.b64encode((tmp_path / "first.png").read_bytes()).decode()
    async with open_studio(tmp_path) as studio:
        parent = await failed(studio, await studio.start(**pair | {"first_image": data}))

        task = (await again(studio, parent.id, duration=10)).task
        assert task.pictures["first_image"].content == parent.pictures["first_image"].content

        Path(parent.pictures["first_image"].file).unlink()
        said = await refusal(studio, parent.id)
        assert "its bytes came in that call; give it again" in said
        assert f"it comes from task {parent.id}; give another first_image in overrides" in said


async def test_an_input_is_left_out_where_it_is_null_and_unchanged_where_it_is_empty(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        parent = await failed(studio, await studio.start(duration=10))

        assert (await again(studio, parent.id, duration=None, prompt="")).task.wire == {
            "prompt": "a heron takes off",
            "duration": 5,
        }
        assert "prompt: paid/film needs it" in await refusal(studio, parent.id, prompt=None)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"promt": "x"}, "overrides.promt: it is not an argument of t2v; did you mean prompt"),
        ({"first_image": "a.png"}, "overrides.first_image: it is not an argument of t2v"),
        ({"mode": "i2v"}, "overrides.mode: it is not an argument of t2v"),
        ({"dry_run": True}, "overrides.dry_run: give it beside overrides"),
        ({"duration": "long"}, "overrides.duration: input should be a valid number"),
        ({"seed": True}, "overrides.seed: true and false are not numbers"),
        ({"model": 7}, "overrides.model: it is not a text"),
        ({"options": "fps=3"}, "overrides.options: it is not an object"),
        ({"strict": "no"}, "overrides.strict: it is neither true nor false"),
        ({"duration": 7}, "duration: "),
        ({"negative_prompt": "fog"}, "negative_prompt: "),
    ],
)
async def test_what_cannot_be_changed_is_refused_with_what_would_have_worked(
    tmp_path: Path, overrides: dict[str, Any], words: str
):
    async with open_studio(tmp_path) as studio:
        parent = await studio.start()

        said = await refusal(studio, parent, **overrides)

        assert words in said
        assert "it comes from task" not in said
        assert [task.id for task in await studio.engine.recent(ME)] == [parent]


async def test_all_that_cannot_be_changed_is_told_at_once(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        parent = await studio.start()
        wrong: dict[str, Any] = {"promt": "x", "seed": "many", "fallback": "no", "duration": 7, "options": {"fps": 3}}

        said = await refusal(studio, parent, **wrong)

        told = ("overrides.promt: ", "overrides.seed: ", "overrides.fallback: ", "duration: 7 ", "options.fps: ")
        assert [words for words in told if words not in said] == []
        assert "overrides.model: there is no" in await refusal(studio, parent, promt="x", model="paid/nothing")


async def test_what_the_earlier_call_dropped_is_told_with_how_to_be_rid_of_it(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        request = {"mode": Mode.T2V, "prompt": "a heron", "negative_prompt": "fog", "seed": 7, "options": {"fps": 30}}
        first = await studio.engine.start(ME, Inputs.model_validate(request), model="paid/film", strict=False)
        parent = await failed(studio, first.task.id)

        said = await refusal(studio, parent.id, strict=True)
        assert 'overrides {"negative_prompt": null} leaves it out' in said
        assert 'overrides {"options": {"fps": null}} leaves it out' in said
        same = await again(studio, parent.id)
        assert same.task.wire == parent.wire
        assert not any("expect the same video" in each for each in same.warnings)  # the seed was dropped
        without: dict[str, Any] = {"negative_prompt": None, "seed": None, "options": {"fps": None}}
        changed = (await again(studio, parent.id, **without, duration=10)).task
        assert changed.request == {"mode": "t2v", "prompt": "a heron", "duration": 10}


async def test_a_task_nobody_knows_the_fate_of_is_not_made_again(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        studio.provider.on_submit = lambda _: SubmissionUncertain("the line went dead")
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        assert (await studio.store.get(task_id)).status is Status.UNKNOWN

        said = await refusal(studio, task_id, InDoubt, prompt="a stork")

        assert InDoubt.who == "the user"
        assert "may exist at paid and be billed" in said
        assert f"keyframe-mcp task {task_id}" in said


async def test_a_task_that_is_still_made_is_made_again_only_with_changes(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()

        with pytest.raises(NotReady, match="the same video twice"):
            await again(studio, task_id)
        assert (await again(studio, task_id, prompt="a stork")).task.parent_id == task_id


@pytest.mark.parametrize(
    "filled_in",
    [
        {"seed": None},
        {"strict": True},
        {"model": "paid/film"},
        {"prompt": "a heron takes off"},
        {"duration": 5},
        {"duration": None},
        {"options": {}},
        {"options": None},
        {"fallback": False},
        {"prompt": "", "model": None},
    ],
)
async def test_what_is_named_and_changes_nothing_is_no_change_to_a_task_that_is_still_made(
    tmp_path: Path, filled_in: dict[str, Any]
):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        retake = await studio.engine.retake(ME, task_id, filled_in)

        with pytest.raises(NotReady, match="is running and nothing that is sent differs"):
            await studio.engine.rehearse(ME, **retake.wanted)
        assert "the same video twice" in await refusal(studio, task_id, NotReady, **filled_in)
        assert [each.id for each in await studio.engine.recent(ME)] == [task_id]


async def test_the_same_key_is_answered_also_when_the_earlier_task_has_become_unknown(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        parent = await studio.start()
        await studio.steps.advance(parent)
        once = await again(studio, parent, key="take-2", duration=10)
        studio.provider.on_check = lambda _: ProviderUnavailable("silence")
        for _ in range(3):
            studio.clock.now += 10**6
            await studio.steps.advance(parent)
        assert (await studio.store.get(parent)).status is Status.UNKNOWN

        assert (await again(studio, parent, key="take-2", duration=10)).task.id == once.task.id
        with pytest.raises(InvalidInput, match="idempotency_key"):
            await again(studio, parent, key="take-2")
        with pytest.raises(InDoubt):
            await again(studio, parent, key="take-3", duration=10)
        with pytest.raises(InDoubt):
            await again(studio, parent, promt="x")


async def test_the_same_seed_and_nothing_changed_promises_the_same_video(tmp_path: Path):
    async with client_in(tmp_path) as client:
        task = await ask(client, "generate_t2v", prompt="a card", duration=1, wait_seconds=45)

        same = await ask(client, "regenerate", task_id=task["task_id"], dry_run=True)
        other = await ask(client, "regenerate", task_id=task["task_id"], overrides={"prompt": "b"}, dry_run=True)

        assert any("expect the same video; another prompt makes another" in warning for warning in same["warnings"])
        assert not any("expect the same video" in warning for warning in other["warnings"])


async def test_only_what_the_model_reads_is_said_to_make_another_video(tmp_path: Path):
    first, last = picture(tmp_path / "first.png"), picture(tmp_path / "last.png", shift=9)
    async with client_in(tmp_path) as client:
        frames = {"first_image": str(first), "last_image": str(last), "prompt": "it moves"}
        task = await ask(client, "generate_flf2v", **frames, duration=1, wait_seconds=45)

        same = await ask(client, "regenerate", task_id=task["task_id"], dry_run=True)

        assert any(each.endswith("expect the same video; another picture makes another") for each in same["warnings"])


async def test_limits_hold_for_what_is_made_again_and_a_dry_run_writes_nothing(tmp_path: Path):
    async with open_studio(tmp_path, budget=Budget(per_task=3)) as studio:
        parent = await failed(studio, await studio.start())

        with pytest.raises(BudgetExceeded):
            await again(studio, parent.id, duration=10)
        retake = await studio.engine.retake(ME, parent.id, {"duration": 10})
        rehearsal = await studio.engine.rehearse(ME, **retake.wanted)
        assert rehearsal.refusal is not None
        assert [task.id for task in await studio.engine.recent(ME)] == [parent.id]


async def test_nobody_makes_another_callers_task_again(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()

        with pytest.raises(UnknownTask):
            await again(studio, task_id, caller=Caller(owner="visitor", may_name_files=False), prompt="x")


async def test_a_task_whose_model_has_left_the_catalogue_is_made_with_another(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        parent = await failed(studio, await studio.start())
        changes = {"model": "paid/gone"}
        old = parent.model_copy(update=changes | {"id": "kf_" + "b" * 26, "status": Status.QUEUED, "failure": None})
        await studio.store.add(old, same_request_since=10**12)

        started = await again(studio, old.id, prompt="a stork")

        assert started.task.model == "paid/film"
        assert any("paid/gone" in each and "no longer in the catalogue" in each for each in started.warnings)


@ERAS
async def test_an_agent_makes_a_video_again_in_one_call(tmp_path: Path, era: str):
    picture(tmp_path / "first.png")
    async with client_in(tmp_path, era) as client:
        task = await ask(client, "generate_i2v", image="first.png", prompt="pan left", duration=1, wait_seconds=45)
        (tmp_path / "first.png").unlink()
        changes = {"prompt": "pan right", "options": {"fps": 12}}

        more = await ask(client, "regenerate", task_id=f"task:{task['task_id']}", overrides=changes, wait_seconds=45)

        assert (more["status"], more["outputs"][0]["fps"]) == ("succeeded", 12)
        beside = json.loads(await anyio.Path(more["outputs"][0]["file"]).with_suffix(".json").read_bytes())
        assert beside["parent_id"] == task["task_id"]
        assert (
            beside["sources"][0]["sha256"]
            == json.loads(await anyio.Path(task["outputs"][0]["file"]).with_suffix(".json").read_bytes())["sources"][0][
                "sha256"
            ]
        )
        assert "did you mean prompt" in await refused(
            client, "regenerate", task_id=task["task_id"], overrides={"promt": "x"}
        )
        assert "there is no task" in await refused(client, "regenerate", task_id="kf_nowhere")


async def test_a_picture_from_a_signed_url_is_sent_again_from_our_copy_to_another_model_too(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        url = systems.wavespeed.publish(picture(tmp_path / "a.png").read_bytes(), "image/png", "a.png") + "?sig=secret"
        first = await systems.made("generate_i2v", image=url, prompt="it turns", model="wavespeed/wan-2.1-i2v-720p")
        systems.wavespeed.files.clear()

        more = await systems.made(
            "regenerate", task_id=first["task_id"], overrides={"model": "siliconflow/wan2.2-i2v", "resolution": None}
        )

        assert (more["status"], more["model"]) == ("succeeded", "siliconflow/wan2.2-i2v")


def test_changes_on_the_command_line_are_read_as_what_they_are_for():
    changes = ("seed=7", "prompt=42", "options.fps=12", "strict=false", "model=a/b")

    assert overrides_of(changes, ("negative_prompt", "options.shift")) == {
        "seed": 7,
        "prompt": "42",
        "options": {"fps": 12, "shift": None},
        "strict": False,
        "model": "a/b",
        "negative_prompt": None,
    }
    with pytest.raises(InvalidInput, match="not NAME=VALUE"):
        overrides_of(("seed",), ())


async def test_what_was_made_again_and_is_unknown_answers_a_plain_request_for_the_same(tmp_path: Path):
    request = Inputs.model_validate({"mode": Mode.T2V, "prompt": "a heron takes off"})
    async with open_studio(tmp_path) as studio:
        once = await failed(studio, await studio.start())
        studio.provider.on_submit = lambda _: SubmissionUncertain()
        unknown = (await again(studio, once.id)).task.id
        await studio.steps.advance(unknown)
        studio.clock.now += 3600

        plain = await studio.engine.start(ME, request, model="paid/film")
        assert (plain.task.id, plain.task.status, plain.deduplicated) == (unknown, Status.UNKNOWN, True)
        other = await studio.engine.start(ME, request, model="paid/film", idempotency_key="another")
        assert not other.deduplicated
        assert other.warnings == (f"task {unknown} of the same request is unknown and may be billed",)
        stranger = Caller(owner="somebody else", may_name_files=True)
        assert not (await studio.engine.start(stranger, request, model="paid/film")).deduplicated

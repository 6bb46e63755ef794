"""What is written beside and inside a kept video, and that no paid video is lost over it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import av
import pytest

from keyframe_mcp.adapters.base import Accepted, Report
from keyframe_mcp.engine.chronicle import Chronicle
from keyframe_mcp.engine.keeper import Keeper
from keyframe_mcp.engine.provenance import Joined, bare, film_tags, task_in
from keyframe_mcp.errors import RenderFailed
from keyframe_mcp.media.fetch import Fetcher
from keyframe_mcp.media.orders import Order
from keyframe_mcp.media.unfinished import ENDING
from keyframe_mcp.media.workshop import Workshop
from keyframe_mcp.task import Mode, Status, Task
from media import clips
from studio import Studio, open_studio, picture
from systems import open_systems
from test_tools import ask, client_in, refused

EARLIER = "kf_" + "a" * 26


@asynccontextmanager
async def chronicled(folder: Path, workshop: Workshop | None = None) -> AsyncGenerator[Studio]:
    """A studio that writes down how its videos came to be."""
    async with open_studio(folder) as studio:
        chronicle = Chronicle(workshop or studio.workshop, studio.engine.catalog, studio.clock)
        fetch = Fetcher(loopback=True).fetch
        keeper = Keeper(folder / "out", studio.workshop, fetch, made_in=folder, clock=studio.clock, chronicle=chronicle)
        yield replace(studio, steps=replace(studio.steps, keeper=keeper))


async def made(studio: Studio, *clips_made: Path, **words: object) -> Task:
    """A task whose provider has made these."""
    outputs = tuple(each.as_uri() for each in clips_made)
    studio.provider.on_submit = lambda job: Accepted(remote_id=f"job-{job.task_id}", trace_id="trace-7")
    studio.provider.on_check = lambda _: Report(status=Status.SUCCEEDED, outputs=outputs, seed=1234)
    task_id = await studio.start(**words)  # pyright: ignore[reportArgumentType] - words of a request
    for _ in range(3):
        await studio.steps.advance(task_id)
    return await studio.store.get(task_id)


def clip(folder: Path, name: str = "made.mp4") -> Path:
    return clips.make(folder / name, 8)


def beside(file: str | Path | None) -> dict[str, Any]:
    return json.loads(Path(file or "").with_suffix(".json").read_bytes())


def tags_in(file: str | Path | None) -> dict[str, str]:
    with av.open(str(file)) as container:
        return dict(container.metadata)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "out").iterdir())


async def test_beside_a_video_lies_how_it_came_to_be(tmp_path: Path):
    async with chronicled(tmp_path) as studio:
        first, last = picture(tmp_path / "first.png"), picture(tmp_path / "last.png", shift=9)
        task = await made(
            studio, clip(tmp_path), mode=Mode.FLF2V, prompt=None, first_image=str(first), last_image="last.png"
        )

    assert task.status is Status.SUCCEEDED
    file = Path(task.outputs[0].file or "")
    said = beside(file)
    assert names(tmp_path) == [f"{task.id}.json", f"{task.id}.mp4"]
    assert (said["kind"], said["version"], said["statement"]) == ("generated", 1, "AI-generated video")
    assert (said["task_id"], said["model"], said["provider"]) == (task.id, "paid/film", "paid")
    assert (said["job_id"], said["trace_id"]) == (f"job-{task.id}", "trace-7")
    assert said["request"] == {"mode": "flf2v", "first_image": str(first), "last_image": "last.png"}
    contents = [hashlib.sha256(each.read_bytes()).hexdigest() for each in (first, last)]
    assert [each["sha256"] for each in said["sources"]] == contents
    assert [each["given_as"] for each in said["sources"]] == [str(first), "last.png"]
    assert (said["sources"][0]["width"], said["sources"][0]["mime_type"]) == (320, "image/png")
    wire = {"duration": 5, "first_image": f"sha256:{contents[0]}", "last_image": f"sha256:{contents[1]}"}
    assert said["wire"] == wire
    assert said["seed_used"] == 1234
    assert said["cost"]["estimated_usd"] == 2.5
    assert said["output"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert said["output"]["size_bytes"] == task.outputs[0].size_bytes == file.stat().st_size
    assert (said["output"]["file"], said["output"]["fps"]) == (file.name, 24)
    assert datetime.fromisoformat(said["finished_at"]).timestamp() == 1_000_000
    assert said["created_at"].endswith("Z")
    assert said["embedded"] is True


async def test_an_mp4_says_itself_what_made_it(tmp_path: Path):
    async with chronicled(tmp_path) as studio:
        task = await made(studio, clip(tmp_path), prompt="a heron\ntakes off")

    tags = tags_in(task.outputs[0].file)
    facts = json.loads(tags["comment"])
    assert facts == {
        "task_id": task.id,
        "generative": True,
        "model": "paid/film",
        "seed": 1234,
        "prompt": "a heron\ntakes off",
    }
    assert (tags["title"], tags["description"]) == ("a heron takes off", "AI-generated video")


async def test_every_video_of_a_task_has_its_own_and_pictures_have_none(tmp_path: Path):
    async with chronicled(tmp_path) as studio:
        task = await made(studio, clip(tmp_path), picture(tmp_path / "preview.png"), clip(tmp_path, "c.mp4"))

    assert [name.removeprefix(task.id) for name in names(tmp_path)] == [
        "-2.png",
        "-3.json",
        "-3.mp4",
        ".json",
        ".mp4",
    ]
    assert beside(tmp_path / "out" / f"{task.id}-3.mp4")["output"]["file"] == f"{task.id}-3.mp4"


async def test_a_video_that_is_not_tagged_is_kept_as_it_came_and_the_reason_is_said(tmp_path: Path):
    film = clips.make_gif(tmp_path / "made.gif")
    content = film.read_bytes()
    async with chronicled(tmp_path) as studio:
        task = await made(studio, film)

    kept = tmp_path / "out" / f"{task.id}.gif"
    assert kept.read_bytes() == content
    said = beside(kept)
    assert (said["embedded"], said["not_embedded_because"]) == (False, "image/gif files are left as they came")


class Broken(Workshop):
    """A media worker that dies over every order."""

    async def run(self, order: Order[Any], *_: object, **__: object) -> Any:
        del order
        raise RenderFailed("the media worker stopped")


async def test_a_worker_that_dies_over_the_tags_costs_no_video(tmp_path: Path):
    film = clip(tmp_path)
    content = film.read_bytes()
    async with chronicled(tmp_path, Broken()) as studio:
        task = await made(studio, film)

    assert task.status is Status.SUCCEEDED
    kept = tmp_path / "out" / f"{task.id}.mp4"
    assert kept.read_bytes() == content
    assert "the media worker stopped" in beside(kept)["not_embedded_because"]
    assert not film.exists()


async def test_what_cannot_be_written_beside_a_video_is_a_warning_and_the_video_is_kept(tmp_path: Path):
    async with chronicled(tmp_path) as studio:
        task_id = await studio.start()
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / f"{task_id}.json").mkdir()
        film = clip(tmp_path)
        studio.provider.on_check = lambda _: Report(status=Status.SUCCEEDED, outputs=(film.as_uri(),))
        for _ in range(3):
            await studio.steps.advance(task_id)
        task = await studio.store.get(task_id)

    assert task.status is Status.SUCCEEDED
    assert any(f"{task_id}.json" in warning and "could not be written" in warning for warning in task.warnings)
    assert not [name for name in names(tmp_path) if name.endswith(ENDING)]


async def test_after_a_crash_between_the_video_and_what_is_beside_it_the_rest_is_written(tmp_path: Path):
    async with chronicled(tmp_path) as studio:
        film = clip(tmp_path)
        studio.provider.on_check = lambda _: Report(status=Status.SUCCEEDED, outputs=(film.as_uri(),))
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        await studio.steps.advance(task_id)
        # as a process leaves it that was killed once the file had its name
        (tmp_path / "out").mkdir(exist_ok=True)
        film.rename(tmp_path / "out" / f"{task_id}.mp4")
        await studio.steps.advance(task_id)
        task = await studio.store.get(task_id)

    file = Path(task.outputs[0].file or "")
    assert task.status is Status.SUCCEEDED
    assert beside(file)["embedded"] is True
    assert beside(file)["output"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert json.loads(tags_in(file)["comment"])["task_id"] == task_id


async def test_no_secret_no_signature_and_no_bytes_of_a_request_travel_with_the_file(tmp_path: Path):
    options = {
        "hf_api_token": "canary-token",
        "loras": [{"path": "https://user:canary-password@weights.test/a.bin?sig=canary-signature", "scale": 1}],
        "mask": "data:image/png;base64," + "canarybytes" * 40,
    }
    said = json.dumps(
        bare({"prompt": "see https://a.test/x?token=canary-query now", "options": options, "max_tokens": 5})
    )

    assert "canary-" not in said
    assert "canarybytes" * 5 not in said
    assert json.loads(said)["options"]["loras"] == [{"path": "https://weights.test/a.bin", "scale": 1}]
    assert json.loads(said)["prompt"] == "see https://a.test/x now"
    assert json.loads(said)["max_tokens"] == 5


@pytest.mark.parametrize(
    ("reference", "task_id"),
    [
        (f"task:{EARLIER}#first", EARLIER),
        (f"{EARLIER}@2.5", EARLIER),
        (f"output:{EARLIER}-2.mp4", EARLIER),
        (f"keyframe://tasks/{EARLIER}", EARLIER),
        (f"/films/{EARLIER}.mp4", None),
        ("output:frame-0123456789abcdef.png", None),
    ],
)
def test_a_reference_tells_which_task_a_picture_came_from(reference: str, task_id: str | None):
    assert task_in(reference) == task_id


async def test_drawn_previews_and_films_joined_of_them_say_what_they_are(tmp_path: Path):
    async with client_in(tmp_path) as client:
        first = await ask(client, "generate_t2v", prompt="one", duration=1, wait_seconds=45)
        reference = f"task:{first['task_id']}"
        more = await ask(client, "generate_i2v", image=reference, prompt="pan left", duration=1, wait_seconds=45)
        film = await ask(client, "join_videos", sources=[reference, more["outputs"][0]["file"]])

        drawn, joined = beside(more["outputs"][0]["file"]), beside(film["file"])
        assert (drawn["generative"], drawn["statement"]) == (False, "Drawn preview, not AI video")
        assert drawn["sources"][0]["task_id"] == first["task_id"]
        assert "not by an AI model" in tags_in(more["outputs"][0]["file"])["description"]
        assert json.loads(tags_in(more["outputs"][0]["file"])["comment"])["engine"] == drawn["engine"]
        assert (joined["kind"], joined["method"]) == ("joined", film["method"])
        assert [each.get("task_id") for each in joined["sources"]] == [first["task_id"], None]
        assert joined["sources"][0]["sha256"] == beside(first["outputs"][0]["file"])["output"]["sha256"]
        assert joined["output"]["sha256"] == hashlib.sha256(Path(film["file"]).read_bytes()).hexdigest()
        assert film["size_bytes"] == Path(film["file"]).stat().st_size
        assert "generative" not in joined
        assert json.loads(tags_in(film["file"])["comment"])["joined"] == [first["task_id"], f"{more['task_id']}.mp4"]
        assert "names no result" in await refused(client, "view_video", source=f"output:{first['task_id']}.json")


async def test_results_that_are_left_with_the_provider_leave_nothing_here(tmp_path: Path):
    async with open_systems(tmp_path, KEYFRAME_KEEP_RESULTS="0") as systems:
        task = await systems.made("generate_t2v", prompt="a heron", model="siliconflow/wan2.2-t2v")

        assert task["status"] == "succeeded"
        assert not await anyio.Path(tmp_path / "out").exists() or names(tmp_path) == []


@pytest.mark.parametrize(
    ("kinds", "statement"),
    [
        ([False, False], "Drawn preview, not AI video"),
        ([True, False], "AI-generated video"),
        ([True, None], "AI-generated video"),
        ([False, None], None),
    ],
)
def test_a_joined_film_is_ai_video_if_one_clip_is_and_no_drawing_unless_all_are(
    kinds: list[bool | None], statement: str | None
):
    clips_joined = [Joined("clip.mp4", Path("clip.mp4"), None if kind is None else drawn(kind)) for kind in kinds]

    assert film_tags(clips_joined).get("description") == statement


def drawn(generative: bool) -> Task:
    """A task of that kind."""
    return Task(
        id=EARLIER,
        owner="me",
        mode=Mode.T2V,
        model="paid/film",
        provider="paid",
        request={},
        wire={},
        request_hash="",
        generative=generative,
        created_at=0,
        updated_at=0,
    )


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        *(
            (name, "canary", "(left out)")
            for name in ("civitaiToken", "accessKey", "X-Api-Key", "hf-token", "api_keys")
        ),
        ("keyframes", 12, 12),
        ("token_count", "7", "7"),
        ("lora", "s3://bucket/weights?sig=canary", "s3://bucket/weights"),
        (
            "note",
            "see https://a.test/p.png?X-Sig=canary; nothing was charged)",
            "see https://a.test/p.png; nothing was charged)",
        ),
    ],
)
def test_what_is_called_like_a_secret_or_signs_an_address_is_left_out(name: str, value: object, written: object):
    assert bare({name: value}) == {name: written}

"""Looking at videos and joining them, as an agent does it."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.types import CallToolResult, ImageContent, TextContent
from PIL import Image

from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.given import NOTHING, given_to
from keyframe_mcp.server import build_server
from keyframe_mcp.task import Mode, Picture, Task
from studio import ME, open_server_inside, picture
from systems import open_systems

ERAS = pytest.mark.parametrize("era", ["auto", "legacy"])
BRIEF = {"duration": 1, "wait_seconds": 45}


@asynccontextmanager
async def client_in(folder: Path, era: str = "auto") -> AsyncGenerator[Client]:
    async with open_server_inside(folder) as application, Client(build_server(application, ME), mode=era) as client:
        yield client


async def ask(client: Client, tool: str, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, said(result)
    return result.structured_content


def said(result: CallToolResult) -> str:
    return " ".join(block.text for block in result.content if isinstance(block, TextContent))


def shown(result: CallToolResult) -> bytes:
    (image,) = [block for block in result.content if isinstance(block, ImageContent)]
    return base64.b64decode(image.data)


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    return said(result)


async def view(client: Client, source: str, **more: Any) -> CallToolResult:
    result = await client.call_tool("view_video", {"source": source, **more})
    assert not result.is_error, said(result)
    return result


async def test_a_clip_is_seen_beside_the_pictures_it_was_made_from(tmp_path: Path):
    picture(tmp_path / "first.png")
    picture(tmp_path / "last.png", shade=60, shift=40)
    async with client_in(tmp_path) as client:
        clip = await ask(client, "generate_flf2v", first_image="first.png", last_image="last.png", **BRIEF)
        for size, longest, most in (("full", 1456, 300_000), ("tiny", 512, 30_000)):
            result = await view(client, f"task:{clip['task_id']}", size=size)
            sheet, text = shown(result), said(result)
            assert len(sheet) <= most
            assert max(Image.open(io.BytesIO(sheet)).size) <= longest
            for end in ("first", "last"):
                assert f"the {end} frame is the given picture, recompressed at most (SSIM 0.9" in text
            assert "1=0.00s" in text
            assert "24 fps, 24 frames, h264, no sound." in text
            (saved,) = [word.strip(":") for word in text.split() if word.startswith(str(tmp_path))]
            assert Path(saved).read_bytes() == sheet
            assert "if you see no picture, give the user that path" in text
            assert "extract_frame" in text


@ERAS
async def test_one_clip_is_compared_joined_missed_by_a_letter_and_survives_its_picture(tmp_path: Path, era: str):
    picture(tmp_path / "a.png")
    async with client_in(tmp_path, era) as client:
        clip = await ask(client, "generate_i2v", image="a.png", prompt="pan left", **BRIEF)
        source = f"task:{clip['task_id']}"

        text = said(await view(client, source, size="tiny"))
        assert "the first frame is" in text
        assert "the last frame" not in text
        (tmp_path / "sunset.mp4").write_bytes(Path(clip["outputs"][0]["file"]).read_bytes())
        assert "given picture" not in said(await view(client, "sunset.mp4", size="tiny"))

        film = await ask(client, "join_videos", sources=[source] * 3, crossfade_seconds=0.25)
        assert (film["method"], film["duration"]) == ("crossfade", 2.5)
        cut = await ask(client, "join_videos", sources=[source] * 3, crossfade_seconds=0)
        assert (cut["method"], cut["duration"]) == ("stream_copy", 3)
        text = await refused(client, "join_videos", sources=[source] * 2, crossfade_seconds=0.5)
        assert text.startswith("crossfade_seconds: 0.5 s is too long: ")
        assert "use 0.084 to 0.499, or 0 for a hard cut" in text
        text = await refused(client, "extract_frame", source=source, at=9)
        assert text.startswith("at: 9 s is outside the video; use 0 to 1, `first` or `last`")

        text = await refused(client, "view_video", source="a.png")
        assert "this is a picture, not a video; a generate tool makes one of it" in text
        text = await refused(client, "extract_frame", source="output:nothing.mp4")
        assert "'output:nothing.mp4' names no result; write output:<name> just as a result's `reference` has it" in text

        for tool, named in (
            ("view_video", {"source": "sunst.mp4"}),
            ("extract_frame", {"source": "sunst.mp4"}),
            ("join_videos", {"sources": ["sunset.mp4", "sunst.mp4"]}),
        ):
            assert "there is no file sunst.mp4; did you mean sunset.mp4?" in await refused(client, tool, **named)

        for copy in (tmp_path / "state" / "pictures").iterdir():
            copy.unlink()
        text = said(await view(client, source, size="tiny"))
        assert "Also: not compared with the given first picture: its copy is no longer kept." in text


async def test_what_a_provider_made_of_something_else_is_called_a_different_picture(tmp_path: Path):
    picture(tmp_path / "first.png")
    picture(tmp_path / "last.png", shift=40)
    async with open_systems(tmp_path) as systems:
        made = [
            await systems.made("generate_flf2v", model=model, first_image="first.png", last_image="last.png", **more)
            for model, more in (
                ("wavespeed/wan-flf2v", {"prompt": "a"}),
                ("baicai/viduq2-pro-flf2v-fast", {"prompt": "a"}),
            )
        ]
        for task in made:
            text = said(await view(systems.client, f"task:{task['task_id']}"))
            assert "the first frame is a different picture (SSIM 0." in text
            assert "the last frame is a different picture (SSIM 0." in text


async def test_words_that_are_no_size_and_numbers_that_are_no_fade_are_refused_with_what_is(tmp_path: Path):
    async with client_in(tmp_path) as client:
        for size in ("huge", "Full", 3, True):
            text = await refused(client, "view_video", source="a.mp4", size=size)
            assert "size: input should be 'full', 'small' or 'tiny'" in text
        for fade, words in (
            (-1, "crossfade_seconds: input should be greater than or equal to 0"),
            ("nan", "crossfade_seconds: input should be a finite number"),
            (True, "crossfade_seconds: true and false are not numbers; give a number"),
        ):
            assert words in await refused(client, "join_videos", sources=["a.mp4", "b.mp4"], crossfade_seconds=fade)


def test_pictures_that_a_task_was_not_made_from_are_not_looked_for():
    task = Task(
        id="kf_a",
        owner="me",
        mode=Mode.T2V,
        model="gone/gone",
        provider="gone",
        request={"image": "a.png"},
        wire={},
        pictures={"image": Picture(file="a", content="", mime_type="image/png", width=1, height=1, size_bytes=1)},
        request_hash="",
        created_at=0,
        updated_at=0,
    )
    assert given_to(task, Catalog({})) == NOTHING
    lost = given_to(task.model_copy(update={"mode": Mode.I2V}), Catalog({}))
    assert lost.given == ()
    assert lost.remarks == ("not compared with the given pictures: gone/gone is no longer in the catalogue",)

"""A video that is not of the length, shape or size that was asked for is said to be so."""

from __future__ import annotations

from typing import Any

import pytest

from keyframe_mcp import catalog as catalogs
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.delivered import unlike_asked
from keyframe_mcp.task import Mode, Output, Picture
from ledger import a_task


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return catalogs.load(None)


def made(width: int, height: int, duration: float = 5.0) -> list[Output]:
    return [Output(file="a.mp4", width=width, height=height, duration=duration)]


def given(width: int, height: int) -> Picture:
    return Picture(file="a", content="a", mime_type="image/png", width=width, height=height, size_bytes=1)


def said(catalog: Catalog, model: str, outputs: list[Output], picture: Picture | None = None, **asked: Any) -> Any:
    """What is said of a video; what was sent is as the catalogue's checks would have it."""
    listed = catalog.find(model)
    wires = {name: listed.model.wire(name, spec) for name, spec in listed.model.inputs.items()}
    pictures = {} if picture is None else {wires["first_image" if "first_image" in asked else "image"]: picture}
    sent = {wires[name]: value for name, value in asked.items() if name in wires}
    if listed.model.sizes:
        resolution = str(asked.get("resolution") or listed.model.inputs["resolution"].usual)
        sent |= listed.model.sizes[resolution][asked.get("aspect_ratio", "9:16")]
    more: dict[str, Any] = {"request": asked, "wire": sent, "pictures": pictures}
    task = a_task(model=listed.id, mode=Mode.I2V, generative=listed.model.generative, **more)
    return unlike_asked(task, outputs, catalog)


def test_another_shape_than_was_asked_for_is_said(catalog: Catalog):
    model = "wavespeed/seedance-2.0-text-to-video"
    assert said(catalog, model, made(160, 96), aspect_ratio="9:16") == ("the video is 160x96; 9:16 was asked for",)
    assert said(catalog, model, made(496, 864), aspect_ratio="9:16") == ()
    assert said(catalog, model, made(160, 96)) == ()


def test_another_shape_than_the_size_that_was_sent_is_said(catalog: Catalog):
    model, first = "wavespeed/wan-flf2v", given(576, 1024)
    assert said(catalog, model, made(160, 96), first, first_image="a") == ("the video is 160x96; 9:16 was asked for",)
    assert said(catalog, model, made(480, 832), first, first_image="a") == ()


@pytest.mark.parametrize(
    "asked", [{"first_image": "a"}, {"first_image": "a", "aspect_ratio": "1:1"}], ids=["nothing", "what is not used"]
)
def test_another_shape_than_that_of_the_picture_a_model_follows_is_said(catalog: Catalog, asked: dict[str, Any]):
    model, first = "baicai/viduq2-pro-flf2v-fast", given(576, 1024)
    told = said(catalog, model, made(160, 96), first, **asked)
    assert told == ("the video is 160x96; the first picture is 576x1024",)
    assert said(catalog, model, made(720, 1280), first, **asked) == ()


def test_a_drawing_is_not_held_against_its_picture(catalog: Catalog):
    assert said(catalog, "local/camera", made(160, 96), given(576, 1024), image="a") == ()


@pytest.mark.parametrize(
    ("size", "is_small"),
    [((160, 96), True), ((854, 480), False), ((432, 960), False), ((400, 720), True), ((960, 300), False)],
)
def test_a_video_far_below_the_resolution_that_was_asked_for_is_said(
    catalog: Catalog, size: tuple[int, int], is_small: bool
):
    told = said(catalog, "wavespeed/seedance-2.0-text-to-video", made(*size), resolution="720p")
    assert told == ((f"the video is {size[0]}x{size[1]}; 720p was asked for",) if is_small else ())


def test_all_that_is_amiss_is_said(catalog: Catalog):
    model = "wavespeed/seedance-2.0-text-to-video"
    told = said(catalog, model, made(160, 96, 2), aspect_ratio="9:16", resolution="720p", duration=5)
    assert told == (
        "the video has 2 s; 5 s were asked for",
        "the video is 160x96; 9:16 was asked for; 720p was asked for",
    )


def test_a_video_of_a_model_that_is_gone_is_let_be(catalog: Catalog):
    task = a_task(model="gone/model", request={"aspect_ratio": "9:16"})
    assert unlike_asked(task, made(160, 96), catalog) == ()

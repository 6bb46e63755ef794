"""Resolution and aspect ratio where the provider wants a size, and shapes that suit the pictures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyframe_mcp import catalog
from keyframe_mcp.catalog import Listed
from keyframe_mcp.catalog.requests import Checked, check
from keyframe_mcp.catalog.sizes import nearest, quotient
from keyframe_mcp.errors import InvalidCatalogue
from keyframe_mcp.task import Inputs

OURS = catalog.load()
WAN, SILICON, FRAMEPACK = "wavespeed/wan-flf2v", "siliconflow/wan2.2-i2v", "wavespeed/framepack"
ANIMATION = "replicate/stable-diffusion-animation"

ACME = """
name = "Acme"
dialect = "local"
docs = "none"
[[models]]
id = "sized"
remote = "sized"
title = "Sized"
modes = ["t2v", "i2v"]
source = "a test"
verified = 2026-11-20
confidence = "L"
[models.inputs]
prompt = { type = "string" }
image = { type = "image", modes = ["i2v"] }
RESOLUTION
[models.options]
width = { type = "integer" }
height = { type = "integer", default = 480 }
[models.sizes."480p"]
"16:9" = { width = 854, height = 480 }
"1:1" = { width = 480, height = 480 }
[models.sizes."1080p"]
"16:9" = { width = 1920, height = 1080 }
"21:9" = { width = 2520, height = 1080 }
"""


def asked(listed: Listed | str, shapes: dict[str, tuple[int, int]] | None = None, **given: Any) -> Checked:
    found = OURS.find(listed) if isinstance(listed, str) else listed
    least = {"flf2v": {"first_image": "a", "last_image": "b"}, "i2v": {"image": "a", "prompt": "a fox"}}
    mode = given.pop("mode", "flf2v" if found.id == WAN else "i2v")
    asked_for = {"mode": mode} | least.get(mode, {}) | given
    return check(found.id, found.model, Inputs.model_validate(asked_for), shapes=shapes or {})


def sized(folder: Path, resolution: str = "") -> Listed:
    folder.mkdir(exist_ok=True)
    (folder / "acme.toml").write_text(ACME.replace("RESOLUTION", resolution), "utf-8")
    return catalog.load(folder).find("acme/sized")


@pytest.fixture
def free(tmp_path: Path) -> Listed:
    """A model that needs no size and has no defaults of ours."""
    return sized(tmp_path / "more")


# Pairs


@pytest.mark.parametrize(
    ("resolution", "ratio", "size"),
    [
        ("480p", "16:9", "832*480"),
        ("480p", "9:16", "480*832"),
        ("720p", "16:9", "1280*720"),
        ("720p", "9:16", "720*1280"),
    ],
)
def test_resolution_and_aspect_ratio_become_a_size(resolution: str, ratio: str, size: str):
    found = asked(WAN, resolution=resolution, aspect_ratio=ratio)

    assert found.problems == ()
    assert found.wire == {"first_image": "a", "last_image": "b", "size": size}


def test_neither_is_sent_under_its_own_name():
    found = asked(SILICON, resolution="720p", aspect_ratio="1:1")

    assert found.wire == {"image": "a", "prompt": "a fox", "image_size": "960x960"}


def test_a_size_may_be_given_in_the_providers_own_words():
    assert asked(WAN, options={"size": "720*1280"}).wire["size"] == "720*1280"
    assert asked(SILICON, options={"image_size": "720x1280"}).wire["image_size"] == "720x1280"


@pytest.mark.parametrize(("name", "value"), [("resolution", "480p"), ("aspect_ratio", "16:9")])
def test_a_size_is_not_given_twice(name: str, value: str):
    more: dict[str, Any] = {name: value}
    (problem,) = asked(WAN, options={"size": "720*1280"}, **more).problems

    assert problem.argument == "options.size"
    assert problem.message == f"it and {name} both decide the size; give one of them"


def test_the_values_are_those_of_the_table():
    inputs = OURS.find(ANIMATION).model.inputs

    assert inputs["resolution"].values == ["512p", "768p"]
    assert inputs["aspect_ratio"].values == ["1:1", "3:2", "2:3", "2:1", "4:3"]
    (problem,) = asked(WAN, aspect_ratio="1:1").problems
    assert str(problem) == "aspect_ratio: '1:1' is not one of 16:9, 9:16; nearest: 16:9"


def test_a_pair_that_does_not_exist_is_answered_with_those_that_do(free: Listed):
    (problem,) = asked(free, resolution="1080p", aspect_ratio="1:1").problems

    assert str(problem) == (
        "aspect_ratio: 1:1 does not go with 1080p; these do: 480p with 16:9, 1:1; 1080p with 16:9, 21:9"
    )


def test_an_aspect_ratio_alone_finds_a_resolution_that_has_it(free: Listed):
    found = asked(free, aspect_ratio="21:9")

    assert (found.wire["width"], found.wire["height"]) == (2520, 1080)
    assert found.warnings == ("resolution was not given: 1080p was chosen, which has 21:9",)
    assert asked(free, aspect_ratio="1:1").warnings == ()


def test_a_resolution_alone_takes_the_usual_aspect_ratio_or_the_first_there_is(free: Listed):
    assert asked(free, resolution="1080p").wire["width"] == 1920
    assert asked(WAN, resolution="720p").wire["size"] == "1280*720"


def test_one_half_of_a_size_in_the_providers_words_leaves_the_other_to_its_default(free: Listed):
    assert (asked(free, options={"width": 640}).wire["width"], asked(free, options={"width": 640}).wire["height"]) == (
        640,
        480,
    )


def test_without_a_word_about_it_the_provider_chooses():
    assert "size" not in asked(WAN).wire
    assert "input.width" not in asked(ANIMATION, mode="animation", prompt_start="a", prompt_end="b").wire


def test_a_default_of_ours_is_filled_in(tmp_path: Path):
    listed = sized(tmp_path / "more", 'resolution = { default = "1080p" }\naspect_ratio = { default = "21:9" }')

    assert asked(listed).wire["width"] == 2520
    assert asked(listed, resolution="480p").wire["width"] == 854  # 480p has no 21:9


def test_a_size_the_provider_insists_on_is_filled_in(tmp_path: Path):
    (tmp_path / "acme.toml").write_text(
        ACME.replace("RESOLUTION", "").replace(
            'width = { type = "integer" }', 'width = { type = "integer", required = true }'
        ),
        "utf-8",
    )
    found = asked(catalog.load(tmp_path).find("acme/sized"))

    assert found.problems == ()
    assert found.wire["width"] == 854


def test_values_of_resolution_beside_sizes_are_refused(tmp_path: Path):
    with pytest.raises(InvalidCatalogue, match=r"inputs.resolution: its values come from sizes; leave them out"):
        sized(tmp_path / "more", 'resolution = { type = "string", values = ["4k"] }')


def test_an_aspect_ratio_that_is_none_is_refused(tmp_path: Path):
    (tmp_path / "acme.toml").write_text(ACME.replace("RESOLUTION", "").replace('"21:9"', '"wide"'), "utf-8")
    with pytest.raises(InvalidCatalogue, match="sizes: 'wide' is not an aspect ratio such as 16:9"):
        catalog.load(tmp_path)


# Shapes


@pytest.mark.parametrize(
    ("shape", "size"),
    [((576, 1024), "480*832"), ((1024, 576), "832*480"), ((1000, 1001), "480*832"), ((4000, 500), "832*480")],
)
def test_a_portrait_picture_gets_a_portrait_size(shape: tuple[int, int], size: str):
    found = asked(WAN, {"first_image": shape})

    assert found.wire["size"] == size
    ratio = {"480*832": "9:16", "832*480": "16:9"}[size]
    assert found.warnings == (
        f"aspect_ratio was not given: {ratio} was chosen, the nearest to first_image ({shape[0]}x{shape[1]})",
    )


def test_the_shape_of_the_picture_comes_before_a_default_of_ours():
    assert asked(SILICON).wire["image_size"] == "1280x720"
    assert asked(SILICON, {"image": (700, 720)}).wire["image_size"] == "960x960"


def test_the_shape_is_chosen_among_what_the_resolution_has(free: Listed):
    assert asked(free, {"image": (100, 100)}).wire["width"] == 480
    assert asked(free, {"image": (100, 100)}, resolution="1080p").wire["width"] == 1920


def test_what_the_caller_said_is_not_second_guessed():
    portrait = {"first_image": (576, 1024)}
    for found in (asked(WAN, portrait, aspect_ratio="16:9"), asked(WAN, portrait, options={"size": "832*480"})):
        assert found.wire["size"] == "832*480"
        assert not [each for each in found.warnings if "was chosen" in each]


@pytest.mark.parametrize(
    ("name", "shape", "ratio"),
    [
        (WAN, (576, 1024), "16:9"),
        (WAN, (1024, 576), "9:16"),
        (FRAMEPACK, (900, 720), "16:9"),  # 16:9 is 1.42 times as wide
        ("local/camera", (3000, 720), "21:9"),
    ],
)
def test_an_aspect_ratio_far_from_the_first_picture_is_pointed_out(name: str, shape: tuple[int, int], ratio: str):
    argument = "first_image" if name == WAN else "image"
    found = asked(name, {argument: shape}, aspect_ratio=ratio)

    assert found.problems == ()
    assert found.warnings == (
        f"{argument} ({shape[0]}x{shape[1]}) is far from {ratio}; it will be cropped or stretched",
    )


@pytest.mark.parametrize("shape", [(1280, 720), (1100, 720), (1590, 720), (0, 0)])
def test_an_aspect_ratio_near_the_first_picture_is_not(shape: tuple[int, int]):
    assert asked(FRAMEPACK, {"image": shape}, aspect_ratio="16:9").warnings == ()


def test_the_shape_of_the_last_picture_is_compared_with_the_first_and_not_with_the_aspect_ratio():
    pictures = {"first_image": (1280, 720), "last_image": (576, 1024)}

    assert len(asked(WAN, pictures, aspect_ratio="16:9").warnings) == 1


def test_a_model_without_aspect_ratios_is_told_nothing_of_shapes():
    kling = "wavespeed/kling-v1.6-i2v-pro"

    assert asked(kling, {"image": (576, 1024)}).warnings == ()


def test_an_aspect_ratio_the_model_makes_nothing_of_is_compared_with_nothing():
    vidu = OURS.find("baicai/viduq2-pro-flf2v-fast")
    request = Inputs.model_validate(
        {"mode": "flf2v", "first_image": "a", "last_image": "b", "prompt": "a fox", "aspect_ratio": "16:9"}
    )
    found = check(vidu.id, vidu.model, request, shapes={"first_image": (576, 1024)})

    assert [each for each in found.warnings if "cropped" in each] == []


def test_an_aspect_ratio_of_its_own_follows_the_picture_too():
    assert asked(FRAMEPACK, {"image": (576, 1024)}).wire["aspect_ratio"] == "9:16"
    assert "aspect_ratio" not in asked(FRAMEPACK).wire
    assert asked(FRAMEPACK, {"image": (576, 1024)}, aspect_ratio="16:9").wire["aspect_ratio"] == "16:9"


def test_a_model_that_follows_the_picture_by_itself_is_told_nothing():
    found = asked("wavespeed/seedance-2.0-image-to-video", {"image": (576, 1024)})

    assert "aspect_ratio" not in found.wire
    assert found.warnings == ()


def test_a_picture_without_a_size_changes_nothing():
    assert asked(WAN, {"first_image": (0, 0)}).wire == asked(WAN).wire


def test_pictures_that_differ_in_shape_are_pointed_out():
    (warning,) = asked(WAN, {"first_image": (1280, 720), "last_image": (720, 1280)}, aspect_ratio="16:9").warnings

    assert warning.startswith("first_image (1280x720) and last_image (720x1280) differ in shape by 216%; ")


@pytest.mark.parametrize("last", [(1280, 720), (1500, 720), (1280, 880)])
def test_a_small_difference_in_shape_is_not(last: tuple[int, int]):
    assert asked(WAN, {"first_image": (1280, 720), "last_image": last}, aspect_ratio="16:9").warnings == ()


SIDES = st.integers(1, 20_000)
RATIOS = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=6, unique=True)


@given(SIDES, SIDES, RATIOS)
def test_no_other_aspect_ratio_is_nearer(width: int, height: int, ratios: list[tuple[int, int]]):
    named = [f"{wide}:{high}" for wide, high in ratios]

    def stretch(ratio: str) -> float:
        factor = (width / height) / quotient(ratio)
        return max(factor, 1 / factor)

    chosen = nearest((width, height), named)
    assert all(stretch(chosen) <= stretch(ratio) * (1 + 1e-9) for ratio in named)


@given(SIDES, SIDES)
def test_turning_a_picture_turns_the_size(width: int, height: int):
    if math.isclose(width, height):
        return
    sides = ((width, height), (height, width))
    sizes = [asked(WAN, {"first_image": each}).wire["size"] for each in sides]

    assert sizes in (["832*480", "480*832"], ["480*832", "832*480"])

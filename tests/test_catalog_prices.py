"""What a video will cost, and how long it will be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyframe_mcp import catalog
from keyframe_mcp.catalog import Listed
from keyframe_mcp.catalog.lengths import interpolated_keyframes
from keyframe_mcp.catalog.prices import Price, in_full, in_short
from keyframe_mcp.catalog.requests import Checked, check
from keyframe_mcp.task import Cost, Inputs

OURS = catalog.load()
FRAMEPACK, WAN = OURS.find("wavespeed/framepack"), OURS.find("wavespeed/wan-flf2v")
ANIMATION = OURS.find("gateway/stable-diffusion-animation")

ACME = """
name = "Acme"
dialect = "local"
docs = "none"
[[models]]
id = "film"
remote = "film"
title = "Film"
modes = ["t2v"]
source = "a test"
verified = 2026-11-20
confidence = "L"
prices = PRICES
[models.inputs]
prompt = { type = "string" }
duration = { type = "integer", wire = "seconds"USUAL }
num_outputs = { type = "integer", wire = "n", min = 1, max = 4 }
[models.options]
loop = { type = "boolean", provider_default = true }
"""


def film(folder: Path, prices: str, usual: str = ", provider_default = 5") -> Listed:
    (folder / "acme.toml").write_text(ACME.replace("PRICES", prices).replace("USUAL", usual), "utf-8")
    return catalog.load(folder).find("acme/film")


def asked(listed: Listed, **given: Any) -> Checked:
    least: dict[str, Any] = {
        "i2v": {"image": "a", "prompt": "a fox"},
        "flf2v": {"first_image": "a", "last_image": "b"},
        "t2v": {"prompt": "a fox"},
        "animation": {"prompt_start": "dawn", "prompt_end": "dusk"},
    }
    mode = next(iter(listed.model.modes))
    found = check(listed.id, listed.model, Inputs.model_validate({"mode": mode} | least[mode] | given))
    assert found.problems == ()
    return found


def cost(listed: Listed, **given: Any) -> Cost:
    return listed.cost(asked(listed, **given).wire)


# The figures of the documentation


@pytest.mark.parametrize(
    ("given", "usd"),
    [
        ({}, 0.198),
        ({"options": {"num_frames": 60}}, 0.066),
        ({"options": {"num_frames": 240}}, 0.264),
        ({"duration": 8}, 0.264),
        ({"duration": 60}, 1.98),
        ({"resolution": "480p"}, 0.13194),
    ],
)
def test_framepack_is_paid_by_the_frame(given: dict[str, Any], usd: float):
    assert cost(FRAMEPACK, **given).estimated_usd == pytest.approx(usd)


def test_720p_costs_half_as_much_again_as_480p():
    low, high = (cost(FRAMEPACK, resolution=each).estimated_usd or 0 for each in ("480p", "720p"))

    assert high / low == pytest.approx(1.5, rel=1e-3)


@pytest.mark.parametrize(
    ("given", "usd"),
    [
        ({}, 0.30),
        ({"duration": 5, "resolution": "480p"}, 0.30),
        ({"duration": 10, "aspect_ratio": "9:16"}, 0.45),
        ({"resolution": "720p"}, 0.40),
        ({"duration": 10, "options": {"size": "720*1280"}}, 0.60),
    ],
)
def test_wan_flf2v_is_paid_by_length_and_size(given: dict[str, Any], usd: float):
    assert cost(WAN, **given).estimated_usd == usd


@pytest.mark.parametrize(
    ("model_id", "given", "usd"),
    [
        ("wavespeed/wan-2.2-i2v-480p-ultra-fast", {"mode": "i2v", "image": "a", "prompt": "a", "duration": 8}, 0.08),
        ("wavespeed/hailuo-02-standard", {"mode": "t2v", "prompt": "a fox"}, 0.23),
        ("wavespeed/hailuo-02-standard", {"mode": "t2v", "prompt": "a fox", "duration": 10}, None),
        ("wavespeed/seedance-2.0-text-to-video", {"mode": "t2v", "prompt": "a fox"}, 0.60),
        ("siliconflow/wan2.2-t2v", {"mode": "t2v", "prompt": "a fox"}, None),
    ],
)
def test_a_price_that_is_not_known_is_not_guessed(model_id: str, given: dict[str, Any], usd: float | None):
    listed = OURS.find(model_id)
    found = check(listed.id, listed.model, Inputs.model_validate(given))

    assert found.problems == ()
    assert listed.cost(found.wire).estimated_usd == usd


def test_a_price_says_that_it_is_an_estimate_and_what_it_rests_on():
    assert cost(FRAMEPACK, options={"num_frames": 60}).basis == (
        "estimate: $0.0011 a frame x 60 frames with resolution 720p"
    )
    assert cost(WAN).basis == "estimate: $0.3 a video with duration 5, size 832*480"


def test_the_embedded_renderer_is_free_and_says_so():
    assert OURS.find("local/morph").cost({}) == Cost(estimated_usd=0, basis="free, drawn on this machine")


# Rules


def test_the_first_rule_that_fits_decides(tmp_path: Path):
    listed = film(tmp_path, '[{ usd = 1, per = "video", when = { seconds = [5, 6] } }, { usd = 2, per = "video" }]')

    assert cost(listed, duration=6).estimated_usd == 1
    assert cost(listed, duration=7).estimated_usd == 2


def test_a_documented_default_counts_as_sent(tmp_path: Path):
    listed = film(tmp_path, '[{ usd = 1, per = "video", when = { seconds = 5, loop = true } }]')

    assert cost(listed).estimated_usd == 1
    assert cost(listed, options={"loop": False}).basis == "no price is known for these inputs"


def test_a_switch_is_no_number(tmp_path: Path):
    listed = film(tmp_path, '[{ usd = 1, per = "video", when = { loop = 1 } }]')

    assert cost(listed).estimated_usd is None


def test_a_second_has_a_price(tmp_path: Path):
    listed = film(tmp_path, '[{ usd = 0.1, per = "second" }]')

    assert (cost(listed).estimated_usd, cost(listed, duration=12).estimated_usd) == (0.5, 1.2)


@pytest.mark.parametrize(("duration", "usd"), [(None, 0.5), (8, 0.8)])
def test_seconds_are_counted_where_frames_are_sent(duration: int | None, usd: float, tmp_path: Path):
    listed = film(tmp_path, '[{ usd = 0.1, per = "second" }]', usual=", times = 24, provider_default = 5")

    assert cost(listed, duration=duration).estimated_usd == pytest.approx(usd)


def test_a_length_nobody_knows_makes_a_price_nobody_knows(tmp_path: Path):
    listed = film(tmp_path, '[{ usd = 0.1, per = "second" }]', usual="")

    assert cost(listed) == Cost(estimated_usd=None, basis="$0.1 a second, of a length the provider decides")


def test_every_video_is_paid(tmp_path: Path):
    listed = film(tmp_path, '[{ usd = 0.1, per = "second" }]')

    assert cost(listed, num_outputs=3) == Cost(
        estimated_usd=1.5, basis="estimate: $0.1 a second x 5 seconds x 3 videos"
    )


def test_no_price_is_said_to_be_none(tmp_path: Path):
    assert cost(film(tmp_path, "[]")) == Cost(estimated_usd=None, basis="no price is known for this model")


def test_rules_are_told_in_short_and_in_full():
    rules = [Price(usd=0.3, per="video", when={"size": ["a", "b"]}), Price(usd=0.6, per="video")]

    assert in_short(rules) == "$0.3-0.6 a video"
    assert in_full(rules) == "$0.3 a video with size a/b; $0.6 a video"
    assert in_short(rules[:1]) == "about $0.3 a video"
    assert in_short([*rules, Price(usd=1, per="second")]) == in_full([*rules, Price(usd=1, per="second")])
    assert (in_short([]), in_full([])) == ("price unknown", "")


# Lengths

DEFAULTS = {
    "prompt_end": "dusk",
    "num_animation_frames": 10,
    "num_interpolation_steps": 5,
    "gif_frames_per_second": 20,
    "num_inference_steps": 50,
    "gif_ping_pong": False,
    "film_interpolation": True,
}


@pytest.mark.parametrize(
    ("said", "frames", "seconds"),
    [
        ({}, 73, 3.65),
        ({"num_animation_frames": 25, "gif_ping_pong": True}, 401, 20.05),
        ({"num_animation_frames": 50, "num_interpolation_steps": 50, "gif_ping_pong": True}, 6401, 320.05),
        ({"film_interpolation": False}, 45, 2.25),
        ({"prompt_end": "noon|dusk|night"}, 233, 11.65),
        ({"num_interpolation_steps": 1}, 19, 0.95),
        ({"gif_frames_per_second": 10}, 73, 7.3),
    ],
)
def test_the_length_of_an_animation_follows_from_four_of_its_inputs(said: dict[str, Any], frames: int, seconds: float):
    length = interpolated_keyframes(DEFAULTS | said)

    assert length is not None
    assert (length.frames, length.seconds) == (frames, pytest.approx(seconds))


def test_an_animation_is_announced_with_its_length():
    assert asked(ANIMATION).warnings == ("estimate: about 73 frames, 3.65 s at 20 fps",)
    sample = {"num_animation_frames": 25, "gif_ping_pong": True}
    assert asked(ANIMATION, options=sample).warnings == ("estimate: about 401 frames, 20.05 s at 20 fps",)


@pytest.mark.parametrize(
    "given",
    [
        {"options": {"num_animation_frames": 50, "num_interpolation_steps": 50, "gif_ping_pong": True}},
        {"num_inference_steps": 500, "options": {"num_animation_frames": 30}},
    ],
)
def test_an_animation_that_may_not_be_finished_in_time_is_pointed_out(given: dict[str, Any]):
    _, warning = asked(ANIMATION, **given).warnings

    assert "longer than the provider lets a job run" in warning


def test_a_request_with_problems_has_no_length():
    found = check(
        ANIMATION.id,
        ANIMATION.model,
        Inputs.model_validate({"mode": "animation", "prompt_start": "a", "options": {"num_animation_frames": 1}}),
    )

    assert len(found.problems) == 2
    assert found.warnings == ()


@given(
    st.fixed_dictionaries(
        {
            "prompt_end": st.text("ab|", max_size=9),
            "num_animation_frames": st.integers(2, 50),
            "num_interpolation_steps": st.integers(1, 50),
            "gif_frames_per_second": st.integers(1, 50),
            "num_inference_steps": st.integers(1, 500),
            "gif_ping_pong": st.booleans(),
            "film_interpolation": st.booleans(),
        }
    )
)
def test_any_animation_has_a_length(said: dict[str, Any]):
    length = interpolated_keyframes(said)

    assert length is not None
    assert length.frames >= said["num_animation_frames"] - 1
    assert length.seconds * said["gif_frames_per_second"] == pytest.approx(length.frames)

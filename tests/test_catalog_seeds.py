"""The five documented systems: every parameter of their pages can be reached, and what is wrong there is put right."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from keyframe_mcp import catalog
from keyframe_mcp.adapters import DIALECTS
from keyframe_mcp.catalog import Listed
from keyframe_mcp.catalog.inputs import Input
from keyframe_mcp.catalog.requests import Checked, check
from keyframe_mcp.task import Inputs

OURS = catalog.load(dialects=DIALECTS)

FRAMEPACK = "wavespeed/framepack"
WAN = "wavespeed/wan-flf2v"
BAICAI = "baicai/viduq2-pro-flf2v-fast"
WAN_I2V = "siliconflow/wan2.2-i2v"
WAN_T2V = "siliconflow/wan2.2-t2v"
REPLICATE = "replicate/stable-diffusion-animation"
GATEWAY = "gateway/stable-diffusion-animation"


@dataclass(frozen=True)
class Parameter:
    """A row of a documentation page. `span` is the lowest and highest value, `values` an enumeration."""

    wire: str
    type: str
    required: bool = False
    default: object = None
    span: tuple[float, float] | None = None
    values: tuple[object, ...] | None = None


SEED = Parameter("seed", "integer", span=(-1, 2147483647))
TEXT = "string"

PAGES: dict[str, list[Parameter]] = {
    FRAMEPACK: [
        Parameter("image", TEXT, required=True),
        Parameter("prompt", TEXT, required=True),
        Parameter("negative_prompt", TEXT),
        Parameter("aspect_ratio", TEXT, default="16:9", values=("16:9", "9:16")),
        Parameter("resolution", TEXT, default="720p", values=("720p", "480p")),
        SEED,
        Parameter("num_inference_steps", "integer", default=25, span=(4, 50)),
        Parameter("num_frames", "integer", default=180, span=(30, 1800)),
        Parameter("guidance_scale", "number", default=10, span=(0, 32)),
    ],
    WAN: [
        Parameter("first_image", TEXT, required=True),
        Parameter("last_image", TEXT, required=True),
        Parameter("prompt", TEXT),
        Parameter("negative_prompt", TEXT),
        Parameter("duration", "integer", default=5, values=(5, 10)),  # the page's range, less what it has no price for
        Parameter("size", TEXT, default="832*480", values=("832*480", "480*832", "1280*720", "720*1280")),
        Parameter("num_inference_steps", "integer", default=30, span=(1, 40)),
        Parameter("guidance_scale", "number", default=5, span=(0, 20)),
        Parameter("seed", "integer", default=-1, span=(-1, 2147483647)),
    ],
    BAICAI: [
        Parameter("input.image", TEXT, required=True),
        Parameter("input.last_image", TEXT, required=True),
        Parameter("input.prompt", TEXT, required=True),
        Parameter("input.negative_prompt", TEXT),
        Parameter("input.resolution", TEXT, required=True, default="720p", values=("720p", "1080p")),
        Parameter("input.duration", "integer", required=True, default=5, values=(5, 6, 8)),
        Parameter("input.number_of_videos", "integer", default=1, span=(1, 4)),
        Parameter("need_expand_prompt", "boolean", default=False),
    ],
    WAN_I2V: [
        Parameter("prompt", TEXT, required=True),
        Parameter("negative_prompt", TEXT),
        Parameter("image_size", TEXT, required=True, values=("1280x720", "720x1280", "960x960")),
        Parameter("image", TEXT, required=True),
        Parameter("seed", "integer"),
    ],
    WAN_T2V: [
        Parameter("prompt", TEXT, required=True),
        Parameter("negative_prompt", TEXT),
        Parameter("image_size", TEXT, required=True, values=("1280x720", "720x1280", "960x960")),
        Parameter("seed", "integer"),
    ],
    GATEWAY: [
        Parameter("input.width", "integer", default=512, values=(128, 256, 512, 768, 1024)),
        Parameter("input.height", "integer", default=512, values=(128, 256, 512, 768)),
        Parameter("input.prompt_end", TEXT, required=True),
        Parameter("input.prompt_start", TEXT, required=True),
        Parameter("input.gif_ping_pong", "boolean", default=False),
        Parameter("input.output_format", TEXT, default="gif", values=("gif", "mp4")),
        Parameter("input.guidance_scale", "number", default=7.5, span=(1, 20)),
        Parameter("input.prompt_strength", "number", default=0.8, span=(0, 1)),
        Parameter("input.film_interpolation", "boolean", default=True),
        Parameter("input.intermediate_output", "boolean", default=False),
        Parameter("input.num_inference_steps", "integer", default=50, span=(1, 500)),
        Parameter("input.num_animation_frames", "integer", default=10, span=(2, 50)),
        Parameter("input.gif_frames_per_second", "integer", default=20, span=(1, 50)),
        Parameter("input.num_interpolation_steps", "integer", default=5, span=(1, 50)),
        Parameter("input.seed", "integer"),  # of the model, though not of the gateway's page
    ],
}
PAGES[REPLICATE] = PAGES[GATEWAY]
ROWS = [(model_id, row) for model_id, rows in PAGES.items() for row in rows]

REQUESTS: dict[str, dict[str, Any]] = {
    FRAMEPACK: {"mode": "i2v", "image": "a.png", "prompt": "a fox"},
    WAN: {"mode": "flf2v", "first_image": "a.png", "last_image": "b.png"},
    BAICAI: {"mode": "flf2v", "first_image": "a.png", "last_image": "b.png", "prompt": "a fox"},
    WAN_I2V: {"mode": "i2v", "image": "a.png", "prompt": "a fox"},
    WAN_T2V: {"mode": "t2v", "prompt": "a fox"},
    REPLICATE: {"mode": "animation", "prompt_start": "dawn", "prompt_end": "dusk"},
    GATEWAY: {"mode": "animation", "prompt_start": "dawn", "prompt_end": "dusk"},
}


def reached(listed: Listed, wire: str) -> tuple[str, Input]:
    """Our name for a parameter, and its entry. The one that is the parameter itself, and no other way to say it."""
    ((name, spec),) = [
        (name, spec)
        for name, spec in listed.model.specs()
        if listed.model.wire(name, spec) == wire and spec.times is None and spec.unused is None
    ]
    return name, spec


def asked(model_id: str, **more: Any) -> Checked:
    listed = OURS.find(model_id)
    return check(listed.id, listed.model, Inputs.model_validate(REQUESTS[model_id] | more))


@pytest.mark.parametrize(("model_id", "row"), ROWS, ids=[f"{model_id}-{row.wire}" for model_id, row in ROWS])
def test_a_documented_parameter_is_in_the_catalogue_as_documented(model_id: str, row: Parameter):
    _, spec = reached(OURS.find(model_id), row.wire)

    assert spec.type == row.type or (spec.type, row.type) == ("image", "string")
    assert spec.required == row.required
    assert spec.usual == row.default
    assert (None if spec.values is None else tuple(spec.values)) == row.values
    if row.span is not None:
        assert (spec.min, spec.max) == row.span


@pytest.mark.parametrize(("model_id", "row"), ROWS, ids=[f"{model_id}-{row.wire}" for model_id, row in ROWS])
def test_a_documented_parameter_arrives_under_its_own_name(model_id: str, row: Parameter):
    listed = OURS.find(model_id)
    name, spec = reached(listed, row.wire)
    typical = {"string": "a fox", "image": "c.png", "boolean": True, "integer": 7, "number": 3}[spec.type]
    value = row.values[-1] if row.values else row.span[1] if row.span else typical
    given = {"options": {name: value}} if name in listed.model.options else {name: value}
    found = asked(model_id, **given)

    assert found.problems == ()
    assert found.wire[row.wire] == value


@pytest.mark.parametrize("model_id", PAGES)
def test_no_parameter_is_in_the_catalogue_that_no_page_names(model_id: str):
    model = OURS.find(model_id).model
    documented = {row.wire for row in PAGES[model_id]}
    headers = {"header:Cancel-After", "header:Prefer"} if model_id == REPLICATE else set[str]()
    sent = {model.wire(name, spec) for name, spec in model.specs() if spec.unused is None}

    assert sent - {"resolution", "aspect_ratio", "input.resolution", "input.aspect_ratio"} <= documented | headers


@pytest.mark.parametrize(("model_id", "row"), ROWS, ids=[f"{model_id}-{row.wire}" for model_id, row in ROWS])
def test_a_value_outside_the_documented_limits_is_refused(model_id: str, row: Parameter):
    listed = OURS.find(model_id)
    name, _ = reached(listed, row.wire)
    if row.values is None and row.span is None:
        return
    wrong = "no such value" if row.type == TEXT else 1025 if row.span is None else row.span[1] + 1
    given = {"options": {name: wrong}} if name in listed.model.options else {name: wrong}
    argument = f"options.{name}" if name in listed.model.options else name

    assert argument in {problem.argument for problem in asked(model_id, **given).problems}


# What is sent when nothing but the necessary is said

LEAST: dict[str, dict[str, object]] = {
    FRAMEPACK: {"image": "a.png", "prompt": "a fox"},
    WAN: {"first_image": "a.png", "last_image": "b.png"},
    BAICAI: {
        "task_type": "flf2video",
        "async": True,
        "input.image": "a.png",
        "input.last_image": "b.png",
        "input.prompt": "a fox",
        "input.resolution": "720p",
        "input.duration": 5,
    },
    WAN_I2V: {"image": "a.png", "prompt": "a fox", "image_size": "1280x720"},
    WAN_T2V: {"prompt": "a fox", "image_size": "1280x720"},
    REPLICATE: {"input.prompt_start": "dawn", "input.prompt_end": "dusk"},
    GATEWAY: {"input.prompt_start": "dawn", "input.prompt_end": "dusk"},
}


@pytest.mark.parametrize("model_id", PAGES)
def test_only_what_the_provider_insists_on_is_filled_in(model_id: str):
    found = asked(model_id)

    assert found.problems == ()
    assert found.wire == LEAST[model_id]


SAMPLES: dict[str, tuple[dict[str, Any], dict[str, object]]] = {
    FRAMEPACK: (
        {
            "aspect_ratio": "16:9",
            "resolution": "720p",
            "seed": 0,
            "num_inference_steps": 25,
            "guidance_scale": 10,
            "options": {"num_frames": 180},
        },
        {
            "aspect_ratio": "16:9",
            "resolution": "720p",
            "seed": 0,
            "num_inference_steps": 25,
            "num_frames": 180,
            "guidance_scale": 10,
        },
    ),
    WAN: (
        {
            "duration": 5,
            "num_inference_steps": 30,
            "guidance_scale": 5,
            "seed": -1,
            "resolution": "480p",
            "aspect_ratio": "16:9",
        },
        {"duration": 5, "size": "832*480", "num_inference_steps": 30, "guidance_scale": 5, "seed": -1},
    ),
    BAICAI: ({"resolution": "1080p", "duration": 5}, {"input.resolution": "1080p", "input.duration": 5}),
    WAN_I2V: (
        {"negative_prompt": "rain", "aspect_ratio": "16:9", "seed": 123},
        {"negative_prompt": "rain", "image_size": "1280x720", "seed": 123},
    ),
    GATEWAY: (
        {
            "guidance_scale": 7.5,
            "num_inference_steps": 50,
            "options": {
                "width": 512,
                "height": 512,
                "gif_ping_pong": True,
                "output_format": "mp4",
                "prompt_strength": 0.9,
                "film_interpolation": True,
                "intermediate_output": False,
                "num_animation_frames": 25,
                "gif_frames_per_second": 20,
                "num_interpolation_steps": 5,
            },
        },
        {
            "input.width": 512,
            "input.height": 512,
            "input.gif_ping_pong": True,
            "input.output_format": "mp4",
            "input.guidance_scale": 7.5,
            "input.prompt_strength": 0.9,
            "input.film_interpolation": True,
            "input.intermediate_output": False,
            "input.num_inference_steps": 50,
            "input.num_animation_frames": 25,
            "input.gif_frames_per_second": 20,
            "input.num_interpolation_steps": 5,
        },
    ),
}


@pytest.mark.parametrize("model_id", SAMPLES)
def test_the_sample_of_a_page_can_be_asked_for(model_id: str):
    given, sent = SAMPLES[model_id]
    found = asked(model_id, **given)

    assert found.problems == ()
    assert found.wire == LEAST[model_id] | sent


# What is wrong on the pages


@pytest.mark.parametrize("duration", [6, 7, 8, 9])
def test_wan_flf2v_offers_only_the_durations_that_have_a_price(duration: int):
    (problem,) = asked(WAN, duration=duration).problems

    assert problem.message.startswith(f"{duration} is not one of 5, 10; nearest: ")


def test_the_images_the_samples_leave_out_are_needed():
    for model_id, missing in ((FRAMEPACK, {"image", "prompt"}), (WAN, {"first_image", "last_image"})):
        found = asked(model_id, **dict.fromkeys(missing))

        assert {problem.argument for problem in found.problems} == missing


def test_framepacks_image_is_a_picture_and_not_the_video_its_page_speaks_of():
    listed = OURS.find(FRAMEPACK)

    assert asked(FRAMEPACK).pictures == {"image": "image"}
    assert "left over from another model" in listed.model.notes


def test_framepacks_duration_in_seconds_becomes_frames():
    assert [asked(FRAMEPACK, duration=seconds).wire["num_frames"] for seconds in (1, 2, 5.4, 60)] == [30, 60, 160, 1800]
    assert [type(asked(FRAMEPACK, duration=5.5).wire["num_frames"])] == [int]


def test_framepacks_length_is_said_once():
    (problem,) = asked(FRAMEPACK, duration=2, options={"num_frames": 60}).problems

    assert (problem.argument, problem.message) == (
        "duration",
        "it and options.num_frames both set num_frames; give one of them",
    )


def test_baicai_takes_no_seven_seconds():
    (problem,) = asked(BAICAI, duration=7).problems

    assert problem.argument == "duration"


def test_baicais_aspect_ratio_is_accepted_and_said_to_make_no_difference():
    found = asked(BAICAI, aspect_ratio="9:16")

    assert found.wire == LEAST[BAICAI]
    assert "the shape of the first image" in found.warnings[0]


def test_baicai_makes_several_videos_at_once():
    assert asked(BAICAI, num_outputs=4).wire["input.number_of_videos"] == 4
    assert [problem.argument for problem in asked(BAICAI, num_outputs=5).problems] == ["num_outputs"]


def test_baicai_reads_png_and_jpeg_only():
    assert OURS.find(BAICAI).picture_formats == ("png", "jpeg")


def test_an_animation_has_no_negative_prompt_and_no_duration():
    found = asked(REPLICATE, negative_prompt="rain", duration=5)

    assert {problem.argument for problem in found.problems} == {"negative_prompt", "duration"}


@pytest.mark.parametrize("model_id", [REPLICATE, GATEWAY, WAN_I2V, WAN_T2V])
def test_a_seed_of_minus_one_is_left_to_providers_that_have_none(model_id: str):
    assert asked(model_id, seed=-1).wire == LEAST[model_id]
    assert asked(model_id, seed=0).problems == ()
    assert [problem.argument for problem in asked(model_id, seed=-2).problems] == ["seed"]


@pytest.mark.parametrize("model_id", [FRAMEPACK, WAN])
def test_a_seed_of_minus_one_is_sent_to_providers_that_know_it(model_id: str):
    assert asked(model_id, seed=-1).wire["seed"] == -1


def test_both_kinds_of_header_are_reached_at_replicate_and_not_at_the_gateway():
    options = {"cancel_after": "90", "prefer_wait": 20}
    found = asked(REPLICATE, options=options)

    assert found.problems == ()
    assert found.wire["header:Cancel-After"] == "90s"
    assert found.wire["header:Prefer"] == "wait=20"
    assert {problem.argument for problem in asked(GATEWAY, options=options).problems} == {
        "options.cancel_after",
        "options.prefer_wait",
    }
    assert [problem.argument for problem in asked(REPLICATE, options={"prefer_wait": 61}).problems] == [
        "options.prefer_wait"
    ]


@pytest.mark.parametrize("model_id", [REPLICATE, GATEWAY])
def test_the_version_is_whole(model_id: str):
    assert re.fullmatch("[0-9a-f]{64}", OURS.find(model_id).model.version or "")


def test_the_gateways_seed_is_marked_as_a_guess():
    assert OURS.find(GATEWAY).model.inputs["seed"].confidence == "L"


# The providers


PROVIDERS: dict[str, tuple[object, ...]] = {
    # dialect, address, key, pictures, can stop jobs, lists jobs, seconds a result can be downloaded
    "wavespeed": ("wavespeed", "https://api.wavespeed.ai", "WAVESPEED_API_KEY", "upload", False, True, 604800),
    "siliconflow": (
        "siliconflow",
        "https://api.siliconflow.cn/v1",
        "SILICONFLOW_API_KEY",
        "inline",
        False,
        False,
        600,
    ),
    "baicai": ("baicai", "https://cloud.baicaiinfer.com", "BAICAI_API_KEY", "upload", False, False, None),
    "replicate": ("replicate", "https://api.replicate.com/v1", "REPLICATE_API_TOKEN", "upload", True, True, 3600),
    "gateway": ("replicate", "https://yunwu.ai", "GATEWAY_API_KEY", "inline", False, False, None),
}


@pytest.mark.parametrize("provider_id", PROVIDERS)
def test_a_provider_is_as_its_documentation_says(provider_id: str):
    found = OURS.providers[provider_id]

    assert PROVIDERS[provider_id] == (
        found.dialect,
        found.base_url,
        found.key,
        found.pictures.by,
        found.cancel,
        found.reconcile,
        found.results_seconds,
    )


def test_the_hosts_of_baicai_are_spelled_differently():
    found = OURS.providers["baicai"]

    assert "baicainfer.com" in found.docs
    assert "baicaiinfer.com" in (found.base_url or "")
    assert found.experimental


def test_the_gateway_sends_no_picture_larger_than_replicate_takes_in_a_request():
    assert OURS.providers["gateway"].pictures.most_bytes == OURS.providers["replicate"].pictures.inline_under == 2**18


def test_another_gateway_is_only_another_file(tmp_path: Path):
    text = (resources.files(catalog) / "gateway.toml").read_text("utf-8")
    (tmp_path / "reseller.toml").write_text(
        text.replace("https://yunwu.ai", "https://reseller.example").replace("GATEWAY_API_KEY", "RESELLER_KEY"), "utf-8"
    )
    found = catalog.load(tmp_path, DIALECTS)

    assert found.providers["reseller"].base_url == "https://reseller.example"
    assert found.find("reseller/stable-diffusion-animation").model == OURS.find(GATEWAY).model

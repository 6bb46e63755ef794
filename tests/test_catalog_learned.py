"""Models a provider lists itself: read as far as they can be, kept in a file, added to the catalogue."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyframe_mcp import catalog
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.catalog.learned import Learned, models_of
from keyframe_mcp.catalog.learned_files import LearnedFile
from keyframe_mcp.catalog.models import Model
from keyframe_mcp.catalog.requests import check
from keyframe_mcp.task import Inputs

SOURCE = "https://api.wavespeed.ai/api/v3/models"
TODAY = date(2026, 11, 20)

PROMPT = {"type": "string", "description": "What happens.", "x-ui-component": "textarea"}
PICTURE = {"type": "string", "description": "A picture.", "x-ui-component": "uploader"}
DURATION = {"type": "integer", "description": "Seconds.", "default": 5, "enum": [5, 8]}
SEED = {"type": "integer", "description": "-1 is random.", "default": -1}
SIZE = {"type": "string", "default": "832*480", "enum": ["832*480", "480*832", "1280*720", "720*1280"]}


def row(remote: str, kind: str = "image-to-video", required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    """An entry of the list, shaped as the provider's."""
    return {
        "model_id": remote,
        "name": remote,
        "type": kind,
        "description": f"{remote} makes videos. Ready-to-use REST inference API, best performance, no coldstarts.",
        "base_price": 0.3,
        "sort_order": 100,
        "api_schema": {
            "api_schemas": [
                {
                    "type": "model_run",
                    "method": "POST",
                    "server": "https://api.wavespeed.ai",
                    "api_path": f"/api/v3/{remote}",
                    "request_schema": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": properties,
                        "required": list(required),
                        "x-order-properties": list(properties),
                    },
                }
            ]
        },
    }


LIST = [
    row(
        "wavespeed-ai/wan-2.2/i2v-480p",
        required=("image", "prompt"),
        image=PICTURE,
        last_image=PICTURE,
        prompt=PROMPT,
        negative_prompt=PROMPT,
        duration=DURATION,
        seed=SEED,
    ),
    row("wavespeed-ai/wan-2.1/t2v", "text-to-video", ("prompt",), prompt=PROMPT, size=SIZE, duration=DURATION),
    row("vidu/between", required=("image", "last_image"), image=PICTURE, last_image=PICTURE, prompt=PROMPT),
    row(
        "vidu/start-end-to-video-1.5",
        required=("images", "prompt"),
        images={"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
        prompt=PROMPT,
    ),
    row("minimax/hailuo", required=("prompt",), image=PICTURE, end_image=PICTURE, prompt={**PROMPT, "maxLength": 2000}),
    row(
        "acme/many",
        required=("image", "mode"),
        image=PICTURE,
        num_inference_steps={"type": "integer", "minimum": 1, "maximum": 40.0, "default": 30},
        guidance_scale={"type": "number", "minimum": 0, "maximum": 1, "default": 0.5},
        resolution={"type": "string", "enum": ["720p", "1080p"], "default": "720p"},
        aspect_ratio={"type": "string", "enum": ["16:9", "9:16"]},
        mode={"type": "string", "enum": ["std", "pro"]},
        cfg_scale={"type": "number", "minimum": 0, "maximum": 1},
        generate_audio={"type": "boolean", "default": True},
        loras={"type": "array", "maxItems": 3, "items": {"type": "object"}},
        enable_sync_mode={"type": "boolean", "default": False},
        hidden={"type": "string", "x-hidden": True},
        duration={"type": "string", "enum": ["5", "10"]},
    ),
    row("luma/ray", "text-to-video", ("prompt",), prompt=PROMPT, size={"type": "string", "enum": ["16:9", "9:16"]}),
    row("lora/wan-t2v-lora", "lora-support", ("prompt",), prompt=PROMPT),
]


def learned(*rows: object) -> Learned:
    return models_of(list(rows), SOURCE, TODAY)


def only(one: object) -> Model:
    (model,) = learned(one).models
    return model


FOUND = {model.remote: model for model in learned(*LIST).models}


def sent(model: Model, **given_inputs: Any) -> dict[str, Any]:
    found = check(model.id, model, Inputs.model_validate(given_inputs))
    assert found.problems == ()
    return found.wire


# What can be read


def test_every_model_of_the_sample_is_read():
    assert FOUND.keys() == {each["model_id"] for each in LIST}


@pytest.mark.parametrize(
    ("remote", "modes"),
    [
        ("wavespeed-ai/wan-2.2/i2v-480p", {"i2v", "flf2v"}),
        ("wavespeed-ai/wan-2.1/t2v", {"t2v"}),
        ("vidu/between", {"flf2v"}),
        ("vidu/start-end-to-video-1.5", {"flf2v"}),
        ("minimax/hailuo", {"t2v", "i2v", "flf2v"}),
        ("acme/many", {"i2v"}),
    ],
)
def test_modes_follow_from_the_pictures_a_model_takes(remote: str, modes: set[str]):
    assert FOUND[remote].modes == modes


def test_pictures_go_under_the_models_own_names():
    assert sent(FOUND["wavespeed-ai/wan-2.2/i2v-480p"], mode="flf2v", first_image="a", last_image="b", prompt="c") == {
        "image": "a",
        "last_image": "b",
        "prompt": "c",
    }
    assert sent(FOUND["vidu/start-end-to-video-1.5"], mode="flf2v", first_image="a", last_image="b", prompt="c") == {
        "images[0]": "a",
        "images[1]": "b",
        "prompt": "c",
    }
    assert sent(FOUND["minimax/hailuo"], mode="flf2v", first_image="a", last_image="b", prompt="c")["end_image"] == "b"


def test_our_words_are_inputs_and_everything_else_is_an_option():
    model = FOUND["acme/many"]

    assert model.inputs.keys() == {"image", "num_inference_steps", "guidance_scale", "resolution", "aspect_ratio"}
    assert model.options.keys() == {"mode", "cfg_scale", "generate_audio", "loras", "duration"}


def test_limits_and_defaults_are_kept():
    model = FOUND["acme/many"]
    steps, mode = model.inputs["num_inference_steps"], model.options["mode"]

    assert (steps.min, steps.max, steps.provider_default, steps.default) == (1, 40, 30, None)
    assert (mode.values, mode.required) == (["std", "pro"], True)
    assert model.options["loras"].max_length == 3
    assert FOUND["minimax/hailuo"].inputs["prompt"].max_length == 2000


def test_what_is_required_and_has_a_default_is_filled_in():
    model = only(row("a/b", required=("prompt", "duration"), prompt=PROMPT, duration=DURATION))

    assert sent(model, mode="t2v", prompt="a fox") == {"prompt": "a fox", "duration": 5}


def test_a_duration_that_is_a_text_is_no_duration_of_ours():
    assert FOUND["acme/many"].options["duration"].values == ["5", "10"]


def test_sizes_with_a_pair_each_become_resolution_and_aspect_ratio():
    model = FOUND["wavespeed-ai/wan-2.1/t2v"]

    assert model.sizes["480p"] == {"16:9": {"size": "832*480"}, "9:16": {"size": "480*832"}}
    assert sent(model, mode="t2v", prompt="a", resolution="720p", aspect_ratio="9:16")["size"] == "720*1280"
    assert sent(model, mode="t2v", prompt="a", options={"size": "480*832"})["size"] == "480*832"
    assert model.inputs["resolution"].provider_default == "480p"


@pytest.mark.parametrize("sizes", [["832*480", "854*480"], ["1000*100", "1280*720"], ["auto", "1280*720"]])
def test_sizes_without_stay_an_option(sizes: list[str]):
    model = only(row("a/b", required=("prompt",), prompt=PROMPT, size={"type": "string", "enum": sizes}))

    assert model.sizes == {}
    assert model.options["size"].values == sizes


def test_a_size_that_is_an_aspect_ratio_is_one():
    model = FOUND["luma/ray"]

    assert sent(model, mode="t2v", prompt="a", aspect_ratio="9:16") == {"prompt": "a", "size": "9:16"}
    assert "size" not in model.options


@pytest.mark.parametrize("turned", [False, True])
def test_ids_are_short_and_never_two_alike_whatever_the_order(turned: bool):
    rows = [
        row("wavespeed-ai/h3/T2V", prompt=PROMPT),
        row("h3/t2v", prompt=PROMPT),
        row("wavespeed-ai/x/y", prompt=PROMPT),
    ]
    models = learned(*(reversed(rows) if turned else rows)).models

    assert {model.remote: model.id for model in models} == {
        "wavespeed-ai/h3/T2V": "wavespeed-ai-h3-t2v",
        "h3/t2v": "h3-t2v",
        "wavespeed-ai/x/y": "x-y",
    }


def test_a_model_whose_id_is_taken_is_left_out():
    found = learned(row("a/b-c", prompt=PROMPT), row("a-b/c", prompt=PROMPT))

    assert [model.remote for model in found.models] == ["a/b-c"]
    assert found.skipped == ("a-b/c: its id is another model's",)


def test_the_price_of_the_list_is_that_of_the_defaults():
    model = FOUND["wavespeed-ai/wan-2.1/t2v"]

    assert [price.model_dump() for price in model.prices] == [
        {"usd": 0.3, "per": "video", "when": {"duration": 5, "size": "832*480"}}
    ]


def test_an_entry_says_where_it_is_from_and_is_not_sold_as_certain():
    model = FOUND["vidu/between"]

    assert (model.source, model.verified, model.confidence) == (SOURCE, TODAY, "M")
    assert model.notes == "vidu/between makes videos."
    assert not model.open_options


# What cannot be read


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (row("a/b", "text-to-image", prompt=PROMPT), "a/b: it makes no video from words or pictures (text-to-image)"),
        (row("a/b", "lora-support", prompt=PROMPT), "a/b: it makes no video from words or pictures (lora-support)"),
        (row("a/../b", prompt=PROMPT), "a/../b: its id is not one that can be asked for"),
        (row("a", prompt=PROMPT), "a: its id is not one that can be asked for"),
        (row("a/b?x=1", prompt=PROMPT), "a/b?x=1: its id is not one that can be asked for"),
        (row("a/b", required=("video",), video=PICTURE, prompt=PROMPT), "a/b: it needs video"),
        (row("a/b", required=("cast",), prompt=PROMPT, cast={"type": "object"}), "a/b: it needs cast, which cannot be"),
        (row("a/b", required=("gone",), prompt=PROMPT), "a/b: it needs gone, which cannot be given"),
        (row("a/b", seed=SEED), "a/b: it takes neither words nor pictures"),
        ({"model_id": "a/b"}, "a/b: type: Field required"),
        ({**row("a/b"), "api_schema": {"api_schemas": []}}, "a/b: api_schema.api_schemas: "),
        ({**row("a/b"), "api_schema": None}, "a/b: api_schema: "),
        ("a/b", "a row: entry: "),
        (None, "a row: entry: "),
    ],
)
def test_an_odd_model_is_left_out_with_a_reason_and_spoils_no_other(odd: object, reason: str):
    found = learned(LIST[0], odd, LIST[2])

    assert [model.remote for model in found.models] == [LIST[0]["model_id"], LIST[2]["model_id"]]
    assert len(found.skipped) == 1
    assert found.skipped[0].startswith(reason)


@pytest.mark.parametrize("data", [None, {}, "no list", 3])
def test_an_answer_that_is_no_list_holds_no_models(data: object):
    assert models_of(data, SOURCE, TODAY) == Learned((), ())


def test_the_same_model_twice_is_there_once():
    found = learned(LIST[2], LIST[2])

    assert [model.id for model in found.models] == ["vidu-between"]
    assert found.skipped == ()


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "integer", "minimum": 9, "maximum": 1, "default": 5},
        {"type": "integer", "default": "five", "enum": ["a", None]},
        {"type": "string", "default": "z", "enum": ["x", "y"]},
        {"type": "number", "maximum": float("inf")},
        {"type": "integer", "description": "\u0007\n" + "long " * 500},
    ],
)
def test_limits_that_contradict_each_other_are_left_out(odd: dict[str, Any]):
    model = only(row("a/b", required=("prompt",), prompt=PROMPT, odd=odd))

    assert model.options["odd"].type == odd["type"]
    assert len(model.options["odd"].about) <= 240
    assert model.options["odd"].about.isprintable()


def test_a_parameter_nobody_understands_is_left_out():
    model = only(row("a/b", required=("prompt",), prompt=PROMPT, odd={"type": ["string", "null"]}, worse=None))

    assert model.options == {}


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["string", "array"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "enum", "default", "minimum", "maximum", "maxLength", "x"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["image", "images", "size", "duration", "seed", "prompt", "a b"]), JUNK), JUNK)
def test_whatever_a_schema_holds_nothing_is_raised(properties: dict[str, Any], junk: object):
    odd = row("a/b")
    odd["api_schema"]["api_schemas"][0]["request_schema"]["properties"] = properties
    found = learned(odd, junk, LIST[0])

    assert LIST[0]["model_id"] in {model.remote for model in found.models}


# Files


def keep(folder: Path, models: tuple[Model, ...], name: str = "wavespeed.json") -> Path:
    folder.mkdir(exist_ok=True)
    text = LearnedFile(fetched=TODAY, source=SOURCE, models=list(models)).model_dump_json(exclude_defaults=True)
    (folder / name).write_text(text, "utf-8")
    return folder


def ids(found: Catalog) -> list[str]:
    return [listed.id for listed in found.models()]


def test_learned_models_come_after_the_catalogues_own(tmp_path: Path):
    own = ids(catalog.load())
    found = catalog.load(learned=keep(tmp_path / "learned", tuple(FOUND.values())))

    assert found.troubles == ()
    assert [each for each in ids(found) if each in own] == own
    assert "wavespeed/vidu-between" in ids(found)
    assert found.find("vidu/between").provider.key == "WAVESPEED_API_KEY"


def test_a_file_is_read_as_it_was_written(tmp_path: Path):
    folder = keep(tmp_path / "learned", tuple(FOUND.values()))

    assert LearnedFile.model_validate_json((folder / "wavespeed.json").read_bytes()).models == list(FOUND.values())


def test_what_the_catalogue_knows_itself_is_not_learned(tmp_path: Path):
    same_remote = only(row("wavespeed-ai/framepack", prompt=PROMPT)).model_copy(update={"id": "another"})
    same_id = only(row("somebody/else", prompt=PROMPT)).model_copy(update={"id": "wan-flf2v"})
    found = catalog.load(learned=keep(tmp_path / "learned", (same_remote, same_id)))

    assert ids(found) == ids(catalog.load())
    assert found.find("wavespeed/wan-flf2v").model.remote == "wavespeed-ai/wan-flf2v"


def test_a_users_own_provider_learns_too(tmp_path: Path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "acme.toml").write_text('name = "Acme"\ndialect = "wavespeed"\ndocs = "none"\nmodels = []\n', "utf-8")
    found = catalog.load(mine, learned=keep(tmp_path / "learned", tuple(FOUND.values()), "acme.json"))

    assert "acme/vidu-between" in ids(found)
    assert "wavespeed/vidu-between" not in ids(found)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Invalid JSON"),
        ("[]", "1 mistakes, first"),
        (json.dumps({"fetched": "2026-11-20", "source": "x", "models": [{"id": "a"}]}), "models.0.remote"),
        (json.dumps({"fetched": "2026-11-20", "source": "x", "models": [], "more": 1}), "more: Extra inputs"),
    ],
)
def test_a_broken_file_is_a_trouble_and_no_error(text: str, reason: str, tmp_path: Path):
    (tmp_path / "wavespeed.json").write_text(text, "utf-8")
    found = catalog.load(learned=tmp_path)

    assert ids(found) == ids(catalog.load())
    (trouble,) = found.troubles
    assert trouble.startswith(f"{tmp_path / 'wavespeed.json'}: left out: ")
    assert reason in trouble


def test_a_file_that_cannot_be_read_is_a_trouble(tmp_path: Path):
    (tmp_path / "wavespeed.json").mkdir()

    assert len(catalog.load(learned=tmp_path).troubles) == 1


def test_a_folder_that_is_not_there_and_files_of_nobody_are_nothing(tmp_path: Path):
    assert catalog.load(learned=tmp_path / "nothing").troubles == ()
    keep(tmp_path / "learned", tuple(FOUND.values()), "nobody.json")
    assert ids(catalog.load(learned=tmp_path / "learned")) == ids(catalog.load())

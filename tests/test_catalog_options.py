"""How values become the provider's own words: read, multiplied, spelled, left out, or passed on unchecked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyframe_mcp import catalog
from keyframe_mcp.catalog import Listed, strangers
from keyframe_mcp.catalog.inputs import Input
from keyframe_mcp.catalog.limits import read, spelled
from keyframe_mcp.catalog.requests import Checked, check
from keyframe_mcp.catalog.strangers import DELIVERY
from keyframe_mcp.task import Inputs

OURS = catalog.load()

ACME = """
name = "Acme"
dialect = "local"
docs = "none"
[[models]]
id = "film"
remote = "acme/film"
title = "Film"
modes = ["t2v", "i2v"]
source = "a test"
verified = 2026-11-20
confidence = "L"
prefix = "input."
open_options = false
fixed = { task_type = "film", "input.quality" = 3 }
[models.inputs]
prompt = { type = "string", required = true }
image = { type = "image", required = true, modes = ["i2v"], wire = "input.images[0]" }
duration = { type = "number", min = 0.5, max = 60, times = 24, rounded_to = 8, wire = "input.num_frames" }
seed = { type = "integer", min = 0, max = 99, unset = -1 }
resolution = { type = "string", values = { "720p" = 720, "1080p" = 1080 }, provider_default = "720p" }
[models.options]
num_frames = { type = "integer", min = 8, max = 1440, default = 96 }
strength = { type = "number", min = 0, max = 1 }
loop = { type = "boolean", modes = ["i2v"] }
wait = { type = "integer", min = 1, wire = "header:Prefer", template = "wait={}" }
pause = { type = "number", template = "{}s" }
loras = { type = "list", max_length = 2 }
lora_url = { type = "string", pattern = "https://.*", max_length = 40 }
flip = { type = "boolean", template = "flip:{}" }
"""


def film(folder: Path, *, is_open: bool = False) -> Listed:
    (folder / "acme.toml").write_text(ACME.replace("= false", f"= {str(is_open).lower()}", 1), "utf-8")
    return catalog.load(folder).find("acme/film")


@pytest.fixture
def closed(tmp_path: Path) -> Listed:
    return film(tmp_path)


@pytest.fixture
def opened(tmp_path: Path) -> Listed:
    """A model of which only a part is known."""
    return film(tmp_path, is_open=True)


def asked(listed: Listed, *, strict: bool = True, **given_inputs: Any) -> Checked:
    wanted = {"mode": "t2v", "prompt": "a fox"} | given_inputs
    return check(listed.id, listed.model, Inputs.model_validate(wanted), strict=strict)


def sent(listed: Listed, **options: Any) -> dict[str, Any]:
    found = asked(listed, options=options)
    assert found.problems == ()
    return found.wire


def refused(listed: Listed, **options: Any) -> dict[str, str]:
    return {problem.argument: problem.message for problem in asked(listed, options=options).problems}


# What is always there


def test_names_are_put_under_the_prefix_and_what_is_fixed_is_always_sent(closed: Listed):
    assert asked(closed).wire == {
        "task_type": "film",
        "input.quality": 3,
        "input.prompt": "a fox",
        "input.num_frames": 96,
    }


def test_a_picture_goes_where_its_wire_name_says(closed: Listed):
    found = asked(closed, mode="i2v", image="a.png")

    assert found.pictures == {"image": "input.images[0]"}
    assert found.wire["input.images[0]"] == "a.png"


# Values as text


@pytest.mark.parametrize(
    ("kind", "given_text", "value"),
    [
        ("integer", "5", 5),
        ("integer", " -1 ", -1),
        ("integer", "5.0", 5.0),
        ("number", "0.5", 0.5),
        ("number", "1e-3", 0.001),
        ("boolean", "true", True),
        ("boolean", "False", False),
        ("list", '["a", 1]', ["a", 1]),
        ("string", "5", "5"),
        ("string", "true", "true"),
    ],
)
def test_a_value_given_as_text_is_read(kind: Any, given_text: str, value: object):
    found = read(Input(type=kind), given_text)

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("integer", "five"),
        ("integer", ""),
        ("integer", "0x10"),
        ("integer", "1_000"),
        ("integer", "9" * 5000),
        ("number", "nan"),
        ("number", "inf"),
        ("boolean", "1"),
        ("boolean", "yes"),
        ("list", "a, b"),
        ("list", "{}"),
        ("list", "[" * 100_000),
    ],
)
def test_a_text_that_is_no_such_value_stays_a_text(kind: Any, text: str):
    assert read(Input(type=kind), text) == text


def test_values_given_as_text_are_checked_like_others(closed: Listed):
    assert sent(closed, num_frames="120", strength="0.25", loras='[{"path": "a"}]') == asked(closed).wire | {
        "input.num_frames": 120,
        "input.strength": 0.25,
        "input.loras": [{"path": "a"}],
    }
    assert refused(closed, num_frames="4") == {"options.num_frames": "4 is not within 8 to 1440; nearest: 8"}


@pytest.mark.parametrize("value", [True, False])
def test_a_switch_never_passes_for_a_number(value: bool, closed: Listed):
    assert set(refused(closed, num_frames=value, strength=value)) == {"options.num_frames", "options.strength"}


# What becomes of a value


@pytest.mark.parametrize(("seconds", "frames"), [(0.5, 16), (1, 24), (2, 48), (2.1, 48), (60, 1440)])
def test_seconds_become_frames_in_steps(seconds: float, frames: int, closed: Listed):
    found = asked(closed, duration=seconds).wire["input.num_frames"]

    assert (found, type(found)) == (frames, int)


@given(st.floats(0.5, 60))
def test_frames_are_a_multiple_and_near_what_was_asked(seconds: float):
    spec = Input(type="number", min=0.5, max=60, times=24, rounded_to=8)
    frames = spelled(spec, seconds)

    assert isinstance(frames, int)
    assert frames % 8 == 0
    assert abs(frames - seconds * 24) <= 4


def test_a_product_without_rounding_is_whole_where_it_can_be():
    assert spelled(Input(type="number", times=1000), 1.5) == 1500
    assert spelled(Input(type="number", times=0.5), 5) == 2.5
    assert type(spelled(Input(type="number", times=1000), 1.5)) is int


def test_a_value_may_travel_inside_a_text_and_as_a_header(closed: Listed):
    wire = sent(closed, wait=20, pause=2.0, flip=True)

    assert (wire["header:Prefer"], wire["input.pause"], wire["input.flip"]) == ("wait=20", "2s", "flip:true")


def test_a_spelling_of_a_word_need_not_be_a_text(closed: Listed):
    assert asked(closed, resolution="1080p").wire["input.resolution"] == 1080


def test_what_a_provider_does_by_itself_is_not_sent(closed: Listed):
    assert "input.resolution" not in asked(closed).wire
    assert closed.model.in_effect(asked(closed).wire)["input.resolution"] == 720


def test_minus_one_leaves_the_seed_to_the_provider(closed: Listed):
    assert asked(closed, seed=-1).wire == asked(closed).wire
    assert asked(closed, seed=-1).problems == ()
    assert asked(closed, seed=0).wire["input.seed"] == 0
    assert [str(problem) for problem in asked(closed, seed=-2).problems] == [
        "seed: -2 is not within 0 to 99; nearest: 0"
    ]


def test_a_default_gives_way_to_another_way_of_saying_it(closed: Listed):
    assert asked(closed, duration=1).problems == ()


def test_two_ways_of_saying_one_thing_are_refused_together(closed: Listed):
    assert [str(problem) for problem in asked(closed, duration=1, options={"num_frames": 24}).problems] == [
        "duration: it and options.num_frames both set input.num_frames; give one of them"
    ]


# Lists and forms


def test_a_list_is_sent_as_it_is_and_may_be_too_long(closed: Listed):
    assert sent(closed, loras=[1, {"a": None}])["input.loras"] == [1, {"a": None}]
    assert refused(closed, loras=[1, 2, 3]) == {"options.loras": "it has 3 entries; at most 2 work"}
    assert refused(closed, loras="a") == {"options.loras": "'a' is not a list"}
    assert refused(closed, loras=[math.nan]) == {"options.loras": "it holds a value that JSON cannot carry"}


def test_a_text_may_have_to_have_a_form(closed: Listed):
    assert sent(closed, lora_url="https://a.example")["input.lora_url"] == "https://a.example"
    assert refused(closed, lora_url="a.png") == {"options.lora_url": "'a.png' does not have the form https://.*"}


def test_an_option_of_another_mode_is_no_option_of_this_one(closed: Listed):
    assert asked(closed, mode="i2v", image="a", options={"loop": True}).wire["input.loop"] is True
    assert "options.loop" in refused(closed, loop=True)


# What the model does not have


def test_one_video_is_what_every_model_makes(closed: Listed):
    assert asked(closed, num_outputs=1) == asked(closed)
    (problem,) = asked(closed, num_outputs=2).problems
    assert str(problem).startswith("num_outputs: acme/film makes one video at a time; start a task for each. ")
    assert asked(closed, num_outputs=2, strict=False).problems == ()


@pytest.mark.parametrize(("name", "ours"), [("prompt", "prompt"), ("seed", "seed")])
def test_an_input_among_the_options_is_shown_its_place(name: str, ours: str, closed: Listed):
    assert refused(closed, **{name: "x"})[f"options.{name}"].startswith(
        f"it has an argument of its own; pass it as {ours}, beside options."
    )


def test_a_providers_word_for_an_input_is_understood_as_one():
    kling = OURS.find("wavespeed/kling-v1.6-i2v-pro")
    given_inputs = {"mode": "flf2v", "first_image": "a", "last_image": "b", "prompt": "a fox"}
    (problem,) = check(
        kling.id, kling.model, Inputs.model_validate(given_inputs | {"options": {"end_image": "c"}})
    ).problems

    assert "pass it as last_image" in problem.message


def test_options_nobody_knows_are_refused_with_near_misses(closed: Listed):
    assert "did you mean strength?" in refused(closed, strenght=1)["options.strenght"]


def test_open_options_are_passed_on_with_a_warning(opened: Listed):
    found = asked(opened, options={"motion": [1, {"a": True}], "camera": "still", "strength": 1})

    assert found.problems == ()
    assert found.wire["input.motion"] == [1, {"a": True}]
    assert found.wire["input.camera"] == "still"
    assert found.warnings == (
        "passed on unchecked, because the catalogue does not know every option of acme/film: motion, camera",
    )


def test_what_is_known_is_checked_with_open_options_too(opened: Listed):
    assert refused(opened, strength=2) == {"options.strength": "2 is not within 0 to 1; nearest: 1"}


@pytest.mark.parametrize("name", [*sorted(DELIVERY)])
def test_no_option_changes_how_the_answer_comes(name: str, opened: Listed):
    assert "how the answer comes" in refused(opened, **{name: True})[f"options.{name}"]


@pytest.mark.parametrize("name", ["header:Authorization", "input.prompt", "a[0]", "", "a b", "a" * 65, "é", "1st"])
def test_no_option_reaches_a_header_or_the_inside_of_another(name: str, opened: Listed):
    assert "not the name of an option" in refused(opened, **{name: "x"})[f"options.{name}"]


@pytest.mark.parametrize("name", ["quality", "loop"])
def test_no_open_option_stands_in_for_what_the_catalogue_knows(name: str, opened: Listed):
    """What is fixed, and an option of another mode."""
    assert "has no such input" in refused(opened, **{name: 7})[f"options.{name}"]


@pytest.mark.parametrize("name", ["images", "task_type"])
def test_no_open_option_takes_a_place_that_is_taken(name: str, tmp_path: Path):
    """The list a picture is in, and what is fixed at the top."""
    listed = film(tmp_path, is_open=True)
    bare = listed.model.model_copy(update={"prefix": "input." if name == "images" else ""})

    refusal = strangers.refusal(listed.id, bare, Inputs.model_validate({"mode": "t2v"}), name, "x")
    assert "has no such input" in str(refusal)


@pytest.mark.parametrize("name", ["model", "selected_model", "version"])
def test_no_open_option_says_which_model_runs(name: str, opened: Listed):
    bare = opened.model.model_copy(update={"prefix": ""})

    refusal = strangers.refusal(opened.id, bare, Inputs.model_validate({"mode": "t2v"}), name, "another/model")
    assert "has no such input" in str(refusal)


@pytest.mark.parametrize("where", ["prompt", "options"])
def test_bytes_in_a_text_are_refused_and_in_a_picture_taken(where: str, closed: Listed):
    data = "data:image/png;base64,AAAA"
    given_inputs: dict[str, Any] = {"prompt": data} if where == "prompt" else {"options": {"lora_url": data}}
    (problem,) = asked(closed, **given_inputs).problems

    assert "a data: URI does not work here" in problem.message
    assert asked(closed, mode="i2v", image=data).problems == ()
    assert refused(closed, loras=[data])["options.loras"].startswith("data: URIs do not work here")


@pytest.mark.parametrize("value", [math.inf, [math.nan], {"a": math.inf}])
def test_what_json_cannot_carry_is_not_passed_on(value: object, opened: Listed):
    assert "JSON cannot carry" in refused(opened, motion=value)["options.motion"]


def test_an_open_option_given_as_nothing_is_not_given(opened: Listed):
    assert asked(opened, options={"motion": None}) == asked(opened)


def test_inputs_stay_refused_where_options_are_open(opened: Listed):
    assert [problem.argument for problem in asked(opened, negative_prompt="rain").problems] == ["negative_prompt"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=20) | st.from_regex(r"[a-z_]{1,12}", fullmatch=True), JSON, max_size=5))
def test_whatever_is_passed_on_stays_inside_the_input(options: dict[str, Any]):
    known = OURS.find("wavespeed/hailuo-02-standard")
    open_model = known.model.model_copy(
        update={
            "open_options": True,
            "prefix": "input.",
            "inputs": {"prompt": Input(type="string")},
            "options": {},
            "prices": [],
        }
    )
    found = check("any", open_model, Inputs.model_validate({"mode": "t2v", "prompt": "a fox", "options": options}))

    passed = {name: value for name, value in found.wire.items() if name != "input.prompt"}
    assert passed == {f"input.{name}": options[name] for name in options if f"input.{name}" in passed}
    assert all("." not in name.removeprefix("input.") and ":" not in name for name in passed)

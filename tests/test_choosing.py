"""Which model is chosen when none is named, and what is said about it."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from keyframe_mcp import catalog as catalogs
from keyframe_mcp.engine.choosing import Choice, Choosing
from keyframe_mcp.errors import MissingCredential, UnknownModel
from keyframe_mcp.task import Inputs, Mode

OURS = catalogs.load()
EVERYTHING = frozenset(OURS.providers)
FRAMES = {"first_image": "a.png", "last_image": "b.png"}


def chosen(
    mode: Mode,
    configured: Collection[str] = EVERYTHING,
    default: str | None = None,
    model: str | None = None,
    **words: object,
) -> Choice:
    request = Inputs.model_validate({"mode": mode} | words)
    return Choosing(OURS, configured, default).choose(request, model, strict=True)


def test_a_documented_generator_comes_before_a_guessed_one_and_before_a_drawing():
    assert chosen(Mode.FLF2V, **FRAMES, prompt="p").listed.id.startswith("wavespeed/")
    assert chosen(Mode.FLF2V, {"baicai", "local"}, **FRAMES, prompt="p").listed.id == "baicai/viduq2-pro-flf2v-fast"
    assert chosen(Mode.FLF2V, {"local"}, **FRAMES).listed.id == "local/morph"


def test_among_equals_the_cheapest_is_taken():
    choice = chosen(Mode.I2V, {"wavespeed"}, image="a.png")

    assert choice.listed.id == "wavespeed/seedance-v1-pro-i2v-480p"


def test_what_was_passed_over_and_why_is_said():
    choice = chosen(Mode.I2V, {"wavespeed"}, image="a.png")

    (warning,) = choice.warnings
    assert "wavespeed/seedance-v1-pro-i2v-480p was chosen; passed over: " in warning
    assert "prompt" in warning
    assert len(warning) < 600


def test_all_the_arguments_for_which_a_model_is_passed_over_are_named():
    choice = chosen(Mode.FLF2V, {"wavespeed"}, **FRAMES, prompt="p", aspect_ratio="9:16", duration=7, seed=3)

    (warning,) = choice.warnings
    told = warning.partition("wavespeed/wan-2.2-i2v-480p-ultra-fast (")[2].partition(")")[0]
    assert told.startswith("aspect_ratio: ")
    assert told.endswith("; also refused: duration")


def test_nothing_is_said_when_the_first_choice_fits():
    assert chosen(Mode.T2V, {"siliconflow"}, prompt="a heron").warnings == ()


def test_a_drawing_is_used_when_no_generator_can_do_it_and_says_so():
    choice = chosen(Mode.FLF2V, {"baicai", "local"}, **FRAMES, prompt="p", duration=20)

    assert choice.listed.id == "local/morph"
    assert choice.warnings == ("local/morph was used because no configured provider's model can do this.",)


def test_the_default_model_goes_first_where_it_can():
    hailuo = "wavespeed/hailuo-02-standard"

    assert chosen(Mode.T2V, default=hailuo, prompt="a heron").listed.id == hailuo
    assert chosen(Mode.T2V, default=hailuo, prompt="a heron", num_inference_steps=20).listed.id != hailuo


def test_when_none_can_do_it_the_nearest_is_named_with_its_problems():
    choice = chosen(Mode.FLF2V, {"wavespeed"}, **FRAMES, prompt="p", duration=77)

    (problem,) = choice.problems
    assert problem.argument == "model"
    assert "none of the" in problem.message
    assert f"the nearest is {choice.listed.id}" in problem.message
    assert chosen(Mode.FLF2V, {"local"}, **FRAMES, duration=77).problems == ()


def test_when_none_can_do_it_the_first_problem_of_the_next_three_is_said_too():
    (problem,) = chosen(Mode.FLF2V, {"wavespeed", "baicai"}, **FRAMES, prompt="p", duration=77).problems

    assert "wavespeed/wan-flf2v (duration: 77 is not one of 5, 10; nearest: 10)" in problem.message
    assert problem.message.partition("next come")[2].count("duration: 77") == 3


def test_a_model_without_its_key_names_those_that_have_theirs():
    with pytest.raises(MissingCredential) as caught:
        chosen(Mode.FLF2V, {"baicai", "local"}, model="wavespeed/wan-flf2v", **FRAMES)

    text = str(caught.value)
    assert "WAVESPEED_API_KEY" in text
    assert "baicai/viduq2-pro-flf2v-fast" in text
    assert "local/camera" not in text


def test_a_mode_without_any_key_says_where_to_look():
    with pytest.raises(MissingCredential, match="keyframe-mcp doctor"):
        chosen(Mode.ANIMATION, {"wavespeed"}, prompt_start="a", prompt_end="b")
    with pytest.raises(MissingCredential, match="no other model that does animation has its key either"):
        chosen(
            Mode.ANIMATION, {"wavespeed"}, model="gateway/stable-diffusion-animation", prompt_start="a", prompt_end="b"
        )


def test_a_piece_of_a_name_finds_the_models_that_have_it():
    with pytest.raises(UnknownModel, match=r"did you mean .*wan"):
        chosen(Mode.FLF2V, model="wan")

"""The catalogue, and requests held against it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keyframe_mcp import catalog
from keyframe_mcp.adapters import DIALECTS
from keyframe_mcp.adapters.baicai import PATHS as BAICAI_PATHS
from keyframe_mcp.catalog import Catalog, Listed, dialects
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.catalog.inputs import Input
from keyframe_mcp.catalog.limits import wrong
from keyframe_mcp.catalog.models import NEEDS, Model
from keyframe_mcp.catalog.requests import Checked, check
from keyframe_mcp.errors import InvalidCatalogue, UnknownModel
from keyframe_mcp.task import Inputs, Mode

OURS = catalog.load(dialects=DIALECTS)

ACME = """
name = "Acme"
dialect = "local"
docs = "https://acme.example/docs"
key = "ACME_KEY"

[[models]]
id = "film-1"
remote = "acme-labs/film/v1"
title = "Film"
modes = ["t2v", "i2v"]
source = "https://acme.example/docs/film"
verified = 2026-11-20
confidence = "M"
[models.inputs]
prompt = { type = "string", required = true, max_length = 20 }
image = { type = "image", required = true, modes = ["i2v"], wire = "start_image" }
duration = { type = "integer", values = [5, 10], default = 5, wire = "seconds" }
resolution = { type = "string", values = { "720p" = "1280x720", "1080p" = "1920x1080" }, default = "720p" }
guidance_scale = { type = "number", min = 0, max = 1, step = 0.1 }
num_inference_steps = { type = "integer", min = 1, max = 50 }
seed = { type = "integer", min = 0, max = 4294967295 }
negative_prompt = { type = "string", unused = "it has no such idea" }
[models.options]
fps = { type = "integer", min = 8, max = 30, default = 24 }
loop = { type = "boolean" }
style = { type = "string", values = ["anime", "photo"] }
"""


def loaded(folder: Path, text: str, name: str = "acme.toml") -> Catalog:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    return catalog.load(folder, DIALECTS)


@pytest.fixture
def film(tmp_path: Path) -> Listed:
    return loaded(tmp_path / "more", ACME).find("acme/film-1")


def checked(listed: Listed, *, strict: bool = True, **given: Any) -> Checked:
    asked = {"mode": Mode.T2V, "prompt": "a fox"} | given
    return check(listed.id, listed.model, Inputs.model_validate(asked), strict=strict)


def problems(listed: Listed, **given: Any) -> dict[str, str]:
    return {problem.argument: problem.message for problem in checked(listed, **given).problems}


# What the catalogue holds


@pytest.mark.parametrize("listed", list(OURS.models()), ids=lambda listed: listed.id)
def test_every_entry_says_where_its_facts_are_from_and_when_they_were_looked_up(listed: Listed):
    assert listed.model.source
    assert listed.model.verified.year >= 2026
    assert listed.model.title
    assert listed.provider.docs


@pytest.mark.parametrize("listed", list(OURS.models()), ids=lambda listed: listed.id)
def test_every_entry_can_be_asked_for_with_nothing_but_what_its_modes_need(listed: Listed):
    model = listed.model
    for mode in model.modes:
        needed = dict.fromkeys(NEEDS[mode], "x")
        wanted = {name: "x" for name, spec in model.inputs_for(mode).items() if model.needs(name, spec)}
        found = check(listed.id, model, Inputs.model_validate({"mode": mode} | needed | wanted))
        assert found.problems == ()


@pytest.mark.parametrize("listed", list(OURS.models()), ids=lambda listed: listed.id)
def test_every_entry_says_how_sure_it_is_and_speaks_a_dialect_of_ours(listed: Listed):
    assert listed.model.confidence in ("H", "M", "L")
    assert listed.provider.dialect in DIALECTS
    assert (listed.provider.base_url is None) == (listed.provider.key is None)


@pytest.mark.parametrize("mode", list(Mode))
def test_each_mode_has_a_model_that_needs_no_key(mode: Mode):
    assert any(listed.provider.key is None for listed in OURS.models(mode))


def test_every_id_is_unique():
    ids = [listed.id for listed in OURS.models()]

    assert len(ids) == len(set(ids))


# What a user adds


def test_a_users_file_adds_a_provider_beside_ours(tmp_path: Path):
    found = loaded(tmp_path / "more", ACME)

    assert found.providers.keys() == OURS.providers.keys() | {"acme"}
    assert [listed.id for listed in found.models(Mode.I2V)] >= ["acme/film-1"]


def test_a_users_file_of_the_same_name_replaces_ours(tmp_path: Path):
    found = loaded(tmp_path / "more", ACME, "local.toml")

    assert found.providers.keys() == OURS.providers.keys()
    assert found.providers["local"].name == "Acme"


def test_files_that_are_not_toml_by_name_are_left_alone(tmp_path: Path):
    assert loaded(tmp_path / "more", "not for us", "notes.txt").providers.keys() == OURS.providers.keys()


MISTAKES = {
    "an unknown key": ('title = "Film"', 'titel = "Film"', "model 'film-1', key 'titel'"),
    "an unknown key of an input": ("max_length = 20", "max_lenght = 20", "key 'inputs.prompt.max_lenght'"),
    "an unknown key of the provider": ('key = "ACME_KEY"', 'kee = "ACME_KEY"', "key 'kee'"),
    "a missing key": ('source = "https://acme.example/docs/film"', "", "model 'film-1', key 'source': Field required"),
    "no date": ("verified = 2026-11-20", 'verified = "last week"', "model 'film-1', key 'verified'"),
    "an unknown mode": ('["t2v", "i2v"]', '["t2v", "v2v"]', "model 'film-1', key 'modes."),
    "no mode": ('["t2v", "i2v"]', "[]", "model 'film-1', key 'the entry': modes is empty"),
    "a mode without what it needs": ('["t2v", "i2v"]', '["t2v", "flf2v"]', "mode flf2v needs inputs.first_image"),
    "a needed input that belongs to another mode": (
        'required = true, modes = ["i2v"]',
        'modes = ["t2v"]',
        "mode i2v needs inputs.image",
    ),
    "an input that is not one of our words": ("seed = {", "noise = {", "inputs.noise is not one of our inputs"),
    "an unknown type": ('style = { type = "string"', 'style = { type = "text"', "key 'options.style.type'"),
    "a default that is not among the values": ("default = 5", "default = 7", "default 7 is not among its values"),
    "a default of a wrong type": ("default = 24", 'default = "24"', "'24' is not of type 'integer'"),
    "a default that is a switch": ("default = 24", "default = true", "True is not of type 'integer'"),
    "a default outside the limits": ("default = 24", "default = 60", "default 60 is outside 8..30"),
    "a value of a wrong type": ("values = [5, 10]", 'values = [5, "10"]', "'10' is not of type 'integer'"),
    "limits the wrong way round": ("min = 8, max = 30", "min = 30, max = 8", "min 30 is above max 8"),
    "limits for text": (
        "max_length = 20",
        "max = 20",
        "min, max, step and times are for numbers, not for type 'string'",
    ),
    "a step of nothing": ("step = 0.1", "step = 0", "key 'inputs.guidance_scale.step"),
    "a key that is no variable": ('"ACME_KEY"', '"acme key"', "key 'key'"),
    "a model id with spaces": ('id = "film-1"', 'id = "Film 1"', "model 'Film 1', key 'id'"),
    "a negative price": (
        "verified = 2026-11-20",
        'verified = 2026-11-20\nprices = [{ usd = -1, per = "video" }]',
        "prices.0.usd",
    ),
    "a price of something that is never sent": (
        "verified = 2026-11-20",
        'verified = 2026-11-20\nprices = [{ usd = 1, per = "video", when = { duration = 5 } }]',
        "prices speak of 'duration', which this model is never sent",
    ),
    "no confidence": ('confidence = "M"', "", "key 'confidence': Field required"),
    "an unknown confidence": ('confidence = "M"', 'confidence = "sure"', "key 'confidence'"),
    "a version that is cut off": ('confidence = "M"', 'confidence = "M"\nversion = "ca1f5e"', "key 'version'"),
    "an unknown formula": ('confidence = "M"', 'confidence = "M"\nlength = "guess"', "length 'guess' is not a formula"),
    "what is fixed and an input": (
        'confidence = "M"',
        'confidence = "M"\nfixed = { seconds = 5 }',
        "fixed.seconds is also an input",
    ),
    "a name on the wire that cannot be one": ('"start_image"', '"start image"', "key 'inputs.image.wire'"),
    "an index in the middle": ('"start_image"', '"images[0].url"', "key 'inputs.image.wire'"),
    "a template without a place": (
        "min = 8, max = 30, default = 24",
        'template = "wait"',
        "template 'wait' has no {} for the value",
    ),
    "a header with free text": (
        'style = { type = "string", values = ["anime", "photo"] }',
        'style = { type = "string", wire = "header:X-Style" }',
        "a header takes no free text",
    ),
    "rounding of nothing": ("min = 8, max = 30, default = 24", "rounded_to = 10", "rounded_to needs times"),
    "a pattern that is none": (
        'values = ["anime", "photo"]',
        'pattern = "("',
        "pattern '(' is no regular expression",
    ),
    "text that is multiplied": ("max_length = 20", "times = 30", "min, max, step and times are for numbers"),
    "a provider's default outside the limits": (
        "default = 24",
        "provider_default = 60",
        "provider_default 60 is outside 8..30",
    ),
    "an unset of a wrong type": ("default = 24", 'unset = "none"', "'none' is not of type 'integer'"),
    "a list among the inputs": (
        'negative_prompt = { type = "string"',
        'negative_prompt = { type = "list"',
        "inputs.negative_prompt is a list; lists belong in options",
    ),
    "a picture among the options": (
        'style = { type = "string", values = ["anime", "photo"] }',
        'style = { type = "image" }',
        "options.style is a picture; pictures belong in inputs",
    ),
    "one name twice": ("loop = {", "seed = {", "seed is in inputs and in options"),
    "a table of values for numbers": (
        "values = [5, 10], default = 5",
        "values = { 5 = 5, 10 = 10 }",
        "for type 'integer' write a list, and spell its values with template",
    ),
    "a name of the provider's with a way up": ("acme-labs/film/v1", "acme-labs/../film", "key 'remote'"),
    "a name of the provider's with a query": ("acme-labs/film/v1", "acme-labs/film?key=1", "key 'remote'"),
    "a name of the provider's with a fragment": ("acme-labs/film/v1", "acme-labs/film#1", "key 'remote'"),
    "a name of the provider's that is a whole path": ("acme-labs/film/v1", "/acme-labs/film", "key 'remote'"),
    "a name of the provider's that ends nowhere": ("acme-labs/film/v1", "acme-labs/film/", "key 'remote'"),
    "results that never last": ('key = "ACME_KEY"', "results_seconds = 0", "key 'results_seconds'"),
    "results that last for a switch": ('key = "ACME_KEY"', "results_seconds = true", "key 'results_seconds'"),
    "jobs that end before they begin": ('key = "ACME_KEY"', "longest_seconds = -1", "key 'longest_seconds'"),
    "pictures that are never kept": (
        'key = "ACME_KEY"',
        "pictures = { kept_seconds = 0 }",
        "key 'pictures.kept_seconds'",
    ),
    "a key for every host of a country": ('key = "ACME_KEY"', 'key_hosts = ["com"]', "key 'key_hosts.0'"),
    "a key for an address": ('key = "ACME_KEY"', 'key_hosts = ["https://acme.example"]', "key 'key_hosts.0'"),
    "a key that goes nowhere": ('key = "ACME_KEY"', 'key_as = "Authorization: Key"', "key 'key_as'"),
    "a key that goes twice": ('key = "ACME_KEY"', 'key_as = "X-Key: {}{}"', "key 'key_as'"),
    "a key without a header": ('key = "ACME_KEY"', 'key_as = "{}"', "key 'key_as'"),
    "a key with a header of its own after it": (
        'key = "ACME_KEY"',
        'key_as = "X-Key: {}\\r\\nX-Other: 1"',
        "key 'key_as'",
    ),
    "an unknown path": (
        'dialect = "local"',
        'dialect = "local"\npaths = { sumbit = "/v1" }',
        "key 'paths.sumbit': dialect 'local' has no such path; it has none",
    ),
    "an unknown path of a dialect that has some": (
        'dialect = "local"',
        'dialect = "baicai"\nbase_url = "https://acme.example"\npaths = { sumbit = "/v1" }',
        "dialect 'baicai' has no such path; it has result, status, submit, upload",
    ),
    "no address where there must be one": (
        'dialect = "local"',
        'dialect = "wavespeed"',
        "key 'base_url': dialect 'wavespeed' needs it",
    ),
    "a name that the dialect sends itself": (
        'dialect = "local"',
        'dialect = "siliconflow"\nbase_url = "https://acme.example"',
        "model 'film-1': 'model' is what the dialect or the call itself sends",
        ("loop = {", "model = {"),
    ),
    "the header the key travels in": (
        'key = "ACME_KEY"',
        'key_as = "X-Acme: {}"',
        "model 'film-1': 'header:x-acme' is what the dialect or the call itself sends",
        ("loop = {", 'loop = { wire = "header:x-acme",'),
    ),
    "a header of the call itself": (
        "loop = {",
        'loop = { wire = "header:Host",',
        "model 'film-1': 'header:Host' is what the dialect or the call itself sends",
    ),
    "a list and an entry of it": (
        "loop = {",
        'images = { type = "list" }\nloop = {',
        "'images' and 'images[0]' want the same place in a request of mode i2v",
        ('"start_image"', '"images[0]"'),
    ),
    "a table and an entry of it": (
        "loop = {",
        'loop = { wire = "prompt.loop",',
        "'prompt' and 'prompt.loop' want the same place in a request of mode i2v",
    ),
    "what is fixed inside an input": (
        'confidence = "M"',
        'confidence = "M"\nfixed = { "loop.count" = 5 }',
        "'loop' and 'loop.count' want the same place",
    ),
    "a list that is a table": (
        "loop = {",
        'loop = { wire = "start_image.loop",',
        "'start_image.loop' and 'start_image[0]' want the same place",
        ('"start_image"', '"start_image[0]"'),
    ),
    "two inputs under one name": (
        'wire = "seconds"',
        'wire = "seed"',
        "inputs.duration and inputs.seed have the same wire name in mode i2v",
    ),
    "two options under one name": (
        "loop = {",
        'loop = { wire = "style",',
        "options.loop and options.style have the same wire name in mode i2v",
    ),
    "one name for two things that are both needed": (
        "loop = {",
        'loop = { required = true, wire = "prompt",',
        "prompt and loop have the same wire name, and mode i2v needs both",
    ),
    "an address without TLS": (
        'dialect = "local"',
        'dialect = "local"\nbase_url = "http://acme.example"',
        "key 'base_url'",
    ),
    "an address with a password": (
        'dialect = "local"',
        'dialect = "local"\nbase_url = "https://me:secret@acme.example"',
        "key 'base_url'",
    ),
    "an address with a slash at the end": (
        'dialect = "local"',
        'dialect = "local"\nbase_url = "https://acme.example/"',
        "key 'base_url'",
    ),
    "a path with a query": (
        'dialect = "local"',
        'dialect = "local"\npaths = { submit = "/v1?key=1" }',
        "key 'paths.submit'",
    ),
    "not TOML": ("[[models]]", "[[models", "not TOML"),
    "a table where a list belongs": ("[[models]]", "[models]", "key 'models'"),
    "an unknown dialect": ('dialect = "local"', 'dialect = "morse"', "dialect: 'morse' is not spoken here; use"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_by_file_model_and_key(mistake: tuple[Any, ...], tmp_path: Path):
    """A mistake is a piece of the file, what it becomes, what is said of it, and other pieces that change with it."""
    before, after, named, *more = mistake
    text = ACME
    for old, new in ((before, after), *more):
        assert old in text
        text = text.replace(old, new, 1)
    with pytest.raises(InvalidCatalogue) as caught:
        loaded(tmp_path / "more", text)

    assert f"{tmp_path / 'more' / 'acme.toml'}: " in str(caught.value)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('key = "ACME_KEY"', 'key = "ACME_KEY"\nkey_as = "Authorization: Key {}"'),
        ('key = "ACME_KEY"', 'key = "ACME_KEY"\nkey_as = "X-Acme-Key: {}"'),
        ('key = "ACME_KEY"', 'key = "ACME_KEY"\nkey_hosts = ["files.acme.example"]'),
        ("loop = {", 'loop = { wire = "header:X-Loop",'),
        ("fps = {", 'frames = { type = "integer", wire = "seconds" }\nfps = {'),
        ('"start_image"', '"input.images[0]"'),
        ("acme-labs/film/v1", "acme_labs/Film-1.5:2@latest"),
    ],
)
def test_what_only_looks_like_a_mistake_is_taken(before: str, after: str, tmp_path: Path):
    assert before in ACME
    assert loaded(tmp_path / "more", ACME.replace(before, after, 1)).providers["acme"].models


def test_the_dialects_of_the_catalogue_are_those_that_are_spoken():
    assert dialects.PATHS.keys() == DIALECTS
    assert dialects.OWN_WORDS.keys() < DIALECTS
    assert dialects.PATHS["baicai"] == BAICAI_PATHS.keys()


def test_a_key_travels_as_a_bearer_unless_the_file_says_otherwise():
    assert {provider.key_as for provider in OURS.providers.values()} == {"Authorization: Bearer {}"}


def test_a_model_that_is_no_table_is_named_by_its_place(tmp_path: Path):
    with pytest.raises(InvalidCatalogue, match="model 1, key 'the entry'"):
        loaded(tmp_path / "more", ACME.partition("[[models]]")[0] + 'models = [{ id = "a" }, "film"]')


def test_two_models_with_one_id_are_refused(tmp_path: Path):
    twice = ACME + ACME.partition("\n\n")[2]

    with pytest.raises(InvalidCatalogue, match="two models have the id 'film-1'"):
        loaded(tmp_path / "more", twice)


@pytest.mark.parametrize("name", ["Acme.toml", "my models.toml", "-acme.toml", ".toml", "acme.v2.toml"])
def test_a_file_name_that_is_no_provider_id_is_refused(name: str, tmp_path: Path):
    with pytest.raises(InvalidCatalogue, match="a file name is a provider id"):
        loaded(tmp_path / "more", ACME, name)


def test_every_mistake_of_a_file_is_in_the_one_error(tmp_path: Path):
    with pytest.raises(InvalidCatalogue) as caught:
        loaded(tmp_path / "more", ACME.replace("title", "titel").replace("dialect =", "dialekt ="))

    assert all(named in str(caught.value) for named in ("titel", "title", "dialekt", "dialect"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / "acme.toml").mkdir()
    with pytest.raises(InvalidCatalogue, match=r"acme\.toml: cannot be read"):
        catalog.load(tmp_path)


def test_bytes_that_are_no_text_are_named(tmp_path: Path):
    (tmp_path / "acme.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(InvalidCatalogue, match=r"acme\.toml: not TOML"):
        catalog.load(tmp_path)


def test_dialects_are_not_checked_where_none_are_named(tmp_path: Path):
    (tmp_path / "acme.toml").write_text(ACME.replace('"local"', '"morse"'), "utf-8")

    assert catalog.load(tmp_path).providers["acme"].dialect == "morse"


# Finding a model


def test_a_model_is_found_by_its_id_and_by_the_providers_own_name(tmp_path: Path):
    found = loaded(tmp_path / "more", ACME)

    assert {found.find(name).id for name in ("acme/film-1", "acme-labs/film/v1", "acme/acme-labs/film/v1")} == {
        "acme/film-1"
    }


@pytest.mark.parametrize("wrong", ["local/morf", "local/Morph", "locla/morph"])
def test_a_near_miss_is_answered_with_what_may_have_been_meant(wrong: str):
    with pytest.raises(UnknownModel) as caught:
        OURS.find(wrong)

    assert repr(wrong) in str(caught.value)
    assert "local/morph" in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("wavespeed-ai/wan-flf2", "wavespeed/wan-flf2v"),
        ("Wan-AI/Wan2.2-I2V-A14", "siliconflow/wan2.2-i2v"),
        ("andreasjansson/stable-difusion-animation", "replicate/stable-diffusion-animation"),
        ("wan-flf2v", "wavespeed/wan-flf2v"),
    ],
)
def test_a_near_miss_of_the_providers_own_name_is_understood(wrong: str, meant: str):
    with pytest.raises(UnknownModel, match=r"^model: there is no ") as caught:
        OURS.find(wrong)

    assert meant in str(caught.value)


def test_many_models_are_not_all_listed_in_an_error():
    with pytest.raises(UnknownModel) as caught:
        OURS.find("?")

    listed = [each.id for each in OURS.models() if each.id in str(caught.value)]
    assert len(listed) == catalog.MANY
    assert f"and {len(list(OURS.models())) - len(listed)} more, which list_models shows" in str(caught.value)


@pytest.mark.parametrize("listed", list(OURS.models()), ids=lambda listed: listed.id)
def test_the_providers_own_name_finds_the_model(listed: Listed):
    assert OURS.find(f"{listed.provider_id}/{listed.model.remote}") == listed


def test_a_model_like_no_other_is_answered_with_what_there_is():
    few = Catalog({"local": OURS.providers["local"]})
    with pytest.raises(UnknownModel) as caught:
        few.find("?")

    assert all(listed.id in str(caught.value) for listed in few.models())


# Checking a request


def test_a_request_becomes_the_providers_own_words(film: Listed):
    found = checked(film, mode="i2v", image="fox.png", duration=10, resolution="1080p", options={"loop": True})

    assert found.problems == ()
    assert found.warnings == ()
    assert found.pictures == {"image": "start_image"}
    assert found.wire == {
        "prompt": "a fox",
        "start_image": "fox.png",
        "seconds": 10,
        "resolution": "1920x1080",
        "fps": 24,
        "loop": True,
    }


def test_defaults_are_filled_in_and_the_rest_is_left_to_the_provider(film: Listed):
    assert checked(film).wire == {"prompt": "a fox", "seconds": 5, "resolution": "1280x720", "fps": 24}


def test_every_problem_is_found_at_once(film: Listed):
    found = problems(
        film,
        prompt="x" * 21,
        duration=7,
        resolution="720",
        aspect_ratio="16:9",
        guidance_scale=2,
        seed=-1,
        options={"fps": 31, "loop": "yes", "stile": "photo"},
    )

    assert found == {
        "aspect_ratio": "acme/film-1 has no such input; it takes duration, guidance_scale, negative_prompt, "
        "num_inference_steps, prompt, resolution, seed. Leave it out, or pass strict=false to drop it",
        "options.stile": "acme/film-1 has no such input; did you mean style? "
        "Leave it out, or pass strict=false to drop it",
        "prompt": "it has 21 characters; at most 20 work",
        "duration": "7 is not one of 5, 10; nearest: 5",
        "resolution": "'720' is not one of 720p, 1080p; did you mean 720p?",
        "guidance_scale": "2 is not within 0 to 1; nearest: 1",
        "seed": "-1 is not within 0 to 4294967295; nearest: 0",
        "options.fps": "31 is not within 8 to 30; nearest: 30",
        "options.loop": "'yes' is not a boolean",
    }


def test_the_nearest_legal_number_has_every_digit(film: Listed):
    assert problems(film, seed=2**32) == {"seed": "4294967296 is not within 0 to 4294967295; nearest: 4294967295"}
    assert problems(film, seed=10**30)["seed"].endswith("nearest: 4294967295")


@pytest.mark.parametrize("value", [0, 0.1, 0.3, 0.7, 1, 0.1 + 0.2])
def test_a_number_on_a_step_is_accepted_however_it_is_rounded(value: float, film: Listed):
    assert problems(film, guidance_scale=value) == {}


def test_a_number_between_steps_is_answered_with_the_nearest_that_is_legal():
    listed = with_option(Input(type="integer", min=0, max=11, step=4))

    assert problems(listed, options={"x": 6.0 + 1}) == {"options.x": "7 is not a step of 4; nearest: 8"}
    assert problems(listed, options={"x": 11}) == {"options.x": "11 is not a step of 4; nearest: 8"}
    assert problems(with_option(Input(type="number", step=0.1)), options={"x": 0.33}) == {
        "options.x": "0.33 is not a step of 0.1; nearest: 0.3"
    }


def test_a_whole_number_is_an_integer_however_it_was_written(film: Listed):
    """Our duration is a float: without this, no model whose duration is an integer could ever be used."""
    found = checked(film, duration=10, options={"fps": 12.0})

    assert found.problems == ()
    assert [(found.wire[name], type(found.wire[name])) for name in ("seconds", "fps")] == [(10, int), (12, int)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": True}, "True is not an integer"),
        ({"fps": "24 frames"}, "'24 frames' is not an integer"),
        ({"fps": "24.5"}, "24.5 is not an integer"),
        ({"fps": "nan"}, "'nan' is not an integer"),
        ({"loop": "yes"}, "'yes' is not a boolean"),
        ({"fps": 24.5}, "24.5 is not an integer"),
        ({"fps": math.inf}, "inf is not an integer"),
        ({"fps": math.nan}, "nan is not an integer"),
        ({"fps": [24]}, "[24] is not an integer"),
        ({"fps": {}}, "{} is not an integer"),
        ({"fps": 10**400}, "is not a number that can be used"),
        ({"loop": 1}, "1 is not a boolean"),
        ({"style": 5}, "5 is not a string"),
        ({"style": ["photo"]}, "['photo'] is not a string"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused(options: Mapping[str, Any], message: str, film: Listed):
    ((name, found),) = problems(film, options=options).items()

    assert name == f"options.{next(iter(options))}"
    assert message in found


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_number_that_is_not_finite_is_refused(value: float, film: Listed):
    assert "is not a number that can be used" in problems(film, guidance_scale=value)["guidance_scale"]


def test_a_long_wrong_value_is_not_repeated_whole(film: Listed):
    found = problems(film, resolution="x" * 100_000, options={"fps": ["x" * 100_000]})

    assert max(map(len, found.values())) < 300


@pytest.mark.parametrize("prompt", ["", "  ", "\n"])
def test_text_that_is_needed_may_not_be_empty(prompt: str, film: Listed):
    assert problems(film, prompt=prompt) == {"prompt": "it is empty; give it some text"}


def test_what_is_needed_and_not_given_is_named(film: Listed):
    assert problems(film, mode="i2v", prompt=None) == {
        "prompt": "acme/film-1 needs it",
        "image": "acme/film-1 needs it",
    }


def test_an_input_of_another_mode_is_no_input_of_this_one(film: Listed):
    assert "has no such input" in problems(film, image="fox.png")["image"]
    assert checked(film, image="fox.png", strict=False).pictures == {}


def test_a_mode_the_model_does_not_do_is_answered_with_those_it_does(film: Listed):
    assert problems(film, mode="flf2v", first_image="a", last_image="b") == {
        "model": "acme/film-1 does not do flf2v; it does i2v, t2v"
    }


def test_what_the_model_lacks_is_dropped_with_a_warning_when_asked_to(film: Listed):
    found = checked(film, strict=False, aspect_ratio="16:9", options={"stile": "photo"})

    assert found.problems == ()
    assert [warning.partition(":")[0] for warning in found.warnings] == [
        "dropped aspect_ratio",
        "dropped options.stile",
    ]
    assert found.wire == checked(film).wire


def test_what_the_model_has_is_checked_all_the_same(film: Listed):
    assert [problem.argument for problem in checked(film, strict=False, duration=7).problems] == ["duration"]


def test_an_input_the_model_makes_nothing_of_is_a_warning_and_is_not_sent(film: Listed):
    found = checked(film, negative_prompt="rain")

    assert found.problems == ()
    assert found.warnings == ("acme/film-1 makes nothing of negative_prompt: it has no such idea",)
    assert "negative_prompt" not in found.wire


def test_a_picture_the_model_makes_nothing_of_is_not_sent():
    listed = with_inputs({"image": Input(type="image", unused="it reads only words")})

    assert checked(listed, image="fox.png").pictures == {}
    assert checked(listed, image="fox.png").wire == {"prompt": "a fox"}


def test_an_option_given_as_nothing_is_not_given(film: Listed):
    assert checked(film, options={"fps": None}) == checked(film)


# Whatever is asked


SPECS = st.one_of(
    st.builds(Input, type=st.just("string"), required=st.booleans(), max_length=st.none() | st.integers(0, 5)),
    st.builds(Input, type=st.just("string"), values=st.sampled_from([["a", "b"], {"a": "1", "b": "2"}])),
    st.builds(Input, type=st.just("boolean")),
    st.builds(Input, type=st.just("integer"), values=st.just([5, 10])),
    st.builds(
        Input,
        type=st.sampled_from(["integer", "number"]),
        min=st.none() | st.integers(-10, 0),
        max=st.none() | st.integers(1, 10) | st.floats(1, 10),
        step=st.sampled_from([None, 1, 2, 0.1, 0.25]),
    ),
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-12, 12)
    | st.floats()
    | st.floats(-12, 12)
    | st.sampled_from(["a", "b", "c", 5, 10, 5.0, 0.3, -0.5, 10**400])
    | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def with_inputs(inputs: Mapping[str, Input], options: Mapping[str, Input] | None = None) -> Listed:
    model = Model.model_validate(
        {
            "id": "any",
            "remote": "any",
            "title": "Any",
            "modes": ["t2v"],
            "source": "a test",
            "verified": "2026-11-20",
            "confidence": "L",
            "inputs": {"prompt": Input(type="string"), **inputs},
            "options": options or {},
        }
    )
    provider = Provider(name="Acme", dialect="local", docs="none", models=[model])
    return Listed("acme/any", "acme", provider, model)


def with_option(spec: Input) -> Listed:
    return with_inputs({}, {"x": spec})


def within(spec: Input, value: object) -> bool:
    """The limits, said another way than in the code under test."""
    if isinstance(value, str):
        return spec.type == "string" and len(value) <= (spec.max_length if spec.max_length is not None else len(value))
    if isinstance(value, bool):
        return spec.type == "boolean"
    if not isinstance(value, int | float) or (spec.type == "integer" and not isinstance(value, int)):
        return False
    low = -math.inf if spec.min is None else spec.min
    high = math.inf if spec.max is None else spec.max
    steps = 0 if spec.step is None else (value - (spec.min or 0)) / spec.step
    return math.isfinite(value) and low <= value <= high and abs(steps - round(steps)) < 1e-3


@given(SPECS, VALUES, st.booleans())
@example(Input(type="number", step=0.1), 0.3, True)
@example(Input(type="integer"), 10**400, True)
@example(Input(type="integer", step=2), 2**60 + 1, True)
@example(Input(type="integer", values=[5, 10]), 5.0, True)
def test_any_value_is_answered_and_what_passes_is_within_the_limits(spec: Input, value: object, strict: bool):
    found = checked(with_option(spec), strict=strict, options={"x": value})

    sent = found.wire.get("x")
    if value is None:
        assert sent is None
    elif not found.problems:
        accepted = spec.values.values() if isinstance(spec.values, dict) else spec.values
        assert within(spec, sent) if accepted is None else sent in accepted
        assert type(sent) is not float or spec.type == "number"


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=4))
def test_no_option_is_sent_that_the_model_does_not_list(options: dict[str, Any]):
    listed = with_option(Input(type="integer", min=0))
    found = checked(listed, strict=False, options=options)

    assert found.wire.keys() <= {"prompt", "x"}
    said = {name for name, value in options.items() if value is not None}
    assert len(found.warnings) == len(said - {"x"})


@pytest.mark.parametrize(
    ("value", "values", "nearest"),
    [
        ("1080p", ["480p", "720p"], "720p"),
        ("4k", ["480p", "1080p"], "1080p"),
        ("4:5", ["16:9", "9:16", "1:1"], "1:1"),
        ("2.39:1", ["16:9", "9:16"], "16:9"),
    ],
)
def test_the_nearest_size_is_named_and_not_the_one_that_looks_alike(value: str, values: list[str], nearest: str):
    (problem,) = wrong("size", Input.model_validate({"type": "string", "values": values}), value)

    assert problem.message.endswith(f"nearest: {nearest}")


@pytest.mark.parametrize("value", ["0:9", "9:0", "huge", "", "::", "p"])
def test_what_is_no_size_has_no_nearest_one(value: str):
    (problem,) = wrong("size", Input.model_validate({"type": "string", "values": ["480p", "16:9"]}), value)

    assert "nearest" not in problem.message

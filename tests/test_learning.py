"""Asking a provider which models it has: what is kept of the answer, and that it can then be used."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from mcp import Client

from emulators.faults import Answer, Changed, web_page
from emulators.wavespeed import WaveSpeed
from emulators.wavespeed_models import DURATION, IMAGE, PROMPTS, SEED, Listed, entry, seconds
from keyframe_mcp import catalog as catalogs
from keyframe_mcp.adapters import DIALECTS
from keyframe_mcp.cli.learning import learn
from keyframe_mcp.errors import (
    CredentialRefused,
    InvalidInput,
    KeyframeError,
    MissingCredential,
    OutputUnwritable,
    ProviderError,
)
from keyframe_mcp.server import build_server
from keyframe_mcp.settings import Settings
from studio import ME, open_server_inside, picture, settings_in
from test_cli import run
from test_doctor import KEYS, variables

TURN: Listed = ("image-to-video", 0.2, ["image", "prompt"], {**IMAGE, **PROMPTS, **seconds(5, 8), **SEED})
BETWEEN: Listed = (
    "image-to-video",
    0.3,
    ["images"],
    {
        **PROMPTS,
        "images": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
        "duration": {"type": "integer", "description": DURATION, "default": 4, "minimum": 4, "maximum": 8},
        "movement": {"type": "string", "enum": ["small", "large"], "default": "small"},
    },
)
NEW: Mapping[str, Listed] = {"acme/turn-i2v": TURN, "acme/start-end-to-video": BETWEEN}


def offering(provider: WaveSpeed, models: Mapping[str, Listed]) -> None:
    """Let the provider list these as well, the next time it is asked, and run them."""

    def more(body: Any) -> Any:
        return {**body, "data": [*body["data"], *(entry(provider.url, 99, name, models[name]) for name in models)]}

    provider.next("models", Changed(more))
    provider.models_known |= models.keys()


def settings_of(folder: Path, provider: WaveSpeed, **more: str) -> Settings:
    return settings_in(folder, **(variables(provider) | {"KEYFRAME_ALLOW_LOOPBACK": "1"} | more))


def remotes(settings: Settings) -> set[str]:
    """What the provider's models are called, the learned ones included."""
    catalog = catalogs.load(settings.catalog_dir, DIALECTS, settings.learned_models)
    assert not catalog.troubles
    return {model.remote for model in catalog.providers["wavespeed"].models}


async def models(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The whole command, beside the providers of this event loop."""
    return await anyio.to_thread.run_sync(partial(run, folder, "models", *arguments, **(KEYS | more)))


async def test_new_models_are_listed_and_shown_after_a_refresh(tmp_path: Path):
    async with WaveSpeed() as provider:
        offering(provider, NEW)
        done = await models(tmp_path, "--refresh", "wavespeed", "--json", **variables(provider))

        assert done.returncode == 0, done.stderr
        assert "wavespeed: 13 video models, 2 of them new; 3 others left out" in done.stderr
        listed = {each["model"]: each for each in json.loads(done.stdout)}
        assert listed.keys() >= {"wavespeed/acme-turn-i2v", "wavespeed/acme-start-end-to-video", "local/morph"}
        assert listed["wavespeed/acme-turn-i2v"]["modes"] == ["i2v"]
        assert listed["wavespeed/acme-start-end-to-video"]["modes"] == ["flf2v"]
        assert len(provider.requests) == 1
        assert not provider.jobs

        # without asking again, and without a key
        shown = await models(tmp_path, "wavespeed/acme-start-end-to-video")
        assert shown.returncode == 0
        for words in ("first_image", "last_image", "duration", "options.movement", f"{provider.url}/api/v3/models"):
            assert words in shown.stdout
        assert len(provider.requests) == 1


async def test_what_makes_pictures_or_sound_is_left_out(tmp_path: Path):
    async with WaveSpeed() as provider:
        settings = settings_of(tmp_path, provider)
        await learn("wavespeed", settings)

        kept = json.loads((settings.learned_models / "wavespeed.json").read_text("utf-8"))
        found = {each["remote"] for each in kept["models"]}
        assert "wavespeed-ai/framepack" in found
        assert not found & {"wavespeed-ai/flux-dev", "wavespeed-ai/mmaudio-v2", "wavespeed-ai/experimental/video-lab"}
        assert kept["source"] == f"{provider.url}/api/v3/models"


async def test_what_the_catalogue_knows_stays_as_the_catalogue_has_it(tmp_path: Path):
    async with WaveSpeed() as provider:
        settings = settings_of(tmp_path, provider)
        before = catalogs.load().find("wavespeed/framepack")
        await learn("wavespeed", settings)

        assert catalogs.load(None, DIALECTS, settings.learned_models).find("wavespeed/framepack") == before


@pytest.mark.parametrize(
    ("tool", "model", "images", "sent"),
    [
        ("generate_i2v", "wavespeed/acme-turn-i2v", ("image",), {"duration": 8, "seed": 7}),
        ("generate_flf2v", "acme/start-end-to-video", ("first_image", "last_image"), {"duration": 8}),
    ],
)
async def test_a_learned_model_makes_a_video(
    tmp_path: Path, tool: str, model: str, images: tuple[str, ...], sent: dict[str, Any]
):
    async with WaveSpeed() as provider:
        offering(provider, NEW)
        await learn("wavespeed", settings_of(tmp_path, provider))
        environment = variables(provider) | {"KEYFRAME_ALLOW_LOOPBACK": "1"}
        async with (
            open_server_inside(tmp_path, **environment) as application,
            Client(build_server(application, ME)) as client,
        ):
            drawn = {name: str(picture(tmp_path / f"{name}.png", shift=9 * n)) for n, name in enumerate(images)}
            arguments = {"model": model, "prompt": "it turns", "wait_seconds": 40, **drawn, **sent}
            result = await client.call_tool(tool, arguments)

        task = result.structured_content
        assert task
        assert task["status"] == "succeeded", task
        assert Path(task["outputs"][0]["file"]).is_file()
        (job,) = provider.jobs
        assert job.model.startswith("acme/")
        assert {name: job.inputs[name] for name in sent} == sent
        places = job.inputs["images"] if "images" in job.inputs else [job.inputs["image"]]
        assert places == [upload.url for upload in provider.uploads]
        assert len(places) == len(images)


async def test_a_refresh_replaces_what_was_learned_before(tmp_path: Path):
    async with WaveSpeed() as provider:
        settings = settings_of(tmp_path, provider)
        offering(provider, NEW)
        await learn("wavespeed", settings)
        assert remotes(settings) >= NEW.keys()

        offering(provider, {"acme/another-i2v": TURN})
        told = await learn("wavespeed", settings)
        assert "1 of them new" in told
        assert "acme/another-i2v" in remotes(settings)
        assert not remotes(settings) & NEW.keys()
        assert [file.name for file in settings.learned_models.iterdir()] == ["wavespeed.json"]


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(503, {"message": "maintenance"}),
        web_page(200),
        Answer(200, {"code": 200, "data": []}),
        Answer(200, {"code": 200, "data": [{"model_id": "a/b", "type": "text-to-image"}, None]}),
        Answer(200, {"surprise": True}),
        Answer(429, {"code": 429, "message": "slow down"}),
    ],
    ids=["down", "page", "empty", "no video", "shape", "busy"],
)
async def test_a_refresh_that_brings_nothing_leaves_what_was_learned(tmp_path: Path, trouble: Answer):
    async with WaveSpeed() as provider:
        settings = settings_of(tmp_path, provider)
        offering(provider, NEW)
        await learn("wavespeed", settings)
        provider.next("models", trouble)
        with pytest.raises(ProviderError) as caught:
            await learn("wavespeed", settings)

        assert "127.0.0.1" in str(caught.value) or "slow down" in str(caught.value)
        assert remotes(settings) >= NEW.keys()


async def refusal(provider_id: str, settings: Settings) -> KeyframeError:
    with pytest.raises(KeyframeError) as caught:
        await learn(provider_id, settings)
    assert not settings.learned_models.exists()
    return caught.value


async def test_without_a_key_nobody_is_asked(tmp_path: Path):
    async with WaveSpeed() as provider:
        error = await refusal("wavespeed", settings_of(tmp_path, provider, WAVESPEED_API_KEY=""))

        assert isinstance(error, MissingCredential)
        assert "WAVESPEED_API_KEY" in str(error)
        assert "https://wavespeed.ai/accesskey" in str(error)
        assert not provider.requests


async def test_a_refused_key_is_said_to_be_and_not_shown(tmp_path: Path):
    async with WaveSpeed() as provider:
        error = await refusal("wavespeed", settings_of(tmp_path, provider, WAVESPEED_API_KEY="sk-canary-0123456789"))

        assert isinstance(error, CredentialRefused)
        assert "canary" not in str(error)


@pytest.mark.parametrize("name", ["local", "siliconflow", "gateway"])
async def test_a_provider_without_a_list_says_so_with_or_without_its_key(tmp_path: Path, name: str):
    for keys in (KEYS, dict.fromkeys(KEYS, "sk-x")):
        error = await refusal(name, settings_in(tmp_path, **keys))

        assert isinstance(error, InvalidInput)
        assert str(error) == f"{name} does not list its models; wavespeed can be asked"


async def test_a_provider_there_is_not_is_named_with_those_there_are(tmp_path: Path):
    error = await refusal("wavesped", settings_in(tmp_path, **KEYS))

    assert isinstance(error, InvalidInput)
    assert "no provider 'wavesped'" in str(error)
    assert "wavespeed" in str(error)


async def test_another_provider_s_bad_setting_does_not_matter(tmp_path: Path):
    async with WaveSpeed() as provider:
        bad = {"BAICAI_API_KEY": "sk-x", "KEYFRAME_BAICAI_BASE_URL": "http://elsewhere.test"}

        assert "video models" in await learn("wavespeed", settings_of(tmp_path, provider, **bad))


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    async with WaveSpeed() as provider:
        settings = settings_of(tmp_path, provider)
        settings.state_dir.mkdir()
        settings.learned_models.write_text("in the way")
        with pytest.raises(OutputUnwritable, match=r"wavespeed\.json could not be written"):
            await learn("wavespeed", settings)

        assert settings.learned_models.read_text() == "in the way"


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("wavespeed", 3, "WAVESPEED_API_KEY"),
        ("replicate", 2, "replicate does not list its models"),
        ("nobody", 2, "no provider 'nobody'"),
    ],
)
async def test_a_refresh_that_cannot_be_is_a_sentence_and_an_exit_code(
    tmp_path: Path, name: str, code: int, words: str
):
    done = await models(tmp_path, "--refresh", name)

    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_refused_key_ends_the_command_as_the_provider_s_trouble(tmp_path: Path):
    async with WaveSpeed() as provider:
        done = await models(tmp_path, "--refresh", "wavespeed", **(variables(provider, key="sk-canary-0123456789")))

        assert (done.returncode, done.stdout) == (4, "")
        assert "refused the key" in done.stderr
        assert "canary" not in done.stderr


async def test_a_broken_file_of_learned_models_is_pointed_out_and_stops_nothing(tmp_path: Path):
    settings = settings_in(tmp_path, **KEYS)
    settings.learned_models.mkdir(parents=True)
    file = settings.learned_models / "wavespeed.json"
    file.write_text('{"fetched": "2026-11-20", "source": "x", "models": [{"id": 7}]}')

    async with open_server_inside(tmp_path) as application, Client(build_server(application, ME)) as client:
        made = await client.call_tool("generate_t2v", {"prompt": "a boat", "duration": 1, "wait_seconds": 40})
        assert made.structured_content
        assert made.structured_content["status"] == "succeeded"

    listed = await models(tmp_path)
    assert listed.returncode == 0
    assert "wavespeed/framepack" in listed.stdout
    assert f"{file}: left out" in listed.stderr
    examined = await anyio.to_thread.run_sync(partial(run, tmp_path, "doctor", "--json", **KEYS))
    (finding,) = [each for each in json.loads(examined.stdout) if each["about"] == "learned models"]
    assert (examined.returncode, finding["ok"]) == (3, False)
    assert str(file) in finding["found"]
    assert "models --refresh" in finding["advice"]


async def test_a_refresh_mends_a_broken_file(tmp_path: Path):
    async with WaveSpeed() as provider:
        settings = settings_of(tmp_path, provider)
        settings.learned_models.mkdir(parents=True)
        (settings.learned_models / "wavespeed.json").write_text("{")
        await learn("wavespeed", settings)

        assert "wavespeed-ai/framepack" in remotes(settings)

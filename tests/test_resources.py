"""Tasks and models as resources, and finishing what is typed, through the official client in both protocol eras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.types import PromptReference, ResourceTemplateReference, TextResourceContents

from keyframe_mcp.engine import Caller
from keyframe_mcp.server import build_server
from keyframe_mcp.server.completions import completion
from studio import ME, open_server_inside
from systems import open_systems

ERAS = pytest.mark.parametrize("era", ["auto", "legacy"])
NOT_FOUND = {"auto": -32602, "legacy": -32002}
STRANGER = Caller(owner="somebody else", may_name_files=False)
MODEL = ResourceTemplateReference(type="ref/resource", uri="keyframe://models/{provider}/{model}")
TASK = ResourceTemplateReference(type="ref/resource", uri="keyframe://tasks/{id}")


async def read(client: Client, uri: str) -> dict[str, Any]:
    """What is at an address."""
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    assert (content.uri, content.mime_type) == (uri, "application/json")
    return json.loads(content.text)


async def refusal(client: Client, uri: str) -> tuple[int, str]:
    """How it is said that nothing is there, without the address that was asked for."""
    with pytest.raises(MCPError) as caught:
        await client.read_resource(uri)
    assert caught.value.data == {"uri": uri}
    return caught.value.code, str(caught.value).replace(uri, "...").replace(uri.rpartition("/")[2], "...")


async def made(client: Client, wait: float = 0) -> dict[str, Any]:
    """A preview, or the beginning of one."""
    arguments = {"prompt": "a heron takes off", "duration": 1, "wait_seconds": wait}
    structure = (await client.call_tool("generate_t2v", arguments)).structured_content
    assert structure
    return structure


@ERAS
async def test_a_task_reads_as_get_task_gives_it_and_is_listed_with_what_it_shows(tmp_path: Path, era: str):
    async with open_server_inside(tmp_path) as application, Client(build_server(application, ME), mode=era) as client:
        task_id = (await made(client, wait=40))["task_id"]
        told = (await client.call_tool("get_task", {"task_id": task_id})).structured_content
        listed = {each.uri: each for each in (await client.list_resources()).resources}
        entry = listed[f"keyframe://tasks/{task_id}"]

        assert await read(client, entry.uri) == told
        assert (entry.name, entry.title, entry.mime_type) == (task_id, "t2v: a heron takes off", "application/json")
        assert entry.description == "succeeded, made with local/storyboard"
        assert entry.annotations
        assert entry.annotations.last_modified
        assert {"keyframe://tasks", "keyframe://models"} <= listed.keys()
        (line,) = (await read(client, "keyframe://tasks"))["tasks"]
        assert (line["task_id"], line["status"]) == (task_id, "succeeded")


@ERAS
async def test_a_foreign_task_is_not_there_exactly_as_one_that_never_was(tmp_path: Path, era: str):
    async with open_server_inside(tmp_path) as application:
        async with Client(build_server(application, ME), mode=era) as client:
            task_id = (await made(client))["task_id"]
        async with Client(build_server(application, STRANGER), mode=era) as client:
            foreign = await refusal(client, f"keyframe://tasks/{task_id}")
            invented = await refusal(client, "keyframe://tasks/kf_aaaaaaaaaaaaaaaaaaaaaaaaaa")

            assert foreign == invented
            assert foreign[0] == NOT_FOUND[era]
            assert "an id that a generate tool gave" in foreign[1]
            assert (await read(client, "keyframe://tasks"))["tasks"] == []
            assert not [each for each in (await client.list_resources()).resources if task_id in each.uri]
            assert (await client.complete(TASK, {"name": "id", "value": ""})).completion.values == []


@ERAS
async def test_models_read_in_a_line_or_whole_and_templates_say_how(tmp_path: Path, era: str):
    async with open_server_inside(tmp_path) as application, Client(build_server(application, ME), mode=era) as client:
        (asked,) = (await client.call_tool("list_models", {"model": "wavespeed/wan-flf2v"})).structured_content[
            "models"
        ]  # pyright: ignore[reportOptionalSubscript] - it succeeded
        short = await read(client, "keyframe://models")
        templates = {each.uri_template for each in (await client.list_resource_templates()).resource_templates}

        assert await read(client, "keyframe://models/wavespeed/wan-flf2v") == asked
        assert short["models"][0]["configured"] is True
        assert len(json.dumps(short)) < 12_000
        assert templates == {"keyframe://tasks/{id}", "keyframe://models/{provider}/{model}"}


@ERAS
async def test_an_address_with_nothing_behind_it_says_what_would_have_worked(tmp_path: Path, era: str):
    async with open_server_inside(tmp_path) as application, Client(build_server(application, ME), mode=era) as client:
        for uri, advice in (
            ("keyframe://tasks/", "an id that a generate tool gave"),
            ("keyframe://models/wavespeed/wan-flf2", "did you mean wavespeed/wan-flf2v"),
            ("keyframe://models/wan-flf2v", "wavespeed/wan-flf2v"),
            ("keyframe://tusks", "keyframe://tasks"),
            ("file:///etc/hostname", "keyframe://tasks"),
            ("keyframe://tasks/..%2f..%2fetc", "an id that a generate tool gave"),
        ):
            with pytest.raises(MCPError) as caught:
                await client.read_resource(uri)
            assert caught.value.code == NOT_FOUND[era]
            assert advice in str(caught.value)


@ERAS
async def test_ids_providers_and_models_are_completed(tmp_path: Path, era: str):
    async with open_server_inside(tmp_path) as application, Client(build_server(application, ME), mode=era) as client:
        task_id = (await made(client))["task_id"]

        async def values(reference: Any, name: str, value: str, **chosen: str) -> list[str]:
            return (await client.complete(reference, {"name": name, "value": value}, chosen or None)).completion.values

        assert await values(TASK, "id", "kf_") == [task_id]
        assert await values(MODEL, "provider", "wave") == ["wavespeed"]
        assert "wan-flf2v" in await values(MODEL, "model", "wan")
        assert await values(MODEL, "model", "", provider="local") == ["morph", "camera", "storyboard"]
        assert await values(PromptReference(type="ref/prompt", name="extend_clip"), "times", "1") == ["1", "10"]
        storyboard = PromptReference(type="ref/prompt", name="storyboard")
        assert "wavespeed/wan-flf2v" in await values(storyboard, "model", "FLF2V")
        assert await values(storyboard, "script", "") == []
        with pytest.raises(MCPError, match=r"storybord.*there is in .*, storyboard"):
            await values(PromptReference(type="ref/prompt", name="storybord"), "model", "")


async def test_prompts_that_are_not_there_are_not_completed_and_not_named(tmp_path: Path):
    fewer = open_server_inside(tmp_path, KEYFRAME_TOOLSET="core")
    storyboard = PromptReference(type="ref/prompt", name="storyboard")
    async with fewer as application, Client(build_server(application, ME)) as client:
        assert (await client.complete(MODEL, {"name": "provider", "value": "wave"})).completion.values == ["wavespeed"]
        with pytest.raises(MCPError) as refused:
            await client.complete(storyboard, {"name": "model", "value": ""})

    assert "first_last_frame" not in str(refused.value)
    assert str(refused.value).count("storyboard") == 1


async def test_a_model_with_a_key_comes_first(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        first = (await read(systems.client, "keyframe://models"))["models"][0]

        assert first["configured"] is True


def test_what_begins_with_the_words_comes_before_what_has_them_inside():
    found = completion(["my-wan", "wan-b", "other", "WAN-A"], " wan")

    assert found.values == ["wan-b", "WAN-A", "my-wan"]
    assert (found.total, found.has_more) == (3, False)


def test_a_hundred_values_are_sent_and_the_rest_is_counted():
    found = completion([f"kf_{number}" for number in range(130)], "kf")

    assert len(found.values) == 100
    assert (found.total, found.has_more) == (130, True)

"""The prompts: what they name exists, what is known is in them, and what cannot be used is refused in words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.types import TextContent

from emulators.faults import Reset
from keyframe_mcp.server import build_server
from studio import ME, open_server_inside
from systems import open_systems

ERAS = pytest.mark.parametrize("era", ["auto", "legacy"])
CALL = re.compile(r"\b([a-z]+_[a-z0-9_]+|regenerate)\(([^()]*)\)")
NAME = re.compile(r"\b[a-z]+_[a-z0-9_]+\b")
PICTURES = {"first_image": "dawn.jpg", "last_image": "dusk.jpg"}


async def text(client: Client, name: str, arguments: dict[str, str]) -> str:
    """A prompt as an agent reads it."""
    (message,) = (await client.get_prompt(name, arguments)).messages
    assert isinstance(message.content, TextContent)
    assert message.role == "user"
    return message.content.text


async def refusal(client: Client, name: str, **arguments: str) -> str:
    with pytest.raises(MCPError) as caught:
        await client.get_prompt(name, arguments)
    assert caught.value.code == -32602
    return str(caught.value)


async def finished(client: Client) -> str:
    """The id of a finished preview."""
    arguments = {"prompt": "a heron takes off", "duration": 1, "wait_seconds": 40}
    made = (await client.call_tool("generate_t2v", arguments)).structured_content
    assert made
    return made["task_id"]


async def every_prompt(client: Client, task_id: str) -> dict[str, str]:
    """All of them, as they are when everything is given."""
    given: dict[str, dict[str, str]] = {
        "storyboard": {"script": "A heron.", "shots": "4", "aspect_ratio": "16:9", "duration": "5"},
        "first_last_frame": PICTURES | {"what_happens": "the sun sets"},
        "extend_clip": {"task_id": task_id, "what_happens": "it lands", "times": "3"},
    }
    listed = (await client.list_prompts()).prompts
    assert {prompt.name for prompt in listed} == set(given)
    for prompt in listed:
        known = {each.name: each.required for each in prompt.arguments or ()}
        assert given[prompt.name].keys() <= known.keys()
        assert all(prompt.name and each.description for each in prompt.arguments or ())
    return {name: await text(client, name, arguments) for name, arguments in given.items()}


async def test_every_tool_and_argument_a_prompt_names_exists(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        tools: dict[str, dict[str, Any]] = {
            each.name: each.input_schema["properties"] for each in (await systems.client.list_tools()).tools
        }
        everything = {*tools, *(name for properties in tools.values() for name in properties)}
        for name, words in (await every_prompt(systems.client, await finished(systems.client))).items():
            calls = CALL.findall(words)
            assert len(calls) >= 4, name
            for tool, inside in calls:
                assert tool in tools, (name, tool)
                for argument in re.findall(r"(\w+)=", re.sub(r'"[^"]*"', "", inside)):
                    assert argument in tools[tool], (name, tool, argument)
            unquoted = re.sub(r'"[^"]*"|task:\S+', "", words)
            assert {each for each in NAME.findall(unquoted) if not each.startswith("kf_")} <= everything, name
            is_short_and_careful(name, words)


def is_short_and_careful(name: str, words: str) -> None:
    """A prompt costs little to read, and holds the rules about money."""
    assert len(words.encode()) < 2048, (name, len(words.encode()))
    assert "dry_run=true" in words
    assert "idempotency_key" in words
    assert "Never start one again because of that" in words
    assert "{" not in words.replace('{"prompt"', ""), name


async def test_models_with_a_key_are_named_before_previews(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        words = await text(systems.client, "first_last_frame", PICTURES)
        chosen = await text(systems.client, "storyboard", {"script": "A heron.", "model": "wavespeed/wan-flf2v"})

        assert "Models for this here: " in words
        assert "local/morph" not in words
        assert 'model="wavespeed/wan-flf2v"' in chosen
        assert "Models for this here" not in chosen


async def test_models_are_named_in_the_order_in_which_one_is_chosen(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        words = await text(systems.client, "first_last_frame", PICTURES)
        long = await text(systems.client, "storyboard", {"script": "A heron.", "duration": "16"})

        assert "Models for this here: wavespeed/" in words
        assert "baicai" not in words
        assert "Models for this here: wavespeed/vidu-q3-start-end-to-video" in long


async def test_a_clip_of_unknown_fate_is_not_continued(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        systems.wavespeed.next("submit", Reset())
        call = {"prompt": "a heron", "model": "wavespeed/wan-2.1-t2v-720p", "wait_seconds": 20}
        task = await systems.call("generate_t2v", **call)
        assert task["status"] == "unknown"

        said = await refusal(systems.client, "extend_clip", task_id=task["task_id"], what_happens="more")
        assert f"keyframe-mcp task {task['task_id']}" in said


async def test_previews_are_said_to_be_no_ai_video(tmp_path: Path):
    async with open_server_inside(tmp_path) as application, Client(build_server(application, ME)) as client:
        assert "not AI video" in await text(client, "first_last_frame", PICTURES)


async def test_a_clip_is_continued_with_its_own_words_and_length(tmp_path: Path):
    async with open_server_inside(tmp_path) as application, Client(build_server(application, ME)) as client:
        task_id = await finished(client)
        words = await text(client, "extend_clip", {"task_id": task_id, "what_happens": "it lands"})

        assert f"task:{task_id}, t2v with local/storyboard, succeeded, 1 s at 832x480" in words
        assert "It was asked for as: a heron takes off" in words
        assert f'generate_i2v(image="task:{task_id}"' in words
        assert "local/camera" in words


async def test_a_clip_that_has_no_end_is_not_continued(tmp_path: Path):
    async with open_server_inside(tmp_path) as application, Client(build_server(application, ME)) as client:
        call = {"prompt": "too long to wait for", "duration": 30}
        started = (await client.call_tool("generate_t2v", call)).structured_content
        assert started
        waiting = await text(client, "extend_clip", {"task_id": started["task_id"], "what_happens": "more"})
        await client.call_tool("cancel_task", {"task_id": started["task_id"]})
        said = await refusal(client, "extend_clip", task_id=started["task_id"], what_happens="more")

        assert "Wait: get_task(" in waiting
        assert "is cancelled and has no last frame" in said


@ERAS
async def test_what_cannot_be_used_is_refused_with_what_would_have_worked(tmp_path: Path, era: str):
    async with open_server_inside(tmp_path) as application, Client(build_server(application, ME), mode=era) as client:
        script = {"script": "A heron."}
        for expected, name, arguments in (
            ("there are storyboard, first_last_frame, extend_clip", "storybord", script),
            ("script: is missing", "storyboard", {"script": "  "}),
            ("from 1 to 20", "storyboard", script | {"shots": "many"}),
            ("number of seconds", "storyboard", script | {"duration": "nan"}),
            ("did you mean aspect_ratio?", "storyboard", script | {"aspect": "1:1"}),
            ("does not make flf2v; these do: local/morph", "storyboard", script | {"model": "local/camera"}),
            ("did you mean", "storyboard", script | {"model": "wavespeed/wan-flf"}),
            ("nearest: 30", "storyboard", script | {"model": "local/morph", "duration": "31"}),
            ("'5:4' is not one of", "storyboard", script | {"model": "local/morph", "aspect_ratio": "5:4"}),
            ("at most 20000", "storyboard", {"script": "x" * 20_001}),
            ("there is no task", "extend_clip", {"task_id": "kf_nothing", "what_happens": "more"}),
        ):
            assert expected in await refusal(client, name, **arguments)


async def test_a_prompt_there_is_not_is_named_once(tmp_path: Path):
    async with open_server_inside(tmp_path) as application, Client(build_server(application, ME)) as client:
        text = await refusal(client, "nope")

    assert text == "There is no prompt 'nope'; there are storyboard, first_last_frame, extend_clip."


async def test_a_server_with_fewer_tools_offers_no_prompt_that_names_the_others(tmp_path: Path):
    fewer = open_server_inside(tmp_path, KEYFRAME_TOOLSET="core")
    async with fewer as application, Client(build_server(application, ME)) as client:
        assert (await client.list_prompts()).prompts == []
        assert "There is no prompt 'storyboard'" in await refusal(client, "storyboard", script="A heron.")

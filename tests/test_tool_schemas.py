"""The tool list as a contract: agents and hosts depend on every word of it.

`UPDATE_SNAPSHOTS=1` (or `make snapshots`) accepts the list as it is now; a missing snapshot is otherwise a failure.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from keyframe_mcp.server import build_server
from keyframe_mcp.server.instructions import INSTRUCTIONS
from studio import ME, open_server_inside

SNAPSHOTS = Path(__file__).parent / "snapshots" / "tools"
EXPECTED = {
    "generate_flf2v",
    "generate_i2v",
    "generate_t2v",
    "generate_animation",
    "regenerate",
    "get_task",
    "cancel_task",
    "list_tasks",
    "list_models",
    "view_video",
    "extract_frame",
    "join_videos",
}


async def listed(folder: Path, mode: str = "auto", **more: str) -> list[dict[str, Any]]:
    async with (
        open_server_inside(folder, **more) as application,
        Client(build_server(application, ME), mode=mode) as client,
    ):
        tools = (await client.list_tools()).tools
    return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a schema."""
    if isinstance(schema, dict):
        yield schema
    for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from nodes(each)


async def test_every_tool_is_as_its_snapshot_says(tmp_path: Path):
    for tool in await listed(tmp_path):
        text = json.dumps(tool, indent=2, sort_keys=True) + "\n"
        snapshot = SNAPSHOTS / f"{tool['name']}.json"
        if os.environ.get("UPDATE_SNAPSHOTS"):
            snapshot.parent.mkdir(parents=True, exist_ok=True)
            snapshot.write_text(text)
        assert snapshot.exists(), f"{snapshot.name} is missing; look at the change, then: make snapshots"
        assert snapshot.read_text() == text, f"{tool['name']} changed; look at the change, then: make snapshots"


async def test_the_snapshots_are_of_the_tools_there_are(tmp_path: Path):
    assert {tool["name"] for tool in await listed(tmp_path)} == EXPECTED
    assert {path.stem for path in SNAPSHOTS.glob("*.json")} == EXPECTED


async def test_the_list_is_the_same_in_both_protocol_eras(tmp_path: Path):
    assert await listed(tmp_path, "auto") == await listed(tmp_path, "legacy")


async def test_the_whole_list_takes_less_than_ten_kilobytes(tmp_path: Path):
    answer = {"jsonrpc": "2.0", "id": 1, "result": {"tools": await listed(tmp_path)}}

    assert len(json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()) <= 10_000


async def test_no_schema_has_what_hosts_refuse(tmp_path: Path):
    for tool in await listed(tmp_path):
        for schema in (tool["inputSchema"], tool.get("outputSchema", {"type": "object"})):
            assert schema["type"] == "object"
            for node in nodes(schema):
                forbidden = {"$ref", "$defs", "$schema", "anyOf", "oneOf", "allOf", "title"} & node.keys()
                assert not forbidden, (tool["name"], node)


async def test_every_input_schema_is_closed_and_every_argument_has_one_type(tmp_path: Path):
    for tool in await listed(tmp_path):
        assert tool["inputSchema"]["additionalProperties"] is False
        for name, each in tool["inputSchema"]["properties"].items():
            assert isinstance(each["type"], str), (tool["name"], name)


async def test_every_tool_but_view_video_has_typed_output(tmp_path: Path):
    for tool in await listed(tmp_path):
        assert ("outputSchema" in tool) == (tool["name"] != "view_video")
        if "outputSchema" in tool:
            assert "next_step" in tool["outputSchema"]["properties"]


async def test_names_and_descriptions_fit_the_strictest_host(tmp_path: Path):
    for tool in await listed(tmp_path):
        assert len(tool["name"]) <= 45
        assert 20 < len(tool["description"].encode()) <= 1024
        assert "\n" not in tool["description"]
    assert all(len(each.encode()) <= 2048 for each in INSTRUCTIONS.values())


async def test_what_costs_money_says_so_and_what_only_reads_says_so(tmp_path: Path):
    for tool in await listed(tmp_path):
        if tool["name"].startswith("generate_") or tool["name"] == "regenerate":
            assert "May cost money." in tool["description"]
            assert tool["annotations"] == {"destructiveHint": False}
        if tool["name"] in ("get_task", "list_tasks", "list_models"):
            assert tool["annotations"]["readOnlyHint"] is True


@pytest.mark.parametrize("tool", ["generate_flf2v", "generate_i2v", "generate_t2v", "generate_animation"])
async def test_generate_tools_take_the_agreed_arguments(tmp_path: Path, tool: str):
    (schema,) = [each["inputSchema"] for each in await listed(tmp_path) if each["name"] == tool]
    shared = {
        "model", "duration", "resolution", "aspect_ratio", "negative_prompt", "seed", "num_inference_steps",
        "guidance_scale", "num_outputs", "options", "strict", "idempotency_key", "fallback", "dry_run", "wait_seconds",
    }  # fmt: skip

    assert shared <= schema["properties"].keys()
    assert list(schema["properties"])[: len(schema["required"])] == schema["required"]


CORE = {"generate_flf2v", "generate_i2v", "generate_t2v", "get_task", "list_models", "view_video"}


async def test_the_core_set_is_six_tools_in_less_than_four_kilobytes(tmp_path: Path):
    tools = await listed(tmp_path, KEYFRAME_TOOLSET="core")
    answer = {"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}

    assert {tool["name"] for tool in tools} == CORE
    assert len(json.dumps(answer, separators=(",", ":"), ensure_ascii=False).encode()) <= 4000
    assert {tool["name"] for tool in tools if "outputSchema" not in tool} == {"view_video"}


async def test_a_core_tool_takes_what_it_does_not_announce_and_still_refuses_what_nobody_takes(tmp_path: Path):
    async with (
        open_server_inside(tmp_path, KEYFRAME_TOOLSET="core") as application,
        Client(build_server(application, ME)) as client,
    ):
        made = await client.call_tool("generate_t2v", {"prompt": "a card", "resolution": "480p", "wait_seconds": 45})
        refused = await client.call_tool("generate_t2v", {"prompt": "a card", "resolutoin": "480p"})
        seen = await client.call_tool("get_task", {"task_id": (made.structured_content or {})["task_id"]})

    assert (seen.structured_content or {})["outputs"][0]["height"] == 480
    assert {"engine", "created_at"} <= (seen.structured_content or {}).keys()
    assert refused.is_error
    assert "did you mean resolution?" in str(refused.content)


@pytest.mark.parametrize("toolset", ["full", "core"])
async def test_the_instructions_name_only_tools_there_are(tmp_path: Path, toolset: str):
    names = {tool["name"] for tool in await listed(tmp_path, KEYFRAME_TOOLSET=toolset)}
    named = set(re.findall(r"[a-z0-9]+(?:_[a-z0-9]+)+", INSTRUCTIONS[toolset]))
    arguments = {"wait_seconds", "idempotency_key", "aspect_ratio", "next_step", "dry_run"}

    assert named - arguments <= names

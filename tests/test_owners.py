"""Two owners on one server: each has their own tasks, files and budget, and to each the other's do not exist."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client, MCPError
from mcp import types as protocol

from keyframe_mcp.engine.ownership import LOCAL, Ownership
from keyframe_mcp.engine.seal import Seal, read_or_make
from keyframe_mcp.errors import StoreUnusable
from sites import ANN, BEN, TOKENS, Served, browser, open_site, signed_in

ERAS = ("auto", "legacy")
NO_SUCH_TASK = "kf_" + "a" * 26


@asynccontextmanager
async def two_owners(folder: Path) -> AsyncGenerator[Served]:
    """A site for Ann and Ben."""
    async with open_site(folder, KEYFRAME_AUTH_TOKENS=TOKENS) as opened:
        yield opened


async def made(client: Client, **more: Any) -> dict[str, Any]:
    """A short clip."""
    arguments = {"prompt": "a heron", "duration": 1, "resolution": "480p", "wait_seconds": 30} | more
    result = await client.call_tool("generate_t2v", arguments)
    assert result.structured_content
    assert result.structured_content["status"] == "succeeded"
    return result.structured_content


async def told(client: Client, tool: str, arguments: dict[str, Any]) -> str:
    """What a tool answers, as text; it must be a refusal."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, (tool, result.content)
    return " ".join(each.text for each in result.content if isinstance(each, protocol.TextContent))


async def test_what_one_owner_made_does_not_exist_for_another(tmp_path: Path):
    with anyio.fail_after(100):
        async with two_owners(tmp_path) as opened:
            async with signed_in(opened.address, ANN) as ann:
                task = await made(ann)
                task_id = task["task_id"]
                frame = (await ann.call_tool("extract_frame", {"source": f"task:{task_id}"})).structured_content
                assert frame
                again = await ann.call_tool("extract_frame", {"source": f"task:{task_id}"})
                assert again.structured_content == frame
                on = {"image": frame["reference"], "duration": 1, "resolution": "480p", "wait_seconds": 30}
                further = (await ann.call_tool("generate_i2v", on)).structured_content
                assert further
                clips = {"sources": [f"task:{task_id}", f"task:{further['task_id']}"]}
                film = (await ann.call_tool("join_videos", clips)).structured_content
                assert film
                assert not (await ann.call_tool("view_video", {"source": film["reference"]})).is_error
            for era in ERAS:
                async with signed_in(opened.address, BEN, era) as ben:
                    await nothing_is_there(ben, task_id, frame["reference"], film["reference"])
                    listed = (await ben.call_tool("list_tasks", {})).structured_content
                    assert listed
                    assert listed["tasks"] == []
            async with signed_in(opened.address, BEN) as ben:
                own = await made(ben)
                assert own["task_id"] != task_id
                assert not own.get("deduplicated")
            async with signed_in(opened.address, ANN) as ann:
                listed = (await ann.call_tool("list_tasks", {})).structured_content
                assert listed
                assert {each["task_id"] for each in listed["tasks"]} == {task_id, further["task_id"]}


async def nothing_is_there(ben: Client, task_id: str, frame: str, film: str) -> None:
    """Every way to a task or a file: the answer is the one for what was never made."""
    ways: list[tuple[str, dict[str, Any]]] = [
        ("get_task", {"task_id": "TASK"}),
        ("get_task", {"task_ids": ["TASK"]}),
        ("cancel_task", {"task_id": "TASK"}),
        ("regenerate", {"task_id": "TASK"}),
        ("view_video", {"source": "task:TASK"}),
        ("view_video", {"source": "output:TASK.mp4"}),
        ("view_video", {"source": "FRAME"}),
        ("view_video", {"source": "FILM"}),
        ("extract_frame", {"source": "task:TASK"}),
        ("extract_frame", {"source": "FRAME"}),
        ("join_videos", {"sources": ["task:TASK", "output:TASK.mp4"]}),
        ("generate_i2v", {"image": "task:TASK"}),
        ("generate_i2v", {"image": "FRAME"}),
        ("generate_flf2v", {"first_image": "task:TASK#first", "last_image": "FRAME"}),
    ]
    no_such_frame, no_such_film = (re.sub(r"[2-9](?=\w*-of-)", "2", each) for each in (frame, film))
    assert frame != no_such_frame
    assert film != no_such_film
    for tool, arguments in ways:
        theirs = await told(ben, tool, filled(arguments, task_id, frame, film))
        nobodys = await told(ben, tool, filled(arguments, NO_SUCH_TASK, no_such_frame, no_such_film))
        assert without(theirs, task_id, frame, film) == without(nobodys, NO_SUCH_TASK, no_such_frame, no_such_film)
        assert "there is no" in theirs
    addresses = ("keyframe://tasks/TASK",)
    for address in addresses:
        theirs = await refused_reading(ben, address.replace("TASK", task_id))
        nobodys = await refused_reading(ben, address.replace("TASK", NO_SUCH_TASK))
        assert without(theirs, task_id) == without(nobodys, NO_SUCH_TASK)
    reference = protocol.ResourceTemplateReference(uri="keyframe://tasks/{id}")
    completed = await ben.complete(reference, {"name": "id", "value": task_id[:5]})
    assert completed.completion.values == []
    theirs, nobodys = [await refused_prompt(ben, each) for each in (task_id, NO_SUCH_TASK)]
    assert without(theirs, task_id) == without(nobodys, NO_SUCH_TASK)


def filled(arguments: dict[str, Any], task_id: str, frame: str, film: str) -> dict[str, Any]:
    """The arguments with the names put in."""

    def fill(value: Any) -> Any:
        if isinstance(value, list):
            return [fill(each) for each in value]
        return value.replace("TASK", task_id).replace("FRAME", frame).replace("FILM", film)

    return {name: fill(value) for name, value in arguments.items()}


def without(text: str, *names: str) -> str:
    """A text without the names."""
    for number, name in enumerate(names):
        text = text.replace(name, f"NAME{number}").replace(name.removeprefix("output:"), f"NAME{number}")
    return text


async def refused_prompt(ben: Client, task_id: str) -> str:
    with pytest.raises(MCPError) as caught:
        await ben.get_prompt("extend_clip", {"task_id": task_id})
    return str(caught.value)


async def refused_reading(ben: Client, address: str) -> str:
    with pytest.raises(MCPError) as caught:
        await ben.read_resource(address)
    return str(caught.value)


async def test_a_session_is_of_no_use_to_another_owner(tmp_path: Path):
    about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "any", "version": "1"}}
    opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about}
    ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    accept = {"accept": "application/json, text/event-stream"}
    ann, ben = ({"authorization": f"Bearer {token}"} for token in (ANN, BEN))
    with anyio.fail_after(30):
        async with two_owners(tmp_path) as opened, browser(**accept) as client:
            mcp = f"{opened.address}/mcp"
            session = (await client.post(mcp, json=opening, headers=ann)).headers["mcp-session-id"]
            theirs = {"mcp-session-id": session}
            assert (await client.post(mcp, json=ping, headers=ann | theirs)).status_code == 200
            assert (await client.post(mcp, json=ping, headers=ben | theirs)).status_code == 404
            assert (await client.delete(mcp, headers=ben | theirs)).status_code == 404
            async with client.stream("GET", f"{opened.address}/sse", headers=ann) as stream:
                text = await anext(stream.aiter_text())
                found = re.search(r"data: (\S+)", text)
                assert found
                there = opened.address + found[1]
                assert (await client.post(there, json=ping, headers=ann)).status_code == 202
                assert (await client.post(there, json=ping, headers=ben)).status_code == 404
                opened.site.begin_end()


async def test_an_owner_s_day_is_their_own_and_the_day_of_all_is_everybody_s(tmp_path: Path):
    limits: dict[str, Any] = {"KEYFRAME_BUDGET_USD_PER_OWNER_PER_DAY": "0", "KEYFRAME_AUTH_TOKENS": TOKENS}
    with anyio.fail_after(60):
        async with open_site(tmp_path, **limits, WAVESPEED_API_KEY="a-key-of-nobody") as opened:
            async with signed_in(opened.address, BEN) as ben:
                arguments = {"prompt": "x", "model": "wavespeed/wan-2.1-t2v-720p"}
                said = await told(ben, "generate_t2v", arguments)
            assert "KEYFRAME_BUDGET_USD_PER_OWNER_PER_DAY" in said


async def test_rooms_are_made_for_who_comes_and_closed_when_nobody_was_in_for_long(tmp_path: Path):
    with anyio.fail_after(30):
        async with two_owners(tmp_path) as opened:
            rooms = opened.site.rooms
            async with signed_in(opened.address, ANN) as ann:
                await ann.list_tools()
                room = await rooms.room("ann")
                assert len(rooms) == 1
            async with signed_in(opened.address, BEN) as ben:
                await ben.list_tools()
            assert len(rooms) == 2
            room.left_at -= 4000
            rooms.sweep()
            assert len(rooms) == 1
            async with signed_in(opened.address, ANN) as ann:  # and a new one is as good
                assert (await ann.list_tools()).tools


def test_a_mark_cannot_be_made_by_who_does_not_have_the_key():
    mine, others = Ownership(Seal(lambda: bytes(32))), Ownership(Seal(lambda: bytes([1] * 32)))
    name = mine.marked("frame-0123.png", "ann")

    assert mine.is_owned(name, "ann")
    assert [mine.is_owned(name, owner) for owner in ("ben", LOCAL, "", "ann ")] == [False] * 4
    assert not others.is_owned(name, "ann")
    assert mine.is_owned("frame-0123.png", LOCAL)
    assert not mine.is_owned("frame-0123.png", "ann")


async def test_processes_that_make_the_key_at_once_have_the_same(tmp_path: Path):
    keys: list[bytes] = []

    async def read() -> None:
        keys.append(await anyio.to_thread.run_sync(read_or_make, tmp_path / "link.key"))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(read)

    assert len(set(keys)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["link.key"]
    assert (tmp_path / "link.key").stat().st_mode & 0o077 == 0


def test_a_damaged_key_is_said_and_not_used(tmp_path: Path):
    (tmp_path / "link.key").write_bytes(b"short")
    with pytest.raises(StoreUnusable, match="damaged; delete it"):
        read_or_make(tmp_path / "link.key")

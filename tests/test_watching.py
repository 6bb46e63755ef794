"""Waiting for tasks inside a call: what is told meanwhile, how little is said twice, and which id was meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from emulators.jobs import AT_ONCE, Pace
from keyframe_mcp.server.sentences import spell
from sites import ask, open_site
from systems import Systems, open_systems
from test_stdio import MODERN

ENDLESS = Pace(checks_queued=0, checks_running=1_000_000)
T2V = "wavespeed/wan-2.1-t2v-720p"


async def running(systems: Systems, task_id: str) -> dict[str, Any]:
    """A task, once its provider has been heard to work on it."""
    with anyio.fail_after(10):
        while (task := await systems.call("get_task", task_id=task_id)).get("native_status") != "processing":
            await anyio.lowlevel.checkpoint()
    return task


async def test_a_task_that_goes_on_is_told_whole_once_and_then_only_as_news(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        systems.wavespeed.pace = ENDLESS
        started = await systems.call("generate_t2v", model=T2V, prompt="a heron")
        whole = await running(systems, started["task_id"])
        news = await systems.call("get_task", task_id=started["task_id"], wait_seconds=0.2)

        assert {"mode", "cost", "created_at", "generative"} <= whole.keys()
        assert news["unchanged"] is True
        assert news.keys() <= {
            "task_id", "status", "model", "next_step", "poll_after_seconds", "progress", "native_status", "warnings",
            "unchanged",
        }  # fmt: skip
        assert (news["task_id"], news["status"]) == (started["task_id"], "running")


async def test_a_task_that_ends_while_it_is_waited_for_is_told_whole(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        systems.wavespeed.pace = AT_ONCE
        task = await systems.made("generate_t2v", model=T2V, prompt="a heron")

        assert task["status"] == "succeeded"
        assert "unchanged" not in task
        assert {"mode", "cost", "created_at", "outputs"} <= task.keys()


async def test_of_several_tasks_those_that_go_on_are_told_as_news(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        systems.wavespeed.pace = ENDLESS
        going = (await systems.call("generate_t2v", model=T2V, prompt="a heron"))["task_id"]
        over = (await systems.made("generate_t2v", model="local/storyboard", prompt="a card", duration=1))["task_id"]
        await running(systems, going)
        both = await systems.call("get_task", task_ids=[going, over], wait_seconds=0.2)

        assert [task.get("unchanged") for task in both["tasks"]] == [True, None]
        assert "outputs" in both["tasks"][1]
        assert both["next_step"] == f"Call get_task with task_ids ['{going}'] and wait_seconds=30."


async def test_an_id_with_a_slip_of_the_pen_is_put_right_wherever_a_task_is_named(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        made = await systems.made("generate_t2v", model="local/storyboard", prompt="a card", duration=1)
        right = made["task_id"]
        wrong = right[:7] + right[8:]

        meant = f"there is no task '{wrong}'; did you mean {right} (t2v with local/storyboard, succeeded)?"
        assert meant in await systems.refused("get_task", task_id=wrong)
        assert meant in await systems.refused("cancel_task", task_id=f"task:{wrong}")
        assert meant in await systems.refused("view_video", source=f"task:{wrong}")
        assert meant in await systems.refused("generate_i2v", model="local/camera", image=f"task:{wrong}")
        assert "the newest is " + right in await systems.refused("get_task", task_id="nothing like it")


async def test_a_task_may_be_named_the_way_other_tools_and_resources_name_it(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        made = await systems.made("generate_t2v", model="local/storyboard", prompt="a card", duration=1)

        for name in (f"task:{made['task_id']}", f"keyframe://tasks/{made['task_id']}", f" {made['task_id']} "):
            assert (await systems.call("get_task", task_id=name))["task_id"] == made["task_id"]


async def test_without_any_task_an_unknown_id_says_so(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        assert "there is no task 'kf_x'; there are none yet" in await systems.refused("get_task", task_id="kf_x")


async def test_an_answer_that_is_there_at_once_comes_alone(tmp_path: Path):
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    async with open_systems(tmp_path) as systems:
        systems.wavespeed.pace = ENDLESS
        going = await systems.call("generate_t2v", model=T2V, prompt="a heron")
        over = await systems.made("generate_t2v", model="local/storyboard", prompt="a card", duration=1)
        for task, seconds in ((going, 0), (over, 0), (over, 30)):
            arguments = {"task_id": task["task_id"], "wait_seconds": seconds}
            await systems.client.call_tool("get_task", arguments, progress_callback=hear)
        assert heard == []

        arguments = {"task_ids": [going["task_id"], over["task_id"]], "wait_seconds": 0.1}
        await systems.client.call_tool("get_task", arguments, progress_callback=hear)
        assert heard


async def test_who_asks_for_progress_and_needs_none_gets_plain_json(tmp_path: Path):
    async with open_site(tmp_path) as site:
        async with site.agent() as agent:
            card = {"model": "local/storyboard", "prompt": "a card", "duration": 1}
            task = await ask(agent, "generate_t2v", **card, wait_seconds=45)
        arguments = {"task_id": task["task_id"], "wait_seconds": 30}
        params = {"name": "get_task", "arguments": arguments, "_meta": MODERN["_meta"] | {"progressToken": 1}}
        headers = {
            "Accept": "application/json, text/event-stream",
            "Mcp-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": "get_task",
        }
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        async with site.client() as client:
            answer = await client.post("/mcp", json=message, headers=headers)

    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["result"]["structuredContent"] == task


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0 s"), (0.4, "0 s"), (89, "89 s"), (91, "2 min"), (3600, "60 min"), (7260, "2 h 1 min")],
)
def test_time_is_told_as_people_tell_it(seconds: float, words: str):
    assert spell(seconds) == words


async def test_a_model_that_was_not_named_comes_with_the_reason_it_was_chosen(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        left_out = await systems.call("generate_t2v", prompt="a heron")
        again = await systems.call("generate_t2v", prompt="a heron")
        named = await systems.call("generate_t2v", prompt="a heron", model="wavespeed/wan-2.1-t2v-720p")

        assert "configured models that can do this, the surest, then the cheapest" in left_out["why"]
        assert "model" in left_out
        assert "why" not in again  # it was there already
        assert "why" not in named

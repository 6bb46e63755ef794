"""Tools with arguments nobody planned for. The long form is `python -m soak --fuzz 5000`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from mcp import Client
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, TextContent

from keyframe_mcp.errors import InvalidInput
from keyframe_mcp.server.arguments import GetTask
from keyframe_mcp.server.strict import strict_tool
from keyframe_mcp.server.toolbox import ASKS
from soak.fuzz import fuzz
from soak.rules import CANARY, Broken, Rules
from soak.values import Call
from soak.wire import connections, fuzz_wire, on_the_wire


def test_hundreds_of_strange_calls_are_answered_in_words_and_no_job_is_sent_twice(tmp_path: Path):
    figures = fuzz(tmp_path, 200, 1)
    assert figures["fuzz_calls"] >= 200
    assert figures["fuzz_honoured"] > 10
    assert figures["fuzz_p99_ms"] < 5000


def test_strange_lines_on_the_pipe_are_answered_and_nothing_is_connected_to(tmp_path: Path):
    figures = fuzz_wire(tmp_path, 150, 1)
    assert figures["wire_calls"] >= 150
    assert figures["wire_p99_ms"] < 5000


@pytest.mark.parametrize(
    "value", ['"\\ud83d"', "[" * 300 + "]" * 300, "1" * 5000], ids=["half a character", "deep lists", "a long number"]
)
def test_a_request_that_cannot_be_read_is_answered_all_the_same(tmp_path: Path, value: str):
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(on_the_wire(tmp_path, tmp_path / "log")) as wire,
    ):
        line = (
            '{"jsonrpc":"2.0","id":"odd","method":"tools/call","params":{"name":"get_task","arguments":{"task_id":%s}}}'
        )
        portal.call(wire.say, (line % value).encode())
        answer = portal.call(wire.answer, "odd")

        assert answer["error"]["code"] == -32700
        assert "could not be read" in answer["error"]["message"]
        assert "nothing was done" in answer["error"]["message"]
        assert "result" in portal.call(wire.ask, "ping", {})


def test_the_watch_notes_every_connection(tmp_path: Path):
    log = tmp_path / "log"
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(on_the_wire(tmp_path, log)) as wire:
        call = {"name": "view_video", "arguments": {"source": "https://name.invalid/a.mp4"}}
        portal.call(wire.ask, "tools/call", call)
        assert "name.invalid" in log.read_text()
        assert connections(log) == []
    log.write_text('["socket.getaddrinfo", "x"]\n["socket.connect", "(\'192.0.2.1\', 443)"]\n')
    assert connections(log) == ["('192.0.2.1', 443)"]


async def broken_inside(arguments: GetTask, context: Context) -> CallToolResult:
    """A tool with a mistake in it."""
    raise KeyError("what only we should read")


async def refuses(arguments: GetTask, context: Context) -> CallToolResult:
    """A tool that quotes somebody."""
    raise InvalidInput("it says \x1b[31m \u202e \ud83d and " + "x" * 9000)


async def answer_of(handler: Any, **arguments: Any) -> str:
    server = MCPServer("one tool", tools=[strict_tool(handler, GetTask, None, ASKS, "A tool.")])
    async with Client(server) as client:
        result = await client.call_tool(handler.__name__, arguments)
    assert result.is_error
    return " ".join(block.text for block in result.content if block.type == "text")


async def test_a_mistake_of_ours_is_called_one_and_its_words_stay_in_the_log(caplog: pytest.LogCaptureFixture):
    said = await answer_of(broken_inside)
    assert said.startswith("broken_inside: a mistake inside this server")
    assert "Repeat the same call" in said
    assert "only we" not in said
    assert "KeyError" not in said
    assert "what only we should read" in caplog.text


async def test_a_refusal_has_no_words_before_it_and_nothing_in_it_that_does_not_show():
    said = await answer_of(refuses)
    assert said.startswith("it says \\x1b[31m \\u202e \\ud83d and xxx")
    assert len(said) < 4100


async def test_an_argument_with_an_endless_name_is_refused_at_once():
    said = await answer_of(refuses, **{"task_idx" * 100_000: 1})
    assert said.startswith("refuses: task_idx")
    assert "is not an argument" in said
    assert len(said) < 500


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "without words"),
        ("Error executing tool get_task", "insides"),
        ("ValidationError: 1 validation error", "insides"),
        ("it is in /usr/lib/secret/place.txt", "a path"),
        ("it says \x1b[31m", "unprintable"),
        ("it says \u202e", "unprintable"),
        ("half \ud800", "half a character"),
        (f"it holds {CANARY}", "outside"),
        ("long " * 5000, "characters"),
    ],
)
def test_the_rules_notice_an_answer_that_must_not_be(text: str, what: str):
    refusal = CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
    with pytest.raises(Broken, match=what):
        Rules((Path("/allowed"),), {}).check(Call("get_task", {"task_id": "x"}), refusal)


def test_the_rules_notice_somebody_elses_task_in_a_list():
    seen = CallToolResult(
        content=[TextContent(type="text", text="2")], structured_content={"tasks": [{"task_id": "a"}]}
    )
    rules = Rules((), {"list_tasks": None}, ("a",))
    with pytest.raises(Broken, match="somebody else's task"):
        rules.check(Call("list_tasks", {}), seen)


def test_the_rules_let_a_caller_have_its_own_words_back():
    said = "'/etc/shadow/x' is outside the folders that may be read (/allowed/out); KeyError is yours"
    refusal = CallToolResult(content=[TextContent(type="text", text=said)], is_error=True)
    Rules((Path("/allowed"),), {}).check(Call("view_video", {"source": "/etc/shadow/x KeyError"}), refusal)

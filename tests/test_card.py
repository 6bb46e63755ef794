"""The card for MCP Apps: what is in it, who is told of it, and that nobody else notices. `make card` looks at it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client import advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID
from pydantic import BaseModel

from keyframe_mcp.server import build_server
from keyframe_mcp.server.arguments import Arguments, CancelTask, GetTask, ListTasks, ViewVideo
from keyframe_mcp.server.card import CARD_URI, RESULT_HOSTS, SHOWN_ON, page
from keyframe_mcp.server.dry_run_view import DryRunView
from keyframe_mcp.server.views import StartedView, TaskLine, TaskListView, TasksView
from keyframe_mcp.task import Cost, Failure, Mode, Output, Status
from studio import ME, open_server_inside

SHOWS_CARDS = advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})
SHOWS_OTHERS = advertise(EXTENSION_ID, {"mimeTypes": ["text/uri-list"]})
ERAS = ("auto", "legacy")
ADDRESSES = re.compile(r"""(?:src|href|action)\s*=\s*["']|url\(|@import|import\(|\bfrom\s+["']|https?://[\w.]""")
UNSAFE = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "eval(",
    "Function(",
    "localStorage",
    "fetch(",
)


OWN = {"about"}  # what the list says of a task; the card notes it down


def destructured(source: str, origin: str) -> set[str]:
    """The fields a line like `const { a, b: c = 1 } = origin` takes."""
    found = re.findall(r"\{([^{}]*)\}\s*=\s*" + re.escape(origin) + r"\b(?!\.)", source)
    names = {part.strip().split(":")[0].split("=")[0].strip() for line in found for part in line.split(",")}
    return {name for name in names if name and not name.startswith("...")}


def dotted(source: str, *origins: str) -> set[str]:
    """The fields taken as `origin.field`."""
    return {name for origin in origins for name in re.findall(rf"(?<![\w.]){re.escape(origin)}\.([a-z_]+)\b", source)}


def fields(*models: type[BaseModel]) -> set[str]:
    return {name for model in models for name in model.model_fields}


def test_the_card_is_small_and_needs_nothing_from_elsewhere():
    html = page()

    assert html.startswith("<!doctype html>")
    assert len(html.encode()) < 20_000
    assert ADDRESSES.findall(html) == []


@pytest.mark.parametrize("toolset", ["full", "core"])
async def test_the_card_knows_which_tools_there_are(tmp_path: Path, toolset: str):
    served = open_server_inside(tmp_path, KEYFRAME_TOOLSET=toolset)
    async with served as application, Client(build_server(application, ME)) as client:
        (content,) = (await client.read_resource(CARD_URI)).contents

    html = content.model_dump()["text"]
    assert f'IS_FULL = "{toolset}" === "full"' in html
    assert re.search(r'if \(open && IS_FULL && .*"Cancel"', html)
    assert re.search(r"\|\| !IS_FULL \|\|.*return;", html)
    assert "{{" not in html


@pytest.mark.parametrize("unsafe", UNSAFE)
def test_the_card_never_makes_code_or_markup_of_data(unsafe: str):
    assert unsafe not in page()


@pytest.mark.parametrize(
    ("taken", "models"),
    [
        (lambda page: dotted(page, "task", "this.task") | destructured(page, "this.task"), (StartedView, DryRunView)),
        (lambda page: dotted(page, "data"), (TasksView, StartedView)),
        (lambda page: dotted(page, "cost"), (Cost,)),
        (lambda page: dotted(page, "error"), (Failure,)),
        (lambda page: destructured(page, "output"), (Output,)),
        (lambda page: dotted(page, "structuredContent"), (TaskListView,)),
    ],
)
def test_every_field_the_card_reads_is_one_that_tools_give(
    taken: Callable[[str], set[str]], models: tuple[type[BaseModel], ...]
):
    found = taken(page())

    assert found, "the card no longer reads it in a way this test sees"
    assert found - fields(*models) == OWN & found


def test_the_line_of_a_list_says_what_a_task_is_about():
    assert {"task_id", "about"} <= fields(TaskLine)


@pytest.mark.parametrize(
    ("tool", "takes"),
    [("get_task", GetTask), ("cancel_task", CancelTask), ("list_tasks", ListTasks), ("view_video", ViewVideo)],
)
def test_every_argument_the_card_gives_is_one_that_tools_take(tool: str, takes: type[Arguments]):
    calls = re.findall(rf'call\("{tool}", \{{(.*?)\}}\)', page())
    given = {name for call in calls for name in re.findall(r"\b(\w+):", re.sub(r"`[^`]*`|\.\.\.which,", "", call))}

    assert calls
    assert given
    assert given - fields(takes) == set()


def test_the_sizes_the_card_asks_for_exist():
    ViewVideo.model_validate({"source": "task:kf_a", "size": "tiny"})
    GetTask.model_validate({"task_ids": ["a"], "wait_seconds": 25})

    assert 'size: "tiny"' in page()
    assert "WAIT_SECONDS = 25" in page()


def test_the_card_has_words_for_every_status_and_mode():
    html = page()

    for status in Status:
        assert re.search(rf'\b{status}: "', html), status
    for mode in Mode:
        assert re.search(rf'\b{mode}: "', html), mode
    settled = re.search(r"SETTLED = (\[.*?\])", html)
    assert settled
    assert set(json.loads(settled[1])) == {status for status in Status if status.is_settled}


async def listed(folder: Path, mode: str, extension: Any = None) -> dict[str, Any]:
    """The tools as a client sees them, without a session's own words."""
    extensions = [extension] if extension else []
    async with (
        open_server_inside(folder) as application,
        Client(build_server(application, ME), mode=mode, extensions=extensions) as client,
    ):
        tools = (await client.list_tools()).tools
    return {tool.name: tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools}


@pytest.mark.parametrize("mode", ERAS)
async def test_a_client_that_shows_cards_is_told_which_tools_have_one(tmp_path: Path, mode: str):
    tools = await listed(tmp_path, mode, SHOWS_CARDS)

    pointing = {name: tool["_meta"] for name, tool in tools.items() if "_meta" in tool}
    assert set(pointing) == SHOWN_ON & set(tools)
    assert {name for name in tools if name.startswith("generate_")} | {"get_task"} <= set(pointing)
    for meta in pointing.values():
        assert meta == {"ui": {"resourceUri": CARD_URI}, "ui/resourceUri": CARD_URI}


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("extension", [None, SHOWS_OTHERS])
async def test_a_client_that_shows_none_sees_the_tools_as_ever(tmp_path: Path, mode: str, extension: Any):
    tools = await listed(tmp_path, mode, extension)

    assert not any("_meta" in tool for tool in tools.values())


@pytest.mark.parametrize("mode", ERAS)
async def test_the_card_can_be_read_and_says_what_it_may_load(tmp_path: Path, mode: str):
    async with open_server_inside(tmp_path) as application, Client(build_server(application, ME), mode=mode) as client:
        (resource,) = [each for each in (await client.list_resources()).resources if each.uri == CARD_URI]
        (content,) = (await client.read_resource(CARD_URI)).contents

    wanted = {"csp": {"resourceDomains": [*RESULT_HOSTS]}, "permissions": {"clipboardWrite": {}}, "prefersBorder": True}
    assert resource.mime_type == content.mime_type == "text/html;profile=mcp-app"
    assert content.model_dump(by_alias=True)["text"] == page()
    assert content.meta == resource.meta == {"ui": wanted}


def test_only_hosts_of_results_over_tls_are_asked_for():
    for host in RESULT_HOSTS:
        assert re.fullmatch(r"https://(\*\.)?([a-z0-9-]+\.)+[a-z]+", host), host
        assert host not in ("https://*.cloudfront.net", "https://*.aliyuncs.com"), "that is everybody's"


@pytest.mark.parametrize("mode", ERAS)
async def test_results_are_the_same_with_and_without_the_card(tmp_path: Path, mode: str):
    values = {"prompt": "a heron", "model": "local/storyboard", "dry_run": True}
    given: list[Any] = []
    async with open_server_inside(tmp_path) as application:
        for extensions in ([SHOWS_CARDS], []):
            async with Client(build_server(application, ME), mode=mode, extensions=extensions) as client:
                given.append(await client.call_tool("generate_t2v", values))

    assert given[0] == given[1]
    assert given[0].structured_content["status"] == "dry_run"

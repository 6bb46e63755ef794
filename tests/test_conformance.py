"""What `make conformance` runs: the roster is whole, the judge notices, the fixture answers as the suite expects."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.types import (
    BlobResourceContents,
    ElicitRequestParams,
    ElicitResult,
    PromptReference,
    TextContent,
    TextResourceContents,
)

from conformance import roster
from conformance.fixture import build_fixture
from conformance.jobs import Job
from conformance.questions import who
from conformance.report import report
from conformance.roster import LEGS, NEW, NEWER, OLD, OLDER
from conformance.suite import Check, Listing, Ran, parsed
from conformance.verdict import amiss, by_key, troubles, unknown, wanted
from keyframe_mcp.docs import conformed
from keyframe_mcp.server.task_states import TaskState
from studio import open_server_inside

ROOT = Path(__file__).parents[1]
LISTED = """
Server scenarios (test against a server):
  - ping [2025-06-18,2025-11-25]
  - caching [2026-07-28]
  - tasks-lifecycle [extension]

Client scenarios (test against a client):
  - initialize [2025-06-18,2025-11-25]
"""


def ran(name: str, place: roster.Place, *, revision: str = NEWER, **checks: str) -> Ran:
    found = tuple(Check(each.replace("_", "-"), status) for each, status in checks.items())
    return Ran(NEW, revision, place, name, found)


def judged(*runs: Ran) -> list[str]:
    return [what for each in runs for what in amiss(each, by_key(runs))]


def whole(suite: str) -> Listing:
    """What a version would list that has just the scenarios of the roster."""
    names = sorted(roster.REAL | roster.FIXTURE | roster.EVENTS | roster.NOT_RUN.keys())
    return {"Server": dict.fromkeys(names, (OLDER, NEWER))} if suite == NEW else {"Server": {"ping": (OLDER,)}}


def test_a_scenario_is_in_one_list_of_the_roster():
    lists = (roster.REAL, roster.FIXTURE, roster.EVENTS, roster.NOT_RUN.keys())

    assert sum(map(len, lists)) == len({name for each in lists for name in each})


def test_the_exceptions_of_the_roster_are_of_scenarios_it_has():
    assert roster.NEEDS_THE_FIXTURE.keys() <= roster.REAL
    assert roster.PASSES_UNASKED.keys() <= roster.FIXTURE


def test_the_list_of_the_suite_is_read():
    listing = parsed(LISTED)

    assert listing["Server"] == {
        "ping": ("2025-06-18", "2025-11-25"),
        "caching": ("2026-07-28",),
        "tasks-lifecycle": ("extension",),
    }
    assert [wanted(leg, listing) for leg in LEGS[1:]] == [["ping"], ["caching", "tasks-lifecycle"]]


def test_a_line_of_the_list_that_is_not_understood_is_not_passed_over():
    with pytest.raises(ValueError, match="not understood"):
        parsed(LISTED + "  * another kind of line\n")


def test_a_new_scenario_and_a_new_kind_of_scenario_are_noticed():
    listing: Listing = {"Server": {"ping": (OLDER,), "teleport": (NEWER,)}, "Proxy": {"hop": (NEWER,)}}

    assert [each.partition(", ")[0] for each in unknown({NEW: listing})] == [
        f"{NEW} has Proxy scenarios",
        f"{NEW} has a scenario teleport",
    ]


def test_a_scenario_that_is_gone_and_one_that_was_not_run_are_noticed():
    found = troubles({NEW: {"Server": {"ping": (OLDER,)}}, OLD: {"Server": {}}}, [])

    assert f"{NEW} {OLDER} real ping was not run" in found
    assert "the roster names caching, which no version of the suite has" in found


def test_nothing_is_missed_where_everything_ran():
    found = troubles({NEW: whole(NEW), OLD: whole(OLD)}, [])

    assert all(each.endswith("was not run") for each in found)


@pytest.mark.parametrize("status", ["FAILURE", "WARNING", "SKIPPED"])
def test_a_check_that_did_not_pass_where_it_belongs_is_noticed(status: str):
    assert judged(ran("caching", "real", one="SUCCESS", two=status)) == ["two did not pass"]
    assert judged(ran("tools-call-image", "fixture", one="SUCCESS", two=status)) == ["two did not pass"]


def test_a_scenario_in_which_nothing_was_looked_at_has_not_passed():
    assert judged(ran("caching", "real", wire_schema_valid="SUCCESS", note="INFO")) == ["nothing passed"]


def test_an_excuse_needs_the_fixtures_proof():
    excused = dict.fromkeys(roster.NEEDS_THE_FIXTURE["server-stateless"], "FAILURE")
    passed = dict.fromkeys(excused, "SUCCESS")

    real = Ran(
        NEW, NEWER, "real", "server-stateless", tuple(Check(*each) for each in {**excused, "a": "SUCCESS"}.items())
    )
    proof = Ran(NEW, NEWER, "fixture", "server-stateless", tuple(Check(*each) for each in passed.items()))

    assert judged(real, proof) == []
    assert [each.partition(" ")[0] for each in judged(real)] == sorted(excused)


def test_an_excuse_that_is_no_longer_needed_is_noticed():
    passed = dict.fromkeys(roster.NEEDS_THE_FIXTURE["server-stateless"], "SUCCESS")
    both = [
        Ran(NEW, NEWER, place, "server-stateless", tuple(map(Check, passed, passed.values())))
        for place in ("real", "fixture")
    ]

    assert judged(*both) == [f"{each} passed, and was said not to" for each in sorted(passed)]


def test_a_scenario_of_the_fixture_that_the_real_app_passes_is_noticed():
    assert judged(ran("tools-call-image", "real", one="SUCCESS")) == ["the real app passes it; put it among its own"]
    assert judged(ran("tools-call-image", "real", one="FAILURE")) == []
    assert judged(ran("tools-call-error", "real", one="FAILURE")) == ["the real app does not pass it, and was said to"]


def test_a_scenario_put_aside_that_passes_is_noticed():
    assert judged(ran("tasks-status-notifications", "fixture", one="SKIPPED")) == []
    assert len(judged(ran("tasks-status-notifications", "fixture", one="SUCCESS"))) == 1
    assert len(judged(ran("server-sse-polling", "fixture", one="SUCCESS"))) == 1


def test_the_page_counts_what_ran_where_it_belongs():
    runs = [
        ran("caching", "real", one="SUCCESS", two="SUCCESS"),
        ran("caching", "fixture", one="SUCCESS"),
        ran("tools-call-image", "real", one="FAILURE"),
        ran("tools-call-image", "fixture", one="SUCCESS"),
    ]

    facts = report({NEW: parsed(LISTED)}, runs, "2026-11-21")

    rows = conformed.runs(facts).splitlines()[-2:]
    assert rows == [
        f"| {NEW} | {NEWER} | the fixture | 2 | 2 | 0 |",
        f"| {NEW} | {NEWER} | the real app | 1 | 2 | 0 |",
    ]
    assert "all 1 for clients" in conformed.not_run(facts)


def test_the_page_is_of_the_versions_that_are_run_now():
    facts = json.loads((ROOT / "docs" / "conformance.json").read_text("utf-8"))

    assert {(each["suite"], each["revision"]) for each in facts["runs"]} == {(leg.suite, leg.revision) for leg in LEGS}
    assert {each["check"] for each in facts["excused"]} == {
        check for checks in roster.NEEDS_THE_FIXTURE.values() for check in checks
    }


async def test_a_job_goes_on_when_every_question_of_it_is_answered():
    state = TaskState("1", "working", "", 0, 0, 1)
    job, given = Job(state), list[Any]()

    async def work() -> None:
        given.append(await job.ask(first=who(), second=who()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        await anyio.wait_all_tasks_blocked()
        job.answer({"first": 1, "never asked": 0})
        await anyio.wait_all_tasks_blocked()
        assert (list(job.open_questions), given) == (["second"], [])
        job.answer({"second": 2})

    assert given == [{"first": 1, "second": 2}]


@asynccontextmanager
async def fixture(folder: Path, mode: Any, **more: Any) -> AsyncGenerator[Client]:
    """A client of the fixture."""
    async with (
        open_server_inside(folder) as application,
        Client(build_fixture(application, "local"), mode=mode, **more) as client,
    ):
        yield client


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_fixture_has_our_own_things_and_the_suites(tmp_path: Path, mode: str):
    async with fixture(tmp_path, mode) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        prompts = {prompt.name for prompt in (await client.list_prompts()).prompts}
        resources = {str(each.uri) for each in (await client.list_resources()).resources}

    assert {"generate_flf2v", "test_simple_text", "greet", "json_schema_2020_12_tool"} <= tools
    assert {"storyboard", "test_simple_prompt", "test_input_required_result_prompt"} <= prompts
    assert {"keyframe://tasks", "test://static-text", "test://static-binary"} <= resources


async def test_the_fixture_answers_with_every_kind_of_content(tmp_path: Path):
    async with fixture(tmp_path, "auto") as client:
        mixed = await client.call_tool("test_multiple_content_types", {})
        sound = await client.call_tool("test_audio_content", {})
        failed = await client.call_tool("test_error_handling", {})

    assert [each.type for each in mixed.content] == ["text", "image", "resource"]
    assert [each.type for each in sound.content] == ["audio"]
    assert failed.is_error


async def test_the_fixture_reads_its_resources_and_prompts_and_ours(tmp_path: Path):
    async with fixture(tmp_path, "auto") as client:
        (text,) = (await client.read_resource("test://static-text")).contents
        (bytes_,) = (await client.read_resource("test://static-binary")).contents
        (filled,) = (await client.read_resource("test://template/123/data")).contents
        (model,) = (await client.read_resource("keyframe://models/local/morph")).contents
        prompt = await client.get_prompt("test_prompt_with_arguments", {"arg1": "hello", "arg2": "world"})
        ours = await client.get_prompt("storyboard", {"script": "A fox."})
        reference = PromptReference(name="test_prompt_with_arguments")
        values = (await client.complete(reference, {"name": "arg1", "value": "par"})).completion.values

    assert isinstance(text, TextResourceContents)
    assert isinstance(bytes_, BlobResourceContents)
    assert isinstance(filled, TextResourceContents)
    assert '"123"' in filled.text
    assert isinstance(model, TextResourceContents)
    assert "local/morph" in model.text
    assert "hello" in str(prompt.messages)
    assert "world" in str(prompt.messages)
    assert "A fox." in str(ours.messages)
    assert values == ["paris", "parchment"]


@pytest.mark.parametrize(("tool", "mode"), [("test_elicitation", "legacy"), ("test_streaming_elicitation", "auto")])
async def test_the_fixture_asks_in_the_way_of_the_era(tmp_path: Path, tool: str, mode: str):
    async def answer(_: Any, asked: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="accept", content={"response": asked.message, "name": "Alice"})

    arguments = {"message": "Well?"} if tool == "test_elicitation" else {}
    async with fixture(tmp_path, mode, elicitation_callback=answer) as client:
        (said,) = (await client.call_tool(tool, arguments)).content

    assert isinstance(said, TextContent)
    assert "Well?" in said.text or said.text == "Hello, Alice."

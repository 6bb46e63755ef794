"""A call that is checked and priced as a real one is, and leaves nothing behind."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from keyframe_mcp.engine import Caller
from keyframe_mcp.errors import BudgetExceeded, InvalidInput, SubmissionUncertain
from keyframe_mcp.server.dry_run_view import DryRunView
from keyframe_mcp.server.dry_run_view import rehearsed as said_of
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Inputs, Mode
from studio import ME, ScriptedProvider, Studio, open_server_inside, open_studio, picture
from systems import open_systems
from test_budget import VIDEO, Budget
from test_tools import ask, client_in, refused, said

VISITOR = Caller(owner="visitor", may_name_files=False)


def files(folder: Path) -> set[str]:
    """Every file in a folder that is not the database's own."""
    return {str(each) for each in folder.rglob("*") if each.is_file() and "tasks.db" not in each.name}


async def rehearsed(studio: Studio, **words: object):
    request = Inputs.model_validate({"mode": Mode.T2V, "prompt": "a heron"} | words)
    return await studio.engine.rehearse(ME, request, model="paid/film")


async def test_a_dry_run_tells_what_would_be_sent_and_sends_and_writes_nothing(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        picture(tmp_path / "first.png")
        picture(tmp_path / "last.png", shift=9)
        before = files(tmp_path)
        told = await systems.call(
            "generate_flf2v",
            first_image="first.png",
            last_image="last.png",
            prompt="dusk falls",
            model="wavespeed/wan-flf2v",
            resolution="480p",
            dry_run=True,
            wait_seconds=45,
        )

        assert (told["status"], told["model"], told["poll_after_seconds"]) == ("dry_run", "wavespeed/wan-flf2v", 0)
        assert "task_id" not in told
        assert "without dry_run" in told["next_step"]
        assert told["why"] == "it was named"
        request = told["request"]
        assert (request["method"], request["url"]) == (
            "POST",
            f"{systems.wavespeed.base_url}/api/v3/wavespeed-ai/wan-flf2v",
        )
        assert request["headers"] == {"Authorization": "Bearer [key]"}
        assert request["body"]["prompt"] == "dusk falls"
        assert [value for value in request["body"].values() if "320x192" in str(value)] == [
            request["body"]["first_image"],
            request["body"]["last_image"],
        ]
        assert told["cost"]["estimated_usd"] > 0
        assert "prompt" not in told["assumed"]
        assert told["assumed"]["duration"] == 5
        assert "budget" not in told
        assert files(tmp_path) == before
        assert (await systems.call("list_tasks"))["tasks"] == []
        for provider in (systems.wavespeed, systems.siliconflow, systems.baicai, systems.replicate, systems.gateway):
            assert provider.requests == []


async def test_the_price_and_the_request_of_a_dry_run_are_those_of_the_real_call(tmp_path: Path):
    async with open_studio(tmp_path, budget=Budget(per_day=10)) as studio:
        dry = (await rehearsed(studio, duration=10)).draft.task
        real = await studio.store.get(await studio.start("a heron", duration=10))

        assert (dry.wire, dry.cost, dry.warnings) == (real.wire, real.cost, real.warnings)
        assert dry.request_hash == real.request_hash


async def test_everything_wrong_is_found_in_a_dry_run_too(tmp_path: Path):
    (tmp_path / "not.png").write_text("no picture")
    async with client_in(tmp_path) as client:
        told = await refused(
            client, "generate_flf2v", first_image="not.png", last_image="absent.png", duration=99, dry_run=True
        )

        assert "3 problems" in told
        for words in ("first_image", "there is no file absent.png", "nearest: 30"):
            assert words in told


async def test_a_model_that_is_not_named_is_told_with_the_reason(tmp_path: Path):
    async with client_in(tmp_path) as client:
        told = await ask(client, "generate_t2v", prompt="a card", dry_run=True)

        assert told["model"] == "local/storyboard"
        assert told["why"] == "no other configured model can do this"
        assert told["cost"]["estimated_usd"] == 0
        assert "not AI video" in " ".join(told["warnings"])


async def test_within_a_limit_another_model_is_chosen_and_the_dearer_one_named_with_its_price(tmp_path: Path):
    images = {"first_image": "a.png", "last_image": "b.png", "prompt": "dusk falls", "dry_run": True}
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    async with open_systems(tmp_path) as systems:
        usual = await systems.call("generate_flf2v", **images)
    most = usual["cost"]["estimated_usd"] - 0.01
    async with open_systems(tmp_path, KEYFRAME_BUDGET_USD_PER_TASK=str(most)) as systems:
        told = await systems.call("generate_flf2v", **images)

    assert told["model"] != usual["model"]
    assert told["cost"]["estimated_usd"] <= most
    assert (told["budget"]["fits"], told["budget"]["per_task_usd"]) == (True, most)
    assert "within the limit for one video" in told["why"]
    (about,) = [warning for warning in told["warnings"] if usual["model"] in warning]
    assert f"this would cost ${usual['cost']['estimated_usd']:g}" in about


async def test_over_a_socket_a_dry_run_reads_no_paths(tmp_path: Path):
    picture(tmp_path / "a.png")
    async with client_in(tmp_path, caller=VISITOR) as client:
        assert "paths work over stdio only" in await refused(client, "generate_i2v", image="a.png", dry_run=True)


async def test_too_high_a_price_is_said_and_not_raised(tmp_path: Path):
    async with open_studio(tmp_path, budget=Budget(per_task=2.0)) as studio:
        told = await rehearsed(studio)

        assert told.refusal is not None
        assert "$2.5" in str(told.refusal)
        with pytest.raises(BudgetExceeded):
            await studio.start()


async def test_what_is_left_is_told_and_whether_the_video_fits(tmp_path: Path):
    async with open_studio(tmp_path, budget=Budget(per_day=2 * VIDEO - 0.5, per_owner=9)) as studio:
        fits = await rehearsed(studio)
        assert fits.refusal is None
        assert fits.left is not None
        assert (fits.left.today_usd, fits.left.owner_today_usd) == (4.5, 9)

        await studio.start("another")
        over = await rehearsed(studio)
        assert over.left is not None
        assert (over.left.today_usd, over.left.owner_today_usd) == (2.0, 6.5)
        assert over.refusal is not None
        assert "$2 is left" in str(over.refusal)
        with pytest.raises(BudgetExceeded) as real:
            await studio.start()
        assert str(real.value) == str(over.refusal)


async def test_a_video_without_a_known_price_is_said_to_be_refused_where_there_is_a_limit(tmp_path: Path):
    async with open_systems(tmp_path, KEYFRAME_BUDGET_USD_PER_DAY="5") as systems:
        told = await systems.call("generate_t2v", prompt="p", model="siliconflow/wan2.2-t2v", dry_run=True)

        assert "estimated_usd" not in told["cost"]
        assert told["budget"]["fits"] is False
        assert "KEYFRAME_BUDGET_UNPRICED_USD" in told["budget"]["refusal"]
        assert told["budget"]["left_today_usd"] == 5
        assert told["budget"]["resets_at"].endswith("T00:00:00Z")
        assert "would be refused" in told["next_step"]


async def test_bytes_of_a_picture_are_not_repeated(tmp_path: Path):
    path = picture(tmp_path / "a.png", size=(64, 64))
    uri = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
    async with client_in(tmp_path, caller=VISITOR) as client:
        told = await ask(client, "generate_i2v", image=uri, prompt="pan left", dry_run=True)

        assert uri not in str(told)
        assert "64x64" in str(told["wire"])


async def test_a_dry_run_takes_no_key_and_no_place_among_the_tasks(tmp_path: Path):
    async with client_in(tmp_path) as client:
        for _ in range(2):
            told = await ask(client, "generate_t2v", prompt="x", duration=1, idempotency_key="k", dry_run=True)
            assert told["status"] == "dry_run"
        made = await ask(client, "generate_t2v", prompt="x", duration=1, idempotency_key="k")
        assert "deduplicated" not in made
        assert len((await ask(client, "list_tasks"))["tasks"]) == 1


async def test_nothing_is_counted_for_a_dry_run(tmp_path: Path):
    async with open_server_inside(tmp_path, KEYFRAME_BUDGET_USD_PER_DAY="0") as application:
        for _ in range(3):
            request = Inputs(mode=Mode.T2V, prompt="p")
            assert (await application.engine.rehearse(ME, request)).refusal is None
        store = application.engine.store
        assert isinstance(store, SqliteStore)
        assert await store.counted(0) == 0
        with pytest.raises(InvalidInput):
            await application.engine.rehearse(ME, Inputs(mode=Mode.T2V))


async def test_only_a_provider_that_quotes_is_said_to_name_its_own_price(tmp_path: Path):
    async with open_systems(tmp_path, KEYFRAME_BUDGET_USD_PER_DAY="9", KEYFRAME_BUDGET_UNPRICED_USD="1") as systems:
        paid = await systems.call("generate_t2v", prompt="p", model="wavespeed/wan-2.1-t2v-720p", dry_run=True)
        plain = await systems.call("generate_t2v", prompt="p", model="siliconflow/wan2.2-t2v", dry_run=True)

        quote = "WaveSpeedAI names its own price before the job is sent; the limits are held against that again"
        assert paid["quote"] == quote
        assert "quote" not in plain
        assert (plain["budget"]["counts_usd"], "counts_usd" in paid["budget"]) == (1, False)
        assert systems.wavespeed.requests == []


async def test_a_dry_run_says_first_what_would_refuse_it_and_says_where_there_is_no_limit(tmp_path: Path):
    asked = {"prompt": "p", "model": "siliconflow/wan2.2-t2v", "dry_run": True}
    async with open_systems(tmp_path, KEYFRAME_BUDGET_USD_PER_DAY="5") as systems:
        refusal = await systems.client.call_tool("generate_t2v", asked)
    async with open_systems(tmp_path) as systems:
        free = await systems.client.call_tool("generate_t2v", asked)

    assert said(refusal).startswith("Refused: the price is not known")
    assert "No spending limit is set." in said(free)
    assert "No spending limit is set." in str((free.structured_content or {})["next_step"])
    assert "No spending limit" not in said(refusal)
    for words in (said(refusal), said(free)):
        assert words.count("Nothing was written or sent") == 1
    assert said(refusal).count("the price is not known") == 1
    assert said(free).count("No spending limit") == said(free).count("it was named") == 1


async def test_a_dry_run_says_that_a_real_call_would_be_answered_by_a_task_there_is(tmp_path: Path):
    async with open_studio(tmp_path, budget=Budget(per_day=6)) as studio:
        assert (await rehearsed(studio)).answered_by is None
        task_id = await studio.start("a heron")
        there, other = await rehearsed(studio), await rehearsed(studio, prompt="a crane")

        assert there.answered_by is not None
        assert there.answered_by.id == task_id
        assert other.answered_by is None
        view = DryRunView.of(there, studio.engine.budget)
        assert view.answered_by == task_id
        assert view.next_step.startswith(f"A real call gives task {task_id}, which is queued, and starts nothing. ")
        assert f"Call get_task with task_id {task_id}" in view.next_step
        assert said_of(view) == f"Dry run: nothing would be made, as task {task_id} of the same request is there."
        studio.clock.now += 121
        assert (await rehearsed(studio)).answered_by is None


async def test_a_dry_run_goes_by_the_key_of_the_call(tmp_path: Path):
    request = Inputs.model_validate({"mode": Mode.T2V, "prompt": "a heron"})
    async with open_studio(tmp_path, budget=Budget(per_day=3)) as studio:
        made = await studio.engine.start(ME, request, model="paid/film", idempotency_key="one")
        same = await studio.engine.rehearse(ME, request, model="paid/film", idempotency_key="one")
        new = await studio.engine.rehearse(ME, request, model="paid/film", idempotency_key="two")

        assert (same.answered_by and same.answered_by.id, same.refusal) == (made.task.id, None)
        assert new.answered_by is None
        assert new.refusal is not None  # a second one is more than a day may cost
        other = Inputs.model_validate({"mode": Mode.T2V, "prompt": "a crane"})
        with pytest.raises(InvalidInput, match="was used for another request"):
            await studio.engine.rehearse(ME, other, model="paid/film", idempotency_key="one")


async def test_a_dry_run_with_a_new_key_tells_of_a_twin_that_may_be_billed(tmp_path: Path):
    async with open_studio(tmp_path, ScriptedProvider(on_submit=lambda _: SubmissionUncertain())) as studio:
        task_id = await studio.start("a heron")
        await studio.steps.advance(task_id)
        request = Inputs.model_validate({"mode": Mode.T2V, "prompt": "a heron"})
        new = await studio.engine.rehearse(ME, request, model="paid/film", idempotency_key="two")
        old = await studio.engine.rehearse(ME, request, model="paid/film")

        assert new.doubts == (f"task {task_id} of the same request is unknown and may be billed",)
        assert "Do not generate it again" in DryRunView.of(old, studio.engine.budget).next_step
        assert (await studio.store.get(task_id)).warnings == ()

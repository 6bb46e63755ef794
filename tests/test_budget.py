"""What may be spent: by a task, by everybody in a day, by each owner. Nothing is sent that is not within it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from emulators.faults import Silence
from keyframe_mcp import catalog as catalogs
from keyframe_mcp.adapters.base import Job
from keyframe_mcp.engine import Caller
from keyframe_mcp.engine.budget import NO_BUDGET, Budget, Left, dollars
from keyframe_mcp.engine.choosing import Choosing
from keyframe_mcp.errors import BudgetExceeded, ContentRejected, ProviderBusy, SubmissionUncertain, by_kind
from keyframe_mcp.store import OverCap
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Cost, Inputs, Mode, Status
from studio import ME, Clock, ScriptedProvider, Studio, open_studio
from systems import open_systems

VIDEO = 2.5  # dollars, what five seconds of the studio's provider cost
HER = Caller(owner="her", may_name_files=True)
RACER = """
import asyncio, sys
from pathlib import Path
from keyframe_mcp.store import Caps, OverCap
from keyframe_mcp.store.sqlite import SqliteStore
from ledger import a_task

async def main(path, name, tries):
    store = SqliteStore(Path(path), lambda: 1_000_000.0)
    print("ready", flush=True)
    sys.stdin.readline()
    accepted = 0
    for number in range(int(tries)):
        task = a_task(f"kf_{name}_{number}", counted_usd=0.3, counted_at=1_000_000.0)
        try:
            await store.add(task, same_request_since=0, caps=Caps(all_usd=6.0))
            accepted += 1
        except OverCap:
            pass
    print(accepted, flush=True)
    await store.aclose()

asyncio.run(main(*sys.argv[1:]))
"""


async def counted(studio: Studio, owner: str | None = None) -> float:
    return await studio.store.counted(0, owner)


async def start_as(studio: Studio, caller: Caller, prompt: str) -> str:
    request = Inputs(mode=Mode.T2V, prompt=prompt)
    return (await studio.engine.start(caller, request, model="paid/film")).task.id


def test_eight_processes_that_race_for_the_last_money_spend_exactly_the_limit(tmp_path: Path):
    path = tmp_path / "tasks.db"
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(sys.path)}
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(path), str(number), "5"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )
        for number in range(8)
    ]  # fmt: skip
    try:
        assert [said(racer) for racer in racers] == ["ready"] * 8
        for racer in racers:
            assert racer.stdin
            racer.stdin.write("go\n")
            racer.stdin.flush()
        accepted = [int(racer.communicate(timeout=30)[0]) for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()

    assert sum(accepted) == 20  # of 40, at $0.3 each within $6


def said(process: subprocess.Popen[str]) -> str:
    """The next line of a process, which says one or ends."""
    assert process.stdout
    return process.stdout.readline().strip()


async def test_a_video_that_alone_costs_too_much_is_refused_with_the_price_and_the_limit(tmp_path: Path):
    async with open_studio(tmp_path, budget=Budget(per_task=2.0)) as studio:
        with pytest.raises(BudgetExceeded, match=r"cost \$2.5 .*may cost \$2 \(KEYFRAME_BUDGET_USD_PER_TASK\)"):
            await studio.start()

        assert await studio.engine.recent(ME) == []
        assert await counted(studio) == 0


async def test_a_day_s_money_is_spent_once_and_comes_back_at_midnight_utc(tmp_path: Path):
    async with open_studio(tmp_path, budget=Budget(per_day=5.0)) as studio:
        midnight = 12 * 86_400.0
        studio.clock.now = midnight - 1
        await studio.start("one")
        await studio.start("two")
        with pytest.raises(BudgetExceeded, match=r"\$0 is left; a new day begins at 1970-01-13 00:00 UTC"):
            await studio.start("three")
        left = await studio.engine.budget.left(studio.store, "me", studio.clock.now)
        assert (left.today_usd, left.owner_today_usd) == (0.0, None)

        studio.clock.now = midnight
        await studio.start("three")
        left = await studio.engine.budget.left(studio.store, "me", studio.clock.now)
        assert left.today_usd == 2.5
        assert left.resets_at.timestamp() == midnight + 86_400


async def test_each_owner_has_a_limit_of_its_own_beside_that_of_all(tmp_path: Path):
    async with open_studio(tmp_path, budget=Budget(per_day=7.5, per_owner=5.0)) as studio:
        await start_as(studio, ME, "one")
        await start_as(studio, ME, "two")
        with pytest.raises(BudgetExceeded, match="OWNER_PER_DAY"):
            await start_as(studio, ME, "three")
        await start_as(studio, HER, "three")
        with pytest.raises(BudgetExceeded, match=r"KEYFRAME_BUDGET_USD_PER_DAY\) \$0 is left"):
            await start_as(studio, HER, "four")

        assert (await counted(studio), await counted(studio, "her")) == (7.5, 2.5)


@pytest.mark.parametrize(
    ("answer", "status", "counts"),
    [
        (ContentRejected("no"), Status.FAILED, 0.0),
        (ProviderBusy("later"), Status.QUEUED, VIDEO),
        (SubmissionUncertain("silence"), Status.UNKNOWN, VIDEO),
        ("job-1", Status.RUNNING, VIDEO),
    ],
)
async def test_a_task_counts_unless_it_is_proved_that_it_costs_nothing(
    tmp_path: Path, answer: str | Exception, status: Status, counts: float
):
    async with open_studio(tmp_path, ScriptedProvider(on_submit=lambda _: answer)) as studio:
        task_id = await studio.start()
        assert await counted(studio) == VIDEO
        await studio.steps.advance(task_id)

        assert (await studio.store.get(task_id)).status is status
        assert await counted(studio) == counts


async def test_what_is_cancelled_before_it_is_sent_counts_no_more(tmp_path: Path):
    async with open_studio(tmp_path, budget=Budget(per_day=VIDEO)) as studio:
        task_id = await studio.start("one")
        await studio.engine.cancel(task_id, ME)

        assert await counted(studio) == 0
        await studio.start("two")


async def test_the_same_request_again_costs_nothing_and_is_answered_when_nothing_is_left(tmp_path: Path):
    async with open_studio(tmp_path, budget=Budget(per_day=VIDEO)) as studio:
        assert await studio.start() == await studio.start()
        assert await counted(studio) == VIDEO


async def test_a_provider_s_own_quote_replaces_the_estimate(tmp_path: Path):
    async with open_studio(tmp_path, ScriptedProvider(on_quote=lambda _: 1.0), budget=Budget(per_day=3.5)) as studio:
        first = await studio.start("one")
        await studio.steps.advance(first)
        assert await counted(studio) == 1.0

        await studio.start("two")
        assert (await studio.store.get(first)).cost == Cost(estimated_usd=1.0, basis="quoted by paid for this request")


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget(per_task=3.0), r"cost \$3.1 .*KEYFRAME_BUDGET_USD_PER_TASK"),
        (Budget(per_day=3.0), r"cost \$3.1.*KEYFRAME_BUDGET_USD_PER_DAY"),
        (Budget(per_owner=3.0), r"cost \$3.1.*KEYFRAME_BUDGET_USD_PER_OWNER_PER_DAY"),
    ],
)
async def test_a_quote_above_the_budget_ends_the_task_before_anything_is_sent(
    tmp_path: Path, budget: Budget, words: str
):
    provider = ScriptedProvider(on_quote=lambda _: 3.1)
    async with open_studio(tmp_path, provider, budget=budget) as studio:
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        task = await studio.store.get(task_id)

        assert task.status is Status.FAILED
        assert task.failure is not None
        assert issubclass(by_kind()[task.failure.kind], BudgetExceeded)
        with pytest.raises(BudgetExceeded, match=words):
            raise BudgetExceeded(task.failure.message)
        assert provider.jobs == []
        assert await counted(studio) == 0


async def test_a_quote_is_asked_for_once_and_no_quote_leaves_the_estimate(tmp_path: Path):
    asked: list[Job] = []
    provider = ScriptedProvider(on_quote=asked.append, on_submit=lambda _: ProviderBusy("later"))
    async with open_studio(tmp_path, provider, budget=Budget(per_day=VIDEO)) as studio:
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        await studio.steps.advance(task_id)

        assert len(asked) == 1
        assert await counted(studio) == VIDEO


def test_a_price_nobody_knows_is_refused_where_there_is_a_limit_and_counts_for_what_was_set():
    nobody = Cost(estimated_usd=None, basis="no price is known for this model")

    assert NO_BUDGET.counts(nobody) == 0
    assert Budget(per_day=1, unpriced_usd=0.4).counts(nobody) == 0.4
    for budget in (Budget(per_task=1), Budget(per_day=1), Budget(per_owner=1)):
        with pytest.raises(BudgetExceeded, match=r"the price is not known .*KEYFRAME_BUDGET_UNPRICED_USD"):
            budget.counts(nobody)
    with pytest.raises(BudgetExceeded, match=r"counts for \$2 \(KEYFRAME_BUDGET_UNPRICED_USD\)"):
        Budget(per_task=1, unpriced_usd=2).counts(nobody)


def test_a_budget_of_nothing_allows_what_is_free():
    free, cent = Cost(estimated_usd=0, basis="free"), Cost(estimated_usd=0.01, basis="estimate")

    for budget in (Budget(per_task=0), Budget(per_task=0, per_day=0, per_owner=0)):
        assert budget.counts(free) == 0
    with pytest.raises(BudgetExceeded):
        Budget(per_task=0).counts(cent)


def chosen(budget: Budget, configured: Sequence[str] = ("wavespeed", "baicai", "local"), **words: object):
    catalog = catalogs.load()
    request = Inputs.model_validate({"mode": Mode.FLF2V, "first_image": "a.png", "last_image": "b.png"} | words)
    return Choosing(catalog, configured, None).choose(request, None, strict=True, budget=budget)


def test_a_model_is_not_chosen_that_costs_more_than_a_video_may():
    usual = chosen(NO_BUDGET, prompt="p").listed
    wire = {"prompt": "p", "duration": 5}
    price = usual.cost(wire).estimated_usd
    assert price

    choice = chosen(Budget(per_task=price - 0.001), prompt="p")
    assert choice.listed.id != usual.id
    (warning,) = choice.warnings
    assert usual.id in warning
    assert "KEYFRAME_BUDGET_USD_PER_TASK" in warning


@pytest.mark.parametrize(
    ("usd", "words"),
    [(0, "$0"), (0.00005, "$0.00005"), (1.1 + 2.2, "$3.3"), (1_234_567.5, "$1,234,567.5"), (1e9, "$1,000,000,000")],
)
def test_an_amount_is_written_out(usd: float, words: str):
    assert dollars(usd) == words


def test_only_what_fits_on_another_day_is_to_wait_for_it():
    budget = Budget(per_day=3)

    assert "wait until then" in str(budget.exceeded(OverCap("all", 1.0), 2.5, 0))
    assert "wait" not in str(budget.exceeded(OverCap("all", 3.0), 3.5, 0))
    assert "no day has enough for it" in str(budget.exceeded(OverCap("all", 3.0), 3.5, 0))
    assert "wait" not in BudgetExceeded.fix
    assert budget.exceeded(OverCap("all", 1.0), 2.5, 0).outlook().endswith("may work later.")
    assert budget.exceeded(OverCap("all", 3.0), 3.5, 0).outlook().endswith("no use.")


def test_a_price_nobody_knows_is_not_to_be_mended_by_a_shorter_video():
    nobody = Cost(estimated_usd=None, basis="no price is known for this model")
    left = Left(today_usd=1, owner_today_usd=None, resets_at=datetime.fromtimestamp(0, UTC))
    for refused in (raised(Budget(per_day=1), nobody), Budget(per_day=1).refusal_now(nobody, left, 0)):
        assert refused is not None
        assert "known price" in refused.fix
        assert "KEYFRAME_BUDGET_UNPRICED_USD" in refused.fix
        assert "shorter" not in refused.fix


def raised(budget: Budget, cost: Cost) -> BudgetExceeded:
    with pytest.raises(BudgetExceeded) as caught:
        budget.counts(cost)
    return caught.value


def test_a_limit_for_a_day_is_not_said_to_have_chosen_the_model():
    why = chosen(Budget(per_day=0, unpriced_usd=0), prompt="p").why

    assert why.startswith("of ")
    assert "within" not in why
    assert "at a known price" in chosen(Budget(per_day=0), prompt="p").why


def test_a_drawing_that_is_used_for_want_of_money_says_so():
    choice = chosen(Budget(per_task=0), prompt="p")

    assert choice.listed.id == "local/morph"
    (warning,) = choice.warnings
    assert "within the limit for one video" in warning
    assert "wavespeed/" in warning


def test_when_every_model_is_too_dear_the_best_is_taken_and_refused_with_its_price():
    choice = chosen(Budget(per_task=0), ("wavespeed",), prompt="p")

    assert choice.listed.id.startswith("wavespeed/")
    assert choice.problems == ()


async def test_what_another_process_spent_counts_here(tmp_path: Path):
    async with open_studio(tmp_path, budget=Budget(per_day=VIDEO)) as studio:
        other = SqliteStore(tmp_path / "tasks.db", Clock())
        try:
            task = await studio.store.get(await studio.start("one"))
            await other.move(task.id, of={Status.QUEUED}, to=Status.SUBMITTING)
            with pytest.raises(BudgetExceeded):
                await studio.start("two")
        finally:
            await other.aclose()


async def test_a_provider_is_given_no_more_at_once_than_was_set_and_the_next_says_why_it_waits(tmp_path: Path):
    async with open_systems(tmp_path, KEYFRAME_SILICONFLOW_AT_ONCE="1") as systems:
        systems.siliconflow.next("check", Silence(), times=9)
        model = "siliconflow/wan2.2-t2v"
        first = await systems.call("generate_t2v", prompt="one", model=model)
        second = await systems.call("generate_t2v", prompt="two", model=model)

        assert (first["status"], second["status"]) == ("running", "queued")
        assert "SiliconFlow takes 1 jobs at once" in second["error"]["message"]
        assert "KEYFRAME_SILICONFLOW_AT_ONCE" in second["error"]["message"]
        assert len(systems.siliconflow.jobs) == 1

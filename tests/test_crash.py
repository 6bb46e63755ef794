"""No paid job is lost or paid twice, wherever the process dies or stands still. The long form is `python -m crash`."""

from __future__ import annotations

import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from crash.agents import Order, orders
from crash.run import Plan, perform
from crash.stage import Stage, open_stage
from crash.steps import IN_DOUBT, Step
from crash.strategies import Strategy
from crash.verdict import Verdict
from emulators.faults import Reset

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals there")
LIMIT = 60
KILLED = -signal.SIGKILL


async def killed_at(stage: Stage, order: Order, step: Step) -> None:
    """Have the only server killed at a step in the life of an order."""
    if step in IN_DOUBT:
        stage.books[order.provider].next("submit", Reset(recorded=True))
    await stage.start(0, order, step)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stage.order, order)
        with anyio.fail_after(15):
            assert await stage.fleet.until_gone(0) == KILLED, step
        tasks.cancel_scope.cancel()


async def stopped_at(stage: Stage, order: Order, step: Step) -> None:
    """Have the first server stand still at a step, until a second one has found the task and done what it can."""
    await stage.start(0, order, step, signal.SIGSTOP)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stage.order, order)
        await stage.fleet.until_stopped(0)
        tasks.cancel_scope.cancel()
    await stage.fleet.start(1)
    assert await stage.until_settled(15)


async def ended(stage: Stage) -> Verdict:
    """What became of everything, once nothing moves any more."""
    assert await stage.until_settled(20)
    await stage.fleet.retire_all()
    assert stage.is_settled()
    return await stage.verdict()


async def test_no_step_in_the_life_of_a_paid_job_is_a_bad_one_to_die_at(tmp_path: Path):
    with anyio.fail_after(LIMIT):
        async with open_stage(tmp_path) as stage:
            ordered = list(orders(len(Step), ["crash-replicate"]))
            for order, step in zip(ordered, Step, strict=True):
                await killed_at(stage, order, step)
            await stage.fleet.start(0)
            for order in ordered:
                await stage.agents.order(order)
            verdict = await ended(stage)

    assert verdict.problems == ()
    assert verdict.succeeded + verdict.unknown == len(Step)
    assert verdict.unknown_made == 0  # this provider's list shows what it made
    assert verdict.succeeded > verdict.unknown  # of those that died between the intent and the provider's books


@pytest.mark.parametrize("step", [Step.BEFORE_CONNECT, Step.BOOKED, Step.BEFORE_ID, Step.BEFORE_RENAME])
async def test_a_process_that_stood_still_while_another_took_over_pays_nothing_twice(tmp_path: Path, step: Step):
    order = Order(0, "crash-wavespeed")
    with anyio.fail_after(LIMIT):
        async with open_stage(tmp_path) as stage:
            await stopped_at(stage, order, step)
            assert await stage.fleet.retire(0) == 0
            verdict = await ended(stage)

    assert verdict.problems == ()
    assert (verdict.created, verdict.succeeded) == (1, 1)


async def test_random_kills_and_pauses_of_two_processes_lose_nothing_and_pay_nothing_twice(tmp_path: Path):
    plan = Plan(seed=4, jobs=20, kills=2, stops=1, processes=2, is_fair=True, lease=1.0, limit=LIMIT)
    with anyio.fail_after(2 * LIMIT):
        outcome = await perform(plan, tmp_path)

    assert outcome.verdict.problems == ()
    assert (outcome.deaths, outcome.stops) == (2, 1)
    assert outcome.verdict.succeeded > outcome.verdict.unknown


async def test_the_harness_sees_that_a_job_is_paid_twice_when_what_was_not_answered_is_sent_again(tmp_path: Path):
    with anyio.fail_after(LIMIT):
        async with open_stage(tmp_path, strategy=Strategy.NAIVE) as stage:
            await killed_at(stage, Order(0, "crash-siliconflow"), Step.BOOKED)
            await stage.fleet.start(0)
            verdict = await ended(stage)

    assert len(verdict.duplicates) == 1


async def test_the_harness_sees_what_comparing_the_status_alone_costs_when_a_process_stands_still(tmp_path: Path):
    with anyio.fail_after(LIMIT):
        async with open_stage(tmp_path, strategy=Strategy.STATE_ONLY) as stage:
            await stopped_at(stage, Order(0, "crash-wavespeed"), Step.BEFORE_CONNECT)
            await stage.fleet.retire(0)
            verdict = await ended(stage)

    assert len(verdict.duplicates) == 1


async def test_the_verdict_notices_lost_tasks_false_words_and_spoiled_files(tmp_path: Path):
    with anyio.fail_after(LIMIT):
        async with open_stage(tmp_path) as stage:
            await stage.fleet.start(0)
            for order in orders(6):
                await stage.order(order)
            verdict = await ended(stage)
            assert (verdict.succeeded, verdict.problems) == (6, ())
            falsify(stage)
            verdict = await stage.verdict()

    assert [each.split()[0] for each in verdict.lost] == ["mark-0", "mark-3"]
    assert [each.split()[0] for each in verdict.wrong] == ["mark-1", "mark-2", "mark-3"]
    spoiled = dict.fromkeys(each.split()[0] for each in verdict.corrupt if each.startswith("mark"))
    assert list(spoiled) == ["mark-3", "mark-4", "mark-5"]


def falsify(stage: Stage) -> None:
    """Do to six tasks and their files what no honest server would."""
    files = {key: stage.folder / "out" / f"{task_id}.mp4" for key, task_id in stage.agents.task_ids.items()}
    files["mark-4"].write_bytes(files["mark-4"].read_bytes()[:-1])
    files["mark-5"].unlink()
    with closing(sqlite3.connect(stage.database)) as database:
        database.execute("DELETE FROM tasks WHERE idempotency_key = 'mark-0'")
        change = "UPDATE tasks SET body = json_set(body, ?, ?) WHERE idempotency_key = ?"
        database.execute(change, ("$.status", "running", "mark-1"))
        database.execute(change, ("$.status", "failed", "mark-2"))
        database.execute(change, ("$.remote_id", "another", "mark-3"))
        database.commit()

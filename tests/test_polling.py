"""When a running job is looked at: the schedule on a virtual clock, and what it does with real tasks."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from keyframe_mcp.adapters.base import Report
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.pace import PACE, Pace
from keyframe_mcp.engine.polling import MOST_ASKED, Polling, first_wait, next_wait, trouble_wait
from keyframe_mcp.errors import GenerationFailed, ProviderBusy, ProviderUnavailable
from keyframe_mcp.store.sqlite import DURATIONS_KEPT
from keyframe_mcp.task import Failure, Status, Task
from studio import BRISK, ScriptedProvider, Studio, open_studio

RUNNING = Report(status=Status.RUNNING, native_status="rendering")
MIDDLE = 0.5  # of the chances: no jitter


@dataclass
class Model:
    """A model with what was learned of it, and the schedule followed to the end of each of its jobs."""

    chance: Callable[[], float]
    learned: list[float] = field(default_factory=list[float])

    def followed(self, seconds: float) -> tuple[int, float]:
        """How many looks a job of so many seconds takes, and how late its end is seen."""
        now, looks = first_wait(sorted(self.learned), 0, PACE, self.chance()), 1
        while now < seconds:
            now, looks = now + next_wait(now, PACE, self.chance()), looks + 1
        self.learned = [*self.learned, now][-DURATIONS_KEPT:]
        return looks, now - seconds


def mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


# The schedule


def test_twenty_thousand_jobs_cost_few_looks_and_their_ends_are_seen_soon():
    chance = random.Random(7)  # noqa: S311 - a simulation
    model = Model(chance.random)
    # log-normal around two and a half minutes, 60 to 600 s: mean about 178 s
    jobs = [min(600.0, max(60.0, chance.lognormvariate(5.05, 0.5))) for _ in range(20_000)]
    ends = [model.followed(seconds) for seconds in jobs]
    late = sorted(late for _, late in ends)

    assert 170 < mean(jobs) < 190
    assert mean([looks for looks, _ in ends]) < 35
    assert mean(late) < 4
    assert late[int(0.95 * len(late))] < 11


def test_a_model_that_has_become_quicker_is_looked_at_sooner_again():
    chance = random.Random(7)  # noqa: S311 - a simulation
    model = Model(chance.random)
    for seconds in [*[400.0] * 100, *[40.0] * 400]:
        model.followed(seconds)

    assert mean([model.followed(40.0)[1] for _ in range(40)]) < 8


def test_the_first_look_is_when_the_quickest_jobs_of_the_model_end():
    learned = [60.0, *[150.0] * 8, 300.0]

    assert first_wait(learned, 0, PACE, 0) == 60
    assert first_wait(learned, 0, PACE, 0.99) == pytest.approx(60, rel=0.21)
    assert first_wait(learned, 20, PACE, 0) == 40


def test_nothing_is_concluded_from_two_jobs():
    assert first_wait([90.0, 100.0], 0, PACE, MIDDLE) == PACE.poll


def test_a_first_look_never_waits_for_more_than_two_minutes():
    assert first_wait([3000.0] * 40, 0, PACE, 0) == 120


def test_a_job_that_took_as_long_to_send_as_others_to_make_is_looked_at_soon():
    assert first_wait([60.0] * 40, 100, PACE, MIDDLE) == PACE.soonest


@pytest.mark.parametrize(("taken", "wait"), [(-5, 2), (0, 2), (60, 2), (200, 6), (300, 9), (3600, 10), (90_000, 10)])
def test_later_looks_are_a_share_of_the_time_the_job_has_taken(taken: float, wait: float):
    assert next_wait(taken, PACE, MIDDLE) == pytest.approx(wait)


def test_jobs_that_were_sent_together_are_not_asked_about_together():
    waits = {next_wait(200, PACE, chance / 10) for chance in range(10)}

    assert len(waits) == 10
    assert min(waits) >= 0.85 * 6
    assert max(waits) <= 1.15 * 6


def test_waits_grow_while_there_is_no_answer_and_stay_below_a_minute():
    highest = [trouble_wait(unheard, PACE, 1) for unheard in (0, 10, 30, 70, 20_000)]

    assert highest == [10, 20, 40, 60, 60]
    assert trouble_wait(20_000, PACE, MIDDLE) == 30
    assert trouble_wait(20_000, PACE, 0) == PACE.soonest


def test_a_brisk_pace_makes_all_of_it_brisk():
    assert max(first_wait([3000.0] * 40, 0, BRISK, 0), next_wait(3000, BRISK, 1), trouble_wait(3000, BRISK, 1)) < 0.5


# With tasks


def polling(studio: Studio, chance: float = MIDDLE, pace: Pace = PACE) -> Polling:
    return Polling(studio.steps.catalog, studio.store, studio.clock, pace, lambda: chance)


async def running(studio: Studio) -> Task:
    """A task whose provider has just taken the job."""
    task_id = await studio.start(prompt=f"a heron at {studio.clock.now}")
    await studio.steps.advance(task_id)
    return await studio.store.get(task_id)


def steady(studio: Studio) -> Studio:
    """A studio without jitter."""
    return replace(studio, steps=replace(studio.steps, chance=lambda: MIDDLE))


@pytest.mark.parametrize(
    "end", [Report(status=Status.FAILED, failure=Failure.of(GenerationFailed())), Report(status=Status.SUCCEEDED)]
)
async def test_how_long_jobs_took_is_learned_from_their_ends(tmp_path: Path, end: Report):
    async with open_studio(tmp_path) as studio:
        for seconds in (90, 60, 75):
            task = await running(studio)
            studio.clock.now += seconds
            studio.provider.on_check = lambda _: replace(end, outputs=("https://provider.test/a.mp4",))
            await studio.steps.advance(task.id)

        assert await studio.store.learned("paid/film") == [60, 75, 90]
        assert await polling(studio, 0).first(await running(studio), studio.provider) == 60


async def test_a_cancelled_job_says_nothing_of_how_long_others_take(tmp_path: Path):
    async with open_studio(tmp_path, ScriptedProvider(on_check=lambda _: Report(status=Status.CANCELLED))) as studio:
        task = await running(studio)
        await studio.steps.advance(task.id)

        assert (await studio.store.get(task.id)).status is Status.CANCELLED
        assert await studio.store.learned("paid/film") == []


async def test_what_draws_on_this_machine_keeps_its_own_pace(tmp_path: Path):
    async with open_studio(tmp_path, ScriptedProvider(idempotent=True)) as studio:
        task = await running(studio)

        assert await polling(studio).first(task, studio.provider) == studio.provider.poll_seconds
        studio.clock.now += 300
        assert await studio.steps.advance(task.id) == studio.provider.poll_seconds
        studio.provider.on_check = lambda _: Report(status=Status.FAILED)
        await studio.steps.advance(task.id)
        assert await studio.store.learned("paid/film") == []


async def test_a_task_is_left_alone_for_a_share_of_the_time_its_job_has_taken(tmp_path: Path):
    async with open_studio(tmp_path) as fresh:
        studio = steady(fresh)
        task = await running(studio)
        studio.clock.now += 200
        assert await studio.steps.advance(task.id) == pytest.approx(6)
        studio.clock.now += 800
        assert await studio.steps.advance(task.id) == pytest.approx(10)


async def test_a_provider_that_asks_for_patience_gets_it_but_not_less_than_we_have_anyway(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task, schedule = await running(studio), polling(studio, 1)
        now = studio.clock.now

        assert schedule.after_trouble(task, ProviderBusy(retry_after=33), now) == 33
        assert schedule.after_trouble(task, ProviderBusy(retry_after=33), now - 500) == 60
        assert schedule.after_trouble(task, ProviderBusy(retry_after=5000), now) == MOST_ASKED
        assert schedule.after_trouble(task, ProviderBusy(), now) == 10


async def test_a_result_that_is_soon_deleted_is_looked_for_in_time(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        for _ in range(3):
            await studio.store.learn("paid/film", 500)
        task, schedule = await running(studio), polling(studio, 0)
        assert await schedule.first(task, studio.provider) == 120

        keeps_briefly = studio.steps.catalog.providers["paid"].model_copy(update={"results_seconds": 60})
        hasty = replace(schedule, catalog=Catalog({"paid": keeps_briefly}))
        assert await hasty.first(task, studio.provider) == 15
        assert replace(hasty, chance=lambda: 1.0).after_trouble(task, ProviderUnavailable(), 0) == 15


@pytest.mark.parametrize("answer", [RUNNING, ProviderUnavailable("no route")])
async def test_a_look_that_shows_nothing_new_writes_nothing(tmp_path: Path, answer: Report | Exception):
    async with open_studio(tmp_path) as studio:
        task = await running(studio)
        studio.provider.on_check = lambda _: answer
        await studio.steps.advance(task.id)
        before = await studio.store.get(task.id)
        for _ in range(3):
            studio.clock.now += 10
            await studio.steps.advance(task.id)

        assert len(studio.provider.checks) == 4
        assert await studio.store.get(task.id) == before

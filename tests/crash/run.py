"""One long run: many orders, random kills and stops, bad weather, then the verdict. A seed names a run."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from crash.agents import orders
from crash.calls import Person
from crash.stage import Stage, open_stage
from crash.steps import AT_THE_PROVIDER, Step, Trap
from crash.strategies import Strategy
from crash.verdict import Verdict
from crash.weather import FAULTS, Weather

AGENTS = 24
CALLS_PER_JOB = 5  # a guess, to spread the blows over the whole run
LOOK = 0.01
JOBS_PER_RESUBMISSION = 8
STEPS = sorted(set(Step) - AT_THE_PROVIDER)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is made of. `lease` and `limit` are in seconds."""

    seed: int
    jobs: int
    kills: int = 0
    traps: int = 0
    """How many of the kills are followed by a process that dies by itself, at a step drawn by lot."""
    stops: int = 0
    processes: int = 1
    strategy: Strategy = Strategy.SOUND
    calls: bool = False
    """Whether providers call, and a person has tasks of unknown fate sent again meanwhile."""
    is_fair: bool = False
    """Whether nothing goes wrong but what is done to the processes."""
    lease: float = 1.5
    limit: float = 180.0

    @property
    def scenario(self) -> str:
        """What happens, in a few words."""
        blows = [name for name, count in (("kills", self.kills), ("pauses", self.stops)) if count]
        calls = ["calls"] if self.calls else []
        return ", ".join([*blows, *calls] if self.is_fair else [*blows, *calls, "faults"]) or "nothing"


@dataclass
class Saboteur:
    """Strikes at random processes, at moments counted in the requests that the providers have seen."""

    stage: Stage
    plan: Plan
    dice: random.Random
    deaths: int = 0
    stops: int = 0
    trap: Step | None = None
    """Where the next process that is started shall die."""

    async def work(self) -> None:
        """Every blow of the plan, one after the other."""
        traps = min(self.plan.traps, self.plan.kills)
        blows = ["trap"] * traps + ["kill"] * (self.plan.kills - traps) + ["stop"] * self.plan.stops
        self.dice.shuffle(blows)
        span = self.plan.jobs * CALLS_PER_JOB
        for blow, moment in zip(blows, sorted(self.dice.uniform(0.02, 0.85) for _ in blows), strict=True):
            while self.stage.weather.asked < moment * span:
                await anyio.sleep(LOOK)
            await anyio.sleep(self.dice.uniform(0, 0.05))
            place = self.dice.randrange(self.plan.processes)
            await self.stage.fleet.until_up(place)
            await self._strike(place, blow)

    async def _strike(self, place: int, blow: str) -> None:
        if blow == "stop":
            await self._pause(place)
            return
        if blow == "trap":
            self.trap = self.dice.choice(STEPS)
        await self.stage.fleet.kill(place)

    async def _pause(self, place: int) -> None:
        """Let a process stand still for longer than its leases last."""
        self.stage.fleet.signal(place, signal.SIGSTOP)
        self.stops += 1
        await anyio.sleep(self.plan.lease * self.dice.uniform(1.2, 2.0))
        self.stage.fleet.signal(place, signal.SIGCONT)

    async def keep_up(self, place: int) -> None:
        """Start a process, and another one whenever it has died."""
        while True:
            trap, self.trap = Trap(self.trap), None
            await self.stage.fleet.start(place, trap)
            code = await self.stage.fleet.until_gone(place)
            self.deaths += code == -signal.SIGKILL


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run came to."""

    plan: Plan
    verdict: Verdict
    deaths: int
    stops: int
    lost_calls: int
    seconds: float
    faults: Mapping[str, int] = field(default_factory=dict[str, int])
    calls: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def is_as_expected(self) -> bool:
        """Whether our own way did no harm, or a way known to be wrong did what it is known for."""
        return not self.verdict.problems if self.plan.strategy is Strategy.SOUND else bool(self.verdict.duplicates)

    def figures(self) -> dict[str, str | int | float]:
        """Everything as one flat table."""
        plan, verdict = self.plan, self.verdict
        return {
            "scenario": plan.scenario,
            "strategy": str(plan.strategy),
            "seed": plan.seed,
            "processes": plan.processes,
            "jobs": plan.jobs,
            "kills": self.deaths,
            "stops": self.stops,
            "lost_calls": self.lost_calls,
            "faults": sum(self.faults.values()),
            **{f"fault_{name}": self.faults.get(name, 0) for name in fault_names()},
            **{f"call_{name.replace(' ', '_')}": count for name, count in sorted(self.calls.items())},
            "created": verdict.created,
            "succeeded": verdict.succeeded,
            "failed": verdict.failed,
            "unknown": verdict.unknown,
            "unknown_made": verdict.unknown_made,
            "lost": len(verdict.lost),
            "duplicates": len(verdict.duplicates),
            "wrong_verdicts": len(verdict.wrong),
            "corrupt_files": len(verdict.corrupt),
            "seconds": round(self.seconds, 1),
        }


def fault_names() -> list[str]:
    """Every kind of fault, also those that were not met."""
    return [*(f"{kind}_{name}" for kind, (_, makers) in FAULTS.items() for name in makers), "job_failed"]


async def perform(plan: Plan, folder: Path) -> Outcome:
    """One run in an empty folder."""
    began = time.monotonic()
    dice = None if plan.is_fair else random.Random(plan.seed)  # noqa: S311 - to be repeatable, not to keep a secret
    weather = Weather(dice)
    async with open_stage(folder, weather=weather, strategy=plan.strategy, lease=plan.lease, calls=plan.calls) as stage:
        whim = random.Random(plan.seed + 1)  # noqa: S311 - as above
        person = Person(stage.database, time.time, whim, plan.jobs // JOBS_PER_RESUBMISSION)
        saboteur = Saboteur(stage, plan, random.Random(-plan.seed))  # noqa: S311 - as above
        async with anyio.create_task_group() as tasks:
            for place in range(plan.processes):
                tasks.start_soon(saboteur.keep_up, place)
            with anyio.move_on_after(plan.limit):
                async with anyio.create_task_group() as work:
                    if plan.calls:
                        tasks.start_soon(person.work)
                    work.start_soon(saboteur.work)
                    work.start_soon(stage.order_all, list(orders(plan.jobs)), AGENTS)
                await stage.until_settled(plan.limit)
                # A late look: what stood still goes on now, and must not change what is settled for the worse.
                await anyio.sleep(plan.lease)
                await stage.until_settled(plan.limit)
            tasks.cancel_scope.cancel()
        await stage.fleet.retire_all()
        return Outcome(
            plan=plan,
            verdict=await stage.verdict(person.again),
            deaths=saboteur.deaths,
            stops=saboteur.stops,
            lost_calls=stage.agents.repeated,
            seconds=time.monotonic() - began,
            faults=weather.injected,
            calls={**stage.gate.seen, "sent_again": person.again.total()} if stage.gate else {},
        )

"""Tools called with made-up arguments, through a real client, beside emulated providers whose books are open."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, given, seed, settings

from emulators import results
from emulators.jobs import AT_ONCE
from keyframe_mcp.engine import Caller
from keyframe_mcp.task import Inputs, Mode
from soak.rules import CANARY, Rules, require
from soak.values import Call, Known, Schema, calls
from studio import picture
from systems import Systems, open_systems

LONGEST_CALL = 30.0
"""Seconds. The longest wait a caller can ask for is made impossible; what is left is the server's own."""
SLOW_AND_LARGE = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)
"""What Hypothesis would object to, and what is meant here."""
PROVIDERS = ("wavespeed", "siliconflow", "baicai", "replicate", "gateway")
STRANGER = Caller(owner="a stranger", may_name_files=False)


@dataclass
class Fuzzing:
    """A server under fire. `seconds` has how long every call took, `ends` how many went well."""

    systems: Systems
    rules: Rules
    tools: dict[str, Schema]
    known: Known
    seconds: list[float] = field(default_factory=list[float])
    ends: Counter[str] = field(default_factory=Counter[str])

    async def fire(self, call: Call) -> None:
        """One call, and every rule."""
        begun = time.monotonic()
        with anyio.fail_after(LONGEST_CALL):
            result = await self.systems.client.call_tool(call.tool, within_reason(call))
        self.seconds.append(time.monotonic() - begun)
        self.ends["refused" if result.is_error else "honoured"] += 1
        self.rules.check(call, result)

    async def check_books(self) -> None:
        """No job was sent twice: every provider was asked for as many as there are tasks that were sent to it."""
        systems = self.systems
        tasks = await systems.application.engine.recent(Caller(owner="me", may_name_files=True), (), 1_000_000)
        for name in PROVIDERS:
            sent = sum(task.attempt for task in tasks if task.provider == name)
            asked = len(getattr(systems, name).asked("submit"))
            twice = [task.id for task in tasks if task.provider == name and task.attempt > 1]
            require(asked <= sent and not twice, Call(name, {}), f"{asked} submissions of {sent} attempts", str(twice))

    def figures(self) -> dict[str, float]:
        """What it came to."""
        ordered = sorted(self.seconds) or [0.0]
        return {
            "fuzz_calls": len(self.seconds),
            "fuzz_honoured": self.ends["honoured"],
            "fuzz_refused": self.ends["refused"],
            "fuzz_submissions": sum(len(getattr(self.systems, name).jobs) for name in PROVIDERS),
            "fuzz_p50_ms": round(1000 * ordered[len(ordered) // 2], 1),
            "fuzz_p99_ms": round(1000 * ordered[int(len(ordered) * 0.99)], 1),
            "fuzz_max_ms": round(1000 * ordered[-1], 1),
        }


def within_reason(call: Call) -> dict[str, object]:
    """The arguments, with a wait that would be honoured cut: what happens after it is the same."""
    wait = call.arguments.get("wait_seconds")
    is_long = isinstance(wait, int | float) and 0.05 < wait <= 45
    return {**call.arguments, "wait_seconds": 0.05} if is_long else call.arguments


@asynccontextmanager
async def under_fire(folder: Path) -> AsyncGenerator[Fuzzing]:
    """A server with files, tasks, and somebody else's task in it."""
    inside, outside = folder / "inside", folder / "outside"
    inside.mkdir()
    outside.mkdir()
    furnish(inside, outside)
    unhurried = {f"KEYFRAME_{name.upper()}_SUBMITS_PER_MINUTE": "1000000" for name in PROVIDERS}
    async with open_systems(inside, **unhurried) as systems:
        for name in PROVIDERS:
            getattr(systems, name).pace = AT_ONCE
        made = await systems.made("generate_t2v", prompt="a lighthouse", model="local/storyboard", duration=1)
        theirs = await systems.application.engine.start(
            STRANGER, Inputs(mode=Mode.T2V, prompt="not yours"), model="local/storyboard"
        )
        tools = {tool.name: tool for tool in (await systems.client.list_tools()).tools}
        known = known_of(systems, made["task_id"], theirs.task.id)
        rules = Rules((folder,), {name: tool.output_schema for name, tool in tools.items()}, (theirs.task.id,))
        yield Fuzzing(systems, rules, {name: tool.input_schema for name, tool in tools.items()}, known)


def furnish(inside: Path, outside: Path) -> None:
    """Files that may be read, and one that may not, with a link to it."""
    picture(inside / "a.png")
    picture(inside / "b.jpg", 60, shift=8)
    (inside / "clip.mp4").write_bytes(results.mp4())
    (inside / "no-picture.txt").write_text("words")
    (inside / "empty.png").touch()
    (outside / "secret.txt").write_text(CANARY)
    (inside / "link.png").symlink_to(outside / "secret.txt")


def known_of(systems: Systems, made: str, theirs: str) -> Known:
    """What an agent could have seen, and the id of a task that it could not."""
    catalog = systems.application.engine.catalog
    listed = catalog.models(None)
    return Known(
        models=[*(each.id for each in listed), "wan", "wavespeed/nothing", "local/morph"],
        tasks=[made, f"task:{made}", theirs],
        pictures=["a.png", "b.jpg", f"task:{made}", f"task:{made}#first", f"task:{made}@0.5", f"task:{theirs}"],
        videos=[made, f"task:{made}", "clip.mp4", theirs, "a.png"],
        options=[*sorted({name for each in listed for name in each.model.inputs})[:40], "nothing"],
    )


def fuzz(folder: Path, count: int, seed_number: int) -> dict[str, float]:
    """Make so many calls. Raises `Broken`, after looking for the smallest call that shows it."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(under_fire(folder)) as fuzzing:

        @seed(seed_number)
        @settings(max_examples=count, deadline=None, database=None, suppress_health_check=SLOW_AND_LARGE)
        @given(calls(fuzzing.tools, fuzzing.known))
        def fire(call: Call) -> None:
            portal.call(fuzzing.fire, call)

        try:
            fire()
        except BaseException as error:
            error.add_note(f"again: python -m soak --fuzz {count} --seed {seed_number}")
            raise
        portal.call(fuzzing.check_books)
        return fuzzing.figures()

"""What the Inspector's command line asks of a server beside calls: lists, reads, prompts, cards, many at once."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from clients.story import StoryBroken

TOOL_FAILED = 5  # its exit code for a result with isError
LOAD_REQUESTS, LOAD_AT_ONCE = 200, 20

Ask = Callable[..., Awaitable["Ended"]]


@dataclass(frozen=True)
class Ended:
    """How a command ended: its code, and what it said."""

    code: int
    out: str
    complaints: Sequence[str]

    @property
    def result(self) -> dict[str, Any]:
        """The result, where the command printed one."""
        return json.loads(self.out)["result"]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What was printed line by line."""
        return [json.loads(line) for line in self.out.splitlines() if line.strip()]


async def look_around(ask: Ask) -> Ended:
    """Ask for everything once. The tool list, which its lint found nothing in. Raises `StoryBroken`."""
    listed = await ask("--method", "tools/list", "--strict")
    require(not listed.complaints, "--strict complains", listed.complaints)
    await look_at_resources(ask)
    await look_at_prompts(ask)
    await look_at_cards(ask)
    await fail(ask)
    await hurry(ask)
    return listed


async def look_at_resources(ask: Ask) -> None:
    """The lists, a template, and one that is read."""
    listed = (await ask("--method", "resources/list")).result["resources"]
    require({"keyframe://tasks", "keyframe://models"} <= {each["uri"] for each in listed}, "resources/list", listed)
    templates = (await ask("--method", "resources/templates/list")).result["resourceTemplates"]
    require("keyframe://tasks/{id}" in {each["uriTemplate"] for each in templates}, "templates", templates)
    read = (await ask("--method", "resources/read", "--uri", "keyframe://models/local/morph")).result["contents"]
    require(json.loads(read[0]["text"])["model"] == "local/morph", "resources/read", read)


async def look_at_prompts(ask: Ask) -> None:
    """The list, and one that is filled in."""
    listed = (await ask("--method", "prompts/list")).result["prompts"]
    require("storyboard" in {each["name"] for each in listed}, "prompts/list", listed)
    filled = ("--prompt-name", "storyboard", "--prompt-args", "script=A fox runs home.", "shots=2")
    messages = (await ask("--method", "prompts/get", *filled)).result["messages"]
    require("A fox runs home." in messages[0]["content"]["text"], "prompts/get", messages)


async def look_at_cards(ask: Ask) -> None:
    """A tool's card is announced to whoever says it shows cards, and to nobody else."""
    plain = (await ask("--method", "tools/list", "--app-info")).lines
    require(bool(plain) and not any(each["hasApp"] for each in plain), "--app-info without cards", plain)
    shown = (await ask("--method", "tools/list", "--app-info", "--advertise-apps")).lines
    with_card = {each["toolName"] for each in shown if each["hasApp"]}
    require({"generate_flf2v", "get_task"} <= with_card, "--app-info", shown)


async def fail(ask: Ask) -> None:
    """A tool that refuses is an exit code of its own, and says why."""
    refused = await ask(
        "--method", "tools/call", "--tool-name", "get_task", "--tool-arg", "task_id=kf_x", ends=TOOL_FAILED
    )
    require("there is no task" in refused.out, "a refused call", refused.out)


async def hurry(ask: Ask) -> None:
    """Many calls at once, every one of them answered."""
    many = ("--load", "--load-requests", str(LOAD_REQUESTS), "--load-concurrency", str(LOAD_AT_ONCE))
    found = (await ask("--method", "tools/call", "--tool-name", "list_tasks", *many)).result
    require((found["ok"], found["errors"]) == (LOAD_REQUESTS, 0), "many calls at once", found)


def require(held: bool, what: str, seen: object) -> None:
    if not held:
        raise StoryBroken(f"{what}: {str(seen)[:500]}")

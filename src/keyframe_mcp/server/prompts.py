"""Ready-made ways of working: what a person picks from a menu and an agent then does with this server's tools.

What is known about models and tasks is put in when a prompt is asked for. Without what the person gives, each stays
under two kilobytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.context import ServerRequestContext
from mcp.types import (
    INVALID_PARAMS,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
)

from keyframe_mcp.catalog import Listed, prices
from keyframe_mcp.catalog.requests import Checked, check
from keyframe_mcp.errors import InvalidInput, KeyframeError, Problem
from keyframe_mcp.server.beneath import lowlevel
from keyframe_mcp.server.prompt_arguments import Given, read, seconds, whole
from keyframe_mcp.server.prompt_texts import EXTEND_CLIP, FIRST_LAST_FRAME, KEEP, REGENERATE, STORYBOARD
from keyframe_mcp.server.resources import Resources
from keyframe_mcp.server.strict import explained, sayable
from keyframe_mcp.task import Inputs, Mode, Status, Task

SETTINGS = ("duration", "aspect_ratio")
MOST_NAMED = 3  # models in a prompt; list_models knows the others
MOST_SHOTS = 20
MOST_TIMES = 10
MOST_REPEATED = 200  # characters of an address
MOST_QUOTED = 400  # characters of an earlier prompt


def argument(name: str, description: str, *, required: bool = False) -> PromptArgument:
    """One argument of a prompt."""
    return PromptArgument(name=name, description=description, required=required)


@cache
def declared() -> tuple[Prompt, ...]:
    """The prompts as they are listed. Built when asked for, as the SDK builds its models on first use."""
    return (
        Prompt(
            name="storyboard",
            title="Script to film",
            description="Turn a script into shots that share their frames, price them, make them and join them.",
            arguments=[
                argument("script", "The story, or a list of scenes", required=True),
                argument("shots", f"How many shots, up to {MOST_SHOTS}"),
                argument("aspect_ratio", "e.g. 16:9 or 9:16"),
                argument("duration", "Seconds of a shot"),
                argument("model", "provider/model"),
            ],
        ),
        Prompt(
            name="first_last_frame",
            title="From one picture to another",
            description="Write the motion prompt, choose the model, make one video and judge it.",
            arguments=[
                argument("first_image", "Path, https URL or task:<id>", required=True),
                argument("last_image", "As first_image", required=True),
                argument("what_happens", "What happens in between"),
            ],
        ),
        Prompt(
            name="extend_clip",
            title="Continue a clip",
            description="Go on from the last frame of a finished task, once or several times, and join the parts.",
            arguments=[
                argument("task_id", "A finished task", required=True),
                argument("what_happens", "What happens next", required=True),
                argument("times", f"How many parts to add, up to {MOST_TIMES}"),
            ],
        ),
    )


@dataclass(frozen=True)
class Prompts:
    """The prompts for one caller, with what is known about models and tasks put in."""

    resources: Resources

    async def storyboard(self, given: Given) -> str:
        """A script as a chain of shots."""
        shots = whole(given, "shots", MOST_SHOTS)
        request = shot(given)
        model = self._named(given, request)
        settings = [f', model="{model}"'] if model else []
        settings += [f', aspect_ratio="{given["aspect_ratio"]}"'] if "aspect_ratio" in given else []
        settings += [f", duration={request.duration:g}"] if request.duration is not None else []
        return STORYBOARD.format(
            script=given["script"],
            shots=f"{shots} shots" if shots else "as few shots as the script needs, up to 8",
            models=f"Use the model {model}." if model else self._models(request),
            settings="".join(settings),
            keep=KEEP,
            again=REGENERATE,
        )

    async def first_last_frame(self, given: Given) -> str:
        """Two pictures as one video."""
        return FIRST_LAST_FRAME.format(
            first_image=given["first_image"],
            last_image=given["last_image"],
            first=brief(given["first_image"]),
            last=brief(given["last_image"]),
            what_happens=given.get("what_happens", "(not said: propose it from the pictures)"),
            models=self._models(Inputs(mode=Mode.FLF2V)),
            keep=KEEP,
            again=REGENERATE,
        )

    async def extend_clip(self, given: Given) -> str:
        """A clip that goes on."""
        times = whole(given, "times", MOST_TIMES) or 1
        task = await self._clip(given["task_id"])
        more = (
            f"Repeat steps 4 to 6 until there are {times} new parts, each from the one before, with keys ending in -2, "
            "-3, ...; stop and ask when one goes wrong."
        )
        return EXTEND_CLIP.format(
            task_id=task.id,
            mode=task.mode,
            model=task.model,
            status=task.status,
            length=length_of(task),
            prompt=asked(task),
            what_happens=given["what_happens"],
            first_step=first_step(task),
            models=self._continuing(task),
            price=f"Tell me the price of all {times} parts and wait for my yes." if times > 1 else "Tell me the price.",
            keep=KEEP,
            rounds=more if times > 1 else "If I want more, continue from the new task in the same way.",
        )

    async def _clip(self, task_id: str) -> Task:
        """A task that has a video, or will. Raises `UnknownTask` and `InvalidInput`."""
        resources = self.resources
        task = await resources.application.engine.get(task_id, resources.caller)
        if task.status is Status.UNKNOWN:
            wrong = f"nobody knows whether {task.id} was made; to continue it, settle it first, in a terminal"
            raise InvalidInput(problems=[Problem("task_id", f"{wrong}: keyframe-mcp task {task.id} says how")])
        if task.status in (Status.FAILED, Status.CANCELLED):
            wrong = f"{task.id} is {task.status} and has no last frame; name one that list_tasks shows as succeeded"
            raise InvalidInput(problems=[Problem("task_id", wrong)])
        return task

    def _named(self, given: Given, request: Inputs) -> str | None:
        """The model that was asked for. Raises `UnknownModel`, and `InvalidInput` for one that cannot do it."""
        if "model" not in given:
            return None
        listed = self.resources.application.engine.catalog.find(given["model"])
        if request.mode not in listed.model.modes:
            fitting = ", ".join(each.id for each in self._fitting(request)) or "none with a key here"
            wrong = f"{listed.id} does not make {request.mode}; these do: {fitting}"
            raise InvalidInput(problems=[Problem("model", wrong)])
        if problems := amiss(check(listed.id, listed.model, request)):
            raise InvalidInput(problems=problems)
        return listed.id

    def _fitting(self, request: Inputs) -> Sequence[Listed]:
        """The first of the models that can do this here, in the order in which one is chosen."""
        ranked = self.resources.application.engine.intake.choosing.ranked(request)
        return [each.listed for each in ranked if not amiss(each.checked)][:MOST_NAMED]

    def _models(self, request: Inputs) -> str:
        """What there is to choose from."""
        mode, fitting = request.mode, self._fitting(request)
        named = "; ".join(f"{each.id} ({prices.in_short(each.model.prices)})" for each in fitting)
        here = f"Models for this here: {named}. " if named else "No model here makes this yet: tell me. "
        drawn = "local/... only draws a preview and is not AI video: tell me so. "
        preview = drawn if any(not each.model.generative for each in fitting) else ""
        return f'{here}{preview}list_models(mode="{mode}") has lengths, sizes and prices; left out, the best is chosen.'

    def _continuing(self, task: Task) -> str:
        """With what to go on: the clip's own model where it can, so that it looks the same."""
        own = next((each for each in self.resources.models() if each.id == task.model), None)
        if own is not None and Mode.I2V in own.model.modes and self.resources.is_configured(own):
            return f"Stay with {task.model}, so that it looks the same."
        return f"{task.model} makes no video from one image here. {self._models(Inputs(mode=Mode.I2V))}"


def add_prompts(server: MCPServer, prompts: Prompts) -> None:
    """Serve them, beside what the server has already."""
    write: Mapping[str, Callable[[Given], Awaitable[str]]] = {
        "storyboard": prompts.storyboard,
        "first_last_frame": prompts.first_last_frame,
        "extend_clip": prompts.extend_clip,
    }

    async def listing(_: ServerRequestContext[Any], __: PaginatedRequestParams) -> ListPromptsResult:
        return ListPromptsResult(prompts=[*declared(), *await server.list_prompts()])

    async def get(_: ServerRequestContext[Any], asked: GetPromptRequestParams) -> GetPromptResult:
        prompt = prompt_named(asked.name)
        try:
            text = await write[prompt.name](read(prompt, asked.arguments or {}))
        except KeyframeError as error:
            raise MCPError(INVALID_PARAMS, sayable(f"{asked.name}: {explained(error)}")) from None
        message = PromptMessage(role="user", content=TextContent(type="text", text=text))
        return GetPromptResult(description=prompt.description, messages=[message])

    lowlevel(server).add_request_handler("prompts/list", PaginatedRequestParams, listing)
    lowlevel(server).add_request_handler("prompts/get", GetPromptRequestParams, get)


def add_no_prompts(server: MCPServer) -> None:
    """Answer whoever asks for a prompt all the same; the SDK lists none, and breaks off where one is asked for."""

    async def get(_: ServerRequestContext[Any], asked: GetPromptRequestParams) -> GetPromptResult:
        raise MCPError(INVALID_PARAMS, sayable(f"There is no prompt {asked.name[:80]!r}: this server has no prompts."))

    lowlevel(server).add_request_handler("prompts/get", GetPromptRequestParams, get)


def shot(given: Given) -> Inputs:
    """What is known about every shot of a storyboard. Raises `InvalidInput`."""
    duration = seconds(given) if "duration" in given else None
    return Inputs(mode=Mode.FLF2V, duration=duration, aspect_ratio=given.get("aspect_ratio"))


def amiss(checked: Checked) -> list[Problem]:
    """What a model would refuse of the settings of a shot. The pictures and the words are still to come."""
    return [problem for problem in checked.problems if problem.argument in SETTINGS]


def prompt_named(name: str) -> Prompt:
    """A prompt. Raises `MCPError`."""
    found = next((each for each in declared() if each.name == name), None)
    if found is None:
        there = ", ".join(each.name for each in declared())
        raise MCPError(INVALID_PARAMS, sayable(f"There is no prompt {name[:80]!r}; there are {there}."))
    return found


def brief(image: str) -> str:
    """A picture in an example call. Bytes of one are not said twice."""
    return image if len(image) <= MOST_REPEATED else "..."


def asked(task: Task) -> str:
    """The words a task was asked for with."""
    pair = [task.request.get("prompt_start"), task.request.get("prompt_end")]
    words = task.request.get("prompt") or " -> ".join(str(each) for each in pair if each)
    text = sayable(str(words)) if words else "(no prompt)"
    return text if len(text) <= MOST_QUOTED else text[: MOST_QUOTED - 3] + "..."


def length_of(task: Task) -> str:
    """How long and large the clip is, as far as that is known."""
    output = task.outputs[0] if task.outputs else None
    if output is None or output.duration is None:
        return ""
    return f", {output.duration:g} s at {output.width}x{output.height}"


def first_step(task: Task) -> str:
    """What comes before anything is made."""
    if task.status is Status.SUCCEEDED:
        return f'view_video(source="task:{task.id}"): how does it end, what moves, which way does the camera go?'
    return f'Wait: get_task(task_id="{task.id}", wait_seconds=30) until it has succeeded; then view_video it.'

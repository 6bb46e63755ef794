"""Finishing what somebody types: task ids, providers and models, in resource addresses and in prompts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.context import ServerRequestContext
from mcp.types import (
    INVALID_PARAMS,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    PromptReference,
    ResourceTemplateReference,
)

from keyframe_mcp.catalog import Listed
from keyframe_mcp.server.beneath import lowlevel
from keyframe_mcp.server.prompts import MOST_SHOTS, MOST_TIMES, declared
from keyframe_mcp.server.resources import MODEL_TEMPLATE, TASK_TEMPLATE, Resources
from keyframe_mcp.server.strict import sayable
from keyframe_mcp.task import Mode, Status

MOST_VALUES = 100  # the protocol's limit
MOST_TASKS = 100  # more are found with list_tasks
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9")
DURATIONS = ("5", "6", "8", "10")
PICTURES = ("first_image", "last_image")


@dataclass(frozen=True)
class Completions:
    """What one caller may mean. `chosen` are arguments that are settled already."""

    resources: Resources
    has_prompts: bool = True

    async def values(self, reference: str, name: str, chosen: Mapping[str, str]) -> Iterable[str]:
        """Everything an argument could be, the likeliest first. Raises `MCPError` for a reference that is not ours."""
        self._require_known(reference)
        if reference == TASK_TEMPLATE:
            return await self._task_ids()
        if reference == MODEL_TEMPLATE:
            return self._of_models(name, chosen.get("provider"))
        if reference == "storyboard":
            return self._storyboard(name)
        if name == "times":
            return map(str, range(1, MOST_TIMES + 1))
        if name == "task_id":
            return await self._task_ids(Status.SUCCEEDED)
        return [f"task:{each}" for each in await self._task_ids(Status.SUCCEEDED)] if name in PICTURES else ()

    def _of_models(self, name: str, provider: str | None) -> Iterable[str]:
        if name == "provider":
            return dict.fromkeys(each.provider_id for each in self._models())
        return [short(each) for each in self._models() if is_of(each, provider)]

    def _storyboard(self, name: str) -> Iterable[str]:
        match name:
            case "model":
                return [each.id for each in self._models() if Mode.FLF2V in each.model.modes]
            case "aspect_ratio":
                return RATIOS
            case "duration":
                return DURATIONS
            case "shots":
                return map(str, range(1, MOST_SHOTS + 1))
            case _:
                return ()

    async def _task_ids(self, *statuses: Status) -> Iterable[str]:
        resources = self.resources
        tasks = await resources.application.engine.recent(resources.caller, statuses, MOST_TASKS)
        return [task.id for task in tasks]

    def _require_known(self, reference: str) -> None:
        """Raise `MCPError` for a template or prompt there is not."""
        prompts = declared() if self.has_prompts else ()
        known = (TASK_TEMPLATE, MODEL_TEMPLATE, *(prompt.name for prompt in prompts))
        if reference not in known:
            said = sayable(reference[:200])
            raise MCPError(INVALID_PARAMS, f"There is nothing to complete in {said!r}; there is in {', '.join(known)}.")

    def _models(self) -> Iterable[Listed]:
        return self.resources.models()


def add_completions(server: MCPServer, completions: Completions) -> None:
    """Serve them. That the method is served declares the capability."""

    async def complete(_: ServerRequestContext[Any], asked: CompleteRequestParams) -> CompleteResult:
        chosen = (asked.context.arguments if asked.context else None) or {}
        values = await completions.values(referred(asked.ref), asked.argument.name, chosen)
        return CompleteResult(completion=completion(values, asked.argument.value))

    lowlevel(server).add_request_handler("completion/complete", CompleteRequestParams, complete)


def referred(reference: ResourceTemplateReference | PromptReference) -> str:
    """The template or prompt that is filled in."""
    return reference.name if isinstance(reference, PromptReference) else reference.uri


def completion(values: Iterable[str], typed: str) -> Completion:
    """Those that begin with what was typed, then those that have it inside; not case-sensitive."""
    wanted = typed.strip().lower()
    inside = [value for value in values if wanted in value.lower()]
    found = sorted(inside, key=lambda value: not value.lower().startswith(wanted))
    return Completion(values=found[:MOST_VALUES], total=len(found), has_more=len(found) > MOST_VALUES)


def is_of(listed: Listed, provider: str | None) -> bool:
    """Whether a model is of the provider that was chosen, if one was."""
    return not provider or listed.provider_id == provider


def short(listed: Listed) -> str:
    """A model's name without its provider's."""
    return listed.id.removeprefix(listed.provider_id + "/")

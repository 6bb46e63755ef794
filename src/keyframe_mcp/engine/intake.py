"""From a request to a task ready to be written down: the model chosen, everything checked, nothing sent."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import anyio

from keyframe_mcp.adapters import HTTP_DIALECTS, dialect_of
from keyframe_mcp.catalog import Listed
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.catalog.models import Model
from keyframe_mcp.catalog.requests import Checked, check, inputs_asked
from keyframe_mcp.engine.budget import Budget
from keyframe_mcp.engine.caller import Caller
from keyframe_mcp.engine.choosing import Choosing
from keyframe_mcp.engine.sources import Sources, Wanted
from keyframe_mcp.errors import CallerError, InvalidInput, KeyframeError, Problem
from keyframe_mcp.media.references import shortened
from keyframe_mcp.task import Cost, Inputs, Picture, Task

PICTURES = ("first_image", "last_image", "image")
WEB = re.compile(r"\s*https?:", re.IGNORECASE)

Fetched = tuple[Picture, tuple[str, ...]]
"""Our copy of a picture, and what was changed about it."""


class Trying(Protocol):
    """Makes sources that keep their copies of pictures in some folder."""

    def __call__(self, *, folder: Path) -> Sources: ...


@dataclass(frozen=True)
class Draft:
    """A task that could be written down, why it is made with this model, and what nobody asked for and still holds."""

    task: Task
    why: str
    assumed: Mapping[str, object]
    """By wire name: defaults that are sent, and those the provider is documented to have."""
    quoted_by: str | None = None
    """The name of a provider that says its own price before a job is sent; budgets are then held against that."""


@dataclass(frozen=True)
class Intake:
    """Checks requests. Without `trying`, a rehearsal leaves copies of pictures behind, as a real request does."""

    choosing: Choosing
    sources: Sources
    budget: Budget
    trying: Trying | None = None

    async def prepare(
        self, caller: Caller, request: Inputs, model: str | None, key: str | None, now: float, *, strict: bool
    ) -> Task:
        """A task with a new id, counted at its price.

        Raises every problem with the request at once, and `BudgetExceeded` for one that alone costs too much.
        """
        task = (await self._draft(self.sources, caller, request, model, key=key, now=now, strict=strict)).task
        cost = task.cost or Cost(estimated_usd=None, basis="no price was noted")
        return task.model_copy(update={"counted_usd": self.budget.counts(cost)})

    async def rehearse(self, caller: Caller, request: Inputs, model: str | None, now: float, *, strict: bool) -> Draft:
        """The same checks, leaving nothing behind; what it costs is not held against the budget."""
        with tempfile.TemporaryDirectory(prefix="keyframe-mcp-") as folder:
            sources = self.sources if self.trying is None else self.trying(folder=Path(folder))
            return await self._draft(sources, caller, request, model, key=None, now=now, strict=strict)

    async def _draft(
        self,
        sources: Sources,
        caller: Caller,
        request: Inputs,
        model: str | None,
        *,
        key: str | None,
        now: float,
        strict: bool,
    ) -> Draft:
        choice = self.choosing.choose(request, model, strict=strict, budget=self.budget)
        listed = choice.listed
        first = check(listed.id, listed.model, request, strict=strict)
        found, unusable = await pictures_of(sources, caller, request, first, listed)
        shapes = {name: (picture.width, picture.height) for name, (picture, _) in found.items()}
        checked = check(listed.id, listed.model, request, strict=strict, shapes=shapes)
        if problems := [*choice.problems, *checked.problems, *unusable]:
            raise InvalidInput(problems=problems)
        pictures = {wire_name: found[name][0] for name, wire_name in checked.pictures.items()}
        wire = {name: value for name, value in checked.wire.items() if name not in pictures}
        changed = (f"{name}: {note}" for name, (_, notes) in sorted(found.items()) for note in notes)
        task = Task(
            id=new_id(),
            owner=caller.owner,
            mode=request.mode,
            model=listed.id,
            provider=listed.provider_id,
            request=remembered(request),
            wire=wire,
            pictures=pictures,
            request_hash=digest([listed.id, request.mode, wire, contents(pictures)]),
            idempotency_key=key,
            generative=listed.model.generative,
            cost=listed.cost(checked.wire),
            counted_at=now,
            warnings=(*checked.warnings, *changed, *choice.warnings, *plain_words(listed)),
            created_at=now,
            updated_at=now,
        )
        return Draft(task, choice.why, assumed(listed.model, request, checked.wire), quoting(listed.provider))


async def pictures_of(
    sources: Sources, caller: Caller, request: Inputs, checked: Checked, listed: Listed
) -> tuple[dict[str, Fetched], list[Problem]]:
    """Our copies of every picture of the request, fetched side by side, and what was wrong with the others."""
    found: dict[str, Fetched] = {}
    problems: list[Problem] = []
    trouble: list[KeyframeError] = []
    wanted = wanted_by(listed)

    async def one(name: str) -> None:
        try:
            found[name] = await sources.picture(getattr(request, name), caller, wanted)
            if listed.provider.pictures.by == "url" and found[name][0].url is None:
                problems.append(Problem(name, f"{listed.provider.name} takes pictures only as public https URLs"))
        except CallerError as error:
            problems.append(Problem(name, str(error)))
        except KeyframeError as error:
            trouble.append(error)

    async with anyio.create_task_group() as tasks:
        for name in checked.pictures:
            tasks.start_soon(one, name)
    if trouble:
        raise trouble[0]
    return found, sorted(problems, key=lambda problem: problem.argument)


def assumed(model: Model, request: Inputs, wire: Mapping[str, object]) -> dict[str, object]:
    """What holds without having been asked for, by wire name."""
    asked = {each.wire for each in inputs_asked(model, request) if each.is_given}
    asked |= {model.prefix + name for name in request.options}
    if model.sizes and (request.resolution or request.aspect_ratio):
        asked |= model.size_wires
    return {name: value for name, value in model.in_effect(wire).items() if name not in asked}


def quoting(provider: Provider) -> str | None:
    """The name of a provider that says what a job will cost."""
    from keyframe_mcp.adapters.dialect import Dialect  # noqa: PLC0415 - nothing at the start needs it

    speaks = provider.dialect in HTTP_DIALECTS
    return provider.name if speaks and dialect_of(provider.dialect).quote_call is not Dialect.quote_call else None


def plain_words(listed: Listed) -> tuple[str, ...]:
    """What a caller must not be left to believe."""
    if listed.provider.experimental:
        return (f"{listed.provider.name} is experimental here: {listed.provider.experimental}",)
    return () if listed.model.generative else ("This is a preview drawn on this machine, not AI video.",)


def wanted_by(listed: Listed) -> Wanted:
    """The pictures a model takes."""
    return Wanted(formats=listed.picture_formats, most_bytes=listed.provider.pictures.most_bytes)


def remembered(request: Inputs) -> dict[str, Any]:
    """A request as it is kept: without the bytes of pictures that travelled in it, and the signatures of their URLs."""
    given = request.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    kept = {name: briefly(value) if isinstance(value, str) else value for name, value in given.items()}
    return kept | {name: unsigned(kept[name]) for name in PICTURES if name in kept}


def unsigned(reference: str) -> str:
    """A picture's reference without the query of a URL, which may be a key to it."""
    return re.sub(r"[?#].*", "", reference, flags=re.DOTALL) if WEB.match(reference) else reference


def briefly(text: str) -> str:
    """A value as it is kept: a `data:` URI without its bytes, also where white space surrounds it."""
    return shortened(text.strip()) if text.lstrip().startswith("data:") else text


def contents(pictures: Mapping[str, Picture]) -> dict[str, str]:
    """What the pictures show, by wire name."""
    return {name: picture.content for name, picture in pictures.items()}


def new_id() -> str:
    """An id nobody can guess: 128 random bits, in letters that survive any file system."""
    return "kf_" + base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def digest(value: object) -> str:
    """The same for equal requests, whatever the order of their keys. Pictures are in it by content."""
    return hashlib.sha256(json.dumps(plain(value), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def plain(value: object) -> object:
    """A value with 5.0 written as 5: they ask for the same video."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [plain(each) for each in cast("list[object]", value)]
    return int(value) if isinstance(value, float) and value.is_integer() else value

"""From a request to a task ready to be written down: the model chosen, everything checked, nothing sent."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import anyio

from keyframe_mcp.catalog import Listed
from keyframe_mcp.catalog.requests import Checked, check
from keyframe_mcp.engine.caller import Caller
from keyframe_mcp.engine.choosing import Choosing
from keyframe_mcp.engine.sources import Sources, Wanted
from keyframe_mcp.errors import CallerError, InvalidInput, KeyframeError, Problem
from keyframe_mcp.media.references import shortened
from keyframe_mcp.task import Inputs, Picture, Task

Fetched = tuple[Picture, tuple[str, ...]]
"""Our copy of a picture, and what was changed about it."""


@dataclass(frozen=True)
class Intake:
    """Checks requests."""

    choosing: Choosing
    sources: Sources

    async def prepare(
        self, caller: Caller, request: Inputs, model: str | None, key: str | None, now: float, *, strict: bool
    ) -> Task:
        """A task with a new id. Raises every problem with the request at once; leaves nothing behind."""
        choice = self.choosing.choose(request, model, strict=strict)
        listed = choice.listed
        first = check(listed.id, listed.model, request, strict=strict)
        found, unusable = await self._pictures(caller, request, first, listed)
        shapes = {name: (picture.width, picture.height) for name, (picture, _) in found.items()}
        checked = check(listed.id, listed.model, request, strict=strict, shapes=shapes)
        if problems := [*choice.problems, *checked.problems, *unusable]:
            raise InvalidInput(problems=problems)
        pictures = {wire_name: found[name][0] for name, wire_name in checked.pictures.items()}
        wire = {name: value for name, value in checked.wire.items() if name not in pictures}
        changed = (f"{name}: {note}" for name, (_, notes) in sorted(found.items()) for note in notes)
        return Task(
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
            warnings=(*checked.warnings, *changed, *choice.warnings, *plain_words(listed)),
            created_at=now,
            updated_at=now,
        )

    async def _pictures(
        self, caller: Caller, request: Inputs, checked: Checked, listed: Listed
    ) -> tuple[dict[str, Fetched], list[Problem]]:
        """Our copies of every picture of the request, fetched side by side, and what was wrong with the others."""
        found: dict[str, Fetched] = {}
        problems: list[Problem] = []
        trouble: list[KeyframeError] = []
        wanted = wanted_by(listed)

        async def one(name: str) -> None:
            try:
                found[name] = await self.sources.picture(getattr(request, name), caller, wanted)
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


def plain_words(listed: Listed) -> tuple[str, ...]:
    """What a caller must not be left to believe."""
    if listed.provider.experimental:
        return (f"{listed.provider.name} is experimental here: {listed.provider.experimental}",)
    return () if listed.model.generative else ("This is a preview drawn on this machine, not AI video.",)


def wanted_by(listed: Listed) -> Wanted:
    """The pictures a model takes."""
    return Wanted(formats=listed.picture_formats, most_bytes=listed.provider.pictures.most_bytes)


def remembered(request: Inputs) -> dict[str, Any]:
    """A request as it is kept: without the bytes of pictures that travelled in it."""
    given = request.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return {name: briefly(value) if isinstance(value, str) else value for name, value in given.items()}


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

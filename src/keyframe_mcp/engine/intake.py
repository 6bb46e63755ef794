"""From a request to a task ready to be written down: the model chosen, everything checked, nothing sent."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

import anyio

from keyframe_mcp.catalog import Catalog, Listed
from keyframe_mcp.catalog.requests import Checked, check
from keyframe_mcp.engine.caller import Caller
from keyframe_mcp.engine.sources import Sources, Wanted
from keyframe_mcp.errors import CallerError, InvalidInput, KeyframeError, MissingCredential, Problem
from keyframe_mcp.media.references import shortened
from keyframe_mcp.task import Inputs, Picture, Task

Fetched = tuple[Picture, tuple[str, ...]]
"""Our copy of a picture, and what was changed about it."""


@dataclass(frozen=True)
class Intake:
    """Checks requests. `configured` are the providers that can be used."""

    catalog: Catalog
    configured: Collection[str]
    sources: Sources
    default_model: str | None

    async def prepare(
        self, caller: Caller, request: Inputs, model: str | None, key: str | None, now: float, *, strict: bool
    ) -> Task:
        """A task with a new id. Raises every problem with the request at once; leaves nothing behind."""
        listed = self.choose(request, model, strict=strict)
        first = check(listed.id, listed.model, request, strict=strict)
        found, unusable = await self._pictures(caller, request, first, listed)
        shapes = {name: (picture.width, picture.height) for name, (picture, _) in found.items()}
        checked = check(listed.id, listed.model, request, strict=strict, shapes=shapes)
        if problems := [*checked.problems, *unusable]:
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
            warnings=(*checked.warnings, *changed, *self._plain_words(listed, model)),
            created_at=now,
            updated_at=now,
        )

    def choose(self, request: Inputs, model: str | None, *, strict: bool) -> Listed:
        """The model that was named, or the surest one that can do what is asked."""
        if model is not None:
            listed = self.catalog.find(model)
            self._require_key(listed)
            return listed
        usable = [each for each in self.catalog.models(request.mode) if each.provider_id in self.configured]
        ranked = sorted(usable, key=self._rank)
        if not ranked:
            raise MissingCredential(
                f"no configured model does {request.mode}; keyframe-mcp doctor shows which key is missing"
            )
        able = (each for each in ranked if not check(each.id, each.model, request, strict=strict).problems)
        return next(able, ranked[0])

    def _rank(self, listed: Listed) -> tuple[bool, bool, bool, int]:
        """The default model first, real generators before drawings, what is documented before what is guessed."""
        model = listed.model
        is_guessed = listed.provider.experimental is not None
        return (listed.id != self.default_model, not model.generative, is_guessed, "HML".index(model.confidence))

    def _require_key(self, listed: Listed) -> None:
        if listed.provider_id not in self.configured:
            instead = [each.id for each in self.catalog.models() if each.provider.key is None]
            raise MissingCredential(
                f"{listed.id} needs {listed.provider.key} to be set; without a key there is {', '.join(instead)}"
            )

    def _plain_words(self, listed: Listed, model: str | None) -> tuple[str, ...]:
        """What a caller must not be left to believe."""
        if listed.provider.experimental:
            return (f"{listed.provider.name} is experimental here: {listed.provider.experimental}",)
        if listed.model.generative:
            return ()
        chosen = "" if model else f"{listed.id} was used because no configured provider's model can do this. "
        return (f"{chosen}This is a preview drawn on this machine, not AI video.",)

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

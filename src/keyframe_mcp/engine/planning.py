"""How one model would make a video, with our copies of its pictures: checked, priced, and nothing sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import anyio

from keyframe_mcp.catalog import Listed
from keyframe_mcp.catalog.requests import Checked, check
from keyframe_mcp.engine.caller import Caller
from keyframe_mcp.engine.sources import Sources, Wanted
from keyframe_mcp.errors import CallerError, KeyframeError, Problem
from keyframe_mcp.task import Inputs, Picture, Plan

Fetched = tuple[Picture, tuple[str, ...]]
"""Our copy of a picture, and what was changed about it."""
NO_PICTURES: Mapping[str, Picture] = MappingProxyType({})


@dataclass(frozen=True)
class Planned:
    """A plan, everything that is wrong with it, and all that is sent, as far as it is no picture's bytes."""

    listed: Listed
    plan: Plan
    problems: tuple[Problem, ...]
    checked: Checked


class Planning:
    """Plans one request for several models. A picture that several take alike is fetched and copied once.

    `earlier` has the copies an earlier task was made with, by argument; a provider that reads pictures by itself needs
    their addresses instead.
    """

    def __init__(
        self,
        sources: Sources,
        caller: Caller,
        request: Inputs,
        *,
        strict: bool,
        earlier: Mapping[str, Picture] = NO_PICTURES,
    ) -> None:
        self._earlier = earlier
        self._sources = sources
        self._caller = caller
        self._request = request
        self._strict = strict
        self._fetched: dict[tuple[str, Wanted], Fetched | CallerError] = {}

    async def plan(self, listed: Listed) -> Planned:
        """How this model would make it. What is wrong is told, and raised only where nobody's picture is to blame."""
        first = check(listed.id, listed.model, self._request, strict=self._strict)
        found, unusable = await self._pictures(first, listed)
        shapes = {name: (picture.width, picture.height) for name, (picture, _) in found.items()}
        checked = check(listed.id, listed.model, self._request, strict=self._strict, shapes=shapes)
        pictures = {wire_name: found[name][0] for name, wire_name in checked.pictures.items() if name in found}
        changed = (f"{name}: {note}" for name, (_, notes) in sorted(found.items()) for note in notes)
        plan = Plan(
            model=listed.id,
            provider=listed.provider_id,
            wire={name: value for name, value in checked.wire.items() if name not in pictures},
            pictures=pictures,
            generative=listed.model.generative,
            cost=listed.cost(checked.wire),
            warnings=(*checked.warnings, *changed),
        )
        return Planned(listed, plan, (*checked.problems, *unusable), checked)

    async def _pictures(self, checked: Checked, listed: Listed) -> tuple[dict[str, Fetched], list[Problem]]:
        """Our copies of every picture of the request, fetched side by side, and what was wrong with the others."""
        trouble: list[KeyframeError] = []
        wanted = wanted_by(listed)

        async def one(name: str) -> None:
            try:
                await self._fetch(name, wanted, may_be_earlier=listed.provider.pictures.by != "url")
            except KeyframeError as error:
                trouble.append(error)

        async with anyio.create_task_group() as tasks:
            for name in checked.pictures:
                tasks.start_soon(one, name)
        if trouble:
            raise trouble[0]
        copies = {name: self._fetched[name, wanted] for name in sorted(checked.pictures)}
        found = {name: copy for name, copy in copies.items() if not isinstance(copy, CallerError)}
        problems = [Problem(name, str(error)) for name, error in copies.items() if isinstance(error, CallerError)]
        return found, problems + unaddressed(found, listed)

    async def _fetch(self, name: str, wanted: Wanted, *, may_be_earlier: bool) -> None:
        """Copy a picture as it is wanted, unless that was done; or keep what is wrong with it."""
        if (name, wanted) in self._fetched:
            return
        try:
            earlier = self._earlier.get(name) if may_be_earlier else None
            fetched = await self._sources.picture(getattr(self._request, name), self._caller, wanted, earlier)
        except CallerError as error:
            fetched = error
        self._fetched[name, wanted] = fetched


def unaddressed(found: dict[str, Fetched], listed: Listed) -> list[Problem]:
    """A problem for each picture that the provider could not fetch by itself, where it has to."""
    if listed.provider.pictures.by != "url":
        return []
    why = f"{listed.provider.name} takes pictures only as public https URLs"
    return [Problem(name, why) for name, (picture, _) in found.items() if picture.url is None]


def wanted_by(listed: Listed) -> Wanted:
    """The pictures a model takes."""
    return Wanted(formats=listed.picture_formats, most_bytes=listed.provider.pictures.most_bytes)

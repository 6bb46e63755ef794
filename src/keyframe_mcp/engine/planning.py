"""How one model would make a video, with our copies of its pictures: checked, priced, and nothing sent."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

import anyio

from keyframe_mcp.catalog import Listed
from keyframe_mcp.catalog.requests import Checked, check
from keyframe_mcp.engine.caller import Caller
from keyframe_mcp.engine.sources import Original, Sources, Wanted
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
    their addresses instead. A context: what was brought in is let go of at its end.
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
        self._scratch = ExitStack()
        self._brought: dict[tuple[str, bool], Original | CallerError] = {}
        self._fetched: dict[tuple[str, bool, Wanted], Fetched | CallerError] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.close()

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
        by_url = listed.provider.pictures.by == "url"
        addressed = {name: not by_url or is_on_the_web(getattr(self._request, name)) for name in checked.pictures}
        wanted = wanted_by(listed)
        copies: dict[str, Fetched | CallerError] = {}

        async def one(name: str) -> None:
            try:
                copies[name] = await self._fetch(name, wanted, may_be_earlier=not by_url)
            except KeyframeError as error:
                trouble.append(error)

        async with anyio.create_task_group() as tasks:
            for name in filter(addressed.get, checked.pictures):
                tasks.start_soon(one, name)
        if trouble:
            raise trouble[0]
        found = {name: copy for name, copy in sorted(copies.items()) if not isinstance(copy, CallerError)}
        errors = {name: error for name, error in sorted(copies.items()) if isinstance(error, CallerError)}
        problems = [Problem(name, str(error), type(error)) for name, error in errors.items()]
        lost = [name for name in sorted(addressed) if not addressed[name] or (by_url and is_unaddressed(found, name))]
        return found, problems + [unaddressed(name, listed) for name in lost]

    async def _fetch(self, name: str, wanted: Wanted, *, may_be_earlier: bool) -> Fetched | CallerError:
        """Our copy of a picture as it is wanted, or what is wrong with it; found out once."""
        known = (name, may_be_earlier, wanted)
        if known not in self._fetched:
            original = await self._bring(name, may_be_earlier=may_be_earlier)
            try:
                is_here = isinstance(original, Original)
                self._fetched[known] = await self._sources.picture(original, wanted) if is_here else original
            except CallerError as error:
                self._fetched[known] = error
        return self._fetched[known]

    async def _bring(self, name: str, *, may_be_earlier: bool) -> Original | CallerError:
        """A picture's bytes, for whatever is wanted of them. Fetched once: its owner may count how often."""
        earlier = self._earlier.get(name) if may_be_earlier else None
        known = (name, earlier is not None)
        if known not in self._brought:
            scratch = self._scratch.enter_context(self._sources.scratch())
            try:
                text = getattr(self._request, name)
                self._brought[known] = await self._sources.original(text, self._caller, scratch, earlier)
            except CallerError as error:
                self._brought[known] = error
        return self._brought[known]


def is_on_the_web(reference: str) -> bool:
    """Whether a provider could fetch it by itself."""
    return reference.strip().lower().startswith(("https:", "http:"))


def is_unaddressed(found: Mapping[str, Fetched], name: str) -> bool:
    """Whether our copy of a picture has no address: it was changed."""
    return name in found and found[name][0].url is None


def unaddressed(name: str, listed: Listed) -> Problem:
    """That the provider could not fetch a picture by itself, where it has to."""
    return Problem(name, f"{listed.provider.name} takes pictures only as public https URLs")


def wanted_by(listed: Listed) -> Wanted:
    """The pictures a model takes."""
    return Wanted(formats=listed.picture_formats, most_bytes=listed.provider.pictures.most_bytes)

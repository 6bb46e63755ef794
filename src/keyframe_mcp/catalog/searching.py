"""Which models can make a video of some kind, and for how much: judged as a real request is."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from keyframe_mcp.catalog import Listed
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.catalog.limits import did_you_mean
from keyframe_mcp.catalog.requests import check
from keyframe_mcp.errors import InvalidInput, Problem
from keyframe_mcp.task import Cost, Inputs, Mode

JUDGED = ("duration", "resolution", "aspect_ratio")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the video has to be. `duration` is in seconds, `max_price_usd` for the whole video."""

    mode: Mode | None = None
    duration: float | None = None
    resolution: str | None = None
    aspect_ratio: str | None = None
    max_price_usd: float | None = None

    @property
    def is_particular(self) -> bool:
        """Whether it says more than a mode."""
        return any(value is not None for value in (*self.said.values(), self.max_price_usd))

    @property
    def said(self) -> dict[str, object]:
        """The inputs that are wished for."""
        named = {name: getattr(self, name) for name in JUDGED}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True)
class Judged:
    """A model, the modes in which it can make the video, what that costs, and what keeps it from doing so."""

    listed: Listed
    modes: tuple[Mode, ...]
    cost: Cost
    problems: tuple[Problem, ...] = ()

    @property
    def usd(self) -> float:
        """The price to compare; one that nobody knows counts as the highest."""
        return math.inf if self.cost.estimated_usd is None else self.cost.estimated_usd

    @property
    def why_not(self) -> str:
        """What keeps it, in a line."""
        return f"{self.listed.id}: {'; '.join(map(str, self.problems))}"


@dataclass(frozen=True)
class Found:
    """The models that can, those that cannot, and how many were left out because nobody knows their price."""

    fitting: tuple[Judged, ...]
    missing: tuple[Judged, ...]
    unpriced: int


def search(models: Iterable[Listed], wish: Wish) -> Found:
    """Judge every model."""
    judged = [judge(each, wish) for each in models]
    able = [each for each in judged if not each.problems]
    is_limited = wish.max_price_usd is not None
    unpriced = [each for each in able if is_limited and each.cost.estimated_usd is None]
    return Found(
        tuple(each for each in able if each not in unpriced),
        tuple(each for each in judged if each.problems),
        len(unpriced),
    )


def shaped_by_picture(found: Found, wish: Wish) -> tuple[Judged, ...]:
    """Models that take no aspect ratio, and can make it in the shape of the picture they are given."""
    if wish.aspect_ratio is None:
        return ()
    shapeless = [each.listed for each in found.missing if takes_shape_of_picture(each)]
    return search(shapeless, replace(wish, aspect_ratio=None)).fitting


def takes_shape_of_picture(judged: Judged) -> bool:
    """Whether a model takes pictures and no aspect ratio, in the mode it was judged in."""
    inputs = judged.listed.model.inputs_for(judged.modes[0])
    return "aspect_ratio" not in inputs and any(spec.type == "image" for spec in inputs.values())


def judge(listed: Listed, wish: Wish) -> Judged:
    """A model in the modes in question: where it can, at its lowest price; else where it comes nearest."""
    modes = sorted(listed.model.modes) if wish.mode is None else [wish.mode]
    tried = [in_mode(listed, mode, wish) for mode in modes]
    best = min(tried, key=lambda each: (len(each.problems), each.usd))
    able = tuple(mode for each in tried if not each.problems for mode in each.modes)
    return Judged(listed, able or best.modes, best.cost, best.problems)


def in_mode(listed: Listed, mode: Mode, wish: Wish) -> Judged:
    """A model in one mode. What a real request needs besides is none of a wish's problems."""
    request = Inputs.model_validate({"mode": mode, **wish.said})
    checked = check(listed.id, listed.model, request)
    judged = [each for each in checked.problems if each.argument in (*wish.said, "model")]
    problems = [briefly(each, listed, mode) for each in judged]
    cost = listed.cost({} if problems else checked.wire)
    if not problems and is_dear(cost, wish.max_price_usd):
        problems = [Problem("max_price_usd", f"this video costs ${cost.estimated_usd:g}")]
    return Judged(listed, (mode,), cost, tuple(problems))


def briefly(problem: Problem, listed: Listed, mode: Mode) -> Problem:
    """A problem without the names of all the inputs that there are, where the model has not the one in question."""
    known = (*listed.model.inputs_for(mode), "model")
    return problem if problem.argument in known else Problem(problem.argument, "it takes none; leave it out")


def is_dear(cost: Cost, most: float | None) -> bool:
    """Whether it surely costs more than that."""
    return most is not None and cost.estimated_usd is not None and cost.estimated_usd > most + 1e-9


def cheapest_first(judged: Iterable[Judged]) -> list[Judged]:
    """By price; those whose price nobody knows last."""
    return sorted(judged, key=lambda each: each.usd)


def of_provider(models: Iterable[Listed], provider: str, known: Mapping[str, Provider]) -> Iterator[Listed]:
    """The models of a provider, by its id or its name. Raises `InvalidInput` with near misses for one there is not."""
    asked = provider.strip().lower()
    names = {each.name.lower(): provider_id for provider_id, each in known.items()}
    provider_id = asked if asked in known else names.get(asked)
    if provider_id is None:
        raise InvalidInput(problems=[Problem("provider", f"there is no {provider[:80]!r}; {near(asked, known)}")])
    return (each for each in models if each.provider_id == provider_id)


def near(asked: str, known: Collection[str]) -> str:
    """The providers that may have been meant, or all there are."""
    inside = [each for each in known if len(asked) > 2 and (asked in each or each in asked)]
    all_of_them = f"there are {', '.join(sorted(known))}"
    return f"did you mean {inside[0]}?" if inside else did_you_mean(asked, known, all_of_them)

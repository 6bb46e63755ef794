"""Which model makes a video: the one that was named, or the surest and cheapest that can."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from keyframe_mcp.catalog import Catalog, Listed
from keyframe_mcp.catalog.requests import DROP, Checked, check
from keyframe_mcp.engine.budget import NO_BUDGET, Budget
from keyframe_mcp.errors import MissingCredential, Problem
from keyframe_mcp.task import Cost, Inputs, Mode

NAMED = "it was named"
MOST_PASSED_OVER = 2
MOST_REFUSALS = 4  # of how many models it is said why they cannot do it


@dataclass(frozen=True)
class Choice:
    """A model, and what a caller who did not name it should know."""

    listed: Listed
    why: str
    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    """That no model can do what is asked, and whose problems are listed."""
    others: tuple[Listed, ...] = ()
    """Where a fallback is wanted: the other models that can do it for what it may cost, in the order to try them."""


@dataclass(frozen=True)
class Candidate:
    """A model, and what it would make of the request."""

    listed: Listed
    checked: Checked
    budget: Budget

    @property
    def is_able(self) -> bool:
        """Whether it can do what is asked."""
        return not self.checked.problems

    @property
    def refusal(self) -> str | None:
        """Why it is passed over: it cannot do what is asked, or one video alone is more than may be spent."""
        return amiss(self.checked.problems) if self.checked.problems else self.budget.refusal(self.cost)

    @property
    def cost(self) -> Cost:
        """What it would cost."""
        return self.listed.cost(self.checked.wire)

    @property
    def usd(self) -> float:
        """The price to compare; one that nobody knows counts as the highest."""
        usd = self.cost.estimated_usd
        return math.inf if usd is None else usd


@dataclass(frozen=True)
class Choosing:
    """Chooses among the models of providers that are `configured`. `default_model` goes first where it can."""

    catalog: Catalog
    configured: Collection[str]
    default_model: str | None

    def choose(
        self,
        request: Inputs,
        model: str | None,
        *,
        strict: bool,
        budget: Budget = NO_BUDGET,
        fallback: bool = False,
    ) -> Choice:
        """The model to use; the nearest when none can do what is asked, and the best when all are too dear.

        With `fallback`, a named model whose key is not set, or that is too dear, is passed over, and the models to go
        on to are said. Raises `UnknownModel`, `MissingCredential`.
        """
        ranked = self._ranked(request, budget, strict=strict) if fallback or model is None else ()
        if not fallback:
            return self._best(request, ranked, budget) if model is None else self._by_name(model, request.mode)
        if model is None:
            choice = self._best(request, ranked, budget)
        else:
            choice = self._named_or_best(model, request, ranked, budget)
        return replace(choice, others=tuple(others(choice.listed, ranked)))

    def _by_name(self, model: str, mode: Mode) -> Choice:
        return Choice(self._named(model, mode), NAMED)

    def _named_or_best(self, model: str, request: Inputs, ranked: Sequence[Candidate], budget: Budget) -> Choice:
        """The named model, or the best one where that surely cannot be used here and another can."""
        listed = self.catalog.find(model)
        named = next((each for each in ranked if each.listed.id == listed.id), None)
        fitting = [each for each in ranked if each.refusal is None and each.listed.model.generative]
        if listed.provider_id not in self.configured:
            why = f"{listed.provider.key} is not set"
        elif named is not None and named.is_able and named.refusal is not None:
            why = named.refusal
        else:
            return self._by_name(model, request.mode)
        if not fitting or request.mode not in listed.model.modes:
            return self._by_name(model, request.mode)
        choice = self._best(request, fitting, budget)
        passed = f"{listed.id} was named and passed over ({why}); {choice.listed.id} is used instead"
        return replace(choice, why=f"{listed.id} was passed over: {why}", warnings=(passed,))

    def _best(self, request: Inputs, ranked: Sequence[Candidate], budget: Budget) -> Choice:
        """The first that can do it for what it may cost."""
        if not ranked:
            raise MissingCredential(
                f"no configured model does {request.mode}; keyframe-mcp doctor shows which key is missing"
            )
        able = [each for each in ranked if each.is_able]
        if not able:
            return none_able(request, ranked)
        fitting = [each for each in able if each.refusal is None]
        chosen = (fitting or able)[0]
        why = self._why(chosen, len(fitting), within(budget))
        return Choice(chosen.listed, why, told(chosen, ranked[: ranked.index(chosen)], within(budget)))

    def _why(self, chosen: Candidate, fitting: int, within: str) -> str:
        if chosen.listed.id == self.default_model:
            return "it is the default model (KEYFRAME_DEFAULT_MODEL)"
        if fitting == 0:
            return f"no configured model can do this{within}, and this one comes first"
        if fitting == 1:
            return f"no other configured model can do this{within}"
        return f"of {fitting} configured models that can do this{within}, the surest, then the cheapest"

    def ranked(self, request: Inputs) -> Sequence[Candidate]:
        """The models that can be used here for such a request, in the order in which one is chosen, able or not."""
        return self._ranked(request, NO_BUDGET, strict=True)

    def _ranked(self, request: Inputs, budget: Budget, *, strict: bool) -> Sequence[Candidate]:
        usable = [each for each in self.catalog.models(request.mode) if each.provider_id in self.configured]
        candidates = [Candidate(each, check(each.id, each.model, request, strict=strict), budget) for each in usable]
        return sorted(candidates, key=self._rank)

    def _rank(self, candidate: Candidate) -> tuple[bool, bool, bool, int, float]:
        """The default model first, real generators before drawings, documented before guessed, then the cheapest."""
        model, provider = candidate.listed.model, candidate.listed.provider
        is_guessed = provider.experimental is not None
        surest = "HML".index(model.confidence)
        return (candidate.listed.id != self.default_model, not model.generative, is_guessed, surest, candidate.usd)

    def _named(self, model: str, mode: Mode) -> Listed:
        listed = self.catalog.find(model)
        if listed.provider_id not in self.configured:
            instead = [each.id for each in self.catalog.models(mode) if each.provider_id in self.configured]
            others = (
                f"with the keys there are, {mode} is done by {', '.join(instead[:5])}"
                if instead
                else (f"no other model that does {mode} has its key either")
            )
            raise MissingCredential(f"{listed.id} needs {listed.provider.key} to be set; {others}")
        return listed


def others(first: Listed, ranked: Sequence[Candidate]) -> Sequence[Listed]:
    """The models to go on to from the first one, never to or from a drawing.

    One of each other provider comes first: what keeps a provider from taking a job mostly holds for all its models.
    """
    able = [each.listed for each in ranked if each.refusal is None and each.listed.model.generative]
    left = [each for each in able if each.id != first.id] if first.model.generative else []
    seen, ahead = {first.provider_id}, list[Listed]()
    for each in left:
        if each.provider_id not in seen:
            seen.add(each.provider_id)
            ahead.append(each)
    return [*ahead, *(each for each in left if each not in ahead)]


def within(budget: Budget) -> str:
    """What is looked at when choosing: a video by itself. What is left of a day is looked at once it is chosen."""
    if budget.per_task is not None:
        return " within the limit for one video"
    return " at a known price" if budget.is_limited and budget.unpriced_usd is None else ""


def told(chosen: Candidate, passed_over: Sequence[Candidate], limit: str) -> tuple[str, ...]:
    """Why it is this model and not another that would have come first."""
    if not chosen.listed.model.generative:
        dear = next((f"{limit}; {each.listed.id}: {each.refusal}" for each in passed_over if each.is_able), "")
        return (f"{chosen.listed.id} was used because no configured provider's model can do this{dear}.",)
    because = [f"{each.listed.id} ({each.refusal})" for each in passed_over[:MOST_PASSED_OVER]]
    more = f" and {len(passed_over) - MOST_PASSED_OVER} more" if len(passed_over) > MOST_PASSED_OVER else ""
    return (f"{chosen.listed.id} was chosen; passed over: {', '.join(because)}{more}",) if because else ()


def none_able(request: Inputs, ranked: Sequence[Candidate]) -> Choice:
    """The nearest model, whose problems will be told, and what keeps the next ones."""
    nearest, *rest = sorted(ranked, key=lambda each: len(each.checked.problems))
    able = f"none of the {len(ranked)} configured models that do {request.mode} can do this"
    about = f"{able}; the nearest is {nearest.listed.id}, whose problems follow"
    keeps = ", ".join(f"{each.listed.id} ({briefly(each)})" for each in rest[: MOST_REFUSALS - 1])
    problem = Problem("model", f"{about}; next come {keeps}" if keeps else about)
    return Choice(nearest.listed, "it comes nearest", problems=(problem,) if rest else ())


def briefly(candidate: Candidate) -> str:
    """What keeps a model from doing it, without the advice that is told once."""
    return amiss(candidate.checked.problems, DROP)


def amiss(problems: Sequence[Problem], untold: str = "") -> str:
    """The first of several problems, and which other arguments have one too."""
    first, *more = problems
    others = [name for name in dict.fromkeys(each.argument for each in more) if name != first.argument]
    said = str(first).removesuffix(untold).rstrip(".")
    return f"{said}; also refused: {', '.join(others)}" if others else said

"""From a request to a task ready to be written down: the model chosen, everything checked, nothing sent."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import anyio

from keyframe_mcp.adapters import HTTP_DIALECTS, dialect_of
from keyframe_mcp.catalog import Listed
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.catalog.models import Model
from keyframe_mcp.catalog.requests import inputs_asked
from keyframe_mcp.engine.budget import Budget
from keyframe_mcp.engine.caller import Caller
from keyframe_mcp.engine.choosing import NAMED, Choice, Choosing
from keyframe_mcp.engine.planning import NO_PICTURES, Planned, Planning
from keyframe_mcp.engine.retaking import Again
from keyframe_mcp.engine.sources import Sources
from keyframe_mcp.errors import KeyframeError, refusal_of
from keyframe_mcp.media.references import shortened
from keyframe_mcp.task import Cost, Inputs, Mode, Picture, Plan, Task

PICTURES = ("first_image", "last_image", "image")
WEB = re.compile(r"\s*https?:", re.IGNORECASE)

MOST_ALTERNATIVES = 3
KEPT = "it is the earlier task's"
ALONE = "fallback makes no difference: no other configured model can make this video within what it may cost"


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
    most_seconds: float = 15.0
    """How long a call is held up at most to prepare what may be gone on to."""

    async def prepare(
        self,
        caller: Caller,
        request: Inputs,
        model: str | None,
        key: str | None,
        now: float,
        *,
        strict: bool,
        fallback: bool = False,
        again: Again | None = None,
    ) -> Draft:
        """A task with a new id, counted at its price. With `fallback` it has the models to go on to.

        Raises every problem with the request at once, and `BudgetExceeded` for one that alone costs too much.
        """
        draft = await self._draft(
            self.sources, caller, request, model, key=key, now=now, strict=strict, fallback=fallback, again=again
        )
        cost = draft.task.cost or Cost(estimated_usd=None, basis="no price was noted")
        return replace(draft, task=draft.task.model_copy(update={"counted_usd": self.budget.counts(cost)}))

    async def rehearse(
        self,
        caller: Caller,
        request: Inputs,
        model: str | None,
        now: float,
        *,
        strict: bool,
        fallback: bool = False,
        again: Again | None = None,
        key: str | None = None,
    ) -> Draft:
        """The same checks, leaving nothing behind; what it costs is not held against the budget."""
        with tempfile.TemporaryDirectory(prefix="keyframe-mcp-") as folder:
            sources = self.sources if self.trying is None else self.trying(folder=Path(folder))
            return await self._draft(
                sources, caller, request, model, key=key, now=now, strict=strict, fallback=fallback, again=again
            )

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
        fallback: bool,
        again: Again | None,
    ) -> Draft:
        if again is not None:
            again.require_known()
        choice = self.choosing.choose(request, model, strict=strict, budget=self.budget, fallback=fallback)
        earlier = NO_PICTURES if again is None else again.pictures
        with Planning(sources, caller, request, strict=strict, earlier=earlier) as planning:
            first = await planning.plan(choice.listed)
            require_right(choice, first, again)
            others, dropped = await alternatives(planning, choice, self.most_seconds)
        listed, plan = choice.listed, first.plan
        lonely = (ALONE,) if fallback and not others and not dropped else ()
        expected = () if again is None else again.expected(plan, request, listed.model)
        of_model = (*plan.warnings, *choice.warnings, *plain_words(listed), *expected)

        # asked for once more, it is not the earlier task
        hashed = partial(hash_of, mode=request.mode, parent_id=None if again is None else again.parent.id)
        task = Task(
            id=new_id(),
            owner=caller.owner,
            mode=request.mode,
            model=plan.model,
            provider=plan.provider,
            request=remembered(request),
            strict=strict,
            wire=plan.wire,
            pictures=plan.pictures,
            request_hash=hashed(plan),
            parent_id=None if again is None else again.parent.id,
            idempotency_key=key,
            generative=plan.generative,
            cost=plan.cost,
            counted_at=now,
            alternatives=tuple(each.model_copy(update={"request_hash": hashed(each)}) for each in others),
            plan_warnings=of_model if others else (),
            warnings=(*of_model, *dropped, *lonely, *(again.warnings if again else ())),
            created_at=now,
            updated_at=now,
        )
        why = KEPT if choice.why == NAMED and again is not None and again.keeps_model else choice.why
        return Draft(task, why, assumed(listed.model, request, first.checked.wire), quoting(listed.provider))


def require_right(choice: Choice, first: Planned, again: Again | None) -> None:
    """Raise for all that is wrong with the plan of the chosen model."""
    problems = (*choice.problems, *first.problems)
    if again is not None:
        problems = tuple(again.explained(each, first.listed.model) for each in problems)
    if problems:
        raise refusal_of(problems)
    if again is not None:
        earlier = again.parent
        before = hash_of(first.plan, earlier.mode, earlier.parent_id)
        again.require_other(first.plan, was_asked=before == earlier.request_hash)


async def alternatives(
    planning: Planning, choice: Choice, most_seconds: float
) -> tuple[tuple[Plan, ...], tuple[str, ...]]:
    """The plans of the first few other models that can make it, and why one that could is none of them.

    What is sent later is settled now. Nobody is kept waiting long for what may never be needed.
    """
    found: list[Plan] = []
    dropped: list[str] = []
    deadline = anyio.current_time() + most_seconds
    for listed in choice.others:
        if len(found) == MOST_ALTERNATIVES:
            break
        with anyio.CancelScope(deadline=deadline) as scope:
            try:
                planned = await planning.plan(listed)
            except KeyframeError as error:
                dropped.append(f"{listed.id} is no alternative: {error}")
                continue
            if not planned.problems:
                words = (*planned.plan.warnings, *plain_words(listed))
                found.append(planned.plan.model_copy(update={"warnings": words}))
            dropped += [f"{listed.id} is no alternative: {each}" for each in planned.problems if each.kind is not None]
        if scope.cancelled_caught:
            late = f"its pictures were not ready within {most_seconds:g} seconds"
            return tuple(found), (*dropped, f"{listed.id} is no alternative: {late}, and none is looked for further")
    return tuple(found), tuple(dropped)


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


def hash_of(plan: Plan, mode: Mode, parent_id: str | None) -> str:
    """The same for equal requests of one model; `parent_id` is the earlier task that is made again."""
    return digest([plan.model, mode, plan.wire, contents(plan.pictures), *([parent_id] if parent_id else [])])


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

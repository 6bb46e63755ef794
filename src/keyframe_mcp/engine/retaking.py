"""Making an earlier task again: what it was asked, with changes, and the pictures as they were then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from keyframe_mcp.catalog import Catalog
from keyframe_mcp.catalog.models import Model
from keyframe_mcp.catalog.requests import check, inputs_asked
from keyframe_mcp.engine.doubts import settling
from keyframe_mcp.engine.provenance import picture_arguments
from keyframe_mcp.errors import InDoubt, InvalidInput, NotReady, Problem, UnknownModel
from keyframe_mcp.task import Inputs, Mode, Picture, Plan, Status, Task

OWN: Mapping[Mode, tuple[str, ...]] = MappingProxyType(
    {
        Mode.FLF2V: ("first_image", "last_image", "prompt"),
        Mode.I2V: ("image", "prompt"),
        Mode.T2V: ("prompt",),
        Mode.ANIMATION: ("prompt_start", "prompt_end"),
    }
)
"""The inputs that not every mode has."""
CHOICES = ("model", "strict", "fallback")
LONGEST = 90  # characters of a name that is shown
MAKING = ("seed", "prompt", "prompt_start", "prompt_end")
"""What makes another video of the same pictures, where the model reads it."""
BESIDE = ("idempotency_key", "dry_run", "wait_seconds")


@dataclass(frozen=True)
class Again:
    """The earlier task, its pictures by argument, and what was taken over from it."""

    parent: Task
    pictures: Mapping[str, Picture]
    inherited: frozenset[str]
    warnings: tuple[str, ...] = ()
    keeps_model: bool = False
    is_there: bool = False
    """Whether a task with the key of this request is there already: then nothing new is made."""

    def require_known(self) -> None:
        """Raise `InDoubt` for a task whose fate nobody knows: making it again may be paying twice."""
        if self.parent.status is not Status.UNKNOWN or self.is_there:
            return
        why = f"it may exist at {self.parent.provider} and be billed, and it is not made again while nobody knows"
        what = f"the user can settle it in a terminal: {settling(self.parent)}"
        raise InDoubt(problems=[Problem("task_id", f"task {self.parent.id} is unknown: {why}; {what}")])

    def require_other(self, plan: Plan, *, was_asked: bool) -> None:
        """Raise `NotReady` for a task that still runs, where the same would be sent: it is paid for already.

        What would be sent decides, not what was named: some models fill in all there is, with what was there before.
        `was_asked`: the task was first asked for as just this, and has gone on to another model since.
        """
        if self.parent.status.is_settled or self.is_there:
            return
        if was_asked and plan.model != self.parent.model:
            went = f"task {self.parent.id} was asked for just so, and went on from {plan.model} to {self.parent.model}"
            raise NotReady(f"{went}; wait for it, or cancel it")
        if not self._sends_the_same(plan):
            return
        same = f"task {self.parent.id} is {self.parent.status} and nothing that is sent differs"
        why = f"{same}, so it would be the same video twice"
        raise NotReady(f"{why}; wait for it, or name in overrides what shall be different")

    def expected(self, plan: Plan, request: Inputs, model: Model) -> tuple[str, ...]:
        """What will come of this plan of a model, where that is known: the video that is there."""
        is_seeded = any(each.argument == "seed" and each.is_given for each in inputs_asked(model, request))
        same = self._sends_the_same(plan) and (is_seeded or not plan.generative)
        how = "seed included" if plan.generative else "and drawing has no chance in it"
        other = "expect the same video; another " + " or ".join(making(model, request.mode)) + " makes another"
        return (f"{self._nothing_changed}, {how}: {other}",) if same else ()

    @property
    def _nothing_changed(self) -> str:
        return f"nothing that is sent differs from task {self.parent.id}"

    def _sends_the_same(self, plan: Plan) -> bool:
        before, now = self.parent.pictures, plan.pictures
        shown = {name: each.content for name, each in before.items()} == {
            name: each.content for name, each in now.items()
        }
        return shown and (plan.model, plan.wire) == (self.parent.model, self.parent.wire)

    def explained(self, problem: Problem, model: Model) -> Problem:
        """A problem that also says how to be rid of an argument nobody gave this time."""
        if problem.argument not in self.inherited:
            return problem
        needed = is_needed(problem.argument, model, self.parent.mode)
        leave = f"overrides {shown_as(problem.argument)} leaves it out"
        instead = f"give another {problem.argument} in overrides" if needed else leave
        why = f"{problem.message} (it comes from task {self.parent.id}; {instead})"
        return Problem(problem.argument, why, problem.kind)


@dataclass(frozen=True)
class Retake:
    """A request made from an earlier one, ready for `Engine.start` and `Engine.rehearse`."""

    request: Inputs
    model: str | None
    strict: bool
    fallback: bool
    again: Again

    @property
    def wanted(self) -> dict[str, Any]:
        """The arguments of both."""
        return {name: getattr(self, name) for name in ("request", "model", "strict", "fallback", "again")}


def retake(parent: Task, overrides: Mapping[str, Any], catalog: Catalog) -> Retake:
    """The request of an earlier task with changes.

    Raises `InvalidInput`. Whether the task may be made again is for `Again` to say.
    """
    changes = {name: value for name, value in overrides.items() if value != ""}  # some models fill in all there is
    problems = [*strange(parent.mode, changes), *wrong_choices(changes)]
    wrong = {each.argument for each in problems}
    usable = {name: value for name, value in changes.items() if f"overrides.{name}"[:LONGEST] not in wrong}
    request, given = changed(parent, usable, problems)
    warnings: list[str] = []
    model = changes["model"] if "model" in changes else model_of(parent, catalog, warnings)
    arguments = picture_arguments(catalog, parent)
    copies = {arguments[name]: picture for name, picture in parent.pictures.items() if name in arguments}
    again = Again(
        parent=parent,
        pictures={name: picture for name, picture in copies.items() if name not in given},
        inherited=inherited(parent.request, given),
        warnings=tuple(warnings),
        keeps_model="model" not in changes and model is not None,
    )
    strict: bool = usable.get("strict", parent.strict)
    if problems:
        again.require_known()
        raise InvalidInput(problems=[*problems, *others(again, request, model, catalog, strict=strict)])
    return Retake(request, model, strict, changes.get("fallback", False), again)


def strange(mode: Mode, changes: Mapping[str, Any]) -> Iterator[Problem]:
    """A problem for each override that is no argument of this mode's generate tool."""
    others = {name for names in OWN.values() for name in names} - set(OWN[mode])
    inputs = [name for name in Inputs.model_fields if name not in others and name != "mode"]
    for name in changes:
        if name in BESIDE:
            yield Problem(f"overrides.{name}", "give it beside overrides, not in it")
        elif name not in inputs and name not in CHOICES:
            near = get_close_matches(name, [*inputs, *CHOICES], n=2, cutoff=0.5)
            there = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join((*inputs, *CHOICES))}"
            yield Problem(f"overrides.{name}"[:LONGEST], f"it is not an argument of {mode}; {there}")


def wrong_choices(changes: Mapping[str, Any]) -> Iterator[Problem]:
    """A problem for each choice that is of the wrong type."""
    if not isinstance(changes.get("model"), str | None):
        yield Problem("overrides.model", "it is not a text; write provider/model, or null for the best one")
    for name in ("strict", "fallback"):
        if not isinstance(changes.get(name, False), bool):
            yield Problem(f"overrides.{name}", "it is neither true nor false")
    options = changes.get("options")
    if options is not None and not isinstance(options, dict):
        yield Problem("overrides.options", "it is not an object; write the model's own inputs by name")


def others(again: Again, request: Inputs, model: object, catalog: Catalog, *, strict: bool) -> Iterable[Problem]:
    """What the model would refuse beside what is wrong already, so that all of it is told at once."""
    if not isinstance(model, str):
        return ()
    try:
        listed = catalog.find(model)
    except UnknownModel as error:
        return (Problem("overrides.model", str(error).removeprefix("model: ")),)
    problems = check(listed.id, listed.model, request, strict=strict).problems
    return (again.explained(each, listed.model) for each in problems)


def changed(parent: Task, changes: Mapping[str, Any], problems: list[Problem]) -> tuple[Inputs, dict[str, Any]]:
    """What was asked, with the changes, and those of them that could be made.

    A problem is added for each value of the wrong type, and that change left out.
    """
    given = {name: value for name, value in changes.items() if name not in CHOICES}
    try:
        return put_over(parent, given), given
    except ValidationError as error:
        mistakes = error.errors(include_url=False, include_input=False)
    named = [(".".join(map(str, ("overrides", *each["loc"]))), each["msg"]) for each in mistakes]
    problems += [Problem(name, f"{message[:1].lower()}{message[1:]}") for name, message in named]
    wrong = {each["loc"][0] for each in mistakes if each["loc"]}
    given = {name: value for name, value in given.items() if name not in wrong}
    return put_over(parent, given), given


def put_over(parent: Task, given: Mapping[str, Any]) -> Inputs:
    """What was asked, with the changes. Raises `ValidationError` for values of the wrong type."""
    asked = {**parent.request, **given}
    if "options" in given:
        before: dict[str, Any] = parent.request.get("options", {})
        over: dict[str, Any] | None = given["options"]
        asked["options"] = {} if over is None else without_nulls({**before, **over})
    return Inputs.model_validate(without_nulls(asked))


def making(model: Model, mode: Mode) -> list[str]:
    """The inputs to change for another video: those that reach the model."""
    inputs = model.inputs_for(mode)
    return [name for name in MAKING if name in inputs and inputs[name].unused is None] or ["picture"]


def is_needed(argument: str, model: Model, mode: Mode) -> bool:
    """Whether a model cannot do without."""
    group, dot, name = argument.partition(".")
    inputs = model.options_for(mode) if dot else model.inputs_for(mode)
    spec = inputs.get(name if dot else group)
    return spec is not None and spec.required and spec.default is None


def without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are not left out."""
    return {name: value for name, value in values.items() if value is not None}


def model_of(parent: Task, catalog: Catalog, warnings: list[str]) -> str | None:
    """The model it was made with, unless the catalogue no longer has it."""
    try:
        return catalog.find(parent.model).id
    except UnknownModel:
        warnings.append(f"{parent.model} of task {parent.id} is no longer in the catalogue, so another model is chosen")
        return None


def inherited(request: Mapping[str, Any], given: Mapping[str, Any]) -> frozenset[str]:
    """The arguments that come from the earlier request, the model's own ones as `options.name`."""
    names = {name for name in request if name not in given and name not in ("mode", "options")}
    options: Iterable[str] = request.get("options", {})
    over: Mapping[str, Any] = given.get("options") or {}
    return frozenset(names | {f"options.{name}" for name in options if name not in over})


def shown_as(argument: str) -> str:
    """How to leave an argument out."""
    group, dot, name = argument.partition(".")
    return f'{{"{group}": {{"{name}": null}}}}' if dot else f'{{"{group}": null}}'

"""A request against a model's facts: every problem at once, or the provider's own words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from keyframe_mcp.catalog import limits, sizes, strangers
from keyframe_mcp.catalog.inputs import Input, Sendable
from keyframe_mcp.catalog.models import Model
from keyframe_mcp.catalog.prices import same
from keyframe_mcp.catalog.sizes import Shape
from keyframe_mcp.errors import Problem
from keyframe_mcp.task import Inputs

DROP = " Leave it out, or pass strict=false to drop it"
NO_SHAPES: Mapping[str, Shape] = MappingProxyType({})


@dataclass(frozen=True)
class Checked:
    """What came of checking a request. `wire` is complete but for the pictures, which are references still."""

    wire: dict[str, Sendable]
    pictures: dict[str, str]
    """Our argument name -> the wire name its picture goes under."""
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """One input of a model, and what the caller gave for it, if anything."""

    argument: str
    """`duration`, or `options.fps`."""
    wire: str
    spec: Input
    value: object

    @property
    def is_given(self) -> bool:
        """Whether the caller said something that can be sent."""
        return self.value is not None and self.spec.unused is None and not self.is_unset

    @property
    def is_unset(self) -> bool:
        """Whether the caller asked for what the provider chooses by itself."""
        return self.spec.unset is not None and same(self.value, self.spec.unset)


def check(
    model_id: str, model: Model, request: Inputs, *, strict: bool = True, shapes: Mapping[str, Shape] = NO_SHAPES
) -> Checked:
    """Everything wrong with `request` for this model, and what would be sent if nothing is.

    With `strict=False` an input the model does not have is dropped with a warning instead of refused. `shapes` holds
    width and height of the pictures that have been fetched, by argument name.
    """
    if request.mode not in model.modes:
        able = ", ".join(sorted(model.modes))
        return Checked({}, {}, (Problem("model", f"{model_id} does not do {request.mode}; it does {able}"),), ())
    asked = inputs_asked(model, request)
    strange = strangers.of(model_id, model, request)
    size = size_for(model, asked, shapes)
    wire = words(model, asked, size.wire) | strange.passed
    problems = (
        *(Problem(each.argument, each.message + DROP) for each in strange.problems if strict),
        *(problem for each in asked for problem in problems_of(model_id, each, wire, model.size_wires)),
        *clashes(each for each in asked if each.is_given),
        *size.problems,
    )
    warnings = (
        *(() if strict else (f"dropped {problem}" for problem in strange.problems)),
        *strange.warnings,
        *(f"{model_id} makes nothing of {each.argument}: {each.spec.unused}" for each in asked if is_idle(each)),
        *size.warnings,
        *sizes.unlike(shapes),
        *(sizes.ill_shaped(request.aspect_ratio, shapes) if takes_shapes(asked) else ()),
        *(() if problems else long_words(model, wire)),
    )
    shown = [each for each in asked if each.spec.type == "image" and each.is_given]
    return Checked(wire, {each.argument: each.wire for each in shown}, problems, warnings)


def inputs_asked(model: Model, request: Inputs) -> list[Asked]:
    """Every input the model has in this mode, with what was given for it."""
    given = request.given()
    asked = [
        Asked(name, model.wire(name, spec), spec, limits.read(spec, given.get(name)))
        for name, spec in model.inputs_for(request.mode).items()
    ]
    return asked + [
        Asked(f"options.{name}", model.wire(name, spec), spec, limits.read(spec, request.options.get(name)))
        for name, spec in model.options_for(request.mode).items()
    ]


def words(model: Model, asked: Iterable[Asked], size: Mapping[str, Sendable]) -> dict[str, Sendable]:
    """What is sent: what is always sent, our defaults, the size, and over them what was given."""
    sized = ("resolution", "aspect_ratio") if model.sizes else ()
    named = [each for each in asked if each.argument not in sized]
    defaults = {
        each.wire: limits.spelled(each.spec, each.spec.default)
        for each in named
        if each.spec.default is not None and not each.is_unset
    }
    given = {each.wire: limits.spelled(each.spec, each.value) for each in named if is_usable(each)}
    return {**model.fixed, **defaults, **size, **given}


def is_usable(each: Asked) -> bool:
    """Whether a value was given that is right."""
    return each.is_given and not limits.wrong(each.argument, each.spec, each.value)


def is_idle(each: Asked) -> bool:
    """Whether something was given that the model makes nothing of."""
    return each.value is not None and each.spec.unused is not None


def problems_of(model_id: str, each: Asked, wire: Mapping[str, object], sized: Collection[str]) -> list[Problem]:
    """What is wrong with one input: a wrong value, or none where one is needed."""
    if each.value is not None and not each.is_unset:
        return limits.wrong(each.argument, each.spec, each.value)
    # What `sizes` decides is there, or the resolution or aspect ratio that kept it from being decided is a problem.
    if not each.spec.required or each.wire in wire or each.spec.default is not None or each.wire in sized:
        return []
    about = f": {each.spec.about}" if each.spec.about else ""
    return [Problem(each.argument, f"{model_id} needs it{about}")]


def clashes(given: Iterable[Asked]) -> list[Problem]:
    """A problem for inputs that were given and decide one and the same thing."""
    first: dict[str, Asked] = {}
    found: list[Problem] = []
    for each in given:
        other = first.setdefault(each.wire, each)
        if other is not each:
            found.append(Problem(other.argument, f"it and {each.argument} both set {each.wire}; give one of them"))
    return found


def size_for(model: Model, asked: Iterable[Asked], shapes: Mapping[str, Shape]) -> sizes.Chosen:
    """The size that is sent for resolution and aspect ratio, or the aspect ratio that suits the first picture."""
    by_name = {each.argument: each for each in asked}
    ratio, resolution = by_name.get("aspect_ratio"), by_name.get("resolution")
    if not model.sizes:
        return shaped(ratio, shapes)
    decided = [each for each in by_name.values() if each.wire in model.size_wires and each.is_given]
    said = [each for each in (resolution, ratio) if each is not None and each.is_given]
    if decided:
        return sizes.Chosen(problems=tuple(twice_sized(decided[0], each) for each in said))
    if ratio is None or resolution is None or not all(is_usable(each) for each in said):
        return sizes.Chosen()
    insisted = any(each.spec.required for each in by_name.values() if each.wire in model.size_wires)
    wish = sizes.Wish(
        text(resolution.value),
        text(ratio.value),
        text(resolution.spec.usual),
        text(ratio.spec.usual),
        is_filled_in=insisted or resolution.spec.default is not None or ratio.spec.default is not None,
    )
    return sizes.choose(model.sizes, wish, shapes)


def shaped(ratio: Asked | None, shapes: Mapping[str, Shape]) -> sizes.Chosen:
    """The aspect ratio nearest to the first picture, where the model takes aspect ratios and none was given."""
    picture = sizes.first_picture(shapes)
    if ratio is None or not ratio.spec.from_picture or ratio.value is not None or picture is None:
        return sizes.Chosen()
    possible = [each for each in ratio.spec.values or () if isinstance(each, str) and sizes.RATIO.match(each)]
    if not possible:
        return sizes.Chosen()
    chosen, warnings = sizes.shape_for(picture, None, possible)
    sent = limits.spelled(ratio.spec, chosen)
    return sizes.Chosen({} if isinstance(sent, list) else {ratio.wire: sent}, (), warnings)


def takes_shapes(asked: Iterable[Asked]) -> bool:
    """Whether the model makes something of an aspect ratio."""
    return any(each.argument == "aspect_ratio" and each.spec.unused is None for each in asked)


def twice_sized(decided: Asked, also: Asked) -> Problem:
    """That a size was given twice."""
    return Problem(decided.argument, f"it and {also.argument} both decide the size; give one of them")


def text(value: object) -> str | None:
    """A text, or nothing."""
    return value if isinstance(value, str) else None


def long_words(model: Model, wire: Mapping[str, object]) -> list[str]:
    """How long the video will be, where a formula says so, and that it may be too long to be made."""
    length = model.expected_length(wire)
    if length is None:
        return []
    too_long = "this may take longer than the provider lets a job run (30 minutes); ask for fewer frames or steps"
    return [length.note, *([too_long] if length.is_long else [])]

"""A request against a model's facts: every problem at once, or the provider's own words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from keyframe_mcp.catalog.entries import Input, Model, Value, is_a
from keyframe_mcp.errors import Problem
from keyframe_mcp.task import Inputs

DROP = " Leave it out, or pass strict=false to drop it"


@dataclass(frozen=True)
class Checked:
    """What came of checking a request. `wire` is complete but for the pictures, which are references still."""

    wire: dict[str, Value]
    pictures: dict[str, str]
    """Our argument name -> the wire name its picture goes under."""
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]


def check(model_id: str, model: Model, request: Inputs, *, strict: bool = True) -> Checked:
    """Everything wrong with `request` for this model, and what would be sent if nothing is.

    With `strict=False` an input the model does not have is dropped with a warning instead of refused.
    """
    if request.mode not in model.modes:
        able = ", ".join(sorted(model.modes))
        return Checked({}, {}, (Problem("model", f"{model_id} does not do {request.mode}; it does {able}"),), ())
    specs, given = model.inputs_for(request.mode), request.given()
    strange = [
        *(strangers(model_id, "", given, specs)),
        *(strangers(model_id, "options.", request.options, model.options)),
    ]
    named = [("", name, spec, given.get(name)) for name, spec in specs.items()]
    named += [("options.", name, spec, request.options.get(name)) for name, spec in model.options.items()]
    found = [one_input(model_id, *each) for each in named]
    shown = [name for name, spec in specs.items() if spec.type == "image" and spec.unused is None and name in given]
    return Checked(
        wire={key: value for each in found for key, value in each.wire.items()},
        pictures={name: specs[name].wire or name for name in shown},
        problems=(
            *(Problem(each.argument, each.message + DROP) for each in strange if strict),
            *(problem for each in found for problem in each.problems),
        ),
        warnings=(
            *(() if strict else (f"dropped {problem}" for problem in strange)),
            *(warning for each in found for warning in each.warnings),
        ),
    )


def one_input(model_id: str, prefix: str, name: str, spec: Input, value: object) -> Checked:
    """One input of a model: what it becomes, or what is wrong with it."""
    if value is None:
        default = {} if spec.default is None else {spec.wire or name: spelled(spec, spec.default)}
        return Checked(default, {}, tuple(missing(model_id, prefix + name, spec)), ())
    if spec.unused is not None:
        problems = tuple(wrong(prefix + name, spec, value))
        return Checked({}, {}, problems, (f"{model_id} makes nothing of {name}: {spec.unused}",))
    return Checked({spec.wire or name: spelled(spec, value)}, {}, tuple(wrong(prefix + name, spec, value)), ())


def strangers(model_id: str, prefix: str, given: Iterable[str], known: Mapping[str, Input]) -> list[Problem]:
    """A problem for each input the model does not have."""
    return [Problem(prefix + name, no_such(model_id, name, known)) for name in given if name not in known]


def no_such(model_id: str, name: str, known: Mapping[str, Input]) -> str:
    """That a model has no such input, and which one may have been meant."""
    near = get_close_matches(name, known, n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else f"it takes {', '.join(sorted(known)) or 'none'}."
    return f"{model_id} has no such input; {hint}"


def missing(model_id: str, name: str, spec: Input) -> list[Problem]:
    """A problem if the model cannot do without this input."""
    needed = spec.required and spec.default is None
    return [Problem(name, f"{model_id} needs it{': ' + spec.about if spec.about else ''}")] if needed else []


def wrong(name: str, spec: Input, value: object) -> list[Problem]:
    """What is wrong with one value, with the nearest one that would have worked."""
    if not is_a(spec.type, value):
        return [Problem(name, f"{quoted(value)} is not {'an' if spec.type[0] in 'aeiou' else 'a'} {spec.type}")]
    if spec.values is not None:
        return [] if value in spec.values else [Problem(name, not_among(value, list(spec.values)))]
    if isinstance(value, str):
        return text_problems(name, spec, value)
    return number_problems(name, spec, value) if isinstance(value, int | float) else []


def text_problems(name: str, spec: Input, value: str) -> list[Problem]:
    """Text that is empty though needed, or too long."""
    if spec.required and not value.strip():
        return [Problem(name, "it is empty; give it some text")]
    if spec.max_length is not None and len(value) > spec.max_length:
        return [Problem(name, f"it has {len(value)} characters; at most {spec.max_length} work")]
    return []


def number_problems(name: str, spec: Input, value: float) -> list[Problem]:
    """A number outside its range, or between its steps."""
    if not is_finite(value):
        return [Problem(name, f"{quoted(value)} is not a number that can be used")]
    low, high = spec.min, spec.max
    if (low is not None and value < low) or (high is not None and value > high):
        nearest = low if low is not None and value < low else high
        return [Problem(name, f"{plain(value)} is not within {bounds(low, high)}; nearest: {plain(nearest)}")]
    return [] if spec.step is None else step_problems(name, value, spec.step, low or 0, high)


def step_problems(name: str, value: float, step: float, start: float, high: float | None) -> list[Problem]:
    """A number between its steps. A hair beside one is on it: 0.3 is three times 0.1."""
    beside = math.remainder(value - start, step)
    if abs(beside) <= step * 1e-6:
        return []
    nearest = value - beside
    if high is not None and nearest > high:
        nearest -= step
    return [Problem(name, f"{plain(value)} is not a step of {plain(step)}; nearest: {plain(round(nearest, 9))}")]


def is_finite(value: float) -> bool:
    """Whether a number has a size; one too large for any arithmetic has none here."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def plain(value: float | None) -> str:
    """A number with every digit: a rounded limit would be refused in its turn."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def quoted(value: object) -> str:
    """A value for an error text, cut where it gets long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def bounds(low: float | None, high: float | None) -> str:
    """A range in words."""
    if low is None:
        return f"at most {plain(high)}"
    return f"{plain(low)} to {plain(high)}" if high is not None else f"at least {plain(low)}"


def not_among(value: object, values: list[Value]) -> str:
    """That a value is not accepted, with the nearest that is."""
    text = f"{quoted(value)} is not one of {', '.join(map(str, values))}"
    numbers = [each for each in values if isinstance(each, int | float)]
    if isinstance(value, int | float) and numbers:
        return f"{text}; nearest: {min(numbers, key=lambda each: abs(each - value))}"
    near = get_close_matches(str(value)[:80], map(str, values), n=1, cutoff=0.3)
    return f"{text}; did you mean {near[0]}?" if near else text


def spelled(spec: Input, value: object) -> Value:
    """A value as the provider writes it, 5 and not 5.0. One of a wrong type stays as it is: it is refused anyway."""
    if isinstance(spec.values, dict) and isinstance(value, str):
        return spec.values.get(value, value)
    if isinstance(spec.values, list):
        return next((each for each in spec.values if each == value), str(value))
    if spec.type == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, str | int | float) else str(value)

"""One value against one input: what is wrong with it, and how it is written on the wire."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import cast

from keyframe_mcp.catalog.inputs import Input, Sendable, Value, is_a
from keyframe_mcp.errors import Problem

DATA = re.compile(r"\s*data:[\w/+.-]*;base64,", re.IGNORECASE)
NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?")


def read(spec: Input, value: object) -> object:
    """A value given as text for an input that is none: "5" is 5, "true" is True. Whatever else stays as it is."""
    if not isinstance(value, str) or spec.type in ("string", "image"):
        return value
    text = value.strip()
    if spec.type == "boolean":
        return {"true": True, "false": False}.get(text.lower(), value)
    if spec.type == "list":
        return read_list(text, value)
    if not NUMBER.fullmatch(text):
        return value
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


def read_list(text: str, otherwise: object) -> object:
    """A JSON list in a text."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return otherwise
    return cast("object", found) if isinstance(found, list) else otherwise


def wrong(name: str, spec: Input, value: object) -> list[Problem]:
    """What is wrong with one value, with the nearest one that would have worked."""
    if not is_a(spec.type, value):
        return [Problem(name, f"{quoted(value)} is not {'an' if spec.type[0] in 'aeiou' else 'a'} {spec.type}")]
    if spec.values is not None:
        return [] if value in spec.values else [Problem(name, not_among(value, list(spec.values)))]
    if isinstance(value, str):
        return text_problems(name, spec, value)
    if isinstance(value, list):
        return list_problems(name, spec, cast("list[object]", value))
    return number_problems(name, spec, value) if isinstance(value, int | float) else []


def text_problems(name: str, spec: Input, value: str) -> list[Problem]:
    """Text that is empty though needed, too long, or of another form."""
    if spec.type == "string" and DATA.match(value):
        return [Problem(name, "a data: URI does not work here; give a public https URL")]
    if spec.required and not value.strip():
        return [Problem(name, "it is empty; give it some text")]
    if spec.max_length is not None and len(value) > spec.max_length:
        return [Problem(name, f"it has {len(value)} characters; at most {spec.max_length} work")]
    if spec.pattern is not None and not re.fullmatch(spec.pattern, value):
        return [Problem(name, f"{quoted(value)} does not have the form {spec.pattern}")]
    return []


def list_problems(name: str, spec: Input, value: list[object]) -> list[Problem]:
    """A list that is too long, or holds what JSON cannot."""
    if spec.max_length is not None and len(value) > spec.max_length:
        return [Problem(name, f"it has {len(value)} entries; at most {spec.max_length} work")]
    if any(isinstance(each, str) and DATA.match(each) for each in value):
        return [Problem(name, "data: URIs do not work here; give public https URLs")]
    return [] if is_json(value) else [Problem(name, "it holds a value that JSON cannot carry")]


def is_json(value: object) -> bool:
    """Whether a value can be sent as JSON: infinity and what is nested without end cannot."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


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
    text = plain(value) if isinstance(value, float) else repr(value)
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
    if (asked := extent(value)) and (sized := {each: size for each in values if (size := extent(each))}):
        return f"{text}; nearest: {min(sized, key=lambda each: abs(math.log(sized[each] / asked)))}"
    near = get_close_matches(str(value)[:80], map(str, values), n=1, cutoff=0.3)
    return f"{text}; did you mean {near[0]}?" if near else text


def extent(value: object) -> float | None:
    """How large a resolution such as 720p or 4k is, or how wide an aspect ratio such as 16:9; None for other text."""
    match = re.fullmatch(r"(\d{1,5})([pk])|(\d{1,5}(?:\.\d+)?):(\d{1,5}(?:\.\d+)?)", str(value).strip().lower())
    if match is None or 0 in {float(each) for each in match.group(1, 3, 4) if each}:
        return None
    if match[3]:
        return float(match[3]) / float(match[4])
    return int(match[1]) * (540 if match[2] == "k" else 1)


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """The names that may have been meant, or else what there is."""
    near = get_close_matches(name, list(known), n=2, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else otherwise


def spelled(spec: Input, value: object) -> Sendable:
    """An accepted value as the provider writes it: 5 and not 5.0, frames for seconds, `wait=5`."""
    if isinstance(spec.values, dict) and isinstance(value, str):
        sent: object = spec.values.get(value, value)
    elif isinstance(spec.values, list):
        sent = next((each for each in spec.values if each == value), value)
    else:
        sent = value
    if isinstance(sent, int | float) and not isinstance(sent, bool):
        sent = multiplied(spec, sent)
    if spec.template is not None:
        return spec.template.replace("{}", in_text(sent))
    return cast("Sendable", sent)


def in_text(value: object) -> str:
    """A value inside a text: true and not True, 2 and not 2.0."""
    if isinstance(value, bool):
        return str(value).lower()
    return plain(value) if isinstance(value, float) else str(value)


def multiplied(spec: Input, value: float) -> float:
    """A number times what the provider counts in, and whole where it counts whole things."""
    product = value if spec.times is None else value * spec.times
    if spec.rounded_to is not None:
        return round(product / spec.rounded_to) * spec.rounded_to
    whole = spec.type == "integer" or (spec.times is not None and float(product).is_integer())
    return int(product) if whole and isinstance(product, float) and product.is_integer() else product

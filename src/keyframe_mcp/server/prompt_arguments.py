"""Reading what a person gives to a prompt: all of it is text, and nothing of it is passed over."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from mcp.types import Prompt

from keyframe_mcp.errors import InvalidInput, Problem

Given = Mapping[str, str]

MOST_CHARACTERS = 20_000


def read(prompt: Prompt, given: Given) -> Given:
    """The arguments that were given, empty ones left out. Raises `InvalidInput` with every problem."""
    known = {each.name: each for each in prompt.arguments or ()}
    kept = {name: value.strip() for name, value in given.items() if value.strip()}
    problems = [Problem(name[:80], unknown(name, known)) for name in kept if name not in known]
    problems += [Problem(name, "is missing") for name, each in known.items() if each.required and name not in kept]
    problems += [
        Problem(name, f"is {len(value)} characters long; give at most {MOST_CHARACTERS}")
        for name, value in kept.items()
        if len(value) > MOST_CHARACTERS
    ]
    if problems:
        raise InvalidInput(problems=problems)
    return kept


def unknown(name: str, known: Mapping[str, object]) -> str:
    """What to say of an argument there is not."""
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return (
        f"is not an argument; did you mean {near[0]}?" if near else f"is not an argument; there are {', '.join(known)}"
    )


def whole(given: Given, name: str, most: int) -> int | None:
    """A count. Raises `InvalidInput`."""
    if name not in given:
        return None
    text = given[name]
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= most):
        raise InvalidInput(problems=[Problem(name, f"{text[:80]!r} is not a whole number from 1 to {most}")])
    return int(text)


def seconds(given: Given) -> float:
    """The length of a shot. Raises `InvalidInput`."""
    text = given["duration"].removesuffix("s").strip()
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 600:
        raise InvalidInput(problems=[Problem("duration", f"{text[:80]!r} is not a number of seconds up to 600")])
    return value

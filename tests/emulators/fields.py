"""Inputs as a provider's page lists them: type, whether required, accepted values or range. One rule per input.

Strict on purpose: a name the page does not list is refused too. No page says what the real services do with one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

DATA_URI = re.compile(r"data:image/(png|jpeg|jpg);base64,[A-Za-z0-9+/]+={0,2}")
"""No space after the comma, although one page has one in its sample."""

WEB_URL = re.compile(r"https?://[^\s/]+(/\S*)?")


@dataclass(frozen=True)
class Rule:
    """What one input may be. `url` is a string with an http(s) address; `picture` may be a data URI as well."""

    kind: Literal["string", "integer", "number", "boolean", "url", "urls", "picture", "seed"]
    required: bool = False
    values: tuple[object, ...] = ()
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Problem:
    """What is wrong with one input: what kind of mistake, in words, and the rule it broke, if there is one."""

    name: str
    kind: Literal["missing", "type", "enum", "least", "most", "empty", "unknown"]
    text: str
    rule: Rule = Rule("string")


def is_integer(value: object) -> bool:
    """Whether it is a whole number in JSON. True and 5.0 are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_url(value: object) -> bool:
    """Whether it is an address on the web."""
    return isinstance(value, str) and WEB_URL.fullmatch(value) is not None


CHECKS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "string": ("a string", lambda value: isinstance(value, str)),
    "integer": ("an integer", is_integer),
    "number": ("a number", lambda value: is_integer(value) or isinstance(value, float)),
    "boolean": ("a boolean", lambda value: isinstance(value, bool)),
    "url": ("a URL", is_url),
    "urls": ("a list of URLs", lambda value: isinstance(value, list) and all(is_url(each) for each in value)),
    "picture": (
        "a URL or a data URI of a png or jpeg",
        lambda value: is_url(value) or (isinstance(value, str) and DATA_URI.fullmatch(value) is not None),
    ),
    "seed": ("an integer or null", lambda value: value is None or is_integer(value)),
}


def problems(inputs: object, rules: Mapping[str, Rule]) -> Iterator[Problem]:
    """Everything that is wrong with a body, in the order of the page."""
    given = cast("dict[str, Any]", inputs) if isinstance(inputs, dict) else {}
    for name, rule in rules.items():
        if name in given:
            yield from complaints(name, given[name], rule)
        elif rule.required:
            yield Problem(name, "missing", f"property '{name}' is missing", rule)
    for name in given.keys() - rules.keys():
        yield Problem(name, "unknown", f"property '{name}' is unsupported")


def complaints(name: str, value: Any, rule: Rule) -> Iterator[Problem]:
    """What is wrong with one value."""
    wanted, fits = CHECKS[rule.kind]
    if rule.required and value == "":
        yield Problem(name, "empty", f"property '{name}' must not be empty", rule)
    elif not fits(value):
        yield Problem(name, "type", f"property '{name}' must be {wanted}", rule)
    elif rule.values and value not in rule.values:
        choice = ", ".join(str(each) for each in rule.values)
        yield Problem(name, "enum", f"property '{name}' must be one of {choice}", rule)
    elif rule.least is not None and value is not None and value < rule.least:
        yield Problem(name, "least", f"property '{name}' must be at least {rule.least:g}", rule)
    elif rule.most is not None and value is not None and value > rule.most:
        yield Problem(name, "most", f"property '{name}' must be at most {rule.most:g}", rule)

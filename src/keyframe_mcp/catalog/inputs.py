"""One input of a model: how it is spelled, what it accepts, and what the provider does without it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from keyframe_mcp.task import Mode

Value = str | int | float | bool
Sendable = Value | list[Any]
Confidence = Literal["H", "M", "L"]
"""How sure a fact is: H from the provider's own pages or code, M from others' that agree, L inferred."""

WIRE = r"^(header:[A-Za-z][A-Za-z0-9-]*|(\w+\.)*\w+(\[\d+\])?)$"
WireName = Annotated[str, StringConstraints(pattern=WIRE)]
"""`prompt`, `input.prompt` (inside a table), `images[0]` (in a list) or `header:Prefer` (not in the body at all)."""

TYPES: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {
        "string": (str,),
        "image": (str,),
        "boolean": (bool,),
        "integer": (int,),
        "number": (int, float),
        "list": (list,),
    }
)


def is_a(kind: str, value: object) -> bool:
    """Whether a value is of a type. 5.0 is an integer, as in JSON; True is none."""
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[kind])


class Entry(BaseModel):
    """Frozen, and a key nobody knows is an error: it is nearly always a spelling mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Input(Entry):
    """How one input is spelled, and limited, by one model."""

    type: Literal["string", "integer", "number", "boolean", "image", "list"]
    """string, integer, number, boolean, image, or list: a JSON array, for options only."""
    wire: WireName | None = None
    """The provider's name for it, when it is not the model's `prefix` and our name."""
    required: bool = False
    """Whether the provider insists on it. One with a default may be left out all the same: it is filled in."""
    default: Value | None = None
    """What is sent when the caller says nothing. Leave it out to let the provider decide."""
    provider_default: Value | None = None
    """What the provider documents it does when nothing is sent. Never sent; shown to agents, and prices rest on it."""
    values: list[Value] | dict[str, Value] | None = None
    """Accepted values. For type string it may be a table, which also says how each is spelled on the wire."""
    min: int | float | None = None
    """The lowest number accepted."""
    max: int | float | None = None
    """The highest."""
    step: Annotated[int | float, Field(gt=0)] | None = None
    """Only `min` and every so much above it is accepted."""
    max_length: int | None = None
    """At most this many characters, or entries of a list."""
    pattern: str | None = None
    """A regular expression the whole text must match."""
    times: Annotated[int | float, Field(gt=0)] | None = None
    """The value is multiplied by this on the wire: 30 makes seconds into frames."""
    rounded_to: Annotated[int, Field(gt=0)] | None = None
    """With `times`: the product is rounded to a multiple of this."""
    template: str | None = None
    """The text sent, with {} for the value: `wait={}`."""
    unset: Value | None = None
    """A value that means "the provider chooses": it is accepted, and left out of what is sent."""
    from_picture: bool = False
    """For aspect_ratio: when the caller says nothing, the nearest to the first picture is chosen."""
    modes: frozenset[Mode] | None = None
    """The modes it belongs to, when not all of the model's."""
    unused: str | None = None
    """Why the model accepts it and makes nothing of it. Becomes a warning in the result."""
    confidence: Confidence | None = None
    """How sure this is, when it is not as sure as the rest of the model."""
    about: str = ""
    """What an agent should know to use it."""

    @property
    def usual(self) -> Value | None:
        """What holds when the caller says nothing, whoever fills it in."""
        return self.provider_default if self.default is None else self.default

    @model_validator(mode="after")
    def values_suit_the_type(self) -> Self:
        """A value of another type could never be given, and a range the wrong way round has nothing in it."""
        if isinstance(self.values, dict) and self.type != "string":
            raise ValueError(
                f"values is a table, which only type 'string' has; for type {self.type!r} write a list, "
                'and spell its values with template (such as "{}s") or times'
            )
        for value in (self.default, self.provider_default, self.unset, *(self.values or ())):
            if value is not None and not is_a(self.type, value):
                raise ValueError(f"{value!r} is not of type {self.type!r}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self

    @model_validator(mode="after")
    def limits_agree(self) -> Self:
        """A limit must suit the type, and the defaults must be within the limits."""
        numeric = self.type in ("integer", "number")
        if not numeric and (self.min, self.max, self.step, self.times) != (None, None, None, None):
            raise ValueError(f"min, max, step and times are for numbers, not for type {self.type!r}")
        for word, value in (("default", self.default), ("provider_default", self.provider_default)):
            if value is not None and self.values is not None and value not in self.values:
                raise ValueError(f"{word} {value!r} is not among its values")
            low, high = self.min, self.max
            if (
                numeric
                and isinstance(value, int | float)
                and not ((low is None or value >= low) and (high is None or value <= high))
            ):
                raise ValueError(f"{word} {value} is outside {low}..{high}")
        return self

    @model_validator(mode="after")
    def spelling_is_possible(self) -> Self:
        """A template has a place for the value, rounding has a product to round, a pattern is a pattern."""
        if self.template is not None and "{}" not in self.template:
            raise ValueError(f"template {self.template!r} has no {{}} for the value")
        if self.rounded_to is not None and self.times is None:
            raise ValueError("rounded_to needs times")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern {self.pattern!r} is no regular expression: {error}") from None
        is_free = self.type == "list" or (self.type in ("string", "image") and self.values is None)
        if is_free and (self.wire or "").startswith("header:"):
            raise ValueError("a header takes no free text: a line break in it would be another header")
        return self

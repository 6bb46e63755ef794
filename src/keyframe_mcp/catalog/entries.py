"""The shape of a catalogue file: facts about a provider and its models, nothing that runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from keyframe_mcp.task import Inputs, Mode

Value = str | int | float | bool
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$")]

NEEDS: dict[Mode, frozenset[str]] = {
    Mode.FLF2V: frozenset({"first_image", "last_image"}),
    Mode.I2V: frozenset({"image"}),
    Mode.T2V: frozenset({"prompt"}),
    Mode.ANIMATION: frozenset({"prompt_start", "prompt_end"}),
}
"""What makes a mode the mode it is. A model that claims a mode must take these."""

UNIFIED = frozenset(Inputs.model_fields) - {"mode", "options"}

TYPES: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {"string": (str,), "image": (str,), "boolean": (bool,), "integer": (int,), "number": (int, float)}
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

    model_config = ConfigDict(frozen=True, extra="forbid")


class Input(Entry):
    """How one input is spelled, and limited, by one model."""

    type: Literal["string", "integer", "number", "boolean", "image"]
    wire: str | None = None
    """The provider's name for it, when it is not ours."""
    required: bool = False
    default: Value | None = None
    """What is sent when the caller says nothing. Leave it out to let the provider decide."""
    values: list[Value] | dict[str, Value] | None = None
    """Accepted values; a table also says how each is spelled on the wire."""
    min: int | float | None = None
    max: int | float | None = None
    step: Annotated[int | float, Field(gt=0)] | None = None
    max_length: int | None = None
    modes: frozenset[Mode] | None = None
    """The modes it belongs to, when not all of the model's."""
    unused: str | None = None
    """Why the model accepts it and makes nothing of it. Becomes a warning in the result."""
    about: str = ""

    @model_validator(mode="after")
    def values_suit_the_type(self) -> Self:
        """A value of another type could never be given, and a range the wrong way round has nothing in it."""
        for value in (self.default, *(self.values or ())):
            if value is not None and not is_a(self.type, value):
                raise ValueError(f"{value!r} is not of type {self.type!r}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self

    @model_validator(mode="after")
    def limits_agree(self) -> Self:
        """A limit must suit the type, and the default must be within the limits."""
        numeric = self.type in ("integer", "number")
        if not numeric and (self.min, self.max, self.step) != (None, None, None):
            raise ValueError(f"min, max and step are for numbers, not for type {self.type!r}")
        if self.default is not None and self.values is not None and self.default not in self.values:
            raise ValueError(f"default {self.default!r} is not among its values")
        if numeric and isinstance(self.default, int | float):
            low, high = self.min, self.max
            if (low is not None and self.default < low) or (high is not None and self.default > high):
                raise ValueError(f"default {self.default} is outside {low}..{high}")
        return self


class Price(Entry):
    """What a video costs in US dollars, as far as it is known."""

    usd: float = Field(ge=0)
    per: Literal["video", "second"]


class Model(Entry):
    """One model. `source` is where its facts come from, `verified` the day somebody last looked."""

    id: Name
    remote: str
    title: str
    modes: frozenset[Mode]
    generative: bool = True
    source: str
    verified: date
    notes: str = ""
    price: Price | None = None
    inputs: dict[str, Input]
    options: dict[str, Input] = {}

    @model_validator(mode="after")
    def modes_are_possible(self) -> Self:
        """Every mode has the inputs that make it that mode, and every input is one of our words."""
        if not self.modes:
            raise ValueError("modes is empty: name at least one of " + ", ".join(Mode))
        if strange := self.inputs.keys() - UNIFIED:
            raise ValueError(
                f"inputs.{min(strange)} is not one of our inputs ({', '.join(sorted(UNIFIED))}); "
                "a parameter only this model has belongs in options"
            )
        for mode in self.modes:
            if missing := NEEDS[mode] - self.inputs_for(mode).keys():
                raise ValueError(f"mode {mode} needs inputs.{min(missing)}")
        return self

    def inputs_for(self, mode: Mode) -> dict[str, Input]:
        """The inputs that exist in one mode."""
        return {name: spec for name, spec in self.inputs.items() if spec.modes is None or mode in spec.modes}


class Provider(Entry):
    """One place videos can be made: how it is spoken to, where, and with which key."""

    name: str
    dialect: str
    docs: str
    key: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    """The environment variable its key is in. None: it needs no key."""
    models: list[Model]

    @model_validator(mode="after")
    def ids_are_unique(self) -> Self:
        """Two models with one id would hide each other."""
        ids = [model.id for model in self.models]
        if twice := {name for name in ids if ids.count(name) > 1}:
            raise ValueError(f"two models have the id {min(twice)!r}")
        return self


PROVIDER_ID = re.compile(r"^[a-z0-9][a-z0-9_-]*$")

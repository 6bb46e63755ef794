"""A model as the catalogue describes it: what it takes, how that is spelled, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from itertools import chain
from typing import Annotated, Any, Self, cast

from pydantic import Field, StringConstraints, model_validator

from keyframe_mcp.catalog.inputs import Confidence, Entry, Input, Value, WireName
from keyframe_mcp.catalog.lengths import LENGTHS, Length
from keyframe_mcp.catalog.limits import spelled
from keyframe_mcp.catalog.prices import Price
from keyframe_mcp.catalog.sizes import RATIO
from keyframe_mcp.catalog.wires import collision
from keyframe_mcp.task import ImageFormat, Inputs, Mode

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
# it becomes part of a path: no `..`, no query, no slash at either end
Remote = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_](\.?[A-Za-z0-9_~:@+-]|/[A-Za-z0-9_])*$")]

NEEDS: dict[Mode, frozenset[str]] = {
    Mode.FLF2V: frozenset({"first_image", "last_image"}),
    Mode.I2V: frozenset({"image"}),
    Mode.T2V: frozenset({"prompt"}),
    Mode.ANIMATION: frozenset({"prompt_start", "prompt_end"}),
}
"""What makes a mode the mode it is. A model that claims a mode must take these."""

UNIFIED = frozenset(Inputs.model_fields) - {"mode", "options"}


class Model(Entry):
    """One model: what it takes, how that is spelled, and what it costs."""

    id: Name
    """What callers say after the provider and a slash. Small letters, digits, `.`, `_` and `-`."""
    remote: Remote
    """The provider's own name for it."""
    version: Version | None = None
    """The exact version to ask for, where the provider has versions."""
    title: str
    """A few words to choose by."""
    modes: frozenset[Mode]
    """What it makes videos from: flf2v, i2v, t2v, animation. Each needs its own inputs."""
    generative: bool = True
    """False: what it makes is not AI video, and results say so."""
    source: str
    """Where these facts come from."""
    verified: date
    """The day somebody last looked."""
    confidence: Confidence
    """How sure these facts are: H from the provider's own pages or code, M from others' that agree, L inferred."""
    notes: str = ""
    """What an agent should know before choosing it, and where sources disagreed."""
    prefix: Annotated[str, StringConstraints(pattern=r"^((\w+\.)+)?$")] = ""
    """Put before every name on the wire that is not spelled out, such as `input.`."""
    inputs: dict[str, Input]
    """Words of ours, which mean the same with every model."""
    options: dict[str, Input] = Field(default_factory=dict[str, Input])
    """Parameters of this model alone."""
    open_options: bool = False
    """Whether options the catalogue does not know are passed on, with a warning. For models known in part only."""
    fixed: dict[WireName, Value] = Field(default_factory=dict[WireName, Value])
    """What is always sent."""
    sizes: dict[str, dict[str, dict[WireName, Value]]] = Field(
        default_factory=dict[str, dict[str, dict[WireName, Value]]]
    )
    """Resolution, then aspect ratio, then what is sent for that pair, for models that want a size instead."""
    prices: list[Price] = Field(default_factory=list[Price])
    """What it costs; the first rule that fits decides."""
    length: str | None = None
    """The formula in `lengths.py` that says how long its videos become."""
    picture_formats: list[ImageFormat] | None = None
    """The formats of pictures it reads, when they are not all of the provider's."""
    cancel: bool | None = None
    """Whether a running job can be stopped, when it differs from the provider's other models."""

    @model_validator(mode="before")
    @classmethod
    def resolution_and_aspect_ratio_come_from_sizes(cls, data: Any) -> Any:  # noqa: ANN401 - unchecked input
        """With `sizes`, both are inputs, and accept what the table has."""
        if not isinstance(data, dict):
            return data
        table = cast("dict[str, Any]", data)
        sizes, inputs = table.get("sizes"), table.get("inputs")
        if not isinstance(sizes, dict) or not isinstance(inputs, dict) or not sizes:
            return table
        sized, said = cast("dict[str, Any]", sizes), cast("dict[str, Any]", inputs)
        ratios = [list(cast("dict[str, Any]", each)) for each in sized.values() if isinstance(each, dict)]
        accepted = {"resolution": list(sized), "aspect_ratio": list(dict.fromkeys(chain.from_iterable(ratios)))}
        filled = {name: with_values(said.get(name, {}), name, values) for name, values in accepted.items()}
        return table | {"inputs": said | filled}

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

    @model_validator(mode="after")
    def kinds_are_in_their_place(self) -> Self:
        """Pictures are inputs, lists are options, and neither is a word of ours twice."""
        for name, spec in self.inputs.items():
            if spec.type == "list":
                raise ValueError(f"inputs.{name} is a list; lists belong in options")
        for name, spec in self.options.items():
            if spec.type == "image":
                raise ValueError(f"options.{name} is a picture; pictures belong in inputs")
        if twice := self.inputs.keys() & self.options.keys():
            raise ValueError(f"{min(twice)} is in inputs and in options")
        return self

    @model_validator(mode="after")
    def names_exist(self) -> Self:
        """Rules speak of wire names that are sent, and formulas exist."""
        known = {self.wire(name, spec) for name, spec in self.specs()} | self.size_wires | self.fixed.keys()
        if strange := {name for price in self.prices for name in price.when} - known:
            raise ValueError(f"prices speak of {min(strange)!r}, which this model is never sent")
        if twice := self.fixed.keys() & ({self.wire(name, spec) for name, spec in self.specs()} | self.size_wires):
            raise ValueError(f"fixed.{min(twice)} is also an input")
        if self.length is not None and self.length not in LENGTHS:
            raise ValueError(f"length {self.length!r} is not a formula; there is {', '.join(LENGTHS)}")
        if strange := {ratio for each in self.sizes.values() for ratio in each if not RATIO.match(ratio)}:
            raise ValueError(f"sizes: {min(strange)!r} is not an aspect ratio such as 16:9")
        return self

    @model_validator(mode="after")
    def every_mode_can_be_sent(self) -> Self:
        """No two inputs want one place. An input and an option may share a name, as two ways of saying one thing."""
        for mode in sorted(self.modes):
            inputs, options = self.inputs_for(mode), self.options_for(mode)
            for kind, specs in (("inputs", inputs), ("options", options)):
                if twice := self.sharing(specs):
                    raise ValueError(f"{kind}.{twice[0]} and {kind}.{twice[1]} have the same wire name in mode {mode}")
            needed = {name: spec for name, spec in {**inputs, **options}.items() if self.needs(name, spec)}
            if twice := self.sharing(needed):
                raise ValueError(f"{twice[0]} and {twice[1]} have the same wire name, and mode {mode} needs both")
            sent = {self.wire(name, spec) for name, spec in {**inputs, **options}.items() if spec.unused is None}
            if found := collision(sent | self.size_wires | self.fixed.keys()):
                raise ValueError(
                    f"{found[0]!r} and {found[1]!r} want the same place in a request of mode {mode}; "
                    "give one of them another wire name"
                )
        return self

    def sharing(self, specs: Mapping[str, Input]) -> tuple[str, str] | None:
        """Two inputs that are sent under one wire name."""
        first: dict[str, str] = {}
        for name, spec in specs.items():
            if spec.unused is None and (other := first.setdefault(self.wire(name, spec), name)) != name:
                return other, name
        return None

    @property
    def wire_names(self) -> frozenset[str]:
        """Every wire name something of this model is sent under."""
        named = {self.wire(name, spec) for name, spec in self.specs() if spec.unused is None}
        return frozenset(named | self.size_wires | self.fixed.keys())

    @property
    def size_wires(self) -> frozenset[str]:
        """The wire names that `sizes` decides."""
        return frozenset(name for ratios in self.sizes.values() for each in ratios.values() for name in each)

    @property
    def takes_pictures(self) -> bool:
        """Whether some mode starts from a picture."""
        return any(spec.type == "image" for spec in self.inputs.values())

    def needs(self, name: str, spec: Input) -> bool:
        """Whether the caller has to give it: the provider insists, and nothing here fills it in."""
        return spec.required and spec.default is None and self.wire(name, spec) not in self.size_wires

    def follows_picture(self, name: str) -> bool:
        """Whether an input that is not given is chosen to suit the first picture."""
        return name == "aspect_ratio" and self.takes_pictures and bool(self.sizes or self.inputs[name].from_picture)

    def inputs_for(self, mode: Mode) -> dict[str, Input]:
        """The inputs that exist in one mode."""
        return {name: spec for name, spec in self.inputs.items() if spec.modes is None or mode in spec.modes}

    def options_for(self, mode: Mode) -> dict[str, Input]:
        """The options that exist in one mode."""
        return {name: spec for name, spec in self.options.items() if spec.modes is None or mode in spec.modes}

    def specs(self) -> Iterator[tuple[str, Input]]:
        """Every input and option by our name."""
        yield from self.inputs.items()
        yield from self.options.items()

    def wire(self, name: str, spec: Input) -> str:
        """The provider's name for an input."""
        return spec.wire or self.prefix + name

    def in_effect(self, wire: Mapping[str, object]) -> dict[str, object]:
        """What is sent, and what the provider is documented to do where nothing is, by wire name."""
        usual = {
            self.wire(name, spec): spelled(spec, spec.usual) for name, spec in self.specs() if spec.usual is not None
        }
        return usual | dict(wire)

    def expected_length(self, wire: Mapping[str, object]) -> Length | None:
        """How long the video will be, for models with a formula."""
        if self.length is None:
            return None
        there = self.in_effect(wire)
        said = {name: there.get(self.wire(name, spec)) for name, spec in self.specs()}
        return LENGTHS[self.length](said)

    def measures(self, wire: Mapping[str, object]) -> dict[str, float | None]:
        """How many seconds and frames a video will have, as far as that is known."""
        there = self.in_effect(wire)
        duration, frames = self.inputs.get("duration"), self.options.get("num_frames")
        seconds = number(there.get(self.wire("duration", duration))) if duration else None
        if seconds is not None and duration is not None and duration.times:
            seconds /= duration.times
        return {"second": seconds, "frame": number(there.get(self.wire("num_frames", frames))) if frames else None}


def with_values(spec: object, name: str, values: list[str]) -> object:
    """An input of a model with sizes, with the values the table has."""
    if isinstance(spec, Input):
        return spec.model_copy(update={"values": values})
    if not isinstance(spec, dict):
        return spec
    said = cast("dict[str, Any]", spec)
    if said.get("values") not in (None, values):
        raise ValueError(f"inputs.{name}: its values come from sizes; leave them out")
    return {"type": "string", **said, "values": values}


def number(value: object) -> float | None:
    """A number, or nothing."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

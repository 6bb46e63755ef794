"""One parameter of a provider's request schema, turned into an input of the catalogue."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from keyframe_mcp.catalog.inputs import Input, is_a
from keyframe_mcp.catalog.sizes import quotient

OURS: Mapping[str, frozenset[str]] = {
    "prompt": frozenset({"string"}),
    "negative_prompt": frozenset({"string"}),
    "seed": frozenset({"integer"}),
    "duration": frozenset({"integer", "number"}),
    "resolution": frozenset({"string"}),
    "aspect_ratio": frozenset({"string"}),
    "num_inference_steps": frozenset({"integer"}),
    "guidance_scale": frozenset({"integer", "number"}),
}
"""Their words that mean the same as ours, and the types that make them so."""

KINDS: Mapping[str, str] = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "array": "list",
}
SIZE = re.compile(r"(\d{2,5})([*x])(\d{2,5})")
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", "9:21")
MOST_CHARACTERS = 240
DECISIVE = ("duration", "resolution", "size")
"""What prices depend on more than on anything else."""


class Unusable(ValueError):
    """Why a model cannot be an entry."""


class Property(BaseModel):
    """One parameter of a request schema."""

    type: str
    description: str = ""
    default: Any = None
    enum: list[Any] | None = None
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = Field(None, alias="maxLength")
    max_items: int | None = Field(None, alias="maxItems")
    disabled: bool = False
    hidden: bool = Field(default=False, alias="x-hidden")


def is_ours(name: str, each: Property) -> bool:
    """Whether a parameter is one of our words."""
    return each.type in OURS.get(name, ())


def spec(each: Property, *, needed: bool) -> Input:
    """A parameter as an input; limits that contradict each other are left out."""
    kind = KINDS[each.type]
    usual = each.default if is_a(kind, each.default) and kind != "list" else None
    facts: dict[str, Any] = {"type": kind, "required": needed, "about": plain(each.description)}
    facts |= {"default" if needed else "provider_default": usual}
    values = [value for value in each.enum or () if is_a(kind, value) and kind != "list"]
    limits: dict[str, Any] = {"values": values or None, "max_length": each.max_items or each.max_length}
    if kind in ("integer", "number"):
        limits |= {"min": bound(each.minimum), "max": bound(each.maximum)}
    for attempt in (facts | limits, facts, {"type": kind, "required": needed}):
        try:
            return Input.model_validate(attempt)
        except ValidationError:
            continue
    raise Unusable("a parameter cannot be described")


def bound(value: float | None) -> float | None:
    """A limit, 5 and not 5.0."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def sizes_of(words: Mapping[str, Property]) -> dict[str, dict[str, dict[str, Any]]]:
    """Sizes by resolution and aspect ratio, where every size has a pair of its own."""
    size = words.get("size")
    if size is None or not size.enum or {"resolution", "aspect_ratio"} & words.keys():
        return {}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for value in size.enum:
        match = SIZE.fullmatch(str(value))
        ratio = named_ratio(int(match[1]), int(match[3])) if match else None
        if match is None or ratio is None:
            return {}
        ratios = found.setdefault(f"{min(int(match[1]), int(match[3]))}p", {})
        if ratio in ratios:
            return {}
        ratios[ratio] = {"size": value}
    return found


def usual_pair(sizes: Mapping[str, Mapping[str, Mapping[str, Any]]], default: object) -> dict[str, Input]:
    """Resolution and aspect ratio as inputs whose defaults are those of the default size."""
    for resolution, ratios in sizes.items():
        for ratio, sent in ratios.items():
            if sent["size"] == default:
                usual = {"resolution": resolution, "aspect_ratio": ratio}
                return {name: Input(type="string", provider_default=value) for name, value in usual.items()}
    return {}


def named_ratio(width: int, height: int) -> str | None:
    """The usual name of a shape, if it has one: 832x480 is called 16:9."""
    near = min(RATIOS, key=lambda ratio: abs(math.log(width / height / quotient(ratio))))
    return near if abs(math.log(width / height / quotient(near))) < 0.03 else None


def is_ratio(size: Property | None) -> bool:
    """Whether what is called a size is an aspect ratio."""
    return size is not None and bool(size.enum) and all(re.fullmatch(r"\d+:\d+", str(each)) for each in size.enum or ())


def price_of(usd: float | None, words: Mapping[str, Input]) -> list[dict[str, Any]]:
    """The list's price, which is that of a request with nothing but defaults."""
    if usd is None or usd < 0 or not math.isfinite(usd):
        return []
    decisive = {name: each.usual for name, each in words.items() if name in DECISIVE and each.usual is not None}
    if "size" in decisive:
        decisive = {name: value for name, value in decisive.items() if name not in ("resolution", "aspect_ratio")}
    return [{"usd": usd, "per": "video", "when": decisive}]


def plain(text: str) -> str:
    """A text of theirs on one line, without what cannot be printed, and not long."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 3] + "..."

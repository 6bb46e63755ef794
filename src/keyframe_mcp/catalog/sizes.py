"""Resolution and aspect ratio for models that want a size instead, and a shape that suits the picture."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from keyframe_mcp.catalog.inputs import Value
from keyframe_mcp.errors import Problem

Sizes = Mapping[str, Mapping[str, Mapping[str, Value]]]
"""Resolution, then aspect ratio, then what is sent for that pair: wire name and value."""

Shape = tuple[int, int]
"""Width and height in pixels."""

RATIO = re.compile(r"^([1-9]\d{0,4}):([1-9]\d{0,4})$")
FIRST = ("first_image", "image")
FAR = 1.25
"""Above this quotient two pictures are called different in shape. Our own measure; one vendor documents the same."""


@dataclass(frozen=True)
class Wish:
    """What the caller said of the size, and what holds without: `usual` is our default or the provider's."""

    resolution: str | None
    aspect_ratio: str | None
    usual_resolution: str | None
    usual_aspect_ratio: str | None
    is_filled_in: bool
    """Whether a size must be sent even when the caller said nothing."""


@dataclass(frozen=True)
class Chosen:
    """The size to send, if any."""

    wire: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def choose(sizes: Sizes, wish: Wish, shapes: Mapping[str, Shape]) -> Chosen:
    """The size for a wish, and for the first picture where the wish leaves the shape open."""
    picture = first_picture(shapes)
    if wish.aspect_ratio is None:
        if wish.resolution is None and picture is None and not wish.is_filled_in:
            return Chosen()
        resolution = wish.resolution or wish.usual_resolution or next(iter(sizes))
        if resolution not in sizes:
            return Chosen()  # refused already, as a value that is not accepted
        ratio, warnings = shape_for(picture, wish.usual_aspect_ratio, sizes[resolution])
        return Chosen(sizes[resolution][ratio], (), warnings)
    resolution, warnings = resolution_for(sizes, wish, wish.aspect_ratio)
    if resolution not in sizes or wish.aspect_ratio not in {ratio for each in sizes.values() for ratio in each}:
        return Chosen()
    if wish.aspect_ratio not in sizes[resolution]:
        message = f"{wish.aspect_ratio} does not go with {resolution}; these do: {pairs(sizes)}"
        return Chosen(problems=(Problem("aspect_ratio", message),))
    return Chosen(sizes[resolution][wish.aspect_ratio], (), warnings)


def shape_for(
    picture: tuple[str, Shape] | None, usual: str | None, ratios: Iterable[str]
) -> tuple[str, tuple[str, ...]]:
    """The aspect ratio nearest to a picture; without one the usual."""
    possible = list(ratios)
    if picture is not None:
        ratio = nearest(picture[1], possible)
        return ratio, (chosen_for(picture, ratio),)
    return (usual if usual in possible else possible[0]), ()


def resolution_for(sizes: Sizes, wish: Wish, ratio: str) -> tuple[str, tuple[str, ...]]:
    """The resolution that was asked for, or else the usual one if it has this aspect ratio, or the first that has."""
    usual = wish.resolution or wish.usual_resolution or next(iter(sizes))
    if wish.resolution is not None or ratio in sizes.get(usual, {}):
        return usual, ()
    able = next((each for each, ratios in sizes.items() if ratio in ratios), usual)
    return able, (() if able == usual else (f"resolution was not given: {able} was chosen, which has {ratio}",))


def pairs(sizes: Sizes) -> str:
    """Every pair that works."""
    return "; ".join(f"{resolution} with {', '.join(ratios)}" for resolution, ratios in sizes.items())


def nearest(shape: Shape, ratios: Iterable[str]) -> str:
    """The aspect ratio nearest to a shape: twice as wide is as far off as twice as high."""
    return min(ratios, key=lambda ratio: abs(math.log(shape[0] / shape[1]) - math.log(quotient(ratio))))


def quotient(ratio: str) -> float:
    """Width by height of an aspect ratio such as 16:9."""
    wide, _, high = ratio.partition(":")
    return int(wide) / int(high)


def chosen_for(picture: tuple[str, Shape], ratio: str) -> str:
    """That an aspect ratio was chosen, and why."""
    name, (width, height) = picture
    return f"aspect_ratio was not given: {ratio} was chosen, the nearest to {name} ({width}x{height})"


def first_picture(shapes: Mapping[str, Shape]) -> tuple[str, Shape] | None:
    """The picture a video opens on, if its size is known."""
    return next(((name, shapes[name]) for name in FIRST if name in shapes and min(shapes[name]) > 0), None)


def ill_shaped(ratio: str | None, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
    """A warning when the aspect ratio that was asked for is far from the first picture's."""
    picture = first_picture(shapes)
    if picture is None or ratio is None or not RATIO.match(ratio):
        return ()
    name, (width, height) = picture
    if abs(math.log(width / height) - math.log(quotient(ratio))) <= math.log(FAR):
        return ()
    return (f"{name} ({width}x{height}) is far from {ratio}; it will be cropped or stretched",)


def unlike(shapes: Mapping[str, Shape]) -> tuple[str, ...]:
    """A warning when the first and the last picture differ much in shape."""
    if not all(name in shapes and min(shapes[name]) > 0 for name in ("first_image", "last_image")):
        return ()
    (width, height), (last_width, last_height) = shapes["first_image"], shapes["last_image"]
    ratios = sorted((width / height, last_width / last_height))
    if ratios[1] / ratios[0] <= FAR:
        return ()
    apart = f"{ratios[1] / ratios[0] - 1:.0%}"
    first, last = f"first_image ({width}x{height})", f"last_image ({last_width}x{last_height})"
    return (f"{first} and {last} differ in shape by {apart}; one of them will be cropped or stretched",)

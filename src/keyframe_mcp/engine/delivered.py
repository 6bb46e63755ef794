"""A video against what was asked for: that it is much shorter, of another shape, or much smaller, is said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from keyframe_mcp.catalog import Catalog
from keyframe_mcp.catalog.models import Model
from keyframe_mcp.catalog.sizes import FIRST, RATIO, Shape, quotient
from keyframe_mcp.errors import UnknownModel
from keyframe_mcp.task import Output, Task

MUCH_SHORTER = 0.7
OTHER_SHAPE = 1.1  # above this quotient; sizes are rounded to what codecs can hold
MUCH_SMALLER = 0.6
LONGEST = 2.4  # width by height; of longer shapes the short side says little about the resolution


def unlike_asked(task: Task, outputs: Sequence[Output], catalog: Catalog) -> tuple[str, ...]:
    """The warnings about a video that is not as it was asked for."""
    return (*shorter(task, outputs), *misshapen(task, outputs, catalog))


def shorter(task: Task, outputs: Sequence[Output]) -> tuple[str, ...]:
    """A warning when the video is much shorter than was asked for."""
    asked, made = task.request.get("duration"), outputs[0].duration if outputs else None
    if not isinstance(asked, int | float) or made is None or made >= MUCH_SHORTER * asked:
        return ()
    return (f"the video has {made:g} s; {asked:g} s were asked for",)


def misshapen(task: Task, outputs: Sequence[Output], catalog: Catalog) -> tuple[str, ...]:
    """A warning when the video is of another shape, or much smaller, than was asked for."""
    width, height = (outputs[0].width, outputs[0].height) if outputs else (None, None)
    if not width or not height:
        return ()
    try:
        model = catalog.find(task.model).model
    except UnknownModel:
        return ()
    missed = "; ".join(misses(task, model, (width, height)))
    return (f"the video is {width}x{height}; {missed}",) if missed else ()


def misses(task: Task, model: Model, made: Shape) -> Iterator[str]:
    """What was asked for and is not so."""
    ratio, resolution = ratio_sent(task, model), task.request.get("resolution")
    if ratio is not None:
        if is_other(quotient(ratio), made):
            yield f"{ratio} was asked for"
    elif (first := picture_followed(task, model)) and is_other(first[0] / first[1], made):
        yield f"the first picture is {first[0]}x{first[1]}"
    if isinstance(resolution, str) and is_used(model, "resolution") and is_much_smaller(resolution, made):
        yield f"{resolution} was asked for"


def ratio_sent(task: Task, model: Model) -> str | None:
    """The aspect ratio that the model was asked for."""
    if not is_used(model, "aspect_ratio"):
        return None
    asked = task.request.get("aspect_ratio")
    if model.sizes:
        sent = (ratio for each in model.sizes.values() for ratio, words in each.items() if is_sent(words, task.wire))
        return next(sent, None)
    wire = task.wire.get(model.wire("aspect_ratio", model.inputs["aspect_ratio"]))
    return next((each for each in (asked, wire) if isinstance(each, str) and RATIO.match(each)), None)


def picture_followed(task: Task, model: Model) -> Shape | None:
    """The size of the picture whose shape a generator gives to its video, where it takes no other word for it."""
    if not task.generative or (is_used(model, "aspect_ratio") and model.inputs["aspect_ratio"].usual is not None):
        return None
    wires = (model.wire(name, model.inputs[name]) for name in FIRST if name in task.request and name in model.inputs)
    first = next((task.pictures[wire] for wire in wires if wire in task.pictures), None)
    return None if first is None or min(first.width, first.height) <= 0 else (first.width, first.height)


def is_used(model: Model, name: str) -> bool:
    """Whether the model makes something of an input."""
    return name in model.inputs and model.inputs[name].unused is None


def is_sent(words: Mapping[str, object], wire: Mapping[str, object]) -> bool:
    """Whether all of it was sent."""
    return all(wire.get(name) == value for name, value in words.items())


def is_other(ratio: float, made: Shape) -> bool:
    """Whether a video's width by height is far from this one."""
    apart = made[0] / made[1] / ratio
    return max(apart, 1 / apart) > OTHER_SHAPE


def is_much_smaller(resolution: str, made: Shape) -> bool:
    """Whether a video is far below a resolution such as 720p."""
    lines = re.fullmatch(r"(\d{3,4})p", resolution)
    return lines is not None and max(made) <= LONGEST * min(made) and min(made) < MUCH_SMALLER * int(lines[1])

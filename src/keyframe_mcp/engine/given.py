"""Which pictures a task was given for the ends of its video, and where our copies of them are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from keyframe_mcp.catalog import Catalog
from keyframe_mcp.errors import UnknownModel
from keyframe_mcp.media.orders import End, Given
from keyframe_mcp.task import Mode, Task

ENDS: Mapping[str, End] = MappingProxyType({"first_image": "first", "image": "first", "last_image": "last"})


@dataclass(frozen=True)
class Known:
    """The pictures whose copies are there, and why others are not among them."""

    given: tuple[Given, ...] = ()
    remarks: tuple[str, ...] = ()


NOTHING = Known()


def given_to(task: Task, catalog: Catalog) -> Known:
    """What a task was given for the first and the last frame; nothing for one made from words."""
    asked: dict[End, str] = {end: name for name, end in ENDS.items() if name in task.request}
    if task.mode not in (Mode.FLF2V, Mode.I2V) or not asked:
        return NOTHING
    try:
        model = catalog.find(task.model).model
    except UnknownModel:
        return Known(remarks=(f"not compared with the given pictures: {task.model} is no longer in the catalogue",))
    inputs = model.inputs_for(task.mode)
    wires: dict[End, str] = {end: model.wire(name, inputs[name]) for end, name in asked.items() if name in inputs}
    copies: dict[End, Path] = {
        end: Path(task.pictures[wire].file) for end, wire in wires.items() if wire in task.pictures
    }
    gone = [end for end, copy in copies.items() if not copy.is_file()]
    there = tuple(Given(end=end, path=copy) for end, copy in copies.items() if end not in gone)
    return Known(there, tuple(f"not compared with the given {end} picture: its copy is no longer kept" for end in gone))

"""Films for a person to look at: as long as was asked for, of that shape in small, each in a colour of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from emulators import results

LONGEST_SIDE = 320
MOST_SECONDS = 10
FPS = 8
COLOURS = ("gold", "tomato", "springgreen", "deepskyblue", "violet", "orange", "white")
PAIR = re.compile(r"(\d{1,5})[*x:](\d{1,5})")


def film(inputs: Mapping[str, Any], number: int) -> bytes:
    """The film of a job. `number` is its place in the books."""
    said = dict(flat(inputs))
    width, height = small(*shape(said))
    return results.mp4(width, height, round(seconds(said) * FPS), FPS, COLOURS[number % len(COLOURS)])


def animation(inputs: Mapping[str, Any], number: int) -> bytes:
    """The same as a GIF of a second."""
    width, height = small(*shape(dict(flat(inputs))))
    return results.gif(width, height, FPS, FPS, COLOURS[number % len(COLOURS)])


def flat(inputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every input, those inside another table included."""
    for name, value in inputs.items():
        if isinstance(value, dict):
            yield from flat(cast("dict[str, Any]", value))
        else:
            yield name, value


def seconds(said: Mapping[str, Any]) -> float:
    """How long the film is: what was asked for, in seconds or in frames, from one second to the most."""
    frames = said.get("num_frames")
    asked = said.get("duration", frames / 30 if isinstance(frames, int) else 2)
    return min(max(float(asked) if isinstance(asked, int | float) else 2, 1), MOST_SECONDS)


def shape(said: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height, or what stands for them: a size, or an aspect ratio."""
    if isinstance(said.get("width"), int) and isinstance(said.get("height"), int):
        return said["width"], said["height"]
    texts = (str(said.get(name, "")) for name in ("size", "image_size", "aspect_ratio"))
    found = next((match for text in texts if (match := PAIR.fullmatch(text))), None)
    return (int(found[1]), int(found[2])) if found else (16, 9)


def small(width: int, height: int) -> tuple[int, int]:
    """The shape with its longer side as long as films here are, in even numbers."""
    scale = LONGEST_SIDE / max(width, height, 1)
    return max(round(width * scale / 2) * 2, 32), max(round(height * scale / 2) * 2, 32)

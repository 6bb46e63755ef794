"""How large a video is drawn."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

from keyframe_mcp.errors import InvalidInput, Problem

_WIDESCREEN: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"480p": (832, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
)
_MOST_ELONGATED = 3.0
_NEARLY = 0.03  # pictures this close to 16:9 get exactly the size everybody expects


def video_size(resolution: str, aspect_ratio: str, image: tuple[int, int] | None = None) -> tuple[int, int]:
    """Width and height, both even. Every aspect gets about as many pixels as 16:9 has at the resolution.

    `image` is the size of the picture to follow when no aspect ratio is given. Raises `InvalidInput`.
    """
    aspect = _aspect(aspect_ratio, image)
    width, height = _WIDESCREEN[resolution]
    if abs(aspect * height / width - 1) < _NEARLY or abs(aspect * 9 / 16 - 1) < _NEARLY:
        return width, height
    if abs(aspect * width / height - 1) < _NEARLY or abs(aspect * 16 / 9 - 1) < _NEARLY:
        return height, width
    return _rounded(math.sqrt(width * height * aspect)), _rounded(math.sqrt(width * height / aspect))


def _aspect(aspect_ratio: str, image: tuple[int, int] | None) -> float:
    aspect = 16 / 9
    if aspect_ratio.strip():
        aspect = _parsed(aspect_ratio)
    elif image:
        aspect = image[0] / image[1]
    return min(max(aspect, 1 / _MOST_ELONGATED), _MOST_ELONGATED)


def _parsed(aspect_ratio: str) -> float:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*[:x/]\s*(\d+(?:\.\d+)?)\s*", aspect_ratio)
    if found is None or not (float(found[1]) > 0 and float(found[2]) > 0):
        problem = Problem("aspect_ratio", f"{aspect_ratio!r} is not a ratio; write it as 16:9, 9:16, 1:1 or 4:3.")
        raise InvalidInput(problems=[problem])
    return float(found[1]) / float(found[2])


def _rounded(length: float) -> int:
    return max(16, round(length / 8) * 8)

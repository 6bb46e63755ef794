"""One picture to video: a camera moves over it. No depth is known, so an orbit turns the picture like a poster."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from PIL import Image

from keyframe_mcp.media.encode import planes_of
from keyframe_mcp.media.render.arrays import Matrix, Pixels
from keyframe_mcp.media.render.camera_words import CameraMove
from keyframe_mcp.media.render.geometry import inverse, resizing, translation
from keyframe_mcp.media.render.planes import Planes
from keyframe_mcp.media.render.timing import clamp, steady

_PUSH = 1.28
_PULL = 1.12  # farther out, the mirrored surroundings catch the eye
_SHIFT = 0.12  # of the frame
_YAW = math.radians(9)
_ROLL = math.radians(5)
_SHAKE = 0.006  # of the frame
_FOCAL = 1.4  # frame widths


class Reader(Protocol):
    """Draws a plane as a view shows it; `fine` asks for the better, slower interpolation."""

    def __call__(self, plane: Pixels, view: Matrix, *, fine: bool) -> Pixels: ...


class CameraClip:
    """Draws one RGB picture of even size under a camera move."""

    def __init__(self, picture: Pixels, move: CameraMove, duration: float, seed: int = 0, *, opencv: bool) -> None:
        """`duration` is in seconds; `seed` changes how a hand-held camera shakes. Without OpenCV Pillow draws."""
        self._planes = Planes(planes_of(picture))
        self._move = move
        self._duration = duration
        self._phase = math.tau * (seed % 1000) / 1000
        self._read = opencv_reader() if opencv else _read_with_pillow

    def draw(self, progress: float) -> Pixels:
        """The planes at a progress from 0 to 1; at 0 they are the picture's own."""
        if progress <= 0 or "static" in self._move:
            return self._planes.all
        height, width = self._planes.luma.shape
        view = self.view(progress)
        half = resizing((width, height), (width // 2, height // 2))
        chroma_view = half @ view @ inverse(half)
        drawn = Planes(np.empty_like(self._planes.all))
        drawn.luma[:] = self._read(self._planes.luma, view, fine=True)
        for plane, target in zip(self._planes.chroma, drawn.chroma, strict=True):
            target[:] = self._read(plane, chroma_view, fine=False)
        return drawn.all

    def view(self, progress: float) -> Matrix:
        """For each pixel of the frame, the place in the picture it shows."""
        height, width = self._planes.luma.shape
        move, way = self._move, steady(clamp(progress)) * self._move.pace
        across, along = self._shift(progress, way)
        lens = _aside(_YAW * way * ("orbit" in move), width) @ _rolled(_ROLL * way * ("roll" in move))
        lens = translation(across * width, along * height) @ lens
        toward = move.both_ways("push in", "zoom out")
        if toward < 0:
            scale = _PULL ** min(way, 1.0)
        else:
            scale = min(_PUSH ** (-way * toward), _largest_inside(lens, width, height))
        centre = (width - 1) / 2, (height - 1) / 2
        view = translation(*centre) @ lens @ np.diag([scale, scale, 1.0]) @ translation(-centre[0], -centre[1])
        return view / view[2, 2]

    def _shift(self, progress: float, way: float) -> tuple[float, float]:
        """Where the middle of the view is, in frame sizes from the middle of the picture."""
        move = self._move
        across = _SHIFT * way * move.both_ways("pan right", "pan left")
        along = _SHIFT * way * move.both_ways("tilt down", "tilt up")
        if "handheld" in move:
            seconds, strength = progress * self._duration, _SHAKE * min(1.0, 6 * progress)
            across += strength * (math.sin(2.1 * seconds + self._phase) + 0.6 * math.sin(5.3 * seconds + 1))
            along += strength * (math.sin(2.7 * seconds + 2 + self._phase) + 0.5 * math.sin(6.1 * seconds))
        return across, along


def opencv_reader() -> Reader:
    """Raises `ImportError` without OpenCV."""
    from keyframe_mcp.media.render.vision import draw_view  # noqa: PLC0415  # OpenCV is an optional extra

    return draw_view


def _read_with_pillow(plane: Pixels, view: Matrix, *, fine: bool) -> Pixels:
    height, width = plane.shape
    inset = min(round(max(width, height) * 0.1) + 2, width - 1, height - 1)
    surrounded = np.pad(plane, inset, mode="reflect")
    # Pillow counts from the corner of a pixel, not from its middle.
    numbers = translation(inset + 0.5, inset + 0.5) @ view @ translation(-0.5, -0.5)
    numbers = numbers / numbers[2, 2]
    drawn = Image.fromarray(surrounded).transform(
        (width, height),
        Image.Transform.PERSPECTIVE,
        tuple(float(number) for number in numbers.ravel()[:8]),
        Image.Resampling.BICUBIC if fine else Image.Resampling.BILINEAR,
    )
    return np.asarray(drawn, dtype=np.uint8)


def _aside(angle: float, width: int) -> Matrix:
    """The picture seen from the side, its middle kept in the middle; about the origin."""
    focal = _FOCAL * width
    cosine, sine = math.cos(angle), math.sin(angle)
    lens = np.diag([focal, focal, 1.0])
    seen = lens @ np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]]) @ inverse(lens)
    return translation(-seen[0, 2] / seen[2, 2], 0.0) @ seen


def _rolled(angle: float) -> Matrix:
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def _largest_inside(lens: Matrix, width: int, height: int) -> float:
    """How large a frame may be, as a share of the picture, so that it shows nothing beyond the picture's edge.

    Each corner c of the frame lands at lens (s c, 1). Being inside one edge is a linear inequality in the scale s.
    """
    half = np.array([(width - 1) / 2, (height - 1) / 2])
    largest = 1.0
    for corner in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        grows, starts = lens[:, :2] @ (half * corner), lens[:, 2]
        for axis in (0, 1):
            for side in (-1, 1):
                slope = side * grows[axis] - half[axis] * grows[2]
                room = half[axis] * starts[2] - side * starts[axis]
                if slope > 0:
                    largest = min(largest, float(room / slope))
    return max(largest, 0.1)

"""Dense motion between two pictures, once a view has brought them near each other.

All fields live on a small grid in the frame halfway between the two pictures, in grid pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from keyframe_mcp.media.render.arrays import Floats, Matrix, Pixels, as_floats
from keyframe_mcp.media.render.geometry import grid, inverse, resizing
from keyframe_mcp.media.render.vision import NOTHING, blur, even_out, sample, shrink, shrink_floats, transform, warp

_PHOTOMETRIC_SCALE = 22.0  # evened-out gray levels
_RIGID_SCALE = 10.0  # gray levels
_FAINT_TEXTURE = 6.0  # gray levels


@dataclass(frozen=True)
class Field:
    """Where each pixel of the halfway frame goes, and how sure that is (0-1)."""

    displacement: Floats
    confidence: Floats


@dataclass(frozen=True)
class Hypothesis:
    """The motion when one view is believed: from the first picture to the last, and back."""

    forward: Field
    backward: Field


class Matcher:
    """Finds the motion left over between two gray pictures under different views."""

    def __init__(
        self, first: Pixels, last: Pixels, first_from_middle: Matrix, camera: Matrix, size: tuple[int, int]
    ) -> None:
        """`first_from_middle` and `camera` (first to last) are in the pictures' pixels; `size` is the grid's."""
        height, width = first.shape
        self._first_from_middle = first_from_middle
        self._last_from_middle = camera @ first_from_middle
        self._size = size
        self._grid = grid(*size)
        self._to_grid = resizing((width, height), size)
        self._units = np.array([size[0] / width, size[1] / height], np.float32)
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._last = last
        self._even_last = even_out(last).astype(np.uint8)
        self._first = self._shown(first, even_out(first).astype(np.uint8), first_from_middle)

    def follow_camera(self) -> Hypothesis:
        """The motion beside the camera's own."""
        forward, backward, _ = self._fields(self._last_from_middle)
        return Hypothesis(forward, backward)

    def follow_mover(self, view: Matrix) -> Hypothesis:
        """The motion of whatever moves as `view` (first to last) says, told in the camera's halfway frame."""
        forward, backward, last = self._fields(view @ self._first_from_middle)
        forward, backward = _or_rigid(forward, self._first, last), _or_rigid(backward, last, self._first)
        # The last picture was drawn under `view`; `shift` leads from there to where the camera puts it.
        shift = inverse(self._last_from_middle) @ view @ self._first_from_middle
        shift = self._to_grid @ shift @ inverse(self._to_grid)
        origin = transform(self._grid, inverse(shift))
        arrivals = transform(as_floats(self._grid + forward.displacement), shift)
        arrivals_back = sample(as_floats(self._grid + backward.displacement), origin)
        return Hypothesis(
            Field(as_floats(arrivals - self._grid), forward.confidence),
            Field(as_floats(arrivals_back - self._grid), sample(backward.confidence, origin, border=NOTHING)),
        )

    def _fields(self, last_view: Matrix) -> tuple[Field, Field, _Shown]:
        """There and back, when the last picture is drawn under `last_view`; and that drawing."""
        first, last = self._first, self._shown(self._last, self._even_last, last_view)
        there, back = self._dense(first, last), self._dense(last, first)
        return (
            Field(there, _agreement(there, back, first.even, last.even, self._grid)),
            Field(back, _agreement(back, there, last.even, first.even, self._grid)),
            last,
        )

    def _shown(self, picture: Pixels, even: Pixels, view: Matrix) -> _Shown:
        full = warp(even, view)
        return _Shown(full, as_floats(shrink(full, *self._size)), as_floats(shrink(warp(picture, view), *self._size)))

    def _dense(self, start: _Shown, end: _Shown) -> Floats:
        no_guess: Floats = None  # pyright: ignore[reportAssignmentType]  # OpenCV's annotations know no optional array
        found = self._flow.calc(start.full, end.full, no_guess)
        return as_floats(shrink_floats(as_floats(found), *self._size) * self._units)


@dataclass(frozen=True)
class _Shown:
    """A picture in the halfway frame: evened out at full size and on the grid, and as it is on the grid."""

    full: Pixels
    even: Floats
    gray: Floats


def _agreement(there: Floats, back: Floats, start: Floats, end: Floats, own: Floats) -> Floats:
    """High where going there and back returns to the start, and the picture looks the same at both places."""
    arrived = as_floats(own + there)
    astray = there + sample(back, arrived)
    unlike = blur(as_floats(np.abs(start - sample(end, arrived))), 1.2) / _PHOTOMETRIC_SCALE
    return np.exp(-(astray * astray).sum(axis=2) - unlike * unlike).astype(np.float32)


def _or_rigid(found: Field, start: _Shown, end: _Shown) -> Field:
    """The field, and where the view alone fits better, no motion beside it.

    Evening out mixes an object's rim with what is behind it, which differs between the pictures; its own gray does
    not. Smooth areas fit any view, so they count for little.
    """
    unlike = blur(as_floats(np.abs(start.gray - end.gray)), 1.0) / _RIGID_SCALE
    rigid = np.exp(-unlike * unlike)
    better = rigid > found.confidence
    radius = start.gray.shape[1] / 60
    variance = np.maximum(blur(as_floats(start.gray * start.gray), radius) - blur(start.gray, radius) ** 2, 0)
    evidence = variance / (variance + _FAINT_TEXTURE**2)
    return Field(
        as_floats(np.where(better[..., np.newaxis], 0, found.displacement)),
        as_floats(np.maximum(rigid, found.confidence) * evidence),
    )

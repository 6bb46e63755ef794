"""Dense motion between two pictures, once a view has brought them near each other.

All fields live on a small grid in the frame halfway between the two pictures, in grid pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from keyframe_mcp.media.render.arrays import Floats, Matrix, Pixels
from keyframe_mcp.media.render.geometry import grid, inverse, resizing
from keyframe_mcp.media.render.vision import NOTHING, blur, sample, shrink, shrink_floats, transform, warp

_PHOTOMETRIC_SCALE = 22.0  # evened-out gray levels


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
    """Finds the motion left over between two evened-out gray pictures under different views."""

    def __init__(
        self, first: Pixels, last: Pixels, first_from_middle: Matrix, camera: Matrix, size: tuple[int, int]
    ) -> None:
        """`first_from_middle` and `camera` (first to last) are in the pictures' pixels; `size` is the grid's."""
        height, width = first.shape
        self._last = last
        self._first_from_middle = first_from_middle
        self._last_from_middle = camera @ first_from_middle
        self._size = size
        self._shown_first = warp(first, first_from_middle)
        self._small_first = shrink(self._shown_first, *size).astype(np.float32)
        self._grid = grid(*size)
        self._to_grid = resizing((width, height), size)
        self._units = np.array([size[0] / width, size[1] / height], np.float32)
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def believe(self, view: Matrix) -> Hypothesis:
        """The motion if `view` (first to last) were the camera's, told in the camera's halfway frame."""
        shown_last = warp(self._last, view @ self._first_from_middle)
        forward = self._dense(self._shown_first, shown_last)
        backward = self._dense(shown_last, self._shown_first)
        small_last = shrink(shown_last, *self._size).astype(np.float32)
        confidence = _confidence(forward, backward, self._small_first, small_last, self._grid)
        confidence_back = _confidence(backward, forward, small_last, self._small_first, self._grid)
        if np.allclose(view @ self._first_from_middle, self._last_from_middle):
            return Hypothesis(Field(forward, confidence), Field(backward, confidence_back))
        return self._in_camera_frame(view, forward, backward, confidence, confidence_back)

    def _in_camera_frame(
        self, view: Matrix, forward: Floats, backward: Floats, confidence: Floats, confidence_back: Floats
    ) -> Hypothesis:
        # The last picture was drawn under `view`; `shift` leads from there to where the camera puts it.
        shift = inverse(self._last_from_middle) @ view @ self._first_from_middle
        shift = self._to_grid @ shift @ inverse(self._to_grid)
        origin = transform(self._grid, inverse(shift))
        return Hypothesis(
            Field(transform(self._grid + forward, shift) - self._grid, confidence),
            Field(
                sample(self._grid + backward, origin) - self._grid,
                sample(confidence_back, origin, border=NOTHING),
            ),
        )

    def _dense(self, start: Pixels, end: Pixels) -> Floats:
        no_guess: Floats = None  # pyright: ignore[reportAssignmentType]  # OpenCV's annotations know no optional array
        found = self._flow.calc(start, end, no_guess)
        return shrink_floats(np.asarray(found, dtype=np.float32), *self._size) * self._units


def _confidence(there: Floats, back: Floats, start: Floats, end: Floats, own: Floats) -> Floats:
    """High where going there and back returns to the start, and the picture looks the same at both places."""
    arrived = own + there
    astray = there + sample(back, arrived)
    unlike = blur(np.abs(start - sample(end, arrived)), 1.2) / _PHOTOMETRIC_SCALE
    return np.exp(-(astray * astray).sum(axis=2) - unlike * unlike).astype(np.float32)

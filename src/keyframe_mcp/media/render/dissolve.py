"""One picture fading into another: for pictures with nothing in common, and for machines without OpenCV."""

from __future__ import annotations

import numpy as np

from keyframe_mcp.media.encode import planes_of
from keyframe_mcp.media.render.arrays import Pixels, as_floats
from keyframe_mcp.media.render.timing import smooth


class Dissolve:
    """Draws the instants between two RGB pictures of one even size."""

    def __init__(self, first: Pixels, last: Pixels) -> None:
        self._first, self._last = planes_of(first), planes_of(last)
        self._start = as_floats(self._first) + np.float32(0.5)  # so that cutting off the fraction rounds
        self._change = as_floats(self._last) - as_floats(self._first)
        self._sum = np.empty_like(self._start)

    def draw(self, progress: float) -> Pixels:
        """The planes at a progress from 0 to 1; at the ends they are the pictures themselves."""
        if progress <= 0:
            return self._first
        if progress >= 1:
            return self._last
        np.multiply(self._change, np.float32(smooth(progress)), out=self._sum)
        self._sum += self._start
        return self._sum.astype(np.uint8)

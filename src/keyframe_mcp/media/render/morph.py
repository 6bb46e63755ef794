"""First and last picture to video: the camera's path and the objects' motion are found, and both pictures follow them.

Needs OpenCV.
"""

from __future__ import annotations

import cv2
import numpy as np

from keyframe_mcp.media.encode import planes_of
from keyframe_mcp.media.render.arrays import Floats, Pixels, as_floats
from keyframe_mcp.media.render.geometry import grid
from keyframe_mcp.media.render.motion import analyse
from keyframe_mcp.media.render.planes import Planes
from keyframe_mcp.media.render.projection import Instant, projector
from keyframe_mcp.media.render.shading import find_shading
from keyframe_mcp.media.render.vision import MIRROR, enlarge, sample, sample_bytes


class Morph:
    """Draws the instants between two RGB pictures of one even size."""

    def __init__(self, first: Pixels, last: Pixels) -> None:
        height, width = first.shape[:2]
        motion = analyse(first, last)
        self.confidence = motion.confidence
        self._first, self._last = Planes(planes_of(first)), Planes(planes_of(last))
        self._project = projector(motion)
        self._shading = find_shading(first, last, motion)
        self._own = grid(*motion.size)
        self._luma_grid = grid(width, height)
        self._chroma_grid = grid(width // 2, height // 2)

    def draw(self, time: float) -> Pixels:
        """The planes at a time from 0 to 1; at the ends they are the pictures themselves."""
        if time <= 0:
            return self._first.all
        if time >= 1:
            return self._last.all
        instant = self._project(time)
        drawn = Planes(np.empty_like(self._first.all))
        self._blend_luma(instant, drawn)
        self._blend_chroma(instant, drawn)
        if self._shading is not None:
            self._shade(self._shading, instant, time, drawn)
        return drawn.all

    def _blend_luma(self, instant: Instant, drawn: Planes) -> None:
        share = _enlarged(instant.share_of_first, self._luma_grid)
        first = sample_bytes(self._first.luma, self._positions(instant.in_first, self._luma_grid), MIRROR)
        last = sample_bytes(self._last.luma, self._positions(instant.in_last, self._luma_grid), MIRROR)
        cv2.blendLinear(first, last, share, 1 - share, dst=drawn.luma)

    def _blend_chroma(self, instant: Instant, drawn: Planes) -> None:
        share = _enlarged(instant.share_of_first, self._chroma_grid)
        rest = as_floats(1 - share)
        in_first = self._positions(instant.in_first, self._chroma_grid)
        in_last = self._positions(instant.in_last, self._chroma_grid)
        for plane_first, plane_last, target in zip(self._first.chroma, self._last.chroma, drawn.chroma, strict=True):
            cv2.blendLinear(
                sample_bytes(plane_first, in_first, MIRROR),
                sample_bytes(plane_last, in_last, MIRROR),
                share,
                rest,
                dst=target,
            )

    def _shade(self, shading: Floats, instant: Instant, time: float, drawn: Planes) -> None:
        # share * (first + t D) + (1 - share) * (last - (1 - t) D) is the plain blend plus (share - (1 - t)) D
        surplus = (instant.share_of_first - np.float32(1 - time))[..., np.newaxis]
        light = as_floats(sample(shading, instant.in_middle) * surplus)
        for channel, plane in enumerate((drawn.luma, *drawn.chroma)):
            height, width = plane.shape
            cv2.add(plane, enlarge(light[..., channel], width, height), dst=plane, dtype=cv2.CV_8U)

    def _positions(self, small: Floats, own: Floats) -> Floats:
        """Grid positions as positions in a plane. The displacement is enlarged: it is exact where nothing moves."""
        height, width = own.shape[:2]
        scale = np.array([width / self._own.shape[1], height / self._own.shape[0]], np.float32)
        return as_floats(cv2.add(enlarge(as_floats((small - self._own) * scale), width, height), own))


def _enlarged(share: Floats, own: Floats) -> Floats:
    height, width = own.shape[:2]
    return enlarge(share, width, height)

"""What is known about how one picture becomes another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keyframe_mcp.media.render import features, spectrum
from keyframe_mcp.media.render.arrays import Floats, Matrix, Pixels
from keyframe_mcp.media.render.flow import Field, Matcher
from keyframe_mcp.media.render.geometry import Path, at_rest, constant_velocity, grid, identity, inverse, resizing
from keyframe_mcp.media.render.layers import fill, fuse
from keyframe_mcp.media.render.vision import gray, shrink, transform

_ANALYSIS_SIDE = 640
_GRID_SIDE = 208
_SMALLEST_SIDE = 64  # OpenCV's dense flow reads beyond the ends of much smaller pictures
_MOVERS_FROM = 0.005  # of the picture


@dataclass(frozen=True)
class Stream:
    """The motion as one of the pictures sees it: a field with its gaps filled, and how sure each pixel is."""

    displacement: Floats
    found: Field
    """The field before its gaps were filled."""


@dataclass(frozen=True)
class Motion:
    """A camera path and what is left beside it, on a small grid in the frame halfway along the path."""

    size: tuple[int, int]
    camera: Path
    """In grid pixels: takes positions in the first picture to positions at a time."""
    first_from_middle: Matrix
    last_from_middle: Matrix
    forward: Stream
    backward: Stream
    has_movers: bool
    confidence: float
    """0-1: how much of what the pictures show was recognised in the other."""

    @property
    def moves_camera(self) -> bool:
        return self.camera is not at_rest


def analyse(first: Pixels, last: Pixels) -> Motion:
    """The motion between two RGB pictures of one size."""
    height, width = first.shape[:2]
    grays = [_gray(picture, _scaled((width, height), _ANALYSIS_SIDE)) for picture in (first, last)]
    size = _scaled((width, height), _GRID_SIDE)
    analysed = grays[0].shape[1], grays[0].shape[0]
    to_grid = resizing(analysed, size)
    views = _find_views(*grays)
    camera = at_rest
    if not np.allclose(views[0], identity()):
        camera = constant_velocity(to_grid @ views[0] @ inverse(to_grid), *size)
    if camera is None:
        views, camera = [identity()], at_rest
    first_from_middle = inverse(camera(0.5))
    return _Analysis(grays, views, size, to_grid, camera, first_from_middle).motion()


@dataclass(frozen=True)
class _Analysis:
    grays: list[Pixels]
    views: list[Matrix]
    """First to last, in the gray pictures' pixels; the camera's is the first."""
    size: tuple[int, int]
    to_grid: Matrix
    camera: Path
    first_from_middle: Matrix

    def motion(self) -> Motion:
        from_grid = inverse(self.to_grid)
        matcher = Matcher(
            self.grays[0], self.grays[1], from_grid @ self.first_from_middle @ self.to_grid, self.views[0], self.size
        )
        hypotheses = [matcher.follow_camera(), *map(matcher.follow_mover, self.views[1:])]
        last_from_middle = self.to_grid @ self.views[0] @ from_grid @ self.first_from_middle
        visible_first = coverage(transform(grid(*self.size), self.first_from_middle))
        visible_last = coverage(transform(grid(*self.size), last_from_middle))
        forward = fuse([hypothesis.forward for hypothesis in hypotheses], visible_first, visible_last)
        backward = fuse([hypothesis.backward for hypothesis in hypotheses], visible_last, visible_first)
        recognised = float(forward.field.confidence.sum() + backward.field.confidence.sum())
        return Motion(
            size=self.size,
            camera=self.camera,
            first_from_middle=self.first_from_middle,
            last_from_middle=last_from_middle,
            forward=Stream(fill(forward), forward.field),
            backward=Stream(fill(backward), backward.field),
            has_movers=max(forward.share_of_movers, backward.share_of_movers) > _MOVERS_FROM,
            confidence=recognised / (float(visible_first.sum() + visible_last.sum()) + 1),
        )


def coverage(positions: Floats, softness: float = 1.0) -> Floats:
    """1 where a position is inside a picture the size of the grid, falling to 0 over its outermost pixels.

    `softness` is how many: 1 is the pixel around the edge.
    """
    height, width = positions.shape[:2]
    across, along = positions[..., 0], positions[..., 1]
    margin = np.minimum(np.minimum(across + 1, width - across), np.minimum(along + 1, height - along))
    return np.clip(margin / np.float32(softness), 0, 1).astype(np.float32)


def _find_views(first: Pixels, last: Pixels) -> list[Matrix]:
    views = features.find_views(first, last)
    if views:
        return views
    whole = spectrum.find_view(first, last)
    return [whole if whole is not None else identity()]


def _gray(picture: Pixels, size: tuple[int, int]) -> Pixels:
    if (picture.shape[1], picture.shape[0]) == size:
        return gray(picture)
    return gray(shrink(picture, *size))


def _scaled(size: tuple[int, int], longest: int) -> tuple[int, int]:
    ratio = min(1.0, longest / max(size))
    return max(_SMALLEST_SIDE, round(size[0] * ratio)), max(_SMALLEST_SIDE, round(size[1] * ratio))

"""The few OpenCV operations the renderer uses, with types. Importing this needs the `local` extra."""

from __future__ import annotations

import cv2
import numpy as np
from cv2.typing import MatLike

from keyframe_mcp.media.render.arrays import Floats, Labels, Matrix, Pixels

EDGE = cv2.BORDER_REPLICATE
NOTHING = cv2.BORDER_CONSTANT
MIRROR = cv2.BORDER_REFLECT_101


def sample(image: Floats, positions: Floats, border: int = EDGE) -> Floats:
    """The image read at each position, between pixels linearly."""
    return np.asarray(_remap(image, positions, border), dtype=np.float32)


def sample_bytes(image: Pixels, positions: Floats, border: int = EDGE) -> Pixels:
    """The same for a plane of bytes."""
    return np.asarray(_remap(image, positions, border), dtype=np.uint8)


def transform(points: Floats, matrix: Matrix) -> Floats:
    """Each point of a height x width x 2 grid, moved."""
    moved = cv2.perspectiveTransform(points.reshape(1, -1, 2), matrix)
    return np.asarray(moved, dtype=np.float32).reshape(points.shape)


def warp(image: Pixels, view: Matrix) -> Pixels:
    """The image as seen where `view` says which of its points each pixel shows; edges are drawn out."""
    height, width = image.shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpPerspective(image, view, (width, height), flags=flags, borderMode=EDGE), dtype=np.uint8)


def draw_view(plane: Pixels, view: Matrix, *, fine: bool) -> Pixels:
    """The plane as a view shows it; beyond its edges it is mirrored."""
    height, width = plane.shape
    flags = (cv2.INTER_CUBIC if fine else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpPerspective(plane, view, (width, height), flags=flags, borderMode=MIRROR)
    return np.asarray(drawn, dtype=np.uint8)


def shrink(image: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def shrink_floats(image: Floats, width: int, height: int) -> Floats:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.float32)


def enlarge(image: Floats, width: int, height: int) -> Floats:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def blur(image: Floats, radius: float) -> Floats:
    """Gaussian, of standard deviation `radius` pixels."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), radius), dtype=np.float32)


def halve(image: Floats) -> Floats:
    """Blurred and every second pixel dropped; a channel axis stays even when it has one channel."""
    return np.asarray(cv2.pyrDown(image), dtype=np.float32).reshape(
        (image.shape[0] + 1) // 2, (image.shape[1] + 1) // 2, *image.shape[2:]
    )


def gray(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def tidy(labels: Labels) -> Labels:
    """Without specks and small holes; each label but 0 one pixel wider."""
    closed = cv2.morphologyEx(cv2.medianBlur(labels, 9), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    wider = cv2.dilate(closed, np.ones((3, 3), np.uint8))
    return np.where(np.asarray(closed) == 0, wider, closed).astype(np.uint8)


def even_out(image: Pixels) -> Floats:
    """Gray brought to the same local mean and contrast everywhere, 0-255: what day and night have in common."""
    values: Floats = image.astype(np.float32)
    radius = max(4.0, image.shape[1] / 26)
    offset: Floats = np.subtract(values, blur(values, radius), dtype=np.float32)
    variance = blur(offset * offset, radius)
    return np.clip(128 + offset * (40 / np.sqrt(variance + 36)), 0, 255).astype(np.float32)


def _remap(image: Pixels | Floats, positions: Floats, border: int) -> MatLike:
    not_given: MatLike = None  # pyright: ignore[reportAssignmentType]  # OpenCV's annotations know no optional array
    return cv2.remap(image, positions, not_given, cv2.INTER_LINEAR, borderMode=border)

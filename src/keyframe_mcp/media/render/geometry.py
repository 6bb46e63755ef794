"""Plane geometry: grids of points, changes of scale, and the camera path between two views."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from keyframe_mcp.media.render.arrays import Floats, Matrix

Path = Callable[[float], Matrix]
"""Where the camera is at a time from 0 to 1: the identity at 0."""

_LARGEST_DISAGREEMENT = 0.1  # pixels at a corner, between a view and the end of the path that should reach it


def identity() -> Matrix:
    return np.eye(3)


def at_rest(_time: float) -> Matrix:
    """The path of a camera that does not move."""
    return identity()


def grid(width: int, height: int) -> Floats:
    """Each pixel's own position: height x width x 2."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.dstack([columns, rows])


def translation(right: float, down: float) -> Matrix:
    return np.array([[1.0, 0.0, right], [0.0, 1.0, down], [0.0, 0.0, 1.0]])


def resizing(from_size: tuple[int, int], to_size: tuple[int, int]) -> Matrix:
    """Takes pixel positions in a picture of one (width, height) to those in the same picture at another."""
    across, along = to_size[0] / from_size[0], to_size[1] / from_size[1]
    return np.array([[across, 0.0, (across - 1) / 2], [0.0, along, (along - 1) / 2], [0.0, 0.0, 1.0]])


def inverse(matrix: Matrix) -> Matrix:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def corners(width: int, height: int) -> Matrix:
    """The corners of a frame as the columns of a 3 x 4 matrix."""
    return np.array([[0.0, width, width, 0.0], [0.0, 0.0, height, height], [1.0, 1.0, 1.0, 1.0]])


def constant_velocity(view: Matrix, width: int, height: int) -> Path | None:
    """The path that reaches `view` at time 1 at an even pace, or None when the view has none that is real."""
    # Logarithms are taken in coordinates of about unit size; in pixels they would lose most of their digits.
    normalise = np.array([[2 / width, 0.0, -1.0], [0.0, 2 / width, -height / width], [0.0, 0.0, 1.0]])
    back = inverse(normalise)
    velocity = logarithm(normalise @ view @ back)
    if velocity is None:
        return None

    def path(time: float) -> Matrix:
        position = back @ exponential(velocity * time) @ normalise
        return position / position[2, 2]

    return path if _reaches(path(1.0), view, width, height) else None


def logarithm(matrix: Matrix) -> Matrix | None:
    """The real logarithm up to scale, or None when there is none or it is out of reach.

    Square roots (Denman-Beavers) bring the matrix close to the identity, where the power series converges fast.
    """
    determinant = float(np.linalg.det(matrix))
    if not determinant > 0:
        return None
    root = matrix / np.cbrt(determinant)
    halvings = 0
    while np.abs(root - np.eye(3)).max() > 0.05:
        square_root = _square_root(root)
        if square_root is None or halvings == 12:
            return None
        root = square_root
        halvings += 1
    offset = root - np.eye(3)
    power, total = np.eye(3), np.zeros((3, 3))
    for term in range(1, 16):
        power = power @ offset
        total += power * ((-1) ** (term + 1) / term)
    return total * 2.0**halvings


def exponential(matrix: Matrix) -> Matrix:
    """The power series after halving often enough, then squaring back."""
    halvings = max(0, math.ceil(math.log2(float(np.abs(matrix).max()) + 1e-12))) + 4
    small = matrix / 2.0**halvings
    power, total = np.eye(3), np.eye(3)
    for term in range(1, 10):
        power = power @ small / term
        total = total + power
    for _ in range(halvings):
        total = total @ total
    return total


def _square_root(matrix: Matrix) -> Matrix | None:
    root, inverse = matrix, np.eye(3)
    try:
        for _ in range(30):
            root, inverse = (root + np.linalg.inv(inverse)) / 2, (inverse + np.linalg.inv(root)) / 2
            if np.abs(root @ root - matrix).max() < 1e-12:
                break
    except np.linalg.LinAlgError:
        return None
    error = np.abs(root @ root - matrix).max()
    return root if np.isfinite(error) and error < 1e-8 else None


def _reaches(arrival: Matrix, view: Matrix, width: int, height: int) -> bool:
    reached, wanted = arrival @ corners(width, height), view @ corners(width, height)
    return bool(np.abs(reached[:2] / reached[2] - wanted[:2] / wanted[2]).max() < _LARGEST_DISAGREEMENT)

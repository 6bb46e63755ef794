"""The kinds of array the renderer passes around."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""height x width (one plane, or the planes of yuv420p in a row) or height x width x 3 (RGB)."""

Floats = npt.NDArray[np.float32]
"""height x width, or height x width x 2 for points and displacements: x first, then y, in pixels."""

Matrix = npt.NDArray[np.float64]
"""3 x 3, acting on (x, y, 1) columns; pixel centres are whole numbers."""

Labels = npt.NDArray[np.uint8]
"""height x width of small numbers: which model a pixel follows."""


def as_floats(values: npt.ArrayLike) -> Floats:
    """The same numbers in single precision; not a copy when they are so already."""
    return np.asarray(values, dtype=np.float32)

"""A view found from the whole picture at once (Fourier-Mellin), for pairs whose points look too different to match.

Turning and scaling a picture shifts its spectrum's magnitude in log-polar coordinates, wherever the picture was moved
to. That shift is read off first, then the translation. It survives the change from day to night.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from keyframe_mcp.media.render.arrays import Floats, Matrix, Pixels
from keyframe_mcp.media.render.geometry import inverse, resizing, translation
from keyframe_mcp.media.render.vision import even_out, shrink

_SIDE = 256
_ANGLES = 180
_RADII = 160
_LOWEST_RADII = 24  # the slowest waves say more about the lighting than about the scene
_WEAKEST_LIKENESS = 0.3


@dataclass(frozen=True)
class _Candidate:
    view: Matrix
    likeness: float


def find_view(first: Pixels, last: Pixels) -> Matrix | None:
    """The similarity from one gray picture to another of the same size, or None when nothing fits well."""
    height, width = first.shape
    ratio = _SIDE / max(width, height)
    size = max(16, round(width * ratio)), max(16, round(height * ratio))
    small_first, small_last = (even_out(shrink(picture, *size)) - 128 for picture in (first, last))
    best: _Candidate | None = None
    for scale, angle in _turns(small_first, small_last):
        candidate = _judge(small_first, small_last, scale, angle)
        if candidate and (best is None or candidate.likeness > best.likeness + 0.02):
            best = candidate
    if best is None or best.likeness < _WEAKEST_LIKENESS:
        return None
    shrinking = resizing((width, height), size)
    return inverse(shrinking) @ best.view @ shrinking


def _turns(first: Floats, last: Floats) -> Iterator[tuple[float, float]]:
    """The likeliest (scale, angle) pairs, in radians; no turn at all is always the first."""
    yield 1.0, 0.0
    spectrum_first, spectrum_last = _log_polar_spectrum(first), _log_polar_spectrum(last)
    fade = np.hanning(spectrum_first.shape[1]).astype(np.float32)
    cross = np.fft.rfft2(spectrum_last * fade) * np.fft.rfft2(spectrum_first * fade).conj()
    peaks = np.fft.irfft2(cross / (np.abs(cross) + 1e-9), spectrum_first.shape)
    columns = peaks.shape[1]
    for place in np.argsort(peaks.ravel())[::-1][:6]:
        row, column = divmod(int(place), columns)
        stretch = column - columns if column > columns // 2 else column
        degrees = row - _ANGLES if row > _ANGLES // 2 else row
        scale = math.exp(-stretch * math.log(_SIDE / 2 - 1) / _RADII)
        if 0.45 < scale < 2.2 and abs(degrees) < 60:
            yield scale, math.radians(degrees)


def _log_polar_spectrum(picture: Floats) -> Floats:
    height, width = picture.shape
    square = np.zeros((_SIDE, _SIDE), np.float32)
    top, left = (_SIDE - height) // 2, (_SIDE - width) // 2
    square[top : top + height, left : left + width] = picture * _window(picture)
    magnitude = np.log1p(np.abs(np.fft.fftshift(np.fft.fft2(square)))).astype(np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_POLAR_LOG
    polar = cv2.warpPolar(magnitude, (_RADII, 2 * _ANGLES), (_SIDE / 2, _SIDE / 2), _SIDE / 2 - 1, flags)
    half = np.asarray(polar, dtype=np.float32)[:_ANGLES, _LOWEST_RADII:]
    return half - half.mean(axis=0)


def _judge(first: Floats, last: Floats, scale: float, angle: float) -> _Candidate | None:
    height, width = first.shape
    view = _turn_about_the_centre(scale, angle, width, height)
    (right, down), _ = cv2.phaseCorrelate(_moved(first, view), last, _window(first))
    view = translation(right, down) @ view
    inside = _moved(np.ones_like(first), view) > 0.5
    share = float(inside.mean())
    if share < 0.2:
        return None
    shown, expected = _moved(first, view)[inside], last[inside]
    if not (shown.std() > 0 and expected.std() > 0):
        return None  # flat pictures correlate with nothing: the quotient is not a number
    return _Candidate(view, float(np.corrcoef(shown, expected)[0, 1]) * (0.5 + 0.5 * share))


def _turn_about_the_centre(scale: float, angle: float, width: int, height: int) -> Matrix:
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    across, along = (width - 1) / 2, (height - 1) / 2
    return translation(across, along) @ turn @ translation(-across, -along)


def _moved(picture: Floats, view: Matrix) -> Floats:
    height, width = picture.shape
    return np.asarray(cv2.warpAffine(picture, view[:2], (width, height)), dtype=np.float32)


def _window(picture: Floats) -> Floats:
    height, width = picture.shape
    return np.asarray(cv2.createHanningWindow((width, height), cv2.CV_32F), dtype=np.float32)

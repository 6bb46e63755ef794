"""Views found from points that two pictures share: SIFT matches, sorted into plane motions by RANSAC."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from keyframe_mcp.media.render.arrays import Floats, Matrix, Pixels, as_floats
from keyframe_mcp.media.render.geometry import corners

_MOST_VIEWS = 4
_LARGEST_ROTATION = math.radians(60)  # beyond it, a picture hung the other way round would spin


@dataclass(frozen=True)
class Matches:
    """Points of the first picture and the points of the last that look the same: N x 2 each."""

    first: Floats
    last: Floats

    def __len__(self) -> int:
        return len(self.first)

    def kept(self, chosen: np.typing.NDArray[np.bool_]) -> Matches:
        return Matches(self.first[chosen], self.last[chosen])


@dataclass(frozen=True)
class _View:
    matrix: Matrix
    matches: Matches


def find_views(first: Pixels, last: Pixels) -> list[Matrix]:
    """The plane motions from one gray picture to another of the same size, the one covering most of it first."""
    height, width = first.shape
    matches = find_matches(first, last)
    found: list[_View] = []
    fewest = 12.0
    while len(found) < _MOST_VIEWS and len(matches) >= fewest:
        view = _dominant_view(matches, width, height, is_first=not found)
        if view is None or _distinct(view.matches.first, 4.0) < fewest:
            break
        found.append(view)
        if len(found) == 1:
            fewest = max(10.0, 0.04 * len(matches))
        matches = _unexplained(matches, view.matrix, 3 * _tolerance(width))
    # By coverage and not by number of points: one richly textured object must not pass for the camera.
    found.sort(key=lambda view: -_distinct(view.matches.first, width / 16))
    return [view.matrix for view in found]


def find_matches(first: Pixels, last: Pixels) -> Matches:
    detector = cv2.SIFT.create(1000, contrastThreshold=0.02)
    everywhere = np.full_like(first, 255)
    points_first, looks_first = detector.detectAndCompute(first, everywhere)
    points_last, looks_last = detector.detectAndCompute(last, everywhere)
    if min(len(points_first), len(points_last)) < 8:
        return Matches(np.empty((0, 2), np.float32), np.empty((0, 2), np.float32))
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(looks_first, looks_last, k=2)
    clear = [pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < 0.8 * pair[1].distance]
    return Matches(
        np.array([points_first[match.queryIdx].pt for match in clear], np.float32).reshape(-1, 2),
        np.array([points_last[match.trainIdx].pt for match in clear], np.float32).reshape(-1, 2),
    )


def is_plausible(view: Matrix, width: int, height: int) -> bool:
    """Whether a camera could have moved so: no fold, no mirror, no near-edge-on plane, no upside-down, no huge leap."""
    moved = view @ corners(width, height)
    if (moved[2] <= 0.2).any() or (moved[2] > 5).any():
        return False
    outline = (moved[:2] / moved[2]).T.astype(np.float32)
    area = cv2.contourArea(outline, oriented=True)
    if area <= 0 or not cv2.isContourConvex(outline.reshape(-1, 1, 2)):
        return False
    top = outline[1] - outline[0]
    leap = np.abs(outline.mean(axis=0) - (width / 2, height / 2)).max()
    upright = abs(math.atan2(float(top[1]), float(top[0]))) < _LARGEST_ROTATION
    return upright and 0.25 < math.sqrt(area / (width * height)) < 4 and bool(leap < width)


def _dominant_view(matches: Matches, width: int, height: int, *, is_first: bool) -> _View | None:
    cv2.setRNGSeed(0)  # RANSAC draws at random; the same pictures must give the same video
    view = _similarity(matches, _tolerance(width) * (1.3 if is_first else 1.0))
    if is_first and len(matches) >= 30:
        plane = _homography(matches, _tolerance(width))
        clearly_more = 1.15 * (len(view.matches) if view else 0) + 10
        if plane and len(plane.matches) > clearly_more and is_plausible(plane.matrix, width, height):
            view = plane
    return view if view and is_plausible(view.matrix, width, height) else None


def _similarity(matches: Matches, tolerance: float) -> _View | None:
    found, inliers = cv2.estimateAffinePartial2D(
        matches.first,
        matches.last,
        method=cv2.RANSAC,
        ransacReprojThreshold=tolerance,
        maxIters=2000,
        confidence=0.999,
    )
    return _view(found, inliers, matches)


def _homography(matches: Matches, tolerance: float) -> _View | None:
    found, inliers = cv2.findHomography(
        matches.first, matches.last, cv2.USAC_MAGSAC, tolerance, maxIters=2000, confidence=0.999
    )
    return _view(found, inliers, matches)


def _view(found: object, inliers: object, matches: Matches) -> _View | None:
    if found is None:  # OpenCV's annotations promise a matrix; this is what it gives when there is none
        return None
    matrix = np.asarray(found, dtype=np.float64)
    if len(matrix) == 2:
        matrix = np.vstack([matrix, [0.0, 0.0, 1.0]])
    if not np.isfinite(matrix).all() or matrix[2, 2] == 0:
        return None
    chosen = np.asarray(inliers).ravel() > 0
    return _View(matrix / matrix[2, 2], matches.kept(chosen))


def _unexplained(matches: Matches, view: Matrix, distance: float) -> Matches:
    predicted = cv2.perspectiveTransform(matches.first.reshape(1, -1, 2), view)[0]
    apart = as_floats(predicted) - matches.last
    return matches.kept((apart * apart).sum(axis=1) > distance * distance)


def _tolerance(width: int) -> float:
    return max(1.5, width / 250)


def _distinct(points: Floats, cell: float) -> int:
    """How many squares of `cell` pixels have a point in them."""
    return len(np.unique((points / cell).astype(int), axis=0))

"""One motion from several: each pixel follows the view that explains it best, and gaps are filled from around."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keyframe_mcp.media.render.arrays import Floats, Labels, as_floats
from keyframe_mcp.media.render.flow import Field
from keyframe_mcp.media.render.geometry import grid
from keyframe_mcp.media.render.vision import blur, enlarge, halve, sample, tidy

_FOR_THE_CAMERA = 0.03
_AGAINST_THE_REST = -0.45  # a mover must be clearly better than the background to take a pixel from it
_PULL_TO_REST = 0.02


@dataclass(frozen=True)
class Fused:
    """A field, and for each pixel the number of the view it came from: 0 is the camera, others are movers."""

    field: Field
    labels: Labels

    @property
    def share_of_movers(self) -> float:
        return float((self.labels > 0).mean())


def fuse(fields: Sequence[Field], visible: Floats, visible_there: Floats) -> Fused:
    """Take each pixel from the most confident field. The masks say what either picture shows in the halfway frame."""
    height, width = visible.shape
    reach = max(1.0, width / 90)
    displacement, confidence = np.zeros((height, width, 2), np.float32), np.zeros((height, width), np.float32)
    labels, best = np.zeros((height, width), np.uint8), np.full((height, width), -np.inf, np.float32)
    for number, field in enumerate(fields):
        seen = _seen(field, visible, visible_there)
        score = blur(seen, reach) + (_AGAINST_THE_REST if number else _FOR_THE_CAMERA)
        better = score > best
        best[better], labels[better] = score[better], number
        displacement[better], confidence[better] = field.displacement[better], seen[better]
    return Fused(Field(displacement, confidence), labels)


def fill(fused: Fused) -> Floats:
    """The displacement everywhere: guesses replaced by what surrounds them, background and each mover by itself."""
    displacement, confidence = fused.field.displacement, fused.field.confidence
    if not fused.labels.any():
        return push_pull(displacement, confidence, _PULL_TO_REST)
    labels = tidy(fused.labels)
    filled = push_pull(displacement, confidence * (labels == 0), _PULL_TO_REST)
    for number in np.unique(labels[labels > 0]):
        mover = labels == number
        filled[mover] = push_pull(displacement, confidence * mover, 1e-4)[mover]
    return filled


def push_pull(values: Floats, weights: Floats, pull_to_zero: float, trust: float = 1.5) -> Floats:
    """A smooth field through the values that have weight: averaged to ever coarser grids, then back to fill the gaps.

    `values` is height x width x channels. Where nothing near has weight the result tends to zero.
    """
    sums: list[Floats] = [values * weights[..., np.newaxis]]
    totals: list[Floats] = [weights.astype(np.float32)]
    while min(totals[-1].shape) > 4:
        sums.append(halve(sums[-1]))
        totals.append(halve(totals[-1]))
    filled = as_floats(sums[-1] / (totals[-1][..., np.newaxis] + np.float32(pull_to_zero)))
    for total_here, sum_here in zip(totals[-2::-1], sums[-2::-1], strict=True):
        height, width = total_here.shape
        coarse = enlarge(filled, width, height).reshape(sum_here.shape)
        own = np.clip(total_here * np.float32(trust), 0, 1)[..., np.newaxis]
        filled = as_floats(sum_here / (total_here[..., np.newaxis] + np.float32(1e-6)) * own + coarse * (1 - own))
    return filled


def _seen(field: Field, visible: Floats, visible_there: Floats) -> Floats:
    height, width = visible.shape
    arrived = grid(width, height) + field.displacement
    inside = (arrived > -1).all(axis=2) & (arrived[..., 0] < width) & (arrived[..., 1] < height)
    return (field.confidence * inside * visible * sample(visible_there, arrived)).astype(np.float32)

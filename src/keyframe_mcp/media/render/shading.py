"""How the light changes between two pictures: a smooth field of colour differences, last minus first.

Blending by weights that vary over the picture would draw their outline where one picture is brighter. Adding this
field lets both pictures reach the brightness of the moment before they are blended.
"""

from __future__ import annotations

import numpy as np

from keyframe_mcp.media.render.arrays import Floats, Pixels, as_floats
from keyframe_mcp.media.render.geometry import grid
from keyframe_mcp.media.render.layers import push_pull
from keyframe_mcp.media.render.motion import Motion, coverage
from keyframe_mcp.media.render.vision import blur, sample, shrink, transform

_SMALLEST_WORTH_ADDING = 3.0  # gray levels, in the mean
_SUREST = 0.2
_ALL_THAT_IS_SEEN = 4.0
_FAINT = 0.1


def find_shading(first: Pixels, last: Pixels, motion: Motion) -> Floats | None:
    """On the motion's grid, in Y, U and V levels; None when the light hardly changes."""
    width = motion.size[0]
    own = grid(*motion.size)
    small_first, small_last = (as_floats(shrink(picture, *motion.size)) for picture in (first, last))
    in_first = transform(own, motion.first_from_middle)
    in_last = transform(as_floats(own + motion.forward.found.displacement), motion.last_from_middle)
    seen_first, seen_last = sample(small_first, in_first), sample(small_last, in_last)
    confidence = motion.forward.found.confidence
    # An empty sky gives no sure motion, but its colour is still better known there than from the hills below it.
    # With objects on the move it is not: what is behind them has another colour.
    weight = _FAINT if motion.has_movers else _ALL_THAT_IS_SEEN
    seen = weight * coverage(in_first) * coverage(in_last)
    trusted = as_floats(np.maximum(confidence * (confidence > _SUREST), seen))
    difference = push_pull(as_floats(seen_last - seen_first), trusted, 1e-3, trust=0.3)
    difference = blur(difference, max(2.0, width / 30) / 2)
    if float(np.abs(difference).mean()) <= _SMALLEST_WORTH_ADDING:
        return None
    return _in_luma_and_chroma(difference)


def _in_luma_and_chroma(colour: Floats) -> Floats:
    """BT.709, limited range."""
    red, green, blue = colour[..., 0], colour[..., 1], colour[..., 2]
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return as_floats(
        np.dstack([luma * (219 / 255), (blue - luma) / 1.8556 * (224 / 255), (red - luma) / 1.5748 * (224 / 255)])
    )

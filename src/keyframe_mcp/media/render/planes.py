"""The three planes of a yuv420p picture, as views into one array."""

from __future__ import annotations

from keyframe_mcp.media.render.arrays import Pixels


class Planes:
    """Reading or writing a plane reads or writes the array it was made from: (height * 3/2) x width."""

    def __init__(self, together: Pixels) -> None:
        rows, width = together.shape
        height = rows * 2 // 3
        chroma = together[height:].reshape(2, height // 2, width // 2)
        self.all = together
        self.luma = together[:height]
        self.chroma = chroma[0], chroma[1]

"""Text to video without a model: a storyboard, one card per shot, with the time running below.

It says on every frame that it is a preview: nothing here was imagined by a model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from keyframe_mcp.media import fonts
from keyframe_mcp.media.encode import planes_of
from keyframe_mcp.media.render.arrays import Floats, Pixels, as_floats
from keyframe_mcp.media.render.cards import ACCENT, Layout, draw_card
from keyframe_mcp.media.render.planes import Planes
from keyframe_mcp.media.render.shots import Shot
from keyframe_mcp.media.render.timing import clamp, smooth

_LONGEST_FADE = 0.6  # seconds
_SECONDS_LUMA = 170


class Storyboard:
    """Draws cards one after another, faded into each other, each for the same time."""

    def __init__(self, shots: Sequence[Shot], width: int, height: int, duration: float) -> None:
        """`duration` is in seconds."""
        self._duration = duration
        self._count = len(shots)
        self._strip = _TimeStrip(width, height, duration, len(shots))
        self._cards = [planes_of(np.asarray(draw_card(shot, width, height, len(shots)))) for shot in shots]
        self._fade = min(_LONGEST_FADE, 0.3 * duration / len(shots)) / duration
        self._mixing: tuple[Floats, Floats] | None = None
        self._mixing_number = -1

    def draw(self, progress: float) -> Pixels:
        """The planes at a progress from 0 to 1."""
        drawn = self._background(clamp(progress)).copy()
        self._strip.draw_on(Planes(drawn), clamp(progress))
        return drawn

    def _background(self, progress: float) -> Pixels:
        number = min(int(progress * self._count), self._count - 1)
        for boundary in (number, number + 1):
            share = (progress - boundary / self._count) / self._fade + 0.5
            if 0 < boundary < self._count and 0 < share < 1:
                return self._mixed(boundary, smooth(share))
        return self._cards[number]

    def _mixed(self, following: int, share: float) -> Pixels:
        if self._mixing is None or self._mixing_number != following:
            before, after = as_floats(self._cards[following - 1]), as_floats(self._cards[following])
            self._mixing, self._mixing_number = (before + np.float32(0.5), after - before), following
        start, change = self._mixing
        return (start + change * np.float32(share)).astype(np.uint8)


class _TimeStrip:
    """The seconds and the bar under a card: all that changes while a card is shown."""

    def __init__(self, width: int, height: int, duration: float, shots: int) -> None:
        self._layout = Layout(width, height)
        self._duration = duration
        self._accent = [int(plane[0, 0]) for plane in _planes_of_colour(ACCENT)]
        self._segments = self._layout.segments(shots)
        self._text = ""
        self._mask: Floats = np.zeros((0, 0), np.float32)

    def draw_on(self, planes: Planes, progress: float) -> None:
        self._draw_bar(planes, progress)
        self._draw_seconds(planes.luma, f"{progress * self._duration:.1f} / {self._duration:.1f} s")

    def _draw_bar(self, planes: Planes, progress: float) -> None:
        layout, here = self._layout, progress * (self._segments[-1][1] - self._segments[0][0]) + self._segments[0][0]
        rows = slice(layout.bar, layout.bar + layout.thickness)
        half_rows = slice(rows.start // 2, rows.stop // 2)
        for start, end in self._segments:
            reached = min(end, round(here))
            if reached > start:
                planes.luma[rows, start:reached] = self._accent[0]
                for plane, level in zip(planes.chroma, self._accent[1:], strict=True):
                    plane[half_rows, start // 2 : reached // 2] = level

    def _draw_seconds(self, luma: Pixels, text: str) -> None:
        if text != self._text:
            self._text, self._mask = text, _text_mask(text, self._layout.small)
        height, width = self._mask.shape
        right, bottom = self._layout.width - self._layout.margin, self._layout.bar - self._layout.small // 3
        place = luma[bottom - height : bottom, right - width : right]
        place[:] = (place + (np.float32(_SECONDS_LUMA) - place) * self._mask).astype(np.uint8)


def _text_mask(text: str, size: int) -> Floats:
    """How much of each pixel one line of text covers, 0-1."""
    image = Image.new("RGB", (round(fonts.measure(text, size)) + 2, round(1.3 * size)))
    fonts.draw(ImageDraw.Draw(image), (image.width - 1, image.height / 2), text, size, (255, 255, 255), anchor="rm")
    return as_floats(np.asarray(image)[..., 0]) / np.float32(255)


def _planes_of_colour(colour: tuple[int, int, int]) -> tuple[Pixels, Pixels, Pixels]:
    planes = Planes(planes_of(np.full((16, 16, 3), colour, np.uint8)))
    return planes.luma, *planes.chroma

"""Text to video without a model: a storyboard, one card per shot, with the time running below.

It says on every frame that it is a preview: nothing here was imagined by a model.
"""

from __future__ import annotations

import colorsys
import hashlib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from keyframe_mcp.media import fonts
from keyframe_mcp.media.encode import planes_of
from keyframe_mcp.media.render.arrays import Floats, Pixels, as_floats
from keyframe_mcp.media.render.camera_words import read_camera
from keyframe_mcp.media.render.planes import Planes
from keyframe_mcp.media.render.timing import clamp, smooth

NOTICE = "LOCAL PREVIEW - not AI video"

_LONGEST_FADE = 0.6  # seconds
_MOST_SHOTS = 12
_WHITE = (242, 242, 246)
_GRAY = (168, 170, 182)
_DIM = (92, 94, 108)
_ACCENT = (255, 204, 112)
_SECONDS_LUMA = 170
_SHOT_MARK = re.compile(r"(?:^|\s+)(?:shot|scene)\s*\d+\s*[:.)\-]\s*", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])\s*|\n+")


@dataclass(frozen=True)
class Shot:
    """One card: a label above and what happens."""

    label: str
    text: str


def shots_of(prompt: str) -> list[Shot]:
    """The shots a prompt describes: marked ("Shot 2: ..."), or its lines and sentences."""
    pieces = _SHOT_MARK.split(prompt) if _SHOT_MARK.search(prompt) else _SENTENCE_END.split(prompt)
    texts = [piece.strip() for piece in pieces if piece.strip()]
    if len(texts) > _MOST_SHOTS:
        texts = [*texts[: _MOST_SHOTS - 1], " ".join(texts[_MOST_SHOTS - 1 :])]
    if len(texts) < 2:
        return [Shot("SHOT 1", prompt.strip() or "(no prompt)")]
    return [Shot(f"SHOT {number} / {len(texts)}", text) for number, text in enumerate(texts, start=1)]


def shots_between(prompt_start: str, prompt_end: str) -> list[Shot]:
    """The shots of an animation: those of the start, then the end."""
    start = shots_of(prompt_start)
    labels = ["START"] if len(start) == 1 else [f"START {number} / {len(start)}" for number in range(1, len(start) + 1)]
    return [
        *(Shot(label, shot.text) for label, shot in zip(labels, start, strict=True)),
        Shot("END", prompt_end.strip() or "(no prompt)"),
    ]


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


def draw_card(shot: Shot, width: int, height: int, shots: int = 1) -> Image.Image:
    """The card of one of several shots, before any time has passed."""
    card = _background(shot.text, width, height)
    canvas = ImageDraw.Draw(card)
    layout = _Layout(width, height)
    _draw_header(canvas, layout, shot)
    _draw_text(canvas, layout, shot.text)
    _draw_camera(canvas, layout, shot.text)
    for start, end in layout.segments(shots):
        canvas.rectangle((start, layout.bar, end - 1, layout.bar + layout.thickness - 1), fill=_DIM)
    return card


@dataclass(frozen=True)
class _Layout:
    width: int
    height: int

    @property
    def unit(self) -> float:
        """What sizes follow: the height, or less on tall frames, where the width is what is scarce."""
        return min(self.height, self.width * 0.8)

    @property
    def margin(self) -> int:
        return round(0.07 * min(self.width, 1.4 * self.height))

    @property
    def small(self) -> int:
        return max(9, round(0.036 * self.unit))

    @property
    def top(self) -> int:
        """Where the header ends."""
        return self.margin + round(2.2 * self.small)

    @property
    def bar(self) -> int:
        """The top of the time bar, on an even row."""
        return (self.height - self.margin) // 2 * 2

    @property
    def thickness(self) -> int:
        """Of the time bar, even."""
        return max(2, round(self.height / 320) * 2)

    def segments(self, shots: int) -> list[tuple[int, int]]:
        """The part of the time bar each shot has, from an even column to an even column."""
        start, length = self.margin // 2 * 2, self.width - 2 * self.margin
        ends = [start + round(number * length / shots / 2) * 2 for number in range(shots + 1)]
        gap = 2 if shots > 1 else 0
        return [(left, right - gap) for left, right in itertools.pairwise(ends)]


def _background(text: str, width: int, height: int) -> Image.Image:
    """Dark, with a light from above whose colour belongs to the text."""
    hue = hashlib.sha256(text.encode()).digest()[0] / 256
    light = np.array(colorsys.hsv_to_rgb(hue, 0.55, 0.40), np.float32) * 255
    dark = np.array(colorsys.hsv_to_rgb((hue + 0.06) % 1, 0.60, 0.10), np.float32) * 255
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    distance = np.hypot((across - 0.3) * 0.9, down * 1.05 + 0.1)
    share = np.clip(distance, 0, 1)[..., np.newaxis] ** np.float32(0.8)
    grain = np.random.default_rng(0).uniform(-0.6, 0.6, (height, width, 1))  # hides the steps of a dark gradient
    return Image.fromarray(np.clip(light * (1 - share) + dark * share + grain, 0, 255).astype(np.uint8))


def _draw_header(canvas: ImageDraw.ImageDraw, layout: _Layout, shot: Shot) -> None:
    top = layout.margin
    fonts.draw(canvas, (layout.margin, top), shot.label, layout.small, _ACCENT)
    room = layout.width - 3 * layout.margin - fonts.measure(shot.label, layout.small)
    size = layout.small
    while size > 7 and fonts.measure(NOTICE, size) > room:
        size -= 1
    fonts.draw(canvas, (layout.width - layout.margin, top), NOTICE, size, _GRAY, anchor="ra")
    rule = top + round(1.9 * layout.small)
    canvas.line((layout.margin, rule, layout.width - layout.margin, rule), fill=_DIM, width=max(1, layout.small // 14))


def _draw_camera(canvas: ImageDraw.ImageDraw, layout: _Layout, text: str) -> None:
    move = read_camera(text)
    if not move.by_default:
        place = layout.margin, layout.bar - 0.98 * layout.small
        fonts.draw(canvas, place, f"CAMERA: {move}", layout.small, _GRAY, anchor="lm")


def _draw_text(canvas: ImageDraw.ImageDraw, layout: _Layout, text: str) -> None:
    """As large as fits between the header and the time, in the middle of what is left."""
    width = layout.width - 2 * layout.margin
    top, bottom = layout.top + layout.small, layout.bar - 2.4 * layout.small
    size, lines = _fitted(text, width, bottom - top, round(0.105 * layout.unit), layout.small)
    step = 1.32 * size
    first = top + max(0.0, (bottom - top - len(lines) * step) / 2)
    for number, line in enumerate(lines):
        fonts.draw(canvas, (layout.margin, first + (number + 0.5) * step), line, size, _WHITE, anchor="lm")


def _fitted(text: str, width: float, height: float, largest: int, smallest: int) -> tuple[int, list[str]]:
    size = largest
    lines = fonts.wrap(text, size, width)
    while size > smallest and len(lines) * 1.32 * size > height:
        size = max(smallest, int(size * 0.9))
        lines = fonts.wrap(text, size, width)
    room = max(1, int(height / (1.32 * size)))
    if len(lines) > room:
        lines = [*lines[: room - 1], lines[room - 1].rstrip() + " …"]
    return size, lines


class _TimeStrip:
    """The seconds and the bar under a card: all that changes while a card is shown."""

    def __init__(self, width: int, height: int, duration: float, shots: int) -> None:
        self._layout = _Layout(width, height)
        self._duration = duration
        self._accent = [int(plane[0, 0]) for plane in _planes_of_colour(_ACCENT)]
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

"""What a storyboard's cards look like."""

from __future__ import annotations

import colorsys
import hashlib
import itertools
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from keyframe_mcp.media import fonts
from keyframe_mcp.media.render.camera_words import read_camera
from keyframe_mcp.media.render.shots import Shot

NOTICE = "LOCAL PREVIEW - not AI video"
ACCENT = (255, 204, 112)

_WHITE = (242, 242, 246)
_GRAY = (168, 170, 182)
_DIM = (92, 94, 108)
_CUT = " …"


def draw_card(shot: Shot, width: int, height: int, shots: int = 1) -> Image.Image:
    """The card of one of several shots, before any time has passed."""
    card = _background(shot.text, width, height)
    canvas = ImageDraw.Draw(card)
    layout = Layout(width, height)
    _draw_header(canvas, layout, shot)
    _draw_text(canvas, layout, shot.text)
    _draw_camera(canvas, layout, shot.text)
    for start, end in layout.segments(shots):
        canvas.rectangle((start, layout.bar, end - 1, layout.bar + layout.thickness - 1), fill=_DIM)
    return card


@dataclass(frozen=True)
class Layout:
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

    @property
    def text_between(self) -> tuple[float, float]:
        """The top and bottom of where the text goes."""
        return self.top + self.small, self.bar - 2.4 * self.small

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


def _draw_header(canvas: ImageDraw.ImageDraw, layout: Layout, shot: Shot) -> None:
    top = layout.margin
    fonts.draw(canvas, (layout.margin, top), shot.label, layout.small, ACCENT)
    room = layout.width - 3 * layout.margin - fonts.measure(shot.label, layout.small)
    size = layout.small
    while size > 7 and fonts.measure(NOTICE, size) > room:
        size -= 1
    fonts.draw(canvas, (layout.width - layout.margin, top), NOTICE, size, _GRAY, anchor="ra")
    rule = top + round(1.9 * layout.small)
    canvas.line((layout.margin, rule, layout.width - layout.margin, rule), fill=_DIM, width=max(1, layout.small // 14))


def _draw_camera(canvas: ImageDraw.ImageDraw, layout: Layout, text: str) -> None:
    move = read_camera(text)
    if not move.by_default:
        place = layout.margin, layout.bar - 0.98 * layout.small
        fonts.draw(canvas, place, f"CAMERA: {move}", layout.small, _GRAY, anchor="lm")


def is_cut(shot: Shot, width: int, height: int) -> bool:
    """Whether a card has no room for all of its text, at the smallest size that can be read."""
    _, lines = _set(Layout(width, height), shot.text)
    return lines[-1].endswith(_CUT)


def _set(layout: Layout, text: str) -> tuple[int, list[str]]:
    """As large as fits between the header and the time: the size, and the lines."""
    top, bottom = layout.text_between
    width = layout.width - 2 * layout.margin
    return _fitted(text, width, bottom - top, round(0.105 * layout.unit), layout.small)


def _draw_text(canvas: ImageDraw.ImageDraw, layout: Layout, text: str) -> None:
    """In the middle of what the header and the time leave."""
    top, bottom = layout.text_between
    size, lines = _set(layout, text)
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
        lines = [*lines[: room - 1], lines[room - 1].rstrip() + _CUT]
    return size, lines

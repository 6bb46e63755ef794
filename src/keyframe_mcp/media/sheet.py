"""A contact sheet: a whole video in one picture that a model can look at, every frame numbered and timed."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from itertools import product

from PIL import Image, ImageDraw

from keyframe_mcp.media import fonts, images, video
from keyframe_mcp.media.orders import Cell, MakeSheet, SheetFacts
from keyframe_mcp.media.video import Sample, Survey

MAX_PIXELS = 1_150_000
"""Larger pictures are scaled down before a model sees them."""

_MOST_CELLS = 25
_GUTTER = 4
_BACKGROUND = (24, 24, 24)
_SMALLEST_TILE = 180  # the shorter side to which the frames of a tiny video are enlarged, so that labels fit
_QUALITIES = (85, 78, 70, 60, 50, 40)
_SHRINKINGS = (1.0, 0.8, 0.64, 0.5, 0.35)
_MISSED_CELL = 0.6  # what a grid is worth for each cell more or less than asked for


@dataclass(frozen=True)
class Grid:
    """So many tiles across and down, each of a width and height in pixels."""

    columns: int
    rows: int
    width: int
    height: int

    @property
    def cells(self) -> int:
        """How many frames it shows."""
        return self.columns * self.rows

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet, gutters and all."""
        return (
            self.columns * self.width + (self.columns - 1) * _GUTTER,
            self.rows * self.height + (self.rows - 1) * _GUTTER,
        )


def make(order: MakeSheet) -> SheetFacts:
    """Save a contact sheet as JPEG. Its grid is full: a count that makes no rectangle is rounded."""
    known = video.survey(order.path)
    grid = choose_grid(known, order.cells or _cells_for(known.duration), order.longest_side)
    samples = video.sample(order.path, known, grid.cells, (grid.width, grid.height))
    if len(samples) < grid.cells:
        # some frames could not be decoded
        grid = choose_grid(known, len(samples), order.longest_side, most=len(samples))
        samples = samples[: grid.cells - 1] + samples[-1:]
    sheet = _draw(grid, samples)
    sheet, content = _compress(sheet, order.max_bytes)
    images.write(content, order.to)
    return SheetFacts(
        path=order.to,
        width=sheet.width,
        height=sheet.height,
        size_bytes=len(content),
        cells=tuple(Cell(cell=place, frame=cell.frame, at=cell.at) for place, cell in enumerate(samples, start=1)),
        video=known.facts(),
    )


def choose_grid(known: Survey, wanted: int, longest_side: int, most: int | None = None) -> Grid:
    """The full grid that covers most of the sheet with about as many cells as wanted, and no more than frames."""
    frames = min(most or len(known.shown), _MOST_CELLS)
    fewest = min(2, frames)
    wanted = max(fewest, min(wanted, frames))

    def worth(grid: Grid) -> float:
        width, height = grid.size
        return width * height * _MISSED_CELL ** abs(grid.cells - wanted)

    shapes = ((columns, rows) for columns, rows in product(range(1, frames + 1), repeat=2))
    grids = (
        _fill(known, columns, rows, longest_side) for columns, rows in shapes if fewest <= columns * rows <= frames
    )
    return max(grids, key=worth)


def _cells_for(duration: float) -> int:
    if duration < 2:
        return 4
    return 9 if duration <= 15 else 16


def _fill(known: Survey, columns: int, rows: int, longest_side: int) -> Grid:
    """The grid with the largest tiles of the video's shape that keep the sheet within its limits."""
    inner_width = longest_side - (columns - 1) * _GUTTER
    inner_height = longest_side - (rows - 1) * _GUTTER
    shape = known.width / known.height
    largest_tile = MAX_PIXELS / (columns * rows)
    enlarged = max(1.0, _SMALLEST_TILE / min(known.width, known.height))
    width = min(
        inner_width / columns,
        inner_height / rows * shape,
        math.sqrt(largest_tile * shape),
        known.width * enlarged,
    )
    grid = Grid(columns, rows, max(1, int(width)), max(1, int(width / shape)))
    # gutters count too
    excess = grid.size[0] * grid.size[1] / MAX_PIXELS
    if excess <= 1:
        return grid
    width /= excess
    return Grid(columns, rows, max(1, int(width)), max(1, int(width / shape)))


def _draw(grid: Grid, samples: list[Sample]) -> Image.Image:
    sheet = Image.new("RGB", grid.size, _BACKGROUND)
    for place, cell in enumerate(samples):
        row, column = divmod(place, grid.columns)
        tile = cell.image if cell.image.size == (grid.width, grid.height) else None
        tile = tile or images.fit(cell.image, grid.width, grid.height)
        _label(tile, f"{place + 1}  {cell.at:.2f}s")
        sheet.paste(tile, (column * (grid.width + _GUTTER), row * (grid.height + _GUTTER)))
    return sheet


def _label(tile: Image.Image, text: str) -> None:
    size = max(13, round(min(tile.width, tile.height) * 0.075))
    margin = size // 3
    canvas = ImageDraw.Draw(tile)
    canvas.rectangle((0, 0, fonts.measure(text, size) + 2 * margin, size + 2 * margin), fill=(0, 0, 0))
    fonts.draw(canvas, (margin, margin + size / 2), text, size, (255, 255, 255), anchor="lm")


def _compress(sheet: Image.Image, max_bytes: int) -> tuple[Image.Image, bytes]:
    """The best JPEG within the limit; a smaller picture when the lowest quality is not enough."""
    content = b""
    smaller = sheet
    for shrinking in _SHRINKINGS:
        width, height = (max(1, round(side * shrinking)) for side in sheet.size)
        smaller = sheet if shrinking == 1 else sheet.resize((width, height), Image.Resampling.LANCZOS)
        for quality in _QUALITIES:
            buffer = io.BytesIO()
            smaller.save(buffer, format="JPEG", quality=quality, optimize=True)
            content = buffer.getvalue()
            if len(content) <= max_bytes:
                return smaller, content
    return smaller, content

"""A contact sheet: a whole video in one picture that a model can look at, every frame numbered and timed.

Where pictures were given for its ends, a row below the frames shows each beside what was delivered for it.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from itertools import product

from PIL import Image, ImageDraw

from keyframe_mcp.errors import UnreadableImage
from keyframe_mcp.media import comparing, fonts, images, video
from keyframe_mcp.media.orders import Cell, Comparison, MakeSheet, SheetFacts
from keyframe_mcp.media.video import Sample, Survey

MAX_PIXELS = 1_150_000
"""Larger pictures are scaled down before a model sees them."""

_MOST_CELLS = 25
_GUTTER = 4
_BACKGROUND = (24, 24, 24)
_ON_FRAMES = (0, 0, 0)
_ON_GIVEN = (0, 70, 160)
_SMALLEST_TILE = 180  # the shorter side to which the frames of a tiny video are enlarged, so that labels fit
_QUALITIES = (85, 78, 70, 60, 50, 40)
_SHRINKINGS = (1.0, 0.8, 0.64, 0.5, 0.35)
_MISSED_CELL = 0.6  # what a grid is worth for each cell more or less than asked for
_READABLE_CELL = 220  # the longer side in pixels that a frame keeps where nobody said how many to show


@dataclass(frozen=True)
class Grid:
    """So many tiles across and down, each of a width and height in pixels, and below them so many pairs to compare."""

    columns: int
    rows: int
    width: int
    height: int
    pairs: int = 0

    @property
    def cells(self) -> int:
        """How many frames it shows."""
        return self.columns * self.rows

    @property
    def inner_width(self) -> int:
        """Of the tiles and the gutters between them."""
        return self.columns * self.width + (self.columns - 1) * _GUTTER

    @property
    def inner_height(self) -> int:
        """Of the tiles and the gutters between them, without what is compared."""
        return self.rows * self.height + (self.rows - 1) * _GUTTER

    @property
    def pair_tile(self) -> tuple[int, int]:
        """Width and height of a picture in a pair: that of a frame, unless two pairs have to stand in a row."""
        across = _across(self.columns, self.pairs)
        width = max(1, min(self.width, (self.inner_width - (across - 1) * _GUTTER) // across))
        return width, max(1, self.height * width // self.width)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet, gutters and all."""
        if not self.pairs:
            return self.inner_width, self.inner_height
        width, height = self.pair_tile
        across = _across(self.columns, self.pairs)
        below = 2 * self.pairs // across * (height + _GUTTER)
        return max(self.inner_width, across * width + (across - 1) * _GUTTER), self.inner_height + below


@dataclass(frozen=True)
class Pair:
    """A given picture, brought to the frame's size, the frame delivered for it, and how alike they are."""

    given: Image.Image
    delivered: Image.Image
    comparison: Comparison


def make(order: MakeSheet) -> SheetFacts:
    """Save a contact sheet as JPEG. Its grid is full: a count that makes no rectangle is rounded."""
    known = video.survey(order.path)
    pairs, remarks = _pairs(order, known)
    wanted = order.cells or _cells_for(known.duration, order.longest_side)
    grid = choose_grid(known, wanted, order.longest_side, pairs=len(pairs))
    samples = video.sample(order.path, known, grid.cells, (grid.width, grid.height))
    if len(samples) < grid.cells:
        # some frames could not be decoded
        grid = choose_grid(known, len(samples), order.longest_side, most=len(samples), pairs=len(pairs))
        samples = samples[: grid.cells - 1] + samples[-1:]
    sheet = _draw(grid, samples, pairs)
    sheet, content = _compress(sheet, order.max_bytes)
    images.write(content, order.to)
    return SheetFacts(
        path=order.to,
        width=sheet.width,
        height=sheet.height,
        size_bytes=len(content),
        cells=tuple(Cell(cell=place, frame=cell.frame, at=cell.at) for place, cell in enumerate(samples, start=1)),
        video=known.facts(),
        comparisons=tuple(pair.comparison for pair in pairs),
        remarks=tuple(remarks),
    )


def choose_grid(known: Survey, wanted: int, longest_side: int, most: int | None = None, *, pairs: int = 0) -> Grid:
    """The full grid that covers most of the sheet with about as many cells as wanted, and no more than frames."""
    frames = min(most or len(known.shown), _MOST_CELLS)
    fewest = min(2, frames)
    wanted = max(fewest, min(wanted, frames))

    def worth(grid: Grid) -> float:
        return grid.inner_width * grid.inner_height * _MISSED_CELL ** abs(grid.cells - wanted)

    shapes = ((columns, rows) for columns, rows in product(range(1, frames + 1), repeat=2))
    grids = (
        _fill(known, columns, rows, longest_side, pairs)
        for columns, rows in shapes
        if fewest <= columns * rows <= frames
    )
    return max(grids, key=worth)


def _pairs(order: MakeSheet, known: Survey) -> tuple[list[Pair], list[str]]:
    """What was given beside what was delivered, and why a picture is missing there."""
    pairs: list[Pair] = []
    remarks: list[str] = []
    if order.given and min(known.width, known.height) < comparing.SMALLEST:
        return [], [f"a video of {known.width}x{known.height} is too small to be compared with what was given"]
    for given in order.given:
        stamp = known.shown[0 if given.end == "first" else -1]
        try:
            picture = images.load(given.path, (known.width, known.height)).image
        except UnreadableImage as error:
            remarks.append(f"the given {given.end} picture was not compared: {error}")
            continue
        delivered = video.to_rgb(video.frame_at(order.path, known, stamp))
        found = comparing.compare(picture, delivered)
        facts = Comparison(end=given.end, psnr=found.psnr, ssim=found.ssim, likeness=found.likeness, fit=found.fit)
        pairs.append(Pair(found.fitted, delivered, facts))
    return pairs, remarks


def _cells_for(duration: float, longest_side: int) -> int:
    """How many frames are shown where nobody said: more of a longer video, as far as each can still be seen."""
    usual = 4 if duration < 2 else 9 if duration <= 15 else 16
    return min(usual, (longest_side // _READABLE_CELL) ** 2)


def _across(columns: int, pairs: int) -> int:
    """How many pictures stand in a row of pairs: two pairs, unless the sheet is too narrow for them."""
    return 2 * pairs if columns > 2 else 2


def _fill(known: Survey, columns: int, rows: int, longest_side: int, pairs: int) -> Grid:
    """The grid with the largest tiles of the video's shape that keep the sheet within its limits."""
    across = _across(columns, pairs)
    pair_rows = 2 * pairs // across if pairs else 0
    tall = rows + pair_rows * min(1, columns / max(1, across))
    inner_width = longest_side - (columns - 1) * _GUTTER
    inner_height = longest_side - (rows + pair_rows - 1) * _GUTTER
    shape = known.width / known.height
    largest_tile = MAX_PIXELS / (columns * tall)
    enlarged = max(1.0, _SMALLEST_TILE / min(known.width, known.height))
    width = min(
        inner_width / columns,
        inner_height / tall * shape,
        math.sqrt(largest_tile * shape),
        known.width * enlarged,
    )
    grid = Grid(columns, rows, max(1, int(width)), max(1, int(width / shape)), pairs)
    # gutters count too
    excess = grid.size[0] * grid.size[1] / MAX_PIXELS
    if excess <= 1:
        return grid
    width /= excess
    return Grid(columns, rows, max(1, int(width)), max(1, int(width / shape)), pairs)


def _draw(grid: Grid, samples: list[Sample], pairs: list[Pair]) -> Image.Image:
    sheet = Image.new("RGB", grid.size, _BACKGROUND)
    for place, cell in enumerate(samples):
        row, column = divmod(place, grid.columns)
        tile = cell.image if cell.image.size == (grid.width, grid.height) else None
        tile = tile or images.fit(cell.image, grid.width, grid.height)
        _label(tile, f"{place + 1}  {cell.at:.2f}s", _ON_FRAMES)
        sheet.paste(tile, (column * (grid.width + _GUTTER), row * (grid.height + _GUTTER)))
    if pairs:
        _draw_pairs(sheet, grid, pairs)
    return sheet


def _draw_pairs(sheet: Image.Image, grid: Grid, pairs: list[Pair]) -> None:
    width, height = grid.pair_tile
    across = _across(grid.columns, grid.pairs)
    for place, pair in enumerate(pairs):
        row, column = divmod(2 * place, across)
        top = grid.inner_height + _GUTTER + row * (height + _GUTTER)
        given, delivered = (images.fit(each, width, height) for each in (pair.given, pair.delivered))
        _label(given, f"given {pair.comparison.end}", _ON_GIVEN)
        _label(delivered, f"made {pair.comparison.end}", _ON_FRAMES)
        for tile in (given, delivered):
            sheet.paste(tile, (column * (width + _GUTTER), top))
            column += 1


def _label(tile: Image.Image, text: str, colour: tuple[int, int, int]) -> None:
    size = max(13, round(min(tile.width, tile.height) * 0.075))
    margin = size // 3
    canvas = ImageDraw.Draw(tile)
    canvas.rectangle((0, 0, fonts.measure(text, size) + 2 * margin, size + 2 * margin), fill=colour)
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

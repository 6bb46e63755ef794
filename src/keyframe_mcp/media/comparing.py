"""How alike a given picture and the frame that was delivered for it are, in figures and in a verdict.

Measured by FFmpeg's own filters: `ssim` (0 to 1, luma, blocks of 8 x 8) and `psnr` (dB, over red, green and blue).
Both pictures are first scaled until the shorter side is 256 pixels, as the authors of SSIM advise: sensor noise and
the grain that encoders drop then count for little, and the figures of a 480p and a 4K video can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from PIL import Image

from keyframe_mcp.media import images
from keyframe_mcp.media.orders import Fit, Likeness

_FINE = 256
_COARSE = 32
"""Shorter sides in pixels: one at which detail counts, and one at which a small shift or a redrawn texture does not."""

# Tried 2026-11-21 on eight pictures of 832 x 480 (drawn scenes, noise clouds, text, a photograph, one flat colour),
# each against itself changed in twenty ways and against every other. SSIM at both sizes, PSNR at the coarse one:
#   JPEG 50, 30, scaled up from half    fine 0.97-1.00   coarse 0.99-1.00   44 dB and more
#   JPEG 10, noise of 10 of 255         fine 0.85-0.98   coarse 0.98-1.00   33 dB and more
#   moved by 2 px                       fine 0.69-1.00   coarse 0.99-1.00   35 dB and more
#   moved by 8 px, enlarged by 3 %      fine 0.19-0.94   coarse 0.82-0.97   21 dB and more
#   moved by 24 px, enlarged by 10 %    fine 0.07-0.91   coarse 0.37-0.81   16 dB and more
#   1.4 times as bright                 fine 0.76-0.97   coarse 0.69-0.97   14-27 dB
#   another picture                     fine 0.08-0.91   coarse 0.02-0.33   15 dB and less (0.78 with two nearly flat)
# Detail alone cannot tell a moved picture from another one, as the fine figures show; the coarse ones can.
_SAME = (0.9, 0.98)
_NEAR = 0.8
_RELATED = 0.5
_OTHER_COLOURS = 21
_NOTHING_IN_COMMON = 15

SMALLEST = 8
"""Pixels of a block of FFmpeg's `ssim`: of less it says nonsense."""

_SAME_SHAPE = 1.02
"""Up to this quotient of their shapes, fitting one picture into the other cuts off nothing that can be seen."""


@dataclass(frozen=True)
class Alike:
    """What came of comparing; `psnr` is None where nothing differs. `fitted` is the given picture at the frame size."""

    psnr: float | None
    ssim: float
    likeness: Likeness
    fit: Fit
    fitted: Image.Image


@dataclass(frozen=True)
class _Fitted:
    """A given picture as a provider may have fitted it, and the part of the frame that it fills."""

    fit: Fit
    image: Image.Image
    box: tuple[int, int, int, int]


def compare(given: Image.Image, delivered: Image.Image) -> Alike:
    """Compare with the given picture fitted in whichever way comes closest to the frame."""
    frame = _scaled(delivered, _FINE)
    ways = [(_structure(way.image, frame.crop(way.box)), way) for way in _ways(given, frame.size)]
    ssim, best = max(ways, key=lambda each: each[0])
    shown = frame.crop(best.box)
    psnr = _colours(best.image, shown)
    small = _scaled(best.image, _COARSE), _scaled(shown, _COARSE)
    fitted = next(way for way in _ways(given, delivered.size) if way.fit == best.fit)
    return Alike(
        psnr=None if math.isinf(psnr) else round(psnr, 1),
        ssim=round(ssim, 3),
        likeness=_judge(ssim, _structure(*small), _colours(*small)),
        fit=best.fit,
        fitted=_whole(fitted, delivered.size),
    )


def _judge(fine: float, coarse: float, colours: float) -> Likeness:
    """In a word, from SSIM at both sizes and PSNR in dB at the coarse one."""
    if coarse < _RELATED or (coarse < _NEAR and colours < _NOTHING_IN_COMMON):
        return "other"
    if coarse < _NEAR:
        return "related"
    if colours < _OTHER_COLOURS:
        return "recoloured"
    return "same" if fine >= _SAME[0] and coarse >= _SAME[1] else "near"


def _ways(given: Image.Image, size: tuple[int, int]) -> Iterator[_Fitted]:
    """Every way a provider may have brought a picture to the size of its video."""
    width, height = size
    whole = (0, 0, width, height)
    shape = given.width / given.height * height / width
    if 1 / _SAME_SHAPE <= shape <= _SAME_SHAPE:
        yield _Fitted("scaled", _resized(given, size), whole)
        return
    yield _Fitted("cropped", images.fit(given, width, height), whole)
    yield _Fitted("stretched", _resized(given, size), whole)
    inner = (round(width * min(1, shape)), round(height * min(1, 1 / shape)))
    if min(inner) < SMALLEST:
        return
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    yield _Fitted("letterboxed", _resized(given, inner), (left, top, left + inner[0], top + inner[1]))


def _whole(way: _Fitted, size: tuple[int, int]) -> Image.Image:
    """The fitted picture, with bars where it fills less."""
    canvas = Image.new("RGB", size)
    canvas.paste(way.image, way.box[:2])
    return canvas


def _scaled(image: Image.Image, shorter_side: int) -> Image.Image:
    """The picture made smaller, never larger."""
    scale = min(1.0, shorter_side / min(image.size))
    return _resized(image, (max(1, round(image.width * scale)), max(1, round(image.height * scale))))


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _colours(one: Image.Image, other: Image.Image) -> float:
    return _figure("psnr", "gbrp", np.asarray(one), np.asarray(other))


def _structure(one: Image.Image, other: Image.Image) -> float:
    if min(one.size) < SMALLEST:
        size = (max(one.width, SMALLEST), max(one.height, SMALLEST))
        one, other = one.resize(size, Image.Resampling.NEAREST), other.resize(size, Image.Resampling.NEAREST)
    return _figure("ssim", "gray", np.asarray(one.convert("L")), np.asarray(other.convert("L")))


def _figure(name: str, pixel_format: str, one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    """What FFmpeg's filter of this name says about two pictures of one size."""
    graph = Graph()
    measure, sink = graph.add(name), graph.add("buffersink")
    height, width = one.shape[:2]
    sources = [
        graph.add_buffer(width=width, height=height, format=VideoFormat(pixel_format), time_base=Fraction(1))
        for _ in range(2)
    ]
    for place, source in enumerate(sources):
        source.link_to(measure, 0, place)
    measure.link_to(sink)
    graph.configure()
    for source, pixels in zip(sources, (one, other), strict=True):
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=pixel_format)
        frame.pts = 0
        source.push(frame)
        source.push(None)
    said = sink.pull().metadata
    return float(said["lavfi.psnr.psnr_avg" if name == "psnr" else "lavfi.ssim.All"])

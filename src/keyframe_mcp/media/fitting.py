"""Pictures made to fit what somebody else takes: so many bytes, in one of so many formats."""

from __future__ import annotations

import io
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from PIL import Image

from keyframe_mcp.errors import UnreadableImage
from keyframe_mcp.media import images
from keyframe_mcp.media.images import Picture
from keyframe_mcp.media.orders import FitImage, ImageFacts, ImageFormat
from keyframe_mcp.media.unfinished import put_in_place

_NAMES = MappingProxyType({"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WebP", "image/avif": "AVIF"})
# the others are not shown the same by every decoder: a print's colours, gray of more than eight bits
_EVERYDAY_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
_QUALITIES = (95, 90, 85)
"""Of JPEG and WebP. Below 85 the blocks of a JPEG begin to show, and a video made from it would move them."""


@dataclass(frozen=True)
class Encoded:
    """A picture in some format; `label` says which, and how good."""

    content: bytes
    format: ImageFormat
    label: str


def fit(order: FitImage) -> ImageFacts:
    """Save a picture so that it fits, changed as little as that takes."""
    picture = images.load(order.path)
    size = _size_within(picture.image, order.longest_side)
    if _fits_as_it_is(picture, order) and size == picture.image.size:
        with put_in_place(order.to) as partial:
            shutil.copyfile(order.path, partial)
        return _facts(order.to, picture.image, picture.mime_type, picture.notes)
    scaled = picture.image if size == picture.image.size else _scaled(picture.image, size)
    encoded = _encode(scaled, picture, order)
    images.write(encoded.content, order.to)
    mime_type = f"image/{encoded.format}"
    return _facts(order.to, scaled, mime_type, (*picture.notes, *_changes(picture, scaled, encoded)))


def _size_within(image: Image.Image, longest_side: int | None) -> tuple[int, int]:
    """The size of the picture when neither side may be longer."""
    scale = min(1.0, longest_side / max(image.size)) if longest_side else 1.0
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _fits_as_it_is(picture: Picture, order: FitImage) -> bool:
    return (
        picture.mime_type.partition("/")[2] in order.formats
        and picture.size_bytes <= order.most_bytes
        and picture.mode in _EVERYDAY_MODES
        and not (picture.is_turned or picture.is_animated)
    )


def _scaled(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _encode(image: Image.Image, picture: Picture, order: FitImage) -> Encoded:
    """The best that is allowed and small enough. Raises `UnreadableImage`."""
    smallest: Encoded | None = None
    for encoded in _attempts(image, picture.mime_type, order.formats):
        if len(encoded.content) <= order.most_bytes:
            return encoded
        smallest = min(smallest or encoded, encoded, key=lambda each: len(each.content))
    if smallest is None:
        wanted = " or ".join(_name(f"image/{each}") for each in order.formats)
        raise UnreadableImage(
            f"{order.path.name}: it cannot be sent as it is, nor be converted; give it as {wanted}, upright, not "
            f"animated and of at most {order.most_bytes:,} bytes"
        )
    raise _too_large(order, image, smallest)


def _attempts(image: Image.Image, mime_type: str, formats: tuple[ImageFormat, ...]) -> Iterator[Encoded]:
    """Lossless first, unless the picture has been a JPEG before: as PNG it would only grow."""
    stays_jpeg = mime_type == "image/jpeg" and "jpeg" in formats
    if "png" in formats and not stays_jpeg:
        yield Encoded(_saved(image, "PNG", compress_level=6), "png", "PNG")
    if "jpeg" in formats:
        for quality in _QUALITIES:
            subsampling = 0 if quality == _QUALITIES[0] else 2
            content = _saved(image, "JPEG", quality=quality, subsampling=subsampling)
            yield Encoded(content, "jpeg", f"JPEG of quality {quality}")
    if "webp" in formats and not {"png", "jpeg"} & set(formats):
        for quality in _QUALITIES:
            yield Encoded(_saved(image, "WEBP", quality=quality), "webp", f"WebP of quality {quality}")


def _saved(image: Image.Image, kind: str, **options: int) -> bytes:
    content = io.BytesIO()
    image.save(content, format=kind, **options)
    return content.getvalue()


def _too_large(order: FitImage, image: Image.Image, smallest: Encoded) -> UnreadableImage:
    """Names a size that would work: bytes grow about as fast as the area, and a little is kept in hand."""
    size = len(smallest.content)
    side = math.floor(max(image.size) * math.sqrt(order.most_bytes / size) * 0.9)
    return UnreadableImage(
        f"{order.path.name}: {image.width} x {image.height} pixels are {size:,} bytes even as {smallest.label}, and at "
        f"most {order.most_bytes:,} can be sent; scale it down to about {max(1, side):,} pixels on its longest side"
    )


def _changes(picture: Picture, saved: Image.Image, encoded: Encoded) -> Iterator[str]:
    """What was done to the picture, for whoever gave it."""
    if picture.is_turned:
        yield "rotated as its EXIF says"
    if picture.is_transparent:
        yield "its transparent parts were made white"
    if picture.mode not in _EVERYDAY_MODES:
        yield f"its pixels ({picture.mode}) were brought to 8-bit sRGB"
    if saved.size != picture.image.size:
        before, after = picture.image.size, saved.size
        yield f"scaled from {before[0]} x {before[1]} to {after[0]} x {after[1]}"
    if picture.mime_type == f"image/{encoded.format}":
        yield f"saved again as {encoded.label}"
    else:
        yield f"converted from {_name(picture.mime_type)} to {encoded.label}"


def _facts(file: Path, image: Image.Image, mime_type: str, notes: tuple[str, ...]) -> ImageFacts:
    size_bytes = file.stat().st_size
    return ImageFacts(
        width=image.width, height=image.height, mime_type=mime_type, size_bytes=size_bytes, notes=tuple(notes)
    )


def _name(mime_type: str) -> str:
    """`image/webp` as a person writes it."""
    return _NAMES.get(mime_type, mime_type.partition("/")[2].upper())

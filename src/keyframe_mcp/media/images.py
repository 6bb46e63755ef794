"""Pictures from anywhere: opened with suspicion, turned upright, brought to sRGB."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

from keyframe_mcp.errors import UnreadableImage
from keyframe_mcp.media.orders import CheckImage, ImageFacts
from keyframe_mcp.media.unfinished import put_in_place

MAX_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 64_000_000
MAX_SIDE = 32_768

_MIME_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with more pictures behind it, as phones write
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
}
# MPO is reached through JPEG; naming it here would be a KeyError
_FORMATS = tuple(name for name in _MIME_TYPES if name != "MPO")
_WHAT_WORKS = "use a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF file"
_ANIMATIONS = frozenset({"PNG", "WEBP", "GIF", "AVIF"})
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_WEB_PAGE = "this is a web page or an error text, not a picture; download the picture itself"
_MISTAKES = (
    (b"<svg", "SVG drawings cannot be read; export it as PNG first"),
    (b"<?xml", "SVG drawings and other XML cannot be read; export it as PNG first"),
    (b"<", _WEB_PAGE),
    (b"{", _WEB_PAGE),
    (b"%pdf", "PDF documents cannot be read; export the page as PNG first"),
)
_ORIENTATION = 0x0112
_TURNED = frozenset(range(2, 9))
_SIDEWAYS = frozenset({5, 6, 7, 8})
_ANIMATED = "animated: only its first frame is used"

# what Pillow's decoders raise on files that are damaged or made to hurt
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class Picture:
    """A decoded picture: `image` is RGB, upright, sRGB. `notes` tell what was changed or ignored on the way.

    The rest is about the file: its `mode` is Pillow's word for its kind of pixels.
    """

    image: Image.Image
    mime_type: str
    notes: tuple[str, ...]
    mode: str
    size_bytes: int
    is_turned: bool
    is_transparent: bool
    is_animated: bool


def load(path: Path, target: tuple[int, int] | None = None) -> Picture:
    """Decode a picture whole, or raise `UnreadableImage`.

    With `target`, the size in pixels it will be fitted to, a large JPEG is decoded at a fraction of its size, though
    never below twice the target.
    """
    try:
        return _decode(_read(path), target)
    except UnreadableImage as error:
        raise UnreadableImage(f"{path.name}: {error}") from error.__cause__


def fit(image: Image.Image, width: int, height: int) -> Image.Image:
    """The picture scaled to cover `width` x `height`, its overhang cropped equally on both sides."""
    scale = max(width / image.width, height / image.height)
    left = max(0.0, (image.width - width / scale) / 2)
    top = max(0.0, (image.height - height / scale) / 2)
    box = (left, top, image.width - left, image.height - top)
    return image.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)


def check(order: CheckImage) -> ImageFacts:
    """Facts about a picture, known good because it was decoded whole."""
    picture = load(order.path)
    return ImageFacts(
        width=picture.image.width,
        height=picture.image.height,
        mime_type=picture.mime_type,
        size_bytes=picture.size_bytes,
        notes=picture.notes,
    )


def write(content: bytes, to: Path) -> None:
    """Put a whole file in place at once. Raises `OutputUnwritable`."""
    with put_in_place(to) as partial:
        partial.write_bytes(content)


def _read(path: Path) -> bytes:
    try:
        # a pipe or a device would be read for ever
        if not path.is_file():
            raise UnreadableImage("there is no such file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableImage(f"the file cannot be read ({error.strerror})") from error
    if not content:
        raise UnreadableImage(f"the file is empty; {_WHAT_WORKS}")
    if len(content) > MAX_BYTES:
        raise UnreadableImage(f"the file is larger than {MAX_BYTES // 2**20} MiB; scale it down or save it as JPEG")
    return content


def _decode(content: bytes, target: tuple[int, int] | None) -> Picture:
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            _refuse_huge(image.width, image.height)
            if image.format == "PNG":
                _verify_checksums(content)
            return _flatten(image, len(content), target)
    except Image.UnidentifiedImageError as error:
        raise UnreadableImage(_identify(content)) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise UnreadableImage(f"the picture is too large; the limit is {MAX_PIXELS // 10**6} megapixels") from error
    except _DAMAGE as error:
        raise UnreadableImage(f"the picture is damaged ({error}); save or download it again") from error


def _refuse_huge(width: int, height: int) -> None:
    """Called on the header alone, before a pixel is decoded."""
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        limit = f"{MAX_PIXELS // 10**6} megapixels and {MAX_SIDE} pixels a side"
        raise UnreadableImage(f"the picture is {width} x {height}; scale it down to at most {limit}")


def _verify_checksums(content: bytes) -> None:
    """Decoding alone overlooks them; verifying spends the image object it is called on."""
    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        image.verify()


def _identify(content: bytes) -> str:
    """Why a file that is none of the formats is of no use, named when it can be."""
    brand = content[8:12] if content[4:8] == b"ftyp" else b""
    if brand in _HEIC_BRANDS:
        return "HEIC pictures cannot be read; convert it to PNG or JPEG first"
    if content.startswith(_SIGNATURES) or brand in {b"avif", b"avis"}:
        return "the picture is damaged from its beginning; save or download it again"
    if brand or content.startswith(b"\x1a\x45\xdf\xa3"):
        return "this is a video, not a picture; extract a frame from it first"
    start = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((reason for mark, reason in _MISTAKES if start.startswith(mark)), f"not a picture; {_WHAT_WORKS}")


def _flatten(image: Image.Image, size_bytes: int, target: tuple[int, int] | None) -> Picture:
    mime_type, mode = _MIME_TYPES[image.format or "PNG"], image.mode
    notes = _notes_on_pages(image)
    if target:
        _decode_reduced(image, target)
    # decoding a TIFF turns it, and the data no longer says so
    turned_before = image.format == "TIFF" and _orientation(image) in _TURNED
    image.load()
    profile: bytes | None = image.info.get("icc_profile")
    upright, turning_notes = _turn_upright(image)
    colours, alpha = _separate(upright)
    rgb, profile_notes = _to_srgb(colours, profile)
    if alpha is not None:
        opaque = Image.new("RGB", rgb.size, "white")
        opaque.paste(rgb, mask=alpha)
        rgb = opaque
    return Picture(
        rgb,
        mime_type,
        notes + turning_notes + profile_notes,
        mode=mode,
        size_bytes=size_bytes,
        is_turned=turned_before or (upright is not image and _orientation(image) in _TURNED),
        is_transparent=alpha is not None,
        is_animated=_ANIMATED in notes,
    )


def _notes_on_pages(image: Image.Image) -> tuple[str, ...]:
    try:
        several = bool(getattr(image, "is_animated", False))
    except _DAMAGE:
        # a later page is damaged; the first may still be whole
        several = True
    if not several:
        return ()
    if image.format in _ANIMATIONS:
        return (_ANIMATED,)
    return ("the file holds several pictures: only the first is used",)


def _decode_reduced(image: Image.Image, target: tuple[int, int]) -> None:
    """Ask the JPEG decoder for a half, quarter or eighth; other decoders have no such thing and ignore it."""
    width, height = target
    if _orientation(image) in _SIDEWAYS:
        width, height = height, width
    image.draft(None, (width * 2, height * 2))


def _orientation(image: Image.Image) -> int:
    """How its EXIF data says it is to be turned; 1 is not at all, and so is what cannot be read."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except _DAMAGE:
        return 1


def _turn_upright(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    try:
        return ImageOps.exif_transpose(image), ()
    except _DAMAGE:
        return image, ("its EXIF data is damaged and was ignored",)


def _separate(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colours in a mode an ICC profile may describe, and the alpha channel when there is one."""
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return _to_eight_bits(image), None
    if image.has_transparency_data:
        full = image.convert("RGBA")
        is_gray = image.mode in {"L", "LA", "La", "1"}
        return full.convert("L" if is_gray else "RGB"), full.getchannel("A")
    if image.mode in {"RGB", "L", "CMYK"}:
        return image, None
    return image.convert("L" if image.mode == "1" else "RGB"), None


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Gray with more than eight bits, scaled: Pillow's own conversion clips most of it to white."""
    values = np.nan_to_num(np.asarray(image).astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    brightest = float(values.max())
    if image.mode.startswith("I;16"):
        white = 65535.0
    else:
        # a float or 32-bit file does not say what white is: take the usual scale that holds every value
        white = next((scale for scale in (1.0, 255.0, 65535.0) if brightest <= scale), brightest)
    return Image.fromarray(np.clip(values * (255.0 / white) + 0.5, 0, 255).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    if not profile:
        return image.convert("RGB"), ()
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, _srgb(), outputMode="RGB")
    except (ImageCms.PyCMSError, *_DAMAGE):
        converted = None
    if converted is None:
        return image.convert("RGB"), ("its colour profile does not fit and was ignored",)
    return converted, ()


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(
        ImageCms.createProfile("sRGB")  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]  # untyped in Pillow
    )

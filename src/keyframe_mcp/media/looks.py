"""What a file seems to be, told from its first bytes alone and without decoding anything."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

ENOUGH = 512
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_AVIF = frozenset({b"avif", b"avis"})
_VIDEO_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"moof", b"styp"})
_BEGINNINGS = (
    (b"\x1a\x45\xdf\xa3", "a video"),
    (b"gif8", "a GIF"),
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<", "an XML text"),
    (b"{", "a JSON text"),
    (b"[", "a JSON text"),
    (b"%pdf", "a PDF document"),
    (b"pk\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
)
_TEXT = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\r\n") | frozenset(range(0x80, 0x100))


def begins(file: Path) -> bytes:
    """The first bytes of a file; none of one that cannot be read."""
    with suppress(OSError), file.open("rb") as opened:
        return opened.read(ENOUGH)
    return b""


def is_picture(start: bytes) -> bool:
    """Whether it begins like a PNG, JPEG, WebP or AVIF. A GIF counts as a video."""
    return start.startswith(_PICTURES) or (start[:4], start[8:12]) == (b"RIFF", b"WEBP") or _is_avif(start)


def described(file: Path) -> str:
    """For an error text: `an HTML page of 532 bytes`. Raises `OSError`."""
    size = file.stat().st_size
    return f"{_noun(begins(file))} of {size:,} bytes" if size else "an empty file"


def _noun(start: bytes) -> str:
    if is_picture(start):
        return "a picture"
    if start[4:8] in _VIDEO_BOXES:
        return "a video"
    lowered = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    known = next((noun for beginning, noun in _BEGINNINGS if lowered.startswith(beginning)), None)
    return known or ("a text" if all(byte in _TEXT for byte in start) else "a file in no known format")


def _is_avif(start: bytes) -> bool:
    return start[4:8] == b"ftyp" and start[8:12] in _AVIF

"""Text in any script, drawn with whatever fonts this machine has and two that are always here.

DejaVu Sans comes first, then the machine's own fonts, then GNU Unifont, which has a glyph for nearly everything.
Text is cut into clusters, a character with the marks that belong to it, and neighbours of one font are drawn together.
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, features

_TYPEFACES = Path(__file__).parent / "typefaces"
_PRIMARY = str(_TYPEFACES / "DejaVuSans.ttf")
_LAST_RESORTS = (str(_TYPEFACES / "unifont.otf"), str(_TYPEFACES / "unifont_upper.otf"))
# Outline fonts only: Noto Color Emoji and Apple Color Emoji are pictures of one size.
# Pillow finds a bare file name in the font folders of Linux, macOS and Windows.
_SYSTEM_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKjp-Regular.otf",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "AppleSDGothicNeo.ttc",
    "msyh.ttc",
    "YuGothM.ttc",
    "malgun.ttf",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansBengali-Regular.ttf",
    "NotoSansTamil-Regular.ttf",
    "NotoSansThai-Regular.ttf",
    "Nirmala.ttc",
    "Nirmala.ttf",
    "LeelawUI.ttf",
    "Kohinoor.ttc",
    "Thonburi.ttc",
    "Arial Unicode.ttf",
    "seguisym.ttf",
    "seguiemj.ttf",
    "NotoEmoji-Regular.ttf",
    "Symbola.ttf",
)
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_NONCHARACTER = "\uffff"
_JOINER = "\N{ZERO WIDTH JOINER}"
_VIRAMA = 9
# signs that may not begin a line, and those that may not end one
_CLOSING = frozenset("、。，．・：；？！」』）】〕》〉…ー々,.:;?!)]}%’”")
_OPENING = frozenset("「『（【〔《〈([{‘“")


@dataclass(frozen=True)
class _Run:
    """Neighbouring characters drawn with one font file."""

    text: str
    typeface: str


def draw(
    canvas: ImageDraw.ImageDraw,
    xy: tuple[float, float],
    text: str,
    size: int,
    fill: tuple[int, int, int],
    *,
    anchor: str = "la",
) -> None:
    """Draw one line of text, `size` pixels tall.

    `anchor` says what of the text is at `xy`, as in Pillow: `l`, `m` or `r`, then `a` (top), `m`, `s` (baseline) or
    `d` (bottom).
    """
    ascent, descent = _font(_PRIMARY, size).getmetrics()
    left = xy[0] - {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]] * measure(text, size)
    baseline = xy[1] + {"a": ascent, "m": (ascent - descent) / 2, "s": 0, "d": -descent}[anchor[1]]
    direction = _direction(text)
    for run in _runs_as_seen(text):
        font = _font(run.typeface, size)
        canvas.text((left, baseline), run.text, fill=fill, font=font, anchor="ls", direction=direction)
        left += font.getlength(run.text, direction=direction)


def measure(text: str, size: int) -> float:
    """The width in pixels of one line of text."""
    direction = _direction(text)
    return sum(_font(run.typeface, size).getlength(run.text, direction=direction) for run in _runs_as_seen(text))


def wrap(text: str, size: int, width: float) -> list[str]:
    """The text in lines no wider than `width` pixels, unless a single character is.

    Lines break at spaces and between Chinese, Japanese and Korean characters, and inside a word only when the word
    alone is too wide. Line breaks in the text are kept.
    """
    lines: list[str] = []
    for paragraph in text.strip().splitlines():
        line = ""
        for piece in _pieces(_clean(paragraph)):
            if measure((line + piece).rstrip(), size) <= width:
                line += piece
                continue
            if line.strip():
                lines.append(line)
            *full, line = _break_long(piece, size, width)
            lines += full
        lines.append(line)
    return [line.strip() for line in lines]


def _break_long(piece: str, size: int, width: float) -> list[str]:
    """The piece in as few parts as fit the width."""
    parts = [""]
    for cluster in _clusters(piece):
        if parts[-1] and measure((parts[-1] + cluster).rstrip(), size) > width:
            parts.append("")
        parts[-1] += cluster
    return parts


def _pieces(text: str) -> list[str]:
    """Parts a line may not break inside, each with the spaces that follow it."""
    pieces: list[str] = []
    previous = " "
    for cluster in _clusters(text):
        if pieces and not _may_break(previous, cluster):
            pieces[-1] += cluster
        else:
            pieces.append(cluster)
        previous = cluster
    return pieces


def _may_break(before: str, after: str) -> bool:
    if after.isspace() or after[0] in _CLOSING or before[0] in _OPENING:
        return False
    return before.isspace() or _is_ideographic(before) or _is_ideographic(after)


def _is_ideographic(cluster: str) -> bool:
    return unicodedata.east_asian_width(cluster[0]) in {"W", "F"}


def _runs_as_seen(text: str) -> list[_Run]:
    """The runs of a line from left to right."""
    runs: list[_Run] = []
    for cluster in _clusters(_clean(text)):
        for part in _assign(cluster, runs[-1].typeface if runs else _PRIMARY):
            if runs and runs[-1].typeface == part.typeface:
                runs[-1] = _Run(runs[-1].text + part.text, part.typeface)
            else:
                runs.append(part)
    return runs[::-1] if _direction(text) == "rtl" else runs


def _assign(cluster: str, previous: str) -> list[_Run]:
    """The cluster with the font that has all of it, or else each of its characters with a font of its own."""
    if cluster.isspace():
        # a space between two words of one font must not come between their runs
        return [_Run(cluster, previous)]
    visible = "".join(character for character in cluster if not _is_invisible(character))
    typeface = _typeface_for(visible)
    if typeface:
        return [_Run(cluster if _can_shape() else visible, typeface)]
    return [
        _Run(character if typeface else _REPLACEMENT, typeface or _PRIMARY)
        for character, typeface in ((character, _typeface_for(character)) for character in visible)
    ]


@functools.lru_cache(maxsize=8192)
def _typeface_for(characters: str) -> str | None:
    for typeface in (_PRIMARY, *_system_typefaces(), *_LAST_RESORTS):
        if all(_has_glyph(typeface, character) for character in characters):
            return typeface
    return None


@functools.lru_cache(maxsize=65536)
def _has_glyph(typeface: str, character: str) -> bool:
    if character <= "\uffff" and unicodedata.category(character) == "Cn":
        # Unifont draws a box for those; beyond the first plane they may be newer emoji than this Python knows
        return False
    return _glyph(typeface, character) != _missing_glyph(typeface)


@functools.cache
def _missing_glyph(typeface: str) -> bytes:
    """What the font draws for a character that cannot exist."""
    return _glyph(typeface, _NONCHARACTER)


def _glyph(typeface: str, character: str) -> bytes:
    picture = Image.new("L", (96, 64))
    ImageDraw.Draw(picture).text((24, 40), character, fill=255, font=_probe(typeface), anchor="ls")
    return picture.tobytes()


@functools.cache
def _probe(typeface: str) -> ImageFont.FreeTypeFont:
    """A font without shaping, which would hide or replace some characters."""
    return ImageFont.truetype(typeface, 24, layout_engine=ImageFont.Layout.BASIC)


@functools.cache
def _system_typefaces() -> tuple[str, ...]:
    return tuple(name for name in _SYSTEM_FONTS if _can_open(name))


def _can_open(name: str) -> bool:
    try:
        _probe(name)
    except OSError:
        return False
    return True


@functools.lru_cache(maxsize=64)
def _font(typeface: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(typeface, size)


@functools.cache
def _can_shape() -> bool:
    """Whether this Pillow joins Arabic letters and puts mixed directions in order."""
    return features.check("raqm") is True


def _direction(text: str) -> str | None:
    """The direction of a line is that of its first letter; None where Pillow knows only one."""
    if not _can_shape():
        return None
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in {"L", "R", "AL"}:
            return "ltr" if kind == "L" else "rtl"
    return "ltr"


@functools.lru_cache(maxsize=256)
def _clean(text: str) -> str:
    """Composed, every kind of blank a space, and neither control characters nor halves of surrogate pairs."""
    kept: list[str] = []
    for character in unicodedata.normalize("NFC", text):
        kind = unicodedata.category(character)
        if character.isspace():
            kept.append(" ")
        elif kind == "Cs":
            kept.append(_REPLACEMENT)
        elif kind != "Cc":
            kept.append(character)
    return "".join(kept)


def _clusters(text: str) -> list[str]:
    clusters: list[str] = []
    for character in text:
        if clusters and _belongs_to(clusters[-1], character):
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters


def _belongs_to(cluster: str, character: str) -> bool:
    """Whether the character continues the cluster: marks, emoji sequences, flags, Indic conjuncts."""
    if cluster.isspace():
        return False
    if unicodedata.category(character).startswith("M") or _is_invisible(character):
        return True
    if cluster.endswith(_JOINER) or "\U0001f3fb" <= character <= "\U0001f3ff":
        return True
    if _is_regional(character):
        return len(cluster) == 1 and _is_regional(cluster)
    return unicodedata.combining(cluster[-1]) == _VIRAMA and character.isalpha()


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_invisible(character: str) -> bool:
    """Format characters and variation selectors: they steer shaping and have no glyph of their own."""
    return unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f"

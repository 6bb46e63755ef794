"""How far a video file says that it reaches. One that ends sooner was cut off on its way, however well it opens.

A body whose length was not declared just ends where its connection does; FFmpeg then shows a shorter video and says
nothing. Only the sizes that containers give for their parts are read, and only those that prove something. What cannot
be told: an MPEG-TS that ends between two packets, and live forms of MP4 and Matroska that end between two fragments.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from keyframe_mcp.errors import UnreadableVideo
from keyframe_mcp.media.containers import recognise

MOST_PARTS = 2_000_000
"""Further parts of a file are not looked at: a file could be made of nothing else."""
BOXES = frozenset(b"ftyp moov mdat moof styp sidx ssix free skip wide pnot mfra meta udta uuid emsg prft pdin".split())
SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
ELEMENTS = frozenset({SEGMENT, CLUSTER, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1254C367, 0xEC, 0x1A45DFA3})
TS_PACKET = 188


@dataclass(frozen=True)
class Part:
    """A piece of a file: where its content begins, and where it says it ends, if it does."""

    body: int
    end: int | None
    name: bytes | int


def require_whole(path: Path) -> None:
    """Raise `UnreadableVideo` for a video that ends before it says it does."""
    kind = recognise(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        end = ends_at(kind.demuxer, file, size)
    if end > size:
        raise UnreadableVideo(
            f"{path.name}: it is cut off: it should have at least {end:,} bytes and has {size:,}; download it again"
        )


def ends_at(demuxer: str, file: BinaryIO, size: int) -> int:
    """The least size in bytes of the whole file, as far as what is here tells."""
    match demuxer:
        case "mov":
            return max((needed_by(box, file) for box in boxes(file, size)), default=0)
        case "matroska":
            return max((part.end or 0 for part in elements(file, size)), default=0)
        case "avi":
            return max((part.end or 0 for part in riffs(file, size)), default=0)
        case "gif":
            return gif_end(file, size)
        case _:
            return -(-size // TS_PACKET) * TS_PACKET


def boxes(file: BinaryIO, size: int) -> Iterator[Part]:
    """The outermost boxes of an MP4 (ISO/IEC 14496-12, 4.2), up to one that begins beyond the end."""
    start = 0
    for _ in range(MOST_PARTS):
        head = read_at(file, start, 16)
        if len(head) < 8 or head[4:8] not in BOXES:
            return  # the end, or bytes that somebody hung on
        length, body = int.from_bytes(head[:4]), start + 8
        if length == 1:
            length, body = int.from_bytes(head[8:16]), start + 16
        if length == 0:
            yield Part(body, None, head[4:8])
            return
        end = max(start + length, body)
        yield Part(body, end, head[4:8])
        if end > size:
            return
        start = end


def needed_by(box: Part, file: BinaryIO) -> int:
    """How far a box reaches; one that is an index of segments reaches to the end of the last."""
    indexed = index_end(box, file) if box.name == b"sidx" and box.end is not None else 0
    return max(box.end or 0, indexed)


def index_end(box: Part, file: BinaryIO) -> int:
    """Where the segments end that a `sidx` box lists (ISO/IEC 14496-12, 8.16.3)."""
    end = box.end or 0
    content = read_at(file, box.body, min(end - box.body, 32 + 12 * 65_536))
    form, listed = (">QQHH", 32) if content[:1] == b"\1" else (">IIHH", 24)
    if len(content) < listed:
        return 0
    _, first, _, count = struct.unpack_from(form, content, 12)
    table = content[listed : listed + 12 * count]
    sizes = (int.from_bytes(table[place : place + 4]) & 0x7FFFFFFF for place in range(0, len(table) - 11, 12))
    return end + first + sum(sizes)


def elements(file: BinaryIO, size: int) -> Iterator[Part]:
    """The outer elements of a Matroska file (RFC 8794; RFC 9559), those inside its segment included."""
    start = 0
    for _ in range(MOST_PARTS):
        head = read_at(file, start, 12)
        name, width = vint(head, marked=True)
        length, more = vint(head[width:], marked=False)
        if name not in ELEMENTS or not more:
            return
        body = start + width + more
        end = None if length == (1 << 7 * more) - 1 else body + length
        yield Part(body, end, name)
        if (end is None) == (name == SEGMENT) and (end is None or end <= size):
            start = body if end is None else end  # into a segment of unsaid length, past anything else
        else:
            return


def vint(head: bytes, *, marked: bool) -> tuple[int, int]:
    """A number of Matroska's variable width, and that width; 0 for what is none."""
    width = 9 - head[0].bit_length() if head and head[0] else 0
    if not width or len(head) < width:
        return 0, 0
    number = int.from_bytes(head[:width])
    return (number if marked else number & ((1 << 7 * width) - 1)), width


def riffs(file: BinaryIO, size: int) -> Iterator[Part]:
    """The chunks an AVI is made of; large ones have several."""
    start = 0
    for _ in range(MOST_PARTS):
        head = read_at(file, start, 8)
        if len(head) < 8 or not head.startswith(b"RIFF"):
            return
        end = start + 8 + int.from_bytes(head[4:8], "little")
        yield Part(start + 8, end, b"RIFF")
        if end > size:
            return
        start = end + end % 2


def gif_end(file: BinaryIO, size: int) -> int:
    """Where a GIF ends: at its trailer, or beyond the end of the file when that never came (GIF89a, 27)."""
    screen = read_at(file, 0, 13)
    place = 13 + palette(screen[10]) if len(screen) == 13 else size
    file.seek(min(place, size))
    parts = iter(range(MOST_PARTS))
    for _ in parts:
        match file.read(1):
            case b";":
                return 0
            case b"!":
                file.read(1)
            case b",":
                frame = file.read(9)
                file.seek(palette(frame[8]) + 1 if len(frame) == 9 else 0, 1)
            case b"":
                return size + 1
            case _:
                return 0  # no GIF that anybody could follow
        skip_blocks(file, parts)
    return 0


def palette(flags: int) -> int:
    """The bytes of a GIF's colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def skip_blocks(file: BinaryIO, parts: Iterator[int]) -> None:
    """Past the blocks of a GIF's picture or extension, each of which is one of the parts there may be."""
    for _ in parts:
        length = file.read(1)
        if length in (b"", b"\0"):
            return
        file.seek(length[0], 1)


def read_at(file: BinaryIO, start: int, count: int) -> bytes:
    """Some bytes from the middle of a file."""
    file.seek(start)
    return file.read(count)

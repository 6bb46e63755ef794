"""The boxes an MP4 is made of, as bytes (ISO/IEC 14496-12, 4.2). Nothing is guessed: what is odd is refused."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

INSIDE = frozenset({b"trak", b"mdia", b"minf", b"stbl"})
"""The boxes on the way from `moov` to the tables that say where samples are."""
TABLES = {b"stco": "I", b"co64": "Q"}
MOST_BOXES = 100_000


class Unsure(Exception):
    """The file is not one whose boxes may be changed."""


@dataclass(frozen=True)
class Box:
    """Where a box begins, where its content does, and where both end."""

    name: bytes
    start: int
    body: int
    end: int


def box(name: bytes, content: bytes) -> bytes:
    """A box with that content. Raises `Unsure` for one that is too large."""
    size = len(content) + 8
    if size > 0xFFFFFFFF:
        raise Unsure("its index is too large")
    return size.to_bytes(4) + name + content


def outermost(file: IO[bytes], size: int) -> Iterator[Box]:
    """The boxes of a file, which fill it exactly. Raises `Unsure`."""
    start = 0
    for _ in range(MOST_BOXES):
        if start == size:
            return
        file.seek(start)
        found = head(file.read(16), start, size)
        yield found
        start = found.end
    raise Unsure("it is made of too many boxes")


def children(content: bytes) -> list[Box]:
    """The boxes that fill a box's content exactly. Raises `Unsure`."""
    found: list[Box] = []
    start = 0
    while start < len(content):
        found.append(head(content[start : start + 16], start, len(content)))
        start = found[-1].end
        if len(found) > MOST_BOXES:
            raise Unsure("it is made of too many boxes")
    return found


def head(bytes_there: bytes, start: int, size: int) -> Box:
    """A box, from its first bytes; `size` is where what is around it ends."""
    length, body = int.from_bytes(bytes_there[:4]), start + 8
    if length == 1:
        length, body = int.from_bytes(bytes_there[8:16]), start + 16
    end = start + length
    if len(bytes_there) < 8 or end < body or end > size:
        raise Unsure("its boxes do not fit each other")
    return Box(bytes_there[4:8], start, body, end)


def part_of(parts: Sequence[Box], name: bytes) -> Box | None:
    """The one box of that name, if there is any. Raises `Unsure` where there are several."""
    found = [part for part in parts if part.name == name]
    if len(found) > 1:
        raise Unsure(f"it has several boxes of one kind ({name.decode('latin-1')})")
    return found[0] if found else None


def shifted(content: bytes, *, after: int, by: int) -> bytes:
    """The content of `moov` where what began at `after` or later in the file begins `by` bytes later."""
    moved = bytearray(content)
    for place, form, count in tables(content, 0, len(content)):
        layout = f">{count}{form}"
        offsets = struct.unpack_from(layout, content, place)
        try:
            struct.pack_into(layout, moved, place, *(each + by if each >= after else each for each in offsets))
        except struct.error:
            raise Unsure("it is too large for its index") from None
    return bytes(moved)


def tables(content: bytes, start: int, end: int) -> Iterator[tuple[int, str, int]]:
    """Where each table of places begins, the form of its numbers, and how many it has."""
    for part in children(content[start:end]):
        if part.name in INSIDE:
            yield from tables(content, start + part.body, start + part.end)
        elif part.name in TABLES:
            place, form = start + part.body + 8, TABLES[part.name]
            count = int.from_bytes(content[place - 4 : place])
            if place + count * struct.calcsize(f">{form}") > start + part.end:
                raise Unsure("the table of its samples is cut off")
            yield place, form, count

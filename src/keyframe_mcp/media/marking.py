"""What a video says about itself, written into an MP4 without touching anything else in it.

Only the list of tags in `moov` grows (ISO/IEC 14496-12; the `ilst` of iTunes, which FFmpeg reads and writes), and the
places of the samples are moved by as much. Muxing it anew would lose boxes FFmpeg does not know, and providers put
their own marks there. A file this is not sure of is left alone, and so is one with a signature over its bytes.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, Protocol, cast

from keyframe_mcp.errors import UnreadableVideo
from keyframe_mcp.media.boxes import Box, Unsure, box, children, outermost, part_of, shifted
from keyframe_mcp.media.containers import BROKEN_OFF, Video, opened
from keyframe_mcp.media.orders import MarkFacts, MarkVideo
from keyframe_mcp.media.unfinished import begin, flush

MOST_INDEX_BYTES = 64 << 20
PIECE = 1 << 20
C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # C2PA specification 2.2, A.5 (BMFF)
XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # XMP specification part 3, 1.1.1
ELSEWHERE = (b"c2pa", b"provenance")  # in XMP: a manifest kept on a server, with a hash of this file
FRAGMENTS = frozenset({b"moof", b"sidx", b"ssix", b"styp", b"mfra", b"emsg", b"prft"})
ADDRESSED = (b"saio", b"iloc", b"cmov")  # places in the file that are not sample tables
ITEMS: Mapping[str, bytes] = MappingProxyType({"title": b"\xa9nam", "comment": b"\xa9cmt", "description": b"desc"})
"""The tags as FFmpeg calls them, and the items of the list they are kept in. Any other is named freely."""
OWNER = b"keyframe-mcp"
"""Whose the item is that is named freely, for what has no other place."""


def mark(order: MarkVideo) -> MarkFacts:
    """Write `to` as `path` with the tags in it, where that can be done; the facts say why not. Never half a file."""
    try:
        with opened(order.path) as video:
            tags = missing(video, order.tags)
            if video.kind.demuxer != "mov":
                return MarkFacts(embedded=False, reason=f"{video.kind.mime_type} files are left as they came")
        if tags:
            rewrite(order.path, order.to, tags)
            require_same(order.path, order.to, tags)
    except (Unsure, UnreadableVideo, *BROKEN_OFF) as error:
        with suppress(OSError):
            order.to.unlink(missing_ok=True)
        return MarkFacts(embedded=False, reason=str(error) or "it could not be read to its end")
    return MarkFacts(embedded=True)


def missing(video: Video, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags still to be written. What the file says already stays; a comment then goes beside its own."""
    said = video.container.metadata
    free = {name: text for name, text in tags.items() if name not in said}
    comment = tags.get("comment")
    if comment is None or comment in (said.get("comment"), said.get(OWNER.decode())):
        return {}
    return free if "comment" in free else free | {OWNER.decode(): comment}


def rewrite(path: Path, to: Path, tags: Mapping[str, str]) -> None:
    """A copy with the tags in it. Raises `Unsure`."""
    with path.open("rb") as source, begin(to) as target:
        index = index_of(source, path.stat().st_size)
        source.seek(index.body)
        old = source.read(index.end - index.body)
        new = tagged(old, tags)
        by = len(box(b"moov", new)) - (index.end - index.start)
        copy(source, target, 0, index.start)
        target.write(box(b"moov", shifted(new, after=index.end, by=by)))
        copy(source, target, index.end, None)
        flush(target)


def index_of(source: IO[bytes], size: int) -> Box:
    """Where the `moov` box is, in a file whose every box is understood well enough to move. Raises `Unsure`."""
    parts = list(outermost(source, size))
    names = {part.name for part in parts}
    if names & FRAGMENTS:
        raise Unsure("it is made of fragments")
    for part in parts:
        if part.name == b"uuid":
            require_unsigned(source, part)
    indexes = [part for part in parts if part.name == b"moov"]
    if len(indexes) != 1 or indexes[0].end - indexes[0].start > MOST_INDEX_BYTES:
        raise Unsure("it has no index, several, or a huge one")
    for part in [*indexes, *(part for part in parts if part.name == b"meta")]:
        source.seek(part.body)
        content = source.read(min(part.end - part.body, MOST_INDEX_BYTES))
        if any(name in content for name in ADDRESSED):
            raise Unsure("it has an index of a kind that is not moved")
    return indexes[0]


def require_unsigned(source: IO[bytes], part: Box) -> None:
    """Raise `Unsure` for a box that signs the file."""
    source.seek(part.body)
    content = source.read(min(part.end - part.body, MOST_INDEX_BYTES))
    by_link = content.startswith(XMP) and any(word in content.lower() for word in ELSEWHERE)
    if content.startswith(C2PA) or by_link:
        raise Unsure("it has a C2PA manifest, whose signature a change would break")


def tagged(index: bytes, tags: Mapping[str, str]) -> bytes:
    """The content of `moov` with items added to its list of tags, which is made where there is none."""
    parts = children(index)
    if any(part.name == b"mvex" for part in parts):
        raise Unsure("it is made of fragments")
    user = part_of(parts, b"udta")
    if user is None:
        return index + box(b"udta", described(None, tags))
    return index[: user.start] + box(b"udta", described(index[user.body : user.end], tags)) + index[user.end :]


def described(user: bytes | None, tags: Mapping[str, str]) -> bytes:
    """The content of `udta` with the items added."""
    if user is None:
        return box(b"meta", listed(bytes(4), tags))
    ends = 4 if user.endswith(bytes(4)) and is_list(user[:-4]) else 0  # QuickTime ends it with a zero
    body, end = user[: len(user) - ends], user[len(user) - ends :]
    meta = part_of(children(body), b"meta")
    if meta is None:
        return body + box(b"meta", listed(bytes(4), tags)) + end
    return body[: meta.start] + box(b"meta", listed(body[meta.body : meta.end], tags)) + body[meta.end :] + end


def is_list(content: bytes) -> bool:
    """Whether it is a row of boxes and nothing else."""
    try:
        return bool(children(content)) or not content
    except Unsure:
        return False


def listed(meta: bytes, tags: Mapping[str, str]) -> bytes:
    """The content of `meta` with the items added. Raises `Unsure` for one that is a list of another kind."""
    version, body = meta[:4], meta[4:]
    items = b"".join(item(name, text) for name, text in tags.items())
    if not body:
        return version + box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9)) + box(b"ilst", items)
    parts = children(body)
    handler = part_of(parts, b"hdlr")
    if handler is None or body[handler.body + 8 : handler.body + 12] != b"mdir":
        raise Unsure("its tags are of a kind that is not added to")
    old = part_of(parts, b"ilst")
    if old is None:
        return meta + box(b"ilst", items)
    return version + body[: old.start] + box(b"ilst", body[old.body : old.end] + items) + body[old.end :]


def item(name: str, text: str) -> bytes:
    """One tag: UTF-8 text under the name it has in the list, or under its own."""
    data = box(b"data", (1).to_bytes(4) + bytes(4) + text.encode())
    if name in ITEMS:
        return box(ITEMS[name], data)
    return box(b"----", box(b"mean", bytes(4) + OWNER) + box(b"name", bytes(4) + name.encode()) + data)


def copy(source: IO[bytes], target: IO[bytes], start: int, end: int | None) -> None:
    """Bytes of one file, put at the end of another."""
    source.seek(start)
    while piece := source.read(PIECE if end is None else min(PIECE, end - source.tell())):
        target.write(piece)


def require_same(path: Path, to: Path, tags: Mapping[str, str]) -> None:
    """Raise `Unsure` unless the copy has the same packets in it, what was said before, and the tags."""
    with opened(path) as before, opened(to) as after:
        said = dict(before.container.metadata) | dict(tags)
        if dict(after.container.metadata) != said:
            raise Unsure("the tags did not read back as they were written")
        if packets_of(before) != packets_of(after):
            raise Unsure("its packets would not have stayed as they are")


class _Packet(Protocol):
    """What is used of PyAV's packets, whose own annotations are half typed."""

    pts: int | None
    dts: int | None
    duration: int | None
    is_keyframe: bool

    def __buffer__(self, flags: int, /) -> memoryview: ...


def packets_of(video: Video) -> dict[int, str]:
    """A hash over the packets of each stream, with their times. Nothing is decoded."""
    digests = defaultdict[int, "hashlib.blake2b"](hashlib.blake2b)
    for packet in video.container.demux():
        each = cast("_Packet", packet)
        stamp = f"{each.pts} {each.dts} {each.duration} {each.is_keyframe} {packet.size} "
        digests[packet.stream_index].update(stamp.encode())
        digests[packet.stream_index].update(each)
    return {stream: digest.hexdigest() for stream, digest in digests.items()}

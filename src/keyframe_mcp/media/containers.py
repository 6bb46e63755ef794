"""Video files from anywhere, opened with suspicion.

Only a container recognised by its first bytes is opened, with that one demuxer and the `file` protocol: a playlist
that calls itself a video never makes FFmpeg open what it lists.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, cast

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from keyframe_mcp.errors import UnreadableVideo

MAX_PIXELS = 64_000_000
BROKEN_OFF = (FFmpegError, IndexError)
"""How reading a truncated file ends; IndexError where a stream begins that PyAV did not see when it opened the file."""

_WHAT_WORKS = "use an MP4, MOV, WebM, MKV, AVI, MPEG-TS or GIF file"
_DAMAGED = "the video is damaged or incomplete; save or download it again"
_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"moof", b"styp", b"sidx", b"free", b"skip", b"wide", b"pnot"})
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*")
_TS_PACKET = 188
# a bare text is not told from a web page or a playlist: none of them is a video
_TEXT = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\r\n")
# PyAV 18 stops at a title that is not UTF-8 unless told; 19 has no such option
_LENIENT = MappingProxyType({"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {})


@dataclass(frozen=True)
class Kind:
    """A sort of container: FFmpeg's name of its demuxer, and its MIME type."""

    demuxer: str
    mime_type: str


@dataclass(frozen=True)
class Video:
    """An open file and its picture stream."""

    path: Path
    kind: Kind
    container: InputContainer
    stream: VideoStream

    @property
    def base(self) -> Fraction:
        """Seconds in one unit of a time stamp."""
        return rational(self.stream.time_base) or Fraction(1, 1000)

    @property
    def rate(self) -> Fraction:
        """Frames in a second, on average."""
        return rational(self.stream.average_rate) or rational(self.stream.guessed_rate) or Fraction(25)

    def packets(self) -> Iterator[Packet[VideoStream] | None]:
        """Every packet of the picture, then None, which makes a decoder give up what it holds."""
        with suppress(*BROKEN_OFF):
            for packet in self.container.demux(self.stream):
                if packet.size:
                    yield packet
        yield None

    def decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        """The frames that come out when this packet goes in, without what is damaged.

        The end of a truncated file is often half a frame, its rest whatever memory held.
        """
        with suppress(FFmpegError):
            decoder = cast("_Decoder", self.stream.codec_context)
            return [frame for frame in decoder.decode(packet) if not frame.is_corrupt]
        return []

    def frames(self) -> Iterator[VideoFrame]:
        """Every undamaged frame from here on, in the order shown."""
        for packet in self.packets():
            yield from self.decode(packet)


@contextmanager
def opened(path: Path) -> Generator[Video]:
    """The video, ready to be decoded. Raises `UnreadableVideo`."""
    try:
        kind = recognise(path)
        container = _open(path, kind)
    except UnreadableVideo as error:
        raise UnreadableVideo(f"{path.name}: {error}") from error.__cause__
    with container:
        try:
            stream = _picture_stream(container)
        except UnreadableVideo as error:
            raise UnreadableVideo(f"{path.name}: {error}") from error.__cause__
        # Decoding several frames at once would be faster, but then what a damaged file shows depends on the moment.
        stream.thread_type = "SLICE"
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        yield Video(path, kind, container, stream)


def recognise(path: Path) -> Kind:
    """The container a file begins like. Raises `UnreadableVideo`, which says what it is instead."""
    start = _read_start(path)
    if start[4:8] in _BOXES:
        return Kind("mov", "video/quicktime" if start[8:12] == b"qt  " else "video/mp4")
    if start.startswith(b"\x1a\x45\xdf\xa3"):
        return Kind("matroska", "video/webm" if b"webm" in start[:64] else "video/x-matroska")
    if start.startswith((b"GIF87a", b"GIF89a")) and len(start) > 10:
        _refuse_huge(*struct.unpack("<HH", start[6:10]))  # FFmpeg finds out only while decoding
        return Kind("gif", "image/gif")
    if start.startswith(b"RIFF") and start[8:12] == b"AVI ":
        return Kind("avi", "video/x-msvideo")
    if start[:1] == b"G" and start[_TS_PACKET : _TS_PACKET + 1] in {b"G", b""} and len(start) >= _TS_PACKET:
        return Kind("mpegts", "video/mp2t")
    raise UnreadableVideo(_what_it_is(start))


def rational(value: object) -> Fraction | None:
    """PyAV's rationals: a `Fraction` or None in PyAV 18, an `AVRational` that may be 0/0 in 19."""
    numerator = int(getattr(value, "numerator", 0))
    denominator = int(getattr(value, "denominator", 0))
    return Fraction(numerator, denominator) if numerator and denominator else None


def _read_start(path: Path) -> bytes:
    try:
        # a pipe or a device would be read for ever
        if not path.is_file():
            raise UnreadableVideo("there is no such file")
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise UnreadableVideo(f"the file cannot be read ({error.strerror})") from error
    if not start:
        raise UnreadableVideo(f"the file is empty; {_WHAT_WORKS}")
    return start


def _what_it_is(start: bytes) -> str:
    if start.startswith(_PICTURES) or start[8:12] == b"WEBP":
        return "this is a picture, not a video; a generate tool makes one of it (image, first_image or last_image)"
    if all(byte in _TEXT for byte in start):
        return f"this is a text, a playlist or a web page, not a video; {_WHAT_WORKS}"
    return f"this is not a video in a known format; {_WHAT_WORKS}"


def _open(path: Path, kind: Kind) -> InputContainer:
    # the options reach the decoders that FFmpeg already uses while it looks at the streams
    options = {"protocol_whitelist": "file", "max_pixels": str(MAX_PIXELS)}
    open_input = cast("Callable[..., InputContainer]", av.open)
    try:
        return open_input(str(path.absolute()), "r", format=kind.demuxer, options=options, **_LENIENT)
    except (FFmpegError, OSError, ValueError) as error:
        raise UnreadableVideo(_DAMAGED) from error


def _picture_stream(container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            continue  # the cover of a song
        context = cast("_Decoder | None", stream.codec_context)
        if context is None:
            raise UnreadableVideo("its codec is unknown; convert it to H.264 in MP4")
        _refuse_huge(context.width, context.height)
        return stream
    if container.streams.audio:
        raise UnreadableVideo("it holds sound and no picture; use a file with a video in it")
    raise UnreadableVideo(_DAMAGED)


def _refuse_huge(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        limit = f"{MAX_PIXELS // 10**6} megapixels"
        raise UnreadableVideo(f"its frames are {width} x {height}; scale it down to at most {limit}")


class _Decoder(Protocol):
    """What is used of PyAV's codec context, whose own annotations leave packets half typed."""

    width: int
    height: int

    def decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]: ...

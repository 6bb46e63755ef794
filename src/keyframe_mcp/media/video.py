"""Videos surveyed, and single frames taken out of them exactly."""

from __future__ import annotations

import bisect
import io
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from PIL import Image

from keyframe_mcp.errors import InvalidInput, Problem, UnreadableVideo
from keyframe_mcp.media import images
from keyframe_mcp.media.containers import Video, opened
from keyframe_mcp.media.extent import require_whole
from keyframe_mcp.media.orders import ExtractFrame, FrameFacts, ProbeVideo, VideoFacts

MAX_SECONDS = 6 * 3600
MAX_FRAMES = 1_000_000
SEEK_BEYOND = 60
"""Videos longer than this many seconds are sampled by seeking, shorter ones by decoding them once."""

_SIDEWAYS = frozenset({90, 270})
_TURNS = MappingProxyType(
    {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
)
# demuxers that find the key frame before a moment; the others are decoded from the start
_SEEKABLE = frozenset({"mov", "matroska", "mpegts"})
_COLORSPACE_UNSAID = 2
_HALF_MILLISECOND = Fraction(1, 2000)


@dataclass(frozen=True)
class Survey:
    """What reading every packet of a video tells; only its first frame was decoded.

    `shown` has the time stamp of every frame, ascending, and `end` is the moment the last one ends, in units of `base`
    seconds. Sizes are as shown, rotation applied.
    """

    width: int
    height: int
    rate: Fraction
    base: Fraction
    shown: tuple[int, ...]
    end: int
    codec: str
    mime_type: str
    has_audio: bool
    size_bytes: int

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.seconds(self.end)

    def seconds(self, stamp: int) -> float:
        """A time stamp in seconds from the first frame."""
        return float((stamp - self.shown[0]) * self.base)

    def facts(self) -> VideoFacts:
        """The part of it that is told."""
        return VideoFacts(
            width=self.width,
            height=self.height,
            duration=round(self.duration, 3),
            fps=round(float(self.rate), 3),
            frames=len(self.shown),
            codec=self.codec,
            mime_type=self.mime_type,
            has_audio=self.has_audio,
            size_bytes=self.size_bytes,
        )


@dataclass(frozen=True)
class Sample:
    """One frame of a video as a picture: its number, counted from 0, and its second."""

    image: Image.Image
    frame: int
    at: float


def probe(order: ProbeVideo) -> VideoFacts:
    """Facts about a whole video whose first frame was decoded. Raises `UnreadableVideo`."""
    known = survey(order.path)
    require_whole(order.path)
    return known.facts()


def extract(order: ExtractFrame) -> FrameFacts:
    """Save one exact frame as PNG. Seconds count to the millisecond; the duration itself gives the last frame."""
    known = survey(order.path)
    frame = frame_at(order.path, known, _stamp_for(order.at, known))
    image = to_rgb(frame)
    content = io.BytesIO()
    image.save(content, format="PNG", compress_level=4)
    images.write(content.getvalue(), order.to)
    at = round(known.seconds(stamp_of(frame)), 3)
    return FrameFacts(path=order.to, width=image.width, height=image.height, at=at)


def survey(path: Path) -> Survey:
    """Read the whole file and decode its first frame. Raises `UnreadableVideo`."""
    first: VideoFrame | None = None
    stamps: list[int] = []
    end = 0
    with opened(path) as video:
        for packet in video.packets():
            first = first or next(iter(video.decode(packet)), None)
            if packet is None or packet.is_discard:
                continue
            stamp = next((known for known in (packet.pts, packet.dts) if known is not None), end)
            stamps.append(stamp)
            end = max(end, stamp + (packet.duration or 0))
            if len(stamps) > MAX_FRAMES:
                raise UnreadableVideo(f"{path.name}: it has more than {MAX_FRAMES} frames; cut it shorter")
        if first is None or not stamps:
            raise _undecodable(path)
        return _summary(video, first, sorted(stamps), end)


def frame_at(path: Path, known: Survey, stamp: int) -> VideoFrame:
    """The frame shown at a time stamp, the same to the last bit as decoding everything before it would give."""
    second_before = stamp - math.ceil(1 / known.base)
    if second_before > known.shown[0]:
        with suppress(FFmpegError), opened(path) as video:
            frame = _after_seeking(video, second_before, stamp) if video.kind.demuxer in _SEEKABLE else None
            if frame is not None:
                return frame
    with opened(path) as video:
        frame = _latest(video.frames(), stamp)
    if frame is None:
        raise _undecodable(path)
    return frame


def sample(path: Path, known: Survey, count: int, size: tuple[int, int]) -> list[Sample]:
    """At most `count` evenly spaced frames, none twice, the first and the last among them, scaled to `size`."""
    last = len(known.shown) - 1
    count = min(count, last + 1)
    wanted = [known.shown[round(place * last / max(1, count - 1))] for place in range(count)]
    found = _by_seeking(path, known, wanted) if known.duration > SEEK_BEYOND else _by_decoding(path, wanted)
    samples: dict[int, Sample] = {}
    for frame in found:
        stamp = stamp_of(frame)
        number = max(0, bisect.bisect_right(known.shown, stamp) - 1)
        if number not in samples:
            samples[number] = Sample(to_rgb(frame, size), number, round(known.seconds(stamp), 3))
    return list(samples.values())


def shown_at(found: Iterator[VideoFrame], stamps: Sequence[int]) -> Iterator[VideoFrame]:
    """For each of the ascending time stamps the frame shown then, in one pass over the frames; they may repeat."""
    waiting = iter(stamps)
    stamp = next(waiting, None)
    shown: VideoFrame | None = None
    for frame in found:
        while shown is not None and stamp is not None and stamp_of(frame) > stamp:
            yield shown
            stamp = next(waiting, None)
        if stamp is None:
            return
        shown = frame
    while shown is not None and stamp is not None:
        yield shown
        stamp = next(waiting, None)


def to_rgb(frame: VideoFrame, size: tuple[int, int] | None = None) -> Image.Image:
    """The frame as a picture, turned the way it is shown; scaled to `size`, as shown, when given."""
    turn = frame.rotation % 360
    width, height = size or shown_size(frame)
    if turn in _SIDEWAYS:
        width, height = height, width
    has_alpha = any(component.is_alpha for component in frame.format.components)
    pixels = frame.to_ndarray(
        format="rgba" if has_alpha else "rgb24",
        width=width,
        height=height,
        src_colorspace=_matrix(frame),
        interpolation="AREA" if width * height < frame.width * frame.height else "BICUBIC",
    )
    image = Image.fromarray(np.asarray(pixels, dtype=np.uint8))
    if has_alpha:
        opaque = Image.new("RGB", image.size, "white")
        opaque.paste(image, mask=image.getchannel("A"))
        image = opaque
    return image.transpose(_TURNS[turn]) if turn in _TURNS else image


def shown_size(frame: VideoFrame) -> tuple[int, int]:
    """Width and height after rotation."""
    if frame.rotation % 360 in _SIDEWAYS:
        return frame.height, frame.width
    return frame.width, frame.height


def stamp_of(frame: VideoFrame) -> int:
    """When the frame is shown; 0 for the lone frame of a file without a clock."""
    return frame.pts or 0


def _stamp_for(at: float | Literal["first", "last"], known: Survey) -> int:
    if at == "first":
        return known.shown[0]
    if at == "last":
        return known.shown[-1]
    # written so that NaN is refused
    if not 0 <= at <= known.duration + float(_HALF_MILLISECOND):
        problem = Problem("at", f"{at:g} s is outside the video; use 0 to {known.duration:.10g}, `first` or `last`")
        raise InvalidInput(problems=[problem])
    return known.shown[0] + math.floor((Fraction(at) + _HALF_MILLISECOND) / known.base)


def _after_seeking(video: Video, since: int, stamp: int) -> VideoFrame | None:
    """The frame shown at `stamp`, decoded from the key frame at or before `since`; None if there is none."""
    video.container.seek(since, stream=video.stream, backward=True)
    found = video.frames()
    # frames shown ahead of the first key frame lean on ones that were not decoded
    start = next((frame for frame in found if frame.key_frame), None)
    if start is None or stamp_of(start) > stamp:
        return None
    return _latest(found, stamp) or start


def _latest(found: Iterator[VideoFrame], stamp: int) -> VideoFrame | None:
    """The last of the frames shown by then; a video that begins later shows its first."""
    latest: VideoFrame | None = None
    for frame in found:
        if latest is None or stamp_of(latest) <= stamp_of(frame) <= stamp:
            latest = frame
        elif stamp_of(frame) > stamp:
            break
    return latest


def _by_decoding(path: Path, wanted: list[int]) -> Iterator[VideoFrame]:
    with opened(path) as video:
        yield from shown_at(video.frames(), wanted)


def _by_seeking(path: Path, known: Survey, wanted: list[int]) -> Iterator[VideoFrame]:
    for stamp in wanted:
        yield frame_at(path, known, stamp)


def _summary(video: Video, first: VideoFrame, shown: list[int], end: int) -> Survey:
    # some containers do not say how long the last frame lasts
    end = max(end, shown[-1] + 1) if end > shown[-1] else shown[-1] + max(1, round(1 / video.rate / video.base))
    if (end - shown[0]) * video.base > MAX_SECONDS:
        raise UnreadableVideo(f"{video.path.name}: it is longer than {MAX_SECONDS // 3600} hours; cut it shorter")
    width, height = shown_size(first)
    return Survey(
        width=width,
        height=height,
        rate=video.rate,
        base=video.base,
        shown=tuple(shown),
        end=end,
        codec=video.stream.codec_context.codec.canonical_name,
        mime_type=video.kind.mime_type,
        has_audio=bool(video.container.streams.audio),
        size_bytes=video.path.stat().st_size,
    )


def _matrix(frame: VideoFrame) -> int:
    # files that do not say are BT.601 below HD and BT.709 from there; swscale would take all of them for BT.601
    if frame.colorspace == _COLORSPACE_UNSAID and not frame.format.is_rgb:
        return Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601
    return frame.colorspace


def _undecodable(path: Path) -> UnreadableVideo:
    return UnreadableVideo(f"{path.name}: no frame of it can be decoded; save or download it again")

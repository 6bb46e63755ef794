"""Videos played one after another, made one.

The picture is copied untouched when all streams agree, and encoded again when they do not, or dissolve. Sound is
always encoded again: AAC cut at a joint would drift from its picture by up to a block each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Protocol, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.video.frame import VideoFrame
from PIL import Image

from keyframe_mcp.errors import InvalidInput, Problem, UnreadableVideo
from keyframe_mcp.media import crossfade, encode, sound, video
from keyframe_mcp.media.containers import opened
from keyframe_mcp.media.orders import JoinFacts, JoinMethod, JoinVideos
from keyframe_mcp.media.unfinished import put_in_place
from keyframe_mcp.media.video import Survey

MAX_SECONDS = 3600
"""How long the joined video may be: a damaged clock can claim hours, all of which would be encoded."""

_SAME_FRAME = 3.0
"""Mean difference, of 255, under which two frames scaled to thumbnails are one frame encoded twice."""

_THUMBNAIL = (64, 36)
_COPIED_CODECS = frozenset({"h264", "hevc", "av1"})


@dataclass(frozen=True)
class Clip:
    """One of the videos: it is shown from the time stamp `start` on."""

    path: Path
    name: str
    known: Survey
    start: int

    @property
    def duration(self) -> Fraction:
        """In seconds."""
        return (self.known.end - self.start) * self.known.base

    @property
    def start_second(self) -> Fraction:
        """By the file's own clock, which its sound shares."""
        return self.start * self.known.base


class _Unlike(Exception):
    """The streams cannot be put into one after all."""


def join(order: JoinVideos) -> JoinFacts:
    """Join two or more videos. Raises `UnreadableVideo` naming the one that is bad, and `InvalidInput`."""
    if len(order.paths) < 2:
        raise InvalidInput(problems=[Problem("sources", "give two or more videos to join")])
    clips = [_look_at(path, place, len(order.paths)) for place, path in enumerate(order.paths, start=1)]
    total = float(sum(clip.duration for clip in clips))
    if total > MAX_SECONDS:
        too_long = f"together they last {total:.0f} s; join at most {MAX_SECONDS} s at a time"
        raise InvalidInput(problems=[Problem("sources", too_long)])
    method, notes = _dissolve(clips, order) if order.crossfade else _cut(clips, order)
    notes += _notes_on_sound(clips)
    return JoinFacts(path=order.to, method=method, video=video.survey(order.to).facts(), notes=tuple(notes))


def _cut(clips: Sequence[Clip], order: JoinVideos) -> tuple[JoinMethod, list[str]]:
    """Play the clips without a transition, copied where that can be."""
    repeats = _repeats(clips)
    try:
        _copy(clips, order.to)
    except (_Unlike, FFmpegError):
        clips = [_without_first_frame(clip) if place in repeats else clip for place, clip in enumerate(clips)]
        notes = [f"{clips[place].name} began with the frame before it; it is shown once" for place in repeats]
        return "re_encode", notes + _encode(clips, order.to)
    return "stream_copy", [
        f"{clips[place].name} begins with the frame before it; copying keeps both" for place in repeats
    ]


def _dissolve(clips: Sequence[Clip], order: JoinVideos) -> tuple[JoinMethod, list[str]]:
    """Let each clip turn into the next. A frame shown on both sides of a joint melts into itself: none is dropped."""
    fade = Fraction(order.crossfade).limit_denominator(1000)
    width, height, rate = _shape(clips[0].known)
    shots = [crossfade.Shot(clip.name, clip.duration) for clip in clips]
    crossfade.require_possible(shots, fade, rate)
    seen, heard = (crossfade.stretches(shots, fade, each) for each in (rate, Fraction(sound.RATE)))
    film = _Film(clips, fade, width, height, rate)
    pictures, sounds = crossfade.frames(seen, film.play, (width, height)), crossfade.blocks(heard, film.play_sound)
    with encode.open_encoder(order.to, width=width, height=height, fps=rate, frames=seen[-1].end) as encoder:
        _write(encoder, pictures, sounds if any(clip.known.has_audio for clip in clips) else None)
    return "crossfade", _notes_on_changes(clips, rate)


@dataclass(frozen=True)
class _Film:
    """Clips that overlap, and the size and rate they are brought to."""

    clips: Sequence[Clip]
    fade: Fraction
    width: int
    height: int
    rate: Fraction

    def play(self, shot: int, start: int, end: int) -> Iterator[VideoFrame]:
        """The frames of one clip, from one frame of the film to another."""
        since = sum((clip.duration - self.fade for clip in self.clips[:shot]), Fraction(0))
        times = [Fraction(place) / self.rate - since for place in range(start, end)]
        for frame in _frames_of(self.clips[shot], times, self.rate):
            yield _fitted(frame, self.width, self.height)

    def play_sound(self, shot: int, start: int, end: int) -> Iterator[AudioFrame]:
        """The sound of one clip, from one sample of the film to another."""
        clip = self.clips[shot]
        yield from sound.blocks(clip.path, clip.start_second, end - start, start)


def _write(
    encoder: encode.Encoder,
    pictures: Iterable[Iterable[VideoFrame]],
    sounds: Iterator[Iterable[AudioFrame]] | None,
) -> None:
    """Picture and sound, stretch by stretch, so that neither runs far ahead of the other."""
    track = encoder.add_audio(sound.RATE, sound.LAYOUT) if sounds else None
    for frames in pictures:
        for frame in frames:
            encoder.write(frame)
        if track and sounds:
            for block in next(sounds):
                track.write(block)


def _look_at(path: Path, place: int, count: int) -> Clip:
    try:
        known = video.survey(path)
    except UnreadableVideo as error:
        raise UnreadableVideo(f"video {place} of {count}, {error}") from error
    return Clip(path, f"video {place} ({path.name})", known, known.shown[0])


def _repeats(clips: Sequence[Clip]) -> list[int]:
    """Which clips, counted from 0, begin with the very frame the one before ended with."""
    found: list[int] = []
    for place in range(1, len(clips)):
        before, after = clips[place - 1], clips[place]
        last = _thumbnail(before, before.known.shown[-1])
        first = _thumbnail(after, after.known.shown[0])
        if len(after.known.shown) > 1 and float(np.abs(last - first).mean()) < _SAME_FRAME:
            found.append(place)
    return found


def _thumbnail(clip: Clip, stamp: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    frame = video.frame_at(clip.path, clip.known, stamp)
    return np.asarray(video.to_rgb(frame, _THUMBNAIL), dtype=np.float32)


def _without_first_frame(clip: Clip) -> Clip:
    return replace(clip, start=clip.known.shown[1])


def _notes_on_sound(clips: Sequence[Clip]) -> list[str]:
    if not any(clip.known.has_audio for clip in clips):
        return []
    return [f"{clip.name} has no sound and is silent" for clip in clips if not clip.known.has_audio]


def _copy(clips: Sequence[Clip], to: Path) -> None:
    """Put the packets of all clips into one file. Raises `_Unlike` or the muxer's own error when that cannot be."""
    if len({_fingerprint(clip) for clip in clips}) > 1:
        raise _Unlike
    with put_in_place(to) as partial, opened(clips[0].path) as first:
        output = cast("_Output", av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}))
        with output:
            picture = output.add_stream_from_template(first.stream)
            track = _add_track(clips, output, partial)
            _copy_packets(clips, output, picture, track)
        if len(video.survey(partial).shown) != sum(len(clip.known.shown) for clip in clips):
            raise _Unlike


def _fingerprint(clip: Clip) -> tuple[object, ...]:
    """Equal for clips whose packets one decoder can take in a row. Raises `_Unlike` where none could follow."""
    with opened(clip.path) as source:
        context = source.stream.codec_context
        rotation = next((frame.rotation for frame in source.frames()), 0)
        if source.kind.demuxer != "mov" or clip.known.codec not in _COPIED_CODECS:
            raise _Unlike
        shape = (context.width, context.height, context.pix_fmt, rotation)
        return (clip.known.codec, shape, bytes(context.extradata or b""), source.base, source.rate)


def _copy_packets(clips: Sequence[Clip], output: _Output, picture: object, track: encode.AudioTrack | None) -> None:
    shift = 0
    for clip in clips:
        with opened(clip.path) as source:
            for packet in source.packets():
                if packet is None:
                    break
                if packet.is_discard or packet.pts is None or packet.dts is None:
                    raise _Unlike
                packet.pts += shift - clip.start
                packet.dts += shift - clip.start
                cast("_Packet", packet).stream = picture
                output.mux(packet)
        _write_sound(clip, track, shift * clip.known.base)
        shift += clip.known.end - clip.start
    if track:
        track.flush()


def _add_track(clips: Sequence[Clip], output: _Output, path: Path) -> encode.AudioTrack | None:
    if not any(clip.known.has_audio for clip in clips):
        return None
    stream = cast("AudioStream", output.add_stream("aac", rate=sound.RATE))
    stream.codec_context.layout = sound.LAYOUT
    return encode.AudioTrack(path, output, stream)


def _write_sound(clip: Clip, track: encode.AudioTrack | None, since: Fraction) -> None:
    """The sound of one clip, which begins at the second `since` of the joined video."""
    if track is None:
        return
    stamp = round(since * sound.RATE)
    samples = round((since + clip.duration) * sound.RATE) - stamp
    for block in sound.blocks(clip.path, clip.start_second, samples, stamp):
        track.write(block)


def _encode(clips: Sequence[Clip], to: Path) -> list[str]:
    """Encode all clips at the size and rate of the first; the notes say which were changed."""
    width, height, rate = _shape(clips[0].known)
    ends = _ends(clips, rate)
    with encode.open_encoder(to, width=width, height=height, fps=rate, frames=ends[-1]) as encoder:
        track = None
        if any(clip.known.has_audio for clip in clips):
            track = encoder.add_audio(sound.RATE, sound.LAYOUT)
        since = Fraction(0)
        for clip, end in zip(clips, ends, strict=True):
            times = [Fraction(place) / rate - since for place in range(encoder.frames_written, end)]
            for frame in _frames_of(clip, times, rate):
                encoder.write(_fitted(frame, width, height))
            _write_sound(clip, track, since)
            since += clip.duration
    return _notes_on_changes(clips, rate)


def _shape(first: Survey) -> tuple[int, int, Fraction]:
    """Width, height and frames a second of a film that begins with this video, as H.264 takes them."""
    width, height = (max(2, side // 2 * 2) for side in (first.width, first.height))
    return width, height, min(max(first.rate, Fraction(1)), Fraction(120)).limit_denominator(1001)


def _ends(clips: Sequence[Clip], rate: Fraction) -> list[int]:
    """How many frames are out when each clip has ended. Rounded on the sum, so that nothing drifts."""
    ends: list[int] = []
    since = Fraction(0)
    for clip in clips:
        since += clip.duration
        ends.append(max(round(since * rate), ends[-1] + 1 if ends else 1))
    return ends


def _frames_of(clip: Clip, times: Sequence[Fraction], rate: Fraction) -> Iterator[VideoFrame]:
    """The frame shown at each of the times, in seconds from the clip's start."""
    # a quarter of a frame late, because time stamps in milliseconds are rounded
    late = Fraction(1, 4) / rate
    stamps = [clip.start + int((max(time, Fraction(0)) + late) / clip.known.base) for time in times]
    with opened(clip.path) as source:
        yield from video.shown_at(source.frames(), stamps)


def _fitted(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    """The frame at the size, with bars where its shape differs."""
    own_width, own_height = video.shown_size(frame)
    is_plain = not frame.rotation and not frame.format.is_rgb
    if is_plain and (own_width, own_height) == (width, height):
        return frame
    scale = min(width / own_width, height / own_height)
    inner = (max(1, round(own_width * scale)), max(1, round(own_height * scale)))
    canvas = Image.new("RGB", (width, height))
    canvas.paste(video.to_rgb(frame, inner), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return encode.from_rgb(np.asarray(canvas))


def _notes_on_changes(clips: Sequence[Clip], rate: Fraction) -> list[str]:
    first = clips[0].known
    notes: list[str] = []
    for clip in clips[1:]:
        known = clip.known
        if (known.width, known.height) != (first.width, first.height):
            sizes = f"{known.width} x {known.height}", f"{first.width} x {first.height}"
            notes.append(f"{clip.name} is {sizes[0]}; it was fitted into {sizes[1]}")
        if abs(known.rate - rate) > Fraction(1, 100):
            notes.append(f"{clip.name} has {float(known.rate):g} frames a second; it was brought to {float(rate):g}")
    return notes


class _Packet(Protocol):
    stream: object


class _Output(Protocol):
    """What is used of PyAV's container, whose own annotations leave packets half typed."""

    metadata: dict[str, str]

    def __enter__(self) -> object: ...
    def __exit__(self, *details: object) -> None: ...
    def add_stream(self, codec_name: str, rate: Fraction | int) -> object: ...
    def add_stream_from_template(self, template: object) -> object: ...
    def mux(self, packets: object) -> None: ...
    def close(self) -> None: ...

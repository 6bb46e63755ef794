"""Videos that dissolve into each other, played as one stream of frames and one of sound.

Everything is read once, from front to back, and at most two videos at a time: memory does not grow with their length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from keyframe_mcp.errors import InvalidInput, Problem
from keyframe_mcp.media import encode, sound

T = TypeVar("T")

_FEWEST_FRAMES = 2
"""A fade of fewer frames would be a cut."""


@dataclass(frozen=True)
class Shot:
    """One of the videos: its name for people, and how long it lasts, in seconds."""

    name: str
    duration: Fraction


@dataclass(frozen=True)
class Stretch:
    """A part of the film, from one position up to another, in which one video is shown, or one turns into the next.

    `shot` is the video shown, counted from 0; in a fade it is the one that goes.
    """

    shot: int
    start: int
    end: int
    is_fade: bool


Player = Callable[[int, int, int], Iterator[T]]
"""Plays one of the videos, counted from 0, from one position of the film to another."""


def require_possible(shots: Sequence[Shot], fade: Fraction, rate: Fraction) -> None:
    """Raise `InvalidInput` for a fade that is too long for the shortest video, or too short to be seen."""
    shortest = min(shots, key=lambda shot: shot.duration)
    longest_fade = (math.ceil(shortest.duration * 500) - 1) / 1000
    shortest_fade = math.ceil(_FEWEST_FRAMES / rate * 1000) / 1000
    legal = f"use {shortest_fade:g} to {longest_fade:g}, or 0 for a hard cut"
    if longest_fade < shortest_fade:
        legal = "use 0 for a hard cut, or leave that video out"
    if fade * 2 >= shortest.duration:
        why = f"each fade must be shorter than half of both its videos, and {shortest.name} lasts only"
        raise refused(f"{float(fade):g} s is too long: {why} {float(shortest.duration):.6g} s; {legal}")
    if fade * rate < _FEWEST_FRAMES:
        raise refused(f"{float(fade):g} s is shorter than {_FEWEST_FRAMES} frames and would be a hard cut; {legal}")


def refused(why: str) -> InvalidInput:
    """About the one argument."""
    return InvalidInput(problems=[Problem("crossfade_seconds", why)])


def stretches(shots: Sequence[Shot], fade: Fraction, rate: Fraction | int) -> list[Stretch]:
    """The film cut where fades begin and end; positions count frames, or samples, of that rate.

    Rounded on the sum, so that nothing drifts.
    """
    found: list[Stretch] = []
    since, position = Fraction(0), 0
    for place, shot in enumerate(shots):
        since += shot.duration
        is_last = place == len(shots) - 1
        for border, is_fade in ((since if is_last else since - fade, False), *([] if is_last else [(since, True)])):
            found.append(Stretch(place, position, round(border * rate), is_fade))
            position = found[-1].end
        since -= fade
    return found


def frames(
    parts: Sequence[Stretch], open_frames: Player[VideoFrame], size: tuple[int, int]
) -> Iterator[Iterator[VideoFrame]]:
    """The frames of each stretch; `size` is width and height."""
    playing = open_frames(0, *_reach(parts, 0))
    for part in parts:
        if not part.is_fade:
            yield _next(playing, part.end - part.start)
            continue
        following = open_frames(part.shot + 1, *_reach(parts, part.shot + 1))
        yield _dissolved(playing, following, part.end - part.start, size)
        playing = following


def blocks(parts: Sequence[Stretch], open_sound: Player[AudioFrame]) -> Iterator[Iterator[AudioFrame]]:
    """The sound of each stretch. What `open_sound` gives has no gaps."""
    playing = _Tape(open_sound(0, *_reach(parts, 0)))
    for part in parts:
        if not part.is_fade:
            yield _plain(playing, part)
            continue
        following = _Tape(open_sound(part.shot + 1, *_reach(parts, part.shot + 1)))
        yield _mixed(playing, following, part)
        playing = following


def _reach(parts: Sequence[Stretch], shot: int) -> tuple[int, int]:
    """From where to where in the film a video is seen."""
    own = [part for part in parts if part.shot == shot or (part.is_fade and part.shot == shot - 1)]
    return own[0].start, own[-1].end


def _next(playing: Iterator[VideoFrame], count: int) -> Iterator[VideoFrame]:
    for _ in range(count):
        yield next(playing)


def _dissolved(
    leaving: Iterator[VideoFrame], coming: Iterator[VideoFrame], count: int, size: tuple[int, int]
) -> Iterator[VideoFrame]:
    for place in range(count):
        # 0 and 256 would be the plain frames before and after
        weight = round(256 * (place + 1) / (count + 1))
        old, new = (_planes(next(each), size) for each in (leaving, coming))
        yield encode.from_planes(((old * (256 - weight) + new * weight + 128) >> 8).astype(np.uint8))


def _planes(frame: VideoFrame, size: tuple[int, int]) -> npt.NDArray[np.uint32]:
    return np.asarray(encode.to_bt709(frame, *size).to_ndarray(), dtype=np.uint32)


class _Tape:
    """Sound that is taken off in pieces of any length."""

    def __init__(self, source: Iterator[AudioFrame]) -> None:
        self._source = source
        self._rest: sound.Samples = np.zeros((sound.CHANNELS, 0), dtype=np.float32)

    def take(self, samples: int) -> sound.Samples:
        """The next so many samples."""
        pieces = [self._rest]
        has = self._rest.shape[1]
        while has < samples:
            pieces.append(np.asarray(next(self._source).to_ndarray(), dtype=np.float32))
            has += pieces[-1].shape[1]
        whole = np.concatenate(pieces, axis=1)
        self._rest = whole[:, samples:]
        return whole[:, :samples]


def _plain(playing: _Tape, part: Stretch) -> Iterator[AudioFrame]:
    for start, length in _pieces(part):
        yield sound.as_frame(playing.take(length), start)


def _mixed(leaving: _Tape, coming: _Tape, part: Stretch) -> Iterator[AudioFrame]:
    """Both at once, of equal power throughout: the squares of a sine and a cosine add up to one."""
    for start, length in _pieces(part):
        done = (np.arange(start, start + length) - part.start + 0.5) / (part.end - part.start)
        angle = (done * (np.pi / 2)).astype(np.float32)
        both = leaving.take(length) * np.cos(angle) + coming.take(length) * np.sin(angle)
        yield sound.as_frame(np.clip(both, -1, 1), start)  # two loud ones that agree would be beyond what can be heard


def _pieces(part: Stretch) -> Iterator[tuple[int, int]]:
    for start in range(part.start, part.end, sound.LONGEST_BLOCK):
        yield start, min(sound.LONGEST_BLOCK, part.end - start)

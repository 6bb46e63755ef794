"""The sound of a video, cut to measure: exactly as many samples as its picture lasts, silence where it has none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from keyframe_mcp.media.containers import BROKEN_OFF, Video, opened, rational

RATE = 48_000
LAYOUT = "stereo"
CHANNELS = 2
LONGEST_BLOCK = 1 << 15

_JITTER = RATE // 50  # time stamps of sound that runs on are rounded; only larger steps are gaps

Samples = npt.NDArray[np.float32]


def blocks(path: Path, start: Fraction, samples: int, stamp: int) -> Iterator[AudioFrame]:
    """Stereo at 48 kHz, `samples` of it, from `start`, a second by the file's own clock.

    Time stamps count samples and begin with `stamp`, so the sound of the next video can follow on.
    """
    written = 0
    for position, heard in _heard(path, start):
        skipped = 0
        if not written or abs(position - written) > _JITTER:
            gap = max(0, min(position, samples) - written)
            yield from _silence(gap, stamp + written)
            written += gap
            skipped = max(0, written - position)
        part = heard[:, skipped : skipped + samples - written]
        if part.shape[1]:
            yield as_frame(part, stamp + written)
            written += part.shape[1]
        if written >= samples:
            return
    yield from _silence(samples - written, stamp + written)


def as_frame(samples: Samples, stamp: int) -> AudioFrame:
    """Samples as a frame that can be encoded; `stamp` is its place in samples."""
    made = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=LAYOUT)
    made.sample_rate = RATE
    made.pts = stamp
    made.time_base = Fraction(1, RATE)
    return made


def _heard(path: Path, start: Fraction) -> Iterator[tuple[int, Samples]]:
    """What there is from `start` on, in blocks with their position in samples; nothing when there is no sound."""
    with opened(path) as video:
        for block in _resampled(video):
            second = (block.pts or 0) * (rational(block.time_base) or Fraction(1, RATE))
            position = round((second - start) * RATE)
            heard = np.asarray(block.to_ndarray(), dtype=np.float32)
            yield max(0, position), heard[:, max(0, -position) :]


def _resampled(video: Video) -> Iterator[AudioFrame]:
    resampler = AudioResampler(format="fltp", layout=LAYOUT, rate=RATE)
    with suppress(*BROKEN_OFF):
        for stream in video.container.streams.audio[:1]:
            for frame in video.container.decode(stream):
                yield from resampler.resample(frame)
            yield from resampler.resample(None)


def _silence(samples: int, stamp: int) -> Iterator[AudioFrame]:
    for done in range(0, max(0, samples), LONGEST_BLOCK):
        length = min(LONGEST_BLOCK, samples - done)
        yield as_frame(np.zeros((CHANNELS, length), dtype=np.float32), stamp + done)

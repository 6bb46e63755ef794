"""Small videos made on the spot, each frame of which says its own number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

BITS = 8
SAMPLE_RATE = 48_000


def picture(number: int, width: int = 160, height: int = 96, phase: int = 0) -> np.ndarray:
    """A moving gradient; its top fifth is a row of black and white blocks that spell `number` in binary."""
    across = np.linspace(0, 4 * np.pi, width)[None, :]
    down = np.linspace(0, 3 * np.pi, height)[:, None]
    waves = [np.sin(across + number / 9 + shift + phase) * np.cos(down - number / 7 + shift) for shift in (0, 1, 2)]
    pixels = np.stack([128 + 70 * wave for wave in waves], axis=2).astype(np.uint8)
    strip = max(1, height // 5)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        pixels[:strip, left:right] = 235 if number >> bit & 1 else 20
    return pixels


def number_in(image: Image.Image) -> int:
    """The number a frame of `picture` spells."""
    gray = np.asarray(image.convert("L")).astype(float)
    height, width = gray.shape
    row = gray[height // 20 : max(height // 20 + 1, height // 7)]
    blocks = [row[:, (2 * bit + 1) * width // (2 * BITS)] for bit in range(BITS)]
    return sum(1 << bit for bit, block in enumerate(blocks) if block.mean() > 128)


def encoder_options(codec: str, options: dict[str, str]) -> dict[str, str]:
    """Options under which equal frames make equal files; x264 needs to be told, or a cut falls elsewhere each time."""
    if codec == "libx264":
        parameters = ":".join(filter(None, ["cpu-independent=1", options.get("x264-params")]))
        return {"preset": "ultrafast", "threads": "1", **options, "x264-params": parameters}
    return {"preset": "ultrafast", **options} if codec == "libx265" else options


def make(
    path: Path,
    frames: int = 48,
    *,
    size: tuple[int, int] = (160, 96),
    rate: int | Fraction = 24,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    container: str | None = None,
    options: dict[str, str] | None = None,
    muxer_options: dict[str, str] | None = None,
    audio: float = 0,
    tone: float = 440,
    audio_rate: int = SAMPLE_RATE,
    stamps: Sequence[int] | None = None,
    rotation: int = 0,
    numbers: Sequence[int] | None = None,
) -> Path:
    """A video of `frames` frames; `audio` is how many seconds of a tone it has, `stamps` are milliseconds (VFR)."""
    with av.open(str(path), "w", format=container, options=muxer_options or {}) as output:
        stream = cast("VideoStream", output.add_stream(codec, rate=Fraction(rate)))
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.codec_context.options = encoder_options(codec, options or {})
        if stamps:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        sound = None
        if audio:
            sound = output.add_stream("libopus" if codec.startswith("libvpx") else "aac", rate=audio_rate)
            sound.codec_context.layout = "stereo"
        for place in range(frames):
            pixels = picture(numbers[place] if numbers else place, *size)
            frame = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pixel_format)
            frame.pts = stamps[place] if stamps else place
            frame.time_base = Fraction(1, 1000) if stamps else 1 / Fraction(rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound:
            for block in tone_blocks(audio, tone, audio_rate):
                output.mux(sound.encode(block))
            output.mux(sound.encode(None))
    return path


def make_gif(path: Path, frames: int = 12, size: tuple[int, int] = (80, 60)) -> Path:
    """An animated GIF of ten frames a second."""
    pictures = [Image.fromarray(picture(number, *size)) for number in range(frames)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100, loop=0)
    return path


def make_song(path: Path, seconds: float = 1, *, cover: bool = False) -> Path:
    """An MP4 with sound and no picture but its cover."""
    with av.open(str(path), "w", format="mp4") as output:
        sound = output.add_stream("aac", rate=SAMPLE_RATE)
        sound.codec_context.layout = "stereo"
        if cover:
            image = output.add_stream("png", rate=1)
            image.width, image.height, image.pix_fmt = 160, 96, "rgb24"
            image.disposition = Disposition.attached_pic
            frame = VideoFrame.from_ndarray(picture(0), format="rgb24")
            frame.pts = 0
            output.mux(image.encode(frame))
        for block in tone_blocks(seconds, 440, SAMPLE_RATE):
            output.mux(sound.encode(block))
        output.mux(sound.encode(None))
    return path


def decode_all(path: Path) -> list[VideoFrame]:
    """Every frame of the file, decoded from its start by PyAV alone, in order of showing."""
    with av.open(str(path)) as container:
        found = []
        try:
            found.extend(container.decode(container.streams.video[0]))
        except FFmpegError:
            found.extend(container.streams.video[0].codec_context.decode(None))
    return sorted(found, key=lambda frame: frame.pts or 0)


def sound_of(path: Path) -> np.ndarray:
    """The decoded sound, one channel, as floats at its own rate; empty when there is none."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return np.zeros(0)
        blocks = [block.to_ndarray()[0] for block in container.decode(container.streams.audio[0])]
    return np.concatenate(blocks)


def tone_blocks(seconds: float, pitch: float, rate: int) -> Iterator[AudioFrame]:
    """A sine wave in blocks an encoder takes."""
    total = round(seconds * rate)
    for start in range(0, total, 1024):
        moments = np.arange(start, min(total, start + 1024)) / rate
        wave = np.sin(2 * np.pi * pitch * moments).astype(np.float32) * 0.4
        block = AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
        block.sample_rate = rate
        block.pts = start
        block.time_base = Fraction(1, rate)
        yield block


def make_noise(path: Path, frames: int, size: tuple[int, int]) -> Path:
    """What compresses worst."""
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.options = {"preset": "ultrafast", "crf": "10"}
        for place in range(frames):
            pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            frame = VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = place
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path

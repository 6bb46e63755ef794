"""H.264 in MP4, the one way this package writes a video.

x264 veryfast at crf 20, High profile, yuv420p, BT.709 limited range and tagged so, index at the front. The file is
written under a name of its own beside its target and renamed when it is whole: the target is good or not there.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Protocol, cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from keyframe_mcp.errors import OutputUnwritable, RenderFailed
from keyframe_mcp.media.unfinished import unfinished

Pixels = npt.NDArray[np.uint8]

_END_FRAME_QUANTIZER = 10  # the first and the last frame are compared with the pictures they were made from


@contextmanager
def open_encoder(
    path: Path,
    *,
    width: int,
    height: int,
    fps: int | Fraction,
    frames: int | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Generator[Encoder]:
    """An `Encoder` for an MP4 file that appears at `path` when the block ends, and not at all when it raises.

    Sizes must be even. Give `frames` when their number is known: the first and the last are then kept nearly lossless.
    Of `metadata` MP4 keeps the usual names (title, artist, comment, description, date, ...) and drops others.
    Raises `OutputUnwritable` for the disk and `RenderFailed` for the encoder.
    """
    if width < 2 or height < 2 or width % 2 or height % 2:
        raise RenderFailed(f"H.264 needs even sizes; {width}x{height} is not.")
    partial = unfinished(path)
    encoder = None
    try:
        with _failures_named(path):
            container = _open_mp4(partial)
            container.metadata.update(metadata or {})
            encoder = Encoder(path, container, width=width, height=height, rate=Fraction(fps), frames=frames)
        yield encoder
        encoder.finish()
        with _failures_named(path):
            _flush_to_disk(partial)
            partial.replace(path)
    finally:
        if encoder is not None:
            encoder.abandon()
        with suppress(OSError):
            partial.unlink(missing_ok=True)


class Encoder:
    """What `open_encoder` gives: frames go in one at a time and are kept by nobody."""

    def __init__(
        self, path: Path, container: _Container, *, width: int, height: int, rate: Fraction, frames: int | None
    ) -> None:
        self.width = width
        self.height = height
        self.rate = rate
        self.frames_written = 0
        self._path = path
        self._container = container
        self._video = _add_video(container, width, height, rate, frames)
        self._audio: list[AudioTrack] = []
        self._closed = False

    def add_audio(self, sample_rate: int = 48_000, layout: str = "stereo") -> AudioTrack:
        """An AAC track. Ask for it before the first frame is written; MP4 lists its tracks first."""
        if self.frames_written:
            raise RenderFailed("An audio track was added after the first frame.")
        with _failures_named(self._path):
            stream = cast("AudioStream", self._container.add_stream("aac", rate=sample_rate))
            stream.codec_context.layout = layout
        track = AudioTrack(self._path, self._container, stream)
        self._audio.append(track)
        return track

    def write(self, frame: VideoFrame) -> None:
        """Encode the next frame. Its time is its place in the order of writing; its size and format are adapted."""
        with _failures_named(self._path):
            frame = to_bt709(frame, self.width, self.height)
            frame.pts = self.frames_written
            frame.time_base = 1 / self.rate
            frame.pict_type = PictureType.NONE  # a decoded frame would otherwise force its old type on the encoder
            self._container.mux(_packets(self._video, frame))
        self.frames_written += 1

    def finish(self) -> None:
        """Write what the encoders still hold, and the index. `open_encoder` does this."""
        if not self.frames_written:
            raise RenderFailed("No frame was drawn.")
        with _failures_named(self._path):
            self._container.mux(_packets(self._video, None))
            for track in self._audio:
                track.flush()
            self._closed = True
            self._container.close()

    def abandon(self) -> None:
        """Let go of the file if `finish` did not."""
        if not self._closed:
            self._closed = True
            with suppress(FFmpegError, OSError, ValueError):
                self._container.close()


class AudioTrack:
    """AAC beside the video. Frames need a `pts` and a `time_base`; rate and layout are converted."""

    def __init__(self, path: Path, container: _Container, stream: AudioStream) -> None:
        self._path = path
        self._container = container
        self._stream = stream

    def write(self, frame: AudioFrame) -> None:
        """Encode the next samples."""
        with _failures_named(self._path):
            self._container.mux(_packets(self._stream, frame))

    def flush(self) -> None:
        """Write what the encoder still holds. `Encoder.finish` does this."""
        self._container.mux(_packets(self._stream, None))


def to_bt709(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    """The frame as yuv420p, BT.709, limited range. One that is so already comes back as it is."""
    if _is_ready(frame, width, height):
        return frame
    return frame.reformat(
        width=width,
        height=height,
        format="yuv420p",
        src_colorspace=_matrix(frame),
        dst_colorspace=Colorspace.ITU709,
        src_color_range=_range(frame),
        dst_color_range=ColorRange.MPEG,
        interpolation="AREA" if (frame.width, frame.height) == (width, height) else "BICUBIC",
    )


def from_rgb(pixels: Pixels) -> VideoFrame:
    """A frame ready to write, from height x width x 3."""
    height, width, _ = pixels.shape
    return to_bt709(VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24"), width, height)


def from_planes(planes: Pixels) -> VideoFrame:
    """A frame ready to write, from what `planes_of` gives: (height * 3/2) x width, the Y, U and V planes in a row."""
    frame = VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.colorspace = Colorspace.ITU709
    frame.color_range = ColorRange.MPEG
    return frame


def planes_of(pixels: Pixels) -> Pixels:
    """The Y, U and V planes of height x width x 3, in a row: (height * 3/2) x width."""
    return np.asarray(from_rgb(pixels).to_ndarray(), dtype=np.uint8)


def _add_video(container: _Container, width: int, height: int, rate: Fraction, frames: int | None) -> VideoStream:
    stream = cast("VideoStream", container.add_stream("libx264", rate=rate))
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    context = stream.codec_context
    context.options = {"preset": "veryfast", "crf": "20", "profile": "high", "x264-params": _x264_parameters(frames)}
    context.color_range = ColorRange.MPEG
    context.colorspace = Colorspace.ITU709
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709
    return stream


def _open_mp4(path: Path) -> _Container:
    return cast("_Container", av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}))


def _packets(stream: VideoStream | AudioStream, frame: VideoFrame | AudioFrame | None) -> list[object]:
    return cast("_Stream", stream).encode(frame)


def _x264_parameters(frames: int | None) -> str:
    # With AVX-512 x264 reads memory it never wrote, and equal frames give unequal files; without, it costs nothing.
    parameters = "cpu-independent=1"
    if frames:
        # Forcing the last frame to be an I frame as well would make x264 ignore its zone.
        ends = sorted({0, frames - 1})
        parameters += ":zones=" + "/".join(f"{at},{at},q={_END_FRAME_QUANTIZER}" for at in ends)
    return parameters


def _is_ready(frame: VideoFrame, width: int, height: int) -> bool:
    return (
        frame.format.name == "yuv420p"
        and (frame.width, frame.height) == (width, height)
        and frame.colorspace == Colorspace.ITU709
        and frame.color_range == ColorRange.MPEG
    )


def _matrix(frame: VideoFrame) -> int:
    # Files that do not say are BT.601 below HD and BT.709 from there; swscale would take all of them for BT.601.
    if frame.colorspace in (0, 2):
        return Colorspace.ITU709 if frame.height >= 720 or frame.format.is_rgb else Colorspace.ITU601
    return frame.colorspace


def _range(frame: VideoFrame) -> int:
    if frame.color_range == ColorRange.UNSPECIFIED:
        return ColorRange.JPEG if frame.format.is_rgb else ColorRange.MPEG
    return frame.color_range


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def _failures_named(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:  # PyAV's errors about files are OSErrors too
        raise OutputUnwritable(f"{path} could not be written: {error.strerror or error}.") from error
    except (FFmpegError, ValueError) as error:
        raise RenderFailed(f"The video encoder stopped: {error}.") from error


class _Container(Protocol):
    """What is used of PyAV's container, whose own annotations leave packets half typed."""

    metadata: dict[str, str]

    def add_stream(self, codec_name: str, rate: Fraction | int) -> object: ...
    def mux(self, packets: Sequence[object]) -> None: ...
    def close(self) -> None: ...


class _Stream(Protocol):
    def encode(self, frame: object) -> list[object]: ...

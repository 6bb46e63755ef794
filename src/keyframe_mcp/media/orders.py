"""What can be asked of the media worker, and what it answers.

An order is sent as JSON to a process of its own, so that a hostile file can crash or bloat that process and never
the server. Every path is absolute. An order that writes a file writes it under a temporary name and renames it when
it is whole, so `to` either does not exist or is good.
"""

from __future__ import annotations

from pathlib import Path
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from keyframe_mcp.task import ImageFormat, Mode


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


Reply = TypeVar("Reply", bound=BaseModel)


class Order(_Record, Generic[Reply]):
    """A request whose answer is a `Reply`."""


class ImageFacts(_Record):
    """A picture that was decoded whole. Sizes in pixels, as shown (EXIF rotation applied)."""

    width: int
    height: int
    mime_type: str
    size_bytes: int
    notes: tuple[str, ...] = ()


class VideoFacts(_Record):
    """A video that could be opened. Sizes in pixels, duration in seconds."""

    width: int
    height: int
    duration: float
    fps: float
    frames: int
    codec: str
    mime_type: str
    has_audio: bool
    size_bytes: int


class FrameFacts(_Record):
    """One frame, saved as PNG. `at` is in seconds from the start."""

    path: Path
    width: int
    height: int
    at: float


class Cell(_Record):
    """One picture of a contact sheet: its number, the frame it shows, and that frame's second."""

    cell: int
    frame: int
    at: float


Fit = Literal["scaled", "cropped", "stretched", "letterboxed"]
"""How a given picture was brought to the size of a video; scaled where their shapes agree."""

Likeness = Literal["same", "near", "recoloured", "related", "other"]
"""How alike a given picture and a delivered frame are; `comparing` says from which figures on."""

SheetSize = Literal["full", "small", "tiny"]
"""How large a contact sheet is."""

End = Literal["first", "last"]
"""Which frame of a video."""


class Given(_Record):
    """A picture a video was asked to begin or to end with."""

    end: End
    path: Path


class Comparison(_Record):
    """A delivered frame beside the picture given for it. `psnr` is in dB, None where nothing differs; `ssim` is 0-1."""

    end: End
    psnr: float | None
    ssim: float
    likeness: Likeness
    fit: Fit


class SheetFacts(_Record):
    """A contact sheet, saved as JPEG."""

    path: Path
    width: int
    height: int
    size_bytes: int
    cells: tuple[Cell, ...]
    video: VideoFacts
    comparisons: tuple[Comparison, ...] = ()
    remarks: tuple[str, ...] = ()
    """Why a given picture was not compared."""


JoinMethod = Literal["stream_copy", "re_encode", "crossfade"]
"""How videos were made one; only the first leaves every picture as it was."""


class JoinFacts(_Record):
    """Several videos made into one."""

    path: Path
    method: JoinMethod
    video: VideoFacts
    notes: tuple[str, ...] = ()


class MarkFacts(_Record):
    """Whether a video has the tags in it, and why not."""

    embedded: bool
    reason: str = ""


class RenderFacts(_Record):
    """A video drawn on this machine. `confidence` is 0-1: how much of the motion was found, not guessed."""

    path: Path
    engine: Literal["morph", "dissolve", "camera", "storyboard"]
    confidence: float | None = None
    camera: str = ""
    video: VideoFacts
    warnings: tuple[str, ...] = ()


class CheckImage(Order[ImageFacts]):
    """Decode a picture whole. Raises `UnreadableImage`."""

    path: Path


class FitImage(Order[ImageFacts]):
    """Save a picture as somebody else wants it: a copy where it already is, else re-encoded.

    The facts are about what was saved; its format follows from `formats` and never from the name of `to`. Raises
    `UnreadableImage`, also when it cannot be made small enough.
    """

    path: Path
    to: Path
    formats: tuple[ImageFormat, ...] = Field(min_length=1)
    most_bytes: int = Field(gt=0)
    longest_side: int | None = Field(default=None, gt=0)


class ProbeVideo(Order[VideoFacts]):
    """Facts about a video. Raises `UnreadableVideo`."""

    path: Path


class ExtractFrame(Order[FrameFacts]):
    """Save one exact frame as PNG: the first, the last, or the one shown at a second."""

    path: Path
    at: float | Literal["first", "last"]
    to: Path


class MakeSheet(Order[SheetFacts]):
    """Save a contact sheet: numbered, timed frames, always with the first and the last.

    Under them, each of the `given` pictures beside the frame it was given for.
    """

    path: Path
    to: Path
    cells: int | None = Field(default=None, ge=1, le=25)
    longest_side: int = Field(default=1456, ge=256, le=1568)
    max_bytes: int = 300_000
    given: tuple[Given, ...] = Field(default=(), max_length=2)


class JoinVideos(Order[JoinFacts]):
    """Play videos one after another: copied when their streams agree, else re-encoded. Audio is kept.

    With `crossfade` seconds, each dissolves into the next for that long, and all are encoded again.
    """

    paths: tuple[Path, ...]
    to: Path
    crossfade: float = Field(default=0, ge=0, allow_inf_nan=False)


class MarkVideo(Order[MarkFacts]):
    """Save a copy of an MP4 with tags in it; nothing is saved where it has them already, or is better left alone."""

    path: Path
    to: Path
    tags: dict[str, str]
    """`title`, `comment`, `description` and `software`; the comment is what the file is known by."""


class RenderVideo(Order[RenderFacts]):
    """Draw a video. What is used depends on `mode`; see `docs/local-renderer.md`."""

    mode: Mode
    to: Path
    prompt: str = ""
    prompt_end: str = ""
    first_image: Path | None = None
    last_image: Path | None = None
    resolution: Literal["480p", "720p", "1080p"] = "480p"
    aspect_ratio: str = ""
    duration: float = Field(default=5.0, ge=1, le=30)
    fps: int = Field(default=24, ge=8, le=30)
    seed: int = 0


def reply_type(order: Order[Reply]) -> type[Reply]:
    """The facts an order is answered with: the `F` of `class ProbeVideo(Order[F])`."""
    for base in type(order).__mro__:
        arguments = base.__dict__.get("__pydantic_generic_metadata__", {}).get("args")
        if arguments:
            return arguments[0]
    raise TypeError(f"{type(order).__name__} does not say what it is answered with")

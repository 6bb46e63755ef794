"""The embedded renderer: videos drawn on this machine, without a model, for previews, tests and demos.

Two pictures are morphed along the camera path and the object motion between them, one picture is given a camera move,
and text becomes a storyboard. Motion needs OpenCV, the optional extra `local`; without it two pictures dissolve.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator
from contextlib import contextmanager

from keyframe_mcp.errors import RenderFailed
from keyframe_mcp.media.encode import from_planes, open_encoder
from keyframe_mcp.media.orders import RenderFacts, RenderVideo, VideoFacts
from keyframe_mcp.media.render.plan import Clip, plan_clip


def render(order: RenderVideo, report: Callable[[float], None], *, opencv: bool | None = None) -> RenderFacts:
    """Draw the video an order asks for; `report` is called with the fraction done, from 0 to 1.

    `opencv` says whether OpenCV may be used; by default it is when it can be imported. Raises `InvalidInput`,
    `UnreadableImage`, `OutputUnwritable` and `RenderFailed`, and what `report` raises; then no file is left.
    """
    report(0.0)
    with _failures_named("The video could not be prepared"):
        clip = plan_clip(order, opencv=_has_opencv() if opencv is None else opencv)
    frames = max(2, round(order.duration * order.fps))
    _encode(order, clip, frames, report)
    report(1.0)
    return RenderFacts(
        path=order.to,
        engine=clip.engine,
        confidence=clip.confidence,
        camera=clip.camera,
        video=_facts(order, clip, frames),
        warnings=clip.warnings,
    )


def _encode(order: RenderVideo, clip: Clip, frames: int, report: Callable[[float], None]) -> None:
    metadata = {"title": order.prompt, "description": _description(clip)}
    with open_encoder(
        order.to, width=clip.width, height=clip.height, fps=order.fps, frames=frames, metadata=metadata
    ) as encoder:
        for number in range(frames):
            with _failures_named(f"Frame {number} could not be drawn"):
                planes = clip.draw(number / (frames - 1))
            encoder.write(from_planes(planes))
            report((number + 1) / (frames + 1))


def _description(clip: Clip) -> str:
    """What the file says about itself wherever it goes."""
    facts = [f"engine: {clip.engine}"]
    if clip.confidence is not None:
        facts.append(f"confidence: {clip.confidence}")
    if clip.camera:
        facts.append(f"camera: {clip.camera}")
    return f"Drawn by keyframe-mcp's local renderer, not by an AI model ({'; '.join(facts)})"


@contextmanager
def _failures_named(what: str) -> Generator[None]:
    try:
        yield
    except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        raise RenderFailed(f"{what}: {error}") from error
    except Exception as error:
        if type(error).__module__ != "cv2":  # OpenCV's error is a plain Exception, of a module that may not be there
            raise
        raise RenderFailed(f"{what}: {error}") from error


def _facts(order: RenderVideo, clip: Clip, frames: int) -> VideoFacts:
    return VideoFacts(
        width=clip.width,
        height=clip.height,
        duration=frames / order.fps,
        fps=float(order.fps),
        frames=frames,
        codec="h264",
        mime_type="video/mp4",
        has_audio=False,
        size_bytes=order.to.stat().st_size,
    )


def _has_opencv() -> bool:
    try:
        importlib.import_module("cv2")
    except ImportError:  # not installed, or a system library it needs is not
        return False
    return True

"""Which engine draws an order, on what, and what the caller should know about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from keyframe_mcp.errors import InvalidInput, Problem
from keyframe_mcp.media import images
from keyframe_mcp.media.orders import RenderVideo
from keyframe_mcp.media.render.arrays import Pixels
from keyframe_mcp.media.render.camera import CameraClip
from keyframe_mcp.media.render.camera_words import CameraMove, read_camera
from keyframe_mcp.media.render.cards import is_cut
from keyframe_mcp.media.render.dissolve import Dissolve
from keyframe_mcp.media.render.shots import Shot, shots_between, shots_of
from keyframe_mcp.media.render.sizes import video_size
from keyframe_mcp.media.render.storyboard import Storyboard
from keyframe_mcp.media.render.timing import smooth
from keyframe_mcp.task import Mode

LEAST_CONFIDENCE = 0.2
"""Related pictures reach 0.4 and more, unrelated ones about 0.05."""

_INSTALL = "pip install 'keyframe-mcp[local]'"
_NO_MOTION = (
    "OpenCV is not installed, so the motion between the two images was not found and they dissolve into each other. "
    f"For a morph that follows the motion: {_INSTALL}"
)
_CUT = "the text is longer than its card and ends in an ellipsis."
_NO_SPEED = (
    "OpenCV is not installed, so the camera move was drawn with Pillow: the same move, but slower to draw. "
    f"For the faster one: {_INSTALL}"
)
_CROPPED_FROM = 0.01  # of the picture


@dataclass(frozen=True)
class Clip:
    """A video ready to be drawn. `draw` gives yuv420p planes for a progress from 0 to 1."""

    engine: Literal["morph", "dissolve", "camera", "storyboard"]
    width: int
    height: int
    draw: Callable[[float], Pixels]
    confidence: float | None = None
    camera: str = ""
    warnings: tuple[str, ...] = ()


def plan_clip(order: RenderVideo, *, opencv: bool) -> Clip:
    """Pictures are loaded and motion is found here, so this can take a second."""
    match order.mode:
        case Mode.FLF2V:
            return _between_images(order, opencv=opencv)
        case Mode.I2V:
            return _over_image(order, opencv=opencv)
        case Mode.T2V:
            return _storyboard(order, shots_of(order.prompt))
        case Mode.ANIMATION:
            return _storyboard(order, shots_between(order.prompt, order.prompt_end))


def _between_images(order: RenderVideo, *, opencv: bool) -> Clip:
    first = _load(order.first_image, "first_image", order)
    last = _load(order.last_image, "last_image", order)
    size = video_size(order.resolution, order.aspect_ratio, first.image.size)
    pixels = _fitted(first.image, *size), _fitted(last.image, *size)
    warnings = [*_about_picture("first image", first, *size), *_about_picture("last image", last, *size)]
    if not opencv:
        return Clip("dissolve", *size, Dissolve(*pixels).draw, warnings=(*warnings, _NO_MOTION))
    from keyframe_mcp.media.render.morph import Morph  # noqa: PLC0415  # OpenCV is an optional extra

    morph = Morph(*pixels)
    confidence = round(morph.confidence, 3)
    if confidence < LEAST_CONFIDENCE:
        warnings.append(_unrelated(confidence))
        return Clip("dissolve", *size, Dissolve(*pixels).draw, confidence, warnings=tuple(warnings))
    return Clip("morph", *size, lambda progress: morph.draw(smooth(progress)), confidence, warnings=tuple(warnings))


def _over_image(order: RenderVideo, *, opencv: bool) -> Clip:
    picture = _load(order.first_image, "first_image", order)
    size = video_size(order.resolution, order.aspect_ratio, picture.image.size)
    move = read_camera(order.prompt)
    clip = CameraClip(_fitted(picture.image, *size), move, order.duration, order.seed, opencv=opencv)
    warnings = [*_about_picture("image", picture, *size), *_about_move(move)]
    if not opencv:
        warnings.append(_NO_SPEED)
    return Clip("camera", *size, clip.draw, camera=str(move), warnings=tuple(warnings))


def _storyboard(order: RenderVideo, shots: list[Shot]) -> Clip:
    size = video_size(order.resolution, order.aspect_ratio)
    cut = [
        f"{shot.label}: the text is longer than its card and ends in an ellipsis."
        for shot in shots
        if is_cut(shot, *size)
    ]
    return Clip("storyboard", *size, Storyboard(shots, *size, order.duration).draw, warnings=tuple(cut))


def _load(path: Path | None, argument: str, order: RenderVideo) -> images.Picture:
    if path is None:
        raise InvalidInput(problems=[Problem(argument, f"{order.mode.meaning} needs this image.")])
    # Square stands for any shape not known yet: loading keeps at least twice the size it is given.
    return images.load(path, video_size(order.resolution, order.aspect_ratio or "1:1"))


def _fitted(image: Image.Image, width: int, height: int) -> Pixels:
    return np.asarray(images.fit(image, width, height), dtype=np.uint8)


def _about_picture(name: str, picture: images.Picture, width: int, height: int) -> list[str]:
    notes = [f"{name}: {note}" for note in picture.notes]
    own = picture.image.width / picture.image.height
    kept = min(own * height / width, width / (own * height))
    if 1 - kept > _CROPPED_FROM:
        edges = "left and right" if own > width / height else "top and bottom"
        notes.append(f"{name}: {1 - kept:.0%} was cropped at the {edges} to fit {width}x{height}.")
    return notes


def _about_move(move: CameraMove) -> list[str]:
    notes: list[str] = []
    if "zoom out" in move:
        notes.append("Nothing is known beyond the edges of the image, so zooming out shows them mirrored.")
    if "orbit" in move:
        notes.append("No depth is known, so the orbit turns the image as if it were a flat poster.")
    return notes


def _unrelated(confidence: float) -> str:
    return (
        f"The two images share too little to find motion between them (confidence {confidence:.2f}, "
        f"needed {LEAST_CONFIDENCE}), so they dissolve into each other."
    )

"""The files that emulated jobs make: small, real, and made on the spot, so that players and decoders accept them."""

from __future__ import annotations

import io
from functools import cache

import av
from PIL import Image, ImageDraw

MP4 = "video/mp4"
GIF = "image/gif"
PNG = "image/png"


def frame(number: int, of: int, width: int, height: int, colour: str = "gold") -> Image.Image:
    """One picture of a ball on its way from left to right."""
    picture = Image.new("RGB", (width, height), (40, 60 + 120 * number // of, 120))
    radius = height // 5
    middle = radius + (width - 2 * radius) * number // max(1, of - 1)
    ball = (middle - radius, height // 2 - radius, middle + radius, height // 2 + radius)
    ImageDraw.Draw(picture).ellipse(ball, colour)
    return picture


@cache
def mp4(width: int = 160, height: int = 96, frames: int = 16, fps: int = 8, colour: str = "gold") -> bytes:
    """A short H.264 film. `width` and `height` must be even."""
    film = io.BytesIO()
    with av.open(film, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            picture = av.VideoFrame.from_image(frame(number, frames, width, height, colour))
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return film.getvalue()


@cache
def gif(width: int = 128, height: int = 96, frames: int = 8, fps: int = 8, colour: str = "gold") -> bytes:
    """A short looping animation."""
    first, *others = [frame(number, frames, width, height, colour) for number in range(frames)]
    film = io.BytesIO()
    first.save(film, "GIF", save_all=True, append_images=others, duration=1000 // fps, loop=0)
    return film.getvalue()


@cache
def png(width: int = 128, height: int = 96, number: int = 0) -> bytes:
    """A picture. Different numbers give different ones."""
    picture = io.BytesIO()
    frame(number % 8, 8, width, height).save(picture, "PNG")
    return picture.getvalue()

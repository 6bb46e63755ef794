"""Draws the two pictures the demo starts from: one place at dawn and at dusk, the camera a little closer."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

WIDTH, HEIGHT = 1280, 720
FOLDER = Path(__file__).resolve().parent.parent / "src" / "keyframe_mcp" / "samples"


def noise(shape, cell, generator, octaves=5, fade=0.55):
    """Smooth noise, 0 to 1, whose largest blobs are `cell` pixels."""
    height, width = shape
    total, weight, sum_of_weights = np.zeros(shape, np.float32), 1.0, 0.0
    for _ in range(octaves):
        grid = generator.random((int(height / cell) + 3, int(width / cell) + 3), dtype=np.float32)
        total += weight * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        sum_of_weights, weight, cell = sum_of_weights + weight, weight * fade, max(2.0, cell / 2)
    return total / sum_of_weights


def ridge(width, base, height, roughness, generator):
    """The outline of a mountain range, as a height for every column."""
    outline, amplitude, step = np.zeros(width, np.float32), height, width / 3
    for _ in range(8):
        points = generator.random(int(width / step) + 4)
        outline += amplitude * (np.interp(np.arange(width) / step, np.arange(len(points)), points) - 0.5)
        amplitude, step = amplitude * roughness, step / 2
    return base - outline


def mix(picture, mask, colour):
    """Lay a colour over a picture where the mask says."""
    return picture * (1 - mask[..., None]) + np.asarray(colour, np.float32) * mask[..., None]


def sky(shape, top, bottom, glow, light):
    """A sky that brightens around a light low over the horizon."""
    height, width = shape
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None] ** 0.8
    picture = np.asarray(top, np.float32) * (1 - down) + np.asarray(bottom, np.float32) * down
    picture = np.repeat(picture, width, axis=1)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot((x - light[0] * width) / width, (y - light[1] * height) / height * 0.7)
    return mix(picture, np.exp(-((distance / 0.22) ** 2)) * 0.85, glow)


def place(width, height, *, dusk):
    """The same mountains, trees and lake, in the light of one time of day."""
    generator = np.random.default_rng(20)
    dim = 0.42 if dusk else 1.0
    picture = (
        sky((height, width), (38, 30, 78), (232, 112, 84), (255, 196, 120), (0.3, 0.5))
        if dusk
        else sky((height, width), (96, 158, 220), (246, 214, 178), (255, 246, 214), (0.66, 0.42))
    )
    clouds = np.clip((noise((height, width), width / 5, generator, 6) - 0.52) * 4, 0, 1)
    clouds *= np.linspace(1, 0, height, dtype=np.float32)[:, None] ** 1.5
    picture = mix(picture, clouds * 0.6, (150, 84, 104) if dusk else (255, 250, 244))
    rows = np.arange(height, dtype=np.float32)[:, None]
    ranges = ((0.50, 0.34, (124, 140, 172)), (0.60, 0.24, (88, 112, 124)), (0.70, 0.15, (58, 86, 70)))
    for base, tall, colour in ranges:
        outline = ridge(width, base * height, tall * height, 0.52, generator)
        rock = noise((height, width), 70, generator, 6, 0.7)
        shade = np.asarray(colour, np.float32) * (0.62 + 0.76 * rock)[..., None] * dim
        inside = np.clip(rows - outline, 0, 1)[..., None]
        picture = picture * (1 - inside) + (shade + (np.asarray((30, 6, 22)) if dusk else 0)) * inside
    picture = trees(lake(picture, height, generator, dusk=dusk), generator, dim)
    return np.clip(picture, 0, 255).astype(np.uint8)


def lake(picture, height, generator, *, dusk):
    """Still water that mirrors what is above it."""
    shore = int(0.78 * height)
    mirrored = cv2.flip(picture[2 * shore - height : shore], 0)
    ripples = (noise(mirrored.shape[:2], 30, generator, 5, 0.7) - 0.5) * 26
    picture[shore:] = mirrored * (0.62 if dusk else 0.78) + ripples[..., None]
    return picture


def trees(picture, generator, dim):
    """Firs along the shore, nearer ones larger."""
    height, width = picture.shape[:2]
    for _ in range(70):
        x, near = int(generator.random() * width), generator.random()
        foot, tall = int(height * (0.775 + 0.03 * near)), height * (0.05 + 0.11 * near)
        green = np.asarray((22 + 20 * near, 48 + 24 * near, 34.0)) * dim
        for tier in range(4):
            top = foot - tall * (1 - tier * 0.2)
            half = tall * (0.1 + 0.055 * tier)
            corners = [[x, top], [x - half, top + tall * 0.42], [x + half, top + tall * 0.42]]
            colour = tuple(float(each) * (1 - 0.08 * tier) for each in green)
            cv2.fillPoly(picture, [np.array(corners, np.int32)], colour, cv2.LINE_AA)
    return picture


def seen(world, *, zoom, right, turn):
    """The world through a camera."""
    height, width = world.shape[:2]
    matrix = cv2.getRotationMatrix2D((width * (0.5 + right), height * 0.52), turn, zoom * WIDTH / width)
    matrix[:, 2] += (WIDTH / 2 - width * (0.5 + right), HEIGHT / 2 - height * 0.52)
    return cv2.warpAffine(world, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)


def main():
    """Write both."""
    size = math.ceil(WIDTH * 1.8), math.ceil(HEIGHT * 1.8)
    views = {
        "dawn": seen(place(*size, dusk=False), zoom=1.25, right=-0.03, turn=0),
        "dusk": seen(place(*size, dusk=True), zoom=1.7, right=0.04, turn=-3),
    }
    FOLDER.mkdir(exist_ok=True)
    for name, pixels in views.items():
        Image.fromarray(pixels).save(FOLDER / f"{name}.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main()

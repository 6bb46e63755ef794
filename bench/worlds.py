"""Painted worlds for the scenes: landscapes, a town, trees and a face, as floats between 0 and 255."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def landscape(width: int, height: int, seed: int, *, night: bool = False) -> Floats:
    random = np.random.default_rng(seed)
    picture = (
        _gradient(width, height, (12, 16, 48), (60, 50, 90))
        if night
        else _gradient(width, height, (70, 130, 210), (225, 215, 190))
    )
    clouds = (
        np.clip((_noise(width, height, width / 6, random, octaves=6, roughness=0.5) - 0.5) * 3, 0, 1)[..., np.newaxis]
        * 0.6
    )
    picture = limited(picture * (1 - clouds) + np.array((90, 90, 110) if night else (250, 248, 245)) * clouds)
    cv2.circle(
        picture, (int(width * 0.72), int(height * 0.3)), int(height * 0.06), (235.0, 235.0, 220.0), -1, cv2.LINE_AA
    )
    ridges = ((0.5, 0.25, (110, 120, 140)), (0.6, 0.18, (80, 95, 90)), (0.72, 0.1, (55, 80, 50)))
    for number, (base, relief, colour) in enumerate(ridges):
        _paint_ridge(picture, base, relief, colour, np.random.default_rng(10 * seed + number), night=night)
    _plant_trees(picture, np.random.default_rng(seed + 77), night=night)
    return limited(picture)


def town(width: int, height: int, seed: int) -> Floats:
    random = np.random.default_rng(seed)
    picture = _gradient(width, height, (60, 50, 110), (250, 180, 120))
    for row in range(3):
        left = -20
        while left < width:
            wide = int(random.integers(width // 22, width // 9))
            high = int(height * (0.25 + 0.55 * random.random()) * (1 - 0.22 * row))
            colour = np.array((70, 65, 90)) * (1 - 0.28 * row) + random.integers(-12, 12)
            _build_house(picture, (left, height - high, wide), tuple(map(float, colour)), random)
            left += wide + int(random.integers(0, width // 40))
    return limited(picture + random.normal(0, 3, picture.shape))


def skyline(width: int, height: int) -> Floats:
    roofs = np.repeat(np.random.default_rng(3).random(40), width // 40 + 1)[:width] * 0.25 + 0.55
    return (np.arange(height)[:, np.newaxis] > roofs * height).astype(np.float32)


def trunks(width: int, height: int) -> tuple[Floats, Floats]:
    colours, cover = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    thick, crown = int(width * 0.015), int(width * 0.036)
    for number in range(6):
        left = int(width * (0.1 + 0.16 * number))
        for canvas, wood, leaves in (
            (colours, (40.0, 30.0, 25.0), (30.0, 80.0 + 10 * number, 40.0)),
            (cover, 1.0, 1.0),
        ):
            cv2.rectangle(canvas, (left, 0), (left + thick, height), wood, -1)
            cv2.circle(canvas, (left + thick // 2, int(height * 0.45)), crown, leaves, -1)
    bark = _noise(width, height, width / 120, np.random.default_rng(3), octaves=3, roughness=0.8)[..., np.newaxis] * 60
    return limited(colours + bark), cover


def speckled(width: int, height: int, colour: tuple[int, ...], seed: int) -> Floats:
    grain = (
        _noise(width, height, width / 70, np.random.default_rng(seed), octaves=4, roughness=0.8)[..., np.newaxis] - 0.5
    )
    return limited(np.array(colour, np.float32) + grain * 200)


def portrait(width: int, height: int, *, smile: float, aside: float, look: float) -> Floats:
    random = np.random.default_rng(3)
    wall = _noise(width, height, width / 4, random, octaves=3, roughness=0.5)[..., np.newaxis]
    picture = np.array((60, 90, 110), np.float32) * wall + np.array((150, 120, 100), np.float32) * (1 - wall)
    centre, unit = np.array([width / 2 + aside, height * 0.47]), height * 0.3

    def oval(x: float, y: float, half_width: float, half_height: float, colour: tuple[int, int, int]) -> None:
        middle = np.round((centre + np.array([x, y]) * unit) * 16).astype(int)
        axes = int(half_width * unit * 16), int(half_height * unit * 16)
        cv2.ellipse(picture, (int(middle[0]), int(middle[1])), axes, 0, 0, 360, colour, -1, cv2.LINE_AA, 4)

    oval(0, 1.75, 1.35, 0.85, (50, 60, 120))
    oval(0, 0.9, 0.33, 0.45, (205, 160, 130))
    oval(0, -0.12, 0.86, 1.05, (45, 30, 25))
    oval(0, 0, 0.7, 0.92, (225, 180, 150))
    for side in (-1, 1):
        oval(side * 0.27, -0.12, 0.13, 0.075, (245, 245, 245))
        oval(side * 0.27 + look * 0.06, -0.12, 0.065, 0.07, (60, 90, 60))
        oval(side * 0.27 + look * 0.06, -0.12, 0.03, 0.035, (10, 10, 10))
        oval(side * 0.27, -0.28 - 0.05 * smile, 0.17, 0.03, (50, 35, 30))
    oval(0, 0.12, 0.07, 0.17, (205, 155, 128))
    across = np.linspace(-0.28, 0.28, 25)
    bend = 0.42 + smile * 0.16 * (0.5 - 0.9 * (across / 0.28) ** 2)
    mouth = np.round((centre + np.stack([across, bend], axis=1) * unit) * 16).astype(np.int32)
    cv2.polylines(
        picture,
        [mouth],
        isClosed=False,
        color=(165, 60, 65),
        thickness=int(unit * 0.075),
        lineType=cv2.LINE_AA,
        shift=4,
    )
    skin = (_noise(width, height, 6, random, octaves=3, roughness=0.8)[..., np.newaxis] - 0.5) * 26
    return limited(picture + skin)


def limited(picture: npt.ArrayLike) -> Floats:
    return np.asarray(np.clip(picture, 0, 255), np.float32)


def _noise(
    width: int, height: int, cell: float, random: np.random.Generator, *, octaves: int, roughness: float
) -> Floats:
    """Clouds between 0 and 1: random grids of ever finer cells, added up."""
    clouds, strength, total = np.zeros((height, width), np.float32), 1.0, 0.0
    for _ in range(octaves):
        points = random.random((max(2, int(height / cell) + 3), max(2, int(width / cell) + 3)), dtype=np.float32)
        clouds += strength * np.asarray(cv2.resize(points, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
        total += strength
        strength, cell = strength * roughness, max(2.0, cell / 2)
    return np.divide(clouds, total, dtype=np.float32)


def _gradient(width: int, height: int, top: tuple[int, ...], bottom: tuple[int, ...]) -> Floats:
    down = np.linspace(0, 1, height, dtype=np.float32)[:, np.newaxis, np.newaxis]
    column = np.array(top, np.float32) * (1 - down) + np.array(bottom, np.float32) * down
    return limited(np.repeat(column, width, axis=1))


def _paint_ridge(
    picture: Floats, base: float, relief: float, colour: tuple[int, ...], random: np.random.Generator, *, night: bool
) -> None:
    height, width = picture.shape[:2]
    outline, step, places = np.full(width, base), width / 3, np.arange(width)
    for _ in range(7):
        points = random.random(int(width / step) + 4)
        outline += relief * (np.interp(places / step, np.arange(len(points)), points) - 0.5)
        relief, step = relief / 2, step / 2
    texture = (_noise(width, height, 40, random, octaves=5, roughness=0.7)[..., np.newaxis] - 0.5) * (
        44 if night else 110
    )
    ground = np.clip(np.array(colour, np.float32) * (0.45 if night else 1) + texture, 0, 255)
    below = np.arange(height)[:, np.newaxis] > outline * height
    picture[below] = ground[below]


def _plant_trees(picture: Floats, random: np.random.Generator, *, night: bool) -> None:
    height, width = picture.shape[:2]
    for _ in range(40):
        foot = np.array([random.random() * width, height * (0.7 + 0.28 * random.random())])
        size = height * (0.03 + 0.06 * random.random())
        shade = float(random.random() * 40)
        trunk = foot + np.array([[-0.06, -0.4], [0.06, -0.4], [0.06, 0], [-0.06, 0]]) * size
        crown = foot + np.array([[-0.4, -0.3], [0.4, -0.3], [0, -1.5]]) * size
        dim = 0.5 if night else 1.0
        cv2.fillPoly(picture, [trunk.astype(np.int32)], (50 * dim, 35 * dim, 25 * dim), cv2.LINE_AA)
        cv2.fillPoly(picture, [crown.astype(np.int32)], (20 + shade / 2, (60 + shade) * dim, 30 * dim), cv2.LINE_AA)


def _build_house(
    picture: Floats, place: tuple[int, int, int], colour: tuple[float, ...], random: np.random.Generator
) -> None:
    height, width = picture.shape[:2]
    left, top, wide = place
    cv2.rectangle(picture, (left, top), (left + wide, height), colour, -1)
    pane = max(5, width // 130)
    for row in range(top + pane, height - pane, 2 * pane):
        for column in range(left + pane, left + wide - pane, 2 * pane):
            if random.random() < 0.45:
                light = (250.0, 220.0, float(random.integers(90, 170)))
                cv2.rectangle(picture, (column, row), (column + pane - 1, row + pane), light, -1)

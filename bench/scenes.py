"""Procedural scenes whose every instant is known, to measure in-between pictures against the truth.

`SCENES[name](width, height)` gives a function from a time, 0 to 1, to RGB pixels (height x width x 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Scene = Callable[[float], Pixels]
Floats = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

_REFERENCE_WIDTH = 832  # distances below are pixels at this width
_WORLD = 2  # worlds are painted larger than the frame that looks at them


def pan(width: int, height: int) -> Scene:
    """The camera slides by a twelfth of the frame."""
    return _filmed(
        _landscape(width * _WORLD, height * _WORLD, seed=1),
        width,
        height,
        lambda time, unit: _view(width, height, right=70 * unit * (time - 0.5), down=20 * unit * (time - 0.5)),
    )


def big_pan(width: int, height: int) -> Scene:
    """The camera slides by two fifths of the frame."""
    return _filmed(
        _landscape(width * _WORLD, height * _WORLD, seed=1),
        width,
        height,
        lambda time, unit: _view(width, height, right=330 * unit * (time - 0.5)),
    )


def zoom_and_turn(width: int, height: int) -> Scene:
    """1.3 times closer and 12 degrees round."""
    return _filmed(
        _landscape(width * _WORLD, height * _WORLD, seed=1),
        width,
        height,
        lambda time, unit: _view(width, height, zoom=1.3**time, turn=math.radians(12) * time, right=40 * unit * time),
    )


def zoom_twofold(width: int, height: int) -> Scene:
    """Twice as close, over a town."""
    return _filmed(
        _town(width * _WORLD, height * _WORLD, seed=2),
        width,
        height,
        lambda time, unit: _view(width, height, zoom=0.9 * 2**time, right=30 * unit * time),
    )


def turn_35(width: int, height: int) -> Scene:
    """35 degrees round."""
    return _filmed(
        _town(width * _WORLD, height * _WORLD, seed=2),
        width,
        height,
        lambda time, _unit: _view(width, height, turn=math.radians(35) * (time - 0.5)),
    )


def yaw(width: int, height: int) -> Scene:
    """The camera looks 22 degrees aside: true perspective."""
    focal = 1.2 * width
    lens = np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])

    def view(time: float, _unit: float) -> Matrix:
        angle = math.radians(22) * (time - 0.5)
        cosine, sine = math.cos(angle), math.sin(angle)
        aside = np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])
        return _view(width, height) @ lens @ aside @ np.linalg.inv(lens)

    return _filmed(_landscape(width * _WORLD, height * _WORLD, seed=1), width, height, view)


def nightfall(width: int, height: int) -> Scene:
    """Day becomes night while the camera comes closer."""

    def view(time: float, unit: float) -> Matrix:
        return _view(width, height, zoom=1.15**time, right=30 * unit * time)

    day = _filmed(_landscape(width * _WORLD, height * _WORLD, seed=1), width, height, view)
    night = _filmed(_landscape(width * _WORLD, height * _WORLD, seed=1, night=True), width, height, view)
    return lambda time: _mixed(day(time), night(time), time)


def shapes(width: int, height: int) -> Scene:
    """Three textured objects move and turn before a landscape that rests."""
    return _moving_shapes(width, height, (60, 20), (-55, 25), (10, 60))


def big_moves(width: int, height: int) -> Scene:
    """The same objects, moved by more than their own size."""
    return _moving_shapes(width, height, (240, 40), (-220, 50), (40, 120))


def parallax(width: int, height: int) -> Scene:
    """Three depths pass each other: hills, houses, tree trunks."""
    wide, high = width * _WORLD, height * _WORLD
    unit = width / _REFERENCE_WIDTH
    layers = (
        (_landscape(wide, high, seed=6), np.ones((high, wide), np.float32), 12.0),
        (_town(wide, high, seed=4), _skyline(wide, high), 45.0),
        (*_trunks(wide, high), 120.0),
    )

    def at(time: float) -> Pixels:
        picture = np.zeros((height, width, 3), np.float32)
        for colours, cover, speed in layers:
            view = _view(width, height, right=speed * unit * (time - 0.5))
            share = _look(cover, width, height, view)[..., np.newaxis]
            picture = picture * (1 - share) + _look(colours, width, height, view) * share
        return _rounded(picture)

    return at


def face(width: int, height: int) -> Scene:
    """A drawn face moves aside, looks round and begins to smile."""
    unit = width / _REFERENCE_WIDTH

    def at(time: float) -> Pixels:
        portrait = _portrait(2 * width, 2 * height, smile=1.9 * time - 0.8, aside=140 * unit * time, look=2 * time - 1)
        return np.asarray(cv2.resize(portrait, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    return at


def unrelated(width: int, height: int) -> Scene:
    """A landscape and then a face: there is no truth between them."""
    first = _filmed(
        _landscape(width * _WORLD, height * _WORLD, seed=1), width, height, lambda _t, _u: _view(width, height)
    )
    last = face(width, height)
    return lambda time: first(0) if time < 0.5 else last(1)


SCENES: Mapping[str, Callable[[int, int], Scene]] = {
    "pan": pan,
    "big pan": big_pan,
    "zoom and turn": zoom_and_turn,
    "zoom 2x": zoom_twofold,
    "turn 35°": turn_35,
    "yaw": yaw,
    "nightfall": nightfall,
    "shapes": shapes,
    "big moves": big_moves,
    "parallax": parallax,
    "face": face,
}


def _view(
    width: int, height: int, *, zoom: float = 1.0, turn: float = 0.0, right: float = 0.0, down: float = 0.0
) -> Matrix:
    """From pixels of the frame to pixels of a world twice its size, looking a little below its middle."""
    cosine, sine = math.cos(turn) / zoom, math.sin(turn) / zoom
    across, along = width / 2, height / 2
    middle = width * _WORLD / 2 + right, height * _WORLD * 0.55 + down
    return np.array(
        [
            [cosine, -sine, middle[0] - cosine * across + sine * along],
            [sine, cosine, middle[1] - sine * across - cosine * along],
            [0.0, 0.0, 1.0],
        ]
    )


def _filmed(world: Floats, width: int, height: int, view: Callable[[float, float], Matrix]) -> Scene:
    unit = width / _REFERENCE_WIDTH
    return lambda time: _rounded(_look(world, width, height, view(time, unit)))


def _look(world: Floats, width: int, height: int, view: Matrix) -> Floats:
    """Sampled at twice the size and averaged, as a sensor would."""
    fine = view @ np.array([[0.5, 0.0, -0.25], [0.0, 0.5, -0.25], [0.0, 0.0, 1.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpPerspective(world, fine, (2 * width, 2 * height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(cv2.resize(seen, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _rounded(picture: Floats) -> Pixels:
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _mixed(start: Pixels, end: Pixels, time: float) -> Pixels:
    return np.asarray(cv2.addWeighted(start, 1 - time, end, time, 0), np.uint8)


def _noise(width: int, height: int, cell: float, random: np.random.Generator, octaves: int, roughness: float) -> Floats:
    """Clouds between 0 and 1: random grids of ever finer cells, added up."""
    clouds, strength, total = np.zeros((height, width), np.float32), 1.0, 0.0
    for _ in range(octaves):
        points = random.random((max(2, int(height / cell) + 3), max(2, int(width / cell) + 3)), dtype=np.float32)
        clouds += strength * np.asarray(cv2.resize(points, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
        total += strength
        strength, cell = strength * roughness, max(2.0, cell / 2)
    return clouds / np.float32(total)


def _gradient(width: int, height: int, top: tuple[int, ...], bottom: tuple[int, ...]) -> Floats:
    down = np.linspace(0, 1, height, dtype=np.float32)[:, np.newaxis, np.newaxis]
    column = np.array(top, np.float32) * (1 - down) + np.array(bottom, np.float32) * down
    return np.repeat(column, width, axis=1)


def _landscape(width: int, height: int, seed: int, *, night: bool = False) -> Floats:
    random = np.random.default_rng(seed)
    picture = (
        _gradient(width, height, (12, 16, 48), (60, 50, 90))
        if night
        else _gradient(width, height, (70, 130, 210), (225, 215, 190))
    )
    clouds = np.clip((_noise(width, height, width / 6, random, 6, 0.5) - 0.5) * 3, 0, 1)[..., np.newaxis] * 0.6
    picture = picture * (1 - clouds) + np.array((90, 90, 110) if night else (250, 248, 245), np.float32) * clouds
    cv2.circle(
        picture, (int(width * 0.72), int(height * 0.3)), int(height * 0.06), (235.0, 235.0, 220.0), -1, cv2.LINE_AA
    )
    ridges = ((0.5, 0.25, (110, 120, 140)), (0.6, 0.18, (80, 95, 90)), (0.72, 0.1, (55, 80, 50)))
    for number, (base, relief, colour) in enumerate(ridges):
        _paint_ridge(picture, base, relief, colour, np.random.default_rng(10 * seed + number), night=night)
    _plant_trees(picture, np.random.default_rng(seed + 77), night=night)
    return np.clip(picture, 0, 255)


def _paint_ridge(
    picture: Floats, base: float, relief: float, colour: tuple[int, ...], random: np.random.Generator, *, night: bool
) -> None:
    height, width = picture.shape[:2]
    outline, step, places = np.full(width, base), width / 3, np.arange(width)
    for _ in range(7):
        points = random.random(int(width / step) + 4)
        outline += relief * (np.interp(places / step, np.arange(len(points)), points) - 0.5)
        relief, step = relief / 2, step / 2
    texture = (_noise(width, height, 40, random, 5, 0.7)[..., np.newaxis] - 0.5) * (44 if night else 110)
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


def _town(width: int, height: int, seed: int) -> Floats:
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
    return np.clip(picture + random.normal(0, 3, picture.shape), 0, 255).astype(np.float32)


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


def _skyline(width: int, height: int) -> Floats:
    roofs = np.repeat(np.random.default_rng(3).random(40), width // 40 + 1)[:width] * 0.25 + 0.55
    return (np.arange(height)[:, np.newaxis] > roofs * height).astype(np.float32)


def _trunks(width: int, height: int) -> tuple[Floats, Floats]:
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
    bark = _noise(width, height, width / 120, np.random.default_rng(3), 3, 0.8)[..., np.newaxis] * 60
    return np.clip(colours + bark, 0, 255), cover


def _moving_shapes(width: int, height: int, *moves: tuple[int, int]) -> Scene:
    unit = width / _REFERENCE_WIDTH
    ground = _look(_landscape(width * _WORLD, height * _WORLD, seed=5), width, height, _view(width, height))
    ground = np.asarray(cv2.resize(ground, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC), np.float32)
    circle = np.array([[math.cos(step * math.tau / 90), math.sin(step * math.tau / 90)] for step in range(90)])
    plans = (
        (circle * 70, (0.25, 0.35), 0, (210, 70, 60)),
        (np.array([[-62.0, -50.0], [62.0, -50.0], [62.0, 50.0], [-62.0, 50.0]]), (0.55, 0.6), 20, (70, 190, 90)),
        (np.array([[0.0, -75.0], [68.0, 52.0], [-68.0, 52.0]]), (0.75, 0.3), -25, (80, 100, 220)),
    )
    textures = [_speckled(2 * width, 2 * height, plan[3], number) for number, plan in enumerate(plans)]

    def at(time: float) -> Pixels:
        picture = ground.copy()
        for (outline, start, degrees, _), move, texture in zip(plans, moves, textures, strict=True):
            centre = np.array(start) * (width, height) + np.array(move) * unit * time
            _stamp(picture, texture, outline * unit, centre, math.radians(degrees * time))
        return _rounded(np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.float32))

    return at


def _speckled(width: int, height: int, colour: tuple[int, ...], seed: int) -> Floats:
    grain = _noise(width, height, width / 70, np.random.default_rng(seed), 4, 0.8)[..., np.newaxis] - 0.5
    return np.clip(np.array(colour, np.float32) + grain * 200, 0, 255)


def _stamp(picture: Floats, texture: Floats, outline: Matrix, centre: Matrix, angle: float) -> None:
    """Paint an outline filled with a texture that turns with it, on a picture of twice the frame's size."""
    height, width = picture.shape[:2]
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    points = (outline @ turn.T + centre) * 2
    cover = np.zeros((height, width), np.float32)
    cv2.fillPoly(cover, [np.round(points * 16).astype(np.int32)], (1.0,), cv2.LINE_AA, 4)
    carried = np.hstack([turn, (2 * centre - turn @ (width / 2, height / 2))[:, np.newaxis]])
    paint = np.asarray(cv2.warpAffine(texture, carried, (width, height), borderMode=cv2.BORDER_REFLECT), np.float32)
    picture += (paint - picture) * cover[..., np.newaxis]


def _portrait(width: int, height: int, *, smile: float, aside: float, look: float) -> Floats:
    random = np.random.default_rng(3)
    wall = _noise(width, height, width / 4, random, 3, 0.5)[..., np.newaxis]
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
    skin = (_noise(width, height, 6, random, 3, 0.8)[..., np.newaxis] - 0.5) * 26
    return np.clip(picture + skin, 0, 255)

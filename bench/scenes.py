"""Procedural scenes whose every instant is known, to measure in-between pictures against the truth.

`SCENES[name](width, height)` gives a function from a time, 0 to 1, to RGB pixels (height x width x 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import cv2
import numpy as np
import numpy.typing as npt

from worlds import Floats, landscape, portrait, skyline, speckled, town, trunks

Pixels = npt.NDArray[np.uint8]
Scene = Callable[[float], Pixels]
Matrix = npt.NDArray[np.float64]

_REFERENCE_WIDTH = 832  # distances below are pixels at this width
_WORLD = 2  # worlds are painted larger than the frame that looks at them


def pan(width: int, height: int) -> Scene:
    """The camera slides by a twelfth of the frame."""
    return _filmed(
        landscape(width * _WORLD, height * _WORLD, seed=1),
        width,
        height,
        lambda time, unit: _view(width, height, right=70 * unit * (time - 0.5), down=20 * unit * (time - 0.5)),
    )


def big_pan(width: int, height: int) -> Scene:
    """The camera slides by two fifths of the frame."""
    return _filmed(
        landscape(width * _WORLD, height * _WORLD, seed=1),
        width,
        height,
        lambda time, unit: _view(width, height, right=330 * unit * (time - 0.5)),
    )


def zoom_and_turn(width: int, height: int) -> Scene:
    """1.3 times closer and 12 degrees round."""
    return _filmed(
        landscape(width * _WORLD, height * _WORLD, seed=1),
        width,
        height,
        lambda time, unit: _view(width, height, zoom=1.3**time, turn=math.radians(12) * time, right=40 * unit * time),
    )


def zoom_twofold(width: int, height: int) -> Scene:
    """Twice as close, over a town."""
    return _filmed(
        town(width * _WORLD, height * _WORLD, seed=2),
        width,
        height,
        lambda time, unit: _view(width, height, zoom=0.9 * 2**time, right=30 * unit * time),
    )


def turn_35(width: int, height: int) -> Scene:
    """35 degrees round."""
    return _filmed(
        town(width * _WORLD, height * _WORLD, seed=2),
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

    return _filmed(landscape(width * _WORLD, height * _WORLD, seed=1), width, height, view)


def nightfall(width: int, height: int) -> Scene:
    """Day becomes night while the camera comes closer."""

    def view(time: float, unit: float) -> Matrix:
        return _view(width, height, zoom=1.15**time, right=30 * unit * time)

    day = _filmed(landscape(width * _WORLD, height * _WORLD, seed=1), width, height, view)
    night = _filmed(landscape(width * _WORLD, height * _WORLD, seed=1, night=True), width, height, view)
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
        (landscape(wide, high, seed=6), np.ones((high, wide), np.float32), 12.0),
        (town(wide, high, seed=4), skyline(wide, high), 45.0),
        (*trunks(wide, high), 120.0),
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
        drawn = portrait(2 * width, 2 * height, smile=1.9 * time - 0.8, aside=140 * unit * time, look=2 * time - 1)
        return np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    return at


def unrelated(width: int, height: int) -> Scene:
    """A landscape and then a face: there is no truth between them."""
    first = _filmed(
        landscape(width * _WORLD, height * _WORLD, seed=1), width, height, lambda _t, _u: _view(width, height)
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


def _rounded(picture: npt.ArrayLike) -> Pixels:
    return np.clip(np.asarray(picture) + 0.5, 0, 255).astype(np.uint8)


def _mixed(start: Pixels, end: Pixels, time: float) -> Pixels:
    return np.asarray(cv2.addWeighted(start, 1 - time, end, time, 0), np.uint8)


def _moving_shapes(width: int, height: int, *moves: tuple[int, int]) -> Scene:
    unit = width / _REFERENCE_WIDTH
    ground = _look(landscape(width * _WORLD, height * _WORLD, seed=5), width, height, _view(width, height))
    ground = np.asarray(cv2.resize(ground, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC), np.float32)
    circle = np.array([[math.cos(step * math.tau / 90), math.sin(step * math.tau / 90)] for step in range(90)])
    plans = (
        (circle * 70, (0.25, 0.35), 0, (210, 70, 60)),
        (np.array([[-62.0, -50.0], [62.0, -50.0], [62.0, 50.0], [-62.0, 50.0]]), (0.55, 0.6), 20, (70, 190, 90)),
        (np.array([[0.0, -75.0], [68.0, 52.0], [-68.0, 52.0]]), (0.75, 0.3), -25, (80, 100, 220)),
    )
    textures = [speckled(2 * width, 2 * height, plan[3], number) for number, plan in enumerate(plans)]

    def at(time: float) -> Pixels:
        picture = ground.copy()
        for (outline, start, degrees, _), move, texture in zip(plans, moves, textures, strict=True):
            centre = np.array(start) * (width, height) + np.array(move) * unit * time
            _stamp(picture, texture, outline * unit, centre, math.radians(degrees * time))
        return _rounded(np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.float32))

    return at


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

"""In-between pictures against the truth, on small scenes the test draws itself."""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest

from keyframe_mcp.media.encode import planes_of
from keyframe_mcp.media.render import geometry
from keyframe_mcp.media.render.dissolve import Dissolve
from keyframe_mcp.media.render.features import is_plausible
from keyframe_mcp.media.render.morph import Morph
from keyframe_mcp.media.render.spectrum import find_view
from keyframe_mcp.media.render.timing import smooth, steady

WIDTH, HEIGHT = 320, 192


def texture(seed: int, smoothness: float = 0.6) -> np.ndarray:
    """Coloured clouds with detail at every scale, twice the frame's size."""
    random = np.random.default_rng(seed)
    picture = np.zeros((2 * HEIGHT, 2 * WIDTH, 3), np.float32)
    for cell in (96, 48, 24, 12, 6):
        points = random.random((2 * HEIGHT // cell + 3, 2 * WIDTH // cell + 3, 3), dtype=np.float32) - 0.5
        picture += cv2.resize(points, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_CUBIC) * cell**smoothness
    picture -= picture.min()
    return (picture * (255 / picture.max())).astype(np.float32)


def look(world: np.ndarray, *, zoom: float = 1, degrees: float = 0, right: float = 0, down: float = 0) -> np.ndarray:
    """The middle of a world twice the frame's size, through a camera."""
    cosine, sine = math.cos(math.radians(degrees)) / zoom, math.sin(math.radians(degrees)) / zoom
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    view = geometry.translation(WIDTH + right, HEIGHT + down) @ turn @ geometry.translation(-WIDTH / 2, -HEIGHT / 2)
    seen = cv2.warpPerspective(world, view, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    return np.clip(seen + 0.5, 0, 255).astype(np.uint8)


def psnr(shown: np.ndarray, expected: np.ndarray) -> float:
    error = ((shown.astype(float) - expected.astype(float)) ** 2).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def gain(scene) -> float:
    """By how many decibels the morph is nearer to the truth than a plain blend."""
    first, last = scene(0.0), scene(1.0)
    morph = Morph(first, last)
    start, end = planes_of(first).astype(float), planes_of(last).astype(float)
    gains = []
    for time in (0.25, 0.5, 0.75):
        truth = planes_of(scene(time))
        gains.append(psnr(morph.draw(time), truth) - psnr(start * (1 - time) + end * time, truth))
    return float(np.mean(gains))


def test_a_morph_follows_a_camera_that_pans():
    world = texture(1)
    assert gain(lambda time: look(world, right=60 * time, down=20 * time)) >= 6


def test_a_morph_follows_a_camera_that_zooms_and_turns():
    world = texture(2)
    assert gain(lambda time: look(world, zoom=1.3**time, degrees=12 * time)) >= 6


def test_a_morph_carries_an_object_over_a_background_that_rests():
    ground, paint = texture(3, smoothness=0.1), texture(4, smoothness=0.1)

    def scene(time: float) -> np.ndarray:
        world = ground.copy()
        left, top = int(WIDTH - 90 + 44 * time), int(HEIGHT - 40)
        world[top : top + 80, left : left + 90] = paint[:80, :90]
        return look(world)

    assert gain(scene) >= 6


def test_a_morph_follows_the_camera_while_day_turns_to_night():
    world = texture(5)

    def scene(time: float) -> np.ndarray:
        return (look(world, zoom=1.15**time) * (1 - 0.75 * time)).astype(np.uint8)

    assert gain(scene) >= 6


def test_the_ends_of_a_morph_are_the_pictures_themselves():
    world = texture(1)
    first, last = look(world), look(world, right=30)
    morph = Morph(first, last)
    assert np.array_equal(morph.draw(0.0), planes_of(first))
    assert np.array_equal(morph.draw(1.0), planes_of(last))


def test_a_morph_starts_and_stops_without_a_jump():
    world = texture(1)
    morph = Morph(look(world), look(world, zoom=1.2, right=20))
    frames = [morph.draw(smooth(number / 24)).astype(float) for number in range(25)]
    steps = [np.abs(after - before).mean() for before, after in itertools.pairwise(frames)]
    assert max(steps) <= 2 * float(np.median(steps))


def test_a_morph_between_identical_pictures_stands_still():
    picture = look(texture(6))
    morph = Morph(picture, picture)
    assert morph.confidence > 0.9
    for time in (0.0, 0.3, 0.5, 0.9, 1.0):
        assert np.array_equal(morph.draw(time), planes_of(picture))


def test_a_morph_is_the_same_every_time():
    world = texture(1)
    first, last = look(world), look(world, zoom=1.3, degrees=10)
    one, other = Morph(first, last), Morph(first, last)
    assert all(np.array_equal(one.draw(time), other.draw(time)) for time in (0.2, 0.5, 0.8))


def test_unrelated_pictures_are_given_little_confidence():
    assert Morph(look(texture(7)), look(texture(8))).confidence < 0.2


@pytest.mark.parametrize("size", [(2, 2), (16, 16), (2, 200), (200, 2), (64, 48)])
@pytest.mark.parametrize("kind", ["flat", "noise", "noise to flat", "negative", "upside down"])
def test_strange_pairs_do_not_crash(kind, size):
    width, height = size
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    flat = np.full_like(noise, 90)
    first, last = {
        "flat": (flat, flat + np.uint8(100)),
        "noise": (noise, np.random.default_rng(2).integers(0, 256, noise.shape, dtype=np.uint8)),
        "noise to flat": (noise, flat),
        "negative": (noise, 255 - noise),
        "upside down": (noise, np.ascontiguousarray(noise[::-1, ::-1])),
    }[kind]
    morph = Morph(first, last)
    assert 0 <= morph.confidence <= 1
    for time in (0.0, 0.4, 1.0):
        assert morph.draw(time).shape == (height * 3 // 2, width)


def test_a_picture_hung_upside_down_does_not_spin():
    upside_down = cv2.rotate(look(texture(9)), cv2.ROTATE_180)
    assert Morph(look(texture(9)), np.asarray(upside_down, np.uint8)).confidence < 0.2


def test_a_dissolve_keeps_both_ends_and_mixes_in_between():
    first, last = look(texture(1)), look(texture(2))
    dissolve = Dissolve(first, last)
    assert np.array_equal(dissolve.draw(0.0), planes_of(first))
    assert np.array_equal(dissolve.draw(1.0), planes_of(last))
    middle = (planes_of(first).astype(float) + planes_of(last)) / 2
    assert np.abs(dissolve.draw(0.5) - middle).max() <= 1


def test_the_camera_path_passes_through_both_views_at_an_even_pace():
    turn = geometry.translation(30, 10) @ np.array([[0.9, -0.4, 0], [0.4, 0.9, 0], [0.0003, 0, 1]])
    path = geometry.constant_velocity(turn, 200, 120)
    assert path is not None
    assert np.allclose(path(0.0), np.eye(3), atol=1e-9)
    assert np.allclose(path(1.0), turn, atol=1e-6)
    half = path(0.5) @ path(0.5)
    assert np.allclose(half / half[2, 2], turn, atol=1e-6)


@pytest.mark.parametrize("view", [np.diag([-1.0, 1.0, 1.0]), np.diag([-1.0, -1.0, 1.0]), np.zeros((3, 3))])
def test_a_view_without_a_real_path_has_none(view):
    assert geometry.constant_velocity(view, 200, 120) is None


@pytest.mark.parametrize(("degrees", "plausible"), [(0, True), (45, True), (75, False), (180, False)])
def test_only_turns_a_camera_would_make_are_believed(degrees, plausible):
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    view = geometry.translation(100, 60) @ turn @ geometry.translation(-100, -60)
    assert is_plausible(view, 200, 120) is plausible


def test_a_view_is_found_from_the_spectrum_alone():
    world = texture(10)
    first = cv2.cvtColor(look(world), cv2.COLOR_RGB2GRAY)
    last = cv2.cvtColor(look(world, zoom=1.2, degrees=8), cv2.COLOR_RGB2GRAY)
    view = find_view(np.asarray(first, np.uint8), np.asarray(last, np.uint8))
    assert view is not None
    assert math.hypot(view[0, 0], view[1, 0]) == pytest.approx(1.2, abs=0.06)
    assert math.degrees(math.atan2(view[1, 0], view[0, 0])) == pytest.approx(-8, abs=2)


def test_flat_pictures_have_no_view():
    flat = np.full((HEIGHT, WIDTH), 128, np.uint8)
    assert find_view(flat, flat) is None


@pytest.mark.parametrize("ease", [smooth, steady])
def test_time_runs_from_0_to_1_and_never_back(ease):
    times = [ease(number / 100) for number in range(101)]
    assert times[0] == 0
    assert times[-1] == pytest.approx(1)
    assert all(later >= earlier for earlier, later in itertools.pairwise(times))

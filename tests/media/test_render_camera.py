"""Camera words, and what the camera does with a picture."""

from __future__ import annotations

import numpy as np
import pytest

from keyframe_mcp.media.encode import planes_of
from keyframe_mcp.media.render.camera import CameraClip
from keyframe_mcp.media.render.camera_words import read_camera

WIDTH, HEIGHT = 192, 128


def picture() -> np.ndarray:
    """Smooth, and different everywhere: brightness grows to the right, red grows downwards."""
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH]
    grain = np.random.default_rng(0).integers(0, 24, (HEIGHT, WIDTH))
    return np.dstack([60 + down, 40 + across * 3 // 4 + grain, 120 + grain]).astype(np.uint8)


def clip(prompt: str, *, opencv: bool = True, seed: int = 0) -> CameraClip:
    return CameraClip(picture(), read_camera(prompt), 5.0, seed, opencv=opencv)


def seen(prompt: str, progress: float = 1.0) -> tuple[float, float, float, float]:
    """The part of the picture shown: left, top, right, bottom, in frame sizes."""
    corners = clip(prompt).view(progress) @ np.array([[0, WIDTH - 1, 0], [0, HEIGHT - 1, 0], [1, 1, 1]])
    corners = corners[:2] / corners[2]
    return (
        corners[0, 0] / (WIDTH - 1),
        corners[1, 0] / (HEIGHT - 1),
        corners[0, 1] / (WIDTH - 1),
        corners[1, 1] / (HEIGHT - 1),
    )


@pytest.mark.parametrize(
    ("prompt", "moves"),
    [
        ("zoom in on the castle", {"push in"}),
        ("The camera slowly pushes in", {"push in"}),
        ("dolly in", {"push in"}),
        ("slow zoom on her face", {"push in"}),
        ("the camera flies forward over the sea", {"push in"}),
        ("zoom out", {"zoom out"}),
        ("pull back to reveal the city", {"zoom out"}),
        ("camera zooms all the way out", {"zoom out"}),
        ("the camera pans to the left", {"pan left"}),
        ("tracking right", {"pan right"}),
        ("camera moves slowly to the right", {"pan right"}),
        ("pan across the valley", {"pan right"}),
        ("tilting up fast", {"tilt up"}),
        ("the camera rises above the trees", {"tilt up"}),
        ("crane down", {"tilt down"}),
        ("orbit around her, handheld", {"orbit", "handheld"}),
        ("dutch angle", {"roll"}),
        ("camera pushes in while panning left", {"push in", "pan left"}),
    ],
)
def test_a_camera_word_becomes_a_move(prompt, moves):
    assert read_camera(prompt).moves == moves
    assert not read_camera(prompt).by_default


@pytest.mark.parametrize(
    "prompt", ["static camera", "locked-off shot", "the camera is static", "no camera movement", "tripod shot"]
)
def test_a_static_camera_stays_where_it_is(prompt):
    assert read_camera(prompt).moves == {"static"}
    assert np.array_equal(clip(prompt).draw(1.0), planes_of(picture()))


@pytest.mark.parametrize(
    ("prompt", "absent"),
    [
        ("no zoom", "push in"),
        ("do not zoom in", "push in"),
        ("don't pan left", "pan left"),
        ("without tilting up", "tilt up"),
        ("never zooms out", "zoom out"),
        ("no zoom or pan", "pan right"),
        ("no orbit", "orbit"),
    ],
)
def test_a_refused_move_is_not_made(prompt, absent):
    assert absent not in read_camera(prompt)


@pytest.mark.parametrize(
    ("prompt", "moves"),
    [
        ("no zoom, pan right", {"pan right"}),
        ("don't pan right; zoom in", {"push in"}),
        ("There is no wind and the camera zooms in", {"push in"}),
        ("no zoom, no pan", {"static"}),
    ],
)
def test_a_refusal_reaches_no_farther_than_its_clause(prompt, moves):
    assert read_camera(prompt).moves == moves


@pytest.mark.parametrize("prompt", ["", "a cat sleeping", "the man moves to the left", "a bird flies away"])
def test_a_prompt_without_camera_words_gets_a_gentle_push_in(prompt):
    move = read_camera(prompt)
    assert move.moves == {"push in"}
    assert move.by_default
    assert "gentle" in str(move)


def test_slow_and_fast_change_the_distance():
    widths = [seen(prompt)[2] - seen(prompt)[0] for prompt in ("slowly zoom in", "zoom in", "zoom in quickly")]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > widths[1] > widths[2]


def test_a_speed_word_about_something_else_does_not_count():
    assert read_camera("a slow river, zoom in").pace == 1.0


def test_opposite_moves_cancel_each_other():
    left, top, right, bottom = seen("pan left, pan right")
    assert (left, top, right, bottom) == pytest.approx((0, 0, 1, 1))


@pytest.mark.parametrize("opencv", [True, False])
@pytest.mark.parametrize("prompt", ["zoom in", "pull back", "pan left", "orbit", "handheld", "roll, tilt up"])
def test_the_first_frame_is_the_picture(prompt, opencv):
    assert np.array_equal(clip(prompt, opencv=opencv).draw(0.0), planes_of(picture()))


def test_zooming_in_shows_less_and_zooming_out_more():
    left, top, right, bottom = seen("zoom in")
    assert left > 0.05
    assert top > 0.05
    assert right < 0.95
    assert bottom < 0.95
    left, top, right, bottom = seen("zoom out")
    assert left < -0.02
    assert bottom > 1.02


def test_a_pan_moves_to_its_side_and_stays_inside_the_picture():
    left = seen("pan left")
    right = seen("pan right")
    assert left[0] == pytest.approx(0, abs=1e-6)
    assert left[2] < 0.9
    assert right[2] == pytest.approx(1, abs=1e-6)
    assert right[0] > 0.1


def test_a_tilt_moves_up_or_down():
    assert seen("tilt up")[3] < 0.9
    assert seen("tilt down")[1] > 0.1


@pytest.mark.parametrize("prompt", ["orbit fast", "roll fast", "zoom in, pan right, tilt up", "handheld, orbit, roll"])
def test_no_move_but_zooming_out_shows_anything_beyond_the_picture(prompt):
    moving = clip(prompt)
    corners = np.array([[0, WIDTH - 1, WIDTH - 1, 0], [0, 0, HEIGHT - 1, HEIGHT - 1], [1, 1, 1, 1]])
    for progress in np.linspace(0, 1, 21):
        shown = moving.view(float(progress)) @ corners
        shown = shown[:2] / shown[2]
        assert shown.min() >= -1e-6
        assert shown[0].max() <= WIDTH - 1 + 1e-6
        assert shown[1].max() <= HEIGHT - 1 + 1e-6


def test_a_move_is_steady():
    shown = [clip("pan right").view(number / 40)[0, 2] for number in range(41)]
    steps = np.diff(shown)
    assert (steps > 0).all()
    assert steps.max() < 2 * np.median(steps)


@pytest.mark.parametrize("prompt", ["zoom in", "pull back", "orbit", "pan left, roll"])
def test_pillow_draws_the_same_as_opencv(prompt):
    one, other = clip(prompt).draw(1.0), clip(prompt, opencv=False).draw(1.0)
    assert np.abs(one.astype(int) - other).mean() < 1.5


def test_the_seed_changes_how_a_handheld_camera_shakes():
    assert not np.array_equal(clip("handheld", seed=1).draw(0.5), clip("handheld", seed=2).draw(0.5))
    assert np.array_equal(clip("handheld", seed=1).draw(0.5), clip("handheld", seed=1).draw(0.5))


@pytest.mark.parametrize("opencv", [True, False])
@pytest.mark.parametrize("size", [(2, 2), (2, 64), (64, 2)])
def test_tiny_pictures_do_not_crash(size, opencv):
    tiny = np.full((size[1], size[0], 3), 90, np.uint8)
    for prompt in ("zoom in", "pull back", "orbit, pan left"):
        drawn = CameraClip(tiny, read_camera(prompt), 1.0, opencv=opencv).draw(1.0)
        assert drawn.shape == (size[1] * 3 // 2, size[0])

"""Whole videos, asked for as the media worker asks and opened again as a player would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from keyframe_mcp.errors import InvalidInput, UnreadableImage
from keyframe_mcp.media.encode import planes_of
from keyframe_mcp.media.orders import RenderFacts, RenderVideo
from keyframe_mcp.media.render import render
from keyframe_mcp.media.render.cards import NOTICE, draw_card
from keyframe_mcp.media.render.shots import Shot, shots_between, shots_of
from keyframe_mcp.media.render.sizes import video_size
from keyframe_mcp.task import Mode


def clouds(seed: int, width: int = 832, height: int = 480, *, shift: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    picture = np.zeros((height, width + 200, 3), np.float32)
    for cell in (100, 40, 16, 7):
        points = random.random((height // cell + 3, (width + 200) // cell + 3, 3), dtype=np.float32)
        picture += cv2.resize(points, (width + 200, height), interpolation=cv2.INTER_CUBIC) * cell**0.5
    picture = (picture - picture.min()) * (255 / (picture.max() - picture.min()))
    return picture[:, shift : shift + width].astype(np.uint8)


def saved(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def first(tmp_path) -> Path:
    return saved(tmp_path / "first.png", clouds(1))


@pytest.fixture
def last(tmp_path) -> Path:
    return saved(tmp_path / "last.png", clouds(1, shift=80))


def rendered(folder: Path, mode: Mode, *, opencv: bool | None = None, **order) -> RenderFacts:
    asked = {"mode": mode, "to": folder / "out.mp4", "duration": 1.0, "fps": 8, **order}
    return render(RenderVideo.model_validate(asked), lambda _fraction: None, opencv=opencv)


def planes(facts: RenderFacts) -> list[np.ndarray]:
    with av.open(str(facts.path)) as container:
        return [np.asarray(frame.to_ndarray()) for frame in container.decode(video=0)]


def luma_psnr(shown: np.ndarray, pixels: np.ndarray) -> float:
    height = pixels.shape[0]
    error = (shown[:height].astype(float) - planes_of(pixels)[:height].astype(float)) ** 2
    return float(10 * np.log10(255**2 / max(error.mean(), 1e-9)))


def test_the_first_frame_of_a_morph_is_the_first_image(tmp_path, first, last):
    frames = planes(rendered(tmp_path, Mode.FLF2V, first_image=first, last_image=last))
    assert luma_psnr(frames[0], clouds(1)) >= 45


def test_the_last_frame_of_a_morph_is_the_last_image(tmp_path, first, last):
    frames = planes(rendered(tmp_path, Mode.FLF2V, first_image=first, last_image=last))
    assert luma_psnr(frames[-1], clouds(1, shift=80)) >= 45


def test_a_morph_moves_instead_of_fading(tmp_path, first, last):
    facts = rendered(tmp_path, Mode.FLF2V, first_image=first, last_image=last, fps=9, duration=1)
    assert (facts.engine, facts.warnings) == ("morph", ())
    assert facts.confidence is not None
    assert facts.confidence > 0.5
    assert luma_psnr(planes(facts)[4], clouds(1, shift=40)) > 30


def test_the_facts_are_those_of_the_file(tmp_path, first, last):
    facts = rendered(tmp_path, Mode.FLF2V, first_image=first, last_image=last, fps=10, duration=1.5)
    with av.open(str(facts.path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.frames) == (832, 480, 15)
        assert stream.average_rate == 10
    video = facts.video
    assert (video.width, video.height, video.frames, video.duration, video.fps) == (832, 480, 15, 1.5, 10)
    assert (video.codec, video.mime_type, video.has_audio) == ("h264", "video/mp4", False)
    assert video.size_bytes == facts.path.stat().st_size


def test_the_file_itself_says_that_no_model_made_it(tmp_path, first):
    facts = rendered(tmp_path, Mode.I2V, first_image=first, prompt="zoom in on the лиса")
    with av.open(str(facts.path)) as container:
        assert container.metadata["title"] == "zoom in on the лиса"
        assert "not by an AI model" in container.metadata["description"]
        assert "camera: push in" in container.metadata["description"]


def test_unrelated_images_dissolve_and_the_caller_is_told(tmp_path, first):
    other = saved(tmp_path / "other.png", clouds(99))
    facts = rendered(tmp_path, Mode.FLF2V, first_image=first, last_image=other)
    assert facts.engine == "dissolve"
    assert facts.confidence is not None
    assert facts.confidence < 0.2
    assert "dissolve" in facts.warnings[0]


def test_without_opencv_two_images_dissolve_and_the_caller_is_told_how_to_get_motion(tmp_path, first, last):
    facts = rendered(tmp_path, Mode.FLF2V, opencv=False, first_image=first, last_image=last)
    assert (facts.engine, facts.confidence) == ("dissolve", None)
    assert "OpenCV is not installed" in facts.warnings[0]
    assert "pip install 'keyframe-mcp[local]'" in facts.warnings[0]
    frames = planes(facts)
    assert luma_psnr(frames[0], clouds(1)) >= 45
    assert luma_psnr(frames[-1], clouds(1, shift=80)) >= 45


def test_without_opencv_a_camera_still_moves(tmp_path, first):
    facts = rendered(tmp_path, Mode.I2V, opencv=False, first_image=first, prompt="zoom in")
    assert (facts.engine, facts.camera) == ("camera", "push in")
    assert "pip install 'keyframe-mcp[local]'" in facts.warnings[0]
    assert luma_psnr(planes(facts)[-1], clouds(1)) < 30


def test_a_machine_without_opencv_renders_every_mode(tmp_path, first, last):
    script = """
import sys
sys.modules["cv2"] = None
from pathlib import Path
from keyframe_mcp.media.orders import RenderVideo
from keyframe_mcp.media.render import render
first, last, to = map(Path, sys.argv[1:])
for mode in ("flf2v", "i2v", "t2v", "animation"):
    order = RenderVideo(mode=mode, to=to, first_image=first, last_image=last, prompt="pan left", duration=1, fps=8)
    print(render(order, lambda fraction: None).engine)
"""
    command = [sys.executable, "-c", script, str(first), str(last), str(tmp_path / "out.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["dissolve", "camera", "storyboard", "storyboard"]
    assert done.stderr == ""


def test_a_camera_move_starts_with_the_image(tmp_path, first):
    facts = rendered(tmp_path, Mode.I2V, first_image=first, prompt="pan left slowly")
    frames = planes(facts)
    assert (facts.engine, facts.camera, facts.warnings) == ("camera", "pan left (slow)", ())
    assert luma_psnr(frames[0], clouds(1)) >= 45
    assert luma_psnr(frames[-1], clouds(1)) < 30


@pytest.mark.parametrize(("prompt", "word"), [("orbit the statue", "depth"), ("zoom out", "mirrored")])
def test_what_a_camera_move_cannot_do_is_said(tmp_path, first, prompt, word):
    assert word in rendered(tmp_path, Mode.I2V, first_image=first, prompt=prompt).warnings[0]


def test_progress_runs_from_0_to_1_and_never_back(tmp_path):
    fractions: list[float] = []
    render(RenderVideo(mode=Mode.T2V, to=tmp_path / "a.mp4", prompt="A fox.", duration=1, fps=8), fractions.append)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert fractions == sorted(fractions)
    assert len(fractions) >= 8


def test_whoever_listens_to_progress_can_stop_the_work(tmp_path):
    def stop(fraction: float) -> None:
        if fraction > 0.4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        render(RenderVideo(mode=Mode.T2V, to=tmp_path / "a.mp4", prompt="A fox.", duration=1, fps=8), stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", list(Mode))
def test_the_same_order_gives_the_same_file(tmp_path, first, last, mode):
    order = {"first_image": first, "last_image": last, "prompt": "A fox. Handheld.", "prompt_end": "A bird.", "seed": 3}
    once = rendered(tmp_path, mode, opencv=True, **order).path.read_bytes()
    assert rendered(tmp_path, mode, opencv=True, **order).path.read_bytes() == once


def test_identical_images_give_a_video_that_stands_still(tmp_path, first):
    facts = rendered(tmp_path, Mode.FLF2V, first_image=first, last_image=first)
    assert facts.engine == "morph"
    assert all(luma_psnr(frame, clouds(1)) > 40 for frame in planes(facts))


def test_an_image_cropped_to_fit_is_reported(tmp_path, first):
    tall = saved(tmp_path / "tall.png", clouds(1, 300, 600))
    facts = rendered(tmp_path, Mode.FLF2V, first_image=first, last_image=tall)
    assert (facts.video.width, facts.video.height) == (832, 480)
    assert any("last image" in warning and "cropped at the top and bottom" in warning for warning in facts.warnings)


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (37, 41)])
def test_images_of_any_size_are_rendered(tmp_path, size):
    image = saved(tmp_path / "odd.png", clouds(1, *size))
    for mode in (Mode.FLF2V, Mode.I2V):
        facts = rendered(tmp_path, mode, first_image=image, last_image=image)
        assert facts.video.width % 2 == 0
        assert facts.video.height % 2 == 0


def test_a_missing_image_is_named(tmp_path, first):
    with pytest.raises(InvalidInput, match="last_image"):
        rendered(tmp_path, Mode.FLF2V, first_image=first)


def test_a_broken_image_is_refused_and_leaves_nothing(tmp_path, first):
    broken = tmp_path / "broken.png"
    broken.write_bytes(first.read_bytes()[:400])
    with pytest.raises(UnreadableImage):
        rendered(tmp_path, Mode.I2V, first_image=broken)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("resolution", "aspect_ratio", "expected"),
    [
        ("480p", "", (832, 480)),
        ("480p", "16:9", (832, 480)),
        ("480p", "9:16", (480, 832)),
        ("720p", "16:9", (1280, 720)),
        ("1080p", "16:9", (1920, 1080)),
        ("1080p", "9:16", (1080, 1920)),
        ("480p", "1:1", (632, 632)),
        ("720p", "4:3", (1112, 832)),
        ("480p", "21:9", (968, 416)),
        ("480p", "100:1", (1096, 368)),
    ],
)
def test_a_resolution_and_an_aspect_make_a_size(resolution, aspect_ratio, expected):
    assert video_size(resolution, aspect_ratio) == expected


@pytest.mark.parametrize(
    ("image", "expected"), [((1920, 1080), (832, 480)), ((500, 500), (632, 632)), ((100, 4000), (368, 1096))]
)
def test_without_an_aspect_the_image_decides(image, expected):
    assert video_size("480p", "", image) == expected


@pytest.mark.parametrize("aspect_ratio", ["wide", "16:", "0:1", "16:9:4", "-4:3"])
def test_an_aspect_that_is_none_is_refused(aspect_ratio):
    with pytest.raises(InvalidInput, match="aspect_ratio"):
        video_size("480p", aspect_ratio)


def test_an_aspect_ratio_overrides_the_image(tmp_path, first):
    video = rendered(tmp_path, Mode.I2V, first_image=first, aspect_ratio="1:1").video
    assert (video.width, video.height) == (632, 632)


@pytest.mark.parametrize(
    "text", ["Лиса бежит по снегу", "狐狸在雪地里奔跑", "ثعلب يركض في الثلج", "🦊🎬", "é ü ñ ß", "नमस्ते", "x" * 400]
)
def test_a_card_shows_any_script(text):
    middle = slice(120, 380)
    card, empty = (np.asarray(draw_card(Shot("SHOT 1", words), 832, 480), int)[middle] for words in (text, " "))
    assert (card.min(axis=2) > 180).sum() > 300
    assert (empty.min(axis=2) > 180).sum() == 0


def test_different_texts_of_one_script_look_different():
    one, other = (np.asarray(draw_card(Shot("SHOT 1", text), 832, 480), int) for text in ("狐狸", "雪地"))
    assert (np.abs(one - other).max(axis=2) > 100).sum() > 200


@pytest.mark.parametrize("size", [(832, 480), (480, 832), (368, 1096), (1096, 368), (1280, 720)])
def test_a_card_of_any_shape_keeps_its_text_inside(size):
    card = np.asarray(draw_card(Shot("SHOT 2 / 3", "A fox runs through the snow. " * 20), size[0], size[1], 3), int)
    bright = card.min(axis=2) > 120
    edge = max(2, min(size) // 30)
    assert bright.any()
    assert not bright[:edge].any()
    assert not bright[-edge:].any()
    assert not bright[:, :edge].any()
    assert not bright[:, -edge:].any()


def test_every_frame_of_a_storyboard_says_that_it_is_a_preview(tmp_path):
    assert "not AI" in NOTICE
    frames = planes(rendered(tmp_path, Mode.T2V, prompt="A fox. A bird."))
    corner = np.s_[30:75, 500:800]
    assert all((frame[corner] > 120).sum() > 200 for frame in frames)


def test_time_runs_along_the_bottom_of_a_storyboard(tmp_path):
    frames = planes(rendered(tmp_path, Mode.T2V, prompt="A fox"))
    lit = [int((frame[434, :] > 170).sum()) for frame in frames]
    assert lit == sorted(lit)
    assert lit[-1] > lit[0] + 600


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ("A fox", ["A fox"]),
        ("A fox runs. A bird sings.", ["A fox runs.", "A bird sings."]),
        ("A fox runs\nA bird sings", ["A fox runs", "A bird sings"]),
        ("Shot 1: A fox. It runs. Shot 2: A bird", ["A fox. It runs.", "A bird"]),
        ("狐狸奔跑。鸟儿歌唱。", ["狐狸奔跑。", "鸟儿歌唱。"]),
        ("A 3.5 m wall", ["A 3.5 m wall"]),
        ("", ["(no prompt)"]),
    ],
)
def test_a_prompt_is_split_into_shots(prompt, texts):
    assert [shot.text for shot in shots_of(prompt)] == texts


def test_very_many_sentences_are_kept_but_not_on_a_card_each():
    shots = shots_of(" ".join(f"Sentence {number}." for number in range(40)))
    assert len(shots) <= 12
    assert "Sentence 39." in shots[-1].text


def test_an_animation_goes_from_the_start_to_the_end():
    shots = shots_between("A seed. A sprout.", "An oak.")
    assert [(shot.label, shot.text) for shot in shots] == [
        ("START 1 / 2", "A seed."),
        ("START 2 / 2", "A sprout."),
        ("END", "An oak."),
    ]


def test_an_animation_fades_from_one_card_to_the_next(tmp_path):
    facts = rendered(tmp_path, Mode.ANIMATION, prompt="A seed", prompt_end="An oak", fps=24)
    assert facts.engine == "storyboard"
    text = np.s_[130:370, 40:790]
    frames = [frame[text].astype(float) for frame in planes(facts)]
    before, during, after = (np.abs(frames[number] - frames[0]).mean() for number in (7, 12, -1))
    assert before < 0.1 * after
    assert 0.2 * after < during < 0.8 * after

"""Videos that dissolve into each other."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from keyframe_mcp.errors import InvalidInput
from keyframe_mcp.media import crossfade, encode, join, sound, video
from keyframe_mcp.media.crossfade import Shot, Stretch, stretches
from keyframe_mcp.media.orders import JoinFacts, JoinVideos
from media import clips


def joined(*paths: Path, fade: float) -> JoinFacts:
    return join.join(JoinVideos(paths=paths, to=paths[0].parent / "joined.mp4", crossfade=fade))


def plain(path: Path, colour: tuple[int, int, int], frames: int = 24) -> Path:
    """A video of one colour, 24 frames a second."""
    pixels = np.full((96, 160, 3), colour, dtype=np.uint8)
    with encode.open_encoder(path, width=160, height=96, fps=24) as encoder:
        for _ in range(frames):
            encoder.write(encode.from_rgb(pixels))
    return path


def colour_of(frame: VideoFrame) -> np.ndarray:
    return np.asarray(video.to_rgb(frame), float).mean(axis=(0, 1))


def loudness(heard: np.ndarray, start: float, end: float) -> float:
    """Root mean square between two seconds."""
    part = heard[round(start * clips.SAMPLE_RATE) : round(end * clips.SAMPLE_RATE)]
    return float(np.sqrt((part**2).mean()))


def test_in_the_middle_of_a_fade_red_and_blue_are_purple(tmp_path: Path):
    red, blue = plain(tmp_path / "1.mp4", (220, 0, 0)), plain(tmp_path / "2.mp4", (0, 0, 220))
    facts = joined(red, blue, fade=11 / 24)
    frames = clips.decode_all(facts.path)
    assert facts.method == "crossfade"
    assert len(frames) == 24 + 24 - 11
    assert colour_of(frames[12]) == pytest.approx([220, 0, 0], abs=6)
    assert colour_of(frames[13 + 5]) == pytest.approx([110, 0, 110], abs=6)
    assert colour_of(frames[24]) == pytest.approx([0, 0, 220], abs=6)
    reds = [colour_of(frame)[0] for frame in frames[12:25]]
    assert np.diff(reds) == pytest.approx(np.full(12, -220 / 12), abs=6)


def test_a_film_is_as_long_as_its_videos_less_the_fades(tmp_path: Path):
    one = clips.make(tmp_path / "1.mp4", 48, audio=2)
    two = clips.make(tmp_path / "2.mp4", 36, audio=1.5, tone=880, numbers=range(100, 136))
    facts = joined(one, two, one, fade=0.5)
    assert (facts.video.duration, facts.video.frames) == (4.5, 108)
    assert len(clips.sound_of(facts.path)) / clips.SAMPLE_RATE == pytest.approx(4.5, abs=0.03)
    shown = [clips.number_in(video.to_rgb(frame)) for frame in clips.decode_all(facts.path)]
    assert shown[:36] == list(range(36))
    assert shown[48:60] == list(range(112, 124))
    assert shown[-36:] == list(range(12, 48))


def test_sound_cross_fades_with_the_same_power_throughout(tmp_path: Path):
    one = clips.make(tmp_path / "1.mp4", 48, audio=2, tone=440)
    two = clips.make(tmp_path / "2.mp4", 48, audio=2, tone=1000, numbers=range(100, 148))
    heard = clips.sound_of(joined(one, two, fade=0.8).path)
    before = loudness(heard, 0.2, 1)
    assert before == pytest.approx(0.4 / 2**0.5, rel=0.05)
    for second in (1.3, 1.5, 1.6, 1.7, 1.9, 2.4):
        assert loudness(heard, second - 0.05, second + 0.05) == pytest.approx(before, rel=0.06)
    middle = np.abs(np.fft.rfft(heard[round(1.5 * 48_000) : round(1.7 * 48_000)]))
    assert middle[200] == pytest.approx(middle[88], rel=0.05)


def test_a_video_without_sound_stays_silent_and_its_neighbour_fades_out(tmp_path: Path):
    one = clips.make(tmp_path / "1.mp4", 48, audio=2)
    two = clips.make(tmp_path / "2.mp4", 48, numbers=range(100, 148))
    facts = joined(one, two, fade=0.8)
    heard = clips.sound_of(facts.path)
    assert facts.notes == ("video 2 (2.mp4) has no sound and is silent",)
    assert loudness(heard, 0.2, 1) > loudness(heard, 1.55, 1.65) > loudness(heard, 1.85, 1.95) > 0.01
    assert loudness(heard, 2.1, 3.1) < 0.002


def test_videos_that_are_all_silent_have_no_track(tmp_path: Path):
    facts = joined(clips.make(tmp_path / "1.mp4", 24), clips.make(tmp_path / "2.mp4", 24), fade=0.25)
    assert not facts.video.has_audio
    assert facts.notes == ()


def test_two_loud_sounds_that_agree_stay_within_full_scale():
    loud = np.full((2, 1024), 0.9, dtype=np.float32)
    parts = [Stretch(0, 0, 0, is_fade=False), Stretch(0, 0, 1024, is_fade=True), Stretch(1, 1024, 1024, is_fade=False)]
    found = crossfade.blocks(parts, lambda *_: iter([sound.as_frame(loud, 0)]))
    mixed = np.concatenate([block.to_ndarray() for blocks in found for block in blocks], axis=1)
    assert mixed.shape == (2, 1024)
    assert float(mixed.max()) == 1


def test_another_size_and_rate_are_brought_to_the_first_ones(tmp_path: Path):
    one = clips.make(tmp_path / "1.mp4", 24)
    two = clips.make(tmp_path / "2.webm", 45, rate=30, codec="libvpx", size=(128, 128))
    facts = joined(one, two, fade=0.25)
    assert (facts.video.width, facts.video.height, facts.video.fps) == (160, 96, 24)
    assert facts.video.duration == 2.25
    assert facts.notes == (
        "video 2 (2.webm) is 128 x 128; it was fitted into 160 x 96",
        "video 2 (2.webm) has 30 frames a second; it was brought to 24",
    )


def test_a_frame_on_both_sides_of_the_joint_melts_into_itself(tmp_path: Path):
    one = clips.make(tmp_path / "1.mp4", 24)
    two = clips.make(tmp_path / "2.mp4", 24, numbers=range(23, 47))
    facts = joined(one, two, fade=0.25)
    assert facts.notes == ()
    assert facts.video.frames == 24 + 24 - 6


@pytest.mark.parametrize(
    ("fade", "words"),
    [
        (0.5, "0.5 s is too long: each fade must be shorter than half of both its videos, and video 2 (2.mp4) lasts"),
        (9, "only 1 s; use 0.084 to 0.499, or 0 for a hard cut"),
        (0.05, "0.05 s is shorter than 2 frames and would be a hard cut; use 0.084 to 0.499"),
    ],
)
def test_a_fade_that_cannot_be_is_refused_with_one_that_can(tmp_path: Path, fade: float, words: str):
    one = clips.make(tmp_path / "1.mp4", 48)
    two = clips.make(tmp_path / "2.mp4", 24)
    with pytest.raises(InvalidInput) as refusal:
        joined(one, two, one, fade=fade)
    assert words in str(refusal.value)
    assert not (tmp_path / "joined.mp4").exists()


def test_the_longest_fade_that_is_named_is_taken(tmp_path: Path):
    one = clips.make(tmp_path / "1.mp4", 24)
    assert joined(one, one, one, fade=0.499).video.duration == pytest.approx(3 - 2 * 0.499, abs=0.05)


def test_beside_a_single_frame_only_a_hard_cut_is_offered(tmp_path: Path):
    one, two = clips.make(tmp_path / "1.mp4", 24), clips.make(tmp_path / "2.mp4", 1)
    with pytest.raises(InvalidInput, match="use 0 for a hard cut, or leave that video out"):
        joined(one, two, fade=0.2)


def test_many_fades_do_not_drift():
    shots = [Shot("", Fraction(1, 3))] * 30
    found = stretches(shots, Fraction(1, 10), 25)
    assert [part.is_fade for part in found] == [False, *[True, False] * 29]
    assert all(one.end == two.start for one, two in pairwise(found))
    assert found[-1].end == round((30 * Fraction(1, 3) - 29 * Fraction(1, 10)) * 25)

"""Videos played one after another, made one."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from keyframe_mcp.errors import InvalidInput, OutputUnwritable, UnreadableVideo
from keyframe_mcp.media import join, sound, video
from keyframe_mcp.media.orders import JoinFacts, JoinVideos
from media import clips

REORDERED = {"bf": "3", "preset": "medium"}


def joined(*paths: Path) -> JoinFacts:
    return join.join(JoinVideos(paths=paths, to=paths[0].parent / "joined.mp4"))


def numbers(path: Path) -> list[int]:
    return [clips.number_in(video.to_rgb(frame)) for frame in clips.decode_all(path)]


def steps(path: Path) -> set[int]:
    """How far apart the frames are, in the file's own units."""
    return {after - before for before, after in pairwise(frame.pts or 0 for frame in clips.decode_all(path))}


def pitch(heard: np.ndarray, start: float, end: float) -> float:
    """The loudest frequency between two seconds."""
    part = heard[round(start * clips.SAMPLE_RATE) : round(end * clips.SAMPLE_RATE)]
    return float(np.argmax(np.abs(np.fft.rfft(part))) * clips.SAMPLE_RATE / len(part))


def loudness(heard: np.ndarray, start: float, end: float) -> float:
    return float(np.abs(heard[round(start * clips.SAMPLE_RATE) : round(end * clips.SAMPLE_RATE)]).max())


def test_videos_of_one_make_are_copied_to_the_last_bit(tmp_path: Path):
    one = clips.make(tmp_path / "1.mp4", 30, options=REORDERED, numbers=range(30))
    two = clips.make(tmp_path / "2.mp4", 40, options=REORDERED, numbers=range(60, 100))
    facts = joined(one, two, one)
    assert facts.method == "stream_copy"
    assert facts.notes == ()
    assert (facts.video.frames, facts.video.fps, facts.video.duration) == (100, 24, round(100 / 24, 3))
    expected = [*clips.decode_all(one), *clips.decode_all(two), *clips.decode_all(one)]
    frames = clips.decode_all(facts.path)
    assert all(
        np.array_equal(found.to_ndarray(), wanted.to_ndarray()) for found, wanted in zip(frames, expected, strict=True)
    )
    assert steps(facts.path) == {512}


def test_copied_videos_keep_their_sound_in_step(tmp_path: Path):
    one = clips.make(tmp_path / "1.mp4", 24, audio=1, tone=440)
    two = clips.make(tmp_path / "2.mp4", 24, audio=1, tone=880, numbers=range(60, 84))
    facts = joined(one, two, one, two)
    heard = clips.sound_of(facts.path)
    assert facts.method == "stream_copy"
    assert facts.video.has_audio
    assert len(heard) / clips.SAMPLE_RATE == pytest.approx(4, abs=0.03)
    for second, wanted in enumerate((440, 880, 440, 880)):
        assert pitch(heard, second + 0.1, second + 0.9) == pytest.approx(wanted, abs=3)
        # the tone changes at the joint and not some blocks later
        assert pitch(heard, second + 0.02, second + 0.12) == pytest.approx(wanted, abs=15)


def test_a_silent_video_between_others_is_silent_for_as_long_as_it_lasts(tmp_path: Path):
    one = clips.make(tmp_path / "1.mp4", 24, audio=1)
    two = clips.make(tmp_path / "2.mp4", 36, numbers=range(60, 96))
    facts = joined(one, two, one)
    heard = clips.sound_of(facts.path)
    assert facts.method == "stream_copy"
    assert facts.notes == ("video 2 (2.mp4) has no sound and is silent",)
    assert len(heard) / clips.SAMPLE_RATE == pytest.approx(3.5, abs=0.03)
    assert loudness(heard, 0.1, 0.95) > 0.3
    assert loudness(heard, 1.05, 2.45) < 0.01
    assert loudness(heard, 2.55, 3.4) > 0.3


def test_sound_that_is_longer_or_shorter_than_its_picture_is_cut_to_it(tmp_path: Path):
    longer = clips.make(tmp_path / "1.mp4", 24, audio=1.7, tone=440)
    shorter = clips.make(tmp_path / "2.mp4", 24, audio=0.5, tone=880, numbers=range(60, 84))
    facts = joined(longer, shorter, longer)
    heard = clips.sound_of(facts.path)
    assert facts.video.duration == 3
    assert len(heard) / clips.SAMPLE_RATE == pytest.approx(3, abs=0.03)
    assert pitch(heard, 0.1, 0.95) == pytest.approx(440, abs=3)
    assert pitch(heard, 1.05, 1.45) == pytest.approx(880, abs=5)
    assert loudness(heard, 1.6, 1.95) < 0.01
    assert pitch(heard, 2.1, 2.9) == pytest.approx(440, abs=3)


def test_unlike_videos_are_encoded_at_the_size_and_rate_of_the_first(tmp_path: Path):
    one = clips.make(tmp_path / "1.mp4", 24, audio=1)
    two = clips.make(tmp_path / "2.webm", 45, rate=30, codec="libvpx", size=(128, 128), audio=1.5, tone=880)
    facts = joined(one, two)
    assert facts.method == "re_encode"
    assert (facts.video.width, facts.video.height, facts.video.fps) == (160, 96, 24)
    assert (facts.video.frames, facts.video.duration) == (60, 2.5)
    assert facts.notes == (
        "video 2 (2.webm) is 128 x 128; it was fitted into 160 x 96",
        "video 2 (2.webm) has 30 frames a second; it was brought to 24",
    )
    heard = clips.sound_of(facts.path)
    assert len(heard) / clips.SAMPLE_RATE == pytest.approx(2.5, abs=0.03)
    assert pitch(heard, 0.1, 0.9) == pytest.approx(440, abs=3)
    assert pitch(heard, 1.1, 2.4) == pytest.approx(880, abs=3)


def test_another_shape_is_given_bars_and_not_stretched(tmp_path: Path):
    one = clips.make(tmp_path / "1.mp4", 6)
    two = clips.make(tmp_path / "2.mp4", 6, size=(96, 96), numbers=range(100, 106))
    facts = joined(one, two)
    last = np.asarray(video.to_rgb(clips.decode_all(facts.path)[-1]), float)
    source = np.asarray(video.to_rgb(clips.decode_all(two)[-1]), float)
    assert last[:, :28].max() < 30
    assert last[:, 132:].max() < 30
    assert np.abs(last[:, 32:128] - source).mean() < 8


def test_a_variable_rate_becomes_constant_and_keeps_its_time(tmp_path: Path):
    stamps = [place * 40 + (500 if place > 10 else 0) for place in range(20)]
    steady = clips.make(tmp_path / "1.mp4", 24, numbers=range(100, 124))
    jumping = clips.make(tmp_path / "2.mp4", 20, stamps=stamps)
    facts = joined(steady, jumping)
    found = numbers(facts.path)
    assert facts.method == "re_encode"
    assert found[:24] == list(range(100, 124))
    assert found[24] == 0
    assert found[-1] == 19
    # the frame before the pause is held for it: half a second and its own 40 ms
    assert found.count(10) == pytest.approx(0.54 * 24, abs=1)
    assert len(steps(facts.path)) == 1


def test_a_frame_shown_on_both_sides_of_the_joint_is_shown_once(tmp_path: Path):
    one = clips.make(tmp_path / "1.mp4", 24, audio=1)
    two = clips.make(tmp_path / "2.mp4", 24, numbers=range(23, 47), options=REORDERED, audio=1, tone=880)
    facts = joined(one, two)
    assert facts.method == "re_encode"
    assert numbers(facts.path) == list(range(47))
    assert facts.notes == ("video 2 (2.mp4) began with the frame before it; it is shown once",)
    assert len(clips.sound_of(facts.path)) / clips.SAMPLE_RATE == pytest.approx(47 / 24, abs=0.03)


def test_copying_keeps_a_repeated_frame_and_says_so(tmp_path: Path):
    one = clips.make(tmp_path / "1.mp4", 24)
    two = clips.make(tmp_path / "2.mp4", 24, numbers=range(23, 47))
    facts = joined(one, two)
    assert facts.method == "stream_copy"
    assert facts.notes == ("video 2 (2.mp4) begins with the frame before it; copying keeps both",)
    assert facts.video.frames == 48


def test_gif_turned_and_single_frame_videos_can_be_joined(tmp_path: Path):
    gif = clips.make_gif(tmp_path / "1.gif")
    turned = clips.make(tmp_path / "2.mp4", 12, rotation=90)
    single = clips.make(tmp_path / "3.mp4", 1, numbers=[99])
    facts = joined(gif, turned, single)
    assert (facts.video.width, facts.video.height, facts.video.fps) == (80, 60, 10)
    assert facts.video.frames == 12 + 5 + 1


def test_turned_videos_stay_turned(tmp_path: Path):
    turned = clips.make(tmp_path / "1.mp4", 12, rotation=90)
    straight = clips.make(tmp_path / "2.mp4", 12)
    upright = np.asarray(video.to_rgb(clips.decode_all(turned)[0]), float)
    for other, method in ((turned, "stream_copy"), (straight, "re_encode")):
        facts = joined(turned, other)
        assert (facts.method, facts.video.width, facts.video.height) == (method, 96, 160)
        assert np.abs(np.asarray(video.to_rgb(clips.decode_all(facts.path)[0]), float) - upright).mean() < 8


def test_videos_a_decoder_could_not_read_in_a_row_are_not_copied(tmp_path: Path):
    one = clips.make(tmp_path / "1.mp4", 24)
    two = clips.make(tmp_path / "2.mp4", 24, numbers=range(60, 84), options={"x264-params": "cabac=1"})
    facts = joined(one, two)
    assert facts.method == "re_encode"
    assert numbers(facts.path) == [*range(24), *range(60, 84)]


def test_a_video_whose_clock_does_not_begin_at_nought_follows_on_without_a_gap(tmp_path: Path):
    moments = [place * 40 for place in range(12)]
    one = clips.make(tmp_path / "1.mp4", 12, rate=25, stamps=moments)
    late = [500 + moment for moment in moments]
    two = clips.make(tmp_path / "2.mp4", 12, rate=25, stamps=late, numbers=range(60, 72))
    facts = joined(one, two)
    assert facts.method == "stream_copy"
    assert numbers(facts.path) == [*range(12), *range(60, 72)]
    assert facts.video.duration == pytest.approx(24 * 0.04, abs=0.01)
    assert len(steps(facts.path)) == 1


def test_frames_an_edit_list_hides_stay_hidden(tmp_path: Path):
    stamps = [place * 40 - 240 for place in range(24)]
    edited = clips.make(tmp_path / "1.mp4", 24, rate=25, stamps=stamps, options=REORDERED)
    facts = joined(edited, edited)
    assert facts.method == "re_encode"
    assert numbers(facts.path) == [*range(6, 24), *range(6, 24)]


def test_many_short_videos_do_not_drift(tmp_path: Path):
    first = clips.make(tmp_path / "first.mp4", 7, rate=25, audio=7 / 25)
    short = clips.make(tmp_path / "short.mp4", 4, rate=30, audio=4 / 30, numbers=range(60, 64))
    facts = joined(first, *[short] * 12)
    assert facts.method == "re_encode"
    # 0.28 s and twelve times 0.1333 s are 47 frames; rounded one by one they would be 43
    assert facts.video.frames == 47
    assert len(clips.sound_of(facts.path)) / clips.SAMPLE_RATE == pytest.approx(1.88, abs=0.03)


@pytest.mark.parametrize(("start", "samples"), [(0, 48_000), (0, 40_001), (0.25, 7), (0.5, 60_000), (-0.5, 60_000)])
def test_the_sound_of_a_clip_is_cut_to_the_very_sample(tmp_path: Path, start: float, samples: int):
    path = clips.make(tmp_path / "1.mp4", 24, audio=1)
    blocks = list(sound.blocks(path, Fraction(start), samples, 1000))
    heard = np.concatenate([block.to_ndarray()[0] for block in blocks])
    assert len(heard) == samples
    stamp = 1000
    for block in blocks:
        assert block.pts == stamp
        stamp += block.samples
    # the tone lasts from 0 to 1 by the file's clock
    middle = round((0.6 - start) * clips.SAMPLE_RATE)
    if middle + 2400 < samples:
        assert np.abs(heard[middle : middle + 2400]).max() > 0.3
    assert not heard[: max(0, round((-start - 0.03) * clips.SAMPLE_RATE))].any()
    assert np.abs(heard[round((1.03 - start) * clips.SAMPLE_RATE) :]).max(initial=0) < 0.01


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_videos_are_refused(tmp_path: Path, count: int):
    paths = tuple(clips.make(tmp_path / f"{place}.mp4", 2) for place in range(count))
    with pytest.raises(InvalidInput, match="sources: give two or more videos to join"):
        join.join(JoinVideos(paths=paths, to=tmp_path / "joined.mp4"))


def test_more_than_an_hour_is_refused(tmp_path: Path):
    long = clips.make(tmp_path / "1.mp4", 3, stamps=[0, 40, 2_000_000])
    with pytest.raises(InvalidInput, match="sources: together they last 4000 s; join at most 3600 s at a time"):
        joined(long, long)


def test_the_bad_video_is_named_by_place_and_name(tmp_path: Path):
    good = clips.make(tmp_path / "good.mp4", 4)
    (tmp_path / "bad.mp4").write_bytes(good.read_bytes()[:500])
    with pytest.raises(UnreadableVideo, match=r"^video 2 of 3, bad\.mp4: "):
        joined(good, tmp_path / "bad.mp4", good)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.mp4", "good.mp4"]


@pytest.mark.parametrize("second", [(160, 96), (96, 96)])
def test_a_result_that_cannot_be_written_says_so(tmp_path: Path, second: tuple[int, int]):
    paths = (clips.make(tmp_path / "1.mp4", 4), clips.make(tmp_path / "2.mp4", 4, size=second))
    with pytest.raises(OutputUnwritable):
        join.join(JoinVideos(paths=paths, to=tmp_path / "missing" / "joined.mp4"))


def test_a_video_can_be_replaced_by_the_result(tmp_path: Path):
    one = clips.make(tmp_path / "1.mp4", 6)
    two = clips.make(tmp_path / "2.mp4", 6, numbers=range(50, 56))
    facts = join.join(JoinVideos(paths=(one, two), to=one))
    assert facts.video.frames == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.mp4", "2.mp4"]

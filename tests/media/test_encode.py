"""Written files are opened again with PyAV: what a player sees is what counts."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from keyframe_mcp.errors import OutputUnwritable, RenderFailed
from keyframe_mcp.media.encode import from_planes, from_rgb, open_encoder, planes_of


def picture(shift: int = 0, width: int = 96, height: int = 64) -> np.ndarray:
    down, across = np.mgrid[0:height, 0:width]
    return np.dstack([(across * 2 + shift) % 256, down * 3 % 256, (across + down) % 256]).astype(np.uint8)


def write(path: Path, number_of_frames: int = 12, **options) -> Path:
    with open_encoder(path, width=96, height=64, fps=24, **options) as encoder:
        for number in range(number_of_frames):
            encoder.write(from_rgb(picture(4 * number)))
    return path


def write_one_frame_and_raise(path: Path, error: BaseException) -> None:
    with open_encoder(path, width=96, height=64, fps=24) as encoder:
        encoder.write(from_rgb(picture()))
        raise error


def decoded(path: Path) -> list[VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def luma_psnr(shown: np.ndarray, expected: np.ndarray, height: int = 64) -> float:
    error = (shown[:height].astype(float) - expected[:height].astype(float)) ** 2
    return float(10 * np.log10(255**2 / max(error.mean(), 1e-9)))


def test_a_video_is_high_profile_h264_in_yuv420p(tmp_path):
    with av.open(str(write(tmp_path / "a.mp4"))) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.profile, context.pix_fmt) == ("h264", "High", "yuv420p")


def test_a_video_says_that_its_colours_are_bt709_in_limited_range(tmp_path):
    with av.open(str(write(tmp_path / "a.mp4"))) as container:
        context = container.streams.video[0].codec_context
        tags = context.color_range, context.colorspace, context.color_primaries, context.color_trc
        assert tags == (1, 1, 1, 1)


def test_the_index_stands_before_the_frames(tmp_path):
    content = write(tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_every_frame_is_there_at_an_even_pace(tmp_path):
    frames = decoded(write(tmp_path / "a.mp4"))
    assert [round(frame.time * 24) for frame in frames] == list(range(12))


def test_colours_survive_the_trip(tmp_path):
    red = np.full((64, 96, 3), (200, 30, 40), np.uint8)
    with open_encoder(tmp_path / "red.mp4", width=96, height=64, fps=24, frames=2) as encoder:
        encoder.write(from_rgb(red))
        encoder.write(from_rgb(red))
    shown = decoded(tmp_path / "red.mp4")[0].to_ndarray(format="rgb24")
    assert np.abs(shown.astype(int) - red).max() <= 4


def test_the_first_and_last_frame_are_nearly_lossless_when_the_number_of_frames_is_known(tmp_path):
    frames = decoded(write(tmp_path / "a.mp4", frames=12))
    for frame, shift in ((frames[0], 0), (frames[-1], 44)):
        assert luma_psnr(frame.to_ndarray(), planes_of(picture(shift))) >= 45


def test_metadata_is_kept(tmp_path):
    path = write(tmp_path / "a.mp4", metadata={"title": "Лиса 🎬", "comment": "a preview"})
    with av.open(str(path)) as container:
        assert container.metadata["title"] == "Лиса 🎬"
        assert container.metadata["comment"] == "a preview"


def test_the_same_frames_give_the_same_file(tmp_path):
    assert write(tmp_path / "a.mp4").read_bytes() == write(tmp_path / "b.mp4").read_bytes()


def test_nothing_has_the_final_name_before_the_file_is_whole(tmp_path):
    path = tmp_path / "a.mp4"
    with open_encoder(path, width=96, height=64, fps=24) as encoder:
        encoder.write(from_rgb(picture()))
        assert not path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_nothing_is_left_when_drawing_fails(tmp_path):
    with pytest.raises(ZeroDivisionError):
        write_one_frame_and_raise(tmp_path / "a.mp4", ZeroDivisionError())
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_the_process_is_interrupted(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_one_frame_and_raise(tmp_path / "a.mp4", KeyboardInterrupt())
    assert list(tmp_path.iterdir()) == []


def test_a_video_that_was_there_survives_a_failed_attempt(tmp_path):
    before = write(tmp_path / "a.mp4").read_bytes()
    with pytest.raises(ZeroDivisionError), open_encoder(tmp_path / "a.mp4", width=96, height=64, fps=24):
        raise ZeroDivisionError
    assert (tmp_path / "a.mp4").read_bytes() == before


def test_a_video_without_frames_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(RenderFailed), open_encoder(tmp_path / "a.mp4", width=96, height=64, fps=24):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told_as_such(tmp_path):
    path = tmp_path / "nowhere" / "a.mp4"
    with pytest.raises(OutputUnwritable, match=r"a\.mp4"):
        write(path)


def test_a_target_that_is_a_folder_is_told_as_such(tmp_path):
    (tmp_path / "a.mp4" / "inside").mkdir(parents=True)
    with pytest.raises(OutputUnwritable):
        write(tmp_path / "a.mp4")
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(("width", "height"), [(95, 64), (96, 63), (0, 0)])
def test_odd_sizes_are_refused(tmp_path, width, height):
    with (
        pytest.raises(RenderFailed, match="even"),
        open_encoder(tmp_path / "a.mp4", width=width, height=height, fps=24),
    ):
        pass


def test_frames_of_other_sizes_and_formats_are_adapted(tmp_path):
    with open_encoder(tmp_path / "a.mp4", width=96, height=64, fps=24) as encoder:
        encoder.write(VideoFrame.from_ndarray(picture(width=50, height=34), format="rgb24"))
        encoder.write(from_planes(planes_of(picture())))
    assert [(frame.width, frame.height) for frame in decoded(tmp_path / "a.mp4")] == [(96, 64)] * 2


def test_frames_decoded_from_another_video_do_not_force_their_types_on_it(tmp_path):
    source = decoded(write(tmp_path / "a.mp4"))
    with open_encoder(tmp_path / "b.mp4", width=96, height=64, fps=24) as encoder:
        for _ in range(6):
            encoder.write(source[0])  # an I frame each time
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert [packet.is_keyframe for packet in container.demux(video=0) if packet.size].count(True) == 1


def test_sound_can_be_added(tmp_path):
    with open_encoder(tmp_path / "a.mp4", width=96, height=64, fps=24) as encoder:
        track = encoder.add_audio()
        for number in range(24):
            encoder.write(from_rgb(picture(number)))
        silence = AudioFrame.from_ndarray(np.zeros((1, 2 * 44_100), np.int16), format="s16", layout="stereo")
        silence.sample_rate, silence.pts, silence.time_base = 44_100, 0, Fraction(1, 44_100)
        track.write(silence)
    with av.open(str(tmp_path / "a.mp4")) as container:
        sound = container.streams.audio[0]
        assert (sound.codec_context.name, sound.codec_context.sample_rate) == ("aac", 48_000)
        assert sound.duration is not None
        assert sound.time_base is not None
        assert float(sound.duration * sound.time_base) == pytest.approx(1, abs=0.05)


def test_sound_added_too_late_is_refused(tmp_path):
    with open_encoder(tmp_path / "a.mp4", width=96, height=64, fps=24) as encoder:
        encoder.write(from_rgb(picture()))
        with pytest.raises(RenderFailed):
            encoder.add_audio()

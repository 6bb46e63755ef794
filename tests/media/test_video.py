"""Facts about videos, and single frames taken out of them exactly."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from keyframe_mcp.errors import InvalidInput, OutputUnwritable, UnreadableVideo
from keyframe_mcp.media import containers, video
from keyframe_mcp.media.orders import ExtractFrame, ProbeVideo
from media import clips

REORDERED = {"bf": "3", "preset": "medium"}
KINDS: dict[str, dict[str, Any]] = {
    "plain.mp4": {},
    "quicktime.mov": {},
    "reordered.mp4": {"frames": 80, "options": REORDERED},
    "one_group.mp4": {"frames": 100, "options": {**REORDERED, "g": "250"}},
    "open_group.mp4": {"frames": 80, "options": {"x264-params": "open-gop=1:keyint=20:bframes=3", "preset": "medium"}},
    "open_group.mkv": {"frames": 80, "options": {"x264-params": "open-gop=1:keyint=20:bframes=3", "preset": "medium"}},
    "refreshed.mkv": {"frames": 80, "options": {"x264-params": "intra-refresh=1:keyint=20", "preset": "medium"}},
    "longer_sound.mp4": {"audio": 4},
    "variable.mp4": {"frames": 40, "stamps": [n * 60 + n % 3 * 13 + (n > 25) * 400 for n in range(40)]},
    "fragmented.mp4": {
        "frames": 70,
        "muxer_options": {"movflags": "frag_keyframe+empty_moov"},
        "options": {"g": "24"},
    },
    "transport.ts": {"frames": 80, "options": {"g": "24", **REORDERED}},
    "transport_one_group.ts": {"frames": 80},
    "mpeg2.ts": {"codec": "mpeg2video", "frames": 80, "options": {"bf": "2", "g": "12"}},
    "vp9.webm": {"codec": "libvpx-vp9", "frames": 60, "options": {"deadline": "realtime", "cpu-used": "8"}},
    "vp8.webm": {"codec": "libvpx", "frames": 60, "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
    "deep.mp4": {
        "codec": "libx265",
        "frames": 60,
        "pixel_format": "yuv420p10le",
        "options": {"x265-params": "log-level=none:keyint=20:open-gop=1"},
    },
    "mpeg4.avi": {"codec": "mpeg4", "frames": 80},
    "turned.mp4": {"rotation": 90, "frames": 60},
    "ntsc.mp4": {"rate": Fraction(30000, 1001), "frames": 70},
    "edited.mp4": {"frames": 60, "stamps": [place * 40 - 480 for place in range(60)], "options": REORDERED},
    "late.mp4": {"frames": 60, "stamps": [place * 40 + 700 for place in range(60)]},
    "single.mp4": {"frames": 1},
}
CUT = ("reordered.mp4", "open_group.mkv", "transport.ts", "fragmented.mp4", "vp9.webm")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One video of each kind, and the beginnings of some."""
    folder = tmp_path_factory.mktemp("videos")
    for name, choices in KINDS.items():
        clips.make(folder / name, **choices)
    clips.make_gif(folder / "moving.gif")
    for name in CUT:
        content = (folder / name).read_bytes()
        (folder / f"cut_{name}").write_bytes(content[: len(content) * 7 // 10])
    return folder


@pytest.fixture
def plain(shelf: Path) -> Path:
    return shelf / "plain.mp4"


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("name", [*KINDS, "moving.gif", *(f"cut_{name}" for name in CUT[1:])])
def test_the_last_frame_equals_that_of_a_full_decode(shelf: Path, tmp_path: Path, name: str):
    facts = video.extract(ExtractFrame(path=shelf / name, at="last", to=tmp_path / "last.png"))
    whole = [frame for frame in clips.decode_all(shelf / name) if not frame.is_corrupt]
    assert np.array_equal(pixels(facts.path), np.asarray(video.to_rgb(whole[-1])))
    assert (facts.height, facts.width) == pixels(facts.path).shape[:2]


@pytest.mark.parametrize("name", [*KINDS, "moving.gif"])
def test_every_frame_equals_that_of_a_full_decode(shelf: Path, name: str):
    known = video.survey(shelf / name)
    everything = clips.decode_all(shelf / name)
    assert [frame.pts for frame in everything] == list(known.shown)
    for frame in [everything[0], *everything[5::17]]:
        found = video.frame_at(shelf / name, known, frame.pts or 0)
        assert np.array_equal(np.asarray(video.to_rgb(found)), np.asarray(video.to_rgb(frame)))


def test_the_last_frame_is_found_without_decoding_the_whole_video(tmp_path: Path):
    path = clips.make(tmp_path / "long.mp4", frames=240, options={"g": "24"})
    known = video.survey(path)
    with containers.opened(path) as opened:
        opened.container.seek(known.shown[-1] - int(1 / known.base), stream=opened.stream, backward=True)
        decoded = sum(1 for _ in opened.frames())
    assert decoded < 60
    assert clips.number_in(video.to_rgb(video.frame_at(path, known, known.shown[-1]))) == 239


@pytest.mark.parametrize(
    ("at", "number"), [("first", 0), (0, 0), (0.5, 12), (0.51, 12), (0.542, 13), (1.9583, 47), (2.0, 47), ("last", 47)]
)
def test_the_frame_shown_at_a_second_is_extracted(plain: Path, tmp_path: Path, at: Any, number: int):
    facts = video.extract(ExtractFrame(path=plain, at=at, to=tmp_path / "frame.png"))
    with Image.open(facts.path) as image:
        assert clips.number_in(image) == number
    assert facts.at == round(number / 24, 3)


def test_the_seconds_told_lead_back_to_the_same_frame(plain: Path, tmp_path: Path):
    known = video.survey(plain)
    for number, sample in enumerate(video.sample(plain, known, 25, (80, 48))):
        again = video.extract(ExtractFrame(path=plain, at=sample.at, to=tmp_path / f"{number}.png"))
        with Image.open(again.path) as image:
            assert clips.number_in(image) == sample.frame


@pytest.mark.parametrize("at", [-0.1, 2.01, 99, float("nan"), float("inf")])
def test_a_second_outside_the_video_is_refused_with_what_would_work(plain: Path, tmp_path: Path, at: float):
    with pytest.raises(InvalidInput, match=r"^at: .* s is outside the video; use 0 to 2, `first` or `last`$") as caught:
        video.extract(ExtractFrame(path=plain, at=at, to=tmp_path / "frame.png"))
    assert caught.value.problems[0].argument == "at"
    assert not list(tmp_path.iterdir())


def test_in_a_video_of_variable_rate_a_frame_is_shown_until_the_next(shelf: Path, tmp_path: Path):
    stamps = KINDS["variable.mp4"]["stamps"]
    for second, number in ((stamps[25] / 1000 + 0.3, 25), (stamps[26] / 1000, 26), (stamps[26] / 1000 - 0.01, 25)):
        facts = video.extract(ExtractFrame(path=shelf / "variable.mp4", at=second, to=tmp_path / "frame.png"))
        with Image.open(facts.path) as image:
            assert clips.number_in(image) == number


def test_a_probe_tells_what_was_put_in(shelf: Path):
    facts = video.probe(ProbeVideo(path=shelf / "ntsc.mp4"))
    assert (facts.width, facts.height, facts.frames, facts.codec) == (160, 96, 70, "h264")
    assert (facts.fps, facts.duration) == (29.97, 2.336)
    assert facts.mime_type == "video/mp4"
    assert not facts.has_audio
    assert facts.size_bytes == (shelf / "ntsc.mp4").stat().st_size
    assert video.probe(ProbeVideo(path=shelf / "longer_sound.mp4")).has_audio
    assert video.probe(ProbeVideo(path=shelf / "longer_sound.mp4")).duration == 2


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [
        ("plain.mp4", "video/mp4"),
        ("quicktime.mov", "video/quicktime"),
        ("vp9.webm", "video/webm"),
        ("open_group.mkv", "video/x-matroska"),
        ("transport.ts", "video/mp2t"),
        ("mpeg4.avi", "video/x-msvideo"),
        ("moving.gif", "image/gif"),
    ],
)
def test_the_mime_type_is_that_of_the_container_whatever_the_name(
    shelf: Path, tmp_path: Path, name: str, mime_type: str
):
    disguised = tmp_path / "video.bin"
    disguised.write_bytes((shelf / name).read_bytes())
    assert video.probe(ProbeVideo(path=disguised)).mime_type == mime_type


def test_frames_an_edit_list_hides_are_not_counted(shelf: Path, tmp_path: Path):
    facts = video.probe(ProbeVideo(path=shelf / "edited.mp4"))
    assert facts.frames == 48
    assert facts.duration == pytest.approx(48 * 0.04, abs=0.01)
    first = video.extract(ExtractFrame(path=shelf / "edited.mp4", at="first", to=tmp_path / "first.png"))
    with Image.open(first.path) as image:
        assert clips.number_in(image) == 12


def test_a_gif_is_a_video(shelf: Path, tmp_path: Path):
    facts = video.probe(ProbeVideo(path=shelf / "moving.gif"))
    assert (facts.width, facts.height, facts.frames, facts.duration, facts.fps) == (80, 60, 12, 1.2, 10)
    frame = video.extract(ExtractFrame(path=shelf / "moving.gif", at=0.75, to=tmp_path / "frame.png"))
    with Image.open(frame.path) as image:
        assert clips.number_in(image) == 7


@pytest.mark.parametrize(("rotation", "size"), [(90, (96, 160)), (180, (160, 96)), (-90, (96, 160))])
def test_a_turned_video_is_turned_back(tmp_path: Path, rotation: int, size: tuple[int, int]):
    path = clips.make(tmp_path / "turned.mp4", frames=6, rotation=rotation)
    straight = clips.make(tmp_path / "straight.mp4", frames=6)
    known = video.survey(path)
    assert (known.width, known.height) == size
    facts = video.extract(ExtractFrame(path=path, at="last", to=tmp_path / "last.png"))
    assert (facts.width, facts.height) == size
    upright = video.to_rgb(clips.decode_all(straight)[-1])
    turned = upright.rotate(clips.decode_all(path)[-1].rotation, expand=True)
    assert np.array_equal(pixels(facts.path), np.asarray(turned))
    assert video.sample(path, known, 3, (size[0] // 2, size[1] // 2))[0].image.size == (size[0] // 2, size[1] // 2)


def test_colours_are_those_that_were_encoded(tmp_path: Path):
    path = clips.make(tmp_path / "colours.mp4", frames=3, options={"crf": "1"})
    frame = video.to_rgb(clips.decode_all(path)[0])
    assert np.abs(np.asarray(frame, float) - clips.picture(0)).mean() < 3


@pytest.mark.parametrize("count", [1, 2, 3, 9, 25, 100])
def test_samples_are_spaced_evenly_from_the_first_frame_to_the_last(plain: Path, count: int):
    samples = video.sample(plain, video.survey(plain), count, (160, 96))
    assert len(samples) == min(count, 48)
    assert samples[0].frame == 0
    if count > 1:
        assert samples[-1].frame == 47
    assert [clips.number_in(sample.image) for sample in samples] == [sample.frame for sample in samples]


def test_a_long_video_is_sampled_by_seeking_to_the_same_frames(tmp_path: Path):
    path = clips.make(tmp_path / "long.mp4", frames=130, rate=2, size=(96, 64), options={"g": "10"})
    known = video.survey(path)
    assert known.duration > video.SEEK_BEYOND
    samples = video.sample(path, known, 9, (96, 64))
    assert [sample.frame for sample in samples] == [round(n * 129 / 8) for n in range(9)]
    assert [clips.number_in(sample.image) for sample in samples] == [sample.frame for sample in samples]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty; use an MP4"),
        (bytes(range(7, 250)) * 20, "not a video in a known format; use an MP4"),
        (b"<!DOCTYPE html><title>404</title>", "a web page, not a video"),
        (b"I am a text", "this is a text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "this is a picture, not a video"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomiso2" + b"\0\0\0\x08mdat", "damaged or incomplete"),
        (b"\0\0\0\x18ftyp" + bytes(range(256)) * 20, "damaged or incomplete"),
        (b"\x1a\x45\xdf\xa3" + bytes(range(256)) * 20, "damaged or incomplete"),
        (b"GIF89a" + struct.pack("<HH", 32000, 32000) + b"\0\0\0;", "its frames are 32000 x 32000; .* 64 megapixels"),
        (b"RIFF\x10\0\0\0AVI LIST" + bytes(50), "damaged or incomplete"),
        (b"G" + bytes(187) + b"G" + bytes(187), "damaged or incomplete|can be decoded"),
    ],
)
def test_what_is_no_video_is_refused_with_a_plain_reason(tmp_path: Path, content: bytes, reason: str):
    path = tmp_path / "wrong.mp4"
    path.write_bytes(content)
    with pytest.raises(UnreadableVideo, match=rf"^wrong\.mp4: .*({reason})"):
        video.probe(ProbeVideo(path=path))


def test_a_video_without_its_index_and_one_without_its_frames_are_refused(plain: Path, tmp_path: Path):
    content = plain.read_bytes()
    index = content.index(b"moov") - 4
    (tmp_path / "no_index.mp4").write_bytes(content[:index])
    first_frame = content.index(b"mdat") + 4
    (tmp_path / "no_frames.mp4").write_bytes(content[:first_frame] + bytes(index - first_frame) + content[index:])
    for name in ("no_index.mp4", "no_frames.mp4"):
        with pytest.raises(UnreadableVideo, match=name):
            video.probe(ProbeVideo(path=tmp_path / name))


def test_sound_without_a_picture_is_refused_as_that(tmp_path: Path):
    path = clips.make_song(tmp_path / "song.mp4")
    with pytest.raises(UnreadableVideo, match="holds sound and no picture"):
        video.probe(ProbeVideo(path=path))


def test_a_codec_nobody_knows_is_refused_as_that(plain: Path, tmp_path: Path):
    content = plain.read_bytes()
    path = tmp_path / "odd.mp4"
    path.write_bytes(content.replace(b"avc1\0\0\0\0", b"zzzz\0\0\0\0").replace(b"avcC", b"zzzC"))
    with pytest.raises(UnreadableVideo, match=r"odd\.mp4: its codec is unknown; convert it to H\.264 in MP4"):
        video.probe(ProbeVideo(path=path))


def test_the_cover_of_a_song_is_not_a_video(tmp_path: Path):
    path = clips.make_song(tmp_path / "song.m4a", cover=True)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(UnreadableVideo, match="holds sound and no picture"):
        video.probe(ProbeVideo(path=path))


def test_frames_that_turn_out_to_be_of_absurd_size_are_not_decoded(tmp_path: Path):
    path = clips.make(tmp_path / "huge.webm", frames=3, codec="libvpx")
    key_frame = b"\x9d\x01\x2a" + struct.pack("<HH", 160, 96)
    assert key_frame in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(key_frame, b"\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383)))
    with pytest.raises(UnreadableVideo):
        video.survey(path)


def test_a_video_of_absurd_length_is_refused(tmp_path: Path):
    path = clips.make(tmp_path / "long.mkv", frames=3, stamps=[0, 1000, 30_000_000])
    with pytest.raises(UnreadableVideo, match="longer than 6 hours"):
        video.probe(ProbeVideo(path=path))


@pytest.mark.parametrize("name", ["list.m3u8", "list.ffconcat", "list.sdp", "list.mp4"])
@pytest.mark.parametrize("kind", ["hls", "concat", "sdp", "boxed"])
def test_a_playlist_never_opens_what_it_lists(plain: Path, tmp_path: Path, name: str, kind: str):
    target = tmp_path / "secret.ts"
    clips.make(target, frames=4)
    playlist = tmp_path / name
    playlist.write_bytes(
        {
            "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n".encode(),
            "concat": f"ffconcat version 1.0\nfile '{target}'\n".encode(),
            "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
            "boxed": b"\0\0\0\x08ftyp" + f"\n#EXTM3U\n#EXTINF:5,\n{target}\n".encode(),
        }[kind]
    )
    with pytest.raises(UnreadableVideo):
        video.probe(ProbeVideo(path=playlist))


def with_external_data(content: bytes, target: Path) -> bytes:
    """The MP4 without its own frames, told that they are in another file."""
    path = str(target).encode()
    path += b"\0" * (len(path) % 2)
    alias = bytes(10) + bytes(28) + bytes(12) + bytes(64) + bytes(16) + bytes(4) + bytes(16)
    alias += struct.pack(">HH", 2, len(path)) + path + struct.pack(">hH", -1, 0)
    entry = struct.pack(">I", 12 + len(alias)) + b"alis" + bytes(4) + alias
    at = content.index(b"url ", content.index(b"dref")) - 4
    grown = bytearray(content[:at] + entry + content[at + 12 :])
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        box = content.index(name) - 4
        size = struct.unpack(">I", content[box : box + 4])[0]
        grown[box : box + 4] = struct.pack(">I", size + len(entry) - 12)
    first_frame = content.index(b"mdat") + 4
    grown[first_frame : content.index(b"moov") - 4] = bytes(content.index(b"moov") - 4 - first_frame)
    return bytes(grown)


def test_frames_in_another_file_are_not_followed(plain: Path, tmp_path: Path):
    path = tmp_path / "pointer.mp4"
    path.write_bytes(with_external_data(plain.read_bytes(), plain))
    # the file is such that FFmpeg would follow it if it were told to
    with av.open(str(path), options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
        assert len(list(container.decode(video=0))) == 48
    with pytest.raises(UnreadableVideo):
        video.probe(ProbeVideo(path=path))


def test_a_frame_that_cannot_be_saved_says_so(plain: Path, tmp_path: Path):
    with pytest.raises(OutputUnwritable):
        video.extract(ExtractFrame(path=plain, at="last", to=tmp_path / "missing" / "last.png"))

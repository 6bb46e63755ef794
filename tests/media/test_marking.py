"""Tags are written into an MP4 and nothing else in it changes; what is not surely safe to change is left alone."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path
from typing import Any

import av
import pytest

from keyframe_mcp.media.boxes import Box, Unsure, box, children, head, shifted
from keyframe_mcp.media.marking import C2PA, XMP, mark
from keyframe_mcp.media.orders import MarkFacts, MarkVideo
from media import clips

TAGS = {
    "comment": '{"task_id": "kf_x", "prompt": "лиса 🎬"}',
    "description": "AI-generated video",
    "software": "keyframe-mcp",
    "title": "лиса 🎬",
}
FAST_START: dict[str, Any] = {"muxer_options": {"movflags": "faststart"}}


def marked(path: Path, **tags: str) -> tuple[MarkFacts, Path]:
    """What came of it, and where the copy is, if there is one."""
    to = path.with_name(f"marked-{path.name}")
    return mark(MarkVideo(path=path, to=to, tags=TAGS | tags)), to


def tags_in(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return dict(container.metadata)


def packets(path: Path) -> list[tuple[int, int | None, bytes]]:
    with av.open(str(path)) as container:
        return [(packet.stream_index, packet.pts, bytes(packet)) for packet in container.demux() if packet.size]


def top(content: bytes) -> list[tuple[bytes, bytes]]:
    """The outermost boxes: names and contents."""
    return [(each.name, content[each.body : each.end]) for each in children(content)]


def with_index(path: Path, change: Any) -> Path:
    """The same file, its `moov` at its end changed."""
    content = path.read_bytes()
    last = children(content)[-1]
    assert last.name == b"moov"
    path.write_bytes(content[: last.start] + box(b"moov", change(content[last.body : last.end])))
    return path


@pytest.mark.parametrize("how", [{}, FAST_START, FAST_START | {"audio": 1}], ids=["index last", "index first", "sound"])
def test_an_mp4_says_what_it_is_told_to_and_its_packets_stay(tmp_path: Path, how: dict[str, Any]):
    made = clips.make(tmp_path / "a.mp4", **how)
    before = tags_in(made)

    facts, to = marked(made)

    assert facts == MarkFacts(embedded=True)
    assert tags_in(to) == before | TAGS
    assert packets(to) == packets(made)
    assert [frame.to_ndarray().tobytes() for frame in clips.decode_all(to)] == [
        frame.to_ndarray().tobytes() for frame in clips.decode_all(made)
    ]


def test_every_box_but_the_index_stays_byte_for_byte(tmp_path: Path):
    made = clips.make(tmp_path / "a.mp4", **FAST_START)
    label = box(b"uuid", hashlib.md5(b"a provider's own").digest() + b"AIGC: made by a machine")  # noqa: S324 - an id
    made.write_bytes(made.read_bytes() + label + box(b"free", b"something of theirs"))

    facts, to = marked(made)

    assert facts.embedded
    before, after = top(made.read_bytes()), top(to.read_bytes())
    assert [name for name, _ in after] == [name for name, _ in before]
    assert [each for each in after if each[0] != b"moov"] == [each for each in before if each[0] != b"moov"]


def test_the_places_of_the_samples_move_with_an_index_that_is_in_front(tmp_path: Path):
    made = clips.make(tmp_path / "a.mp4", **FAST_START)

    _, to = marked(made)

    grown = to.stat().st_size - made.stat().st_size
    assert [new - old for old, new in zip(places(made), places(to), strict=True)] == [grown] * len(places(made))


def places(path: Path) -> list[int]:
    """Where the chunks of the first track are, as the file says."""
    content = path.read_bytes()
    table = content.index(b"stco") + 4
    count = int.from_bytes(content[table + 4 : table + 8])
    return list(struct.unpack_from(f">{count}I", content, table + 8))


def test_a_quicktime_file_is_tagged_too(tmp_path: Path):
    facts, to = marked(clips.make(tmp_path / "a.mov"))

    assert facts.embedded
    assert tags_in(to)["comment"] == TAGS["comment"]


def test_what_a_file_says_already_stays_and_the_facts_go_beside_it(tmp_path: Path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        container.metadata.update({"comment": "AIGC label of a provider", "title": "theirs"})
        clip = clips.make(tmp_path / "source.mp4")
        with av.open(str(clip)) as source:
            stream = container.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(source.streams.video[0]):
                if packet.size:
                    packet.stream = stream
                    container.mux(packet)

    facts, to = marked(tmp_path / "a.mp4")

    said = tags_in(to)
    assert facts.embedded
    assert (said["comment"], said["title"]) == ("AIGC label of a provider", "theirs")
    assert said["keyframe-mcp"] == TAGS["comment"]
    assert said["description"] == TAGS["description"]
    assert to.read_bytes().count(b"ilst") == 1


def test_a_file_that_has_the_tags_is_not_written_again(tmp_path: Path):
    _, once = marked(clips.make(tmp_path / "a.mp4"))

    facts, twice = marked(once)

    assert (facts.embedded, twice.exists()) == (True, False)


def test_a_list_that_ends_with_a_zero_still_does(tmp_path: Path):
    made = clips.make(tmp_path / "a.mov", muxer_options={"fflags": "+bitexact"})
    with_index(made, lambda index: bare(index) + box(b"udta", box(b"\xa9fmt", b"\0\x02\0\0hi") + bytes(4)))

    facts, to = marked(made)

    assert facts.embedded
    content = to.read_bytes()
    assert content.endswith(bytes(4))
    assert b"\xa9fmt" in content
    assert tags_in(to)["description"] == TAGS["description"]


def bare(index: bytes) -> bytes:
    """The content of `moov` without tags."""
    return b"".join(index[each.start : each.end] for each in children(index) if each.name != b"udta")


@pytest.mark.parametrize(
    ("added", "reason"),
    [
        (box(b"uuid", C2PA + bytes(100)), "C2PA"),
        (box(b"uuid", XMP + b"<dcterms:provenance>https://manifests.test/1.c2pa"), "C2PA"),
        (box(b"sidx", bytes(24)), "fragments"),
        (box(b"moov", b""), "several"),
        (box(b"meta", bytes(4) + box(b"iloc", bytes(8))), "not moved"),
        (b"a few stray bytes", "do not fit"),
        (b"\0\0\0\0free", "do not fit"),
    ],
    ids=["c2pa", "c2pa by link", "fragment index", "two indexes", "items", "stray bytes", "endless box"],
)
def test_a_file_that_may_not_be_changed_is_left_alone(tmp_path: Path, added: bytes, reason: str):
    made = clips.make(tmp_path / "a.mp4")
    made.write_bytes(made.read_bytes() + added)

    facts, to = marked(made)

    assert not facts.embedded
    assert reason in facts.reason
    assert not to.exists()


@pytest.mark.parametrize(
    ("meta", "reason"),
    [
        (box(b"meta", bytes(4) + box(b"hdlr", bytes(8) + b"mdta" + bytes(13))), "of a kind"),
        (box(b"meta", bytes(4)) * 2, "several"),
    ],
)
def test_tags_of_another_kind_are_not_added_to(tmp_path: Path, meta: bytes, reason: str):
    made = with_index(clips.make(tmp_path / "a.mp4"), lambda index: bare(index) + box(b"udta", meta))

    facts, to = marked(made)

    assert (facts.embedded, to.exists()) == (False, False)
    assert reason in facts.reason


def test_fragments_other_containers_and_broken_files_are_left_alone(tmp_path: Path):
    fragments = clips.make(tmp_path / "f.mp4", muxer_options={"movflags": "frag_keyframe+empty_moov"})
    webm = clips.make(tmp_path / "a.webm", 4, codec="libvpx-vp9")
    gif = clips.make_gif(tmp_path / "a.gif")
    text = tmp_path / "a.mp4"
    text.write_text("no video")

    found = [marked(path)[0] for path in (fragments, webm, gif, text)]

    assert not any(facts.embedded for facts in found)
    assert all(facts.reason for facts in found)
    assert not list(tmp_path.glob("marked-*"))


def test_places_beyond_what_a_table_can_say_are_refused():
    table = box(b"stco", bytes(4) + (1).to_bytes(4) + (0xFFFFFF00).to_bytes(4))
    index = box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", table))))

    assert shifted(index, after=0, by=0x10)[-4:] == (0xFFFFFF10).to_bytes(4)
    with pytest.raises(Unsure):
        shifted(index, after=0, by=0x1000)
    assert shifted(index, after=0xFFFFFF01, by=0x1000) == index


def test_a_table_that_is_cut_off_is_refused():
    table = box(b"stco", bytes(4) + (9).to_bytes(4) + bytes(4))

    with pytest.raises(Unsure):
        shifted(box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", table)))), after=0, by=1)


def test_a_large_box_says_its_size_in_eight_bytes():
    start = (1).to_bytes(4) + b"mdat" + (1 << 33).to_bytes(8)

    assert head(start, 10, 1 << 34) == Box(b"mdat", 10, 26, 10 + (1 << 33))

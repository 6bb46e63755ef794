"""Pictures that are sent in over HTTP: kept for who sent them, for a week, and taken wherever a picture is."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest

from keyframe_mcp.engine.seal import Seal
from keyframe_mcp.engine.uploads import (
    KEEP_SECONDS,
    LEFT_BEHIND_SECONDS,
    MOST_AT_ONCE,
    MOST_BYTES,
    NoRoom,
    TooLarge,
    TooMany,
    Uploads,
    sweep_uploads,
    taken,
)
from keyframe_mcp.errors import InvalidInput, UnreadableImage
from keyframe_mcp.media.workshop import Workshop
from sites import ANN, BEN, TOKENS, Served, ask, open_site, refused
from studio import Clock, picture

CLOSED = {"KEYFRAME_AUTH_TOKENS": TOKENS, "KEYFRAME_PUBLIC_URL": "https://mcp.example.com"}


def drawn(folder: Path, **more: Any) -> bytes:
    return picture(folder / "drawn.png", **more).read_bytes()


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def files_in(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


@pytest.fixture
def workshop() -> Workshop:
    return Workshop(places=1)


def opened(folder: Path, workshop: Workshop, clock: Clock | None = None, **more: int) -> Uploads:
    return Uploads(folder / "uploads", Seal(lambda: bytes(32)), workshop, clock or Clock(), **more)


async def test_a_picture_is_kept_for_its_owner_alone_until_its_week_is_over(tmp_path: Path, workshop: Workshop):
    clock, content = Clock(), drawn(tmp_path)
    uploads = opened(tmp_path, workshop, clock)
    first = await uploads.add("ann", pieces(content[:100], content[100:]))
    again = await uploads.add("ann", pieces(content))
    of_ben = await uploads.add("ben", pieces(content))
    wrong = first.id[:-1] + ("0" if first.id[-1] != "0" else "1")

    assert first == again
    assert (first.width, first.height, first.mime_type, first.size_bytes) == (320, 192, "image/png", len(content))
    assert first.id != of_ben.id
    assert (await uploads.find(first.id, "ann")).path.read_bytes() == content
    with pytest.raises(InvalidInput, match=f"did you mean upload:{first.id}"):
        await uploads.find(wrong, "ann")
    with pytest.raises(InvalidInput) as hidden:
        await uploads.find(first.id, "cleo")
    with pytest.raises(InvalidInput) as absent:
        await uploads.find("f" * 32, "cleo")
    assert str(hidden.value).replace(first.id, "f" * 32) == str(absent.value)
    clock.now += KEEP_SECONDS
    with pytest.raises(InvalidInput, match="send it again"):
        await uploads.find(first.id, "ann")
    await workshop.aclose()


async def test_uploads_are_for_nobody_else_on_this_machine_and_swept(tmp_path: Path, workshop: Workshop):
    clock = Clock()
    uploads = opened(tmp_path, workshop, clock)
    kept = await uploads.add("ann", pieces(drawn(tmp_path)))
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert (
        stat.S_IMODE(kept.path.parent.stat().st_mode) == stat.S_IMODE(kept.path.parent.parent.stat().st_mode) == 0o700
    )
    left = kept.path.with_name(".upload.0123.part")
    left.write_bytes(b"half")
    os.utime(left, (clock.now, clock.now))
    sweep_uploads(tmp_path / "uploads", clock.now + LEFT_BEHIND_SECONDS + 1)
    assert files_in(tmp_path / "uploads") == [kept.path]
    sweep_uploads(tmp_path / "uploads", clock.now + KEEP_SECONDS)
    sweep_uploads(tmp_path / "there is none", clock.now)
    assert files_in(tmp_path / "uploads") == []
    await workshop.aclose()


async def test_what_is_no_picture_too_large_or_broken_off_leaves_nothing(tmp_path: Path, workshop: Workshop):
    uploads = opened(tmp_path, workshop)

    async def broken() -> AsyncIterator[bytes]:
        yield drawn(tmp_path)[:1000]
        raise ConnectionError("gone")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MOST_BYTES // (1 << 20) + 2):
            yield bytes(1 << 20)
        raise AssertionError("it was read on")

    with pytest.raises(UnreadableImage) as unreadable:
        await uploads.add("ann", pieces(b"<html>not found</html>"))
    with pytest.raises(UnreadableImage):
        await uploads.add("ann", pieces(drawn(tmp_path)[:1000]))
    with pytest.raises(ConnectionError):
        await uploads.add("ann", broken())
    with pytest.raises(TooLarge):
        await uploads.add("ann", endless())
    assert ".part" not in str(unreadable.value)
    assert files_in(tmp_path / "uploads") == []
    await workshop.aclose()


async def test_an_owner_has_only_so_much_room_and_so_many_hands(tmp_path: Path, workshop: Workshop):
    content, clock = drawn(tmp_path), Clock()
    uploads = opened(tmp_path, workshop, clock, most_bytes_of_one=taken(len(content)) * 3 // 2)
    one = await uploads.add("ann", pieces(content))
    await uploads.add("ann", pieces(content))  # the same again takes no more room
    with pytest.raises(NoRoom, match="DELETE"):
        await uploads.add("ann", pieces(drawn(tmp_path, shade=7)))
    await uploads.add("ben", pieces(content))
    await uploads.remove(one.id, "ann")
    await uploads.add("ann", pieces(drawn(tmp_path, shade=7)))
    clock.now += KEEP_SECONDS
    await uploads.add("ann", pieces(content))  # what has ended makes room

    waiting = anyio.Event()

    async def slow() -> AsyncIterator[bytes]:
        await waiting.wait()
        yield b"nothing"

    async def unreadable() -> None:
        with pytest.raises(UnreadableImage):
            await uploads.add("ann", slow())

    async with anyio.create_task_group() as tasks:
        for _ in range(MOST_AT_ONCE):
            tasks.start_soon(unreadable)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(TooMany):
            await uploads.add("ann", pieces(content))
        waiting.set()
    await workshop.aclose()


async def test_an_owner_has_only_so_many_however_small(tmp_path: Path, workshop: Workshop):
    uploads = opened(tmp_path, workshop, most_of_one=2)
    shades = [drawn(tmp_path, shade=each) for each in (1, 2, 3)]
    first = await uploads.add("ann", pieces(shades[0]))
    await uploads.add("ann", pieces(shades[1]))
    await uploads.add("ann", pieces(shades[1]))
    with pytest.raises(NoRoom, match="2 uploads, the most"):
        await uploads.add("ann", pieces(shades[2]))
    await uploads.remove(first.id, "ann")
    await uploads.add("ann", pieces(shades[2]))
    assert [taken(each) for each in (0, 1, 4096, 4097)] == [0, 4096, 4096, 8192]
    await workshop.aclose()


async def test_a_long_list_of_uploads_comes_in_parts(tmp_path: Path):
    async with open_site(tmp_path) as site, site.client() as client:
        first = (await client.post("/uploads", content=drawn(tmp_path))).json()["reference"].removeprefix("upload:")
        folder = next(each for each in (tmp_path / "state" / "uploads").iterdir() if each.is_dir())
        (kept,) = files_in(folder)
        for number in range(150):
            kept.with_name(kept.name.replace(first, f"{number:032x}")).write_bytes(b"x")
        one = (await client.get("/uploads")).json()
        two = (await client.get(one["next"])).json()
        odd = [(await client.get(f"/uploads?start={each}")).status_code for each in ("-1", "x", "9" * 20, "\u00b2")]

    assert (len(one["uploads"]), len(two["uploads"]), one["count"]) == (100, 51, 151)
    assert len({each["reference"] for each in one["uploads"] + two["uploads"]}) == 151
    assert "next" not in two
    assert odd == [200] * 4


async def test_forms_are_counted_before_they_are_read_and_kept_nowhere_else(tmp_path: Path):
    start = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    arrived, released = [anyio.Event() for _ in range(MOST_AT_ONCE)], anyio.Event()
    found: list[int] = []
    folder = tmp_path / "state" / "uploads"

    async def slow(number: int) -> AsyncIterator[bytes]:
        yield start + bytes(3 << 20)
        arrived[number].set()
        await released.wait()

    async with open_site(tmp_path) as site, site.client() as client, anyio.create_task_group() as tasks:

        async def send(number: int) -> None:
            found.append((await client.post("/uploads", content=slow(number), headers=headers)).status_code)

        with anyio.fail_after(20):
            for number in range(MOST_AT_ONCE):
                tasks.start_soon(send, number)
            for each in arrived:
                await each.wait()
            while sum(each.stat().st_size for each in files_in(folder)) < MOST_AT_ONCE << 20:
                await anyio.sleep(0.01)
            found.append((await client.post("/uploads", files={"file": ("a.png", b"x")})).status_code)
        released.set()
    assert found == [429, *[400] * MOST_AT_ONCE]  # those break off
    assert files_in(folder) == []


async def test_sending_a_picture_answers_its_reference_raw_or_in_a_form(tmp_path: Path):
    content = drawn(tmp_path)
    async with open_site(tmp_path, CLOSED) as site, site.client(ANN) as ann, site.client(BEN) as ben:
        raw = await ann.post("/uploads", content=content, headers={"Content-Type": "image/png"})
        form = await ann.post("/uploads", files={"file": ("a.png", content, "image/png")}, data={"note": "x"})
        listed = (await ann.get("/uploads")).json()
        others = (await ben.get("/uploads")).json()
        upload_id = raw.json()["reference"].removeprefix("upload:")
        theft = await ben.delete(f"/uploads/{upload_id}")
        gone = await ann.delete(f"/uploads/{upload_id}")
        twice = await ann.delete(f"/uploads/{upload_id}")
        async with site.client() as nobody:
            unknown = await nobody.post("/uploads", content=content)
            unseen = await nobody.get("/uploads")

    told = raw.json()
    assert (raw.status_code, form.status_code, form.json()["reference"]) == (201, 201, told["reference"])
    assert (told["width"], told["height"], told["mime_type"], told["size_bytes"]) == (
        320,
        192,
        "image/png",
        len(content),
    )
    left = datetime.fromisoformat(told["expires_at"]) - datetime.now(UTC)
    assert KEEP_SECONDS - 60 < left.total_seconds() <= KEEP_SECONDS
    assert [each["reference"] for each in listed["uploads"]] == [told["reference"]]
    assert (others["uploads"], listed["used_bytes"], listed["count"]) == ([], taken(len(content)), 1)
    assert "next" not in listed
    assert (theft.status_code, gone.status_code, twice.status_code) == (404, 204, 404)
    assert (unknown.status_code, unseen.status_code) == (401, 401)


async def test_what_is_not_taken_says_what_would_be(tmp_path: Path):
    large = bytes(MOST_BYTES + 1)
    form = {"Content-Type": "multipart/form-data; boundary=b"}

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 1 << 20):
            yield large[start : start + (1 << 20)]

    async with open_site(tmp_path) as site, site.client() as client:
        refusals = {
            400: [
                await client.post("/uploads", content=b""),
                await client.post("/uploads", content=b"--b--", headers={"Content-Type": "multipart/form-data"}),
                await client.post("/uploads", content=b"nonsense", headers=form),
                await client.post("/uploads", data={"file": "text"}, files={}, headers=form),
                await client.post("/uploads", files=[("a", ("a", b"1")), ("b", ("b", b"2"))]),
                await client.post("/uploads", files={"a": ("a", b"")}),
            ],
            405: [await client.put("/uploads"), await client.get("/uploads/x"), await client.post("/uploads/x")],
            413: [await client.post("/uploads", content=parts())],
            415: [await client.post("/uploads", content=b"%PDF-1.7 and so on")],
        }
        answer = await said_large(site)
        crossing = await client.post("/uploads", content=b"x", headers={"Origin": "https://evil.example"})

    for status, answers in refusals.items():
        assert [each.status_code for each in answers] == [status] * len(answers)
        assert all(each.json()["error"] for each in answers)
    assert b" 413 " in answer
    assert b"20 MB" in answer
    assert crossing.status_code == 403
    assert files_in(tmp_path / "state" / "uploads") == []


async def said_large(site: Served) -> bytes:
    """What is answered to who announces much: before any of it was sent."""
    host, port = urlsplit(site.address).netloc.split(":")
    async with await anyio.connect_tcp(host, int(port)) as stream:
        head = f"POST /uploads HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {MOST_BYTES + 1}\r\n\r\n"
        await stream.send(head.encode())
        return await until_closed(stream)


async def until_closed(stream: anyio.abc.ByteStream) -> bytes:
    heard = b""
    with anyio.fail_after(10):
        try:
            while True:
                heard += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return heard


async def test_an_upload_that_stops_or_creeps_leaves_nothing(tmp_path: Path):
    async with open_site(tmp_path, upload_seconds=0.3) as site:
        host, port = urlsplit(site.address).netloc.split(":")
        head = f"POST /uploads HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 5000\r\n\r\n".encode()
        async with await anyio.connect_tcp(host, int(port)) as creeping:
            await creeping.send(head + b"some")
            answer = await until_closed(creeping)
        async with await anyio.connect_tcp(host, int(port)) as stopping:
            await stopping.send(head + b"some")
        folder = tmp_path / "state" / "uploads"
        with anyio.fail_after(10):
            while files_in(folder):
                await anyio.sleep(0.01)
    assert b" 408 " in answer


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_an_uploaded_picture_becomes_a_video_that_can_be_made_again_without_it(tmp_path: Path, era: str):
    content, last = drawn(tmp_path), drawn(tmp_path, shade=7)
    async with open_site(tmp_path, CLOSED) as site, site.agent(ANN, era) as ann, site.client(ANN) as http:
        first, second = [(await http.post("/uploads", content=each)).json()["reference"] for each in (content, last)]
        advice = await refused(ann, "generate_flf2v", first_image="/home/ann/a.png", last_image=second)
        made = await ask(
            ann, "generate_flf2v", first_image=first, last_image=second, duration=1, options={"fps": 8}, wait_seconds=45
        )
        await http.delete(f"/uploads/{first.removeprefix('upload:')}")
        again = await ask(ann, "regenerate", task_id=made["task_id"], overrides={"duration": 2}, dry_run=True)
        gone = await refused(ann, "generate_i2v", image=first)
        no_video = await refused(ann, "view_video", source=second)
        async with site.agent(BEN, era) as ben:
            stolen = await refused(ben, "generate_i2v", image=second)
        video = (await http.get(urlsplit(made["outputs"][0]["url"]).path)).content
        stored = await site.application.engine.store.get(made["task_id"])

    assert made["status"] == "succeeded"
    assert video[4:8] == b"ftyp"
    assert again["status"] == "dry_run"
    assert "there is no upload" in gone
    assert "there is no upload" in stolen
    assert "did you mean" not in stolen
    assert "uploads are pictures" in no_video
    assert "POST the picture to https://mcp.example.com/uploads" in advice
    assert "upload:<id>" in advice
    assert {each.content for each in stored.pictures.values()} == {
        hashlib.sha256(each).hexdigest() for each in (content, last)
    }

"""Results that break off, do not fit, are left where they are, or find no room: what becomes of their tasks."""

from __future__ import annotations

import errno
import socket
import struct
import threading
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import IO, Any

import anyio
import pytest

from emulators.siliconflow import SiliconFlow
from keyframe_mcp.adapters.base import Report
from keyframe_mcp.engine.keeper import FetchResult, Keeper
from keyframe_mcp.errors import CallerError, InvalidInput
from keyframe_mcp.media.extent import MOST_PARTS, require_whole
from keyframe_mcp.media.fetch import Fetcher
from keyframe_mcp.server.views import TaskView
from keyframe_mcp.task import Inputs, Mode, Output, Status, Task
from media import clips
from studio import ME, Studio, open_server_inside, open_studio
from systems import open_systems
from systems import said as text_of

FAST_START: dict[str, Any] = {"muxer_options": {"movflags": "faststart"}}


class Site:
    """A server that says word for word what it was given, one connection after the other."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.heads: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/film.mp4"

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(5)
                self.heads.append(connection.recv(65_536).decode())
                connection.sendall(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


@pytest.fixture
def site() -> Iterator[Site]:
    opened = Site()
    yield opened
    opened.close()


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncGenerator[Studio]:
    async with open_studio(tmp_path) as opened:
        yield opened


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    """A video whose index comes first, so that its beginning alone opens and plays."""
    return clips.make(tmp_path / "whole.mp4", 48, **FAST_START).read_bytes()


def undelimited(body: bytes) -> bytes:
    """An answer that ends where its connection does."""
    return b"HTTP/1.0 200 OK\r\nContent-Type: video/mp4\r\n\r\n" + body


def delimited(body: bytes, of: int | None = None, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if of is None else of}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def kept_by(studio: Studio, fetch: FetchResult | None = None, *, copies: bool = True) -> Studio:
    """The studio with another keeper."""
    folder, fetch = studio.folder, fetch or Fetcher(loopback=True).fetch
    keeper = Keeper(folder / "out", studio.workshop, fetch, made_in=folder, copies=copies, clock=studio.clock)
    return replace(studio, steps=replace(studio.steps, keeper=keeper))


async def advanced(studio: Studio, task_id: str, times: int = 1) -> Task:
    for _ in range(times):
        await studio.steps.advance(task_id)
    return await studio.store.get(task_id)


async def saving(studio: Studio, *urls: str) -> str:
    """The id of a task whose video is made and not here yet."""
    studio.provider.on_check = lambda _: Report(status=Status.SUCCEEDED, native_status="done", outputs=urls)
    task_id = await studio.start()
    assert (await advanced(studio, task_id, 2)).status is Status.SAVING
    return task_id


def said(task: Task) -> str:
    return task.failure.message if task.failure else ""


def shown(task: Task) -> list[Output]:
    """The outputs an agent is shown."""
    return TaskView.of(task).outputs or []


# What breaks off


async def test_a_result_that_broke_off_is_gone_on_with_in_the_same_try(studio: Studio, site: Site, whole: bytes):
    tag, start = 'ETag: "film"', len(whole) // 3
    part = f"Content-Range: bytes {start}-{len(whole) - 1}/{len(whole)}"
    site.answers = [
        delimited(whole[:start], len(whole), "200 OK", tag),
        delimited(whole[start:], None, "206 Part", part, tag),
    ]

    task = await advanced(studio, await saving(studio, site.url))

    assert task.status is Status.SUCCEEDED
    assert Path(task.outputs[0].file or "").read_bytes() == whole
    assert f"range: bytes={start}-\r\n" in site.heads[1].lower()


async def test_a_cut_video_in_a_body_without_a_length_is_not_taken_and_fetched_again(
    studio: Studio, site: Site, whole: bytes
):
    site.answers = [undelimited(whole[: len(whole) // 2]), undelimited(whole)]

    task_id = await saving(studio, site.url)
    task = await advanced(studio, task_id)
    assert task.status is Status.SAVING
    assert f"it is cut off: it should have at least {len(whole):,} bytes and has {len(whole) // 2:,}" in said(task)

    task = await advanced(studio, task_id)
    assert task.status is Status.SUCCEEDED
    assert Path(task.outputs[0].file or "").read_bytes() == whole


async def test_a_video_that_is_cut_each_time_never_succeeds_and_its_url_is_kept(
    studio: Studio, site: Site, whole: bytes
):
    site.answers = [undelimited(whole[:-1])]

    task = await advanced(studio, await saving(studio, site.url), 6)

    assert task.status is Status.FAILED
    assert "it is cut off" in said(task)
    assert [output.url for output in shown(task)] == [site.url]
    assert len(site.heads) == 4


CONTAINERS: dict[str, dict[str, Any]] = {
    "fast.mp4": {**FAST_START, "audio": 2},
    "index_last.mp4": {},
    "fragments.mp4": {"muxer_options": {"movflags": "frag_keyframe+empty_moov"}, "options": {"g": "8"}},
    "indexed.mp4": {
        "muxer_options": {"movflags": "frag_keyframe+empty_moov+default_base_moof+global_sidx"},
        "options": {"g": "8"},
    },
    "film.mov": FAST_START,
    "film.webm": {"codec": "libvpx"},
    "film.mkv": {},
    "film.avi": {"codec": "mpeg4"},
    "film.ts": {},
    "live.mkv": {"muxer_options": {"live": "1"}},
}


def made(folder: Path, name: str) -> Path:
    return clips.make_gif(folder / name) if name.endswith(".gif") else clips.make(folder / name, **CONTAINERS[name])


def opens_whole(path: Path) -> bool:
    try:
        require_whole(path)
    except InvalidInput:
        return False
    return True


@pytest.mark.parametrize("name", [*CONTAINERS, "film.gif"])
def test_a_container_tells_how_far_it_reaches(tmp_path: Path, name: str):
    content = made(tmp_path, name).read_bytes()
    assert opens_whole(tmp_path / name)

    cut = tmp_path / f"cut-{name}"
    for size in (len(content) - 1, len(content) * 9 // 10, len(content) // 2, len(content) // 3):
        cut.write_bytes(content[: size - (size % 188 == 0)])  # an MPEG-TS that ends between packets tells nothing
        assert not opens_whole(cut)


def test_fragments_with_an_index_are_found_cut_also_where_one_fragment_ends(tmp_path: Path):
    content = made(tmp_path, "indexed.mp4").read_bytes()
    ends = [place - 4 for place in range(len(content)) if content[place : place + 4] == b"moof"][1:]
    assert ends

    for number, end in enumerate(ends):
        (tmp_path / f"{number}.mp4").write_bytes(content[:end])
        assert not opens_whole(tmp_path / f"{number}.mp4")


@pytest.mark.parametrize("name", ["fast.mp4", "film.webm", "film.avi", "film.gif"])
def test_bytes_after_the_end_do_not_make_a_video_a_cut_one(tmp_path: Path, name: str):
    path = made(tmp_path, name)
    content = path.read_bytes()
    for more in (b"\0", b"\0" * 500, b"TAG" + b"x" * 125, b"\xff" * 64):
        path.write_bytes(content + more)
        assert opens_whole(path)


@pytest.mark.parametrize(
    "name", ["fast.mp4", "indexed.mp4", "film.webm", "live.mkv", "film.avi", "film.ts", "film.gif"]
)
def test_whatever_a_file_says_about_its_parts_the_answer_is_yes_or_no(tmp_path: Path, name: str):
    content = made(tmp_path, name).read_bytes()
    path, random = tmp_path / "damaged", Random(7)  # noqa: S311 - the same damage each time
    for _ in range(200):
        damaged = bytearray(content[: random.randrange(24, len(content))])
        for _ in range(random.randrange(1, 40)):
            damaged[random.randrange(12, min(len(damaged), 2000))] = random.choice(
                (0, 1, 8, 255, random.randrange(256))
            )
        path.write_bytes(damaged)
        assert opens_whole(path) in (True, False)


def test_a_gif_of_endless_crumbs_is_not_read_to_its_end(tmp_path: Path):
    path = tmp_path / "crumbs.gif"
    path.write_bytes(b"GIF89a" + struct.pack("<HH", 8, 8) + bytes(3) + b"!\xfe" + b"\1x" * (MOST_PARTS + 1))

    assert opens_whole(path)


# What is left with the provider


async def left(studio: Studio, site: Site, whole: bytes) -> Task:
    """A task whose result was not copied."""
    site.answers = [delimited(whole)]
    return await advanced(studio, await saving(studio, f"{site.url}?signature=s3cret"))


async def test_with_copying_off_a_task_succeeds_with_the_provider_s_url_and_says_what_that_means(
    studio: Studio, site: Site, whole: bytes
):
    task = await left(kept_by(studio, copies=False), site, whole)

    until = datetime.fromtimestamp(studio.clock.now + 600, UTC)
    assert task.status is Status.SUCCEEDED
    assert task.outputs == (Output(url=f"{site.url}?signature=s3cret", expires_at=until, kept=False),)
    (warning,) = task.warnings
    assert "KEYFRAME_KEEP_RESULTS" in warning
    assert f"works until {until:%Y-%m-%d %H:%M} UTC, and view_video and task:{task.id} only" in warning
    assert not (studio.folder / "out").exists()
    assert site.heads == []
    assert TaskView.of(task).data()["outputs"] == [
        {"url": f"{site.url}?signature=s3cret", "expires_at": f"{until:%Y-%m-%dT%H:%M:%SZ}", "kept": False}
    ]


async def test_what_was_not_copied_is_told_by_its_url_wherever_a_task_is_told_of(tmp_path: Path):
    async with open_systems(tmp_path, KEYFRAME_KEEP_RESULTS="0") as systems:
        asked = {"prompt": "a heron", "model": "siliconflow/wan2.2-t2v"}
        started = await systems.client.call_tool("generate_t2v", asked | {"wait_seconds": 40})
        again = await systems.client.call_tool("generate_t2v", asked)
        task = await systems.call("get_task", task_id=(started.structured_content or {})["task_id"])
        seen = await systems.client.call_tool("get_task", {"task_id": task["task_id"]})

        (output,) = task["outputs"]
        assert (task["status"], "file" in output) == ("succeeded", False)
        for told in (started, again, seen):
            assert not told.is_error
            assert text_of(told).startswith(f"Task {task['task_id']} succeeded: {output['url']} (not copied here).\n")
        until = datetime.fromisoformat(output["expires_at"])
        assert f"The video is at {output['url']} (outputs[0].url)" in task["next_step"]
        assert f"works until {until:%Y-%m-%d %H:%M} UTC" in task["next_step"]
        assert "outputs[0].file" not in task["next_step"]
        (line,) = (await systems.call("list_tasks"))["tasks"]
        assert (line["url"], "file" in line) == (output["url"], False)
        assert "KEYFRAME_KEEP_RESULTS=0" in " ".join(task["warnings"])


async def test_where_results_are_copied_nothing_is_said_about_it(studio: Studio, site: Site, whole: bytes):
    task = await left(studio, site, whole)

    assert task.warnings == ()
    assert "kept" not in TaskView.of(task).data()["outputs"][0]  # pyright: ignore[reportIndexIssue] - the wire's dict


def test_fields_that_a_newer_version_gave_an_output_do_not_make_it_unreadable():
    newer = '{"file": "film.mp4", "kept": null, "loudness": -14}'
    assert Output.model_validate_json(newer) == Output(file="film.mp4")


async def test_what_has_no_other_place_is_copied_all_the_same(studio: Studio):
    clip = await studio.clip()
    task_id = await saving(kept_by(studio, copies=False), clip.as_uri())

    task = await advanced(kept_by(studio, copies=False), task_id)

    assert (task.status, task.warnings) == (Status.SUCCEEDED, ())
    assert task.outputs[0].file == str(studio.folder / "out" / f"{task_id}.mp4")


async def test_what_takes_the_provider_s_key_is_copied_all_the_same(studio: Studio, site: Site, whole: bytes):
    site.answers = [delimited(whole)]
    task = await studio.store.get(await saving(studio, site.url))

    kept = await kept_by(studio, copies=False).steps.keeper.keep(task, lambda _: {"Authorization": "Bearer s3cret"})

    assert kept.outputs[0].file is not None
    assert "authorization: bearer s3cret" in site.heads[0].lower()


async def test_what_is_no_url_is_no_place_to_leave_a_result(studio: Studio):
    task_id = await saving(studio, "https://[::1")

    task = await advanced(kept_by(studio, copies=False), task_id, 6)

    assert (task.status, task.failure and task.failure.kind) == (Status.FAILED, "unexpected_reply")


async def test_a_result_left_with_the_provider_is_looked_at_and_continued_from_there(
    studio: Studio, site: Site, whole: bytes
):
    task = await left(kept_by(studio, copies=False), site, whole)

    sheet = await studio.engine.films.sheet(f"task:{task.id}", ME, 4, "tiny")
    frame = await studio.engine.films.frame(f"task:{task.id}", None, ME)
    more = Inputs(mode=Mode.FLF2V, first_image=f"task:{task.id}", last_image=f"task:{task.id}#first")
    started = await studio.engine.start(ME, more, model="paid/film")

    assert sheet.video.frames == 48
    assert frame.at == pytest.approx(47 / 24, abs=0.01)
    assert {picture.width for picture in started.task.pictures.values()} == {160}
    assert len(site.heads) == 4


@pytest.mark.parametrize(
    ("status", "step"),
    [("403 Forbidden", "if that is over, make the video again"), ("503 Unavailable", "try again in a moment")],
)
async def test_a_result_that_the_provider_no_longer_gives_is_said_to_have_been_left_there(
    studio: Studio, site: Site, whole: bytes, status: str, step: str
):
    task = await left(kept_by(studio, copies=False), site, whole)
    site.answers = [delimited(b"<Error/>", None, status)]

    with pytest.raises(CallerError) as caught:
        await studio.engine.films.frame(f"task:{task.id}", None, ME)

    message = str(caught.value)
    assert f"the video of task {task.id} cannot be fetched: " in message
    assert f"answered {status[:3]}" in message
    assert f"the provider keeps it until {task.outputs[0].expires_at:%Y-%m-%d %H:%M} UTC" in message
    assert message.endswith(step)
    assert ("the provider no longer gives it out" in message) == status.startswith("403")
    assert "signing in" not in message
    assert "s3cret" not in message


async def test_half_of_a_result_left_with_the_provider_is_not_taken_for_the_whole(
    studio: Studio, site: Site, whole: bytes
):
    """The last frame of a half is not the last frame."""
    task = await left(kept_by(studio, copies=False), site, whole)
    site.answers = [undelimited(whole[: len(whole) // 2])]

    with pytest.raises(CallerError, match="it is cut off"):
        await studio.engine.films.frame(f"task:{task.id}", None, ME)


async def test_a_path_outside_is_refused_with_the_workspace_the_client_says_it_has(studio: Studio):
    caller = replace(ME, workspaces=("/home/me/film", "/home/me/book"))

    with pytest.raises(CallerError) as caught:
        await studio.engine.films.frame("/home/me/film/take.mp4", None, caller)

    assert f"outside the folders this server may read: {studio.folder}. Copy the file there, or have " in str(
        caught.value
    )
    assert "KEYFRAME_ALLOWED_DIRS changed: your client says its workspace is /home/me/film; " in str(caught.value)


# What finds no room


class Shelf:
    """The real way to fetch, onto a disk with room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    async def fetch(
        self,
        url: str,
        into: IO[bytes],
        most_bytes: int,
        seconds: float,
        headers: Mapping[str, str],
        *,
        idle: float | None,
    ) -> None:
        await Fetcher(loopback=True).fetch(url, into, most_bytes, seconds, headers, idle=idle)
        if into.tell() > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")


async def test_while_the_disk_is_full_a_task_stays_saving_shows_the_url_and_goes_on_by_itself(
    studio: Studio, site: Site, whole: bytes
):
    site.answers = [delimited(whole)]
    shelf = Shelf(1000)
    full = kept_by(studio, shelf.fetch)
    task_id = await saving(full, site.url)

    for _ in range(6):
        assert await full.steps.advance(task_id) == full.steps.pace.saving
        task = await studio.store.get(task_id)
        assert (task.status, task.failure and task.failure.kind) == (Status.SAVING, "output_unwritable")
        assert "cannot be written (No space left on device)" in said(task)
        assert "it is tried again by itself" in said(task)
        assert [output.url for output in shown(task)] == [site.url]
        assert list((studio.folder / "out").iterdir()) == []

    shelf.room = 1 << 30
    task = await advanced(full, task_id)
    assert (task.status, task.failure) == (Status.SUCCEEDED, None)
    assert Path(task.outputs[0].file or "").read_bytes() == whole


async def test_what_is_too_large_fails_at_once_with_a_sentence_and_keeps_its_url(studio: Studio, site: Site):
    site.answers = [delimited(b"x", 3 << 30)]

    task = await advanced(studio, await saving(studio, site.url))

    assert task.status is Status.FAILED
    assert "has more than 2,147,483,648 bytes, which is the most that works" in said(task)
    assert "Its URL in outputs works until " in said(task)
    assert [output.url for output in shown(task)] == [site.url]
    assert len(site.heads) == 1


# In a running server


async def test_a_running_server_goes_on_by_itself_once_its_folder_can_be_written(tmp_path: Path):
    (tmp_path / "out").write_text("a file where the folder should be")
    async with SiliconFlow() as provider:
        chosen = {"KEYFRAME_SILICONFLOW_BASE_URL": provider.base_url, "SILICONFLOW_API_KEY": "emulated-key"}
        async with open_server_inside(tmp_path, **chosen, KEYFRAME_ALLOW_LOOPBACK="1") as application:
            engine = application.engine
            words = Inputs(mode=Mode.T2V, prompt="a heron")
            task_id = (await engine.start(ME, words, model="siliconflow/wan2.2-t2v")).task.id
            with anyio.fail_after(30):
                async for (task,) in engine.follow([task_id], ME, 30):
                    if task.failure is not None:
                        break
            held = await engine.get(task_id, ME)
            (tmp_path / "out").unlink()
            with anyio.fail_after(30):
                seen = [latest async for (latest,) in engine.follow([task_id], ME, 30)]

    assert (held.status, held.failure and held.failure.kind) == (Status.QUEUED, "output_unwritable")
    assert seen[-1].status is Status.SUCCEEDED


async def test_the_setting_reaches_the_results_of_a_running_server(tmp_path: Path):
    async with SiliconFlow() as provider:
        chosen = {"KEYFRAME_SILICONFLOW_BASE_URL": provider.base_url, "SILICONFLOW_API_KEY": "emulated-key"}
        chosen |= {"KEYFRAME_ALLOW_LOOPBACK": "1", "KEYFRAME_KEEP_RESULTS": "0"}
        async with open_server_inside(tmp_path, **chosen) as application:
            engine = application.engine
            words = Inputs(mode=Mode.T2V, prompt="a heron")
            task_id = (await engine.start(ME, words, model="siliconflow/wan2.2-t2v")).task.id
            with anyio.fail_after(30):
                seen = [latest async for (latest,) in engine.follow([task_id], ME, 30)]

    assert seen[-1].status is Status.SUCCEEDED
    assert [(output.kept, output.file) for output in seen[-1].outputs] == [(False, None)]
    assert provider.asked("download") == []


# Where a result may not be


INSIDE = [
    "localhost",
    "localhost.",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "10.0.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.169.254.",
    "0xA9FEA9FE",
    "192.168.0.1",
    "224.0.0.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:169.254.169.254%25lo]",
    "[64:ff9b::169.254.169.254]",
    "[2002:7f00:1::]",
    "[fe80::1%25lo]",
    "[fd00:ec2::254]",
    "\uff11\uff12\uff17.0.0.1",
    "user:password@127.0.0.1",
    "127.0.0.1:22",
]


REASONS = ("not on the public internet", "no user name or password", "only the https port", "is not known", "not a URL")


@pytest.mark.parametrize("host", INSIDE)
async def test_a_result_at_no_spelling_of_an_inside_address_is_fetched(studio: Studio, host: str):
    closed = kept_by(studio, Fetcher().fetch)

    task = await advanced(closed, await saving(closed, f"https://{host}/film.mp4"))

    assert task.status is Status.SAVING
    reasons = (
        "not on the public internet",
        "no user name or password",
        "only the https port",
        "is not known",
        "not a URL",
    )
    assert any(reason in said(task) for reason in reasons)
    assert not any((studio.folder / "out").glob("*"))

"""Results on their way from a provider to the output folder, over real connections."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

import anyio
import pytest
from PIL import Image

from keyframe_mcp.engine.keeper import FetchResult, Keeper
from keyframe_mcp.engine.kept import Kept
from keyframe_mcp.errors import (
    KeyframeError,
    OutputUnwritable,
    ProviderUnavailable,
    RenderFailed,
    ResultGone,
    UnexpectedReply,
)
from keyframe_mcp.media.fetch import Fetcher
from keyframe_mcp.media.orders import Order
from keyframe_mcp.media.workshop import Workshop
from keyframe_mcp.task import Mode, Output, Task
from media import clips

PATIENCE = 60
ID = "task-1"
SECRET = "s3cret"  # noqa: S105 - the word to look for


@dataclass(frozen=True)
class Answer:
    """What the host says. `length` is the one it declares, when that is not true."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    length: int | None = None


class Host:
    """Where a provider keeps its results."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.keys: list[str | None] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def serve(self, path: str, content: Path | bytes | Answer) -> str:
        """Put something there; its URL."""
        content = content.read_bytes() if isinstance(content, Path) else content
        self.answers[path] = Answer(content) if isinstance(content, bytes) else content
        return f"http://{self.name}{path}"

    @property
    def name(self) -> str:
        """As error texts name it."""
        return f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class Handler(BaseHTTPRequestHandler):
    def __init__(self, host: Host, *rest: Any) -> None:
        self._host = host
        super().__init__(*rest)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self._host.asked.append(path)
        self._host.keys.append(self.headers["Authorization"])
        answer = self._host.answers[path]
        self.send_response(answer.status)
        declared = len(answer.body) if answer.length is None else answer.length
        for name, value in {"Content-Length": str(declared), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - says nothing
        return


@pytest.fixture
def host() -> Iterator[Host]:
    opened = Host()
    yield opened
    opened.close()


@pytest.fixture
async def workshop() -> AsyncGenerator[Workshop]:
    opened = Workshop()
    yield opened
    await opened.aclose()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def keeper(tmp_path: Path, out: Path, workshop: Workshop) -> Keeper:
    return keeping(out, workshop)


def keeping(out: Path, workshop: Workshop, fetch: FetchResult | None = None) -> Keeper:
    """One for whom it is 1970-01-12 13:46:40 UTC."""
    fetch = fetch or Fetcher(loopback=True).fetch
    return Keeper(out, workshop, fetch, made_in=out.parent / "renders", clock=lambda: 1_000_000)


def task(*urls: str, expires_at: float | None = None) -> Task:
    return Task(
        id=ID,
        owner="me",
        mode=Mode.T2V,
        model="paid/film",
        provider="paid",
        request={},
        wire={},
        request_hash="",
        remote_outputs=urls,
        remote_expires_at=expires_at,
        created_at=0,
        updated_at=0,
    )


async def keep(keeper: Keeper, *urls: str, **more: Any) -> Kept:
    with anyio.fail_after(PATIENCE):
        return await keeper.keep(task(*urls, **more))


async def refusal(keeper: Keeper, *urls: str, **more: Any) -> KeyframeError:
    with pytest.raises(KeyframeError) as caught:
        await keep(keeper, *urls, **more)
    assert SECRET not in str(caught.value)
    return caught.value


def film(folder: Path, name: str = "film.mp4", frames: int = 24, **how: Any) -> Path:
    return clips.make(folder / name, frames, **how)


def preview(folder: Path, name: str) -> Path:
    Image.new("RGB", (64, 48), "orange").save(folder / name)
    return folder / name


def names(folder: Path) -> list[str]:
    """What a folder holds, unfinished files included."""
    return sorted(path.name for path in folder.iterdir())


def shown(kept: Kept) -> list[str | None]:
    return [output.file and Path(output.file).name for output in kept.outputs]


async def test_a_result_is_brought_here_opened_and_described(tmp_path: Path, host: Host, keeper: Keeper, out: Path):
    made = film(tmp_path)
    url = host.serve("/film.mp4", made)

    kept = await keep(keeper, f"{url}?signature={SECRET}", expires_at=1_000_600)

    assert kept.warnings == ()
    assert kept.outputs == (
        Output(
            url=f"{url}?signature={SECRET}",
            file=str(out / "task-1.mp4"),
            mime_type="video/mp4",
            width=160,
            height=96,
            duration=1.0,
            fps=24.0,
            size_bytes=made.stat().st_size,
            expires_at=datetime.fromtimestamp(1_000_600, UTC),
        ),
    )
    assert (out / "task-1.mp4").read_bytes() == made.read_bytes()
    assert names(out) == ["task-1.mp4"]


@pytest.mark.parametrize(
    ("made", "mime_type"),
    [
        (("task-1.mp4", {"muxer_options": {"movflags": "faststart"}}), "video/mp4"),
        (("task-1.mp4", {"muxer_options": {"movflags": "frag_keyframe+empty_moov"}}), "video/mp4"),
        (("task-1.mov", {}), "video/quicktime"),
        (("task-1.webm", {"codec": "libvpx"}), "video/webm"),
        (("task-1.mkv", {}), "video/x-matroska"),
        (("task-1.avi", {"codec": "mpeg4"}), "video/x-msvideo"),
        (("task-1.ts", {}), "video/mp2t"),
    ],
)
async def test_the_ending_follows_from_the_bytes_and_not_from_the_url(
    tmp_path: Path, host: Host, keeper: Keeper, made: tuple[str, dict[str, Any]], mime_type: str
):
    name, how = made
    url = host.serve("/result.bin", film(tmp_path, name, **how))

    kept = await keep(keeper, url)

    assert (shown(kept), kept.outputs[0].mime_type) == ([name], mime_type)


async def test_a_gif_is_a_video(tmp_path: Path, host: Host, keeper: Keeper, out: Path):
    url = host.serve("/film.gif", clips.make_gif(tmp_path / "film.gif"))

    (output,) = (await keep(keeper, url)).outputs

    assert names(out) == ["task-1.gif"]
    assert (output.mime_type, output.duration, output.fps) == ("image/gif", 1.2, 10.0)


async def test_of_several_outputs_the_videos_come_first_and_each_is_named_after_its_place(
    tmp_path: Path, host: Host, keeper: Keeper, out: Path
):
    files = [
        *(preview(tmp_path, name) for name in ("a.png", "b.jpg", "c.webp", "d.avif")),
        film(tmp_path, "e.mp4"),
        clips.make_gif(tmp_path / "f.gif"),
    ]
    urls = [host.serve(f"/{file.name}", file) for file in files]

    kept = await keep(keeper, *urls)

    videos, pictures = (
        ["task-1-5.mp4", "task-1-6.gif"],
        ["task-1.png", "task-1-2.jpg", "task-1-3.webp", "task-1-4.avif"],
    )
    assert shown(kept) == videos + pictures
    assert names(out) == sorted(videos + pictures)
    assert [output.url for output in kept.outputs] == [*urls[4:], *urls[:4]]
    picture = kept.outputs[2]
    assert (picture.mime_type, picture.width, picture.height) == ("image/png", 64, 48)
    assert (picture.duration, picture.fps, picture.size_bytes) == (None, None, files[0].stat().st_size)


async def test_the_headers_for_a_result_go_to_its_host_alone(tmp_path: Path, host: Host, keeper: Keeper):
    elsewhere = Host()
    try:
        moved = elsewhere.serve("/film.mp4", film(tmp_path))
        url = host.serve("/old", Answer(status=302, headers={"Location": moved}))
        with anyio.fail_after(PATIENCE):
            await keeper.keep(task(url), lambda asked: {"Authorization": f"Bearer {asked == url}"})
    finally:
        elsewhere.close()

    assert (host.keys, elsewhere.keys) == (["Bearer True"], [None])


@pytest.mark.parametrize("expires_at", [1e18, -1e18, float("inf"), float("nan")])
async def test_an_expiry_that_no_calendar_has_is_no_reason_to_lose_a_video(
    tmp_path: Path, host: Host, keeper: Keeper, expires_at: float
):
    url = host.serve("/film.mp4", film(tmp_path))

    assert isinstance(await refusal(keeper, "http://127.0.0.1:1/", expires_at=expires_at), ProviderUnavailable)
    assert (await keep(keeper, url, expires_at=expires_at)).outputs[0].expires_at is None


# What an earlier try has kept


async def test_what_is_in_place_already_is_not_fetched_again(tmp_path: Path, host: Host, keeper: Keeper):
    urls = [host.serve("/film.mp4", film(tmp_path)), host.serve("/end.png", preview(tmp_path, "end.png"))]
    first = await keep(keeper, *urls)

    assert await keep(keeper, *urls) == first
    assert sorted(host.asked) == ["/end.png", "/film.mp4"]


async def test_a_spoiled_file_of_an_earlier_try_is_fetched_again(tmp_path: Path, host: Host, keeper: Keeper, out: Path):
    url = host.serve("/film.mp4", film(tmp_path))
    out.mkdir()
    (out / "task-1.mp4").write_bytes(b"half a film")

    await keep(keeper, url)

    assert (out / "task-1.mp4").read_bytes() == host.answers["/film.mp4"].body


async def test_after_passing_trouble_only_what_is_missing_is_fetched(
    tmp_path: Path, host: Host, keeper: Keeper, out: Path
):
    urls = [host.serve("/a.mp4", Answer(status=503)), host.serve("/b.mp4", film(tmp_path))]

    error = await refusal(keeper, *urls)

    assert isinstance(error, ProviderUnavailable)
    trouble = f"the video is made, but {host.name} answered 503 for the result; it is tried again by itself"
    assert str(error) == f"1 of 2 outputs are kept; {trouble}"
    assert names(out) == ["task-1-2.mp4"]
    host.serve("/a.mp4", film(tmp_path, frames=12))
    assert shown(await keep(keeper, *urls)) == ["task-1.mp4", "task-1-2.mp4"]
    assert sorted(host.asked) == ["/a.mp4", "/a.mp4", "/b.mp4"]


async def test_two_keepers_at_once_leave_one_good_file(tmp_path: Path, host: Host, workshop: Workshop, out: Path):
    url = host.serve("/film.mp4", film(tmp_path))
    ends: list[Kept] = []

    async def keep_it() -> None:
        ends.append(await keep(keeping(out, workshop), url))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep_it)
        tasks.start_soon(keep_it)

    assert ends[0] == ends[1]
    assert names(out) == ["task-1.mp4"]
    assert (out / "task-1.mp4").read_bytes() == host.answers["/film.mp4"].body


# What cannot be had


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
async def test_a_result_the_provider_no_longer_gives_is_gone(host: Host, keeper: Keeper, out: Path, status: int):
    url = host.serve("/film.mp4", Answer(b"<Error/>", status))

    error = await refusal(keeper, f"{url}?signature={SECRET}", expires_at=999_940)

    assert isinstance(error, ResultGone)
    gone = f"{host.name} answered {status} for the result: the provider no longer gives it out"
    assert str(error) == f"{gone}; it was kept there until 1970-01-12 13:45 UTC"
    assert names(out) == []


@pytest.mark.parametrize(
    "answer",
    [Answer(status=429), Answer(status=500), Answer(status=503), Answer(b"half a film", length=5000)],
)
async def test_passing_trouble_is_to_be_tried_again(host: Host, keeper: Keeper, out: Path, answer: Answer):
    url = host.serve("/film.mp4", answer)

    error = await refusal(keeper, f"{url}?signature={SECRET}", expires_at=900_000 + 86_400)

    assert isinstance(error, ProviderUnavailable)
    assert error.retryable
    assert str(error).startswith("the video is made, but ")
    assert "127.0.0.1" in str(error)
    assert SECRET not in str(error)
    assert "signing in" not in str(error)
    assert names(out) == []


async def test_a_host_that_is_not_there_is_passing_trouble(keeper: Keeper):
    assert isinstance(await refusal(keeper, "http://127.0.0.1:1/film.mp4"), ProviderUnavailable)


async def test_trouble_that_outlasts_the_result_by_a_day_is_not_passing(host: Host, keeper: Keeper):
    url = host.serve("/film.mp4", Answer(status=503))

    assert isinstance(await refusal(keeper, url, expires_at=1_000_000 - 86_300), ProviderUnavailable)
    error = await refusal(keeper, url, expires_at=1_000_000 - 86_500)
    assert isinstance(error, ResultGone)
    assert "answered 503" in str(error)
    assert "kept there until 1970-01-11" in str(error)


@pytest.mark.parametrize(
    ("body", "looks"),
    [
        (b"<!DOCTYPE html>" + b"x" * 517, "an HTML page of 532 bytes"),
        (b"\n<HTML><title>Sign in</title>", "an HTML page of 29 bytes"),
        (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "an XML text of 48 bytes"),
        (b'{"error": "expired"}', "a JSON text of 20 bytes"),
        (b"not ready", "a text of 9 bytes"),
        (b"", "an empty file"),
        (b"PK\x03\x04" + bytes(1000), "a ZIP archive of 1,004 bytes"),
        (bytes(range(250)), "a file in no known format of 250 bytes"),
        (b"\0\0\0\x18ftypisom" + bytes(500), "a video of 512 bytes"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "a picture of 508 bytes"),
    ],
)
async def test_what_is_no_video_and_no_picture_is_not_kept_and_said_to_be_what_it_is(
    host: Host, keeper: Keeper, out: Path, body: bytes, looks: str
):
    error = await refusal(keeper, host.serve("/film.mp4", body))

    assert isinstance(error, UnexpectedReply)
    assert f"what {host.name} sent looks like {looks} and is no video or picture that opens: " in str(error)
    assert names(out) == []


async def test_a_video_cut_short_without_a_word_and_a_song_are_not_kept(
    tmp_path: Path, host: Host, keeper: Keeper, out: Path
):
    whole = film(tmp_path).read_bytes()
    cut = host.serve("/cut.mp4", whole[: len(whole) // 2])
    song = host.serve("/song.mp4", clips.make_song(tmp_path / "song.mp4"))

    assert "damaged or incomplete" in str(await refusal(keeper, cut))
    assert "sound and no picture" in str(await refusal(keeper, song))
    assert names(out) == []


@pytest.mark.parametrize("location", ["http://10.0.0.1/film.mp4", "file:///etc/passwd", "http://169.254.169.254/"])
async def test_a_redirect_to_an_inside_address_is_not_followed(host: Host, keeper: Keeper, out: Path, location: str):
    url = host.serve("/film.mp4", Answer(status=302, headers={"Location": location}))

    error = await refusal(keeper, url)

    assert isinstance(error, UnexpectedReply)
    assert "the result cannot be fetched: " in str(error)
    assert names(out) == []


async def test_a_result_that_is_far_too_large_is_refused_before_it_is_read(host: Host, keeper: Keeper):
    url = host.serve("/film.mp4", Answer(b"x", length=3 << 30))

    assert "more than 2,147,483,648 bytes" in str(await refusal(keeper, url))


@pytest.mark.parametrize("url", ["ftp://a.example/film.mp4", "data:video/mp4;base64,AAAA", "film.mp4", "https://[::1"])
async def test_what_is_no_address_of_a_file_is_not_kept(keeper: Keeper, url: str):
    assert isinstance(await refusal(keeper, url), UnexpectedReply)


async def test_a_provider_that_names_a_file_of_this_machine_does_not_get_it_moved(tmp_path: Path, keeper: Keeper):
    private = film(tmp_path, "private.mp4")
    (tmp_path / "renders").mkdir()
    (tmp_path / "renders" / "link").symlink_to(tmp_path)

    for path in (private, tmp_path / "renders" / ".." / "private.mp4", tmp_path / "renders" / "link" / "private.mp4"):
        assert isinstance(await refusal(keeper, f"file://{path}"), UnexpectedReply)
    assert private.exists()


async def test_a_render_of_this_machine_is_moved(tmp_path: Path, keeper: Keeper, out: Path):
    (tmp_path / "renders").mkdir()
    made = film(tmp_path / "renders")

    (output,) = (await keep(keeper, made.as_uri())).outputs

    assert (output.url, output.duration, shown(Kept((output,)))) == (None, 1.0, ["task-1.mp4"])
    assert (names(out), names(tmp_path / "renders")) == (["task-1.mp4"], [])


async def test_results_that_came_inside_an_answer_are_kept_like_others(tmp_path: Path, keeper: Keeper, out: Path):
    folder = tmp_path / "renders" / "acme"
    folder.mkdir(parents=True)
    files = [preview(folder, "a.png"), film(folder, "b.mp4"), folder / "c.part"]
    files[2].write_text("neither")

    kept = await keep(keeper, *(file.as_uri() for file in files))

    assert shown(kept) == ["task-1-2.mp4", "task-1.png", None]
    assert [output.url for output in kept.outputs] == [None] * 3
    assert kept.warnings[0].startswith("output 3 of 3 is lost: c.part: this is a text")
    assert names(out) == ["task-1-2.mp4", "task-1.png"]


async def test_a_render_that_vanished_is_said_to_be_missing(tmp_path: Path, keeper: Keeper):
    error = await refusal(keeper, (tmp_path / "renders" / "film.mp4").as_uri())

    assert str(error) == "film.mp4: there is no such file"


async def test_no_output_is_not_success(keeper: Keeper):
    error = await refusal(keeper)

    assert isinstance(error, UnexpectedReply)
    assert str(error) == "the provider says that the video is made, and gave no output"


async def test_pictures_without_a_video_are_kept_and_are_not_success(
    tmp_path: Path, host: Host, keeper: Keeper, out: Path
):
    error = await refusal(keeper, host.serve("/end.png", preview(tmp_path, "end.png")))

    assert isinstance(error, UnexpectedReply)
    assert f"gave pictures only, which are kept: {out / 'task-1.png'}" in str(error)


# Some of several


async def test_where_one_video_is_kept_a_lost_one_is_a_warning(tmp_path: Path, host: Host, keeper: Keeper):
    urls = [
        host.serve("/a.png", preview(tmp_path, "a.png")),
        host.serve("/b.mp4", Answer(status=404)),
        host.serve("/c.mp4", film(tmp_path)),
        host.serve("/d.mp4", b"<html>"),
    ]

    kept = await keep(keeper, *urls, expires_at=1_000_600)

    assert shown(kept) == ["task-1-3.mp4", "task-1.png", None, None]
    lost = kept.outputs[2]
    assert (lost.url, lost.expires_at, lost.mime_type) == (urls[1], datetime.fromtimestamp(1_000_600, UTC), None)
    gone = f"{host.name} answered 404 for the result: the provider no longer gives it out"
    assert kept.warnings[0] == f"output 2 of 4 is lost: {gone}"
    page = f"what {host.name} sent looks like an HTML page of 6 bytes"
    assert kept.warnings[1].startswith(f"output 4 of 4 is lost: {page}")


async def test_a_preview_alone_does_not_make_up_for_a_lost_video(tmp_path: Path, host: Host, keeper: Keeper):
    urls = [
        host.serve("/a.png", preview(tmp_path, "a.png")),
        host.serve("/b.mp4", b"<html>"),
        host.serve("/c.mp4", Answer(status=404)),
    ]

    error = await refusal(keeper, *urls)

    assert isinstance(error, ResultGone)
    gone = f"{host.name} answered 404 for the result: the provider no longer gives it out"
    assert str(error) == f"1 of 3 outputs are kept; {gone}"


async def test_while_something_may_still_come_nothing_is_given_up(tmp_path: Path, host: Host, keeper: Keeper):
    urls = [
        host.serve("/a.mp4", Answer(status=404)),
        host.serve("/b.mp4", Answer(status=500)),
        host.serve("/c.mp4", film(tmp_path)),
    ]

    assert isinstance(await refusal(keeper, *urls), ProviderUnavailable)


# This machine's own trouble


async def full_disk(
    url: str, into: IO[bytes], most_bytes: int, seconds: float, headers: Mapping[str, str], *, idle: float | None
) -> None:
    into.write(b"the beginning of a film")
    raise OSError(errno.ENOSPC, "No space left on device")


async def endless(
    url: str, into: IO[bytes], most_bytes: int, seconds: float, headers: Mapping[str, str], *, idle: float | None
) -> None:
    into.write(b"the beginning of a film")
    await anyio.sleep_forever()


async def test_a_disk_that_fills_up_is_said_and_nothing_is_left_on_it(workshop: Workshop, out: Path):
    error = await refusal(keeping(out, workshop, full_disk), "https://a.example/film.mp4")

    assert isinstance(error, OutputUnwritable)
    assert "the output folder cannot be written (No space left on device)" in str(error)
    assert str(out) not in str(error)  # the log has the path: who asks may be anybody
    assert names(out) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
async def test_a_disk_that_is_found_full_only_at_the_flush_is_said_too(
    tmp_path: Path, host: Host, workshop: Workshop, out: Path
):
    """The real fetcher; what it writes fits into the buffer, and the system then refuses to take it."""
    url = host.serve("/film.mp4", b"short enough")

    async def fetch(
        url: str, into: IO[bytes], most_bytes: int, seconds: float, headers: Mapping[str, str], *, idle: float | None
    ) -> None:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, into.fileno())
        os.close(full)
        await Fetcher(loopback=True).fetch(url, into, most_bytes, seconds, headers, idle=idle)

    error = await refusal(keeping(out, workshop, fetch), url)

    assert isinstance(error, OutputUnwritable)
    assert "No space left on device" in str(error)
    assert names(out) == []


async def test_a_folder_that_cannot_be_made_keeps_the_result_until_it_is_mended(
    tmp_path: Path, host: Host, keeper: Keeper, out: Path
):
    url = host.serve("/film.mp4", film(tmp_path))
    out.write_text("a file where the folder should be")

    assert isinstance(await refusal(keeper, url), OutputUnwritable)
    assert host.asked == []
    out.unlink()
    assert shown(await keep(keeper, url)) == ["task-1.mp4"]


async def test_a_download_that_is_stopped_leaves_nothing_behind(workshop: Workshop, out: Path):
    with anyio.move_on_after(0.1) as scope:
        await keeping(out, workshop, endless).keep(task("https://a.example/film.mp4"))

    assert scope.cancelled_caught
    assert names(out) == []


class StumblingWorkshop(Workshop):
    """Its worker dies so many times, then does its work."""

    def __init__(self, deaths: int) -> None:
        super().__init__()
        self._deaths = deaths

    async def run(self, order: Order[Any], *rest: Any, **more: Any) -> Any:
        if self._deaths:
            self._deaths -= 1
            raise RenderFailed("the media worker stopped (exit code -9)")
        return await super().run(order, *rest, **more)


@pytest.mark.parametrize(("deaths", "is_kept"), [(1, True), (2, False)])
async def test_a_worker_that_died_while_checking_gets_a_second_try(
    tmp_path: Path, host: Host, out: Path, deaths: int, is_kept: bool
):
    url = host.serve("/film.mp4", film(tmp_path))
    workshop = StumblingWorkshop(deaths)
    try:
        if is_kept:
            assert shown(await keep(keeping(out, workshop), url)) == ["task-1.mp4"]
        else:
            error = await refusal(keeping(out, workshop), url)
            assert isinstance(error, UnexpectedReply)
            assert f"what {host.name} sent could not be checked: the media worker stopped" in str(error)
    finally:
        await workshop.aclose()


def test_a_server_that_fetches_nothing_loads_no_http_client():
    code = "import sys, keyframe_mcp.engine.keeper; sys.exit('httpx' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=PATIENCE).returncode == 0

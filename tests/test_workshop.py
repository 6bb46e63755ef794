"""The media worker, as a real process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import anyio.lowlevel
import psutil
import pytest
from PIL import Image

import keyframe_mcp
from keyframe_mcp.errors import RenderFailed, UnreadableImage
from keyframe_mcp.media.orders import CheckImage, ImageFacts, Order, ProbeVideo, RenderVideo, VideoFacts, reply_type
from keyframe_mcp.media.workshop import SAFE_VARIABLES, Workshop, clean_environment
from keyframe_mcp.task import Mode

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="looks at processes the POSIX way")
PATIENCE = 60


@pytest.fixture
async def workshop() -> AsyncGenerator[Workshop]:
    opened = Workshop(environment={**os.environ, "ACME_API_KEY": "s3cret", "HTTPS_PROXY": "http://user:s3cret@proxy"})
    yield opened
    await opened.aclose()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "fox.png"
    Image.new("RGB", (64, 48), "orange").save(path)
    return path


@pytest.fixture
def endless(tmp_path: Path) -> RenderVideo:
    """An order that takes far longer than any of these tests."""
    return RenderVideo(mode=Mode.T2V, to=tmp_path / "film.mp4", prompt="a fox", resolution="1080p", duration=30)


def warm(workshop: Workshop) -> int:
    """The process that waits for the next order."""
    (worker,) = workshop._idle
    return worker._process.pid


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def children() -> set[int]:
    """The processes this one has started and not seen end."""
    return {process.pid for process in psutil.Process().children()}


async def test_an_order_is_answered(workshop: Workshop, picture: Path):
    with anyio.fail_after(PATIENCE):
        facts = await workshop.run(CheckImage(path=picture))

    assert facts == ImageFacts(width=64, height=48, mime_type="image/png", size_bytes=picture.stat().st_size)


async def test_a_worker_that_died_while_it_waited_is_replaced(workshop: Workshop, picture: Path):
    with anyio.fail_after(PATIENCE):
        await workshop.run(CheckImage(path=picture))
        waiting = psutil.Process(warm(workshop))
        waiting.kill()
        await anyio.to_thread.run_sync(waiting.wait, 5)
        facts = await workshop.run(CheckImage(path=picture))

        assert facts.width == 64
        assert warm(workshop) != waiting.pid


async def test_a_second_order_finds_the_worker_warm_even_after_a_bad_file(workshop: Workshop, picture: Path):
    bad = picture.with_name("bad.png")
    bad.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    with anyio.fail_after(PATIENCE):
        await workshop.run(CheckImage(path=picture))
        first = warm(workshop)
        with pytest.raises(UnreadableImage) as caught:
            await workshop.run(CheckImage(path=bad))
        second = warm(workshop)
        await workshop.run(CheckImage(path=picture))

    assert first == second == warm(workshop)
    assert type(caught.value) is UnreadableImage
    assert "bad.png" in str(caught.value)


async def test_the_worker_never_sees_a_key(workshop: Workshop, picture: Path):
    with anyio.fail_after(PATIENCE):
        await workshop.run(CheckImage(path=picture))
    if sys.platform != "linux":
        pytest.skip("only Linux shows the environment of a process")
    environment = await anyio.Path(f"/proc/{warm(workshop)}/environ").read_bytes()

    assert b"s3cret" not in environment
    assert {line.partition(b"=")[0].decode() for line in environment.split(b"\0") if line} <= {
        *SAFE_VARIABLES,
        "PYTHONIOENCODING",
        "PYTHONPATH",
        "PYTHONUNBUFFERED",
    }


def test_only_what_python_needs_to_start_is_passed_on():
    environment = {"PATH": "/bin", "HOME": "/home/me", "ACME_API_KEY": "s3cret", "PYTHONPATH": "/x", "KEYFRAME_X": "1"}

    assert clean_environment(environment) == {
        "PATH": "/bin",
        "HOME": "/home/me",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": str(Path(keyframe_mcp.__file__).parent.parent),  # our own, not the caller's
        "PYTHONUNBUFFERED": "1",
    }


async def test_a_worker_that_dies_in_the_middle_is_an_error_with_a_reason(
    workshop: Workshop, picture: Path, endless: RenderVideo
):
    fractions: list[float] = []
    with anyio.fail_after(PATIENCE):
        await workshop.run(CheckImage(path=picture))
        pid = warm(workshop)

        def kill_once_it_draws(fraction: float) -> None:
            if not fractions:
                os.kill(pid, signal.SIGKILL)
            fractions.append(fraction)

        with pytest.raises(RenderFailed, match=r"the media worker stopped \(exit code -9\)"):
            await workshop.run(endless, kill_once_it_draws)

        assert not is_running(pid)
        assert (await workshop.run(CheckImage(path=picture))).width == 64
    assert all(0 <= fraction <= 1 for fraction in fractions)


async def test_a_warm_worker_that_died_does_not_spoil_the_next_order(workshop: Workshop, picture: Path):
    with anyio.fail_after(PATIENCE):
        await workshop.run(CheckImage(path=picture))
        pid = warm(workshop)
        os.kill(pid, signal.SIGKILL)
        while workshop._idle[0].is_reusable:
            await anyio.lowlevel.checkpoint()

        assert (await workshop.run(CheckImage(path=picture))).width == 64
        assert warm(workshop) != pid


async def test_cancelling_an_order_kills_the_process(workshop: Workshop, picture: Path, endless: RenderVideo):
    with anyio.fail_after(PATIENCE):
        await workshop.run(CheckImage(path=picture))
        pid = warm(workshop)
        with anyio.CancelScope() as scope:
            await workshop.run(endless, lambda _: scope.cancel())

    assert scope.cancelled_caught
    assert not is_running(pid)
    assert not workshop._idle


async def test_cancelling_before_the_process_has_started_leaves_nothing_behind(workshop: Workshop, picture: Path):
    before = children()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(workshop.run, CheckImage(path=picture))
            while children() == before:
                await anyio.lowlevel.checkpoint()
            scope.cancel()

    assert scope.cancelled_caught
    assert not workshop._idle
    assert children() == before


async def test_an_order_that_takes_too_long_is_stopped(workshop: Workshop, picture: Path, endless: RenderVideo):
    with anyio.fail_after(PATIENCE):
        await workshop.run(CheckImage(path=picture))
        pid = warm(workshop)
        with pytest.raises(RenderFailed, match=r"RenderVideo was stopped after 0\.2 s"):
            await workshop.run(endless, time_limit=0.2)

    assert not is_running(pid)
    assert not endless.to.exists()


async def test_no_more_orders_run_at_once_than_there_are_places(picture: Path):
    workshop = Workshop(places=1)
    running: list[int] = []

    async def one() -> None:
        await workshop.run(CheckImage(path=picture))
        running.append(warm(workshop))

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(one)
        await workshop.aclose()

    assert len(set(running)) == 1


async def test_closing_leaves_nothing_running(picture: Path):
    workshop = Workshop(places=2)
    before = children()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(workshop.run, CheckImage(path=picture))
        warm_ones = children() - before
        assert len(warm_ones) == 2
        await workshop.aclose()

    assert not any(map(is_running, warm_ones))
    assert children() == before


@pytest.mark.parametrize(("order", "reply"), [(CheckImage, ImageFacts), (ProbeVideo, VideoFacts)])
def test_every_order_says_what_it_is_answered_with(order: type[Order[ImageFacts]], reply: type):
    assert reply_type(order.model_construct()) is reply


async def test_what_lies_in_the_working_folder_is_never_run(tmp_path: Path):
    for name in ("numpy.py", "PIL.py", "av.py", "queue.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close(); raise RuntimeError('mine')")
    Image.new("RGB", (64, 48), "orange").save(tmp_path / "fox.png")
    code = (
        "import anyio\nfrom pathlib import Path\nfrom keyframe_mcp.media.orders import CheckImage\n"
        "from keyframe_mcp.media.workshop import Workshop\n"
        "async def main():\n"
        "    workshop = Workshop()\n"
        f"    print((await workshop.run(CheckImage(path=Path({str(tmp_path / 'fox.png')!r})))).width)\n"
        "    await workshop.aclose()\n"
        "anyio.run(main)\n"
    )
    command = [sys.executable, "-P", "-c", code]
    with anyio.fail_after(PATIENCE):
        ended = await anyio.run_process(command, cwd=tmp_path, check=False)

    assert ended.stdout.decode().strip() == "64", ended.stderr.decode()
    assert not (tmp_path / "ran").exists()


async def test_two_workers_that_write_one_file_leave_it_whole(workshop: Workshop, tmp_path: Path):
    to = tmp_path / "film.mp4"
    order = RenderVideo(mode=Mode.T2V, prompt="twice", to=to, duration=4, fps=24)
    other = Workshop()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(workshop.run, order)
            tasks.start_soon(other.run, order)
        facts = await workshop.run(ProbeVideo(path=to))
        await other.aclose()

    assert facts.frames == 96
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]

"""The embedded renderer as a provider: what survives a crash, a restart, and another process."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import psutil
import pytest

from keyframe_mcp.adapters.base import Job, Report
from keyframe_mcp.adapters.local import MOST_STARTS, SILENT_SECONDS, LocalAdapter
from keyframe_mcp.errors import ProviderRefused, RenderFailed
from keyframe_mcp.media.workshop import Workshop
from keyframe_mcp.task import Mode, Status


class Wall:
    """The time of day, shifted by hand."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@asynccontextmanager
async def renderer(folder: Path, wall: Wall | None = None) -> AsyncGenerator[LocalAdapter]:
    """One process's renderer."""
    workshop = Workshop()
    async with anyio.create_task_group() as tasks:
        adapter = LocalAdapter(folder, workshop, tasks, wall or Wall())
        tasks.start_soon(adapter.pulse)
        yield adapter
        await adapter.aclose()
        tasks.cancel_scope.cancel()
    await workshop.aclose()


def job(duration: float = 1, **wire: object) -> Job:
    values = {"prompt": "a card", "duration": duration, "fps": 8} | wire
    return Job(task_id="kf_one", attempt=1, model="storyboard", mode=Mode.T2V, wire=values)


async def until_over(adapter: LocalAdapter, remote_id: str) -> Report:
    with anyio.fail_after(60):
        while (report := await adapter.check(remote_id)).status is Status.RUNNING:
            await anyio.sleep(0.02)  # between two questions, as the runner would
    return report


async def drawing(adapter: LocalAdapter, remote_id: str) -> psutil.Process:
    """The worker process, once it has begun to draw."""
    with anyio.fail_after(30):
        while not (await adapter.check(remote_id)).progress:
            await anyio.sleep(0.02)
    return next(each for each in psutil.Process().children() if "keyframe_mcp.media" in each.cmdline())


async def test_a_render_reports_its_progress_and_its_engine(tmp_path: Path):
    async with renderer(tmp_path) as adapter:
        remote_id = (await adapter.submit(job(8, fps=24))).remote_id
        await drawing(adapter, remote_id)
        assert (await adapter.check(remote_id)).native_status == "drawing"
        report = await until_over(adapter, remote_id)

        assert (report.status, report.engine, report.progress) == (Status.SUCCEEDED, "storyboard", 1.0)
        assert report.outputs == ((tmp_path / "kf_one" / "video.mp4").as_uri(),)


async def test_submitting_twice_makes_one_video(tmp_path: Path):
    async with renderer(tmp_path) as adapter:
        assert await adapter.submit(job()) == await adapter.submit(job())
        await until_over(adapter, "kf_one")

        assert (tmp_path / "kf_one" / "starts").read_text() == "1"


async def test_a_crashed_render_fails_with_its_reason_and_leaves_no_video(tmp_path: Path):
    async with renderer(tmp_path) as adapter:
        remote_id = (await adapter.submit(job(30, resolution="1080p"))).remote_id
        (await drawing(adapter, remote_id)).kill()
        report = await until_over(adapter, remote_id)

        assert report.status is Status.FAILED
        assert report.failure is not None
        assert report.failure.kind == "render_failed"
        assert "exit code -9" in report.failure.message
        assert not (tmp_path / "kf_one" / "video.mp4").exists()


async def test_a_cancelled_render_stops_its_process(tmp_path: Path):
    async with renderer(tmp_path) as adapter:
        remote_id = (await adapter.submit(job(30, resolution="1080p"))).remote_id
        worker = await drawing(adapter, remote_id)

        assert await adapter.cancel(remote_id)
        assert (await adapter.check(remote_id)).status is Status.CANCELLED
        with anyio.fail_after(5):
            while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
                await anyio.sleep(0.02)


async def test_what_a_process_left_unfinished_is_drawn_by_the_next(tmp_path: Path):
    async with renderer(tmp_path) as adapter:
        await drawing(adapter, (await adapter.submit(job(20))).remote_id)
    async with renderer(tmp_path) as adapter:
        assert (await adapter.check("kf_one")).status is Status.RUNNING
        assert (await until_over(adapter, "kf_one")).status is Status.SUCCEEDED


async def test_a_render_another_process_is_at_is_left_alone_until_it_falls_silent(tmp_path: Path):
    wall = Wall()
    async with renderer(tmp_path) as one, renderer(tmp_path, wall) as other:
        worker = await drawing(one, (await one.submit(job(30, resolution="1080p"))).remote_id)
        worker.send_signal(signal.SIGSTOP)
        assert (await other.check("kf_one")).status is Status.RUNNING
        assert (tmp_path / "kf_one" / "starts").read_text() == "1"

        wall.ahead = SILENT_SECONDS + 1
        await other.check("kf_one")
        with anyio.fail_after(10):
            while (tmp_path / "kf_one" / "starts").read_text() != "2":
                await anyio.sleep(0.02)
        worker.send_signal(signal.SIGCONT)
        await other.cancel("kf_one")
        assert (await one.check("kf_one")).status is Status.CANCELLED


async def test_a_render_that_keeps_dying_fails_in_the_end(tmp_path: Path):
    async with renderer(tmp_path) as adapter:
        await adapter.submit(job())
        await until_over(adapter, "kf_one")
        for name in ("facts.json", "progress"):
            (tmp_path / "kf_one" / name).unlink()
        (tmp_path / "kf_one" / "starts").write_text(str(MOST_STARTS))
    async with renderer(tmp_path) as adapter:
        report = await adapter.check("kf_one")

        assert report.status is Status.FAILED
        assert report.failure is not None
        assert "interrupted 3 times" in report.failure.message


async def test_what_it_cannot_draw_is_refused_before_anything_is_written(tmp_path: Path):
    async with renderer(tmp_path) as adapter:
        with pytest.raises(ProviderRefused):
            await adapter.submit(job(fps=500))

        assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="folders have no such permissions there")
async def test_a_folder_that_cannot_be_written_is_a_failure_and_not_a_mystery(tmp_path: Path):
    (tmp_path / "renders").write_text("in the way")
    async with renderer(tmp_path / "renders") as adapter:
        with pytest.raises(RenderFailed, match="cannot be written"):
            await adapter.submit(job())


async def test_what_is_forgotten_leaves_nothing_behind(tmp_path: Path):
    async with renderer(tmp_path) as adapter:
        await adapter.submit(job())
        await until_over(adapter, "kf_one")
        await adapter.forget("kf_one")

        assert list(tmp_path.iterdir()) == []


async def test_waiting_for_a_place_and_orderly_restarts_are_no_interruptions(tmp_path: Path):
    for _ in range(MOST_STARTS + 1):
        async with renderer(tmp_path) as adapter:
            if not (tmp_path / "kf_one").exists():
                await adapter.submit(job(30, resolution="1080p"))
            await drawing(adapter, "kf_one")
    async with renderer(tmp_path) as adapter:
        assert (await adapter.check("kf_one")).status is Status.RUNNING


async def test_a_render_whose_folder_has_gone_fails_and_can_be_cancelled(tmp_path: Path):
    async with renderer(tmp_path) as adapter:
        remote_id = (await adapter.submit(job(30, resolution="1080p"))).remote_id
        await drawing(adapter, remote_id)
        shutil.rmtree(tmp_path / "kf_one")
        assert await adapter.cancel(remote_id)
        report = await until_over(adapter, remote_id)

        assert report.status is Status.FAILED
        assert report.failure is not None
        assert "gone" in report.failure.message

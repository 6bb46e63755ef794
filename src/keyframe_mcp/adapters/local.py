"""The embedded renderer as a provider: no key, no network, no cost.

A render is a folder: the order, then the facts and the video, or the failure. Any process that shares the state
folder can ask after it. A render whose process died is started again, because a second one costs nothing; one that
keeps dying fails.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import anyio
from anyio.abc import TaskGroup
from pydantic import ValidationError

from keyframe_mcp.adapters.base import Accepted, Found, Job, Report, Sent
from keyframe_mcp.errors import KeyframeError, ProviderRefused, RenderFailed, UnexpectedReply
from keyframe_mcp.media.orders import RenderFacts, RenderVideo
from keyframe_mcp.media.workshop import Workshop
from keyframe_mcp.task import Failure, Picture, Status

log = logging.getLogger(__name__)

MOST_STARTS = 3
SILENT_SECONDS = 5  # a render another process started and has not reported on for this long has died
TIME_LIMIT = 1800
PULSE_SECONDS = 1


class LocalAdapter:
    """Renders in the workshop, `places` at a time. `wall_clock` is compared with file times."""

    idempotent = True
    poll_seconds = 0.25
    account = "local"

    def __init__(
        self,
        folder: Path,
        workshop: Workshop,
        tasks: TaskGroup,
        wall_clock: Callable[[], float] = time.time,
        places: int = 1,
    ) -> None:
        self._folder = folder
        self._workshop = workshop
        self._tasks = tasks
        self._clock = wall_clock
        self._places = anyio.CapacityLimiter(places)
        self._running: dict[str, Render] = {}

    async def send(self, picture: Picture) -> Sent:
        """Our own copy is where we can read it."""
        return Sent(text=picture.file)

    async def quote(self, job: Job) -> float | None:
        """It is in the catalogue: nothing."""
        return None

    def describe(self, job: Job) -> None:
        """Nothing goes out."""
        return

    def credentials(self, url: str) -> Mapping[str, str]:
        """Its results are files."""
        return {}

    async def submit(self, job: Job) -> Accepted:
        """Write the order down and start on it. The task's id is the render's."""
        render = Render(self._folder / job.task_id)
        try:
            order = RenderVideo.model_validate({**job.wire, "mode": job.mode, "to": str(render.video)})
            render.folder.mkdir(parents=True, exist_ok=True)
            render.write("order.json", order.model_dump_json())
            if job.task_id not in self._running:
                self._start(job.task_id, render)
        except ValidationError as error:
            raise ProviderRefused(f"the renderer cannot draw this: {error.errors()[0]['msg']}") from None
        except OSError as error:
            raise RenderFailed(f"{self._folder} cannot be written ({error.strerror})") from None
        return Accepted(remote_id=job.task_id)

    async def reach(self) -> None:
        """It is always there."""

    async def check(self, remote_id: str) -> Report:
        """Look at the render's folder, and start it again if whoever was at it is gone."""
        try:
            return self._look(remote_id)
        except OSError as error:
            raise RenderFailed(f"{self._folder} cannot be used ({error.strerror}); it is tried again") from None

    def _look(self, remote_id: str) -> Report:
        render = self._running.get(remote_id) or Render(self._folder / remote_id)
        if outcome := render.outcome():
            return outcome
        if remote_id in self._running:
            return replace(RUNNING, progress=render.progress, native_status=render.phase)
        if (progress := render.elsewhere(self._clock())) is not None:
            return replace(RUNNING, progress=progress)
        if not (render.folder / "order.json").exists():
            return failed(RenderFailed("the files of this render are gone"))
        if render.starts() >= MOST_STARTS:
            return failed(RenderFailed(f"the renderer was interrupted {MOST_STARTS} times"))
        self._start(remote_id, render)
        return RUNNING

    async def find(self, job: Job, sent_at: float) -> Found | None:
        """Never needed: a second render costs nothing."""
        return None

    async def cancel(self, remote_id: str) -> bool:
        """Stop a render: at once if it is ours, else through its folder."""
        render = self._running.get(remote_id) or Render(self._folder / remote_id)
        with suppress(OSError):  # its folder has gone: then there is nothing to stop either, and `check` says so
            if not render.outcome():
                render.write("cancelled", "")
        if render.scope is not None:
            render.scope.cancel()
        return True

    async def aclose(self) -> None:
        """Stop what is running. Its orders stay, and whoever asks after them next starts them again."""
        for render in list(self._running.values()):
            with suppress(OSError):  # its folder is gone when the task ended a moment ago
                render.release()
            if render.scope is not None:
                render.scope.cancel()

    async def forget(self, remote_id: str) -> None:
        """The video has been moved to the output folder; drop the rest."""
        shutil.rmtree(self._folder / remote_id, ignore_errors=True)

    async def pulse(self) -> None:
        """Keep telling other processes which renders are alive, and hear when one of them ended it. Never ends."""
        while True:
            await anyio.sleep(PULSE_SECONDS)
            for render in list(self._running.values()):
                with suppress(OSError):  # a folder that has gone, or a full disk, must not stop the server
                    render.pulse()
                if render.is_over and render.scope is not None:
                    render.scope.cancel()

    def _start(self, remote_id: str, render: Render) -> None:
        render.pulse()
        self._running[remote_id] = render
        self._tasks.start_soon(self._render, remote_id, render)

    async def _render(self, remote_id: str, render: Render) -> None:
        try:
            with anyio.CancelScope() as render.scope:
                async with self._places:
                    await self._draw(render)
        except OSError:
            # Its folder has gone or the disk is full. `check` finds it not running, and starts it again or fails it.
            log.exception("the render %s could not be written down", remote_id)
        finally:
            del self._running[remote_id]

    async def _draw(self, render: Render) -> None:
        """Draw, and leave the outcome in the folder."""
        try:
            order = RenderVideo.model_validate_json(render.read("order.json"))
            render.write("starts", str(render.starts() + 1))
            render.phase = "drawing"
            facts = await self._workshop.run(order, render.report, time_limit=TIME_LIMIT)
            render.write("facts.json", facts.model_dump_json())
        except KeyframeError as error:
            render.write("failure.json", Failure.of(error).model_dump_json())
        except (OSError, ValidationError) as error:
            render.write("failure.json", Failure.of(RenderFailed(str(error))).model_dump_json())


class Render:
    """One render's folder, and how far it is if it runs in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scope: anyio.CancelScope | None = None
        self.progress = 0.0
        self.phase = "waiting"

    @property
    def video(self) -> Path:
        """Where the finished video appears, whole or not at all."""
        return self.folder / "video.mp4"

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody, here or in another process, wants it stopped."""
        return (self.folder / "cancelled").exists()

    @property
    def is_over(self) -> bool:
        """Whether it was cancelled, or finished by another process that took this one for dead."""
        return self.is_cancelled or (self.folder / "facts.json").exists()

    def report(self, fraction: float) -> None:
        """Remember how far it is."""
        self.progress = fraction

    def pulse(self) -> None:
        """Tell other processes that it is alive, and how far it is."""
        self.write("progress", f"{self.progress:.3f}")

    def release(self) -> None:
        """Tell other processes that nobody is at it any more, and that it did nothing wrong."""
        (self.folder / "progress").unlink(missing_ok=True)
        if self.phase == "drawing":
            self.write("starts", str(max(0, self.starts() - 1)))

    def outcome(self) -> Report | None:
        """How it ended, if it has."""
        if self.is_cancelled:
            return Report(status=Status.CANCELLED, native_status="cancelled")
        if (self.folder / "facts.json").exists():
            return finished(self.read("facts.json"))
        if (self.folder / "failure.json").exists():
            failure = Failure.model_validate_json(self.read("failure.json"))
            return Report(status=Status.FAILED, native_status="failed", failure=failure)
        return None

    def elsewhere(self, now: float) -> float | None:
        """How far another process says it is. None when nobody has said so lately."""
        try:
            spoken_at, said = (self.folder / "progress").stat().st_mtime, self.read("progress")
            return float(said) if now - spoken_at < SILENT_SECONDS else None
        except (FileNotFoundError, ValueError):
            return None

    def starts(self) -> int:
        """How often it was started."""
        try:
            return int(self.read("starts"))
        except (FileNotFoundError, ValueError):
            return 0

    def read(self, name: str) -> str:
        """One of its files."""
        return (self.folder / name).read_text("utf-8")

    def write(self, name: str, text: str) -> None:
        """One of its files, whole or not at all."""
        unfinished = self.folder / f".{name}.{os.getpid()}"
        unfinished.write_text(text, "utf-8")
        unfinished.replace(self.folder / name)


RUNNING = Report(status=Status.RUNNING, native_status="drawing")


def finished(text: str) -> Report:
    """The report of a render that is done."""
    try:
        facts = RenderFacts.model_validate_json(text)
    except ValidationError as error:
        raise UnexpectedReply(f"the render's facts cannot be read: {error.errors()[0]['msg']}") from None
    return Report(
        status=Status.SUCCEEDED,
        native_status="done",
        progress=1.0,
        outputs=(facts.path.as_uri(),),
        engine=facts.engine,
        confidence=facts.confidence,
        warnings=facts.warnings,
    )


def failed(error: KeyframeError) -> Report:
    """The report of a render that cannot be finished."""
    return Report(status=Status.FAILED, native_status="failed", failure=Failure.of(error))

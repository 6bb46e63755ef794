"""Keeping results: from where the provider left a video to a checked file in the output folder."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio.to_thread

from keyframe_mcp.errors import OutputUnwritable, UnexpectedReply
from keyframe_mcp.media.orders import ProbeVideo, VideoFacts
from keyframe_mcp.media.unfinished import unfinished
from keyframe_mcp.media.workshop import Workshop
from keyframe_mcp.task import Output, Task

EXTENSIONS = {"video/mp4": ".mp4", "video/webm": ".webm", "video/quicktime": ".mov", "image/gif": ".gif"}


class Keeper:
    """Moves results into `folder`. A file has its final name only once it was checked."""

    def __init__(self, folder: Path, workshop: Workshop) -> None:
        self._folder = folder
        self._workshop = workshop

    async def keep(self, task: Task) -> tuple[Output, ...]:
        """Every output of a task, as a file here. Raises `OutputUnwritable`, to be tried again."""
        names = [task.id, *(f"{task.id}-{number}" for number in range(2, len(task.remote_outputs) + 1))]
        return tuple([await self._keep_one(name, url) for name, url in zip(names, task.remote_outputs, strict=False)])

    async def _keep_one(self, name: str, url: str) -> Output:
        made = local_path(url)
        if not made.exists() and (known := self._known(name)):
            # An earlier try moved the file and was stopped before it could say so.
            return describe(known, await self._workshop.run(ProbeVideo(path=known), time_limit=60))
        facts = await self._workshop.run(ProbeVideo(path=made), time_limit=60)
        kept = self._folder / (name + EXTENSIONS.get(facts.mime_type, ".mp4"))
        await anyio.to_thread.run_sync(move, made, kept)
        return describe(kept, facts)

    def _known(self, name: str) -> Path | None:
        files = [self._folder / (name + extension) for extension in EXTENSIONS.values()]
        return next((file for file in files if file.exists()), None)


def local_path(url: str) -> Path:
    """The path in a file: URL."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        raise UnexpectedReply(f"a result at {parts.scheme}: cannot be copied")
    return Path(url2pathname(parts.path))


def move(made: Path, kept: Path) -> None:
    """Put a finished file under its final name, whole or not at all, flushed to the disk."""
    partial = unfinished(kept)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with made.open("rb") as source, partial.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        partial.replace(kept)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise OutputUnwritable(
            f"the video is made, but {kept} cannot be written ({error.strerror}); "
            "free space or fix the folder, it is tried again by itself"
        ) from None
    made.unlink(missing_ok=True)


def describe(file: Path, facts: VideoFacts) -> Output:
    """What an agent is told about a file."""
    return Output(
        file=str(file),
        mime_type=facts.mime_type,
        width=facts.width,
        height=facts.height,
        duration=round(facts.duration, 3),
        fps=round(facts.fps, 3),
        size_bytes=facts.size_bytes,
    )

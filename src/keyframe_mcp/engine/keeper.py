"""Keeping results: from where a provider left its videos and previews to checked files in the output folder.

A file has its final name only once it arrived whole, was flushed to the disk and was opened by the media worker. The
name follows from the place among the provider's outputs, so a later try finds what an earlier one has kept.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Protocol, TypeVar

import anyio
import anyio.to_thread

from keyframe_mcp.engine.chronicle import Chronicle
from keyframe_mcp.engine.kept import (
    End,
    Kept,
    conclude,
    describe,
    elsewhere,
    expiry,
    host_of,
    local_path,
    name_of,
    unwritable,
    verdict,
)
from keyframe_mcp.errors import (
    KeyframeError,
    OutputUnwritable,
    RenderFailed,
    UnexpectedReply,
    UnfetchableUrl,
    UnreadableImage,
    UnreadableVideo,
)
from keyframe_mcp.media import looks
from keyframe_mcp.media.orders import CheckImage, ImageFacts, MarkFacts, ProbeVideo, VideoFacts
from keyframe_mcp.media.unfinished import begin, flush, move, settle, unfinished
from keyframe_mcp.media.workshop import Workshop
from keyframe_mcp.task import Output, Task

EXTENSIONS = {
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "video/quicktime": ".mov",
    "image/gif": ".gif",
    "video/x-matroska": ".mkv",
    "video/x-msvideo": ".avi",
    "video/mp2t": ".ts",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/avif": ".avif",
}
MOST_BYTES = 2 << 30
MB = 1_000_000
LEAST_BYTES = 100 * MB  # of free space, before a video is paid for
FETCH_SECONDS = 600.0  # a slow line may take so much longer than 100 KB/s would
IDLE_SECONDS = 30.0
CHECK_SECONDS = 300.0  # waiting for a place in the workshop counts
AT_ONCE = 4  # several at a time: some providers delete results after ten minutes
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
AS_IT_CAME = MarkFacts(embedded=False)

log = logging.getLogger(__name__)

Facts = TypeVar("Facts", VideoFacts, ImageFacts, VideoFacts | ImageFacts)
HeadersFor = Callable[[str], Mapping[str, str]]
"""The headers needed to download from a URL; they are sent to its host alone."""


class FetchResult(Protocol):
    """Writes what is at a URL into a file. Raises `UnfetchableUrl`, and `OSError` where it cannot be written."""

    def __call__(
        self,
        url: str,
        into: IO[bytes],
        most_bytes: int,
        seconds: float,
        headers: Mapping[str, str],
        *,
        idle: float | None,
    ) -> Awaitable[None]: ...


class Keeper:
    """Brings results into `folder`. Those at file: URLs are moved, and taken from below `made_in` alone.

    With `copies=False` results stay where the provider has them, except those that nobody else could get: what was
    made here, what came inside an answer, and what takes the provider's key. A `chronicle` writes beside and inside
    each video how it came to be.
    """

    def __init__(
        self,
        folder: Path,
        workshop: Workshop,
        fetch: FetchResult,
        *,
        made_in: Path,
        copies: bool = True,
        clock: Callable[[], float] = time.time,
        chronicle: Chronicle | None = None,
    ) -> None:
        self._chronicle = chronicle
        self._folder = folder
        self._workshop = workshop
        self._fetch = fetch
        self._made_in = made_in
        self._copies = copies
        self._clock = clock

    async def require_room(self) -> None:
        """Raise `OutputUnwritable` where no result could be put: then nothing is paid for that cannot be kept."""
        if self._copies:
            await anyio.to_thread.run_sync(require_room, self._folder)

    async def keep(self, task: Task, headers_for: HeadersFor = lambda _: NO_HEADERS) -> Kept:
        """Every output of a task, as a file here if it is to be; what an earlier try has kept is not fetched again.

        Raises `OutputUnwritable` and `ProviderUnavailable`, to be tried again; `ResultGone`, `UnexpectedReply` and
        plain `ProviderError` where no video can be had any more, the last one for what is too large.
        """
        ends: dict[int, End] = {}
        notes: list[str] = []
        limit = anyio.CapacityLimiter(AT_ONCE)

        async def keep_one(number: int, url: str) -> None:
            async with limit:
                try:
                    ends[number], marks = await self._keep_one(task, name_of(task, number), url, headers_for)
                    notes.extend(await self._note(task, ends[number], marks))
                except KeyframeError as error:
                    ends[number] = error

        async with anyio.create_task_group() as tasks:
            for number, url in enumerate(task.remote_outputs, 1):
                tasks.start_soon(keep_one, number, url)
        kept = conclude(task, [ends[number] for number in sorted(ends)])
        return replace(kept, warnings=(*kept.warnings, *notes))

    async def _keep_one(self, task: Task, name: str, url: str, headers_for: HeadersFor) -> tuple[Output, MarkFacts]:
        scheme = url.partition(":")[0].lower()
        if scheme == "file":
            return await self._keep_made(task, name, local_path(url, self._made_in))
        if scheme in {"http", "https"}:
            headers = headers_for(url)
            if self._copies or headers:
                return await self._keep_remote(task, name, url, headers)
            return elsewhere(task, url), AS_IT_CAME
        raise UnexpectedReply(f"a result at {scheme[:20]}: cannot be copied")

    async def _keep_made(self, task: Task, name: str, made: Path) -> tuple[Output, MarkFacts]:
        """A video or picture that was made on this machine, or came inside the provider's answer."""
        if not await anyio.Path(made).exists() and (known := self._known(name)):
            # An earlier try moved the file and was stopped before it could say so.
            return await self._keep_known(task, known[0])
        facts = await self._look_at(made)
        kept = self._folder / (name + EXTENSIONS.get(facts.mime_type, ".mp4"))
        marks = await self._mark(task, made, kept, facts)
        await anyio.to_thread.run_sync(discard if marks.embedded else take_over, made, kept)
        return describe(kept, sized(facts, kept)), marks

    async def _keep_known(self, task: Task, known: Path, url: str | None = None) -> tuple[Output, MarkFacts]:
        """A file that an earlier try has put in place. Raises `UnreadableVideo`, `UnreadableImage`."""
        facts = await self._check(known) if url else await self._look_at(known)
        marks = await self._mark(task, known, known, facts)
        return describe(known, sized(facts, known), url, expiry(task) if url else None), marks

    async def _keep_remote(
        self, task: Task, name: str, url: str, headers: Mapping[str, str]
    ) -> tuple[Output, MarkFacts]:
        """A video or picture that is at the provider's, or was already brought here."""
        for known in self._known(name):
            with suppress(UnreadableVideo, UnreadableImage):
                return await self._keep_known(task, known, url)
        with self._part(name) as partial:
            await self._download(task, url, headers, partial)
            facts = await self._accept(partial, url)
            kept = self._folder / (name + EXTENSIONS.get(facts.mime_type, ".mp4"))
            marks = await self._mark(task, partial, kept, facts)
            if not marks.embedded:
                await anyio.to_thread.run_sync(settle, partial, kept)
        return describe(kept, sized(facts, kept), url, expiry(task)), marks

    async def _mark(self, task: Task, file: Path, kept: Path, facts: VideoFacts | ImageFacts) -> MarkFacts:
        """Put a copy of a video that says how it came to be under its final name, where there can be one."""
        if self._chronicle is None or isinstance(facts, ImageFacts):
            return AS_IT_CAME
        with self._part(kept.name) as marked:
            marks = await self._chronicle.mark(task, file, marked)
            if marks.embedded:
                await anyio.to_thread.run_sync(put_under_its_name, marked, file, kept)
        return marks

    async def _note(self, task: Task, end: End, marks: MarkFacts) -> tuple[str, ...]:
        """Write beside a video how it came to be. Warnings."""
        if self._chronicle is None or not isinstance(end, Output) or end.file is None or end.duration is None:
            return ()
        return await self._chronicle.note(task, end, marks)

    def _known(self, name: str) -> list[Path]:
        """Files that an earlier try has put in place."""
        files = [self._folder / (name + extension) for extension in EXTENSIONS.values()]
        return [file for file in files if file.exists()]

    @contextmanager
    def _part(self, name: str) -> Generator[Path]:
        """A file to write to beside the final one, gone at the end. Raises `OutputUnwritable`."""
        partial = unfinished(self._folder / name)
        try:
            yield partial
        except OSError as error:
            raise unwritable(self._folder / name, error) from None
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    async def _download(self, task: Task, url: str, headers: Mapping[str, str], partial: Path) -> None:
        """The whole body, flushed to the disk. Raises `OSError` where it cannot be written."""
        into = await anyio.to_thread.run_sync(begin, partial)
        try:
            await self._fetch(url, into, MOST_BYTES, FETCH_SECONDS, headers, idle=IDLE_SECONDS)
            await anyio.to_thread.run_sync(flush, into)
        except UnfetchableUrl as error:
            raise verdict(task, url, error, self._clock()) from None
        finally:
            # Of a full disk it would complain again; what was lost by then has been said.
            with suppress(OSError):
                into.close()

    async def _accept(self, partial: Path, url: str) -> VideoFacts | ImageFacts:
        """Facts about what came, or `UnexpectedReply` that says what it is instead."""
        try:
            return await self._check(partial)
        except (UnreadableVideo, UnreadableImage) as error:
            seen = looks.described(partial)
            reason = str(error).partition(": ")[2]
            message = f"what {host_of(url)} sent looks like {seen} and is no video or picture that opens: {reason}"
        except RenderFailed as error:
            message = f"what {host_of(url)} sent could not be checked: {error}"
        raise UnexpectedReply(message)

    async def _check(self, file: Path) -> VideoFacts | ImageFacts:
        """Have it opened by the media worker, twice where that one dies: it may not have been the file's fault."""
        with suppress(RenderFailed):
            return await self._look_at(file)
        return await self._look_at(file)

    async def _look_at(self, file: Path) -> VideoFacts | ImageFacts:
        start = await anyio.to_thread.run_sync(looks.begins, file)
        if looks.is_picture(start):
            return await self._workshop.run(CheckImage(path=file), time_limit=CHECK_SECONDS)
        return await self._workshop.run(ProbeVideo(path=file), time_limit=CHECK_SECONDS)


def sized(facts: Facts, kept: Path) -> Facts:
    """Facts about a file that may have grown since."""
    return facts.model_copy(update={"size_bytes": kept.stat().st_size})


def put_under_its_name(marked: Path, file: Path, kept: Path) -> None:
    """Give a file with its marks the final name; where nothing was left to add, that is the file itself."""
    if marked.exists():
        settle(marked, kept)
    elif file != kept:
        move(file, kept)


def discard(made: Path, kept: Path) -> None:
    """Remove what has a copy under its final name."""
    if made != kept:
        with suppress(OSError):
            made.unlink(missing_ok=True)


def take_over(made: Path, kept: Path) -> None:
    """Move a finished file under its final name, whole or not at all. Raises `OutputUnwritable`."""
    try:
        move(made, kept)
    except OSError as error:
        raise unwritable(kept, error) from None


def require_room(folder: Path) -> None:
    """Raise `OutputUnwritable` for a folder that takes no file, or has hardly any space left."""
    probe = unfinished(folder / "room")
    try:
        begin(probe).close()
        probe.unlink()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        log.warning("%s cannot be written (%s)", folder, error)
        reason = f"the output folder cannot be written ({error.strerror or type(error).__name__})"
        raise OutputUnwritable(f"{reason}; nothing is sent until it can, which is tried again by itself") from None
    if free < LEAST_BYTES:
        log.warning("%s has %d bytes left", folder, free)
        reason = f"the output folder has {free / MB:,.0f} MB left, and {LEAST_BYTES / MB:,.0f} MB is the least"
        raise OutputUnwritable(f"{reason}; nothing is sent until there is space, which is looked at again by itself")

"""Keeping results: from where a provider left its videos and previews to checked files in the output folder.

A file has its final name only once it arrived whole, was flushed to the disk and was opened by the media worker. The
name follows from the place among the provider's outputs, so a later try finds what an earlier one has kept.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import IO, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio
import anyio.to_thread

from keyframe_mcp.errors import (
    KeyframeError,
    OutputUnwritable,
    ProviderUnavailable,
    RenderFailed,
    ResultGone,
    UnexpectedReply,
    UnfetchableUrl,
    UnreadableImage,
    UnreadableVideo,
)
from keyframe_mcp.media import looks
from keyframe_mcp.media.orders import CheckImage, ImageFacts, ProbeVideo, VideoFacts
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
FETCH_SECONDS = 600.0  # a slow line may take so much longer than 100 KB/s would
IDLE_SECONDS = 30.0
CHECK_SECONDS = 300.0  # waiting for a place in the workshop counts
AT_ONCE = 4  # several at a time: some providers delete results after ten minutes
DAY = 86_400.0
PASSING = (OutputUnwritable, ProviderUnavailable)
NO_HEADERS: Mapping[str, str] = MappingProxyType({})

HeadersFor = Callable[[str], Mapping[str, str]]
"""The headers needed to download from a URL; they are sent to its host alone."""

End = Output | KeyframeError


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


@dataclass(frozen=True)
class Kept:
    """What became of a task's outputs: videos, then previews, then those without a `file`, which are lost."""

    outputs: tuple[Output, ...]
    warnings: tuple[str, ...] = ()


class Keeper:
    """Brings results into `folder`. Those at file: URLs are moved, and taken from below `made_in` alone."""

    def __init__(
        self,
        folder: Path,
        workshop: Workshop,
        fetch: FetchResult,
        *,
        made_in: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._workshop = workshop
        self._fetch = fetch
        self._made_in = made_in
        self._clock = clock

    async def keep(self, task: Task, headers_for: HeadersFor = lambda _: NO_HEADERS) -> Kept:
        """Every output of a task, as a file here; what an earlier try has kept is not fetched again.

        Raises `OutputUnwritable` and `ProviderUnavailable`, to be tried again; `ResultGone` and `UnexpectedReply`
        where no video can be had any more.
        """
        ends: dict[int, End] = {}
        limit = anyio.CapacityLimiter(AT_ONCE)

        async def keep_one(number: int, url: str) -> None:
            async with limit:
                try:
                    ends[number] = await self._keep_one(task, name_of(task, number), url, headers_for)
                except KeyframeError as error:
                    ends[number] = error

        async with anyio.create_task_group() as tasks:
            for number, url in enumerate(task.remote_outputs, 1):
                tasks.start_soon(keep_one, number, url)
        return conclude(task, [ends[number] for number in sorted(ends)])

    async def _keep_one(self, task: Task, name: str, url: str, headers_for: HeadersFor) -> Output:
        scheme = url.partition(":")[0].lower()
        if scheme == "file":
            return await self._keep_made(name, local_path(url, self._made_in))
        if scheme in {"http", "https"}:
            return await self._keep_remote(task, name, url, headers_for(url))
        raise UnexpectedReply(f"a result at {scheme[:20]}: cannot be copied")

    async def _keep_made(self, name: str, made: Path) -> Output:
        """A video or picture that was made on this machine, or came inside the provider's answer."""
        if not await anyio.Path(made).exists() and (known := self._known(name)):
            # An earlier try moved the file and was stopped before it could say so.
            return describe(known[0], await self._look_at(known[0]))
        facts = await self._look_at(made)
        kept = self._folder / (name + EXTENSIONS.get(facts.mime_type, ".mp4"))
        await anyio.to_thread.run_sync(take_over, made, kept)
        return describe(kept, facts)

    async def _keep_remote(self, task: Task, name: str, url: str, headers: Mapping[str, str]) -> Output:
        """A video or picture that is at the provider's, or was already brought here."""
        for known in self._known(name):
            with suppress(UnreadableVideo, UnreadableImage):
                return describe(known, await self._check(known), url, expiry(task))
        with self._part(name) as partial:
            await self._download(task, url, headers, partial)
            facts = await self._accept(partial, url)
            kept = self._folder / (name + EXTENSIONS.get(facts.mime_type, ".mp4"))
            await anyio.to_thread.run_sync(settle, partial, kept)
        return describe(kept, facts, url, expiry(task))

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
            raise self._verdict(task, url, error) from None
        finally:
            # Of a full disk it would complain again; what was lost by then has been said.
            with suppress(OSError):
                into.close()

    def _verdict(self, task: Task, url: str, error: UnfetchableUrl) -> KeyframeError:
        """What it means for a result that it could not be fetched."""
        end = expiry(task)
        over = self._clock() - end.timestamp() if end else -1
        until = f"; it was kept there until {end:%Y-%m-%d %H:%M} UTC" if end and over > 0 else ""
        # Until when it is kept is often a guess, and no answer proves nothing: a day is given on top.
        if error.passing and over < DAY:
            return ProviderUnavailable(f"the video is made, but {error}; it is tried again by itself")
        if error.passing:
            return ResultGone(f"{error}{until}")
        if error.status is not None and 400 <= error.status < 500:
            return ResultGone(f"{host_of(url)} answered {error.status} for the result{until}")
        return UnexpectedReply(f"the result cannot be fetched: {error}")

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


def name_of(task: Task, number: int) -> str:
    """The file name, without its extension, of one of a task's outputs, which are counted from 1."""
    return task.id if number == 1 else f"{task.id}-{number}"


def conclude(task: Task, ends: Sequence[End]) -> Kept:
    """The outcome for the whole task. Raises while something may still come, and when no video came."""
    kept = [end for end in ends if isinstance(end, Output)]
    errors = [end for end in ends if isinstance(end, KeyframeError)]
    videos = [output for output in kept if is_video(output)]
    first = min(errors, key=urgency, default=None)
    if first is not None and (not videos or isinstance(first, PASSING)):
        raise counted(first, len(kept), len(ends))
    if not videos:
        files = f"pictures only, which are kept: {', '.join(str(each.file) for each in kept)}" if kept else "no output"
        raise UnexpectedReply(f"the provider says that the video is made, and gave {files}")
    lost = {number: end for number, end in enumerate(ends, 1) if isinstance(end, KeyframeError)}
    urls = [url if url.lower().startswith("http") else None for url in task.remote_outputs]
    gone = [Output(url=urls[number - 1], expires_at=expiry(task)) for number in lost]
    pictures = [output for output in kept if not is_video(output)]
    warnings = [f"output {number} of {len(ends)} is lost: {error}" for number, error in lost.items()]
    return Kept((*videos, *pictures, *gone), tuple(warnings))


def urgency(error: KeyframeError) -> int:
    """Which of several errors decides, least first: those that may pass, then the plainest of those that do not."""
    kinds = (*PASSING, ResultGone)
    return next((place for place, kind in enumerate(kinds) if isinstance(error, kind)), len(kinds))


def counted(error: KeyframeError, kept: int, of: int) -> KeyframeError:
    """The same error, which also says how many of several outputs are safe."""
    return error if of == 1 else type(error)(f"{kept} of {of} outputs are kept; {error}")


def is_video(output: Output) -> bool:
    """Whether a kept output moves, as a GIF does."""
    return output.duration is not None


def describe(
    file: Path, facts: VideoFacts | ImageFacts, url: str | None = None, expires_at: datetime | None = None
) -> Output:
    """What an agent is told about a file."""
    moving = isinstance(facts, VideoFacts)
    return Output(
        url=url,
        file=str(file),
        mime_type=facts.mime_type,
        width=facts.width,
        height=facts.height,
        duration=round(facts.duration, 3) if moving else None,
        fps=round(facts.fps, 3) if moving else None,
        size_bytes=facts.size_bytes,
        expires_at=expires_at,
    )


def expiry(task: Task) -> datetime | None:
    """When the provider deletes the outputs, as far as it says so in earnest."""
    with suppress(ValueError, OverflowError, OSError):  # a time no calendar has is no reason to lose a video
        return None if task.remote_expires_at is None else datetime.fromtimestamp(task.remote_expires_at, UTC)
    return None


def host_of(url: str) -> str:
    """All of a URL that an error text needs: the rest may hold a signature."""
    try:
        return urlsplit(url).hostname or "the provider"
    except ValueError:
        return "the provider"


def local_path(url: str, made_in: Path) -> Path:
    """The path in a file: URL. Raises `UnexpectedReply` for one outside `made_in`, whoever named it."""
    path = Path(url2pathname(urlsplit(url).path))
    if not path.resolve().is_relative_to(made_in.resolve()):
        raise UnexpectedReply("a result at file: outside the folder for renders is not taken")
    return path


def take_over(made: Path, kept: Path) -> None:
    """Move a finished file under its final name, whole or not at all. Raises `OutputUnwritable`."""
    try:
        move(made, kept)
    except OSError as error:
        raise unwritable(kept, error) from None


def unwritable(kept: Path, error: OSError) -> OutputUnwritable:
    """What to do about a disk that will not take a result."""
    return OutputUnwritable(
        f"the video is made, but {kept} cannot be written ({error.strerror or error}); "
        "free space or fix the folder, it is tried again by itself"
    )

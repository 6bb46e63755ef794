"""What became of a task's results: files here, lost ones, and what is said about them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from keyframe_mcp.errors import (
    KeyframeError,
    OutputUnwritable,
    ProviderUnavailable,
    ResultGone,
    ResultTooLarge,
    UnexpectedReply,
    UnfetchableUrl,
)
from keyframe_mcp.media.orders import ImageFacts, VideoFacts
from keyframe_mcp.task import Output, Task

DAY = 86_400.0
PASSING = (OutputUnwritable, ProviderUnavailable)
TAKEN = (200, 206)
"""Answers that are the file itself: what keeps it from being fetched, its size above all, will not change."""
NOWHERE = "the provider"

log = logging.getLogger(__name__)

End = Output | KeyframeError


@dataclass(frozen=True)
class Kept:
    """What became of a task's outputs: videos, then previews, then those that are lost, without a `file`."""

    outputs: tuple[Output, ...]
    warnings: tuple[str, ...] = ()


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
    return Kept((*videos, *pictures, *gone), (*warnings, *not_copied(task, kept)))


def elsewhere(task: Task, url: str) -> Output:
    """A result that is left with the provider. Raises `UnexpectedReply` where that is no address."""
    if host_of(url) == NOWHERE:
        raise UnexpectedReply("the provider's address of the result is no URL")
    return Output(url=url, expires_at=expiry(task), kept=False)


def not_copied(task: Task, outputs: Sequence[Output]) -> tuple[str, ...]:
    """A warning where the only copy is the provider's."""
    if all(output.kept is not False for output in outputs):
        return ()
    works = f"works{lasts(expiry(task))}, and view_video and task:{task.id} only as long as it does"
    why = "whoever runs this server set KEYFRAME_KEEP_RESULTS=0"
    return (f"results are not copied here, because {why}: the URL in outputs {works}",)


def lasts(end: datetime | None) -> str:
    """For how long a URL works, to go after that word."""
    return f" until {clock_time(end)}" if end else " for as long as the provider keeps it, which it does not say"


def clock_time(moment: datetime) -> str:
    """A time for a sentence, to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def whereabouts(task: Task) -> str:
    """Where the video of a finished task is, in the words of its result."""
    output = next(iter(task.outputs), Output())
    if output.file is None and output.reference is not None:  # kept here, and whoever asks cannot read this disk
        if output.url is None:
            return "The video is outputs[0].reference."
        end = "" if output.expires_at is None else f" until {clock_time(output.expires_at)}; get_task gives a new link"
        return f"The video is at outputs[0].url{end}."
    if output.file is not None or output.url is None:
        return "The video is outputs[0].file."
    end = "" if output.expires_at is None else f" It works until {clock_time(output.expires_at)} (expires_at)."
    return f"The video is at {output.url} (outputs[0].url) and was not copied here.{end}"


def verdict(task: Task, url: str, error: UnfetchableUrl, now: float) -> KeyframeError:
    """What it means for a result that it could not be fetched."""
    end = expiry(task)
    over = now - end.timestamp() if end else -1
    until = f"; it was kept there until {clock_time(end)}" if end and over > 0 else ""
    reason = said(url, error)
    # Until when it is kept is often a guess, and no answer proves nothing: a day is given on top.
    if error.passing and over < DAY:
        return ProviderUnavailable(f"the video is made, but {reason}; it is tried again by itself")
    if error.passing:
        return ResultGone(f"{reason}{until}")
    if error.status in TAKEN:
        where = f"Its URL in outputs works{lasts(end)}"
        return ResultTooLarge(f"the video is made and cannot be copied here: {error}. {where}")
    if error.status is not None and 400 <= error.status < 500:
        return ResultGone(f"{reason}{until}")
    return UnexpectedReply(f"the result cannot be fetched: {reason}")


def said(url: str, error: UnfetchableUrl) -> str:
    """Why a result did not come. What a stranger's picture would need, such as no signing in, is no matter here."""
    if error.status is None or error.status in TAKEN:
        return str(error)
    gone = ": the provider no longer gives it out" if 400 <= error.status < 500 and not error.passing else ""
    return f"{host_of(url)} answered {error.status} for the result{gone}"


def urgency(error: KeyframeError) -> int:
    """Which of several errors decides, least first: those that may pass, then the plainest of those that do not."""
    kinds = (*PASSING, ResultGone)
    return next((place for place, kind in enumerate(kinds) if isinstance(error, kind)), len(kinds))


def counted(error: KeyframeError, kept: int, of: int) -> KeyframeError:
    """The same error, which also says how many of several outputs are safe."""
    return error if of == 1 else type(error)(f"{kept} of {of} outputs are kept; {error}")


def is_video(output: Output) -> bool:
    """Whether an output moves, as a GIF does. One that was not opened is taken for a video."""
    return output.duration is not None or output.kept is False


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
    """All of a URL that an error text needs, with the port if it has one: the rest may hold a signature."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return NOWHERE
    return NOWHERE if not host else host if port is None else f"{host}:{port}"


def local_path(url: str, made_in: Path) -> Path:
    """The path in a file: URL. Raises `UnexpectedReply` for one outside `made_in`, whoever named it."""
    path = Path(url2pathname(urlsplit(url).path))
    if not path.resolve().is_relative_to(made_in.resolve()):
        raise UnexpectedReply("a result at file: outside the folder for renders is not taken")
    return path


def unwritable(kept: Path, error: OSError) -> OutputUnwritable:
    """What to do about a disk that will not take a result."""
    log.warning("%s cannot be written (%s)", kept, error)
    return OutputUnwritable(
        f"the video is made, but the output folder cannot be written ({error.strerror or type(error).__name__}); "
        "free space or fix the folder, it is tried again by itself"
    )

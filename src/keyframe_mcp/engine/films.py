"""Looking at videos and making longer ones out of them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import anyio
import anyio.to_thread

from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.caller import Caller
from keyframe_mcp.engine.chronicle import Chronicle
from keyframe_mcp.engine.given import NOTHING, given_to
from keyframe_mcp.engine.intake import new_id
from keyframe_mcp.engine.ownership import Ownership
from keyframe_mcp.engine.provenance import Joined
from keyframe_mcp.engine.sources import Sources
from keyframe_mcp.errors import CallerError, InvalidInput, OutputUnwritable, Problem, RenderFailed, refusal_of
from keyframe_mcp.media.orders import (
    ExtractFrame,
    FrameFacts,
    JoinFacts,
    JoinVideos,
    MakeSheet,
    SheetFacts,
    SheetSize,
)
from keyframe_mcp.media.references import At
from keyframe_mcp.media.workshop import Workshop

MOST_VIDEOS = 50
LOOK_SECONDS = 45
JOIN_SECONDS = 45  # and a few more to say in the film what it was joined of
SHEETS: Mapping[SheetSize, tuple[int, int]] = MappingProxyType(
    {"full": (1456, 300_000), "small": (896, 120_000), "tiny": (512, 30_000)}
)
"""The longest side in pixels and the most bytes of each size of sheet."""
NAMED = ("at: ", "crossfade_seconds: ", "sources: ")

log = logging.getLogger(__name__)
"""How an error begins that the media worker raised about one argument; only its text comes back from there."""


@dataclass(frozen=True)
class Films:
    """Contact sheets, frames and joined videos. Everything is written to `folder`."""

    sources: Sources
    workshop: Workshop
    folder: Path
    catalog: Catalog
    ownership: Ownership
    chronicle: Chronicle | None = None

    async def sheet(self, source: str, caller: Caller, cells: int | None, size: SheetSize) -> SheetFacts:
        """A contact sheet of a video; of a task's, its ends beside the pictures that were given for them."""
        longest_side, most = SHEETS[size]
        try:
            async with deadline(LOOK_SECONDS), self.sources.video(source, caller) as video:
                task = await self.sources.task(source, caller)
                known = given_to(task, self.catalog) if task else NOTHING
                names = [each.path.name for each in known.given]  # named after their content
                name = await anyio.to_thread.run_sync(fingerprint, video, cells, size, names)
                order = MakeSheet(
                    path=video,
                    to=self._to(f"sheet-{name}.jpg", caller),
                    cells=cells,
                    longest_side=longest_side,
                    max_bytes=most,
                    given=known.given,
                )
                facts = await self.workshop.run(order)
                return facts.model_copy(update={"remarks": (*known.remarks, *facts.remarks)})
        except CallerError as error:
            raise about("source", error) from None

    async def frame(self, source: str, at: At | None, caller: Caller) -> FrameFacts:
        """One frame as PNG: the one asked for, else the one the reference names, else the last."""
        try:
            moment = at if at is not None else self.sources.moment(source)
            chosen: At = "last" if moment is None else moment
            opened = self.sources.video(source, caller, may_name_frame=True)
            async with deadline(LOOK_SECONDS), opened as video:
                name = await anyio.to_thread.run_sync(fingerprint, video, chosen)
                to = self._to(f"frame-{name}.png", caller)
                return await self.workshop.run(ExtractFrame(path=video, at=chosen, to=to))
        except CallerError as error:
            raise about("source", error) from None

    async def join(self, sources: Sequence[str], caller: Caller, crossfade_seconds: float = 0) -> JoinFacts:
        """Several videos as one file; each dissolves into the next for so many seconds."""
        if not 2 <= len(sources) <= MOST_VIDEOS:
            problem = f"videos it names: {len(sources)}; 2 to {MOST_VIDEOS} can be joined"
            raise InvalidInput(problems=[Problem("sources", problem)])
        async with AsyncExitStack() as stack:
            async with deadline(JOIN_SECONDS):
                videos = await self._open_all(sources, caller, stack)
                to = self._to(f"{new_id()}.mp4", caller)
                order = JoinVideos(paths=tuple(videos), to=to, crossfade=crossfade_seconds)
                try:
                    facts = await self.workshop.run(order)
                except CallerError as error:
                    raise about("sources", error) from None
            if self.chronicle is None:
                return facts
            # Outside the limit: the film is there, and what is only said about it must not lose it.
            tasks = [await self.sources.task(source, caller) for source in sources]
            clips = [Joined(*each) for each in zip(sources, videos, tasks, strict=True)]
            return await self.chronicle.joined(facts, clips, {"crossfade_seconds": crossfade_seconds})

    async def _open_all(self, sources: Sequence[str], caller: Caller, stack: AsyncExitStack) -> list[Path]:
        """Every video, or every problem at once."""
        videos: list[Path] = []
        problems: list[Problem] = []
        for number, source in enumerate(sources):
            try:
                videos.append(await stack.enter_async_context(self.sources.video(source, caller)))
            except CallerError as error:
                problems.append(Problem(f"sources[{number}]", str(error), type(error)))
        if problems:
            raise refusal_of(problems)
        return videos

    def _to(self, name: str, caller: Caller) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            log.warning("%s cannot be written (%s)", self.folder, error.strerror)
            raise OutputUnwritable(f"the output folder cannot be written ({error.strerror})") from None
        return self.folder / self.ownership.marked(name, caller.owner)


def about(argument: str, error: CallerError) -> CallerError:
    """The same error, saying which argument it is about if it does not say so itself."""
    named = str(error).startswith(NAMED) or error.problems
    return error if named else type(error)(f"{argument}: {error}")


@asynccontextmanager
async def deadline(seconds: float) -> AsyncGenerator[None]:
    """One limit for everything a call does: hosts give up on a call after a minute."""
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError:
        problem = (
            f"it was not done within {seconds:g} s; use fewer or shorter videos, or try again when less is going on"
        )
        raise RenderFailed(problem) from None


def fingerprint(video: Path, *parts: object) -> str:
    """A file name for something that can be made again: the same for the same question about the same content."""
    with video.open("rb") as opened:
        content = hashlib.file_digest(opened, "sha256")
    content.update(repr(parts).encode())
    return content.hexdigest()[:16]

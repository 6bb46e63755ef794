"""Looking at videos and making longer ones out of them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from keyframe_mcp.engine.caller import Caller
from keyframe_mcp.engine.intake import new_id
from keyframe_mcp.engine.sources import Sources
from keyframe_mcp.errors import CallerError, InvalidInput, OutputUnwritable, Problem, RenderFailed
from keyframe_mcp.media.orders import ExtractFrame, FrameFacts, JoinFacts, JoinVideos, MakeSheet, SheetFacts
from keyframe_mcp.media.references import At
from keyframe_mcp.media.workshop import Workshop

MOST_VIDEOS = 50
LOOK_SECONDS = 45
JOIN_SECONDS = 50


@dataclass(frozen=True)
class Films:
    """Contact sheets, frames and joined videos. Everything is written to `folder`."""

    sources: Sources
    workshop: Workshop
    folder: Path

    async def sheet(self, source: str, caller: Caller, cells: int | None, longest_side: int) -> SheetFacts:
        """A contact sheet of a video."""
        try:
            async with deadline(LOOK_SECONDS), self.sources.video(source, caller) as video:
                name = await anyio.to_thread.run_sync(fingerprint, video, cells, longest_side)
                to = self._to(f"sheet-{name}.jpg")
                order = MakeSheet(path=video, to=to, cells=cells, longest_side=longest_side)
                return await self.workshop.run(order)
        except CallerError as error:
            raise about("source", error) from None

    async def frame(self, source: str, at: At | None, caller: Caller) -> FrameFacts:
        """One frame as PNG: the one asked for, else the one the reference names, else the last."""
        try:
            moment = at if at is not None else self.sources.moment(source)
            chosen: At = "last" if moment is None else moment
            async with deadline(LOOK_SECONDS), self.sources.video(source, caller) as video:
                name = await anyio.to_thread.run_sync(fingerprint, video, chosen)
                to = self._to(f"frame-{name}.png")
                return await self.workshop.run(ExtractFrame(path=video, at=chosen, to=to))
        except CallerError as error:
            raise about("source", error) from None

    async def join(self, sources: Sequence[str], caller: Caller) -> JoinFacts:
        """Several videos as one file."""
        if not 2 <= len(sources) <= MOST_VIDEOS:
            problem = f"videos it names: {len(sources)}; 2 to {MOST_VIDEOS} can be joined"
            raise InvalidInput(problems=[Problem("sources", problem)])
        async with deadline(JOIN_SECONDS), AsyncExitStack() as stack:
            videos = await self._open_all(sources, caller, stack)
            order = JoinVideos(paths=tuple(videos), to=self._to(f"{new_id()}.mp4"))
            try:
                return await self.workshop.run(order)
            except CallerError as error:
                raise about("sources", error) from None

    async def _open_all(self, sources: Sequence[str], caller: Caller, stack: AsyncExitStack) -> list[Path]:
        """Every video, or every problem at once."""
        videos: list[Path] = []
        problems: list[Problem] = []
        for number, source in enumerate(sources):
            try:
                videos.append(await stack.enter_async_context(self.sources.video(source, caller)))
            except CallerError as error:
                problems.append(Problem(f"sources[{number}]", str(error)))
        if problems:
            raise InvalidInput(problems=problems)
        return videos

    def _to(self, name: str) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputUnwritable(f"{self.folder} cannot be written ({error.strerror})") from None
        return self.folder / name


def about(argument: str, error: CallerError) -> CallerError:
    """The same error, saying which argument it is about if it does not say so itself."""
    return error if isinstance(error, InvalidInput) and error.problems else type(error)(f"{argument}: {error}")


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

"""Writing down how videos came to be, beside them and inside them.

Beside a kept video lies a JSON file of the same name, and an MP4 says the main facts itself. Both are for whoever finds
the file later. Neither is worth a paid video: what goes wrong here is a warning, or a reason in the file beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread

from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.provenance import (
    Film,
    Joined,
    JoinProvenance,
    Provenance,
    film_of,
    film_tags,
    tags_of,
)
from keyframe_mcp.errors import KeyframeError
from keyframe_mcp.media.orders import JoinFacts, MarkFacts, MarkVideo
from keyframe_mcp.media.unfinished import begin, flush, settle, unfinished
from keyframe_mcp.media.workshop import Workshop
from keyframe_mcp.task import Output, Task

MARK_SECONDS = 300.0  # waiting for a place in the workshop counts
MARK_FILM_SECONDS = 8.0  # somebody waits for the answer to a call
ENDING = ".json"


@dataclass(frozen=True)
class Chronicle:
    """Writes down how files came to be. `clock` gives seconds since the epoch."""

    workshop: Workshop
    catalog: Catalog
    clock: Callable[[], float]

    async def mark(self, task: Task, file: Path, to: Path) -> MarkFacts:
        """Save the video as `to` with the main facts in it, or nothing where it is left as it came.

        What it began to write before it failed is left to the caller.
        """
        order = MarkVideo(path=file, to=to, tags=tags_of(task))
        try:
            return await self.workshop.run(order, time_limit=MARK_SECONDS)
        except KeyframeError as error:
            return MarkFacts(embedded=False, reason=f"it did not work ({str(error)[:200]})")

    async def note(self, task: Task, output: Output, marks: MarkFacts) -> tuple[str, ...]:
        """Write the file beside a video. A warning where that cannot be done."""
        file = Path(output.file or "")

        def work() -> None:
            film = film_of(file, output)
            if not is_noted(film, beside(file)):
                put(Provenance.of(task, film, marks, self.clock(), self.catalog), beside(file))

        return await warned(work, file)

    async def joined(self, facts: JoinFacts, clips: Sequence[Joined], settings: Mapping[str, Any]) -> JoinFacts:
        """The same for a film that was joined, which is under its final name already; and what went wrong, as notes."""
        marks = await self._mark_film(facts, clips)
        video = facts.video.model_copy(update={"size_bytes": (await anyio.Path(facts.path).stat()).st_size})
        facts = facts.model_copy(update={"video": video})

        def work() -> None:
            record = JoinProvenance.of(facts, clips, settings, marks, self.clock())
            put(record, beside(facts.path))

        return facts.model_copy(update={"notes": (*facts.notes, *await warned(work, facts.path))})

    async def _mark_film(self, facts: JoinFacts, clips: Sequence[Joined]) -> MarkFacts:
        marked = unfinished(facts.path)
        try:
            order = MarkVideo(path=facts.path, to=marked, tags=film_tags(clips))
            marks = await self.workshop.run(order, time_limit=MARK_FILM_SECONDS)
            if marks.embedded:
                await anyio.to_thread.run_sync(settle, marked, facts.path)
        except (KeyframeError, OSError) as error:
            return MarkFacts(embedded=False, reason=f"it did not work ({str(error)[:200]})")
        finally:
            with suppress(OSError):
                marked.unlink(missing_ok=True)
        return marks


def beside(file: Path) -> Path:
    """Where a video's provenance is."""
    return file.with_suffix(ENDING)


def is_noted(film: Film, path: Path) -> bool:
    """Whether an earlier try has said all this. Whatever else lies there is replaced."""
    try:
        return json.loads(path.read_bytes())["output"]["sha256"] == film.sha256
    except (OSError, ValueError, LookupError, TypeError):
        return False


def put(record: Provenance | JoinProvenance, path: Path) -> None:
    """Write it, whole or not at all. Raises `OSError`."""
    partial = unfinished(path)
    try:
        with begin(partial) as into:
            into.write(record.model_dump_json(indent=2, exclude_none=True).encode() + b"\n")
            flush(into)
        settle(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


async def warned(work: Callable[[], None], file: Path) -> tuple[str, ...]:
    """Do it in a thread. A warning where it cannot be done: the video itself is here."""
    try:
        await anyio.to_thread.run_sync(work)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return (f"{beside(file).name}, which says how the video was made, could not be written ({why})",)
    return ()

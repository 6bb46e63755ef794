"""The chain every client has to get done, told as calls and as what a model sees of their results."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROUNDS = 8
TASK = re.compile(r"kf_[a-z2-7]{20,}")


class StoryBroken(Exception):
    """A client did not get further."""


@dataclass(frozen=True)
class Call:
    """What the model asks for."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """What the model is shown of a result. A client that hides the structure leaves it None."""

    text: str = ""
    structure: dict[str, Any] | None = None
    pictures: int = 0
    is_error: bool = False

    @property
    def words(self) -> str:
        """All of it, as a model would read it."""
        return self.text if self.structure is None else f"{self.text} {self.structure}"

    def task_id(self) -> str:
        """The task it is about."""
        if found := TASK.search(self.words):
            return found[0]
        raise StoryBroken(f"no task id in {self.words!r}")


@dataclass
class Story:
    """One telling. `hidden` collects what a model would need and this client does not show it."""

    images: tuple[str, str]
    hidden: list[str] = field(default_factory=list[str])
    shown: set[str] = field(default_factory=set[str])

    def calls(self) -> Generator[Call, Seen]:
        """The calls, each decided by what was seen of the one before."""
        pictures = {"first_image": self.images[0], "last_image": self.images[1], "model": "local/morph"}
        wrong = yield Call("generate_flf2v", pictures | {"num_inference_step": 20})
        if "did you mean num_inference_steps" not in wrong.text:
            raise StoryBroken(f"a misspelt argument came back as {wrong}")
        first = yield from self._made("generate_flf2v", pictures)
        sheet = yield Call("view_video", {"source": f"task:{first}"})
        self._good("view_video", sheet)
        if not sheet.pictures:
            raise StoryBroken(f"view_video showed no picture, but {sheet.words[:200]!r}")
        second = yield from self._made("generate_i2v", {"image": f"task:{first}", "model": "local/camera"})
        film = yield Call("join_videos", {"sources": [f"task:{first}", f"task:{second}"]})
        self._good("join_videos", film)
        self._shows("the reference of a film", "output:" in film.words)
        lacking = yield Call("generate_flf2v", {"first_image": self.images[0]})
        self._shows("which argument is missing", "last_image" in lacking.text)
        yield from self._looked_up(second)

    def _made(self, tool: str, arguments: dict[str, Any]) -> Generator[Call, Seen, str]:
        """Start a video and follow it to its end. Its task's id."""
        started = yield Call(tool, arguments | {"duration": 1})
        self._good(tool, started)
        task_id = started.task_id()
        # a client that knows the tasks extension has waited, and is shown the end
        self._shows("what to do next", "get_task" in started.words or "view_video" in started.words)
        self._shows("that a preview is not AI video", "not AI" in started.words)
        seen = started
        for _ in range(ROUNDS):
            seen = yield Call("get_task", {"task_id": task_id, "wait_seconds": 20})
            self._good("get_task", seen)
            if "succeeded" in seen.words:
                return task_id
            if "failed" in seen.words or "cancelled" in seen.words:
                break
        raise StoryBroken(f"{tool} did not end well: {seen.words}")

    def _looked_up(self, task_id: str) -> Generator[Call, Seen]:
        """A lost task is found again, and what models there are is said."""
        tasks = yield Call("list_tasks", {"limit": 5})
        self._good("list_tasks", tasks)
        self._shows("the tasks of list_tasks", task_id in tasks.words)
        models = yield Call("list_models", {"mode": "flf2v", "query": "local"})
        self._good("list_models", models)
        self._shows("a model's length and price", "free" in models.words and "30" in models.words)

    def _good(self, tool: str, seen: Seen) -> None:
        if seen.is_error:
            raise StoryBroken(f"{tool}: {seen.words}")
        kinds = {"text": seen.text, "structure": seen.structure, "pictures": seen.pictures}
        self.shown |= {kind for kind, there in kinds.items() if there}

    def _shows(self, what: str, there: bool) -> None:
        if not there and what not in self.hidden:
            self.hidden.append(what)


async def tell(story: Story, act: Callable[[Call], Awaitable[Seen]]) -> None:
    """Go through a story with a client that is called directly."""
    calls = story.calls()
    call = next(calls)
    while True:
        seen = await act(call)
        try:
            call = calls.send(seen)
        except StopIteration:
            return


class Script:
    """A story for a scripted model, which is asked for its next call again and again."""

    def __init__(self, story: Story) -> None:
        self._calls = story.calls()
        self._begun = False

    def next(self, seen: Seen | None) -> Call | None:
        """The next call after what was seen; None at the end."""
        try:
            if self._begun:
                return self._calls.send(seen or Seen())
            self._begun = True
            return next(self._calls)
        except StopIteration:
            return None


def drawn(folder: Path) -> tuple[Path, Path]:
    """Two pictures in a folder."""
    paths = folder / "first.png", folder / "last.png"
    for number, path in enumerate(paths):
        path.write_bytes(png(shift=number * 40))
    return paths


def as_data(path: Path) -> str:
    """A picture as a `data:` URI, for a server that opens no paths."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def png(shift: int, width: int = 320, height: int = 192) -> bytes:
    """A picture of squares, moved to the right, written with the standard library alone."""
    rows = b"".join(
        b"\0" + bytes(colour(x - shift, y, band) for x in range(width) for band in range(3)) for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts)


def colour(x: int, y: int, band: int) -> int:
    return (x // 32 * 37 + y // 24 * 53 + band * 90) % 256


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

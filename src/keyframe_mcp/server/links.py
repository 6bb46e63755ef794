"""Links to kept results. The address is the permission: whoever has it can fetch that one file for about a day."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path, PurePath
from typing import TypeVar, cast
from urllib.parse import urlsplit

from pydantic import BaseModel

from keyframe_mcp.engine import Caller
from keyframe_mcp.engine.keeper import EXTENSIONS
from keyframe_mcp.engine.seal import Seal
from keyframe_mcp.task import Output, Task

Arguments = TypeVar("Arguments", bound=BaseModel)

LINK_SECONDS = 24 * 3600
STEP_SECONDS = 3600
"""Links end on the hour: one that is asked for again is the same address, which caches know."""
MOST_REMEMBERED = 256
"""Files whose place and link are not worked out anew: whoever waits asks after the same few again and again."""
PURPOSE = "file"
MEDIA_TYPES = {extension.removeprefix("."): kind for kind, extension in EXTENSIONS.items()}
NAME = re.compile(
    rf"(?:kf_[a-z2-7]{{26}}(?:-[0-9]{{1,4}})?|(?:frame|sheet)-[0-9a-f]{{16}})(?:-of-[0-9a-f]{{12}})?\.(?:{'|'.join(MEDIA_TYPES)})"
)
"""What tools make. What lies beside it, such as the record of how it was made, is not given out."""
END, SIGNATURE = re.compile(r"[0-9]{1,12}"), re.compile(r"[0-9a-f]{32}")
PICTURES_AND_VIDEOS = ("first_image", "last_image", "image", "source", "sources", "overrides")
"""Arguments in which a link may stand."""


@dataclass(frozen=True)
class Link:
    """Where a file can be fetched, and until when."""

    url: str
    expires_at: datetime


@dataclass(frozen=True)
class Place:
    """Where a file is, as far as whoever asks may know and can use it."""

    file: str | None
    url: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Links:
    """Makes links to files in `folder`, and knows them again. Without a `base_url` there are none.

    `shows_files`: whether paths mean anything to those who ask. `clock` gives seconds since the epoch.
    """

    seal: Seal
    clock: Callable[[], float]
    folder: Path
    base_url: str | None
    shows_files: bool

    @property
    def origin(self) -> str | None:
        """Where links lead, as browsers name it."""
        if self.base_url is None:
            return None
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def uploads_url(self) -> str | None:
        """Where pictures can be sent, if anywhere."""
        return None if self.base_url is None else f"{self.base_url}/uploads"

    def link(self, name: str) -> Link | None:
        """A link to a file, good for a day and up to an hour more."""
        if self.base_url is None or not NAME.fullmatch(name):
            return None
        return self._signed(name, (int(self.clock()) + LINK_SECONDS) // STEP_SECONDS * STEP_SECONDS + STEP_SECONDS)

    @cached_property
    def _signed(self) -> Callable[[str, int], Link]:
        """`_sign`, with the last links at hand."""
        return lru_cache(MOST_REMEMBERED)(self._sign)

    def _sign(self, name: str, end: int) -> Link:
        url = f"{self.base_url}/files/{end}/{self.seal.sign(PURPOSE, str(end), name)}/{name}"
        return Link(url, datetime.fromtimestamp(end, UTC))

    def is_ours(self, end: str, signature: str, name: str) -> bool:
        """Whether a link to this file was given out by a server with our key; it may have ended since."""
        is_one = NAME.fullmatch(name) and END.fullmatch(end) and SIGNATURE.fullmatch(signature)
        return is_one is not None and self.seal.is_signed(signature, PURPOSE, end, name)

    def left(self, end: str) -> int:
        """For how many seconds a link works that is ours; less than one when it has ended."""
        return int(end) - int(self.clock())

    def place(self, path: PurePath) -> Place:
        """Where a file is."""
        link = self.link(path.name) if path.parent == self.folder else None
        file = str(path) if self.shows_files else None
        return Place(file) if link is None else Place(file, link.url, link.expires_at)

    def task(self, task: Task) -> Task:
        """A task as whoever asks can use it: its kept files with links."""
        return task.model_copy(update={"outputs": tuple(map(self._output, task.outputs))}) if task.outputs else task

    def _output(self, output: Output) -> Output:
        if output.file is None:
            return output
        path = path_of(output.file)
        place = self.place(path)
        linked = {} if place.url is None else {"url": place.url, "expires_at": place.expires_at}
        return output.model_copy(update={**linked, "file": place.file, "reference": f"output:{path.name}"})

    def read(self, arguments: Arguments, caller: Caller) -> tuple[Arguments, Caller]:
        """Arguments in which our own links stand as what they lead to, for a caller who has shown them.

        An agent passes on what a result gave it. The file is here: nothing is fetched from ourselves.
        """
        found: set[str] = set()
        given = {name: getattr(arguments, name) for name in PICTURES_AND_VIDEOS if name in type(arguments).model_fields}
        meant = {name: self._meant(value, found) for name, value in given.items()}
        return arguments.model_copy(update=meant), replace(caller, shown=caller.shown | found)

    def _meant(self, value: object, found: set[str]) -> object:
        """A value with links replaced; names behind links that are still good go to `found`."""
        if isinstance(value, dict):
            return {key: self._meant(each, found) for key, each in cast("dict[str, object]", value).items()}
        if isinstance(value, list):
            return [self._meant(each, found) for each in cast("list[object]", value)]
        if not isinstance(value, str) or (parts := self._parts(value.strip())) is None:
            return value
        end, signature, name = parts
        if self.is_ours(end, signature, name) and self.left(end) > 0:
            found.add(name)
        return f"output:{name}"

    def _parts(self, url: str) -> tuple[str, str, str] | None:
        """End, signature and name of an address that looks like one of our links."""
        start = f"{self.base_url}/files/"
        if self.base_url is None or not url.startswith(start):
            return None
        end, _, rest = url.removeprefix(start).partition("/")
        signature, _, name = rest.partition("/")
        return (end, signature, name) if NAME.fullmatch(name) and "sheet" not in name else None


@lru_cache(MOST_REMEMBERED)
def path_of(file: str) -> PurePath:
    """A file's path. Taking one apart takes longer than signing it."""
    return PurePath(file)


def place_of(path: Path, links: Links | None) -> Place:
    """Where a file is; a path where there are no links."""
    return Place(str(path)) if links is None else links.place(path)


def as_it_is(task: Task) -> Task:
    """Nothing is changed for who reads the same disk."""
    return task


def shown_by(links: Links | None) -> Callable[[Task], Task]:
    """How tasks are shown."""
    return as_it_is if links is None else links.task

"""Pictures that callers without a disk of ours send in. Each is one file, named after its owner's folder and content.

An upload is a picture that the media worker has decoded whole; nothing else is kept. Its id is a signature of owner and
content: nobody can guess it, and the same picture of the same owner has the same one.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import AsyncIterable, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import IO

import anyio
import anyio.to_thread

from keyframe_mcp.engine.seal import Seal
from keyframe_mcp.errors import InvalidInput, UnreadableImage
from keyframe_mcp.media.orders import CheckImage, ImageFacts
from keyframe_mcp.media.unfinished import sweep, unfinished
from keyframe_mcp.media.workshop import Workshop

KEEP_SECONDS = 7 * 24 * 3600
KEEP_DAYS = KEEP_SECONDS // (24 * 3600)
MB = 1_000_000
MOST_BYTES = 20 * MB  # what providers that say anything take at most
MOST_BYTES_OF_ONE = 500 * MB
MOST_AT_ONCE = 4
MOST_OF_ONE = 1000
BLOCK = 4096  # what a file takes of a disk at least
TOO_LARGE = f"a picture may have at most {MOST_BYTES // MB} MB; scale it down or save it as JPEG"
LEFT_BEHIND_SECONDS = 3600
CHECK_SECONDS = 60
PIECE = 1 << 20
LONGEST_ID = 80
NAME = re.compile(r"(?P<id>[0-9a-f]{32})-(?P<width>[0-9]+)x(?P<height>[0-9]+)\.(?P<kind>[a-z0-9]+)")


class TooLarge(Exception):
    """A picture has more bytes than are taken. The text says how many those are."""


class NoRoom(Exception):
    """An owner has too much here. The text says what to do."""


class TooMany(Exception):
    """An owner sends too many at once. The text says what to do."""


@dataclass(frozen=True)
class Upload:
    """A picture that was sent in. Sizes in pixels, as shown; `expires_at` in seconds since the epoch."""

    id: str
    path: Path
    width: int
    height: int
    mime_type: str
    size_bytes: int
    expires_at: float

    @property
    def reference(self) -> str:
        """The name by which tools take it."""
        return f"upload:{self.id}"


class Uploads:
    """Keeps pictures in a folder of their own for each owner. `clock` gives seconds since the epoch."""

    def __init__(
        self,
        folder: Path,
        seal: Seal,
        workshop: Workshop,
        clock: Callable[[], float],
        *,
        most_bytes_of_one: int = MOST_BYTES_OF_ONE,
        most_of_one: int = MOST_OF_ONE,
    ) -> None:
        self._folder = folder
        self._seal = seal
        self._workshop = workshop
        self._clock = clock
        self._most_bytes_of_one = most_bytes_of_one
        self._most_of_one = most_of_one
        self._arriving: Counter[str] = Counter()

    async def add(self, owner: str, pieces: AsyncIterable[bytes]) -> Upload:
        """Keep a picture, whole or not at all; one that is there already is kept longer.

        Raises `TooLarge`, `NoRoom`, `TooMany`, `UnreadableImage`, and `OSError` where it cannot be written.
        """
        with self._one_more(owner):
            folder = await anyio.to_thread.run_sync(self._prepared, owner)
            partial_file = unfinished(folder / "upload")
            try:
                content = await receive(pieces, partial_file)
                facts = await self._checked(partial_file)
                settle = partial(self._settle, owner, partial_file, content, facts)
                return await anyio.to_thread.run_sync(settle)
            finally:
                with suppress(OSError):
                    partial_file.unlink(missing_ok=True)

    async def find(self, upload_id: str, owner: str) -> Upload:
        """One of the owner's. Raises `InvalidInput`, which names a near one of theirs and of nobody else."""
        kept = await self.all(owner)
        found = next((each for each in kept if each.id == upload_id), None)
        if found is not None:
            return found
        near = get_close_matches(upload_id.lower()[:LONGEST_ID], [each.id for each in kept], n=1, cutoff=0.75)
        hint = f"did you mean upload:{near[0]}?" if near else f"uploads are kept for {KEEP_DAYS} days; send it again"
        raise InvalidInput(f"there is no upload {upload_id[:LONGEST_ID]}; {hint}")

    async def all(self, owner: str) -> Sequence[Upload]:
        """What an owner has here, newest first."""
        return await anyio.to_thread.run_sync(self._kept, owner)

    async def remove(self, upload_id: str, owner: str) -> None:
        """Forget one. Raises `InvalidInput` where there is none such."""
        found = await self.find(upload_id, owner)
        await anyio.to_thread.run_sync(partial(found.path.unlink, missing_ok=True))

    @contextmanager
    def _one_more(self, owner: str) -> Generator[None]:
        if self._arriving[owner] >= MOST_AT_ONCE:
            raise TooMany(f"{MOST_AT_ONCE} pictures of yours are arriving already; wait for one of them to end")
        self._arriving[owner] += 1
        try:
            yield
        finally:
            self._arriving[owner] -= 1
            if not self._arriving[owner]:
                del self._arriving[owner]

    async def _checked(self, file: Path) -> ImageFacts:
        """A picture that decodes whole. Nobody outside knows the file's name."""
        try:
            return await self._workshop.run(CheckImage(path=file), time_limit=CHECK_SECONDS)
        except UnreadableImage as error:
            raise UnreadableImage(str(error).removeprefix(f"{file.name}: ")) from None

    def _folder_of(self, owner: str) -> Path:
        return self._folder / hashlib.sha256(owner.encode()).hexdigest()[:32]

    def _prepared(self, owner: str) -> Path:
        """The owner's folder, without what has ended."""
        folder = self._folder_of(owner)
        for each in (self._folder, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep_folder(folder, self._clock())
        return folder

    def _require_room(self, folder: Path, besides: str) -> None:
        """Raise `NoRoom` where too much is kept, or has arrived. `besides` is about to be replaced."""
        kept = [size for name, size in sizes(folder).items() if name != besides]
        until = f"DELETE some, or wait: each ends {KEEP_DAYS} days on"
        if sum(map(taken, kept)) > self._most_bytes_of_one:
            raise NoRoom(f"your uploads have {self._most_bytes_of_one // MB} MB, the most; {until}")
        if len(kept) > self._most_of_one:
            raise NoRoom(f"you have {self._most_of_one:,} uploads, the most; {until}")

    def _settle(self, owner: str, file: Path, content: str, facts: ImageFacts) -> Upload:
        """Give a picture that is whole its name."""
        upload_id = self._seal.sign("upload", owner, content)
        name = f"{upload_id}-{facts.width}x{facts.height}.{facts.mime_type.partition('/')[2]}"
        kept = file.with_name(name)
        self._require_room(file.parent, besides=name)
        now = self._clock()
        os.utime(file, (now, now))
        file.replace(kept)
        return described(kept)

    def _kept(self, owner: str) -> list[Upload]:
        folder, found = self._folder_of(owner), list[Upload]()
        for path in folder.iterdir() if folder.is_dir() else ():
            with suppress(FileNotFoundError):  # another server may tidy meanwhile
                if NAME.fullmatch(path.name) and (upload := described(path)).expires_at > self._clock():
                    found.append(upload)
        return sorted(found, key=lambda each: each.expires_at, reverse=True)


async def receive(pieces: AsyncIterable[bytes], to: Path) -> str:
    """Write what comes into a new file that nobody else can read; its SHA-256. Raises `TooLarge`, `OSError`."""
    digest, waiting, size = hashlib.sha256(), bytearray(), 0
    with await anyio.to_thread.run_sync(create, to) as file:
        async for piece in pieces:
            size += len(piece)
            if size > MOST_BYTES:
                raise TooLarge(TOO_LARGE)
            waiting += piece
            if len(waiting) >= PIECE:
                await anyio.to_thread.run_sync(put, file, digest.update, bytes(waiting))
                waiting.clear()
        await anyio.to_thread.run_sync(put, file, digest.update, bytes(waiting))
    return digest.hexdigest()


def put(file: IO[bytes], hear: Callable[[bytes], object], content: bytes) -> None:
    """Write some bytes, and let them be heard."""
    file.write(content)
    hear(content)


def create(path: Path) -> IO[bytes]:
    """A new file for its owner alone."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def described(path: Path) -> Upload:
    """What is kept under a name. Raises `FileNotFoundError`."""
    named, about = NAME.fullmatch(path.name), path.stat()
    if named is None:
        raise FileNotFoundError(path.name)
    return Upload(
        id=named["id"],
        path=path,
        width=int(named["width"]),
        height=int(named["height"]),
        mime_type=f"image/{named['kind']}",
        size_bytes=about.st_size,
        expires_at=about.st_mtime + KEEP_SECONDS,
    )


def taken(size: int) -> int:
    """The bytes of a disk that a file of so many takes."""
    return -(-size // BLOCK) * BLOCK


def sizes(folder: Path) -> dict[str, int]:
    """The bytes of every file in a folder, unfinished ones too."""
    found: dict[str, int] = {}
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):
            found[entry.name] = entry.stat(follow_symlinks=False).st_size
    return found


def sweep_folder(folder: Path, now: float) -> None:
    """Remove what has ended, and what interrupted uploads have left."""
    sweep(folder, now - LEFT_BEHIND_SECONDS)
    for path in folder.iterdir():
        with suppress(OSError):  # another server may tidy too
            if NAME.fullmatch(path.name) and path.lstat().st_mtime + KEEP_SECONDS <= now:
                path.unlink()


def sweep_uploads(folder: Path, now: float) -> None:
    """The same for every owner."""
    for each in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):
            sweep_folder(each, now)

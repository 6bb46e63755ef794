"""Names for files that are being written. No two writers share one: none can spoil what another has finished."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from keyframe_mcp.errors import OutputUnwritable

ENDING = ".part"


def unfinished(path: Path) -> Path:
    """A new name beside `path`, to be renamed to it when the file is whole."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{ENDING}")


@contextmanager
def put_in_place(path: Path) -> Generator[Path]:
    """A name to write to; what is there at the end of the block becomes `path`. Raises `OutputUnwritable`."""
    partial = unfinished(path)
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise OutputUnwritable(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def begin(partial: Path) -> IO[bytes]:
    """A new file to write to, in a folder that is made if need be. Raises `OSError`."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    return partial.open("xb")


def flush(into: IO[bytes]) -> None:
    """See that the bytes are on the disk. Raises `OSError`."""
    into.flush()
    os.fsync(into.fileno())


def settle(partial: Path, path: Path) -> None:
    """Give a finished file its name, so that a power cut does not take it back. Raises `OSError`."""
    partial.replace(path)
    with suppress(OSError):  # not every system opens a folder, nor flushes one
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def move(made: Path, path: Path) -> None:
    """Bring a finished file to `path`, also from another disk, whole or not at all. Raises `OSError`."""
    partial = unfinished(path)
    try:
        with made.open("rb") as source, begin(partial) as target:
            shutil.copyfileobj(source, target, 1 << 20)
            flush(target)
        settle(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    with suppress(OSError):  # it is safe already
        made.unlink()


def sweep(folder: Path, older_than: float) -> None:
    """Remove what writers that were killed have left behind. `older_than` is in seconds since the epoch."""
    for path in left_behind(folder):
        with suppress(OSError):  # another process may sweep too
            if path.lstat().st_mtime < older_than:
                path.unlink()


def left_behind(folder: Path) -> Iterator[Path]:
    """Unfinished files in a folder."""
    with suppress(OSError):
        yield from folder.glob(f".*{ENDING}")

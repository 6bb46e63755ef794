"""Names for files that are being written. No two writers share one: none can spoil what another has finished."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

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

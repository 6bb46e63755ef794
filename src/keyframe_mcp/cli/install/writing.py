"""Reads and replaces a host's file: whole or not at all, with a copy of what it was."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from keyframe_mcp.errors import UnusableHostFile

PRIVATE, SHARED = 0o600, 0o644


def read_text(path: Path) -> str | None:
    """The text of a file, every byte of it; None if there is none. Raises `UnusableHostFile`."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise UnusableHostFile(f"{path} is not UTF-8, from byte {error.start} on; save it so and try again") from None
    except OSError as error:
        raise UnusableHostFile(f"{path} cannot be read ({error.strerror}); nothing was changed") from None


def replace(path: Path, before: str | None, after: str, now: datetime, *, shared: bool) -> Path | None:
    """Put a new text in place of the one that was read. The copy of the old one, if there was one.

    Links are followed, the file's mode stays, and a new file is its owner's alone unless it is `shared`. Raises
    `UnusableHostFile`, also when somebody else wrote in between.
    """
    try:
        real = path.resolve()
        real.parent.mkdir(parents=True, exist_ok=True)
        mode = (SHARED if shared else PRIVATE) if before is None else stat.S_IMODE(real.stat().st_mode)
        if read_text(real) != before:
            raise UnusableHostFile(f"{path} was changed by somebody else just now; nothing was written, run this again")
        copy = None if before is None else keep(real, before, mode, now)
        put(real, after, mode)
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UnusableHostFile(f"{path} cannot be written ({reason}); nothing was changed") from None
    return copy


def keep(real: Path, text: str, mode: int, now: datetime) -> Path:
    """A copy beside the file, under a name that is free."""
    name = f"{real.name}.bak-{now:%Y%m%d-%H%M%S}"
    for number in range(100):
        copy = real.with_name(name if number == 0 else f"{name}-{number}")
        with suppress(FileExistsError):
            handle = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), PRIVATE)
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode("utf-8"))
            copy.chmod(mode)
            return copy
    raise OSError(None, "there is no free name for the copy")


def put(real: Path, text: str, mode: int) -> None:
    """The new text under the old name, at once."""
    handle, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
    made = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        made.chmod(mode)
        made.replace(real)
    except BaseException:
        made.unlink(missing_ok=True)
        raise


def is_private(path: Path) -> bool:
    """Whether only its owner can read a file. Windows says it in another way, and is not asked."""
    return os.name == "nt" or not stat.S_IMODE(path.stat().st_mode) & 0o077

"""Files an agent names. Only regular files inside allowed folders are read, and links are never followed.

Each part of a path is opened relative to the one before, refusing links: checking a path first and opening it later
can be raced (a link swapped in between leaks a file from outside).
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO

from keyframe_mcp.errors import InvalidInput

MOST_NAMED = 3
LONGEST_NAMED = 200
SHOWN = (
    *(".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic"),
    *(".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".ts"),
)
"""Names that may be proposed for a missing file: nobody means a program when asking for a picture."""
HAS_OPENAT = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")


@dataclass(frozen=True)
class Folders:
    """The folders that may be read, and where a relative path starts."""

    allowed: tuple[Path, ...]
    working_dir: Path
    proposes: bool = True
    """Whether files beside a missing one are named: not where they may be another caller's."""

    def open(self, name: str, most_bytes: int, workspaces: Sequence[str] = ()) -> BinaryIO:
        """Open a file for reading. Raises `InvalidInput` that says what was wrong and what would have worked.

        `workspaces` are where the caller says it works. That opens nothing; whoever runs the server may allow it.
        """
        folder, parts = self._place(name, workspaces)
        try:
            opened = open_below(folder, parts) if HAS_OPENAT else open_checked(folder, parts)
        except FileNotFoundError:
            raise InvalidInput(f"there is no file {name}{self._near(folder, parts)}") from None
        except IsADirectoryError:
            raise InvalidInput(f"{name} is a folder, not a file") from None
        except OSError as error:
            raise InvalidInput(f"{name} cannot be opened ({why(error)}); links are not followed") from None
        except UnicodeEncodeError:
            raise InvalidInput(f"{name!r} has characters that no file name has") from None
        about = os.fstat(opened.fileno())
        if not stat.S_ISREG(about.st_mode):
            opened.close()
            raise InvalidInput(f"{name} is not a regular file")
        if about.st_size > most_bytes:
            opened.close()
            raise InvalidInput(f"{name} has {about.st_size:,} bytes; at most {most_bytes:,} work")
        return opened

    def _place(self, name: str, workspaces: Sequence[str]) -> tuple[Path, Sequence[str]]:
        """Which allowed folder a path is in, and its parts below it."""
        if "\0" in name:
            raise InvalidInput("the path has a zero byte in it")
        home = os.path.expanduser(name)  # noqa: PTH111 - Path.expanduser raises for a user there is not
        path = Path(os.path.normpath(self.working_dir / home))
        for folder in self.allowed:
            for spelling in dict.fromkeys((folder, Path(os.path.realpath(folder)))):
                if path == spelling:
                    raise InvalidInput(f"{name!r} is a folder, not a file")
                if path.is_relative_to(spelling):
                    return spelling, path.relative_to(spelling).parts
        raise InvalidInput(
            f"{name} is outside the folders this server may read: {', '.join(map(str, self.allowed))}. "
            f"Copy the file there, or have KEYFRAME_ALLOWED_DIRS changed{hint(path, workspaces)}"
        )

    def _near(self, folder: Path, parts: Sequence[str]) -> str:
        """Pictures and videos beside the missing one whose names are close."""
        if not self.proposes:
            return ""
        try:
            entries = [entry for entry in os.scandir(folder.joinpath(*parts[:-1])) if entry.is_file()]
        except OSError:
            return ""
        names = sorted(entry.name for entry in entries if entry.name.lower().endswith(SHOWN))
        near = get_close_matches(parts[-1], names, n=3, cutoff=0.5)
        return f"; did you mean {' or '.join(near)}?" if near else ""


def hint(path: Path, workspaces: Sequence[str]) -> str:
    """What could be allowed, where the file is in a folder that the caller says it works in. Others stay unsaid."""
    around = [each for each in workspaces if path.is_relative_to(os.path.normpath(each))]
    if not around:
        return ""
    named = ", ".join(map(plain, around[:MOST_NAMED]))
    return f": your client says its workspace is {named}; whoever runs the server can add it to that variable"


def open_below(folder: Path, parts: Sequence[str]) -> BinaryIO:
    """Open `folder/part/part/file`, one part at a time, refusing links below `folder`."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            os.close(directory)
            directory = deeper
        # O_NONBLOCK: opening a named pipe must not wait for somebody to write into it
        file = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    finally:
        os.close(directory)
    if stat.S_ISDIR(os.fstat(file).st_mode):
        os.close(file)
        raise IsADirectoryError(parts[-1])
    return os.fdopen(file, "rb")


def open_checked(folder: Path, parts: Sequence[str]) -> BinaryIO:
    """For systems without `openat` (Windows): open, then see that what was opened is where it should be."""
    path = folder.joinpath(*parts)
    if path.is_dir():
        raise IsADirectoryError(path)
    opened = path.open("rb")
    real = Path(os.path.realpath(path))
    inside = real.is_relative_to(os.path.realpath(folder))
    if not inside or not os.path.samestat(real.stat(), os.fstat(opened.fileno())):
        opened.close()
        raise PermissionError("it leads outside the allowed folder")
    return opened


def plain(text: str) -> str:
    """A stranger's text for a sentence: short, and in one line."""
    return "".join(each if each.isprintable() else "?" for each in text)[:LONGEST_NAMED]


def why(error: OSError) -> str:
    """The reason in words, without the path."""
    return os.strerror(error.errno).lower() if error.errno else str(error)


if sys.platform == "win32":  # pragma: no cover - the constants do not exist there
    HAS_OPENAT = False

"""The Pythons of this machine that the package is made for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MINORS = range(11, 15)
ASK = "import sys; print('%d.%d' % sys.version_info[:2])"


def found() -> dict[str, Path]:
    """One of each version, oldest first: `3.12` and where it is."""
    pythons: dict[str, Path] = {}
    for candidate in candidates():
        version = version_of(candidate)
        if version in {f"3.{minor}" for minor in MINORS}:
            pythons.setdefault(version, candidate)
    return dict(sorted(pythons.items()))


def candidates() -> Iterator[Path]:
    """The one that runs, those of the PATH, and those of pyenv, which need not be in it."""
    yield Path(sys.executable)
    for minor in MINORS:
        if at := shutil.which(f"python3.{minor}"):
            yield Path(at)
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(root.glob("versions/3.*/bin/python3"))


def version_of(python: Path) -> str:
    """Its version; nothing for a pyenv shim that leads nowhere."""
    try:
        asked = subprocess.run([python, "-c", ASK], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip()

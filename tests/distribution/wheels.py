"""The project as a wheel and a source archive, and environments to install them into."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, PathDistribution, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent.parent
VISIT = Path(__file__).with_name("visit.py")
SECONDS = 150.0
PASSED_ON = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "TMPDIR")  # and nothing else: no key, no PYTHONPATH, no home


class Failed(Exception):
    """A command did not end well; its output is the message."""


def said(command: Sequence[str | Path], cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """What a command prints. Raises Failed."""
    try:
        ended = subprocess.run(
            [str(each) for each in command],
            cwd=cwd,
            env=None if environment is None else dict(environment),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{command[0]} was not done after {SECONDS:g} s") from late
    if ended.returncode:
        raise Failed(f"{' '.join(map(str, command))} ended with {ended.returncode}\n{ended.stdout}{ended.stderr}")
    return ended.stdout


@dataclass(frozen=True)
class Built:
    """What there is to hand out."""

    wheel: Path
    archive: Path


def build(root: Path, into: Path) -> Built:
    """Build both from a folder, with the backend that is in this environment: nothing is downloaded."""
    said([sys.executable, "-m", "hatchling", "build", "-d", into], root)
    return Built(next(into.glob("*.whl")), next(into.glob("*.tar.gz")))


@dataclass(frozen=True)
class Environment:
    """A place where the wheel is installed, far from the source tree."""

    folder: Path

    @property
    def programs(self) -> Path:
        """Where its programs are."""
        return self.folder / ("Scripts" if sys.platform == "win32" else "bin")

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.programs / ("python.exe" if sys.platform == "win32" else "python")

    @property
    def program(self) -> Path:
        """The installed command."""
        return self.programs / ("keyframe-mcp.exe" if sys.platform == "win32" else "keyframe-mcp")

    def run(self, folder: Path, *arguments: str) -> str:
        """What the installed command prints, with everything it keeps in `folder`."""
        return said([self.program, *arguments], folder, kept_in(folder))

    def visit(self, folder: Path, *options: str) -> dict[str, Any]:
        """A session of an MCP client with the installed server; see `visit.py`."""
        printed = said([self.python, "-P", VISIT, *options, self.program], folder, kept_in(folder))
        return json.loads(printed.splitlines()[-1])


def kept_in(folder: Path) -> dict[str, str]:
    """An environment without anybody's keys, in which one folder is home."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    places = {"KEYFRAME_OUTPUT_DIR": folder / "out", "KEYFRAME_STATE_DIR": folder / "state", "HOME": folder}
    return passed | {name: str(path) for name, path in places.items()} | {"KEYFRAME_ALLOWED_DIRS": str(folder)}


def offline(wheel: Path, folder: Path) -> Environment:
    """A new environment with the wheel, and from this one exactly what the wheel says it needs.

    The distributions of the declared dependencies, and of theirs, are linked; a package that is imported without being
    declared is missing there, as it would be for whoever installs the wheel. Extras are not followed.
    """
    venv.create(folder, with_pip=False)
    made = Environment(folder)
    said(
        [sys.executable, "-m", "pip", "--python", made.python, "install", "-q", "--no-deps", "--no-index", wheel],
        folder,
    )
    site = Path(said([made.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).strip())
    for entry in sorted({entry for each in needed(metadata(wheel)) for entry in entries(each)}):
        (site / entry.name).symlink_to(entry)
    return made


def metadata(wheel: Path) -> Distribution:
    """What a wheel says of itself; what an editable installation says of us may be older."""
    return PathDistribution(next(each for each in zipfile.Path(wheel).iterdir() if each.name.endswith(".dist-info")))


def needed(ours: Distribution) -> Iterator[Distribution]:
    """Everything that a distribution needs, directly or not, as it is installed here. Raises Failed."""
    wanted, found = requirements(ours, ""), dict[str, Distribution]()
    while wanted:
        requirement = wanted.pop()
        try:
            each = distribution(requirement.name)
        except PackageNotFoundError:
            raise Failed(f"{requirement} is not installed; run make again") from None
        extras = sorted(requirement.extras)
        key = f"{requirement.name.lower()}[{','.join(extras)}]"
        if key not in found:
            found[key] = each
            wanted += [more for extra in ("", *extras) for more in requirements(each, extra)]
    yield from found.values()


def requirements(each: Distribution, extra: str) -> list[Requirement]:
    """What one distribution needs in this environment, with an extra or without."""
    listed = [Requirement(text) for text in each.requires or ()]
    return [need for need in listed if need.marker is None or need.marker.evaluate({"extra": extra})]


def entries(each: Distribution) -> Iterator[Path]:
    """The files and folders of a distribution that stand beside each other in its environment."""
    for file in each.files or ():
        if file.parts[0] not in ("..", "__pycache__"):
            yield Path(str(each.locate_file(file.parts[0])))

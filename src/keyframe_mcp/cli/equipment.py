"""What this installation has to work with: its program, folders, codec libraries and OpenCV."""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import Distribution, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from keyframe_mcp import __version__
from keyframe_mcp.cli.finding import Finding, checked
from keyframe_mcp.cli.install.starting import UVX, Installation
from keyframe_mcp.errors import InvalidSettings
from keyframe_mcp.media.workshop import clean_environment
from keyframe_mcp.settings import Settings
from keyframe_mcp.store.opening import journal_mode, prepare

SPARE_BYTES = 1 << 30
LOAD_SECONDS = 30
VERSIONS = "keyframe_mcp.media.versions"
REINSTALL = "install it again: pip install --force-reinstall av"


class Libraries(BaseModel):
    """What `python -m keyframe_mcp.media.versions` prints."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    av: str
    ffmpeg: str
    h264: bool
    opencv: str | None


def program() -> Finding:
    """Which version runs, on what."""
    runs_on = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("keyframe-mcp", f"{__version__}, mcp {version('mcp')}, {runs_on}")


def installation() -> Finding:
    """How it was installed: where, and by what."""
    prefix = Path(sys.prefix)
    if UVX.search(f"{prefix}/"):
        return Finding("installed", "run by uvx, from its cache")
    if source := editable():
        return Finding("installed", f"from a clone, {source}, into {prefix}")
    try:
        started = shlex.join(Installation.here().command())
    except InvalidSettings:
        started = str(prefix)
    kind = "by uv tool: " if "/uv/tools/" in prefix.as_posix() else "by pipx: " if "/pipx/" in prefix.as_posix() else ""
    return Finding("installed", f"{kind}{started}")


def editable() -> str:
    """The clone that is run as it is, if one is (PEP 610)."""
    told = Distribution.from_name("keyframe-mcp").read_text("direct_url.json")
    record: dict[str, dict[str, object] | str] = json.loads(told) if told else {}
    about, url = record.get("dir_info", {}), record.get("url", "")
    is_editable = isinstance(about, dict) and about.get("editable") is True
    return str(url).removeprefix("file://") if is_editable else ""


def folders(found: Settings) -> Iterator[Finding]:
    """The folders: those that are written to, and those that are read."""
    yield checked("output folder", lambda: writable(found.output_dir), "set KEYFRAME_OUTPUT_DIR to a folder of yours")
    yield checked("task database", lambda: database(found), "set KEYFRAME_STATE_DIR to a folder of yours")
    yield space(found.output_dir)
    yield readable(found.allowed_dirs, found.output_dir)


def readable(folders: Sequence[Path], output_dir: Path) -> Finding:
    """The folders that pictures are read from. One that is not there was misspelt, or is to be made or mounted.

    The output folder has a finding of its own.
    """
    if gone := [str(each) for each in folders if each != output_dir and not each.is_dir()]:
        advice = "correct KEYFRAME_ALLOWED_DIRS, or make that folder"
        return Finding("may read", f"not there: {os.pathsep.join(gone)}", ok=False, advice=advice)
    return Finding("may read", os.pathsep.join(map(str, folders)))


def writable(folder: Path) -> str:
    """A folder that a file can be put in."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / ".keyframe-doctor"
    probe.write_bytes(b"")
    probe.unlink()
    return str(folder)


def database(found: Settings) -> str:
    """The task database, opened as the server opens it."""
    prepare(found.database)
    return f"{found.database} (SQLite {sqlite3.sqlite_version}, journal {journal_mode(sqlite3.sqlite_version_info)})"


def space(folder: Path) -> Finding:
    """Room for videos."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    advice = "" if free > SPARE_BYTES else "a video has 0.1 to 50 MB; make room"
    return Finding("free space", f"{free / (1 << 30):.1f} GiB", ok=free > SPARE_BYTES, advice=advice)


def libraries(environment: Mapping[str, str], module: str = VERSIONS) -> Iterator[Finding]:
    """The codec libraries and OpenCV, loaded once by a process of their own, as the media worker would."""
    there = loaded(environment, module)
    if isinstance(there, str):
        yield Finding("codec", f"the codec libraries cannot be loaded: {there}", ok=False, advice=REINSTALL)
        return
    said = f"{'libx264' if there.h264 else 'no libx264'} in av {there.av}, FFmpeg {there.ffmpeg}"
    yield Finding("codec", said, ok=there.h264, advice="" if there.h264 else REINSTALL)
    yield motion(there.opencv)


def loaded(environment: Mapping[str, str], module: str) -> Libraries | str:
    """What a fresh process can load, or why it cannot."""
    command, clean = [sys.executable, "-P", "-m", module], clean_environment(environment)
    try:
        done = subprocess.run(  # noqa: S603 - our own module, without a shell
            command, env=clean, capture_output=True, text=True, timeout=LOAD_SECONDS, check=True
        )
        return Libraries.model_validate_json(done.stdout)
    except subprocess.CalledProcessError as error:
        return (error.stderr.strip().splitlines() or [f"the process ended with code {error.returncode}"])[-1]
    except (OSError, subprocess.TimeoutExpired, ValidationError) as error:
        return type(error).__name__


def motion(opencv: str | None) -> Finding:
    """Whether the embedded renderer can find motion. Without OpenCV it works, with less."""
    if opencv is None:
        lost = "not installed: the embedded renderer dissolves pictures into each other"
        return Finding("OpenCV", lost, advice="for motion: pip install 'keyframe-mcp[local]'")
    return Finding("OpenCV", f"{opencv}: motion between pictures is found", ok=True)

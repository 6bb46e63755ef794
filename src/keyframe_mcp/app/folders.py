"""The folders of a server, and what keeps them in order."""

from __future__ import annotations

import shutil
from contextlib import suppress

from keyframe_mcp.engine.uploads import sweep_uploads
from keyframe_mcp.media.unfinished import sweep
from keyframe_mcp.settings import Settings

KEEP_PICTURES_SECONDS = 30 * 24 * 3600
LEFT_BEHIND_SECONDS = 3600
MADE = "renders"  # in the state folder: videos that are not in the output folder yet
PICTURES = "pictures"  # in the state folder: copies of what was given
UPLOADED = "uploads"  # in the state folder: pictures that were sent in over HTTP


def tidy(settings: Settings, now: float) -> None:
    """Remove what killed processes have left, uploads that ended, and copies of pictures nobody asked for in long."""
    sweep(settings.output_dir, now - LEFT_BEHIND_SECONDS)
    sweep_uploads(settings.state_dir / UPLOADED, now)
    pictures = settings.state_dir / PICTURES
    for entry in pictures.iterdir() if pictures.is_dir() else ():
        with suppress(OSError):  # another server may tidy too
            age = now - entry.lstat().st_mtime
            if entry.is_dir() and age > LEFT_BEHIND_SECONDS:
                shutil.rmtree(entry, ignore_errors=True)
            elif age > KEEP_PICTURES_SECONDS:
                entry.unlink()

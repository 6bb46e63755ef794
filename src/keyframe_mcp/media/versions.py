"""`python -m keyframe_mcp.media.versions`: which codec libraries there are, found out by loading them.

A process of its own, as the worker is: a library that cannot be loaded here may take the process with it.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.util import find_spec

import av

ENCODER = "libx264"


def versions() -> dict[str, object]:
    """PyAV's and FFmpeg's versions, whether H.264 can be written, and OpenCV's version; None without OpenCV."""
    return {
        "av": av.__version__,
        "ffmpeg": str(getattr(av, "ffmpeg_version_info", "")),
        "h264": ENCODER in av.codecs_available,
        "opencv": None if find_spec("cv2") is None else str(import_module("cv2").__version__),
    }


if __name__ == "__main__":
    json.dump(versions(), sys.stdout)

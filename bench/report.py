"""Measures everything side by side and writes docs/performance.md. Takes a few minutes; never part of the tests."""

from __future__ import annotations

import argparse
import platform
from datetime import UTC, datetime
from pathlib import Path

import av
import cv2
import numpy as np

import renderer
import startup
from keyframe_mcp import __version__

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"


def report(quick):
    """The page."""
    versions = (
        f"Python {platform.python_version()}, av {av.__version__}, OpenCV {cv2.__version__}, NumPy {np.__version__}"
    )
    return f"""# Performance

Written by `make bench` on {datetime.now(UTC):%Y-%m-%d} for keyframe-mcp {__version__} ({versions}).
The machine may be busy: what is compared was run in turn, CPU time is what the processes used, and the ratios are the
figures to read.

## Starting the server

{startup.table(startup.measure())}

Median of processes started in turn, each measured when it had answered `initialize`; a host waits for this.

## The embedded renderer

{renderer.table(renderer.measure(quick=quick))}
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer scenes and repeats")
    PAGE.write_text(report(parser.parse_args().quick), "utf-8")
    print(f"wrote {PAGE.name}")

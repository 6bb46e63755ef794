"""Measures everything side by side and writes docs/performance.md. Takes a few minutes; never part of the tests."""

from __future__ import annotations

import argparse
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

import av
import cv2
import numpy as np

import load
import renderer
import rivals
import startup
import tokens
from aims import AIMS, missed
from keyframe_mcp import __version__

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"


def report(quick):
    """The page."""
    versions = (
        f"Python {platform.python_version()}, av {av.__version__}, OpenCV {cv2.__version__}, NumPy {np.__version__}"
    )
    drawn = renderer.measure(quick=quick)
    return f"""# Performance

Written by `make bench` on {datetime.now(UTC):%Y-%m-%d} for keyframe-mcp {__version__} ({versions}).
The machine may be busy: what is compared was run in turn, CPU time is what the processes used, and the ratios are the
figures to read.

## Starting the server

{startup.table(startup.measure())}

Median of processes started in turn, each measured when it had answered `initialize`; a host waits for this.

{tokens.section()}
{load.section()}
## The embedded renderer

{AIMS}

{missed(drawn)}

{renderer.table(drawn)}
"""


def with_again(page, heading, section):
    """The page with one section measured again. The renderer's is the last one, and is always there."""
    if f"\n## {heading}\n" not in page:
        return page.replace("\n## The embedded renderer\n", f"\n{section}\n## The embedded renderer\n")
    return re.sub(rf"## {heading}\n.*?\n(?=## )", lambda _: section + "\n", page, flags=re.DOTALL)


def wanted(given):
    """The page, as much of it measured again as was asked for."""
    if given.tokens:
        return with_again(PAGE.read_text("utf-8"), "What a model reads", tokens.section())
    if given.load:
        return with_again(PAGE.read_text("utf-8"), "Many clients over HTTP", load.section())
    return report(given.quick)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer scenes and repeats")
    parser.add_argument("--tokens", action="store_true", help="only what a model reads; takes seconds")
    parser.add_argument("--load", action="store_true", help="only many clients over HTTP; takes three minutes")
    parser.add_argument("--fresh", type=Path, metavar="FOLDER", help="first install rivals there and ask them anew")
    given = parser.parse_args()
    if given.fresh:
        rivals.refresh(given.fresh.resolve())
    PAGE.write_text(wanted(given), "utf-8")
    print(f"wrote {PAGE.name}")

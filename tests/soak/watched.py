"""Starts the server in this process and writes down every address it looks up or connects to.

python watched.py LOG [ARGUMENT ...]
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

EVENTS = {"socket.connect": 1, "socket.getaddrinfo": 0, "socket.sendto": 1}
"""What is watched, and which of its arguments says where to."""


def watch(log: Path) -> None:
    """From here on, every address goes into the log, a JSON line each."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS:
            os.write(file, json.dumps([event, repr(arguments[EVENTS[event]])]).encode() + b"\n")

    sys.addaudithook(note)


if __name__ == "__main__":
    watch(Path(sys.argv.pop(1)))
    sys.path.pop(0)  # this folder, which is none of the server's
    runpy.run_module("keyframe_mcp", run_name="__main__", alter_sys=True)

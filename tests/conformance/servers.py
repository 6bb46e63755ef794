"""The servers the suite is run against, each a process of its own with folders of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from conformance.roster import Place

START_SECONDS = 20
TESTS = Path(__file__).parents[1]
COMMANDS: Mapping[Place, Sequence[str]] = {
    "real": ("keyframe_mcp", "serve", "--transport", "http", "--port", "{port}"),
    "fixture": ("conformance.fixture", "{port}"),
    "events": ("conformance.fixture", "{port}", "--events"),
}


@contextmanager
def serving(under: Path) -> Generator[Mapping[Place, str]]:
    """The addresses of all of them."""
    with ExitStack() as stack:
        yield {place: stack.enter_context(running(place, under / place)) for place in COMMANDS}


@contextmanager
def running(place: Place, folder: Path) -> Generator[str]:
    """The address of one."""
    folder.mkdir()
    port = free_port()
    command = [sys.executable, "-m", *(part.format(port=port) for part in COMMANDS[place])]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=log, stderr=log)
    try:
        require_answer(process, port, folder / "log")
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, politely first."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(folder: Path) -> Mapping[str, str]:
    """What a server of ours is started with: no keys, and folders of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
    folders = {"KEYFRAME_STATE_DIR": str(folder / "state"), "KEYFRAME_OUTPUT_DIR": str(folder / "out")}
    return kept | folders | {"HOME": str(folder), "PYTHONPATH": str(TESTS)}


def require_answer(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return once a server listens. Raises `ClickException` if it ends, or takes too long."""
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise click.ClickException(f"a server did not start:\n{log.read_text()[-800:]}")

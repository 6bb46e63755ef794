"""Servers as processes of their own, on ports of this machine, and what they use."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).resolve().parent
KEPT = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "TMPDIR", "SYSTEMROOT")
START_SECONDS = 30


@dataclass(frozen=True)
class Served:
    """A server that answers."""

    port: int
    process: psutil.Process

    def cpu(self):
        """CPU seconds so far, of this process alone: none of those it starts answers anybody."""
        return sum(self.process.cpu_times()[:2])

    def memory(self):
        """What it alone holds, in MiB."""
        return self.process.memory_full_info().uss / (1 << 20)

    def descriptors(self):
        """Open files and sockets."""
        return self.process.num_fds()


def free_port(row=1):
    """The first of so many ports in a row that nobody has."""
    while True:
        with ExitStack() as stack:
            first = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            with suppress(OSError, OverflowError):
                for port in range(first + 1, first + row):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
                return first


@contextmanager
def serving(command, port, environment=None, cwd=None, path="/mcp"):
    """A command that serves on a port, once it does."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT}
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], env=kept | (environment or {}), cwd=cwd, stdout=subprocess.DEVNULL
    )
    try:
        wait_for(f"http://127.0.0.1:{port}{path}", process)
        yield Served(port, psutil.Process(process.pid))
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(url, process):
    """Return once something answers there, whatever it says. Raises `RuntimeError`."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - an address of this machine
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing answers at {url}; the process ended with {process.poll()}")


@contextmanager
def ours(folder, **environment):
    """Our server over Streamable HTTP, as anybody starts it."""
    port = free_port()
    kept = {"KEYFRAME_OUTPUT_DIR": f"{folder}/out", "KEYFRAME_STATE_DIR": f"{folder}/state"}
    command = ["-m", "keyframe_mcp", "serve", "--transport", "http", "--port", port]
    with serving(command, port, kept | environment, path="/health") as served:
        yield served


@contextmanager
def bare(*what):
    """A server of the SDK alone."""
    port = free_port()
    with serving([HERE / "bare.py", port, *what], port) as served:
        yield served


@contextmanager
def emulators(seconds):
    """Emulated providers whose jobs take this long, and the variables that lead there."""
    port = free_port(row=5)
    command = ["-m", "emulators", "--port", port, "--seconds", seconds]
    with serving(command, port, cwd=HERE.parent / "tests", path="/") as served:
        yield (
            served,
            {
                "KEYFRAME_ALLOW_LOOPBACK": "1",
                "KEYFRAME_WAVESPEED_BASE_URL": f"http://127.0.0.1:{port}",
                "WAVESPEED_API_KEY": "emulated-key",
                "KEYFRAME_WAVESPEED_AT_ONCE": "0",
                "KEYFRAME_WAVESPEED_SUBMITS_PER_MINUTE": "0",
            },
        )

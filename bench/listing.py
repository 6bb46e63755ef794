"""What a server tells a host before anything happens: its instructions and its tools, over plain pipes."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import time
from dataclasses import dataclass

HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
ANSWER_SECONDS = 60.0


class NoAnswer(Exception):
    """The server ended, or took too long."""


@dataclass(frozen=True)
class Listing:
    """What was told. `given` is what most hosts pass on to a model: no output schemas, no annotations."""

    tools: list[dict]
    instructions: str

    @property
    def bytes(self):
        """Of the result; the JSON-RPC envelope adds 34."""
        return size({"tools": self.tools})

    @property
    def given(self):
        return size([{name: tool.get(name) for name in ("name", "description", "inputSchema")} for tool in self.tools])


def size(value):
    """Bytes of compact JSON, or of a text."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return len(text.encode())


def listing(command, folder, environment):
    """Start a server, ask, and stop it. Raises NoAnswer."""
    with running(command, folder, environment) as pipe:
        about = pipe.ask("initialize", HANDSHAKE)
        pipe.tell("notifications/initialized")
        tools, cursor = [], None
        while True:
            page = pipe.ask("tools/list", {"cursor": cursor} if cursor else {})
            tools += page["tools"]
            cursor = page.get("nextCursor")
            if not cursor:
                return Listing(tools, about.get("instructions") or "")


@contextlib.contextmanager
def running(command, folder, environment):
    """A server on two pipes, with nothing of this process's environment but the path."""
    given = {"PATH": os.environ["PATH"], "HOME": str(folder)} | environment
    process = subprocess.Popen(
        command, cwd=folder, env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield Pipe(process)
    finally:
        process.kill()
        process.wait()
        for end in (process.stdin, process.stdout):
            if end is not None:
                end.close()


class Pipe:
    """JSON lines to a server and back. Lines that are not JSON, such as banners, are passed over."""

    def __init__(self, process):
        self._process, self._last, self._rest = process, 0, b""

    def ask(self, method, params):
        self._last += 1
        self._write({"jsonrpc": "2.0", "id": self._last, "method": method, "params": params})
        until = time.monotonic() + ANSWER_SECONDS
        while True:
            with contextlib.suppress(json.JSONDecodeError):
                message = json.loads(self._line(until))
                if isinstance(message, dict) and message.get("id") == self._last and "method" not in message:
                    return message.get("result") or message

    def tell(self, method):
        self._write({"jsonrpc": "2.0", "method": method})

    def _write(self, message):
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise NoAnswer("it ended at once") from None

    def _line(self, until):
        while b"\n" not in self._rest:
            self._rest += self._some(until)
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _some(self, until):
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._process.stdout, selectors.EVENT_READ)
            if not waiting.select(max(0.0, until - time.monotonic())):
                raise NoAnswer(f"no answer within {ANSWER_SECONDS:g} s")
        if some := os.read(self._process.stdout.fileno(), 1 << 16):
            return some
        raise NoAnswer("it ended without an answer")

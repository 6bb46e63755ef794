"""HTTP by hand, so that whoever asks costs little beside whoever answers: bytes out, bytes in, nothing parsed twice."""

from __future__ import annotations

import asyncio
import json
from typing import Any

MODERN, LEGACY = "2026-07-28", "2025-11-25"
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
HANDSHAKE = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
CHUNKED, LAST_CHUNK = b"transfer-encoding: chunked", b"0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One kept-alive connection, with one question on it at a time."""

    def __init__(self):
        self._got, self._answer, self._length, self._until = bytearray(), None, None, None
        self._transport: Any = None

    def connection_made(self, transport):
        """Open."""
        self._transport = transport

    def data_received(self, data):
        """Some of the answer."""
        self._got += data
        if self._length is None:
            self._length = length_of(self._got)
        if self._answer and not self._answer.done() and self._is_whole():
            self._answer.set_result(bytes(self._got))

    def _is_whole(self):
        if self._until:
            return self._until in self._got
        return self._got.endswith(LAST_CHUNK) if self._length == 0 else len(self._got) == self._length

    def connection_lost(self, exc):
        """Closed by the server."""
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed before the answer was whole"))

    async def ask(self, request, until=None):
        """The whole answer to a whole request, head and all; or what is here of it once it holds these bytes."""
        self._got, self._length, self._until = bytearray(), None, until
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self):
        """Leave, also in the middle of an answer."""
        self._answer = None
        self._transport.abort()


def length_of(got):
    """How long the whole answer is, 0 for one in chunks, None while its head is not here."""
    end = got.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(got[:end]).lower()
    if CHUNKED in head:
        return 0
    return end + 4 + int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])


async def connect(port):
    """A new connection to a port of this machine."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection


def post(port, message, version, headers=None):
    """The bytes of one JSON-RPC message."""
    body = json.dumps(message, separators=(",", ":")).encode()
    lines = {
        "Host": f"127.0.0.1:{port}",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "Content-Length": len(body),
        "Mcp-Protocol-Version": version,
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body


def call(port, era, tool, arguments, headers=None):
    """The bytes of one call of a tool. An older one needs its session among the headers."""
    params = {"name": tool, "arguments": arguments}
    if era == MODERN:
        params |= {"_meta": ENVELOPE}
        headers = {"Mcp-Method": "tools/call", "Mcp-Name": tool, **(headers or {})}
    return post(port, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, era, headers)


async def session(connection, port, era, headers=None):
    """The headers that calls on this connection need: those given, and a session's where the era has them."""
    if era == MODERN:
        return headers or {}
    hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": HANDSHAKE}
    answer = await connection.ask(post(port, hello, era, headers))
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1").lower()
    known = {**(headers or {}), "Mcp-Session-Id": head.partition("mcp-session-id: ")[2].partition("\r\n")[0]}
    await connection.ask(post(port, {"jsonrpc": "2.0", "method": "notifications/initialized"}, era, known))
    return known


def result(answer):
    """What a tool answered, from a whole answer of either kind. Raises `RuntimeError` for anything else."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = unchunked(body).splitlines() if CHUNKED in head.lower() else [b"data: " + body]
    told = [json.loads(line.removeprefix(b"data: ")) for line in lines if line.startswith(b"data: {")]
    if not told or "result" not in told[-1] or told[-1]["result"].get("isError"):
        raise RuntimeError(f"not an answer: {answer[:2000]!r}")
    return told[-1]["result"]


def unchunked(body):
    """A body without the marks of its chunks."""
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    return whole

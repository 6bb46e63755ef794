"""Connections: who opens one and sends nothing does not keep it, and a full house does not stop the work inside."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0
"""For a whole request head to come. Between requests uvicorn waits 5 seconds."""
BACKLOG = 128
"""Connections that wait to be taken in. The system's loop takes in as many before anything of ours is asked."""
OWN_FILES = 64
"""Files and connections that the work itself needs: the database, results, providers."""
FEWEST = 32
MOST = 4096
LEAVING = b'{"error":"the server is ending; send it again in a moment"}'
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 59\r\n"
    b'Retry-After: 5\r\nConnection: close\r\n\r\n{"error":"too many connections are open; try again in 5 s"}'
)

log = logging.getLogger(__name__)


class Connection(H11Protocol):
    """One client's. `most` is how many there may be at once, `head_seconds` how long a head may take."""

    most = MOST
    head_seconds = HEAD_SECONDS
    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take it in, or say at once that there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.write(FULL)
            transport.close()
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come: of a head, of a body, or of nothing that is asked for."""
        super().data_received(data)
        self._watch()

    def shutdown(self) -> None:
        """The process ends. A request that has not come whole is not waited for."""
        if not (self._is_answering and self.cycle.more_body) or self.cycle.response_started:
            super().shutdown()
            return
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        self._say_leaving()
        self.transport.close()

    def _say_leaving(self) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(LEAVING)).encode()),
            (b"retry-after", b"5"),
            (b"connection", b"close"),
        ]
        answer = h11.Response(status_code=503, headers=headers, reason=b"Service Unavailable")
        for event in (answer, h11.Data(data=LEAVING), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")

    def _should_upgrade(self) -> bool:
        """Never: there are no web sockets here, and whoever asks for one is answered over HTTP."""
        return False

    def _watch(self) -> None:
        """Give it so long for a head while nothing is being answered."""
        if self._is_answering:
            self._unwatch()
        elif self._head is None and not self.transport.is_closing():
            self._head = self.loop.call_later(self.head_seconds, self._is_late)

    def _unwatch(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _is_late(self) -> None:
        self._head = None
        if not self._is_answering:
            self.transport.close()

    @property
    def _is_answering(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete  # there is no cycle before the first request


def connections(most: int, head_seconds: float = HEAD_SECONDS) -> type[Connection]:
    """Connections of one server."""

    class Limited(Connection):
        pass

    Limited.most, Limited.head_seconds = most, head_seconds
    return Limited


def most_connections() -> int:
    """How many connections this process can have and still do its work, after what the system allows it."""
    if sys.platform == "win32":
        return MOST
    import resource  # noqa: PLC0415 - not there on Windows

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST
    return max(FEWEST, min(MOST, files - OWN_FILES - BACKLOG))


class Accidents:
    """What goes wrong outside of any request. Connections that cannot be taken in are told of once a minute."""

    def __init__(self) -> None:
        self._told_at = float("-inf")

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log one."""
        if "socket.accept()" not in str(context.get("message")):
            loop.default_exception_handler(context)
        elif loop.time() - self._told_at > 60:
            self._told_at = loop.time()
            log.error("no connection can be taken in (%s); the system allows too few files", context.get("exception"))

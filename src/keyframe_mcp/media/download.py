"""A body on its way into a file, and how one that broke off is gone on with.

Only a file that its server names unmistakably is gone on with (RFC 9110, 13.1.5 and 14.4); of any other, the halves
of two different films might end up in one file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from typing import IO
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpx

from keyframe_mcp.errors import UnfetchableUrl

ASK_AGAIN = frozenset({408, 425, 429})
"""Answers below 500 that may well be another one a little later."""

PIECE = 1 << 20
"""Bytes written at once, each time in a thread: a slow disk then holds up this one download and nothing else."""

PACE = 100_000
"""Bytes a second that count as steady."""

BREAKS = (httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError)
"""How a body ends too soon; the last of them also when fewer bytes came than were declared."""

STRONG_TAG = re.compile(r'"[!#-~]*"')
PART = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})")


class BrokeOff(Exception):
    """The body ended too soon. `status` is that of the answer it was in."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


@dataclass(frozen=True)
class Version:
    """Which file a server began to send: how it tells it from any other, and all its bytes."""

    validator: str
    total: int


class Body:
    """A file that a body is written into. `scope` is the time limit where that grows with what arrives."""

    def __init__(self, into: IO[bytes], most_bytes: int, scope: anyio.CancelScope | None) -> None:
        self._into = into
        self._scope = scope
        self._waiting = bytearray()
        self._farthest = 0
        self._came = 0
        self.most_bytes = most_bytes
        self.has = 0
        self.version: Version | None = None

    @property
    def can_go_on(self) -> bool:
        """Whether the rest can be asked for, and asking for it is not in vain: the last answer brought something."""
        return self.version is not None and 0 < self._came <= self.has < self.version.total

    @property
    def is_complete(self) -> bool:
        """Whether it has the length it should have, as far as that is known."""
        return self.version is None or self.has == self.version.total

    def question(self) -> Mapping[str, str]:
        """The headers that ask for the rest; none for the whole."""
        if self.version is None or self.has == 0:
            return {}
        return {"Range": f"bytes={self.has}-", "If-Range": self.version.validator}

    def go_on(self) -> None:
        """An answer brings the rest."""
        self._came = 0

    async def start_over(self, version: Version | None) -> None:
        """An answer brings the whole."""
        self.version, self.has, self._came = version, 0, 0
        self._waiting.clear()
        await anyio.to_thread.run_sync(empty, self._into)

    async def take(self, piece: bytes) -> bool:
        """Some more of it; False, and nothing is written, when that would be too much."""
        if self.has + len(piece) > self.most_bytes:
            return False
        self._waiting += piece
        self.has += len(piece)
        self._came += len(piece)
        self._grant()
        if len(self._waiting) >= PIECE:
            await self.write()
        return True

    async def write(self) -> None:
        """Put into the file what has come. Raises `OSError`."""
        piece, self._waiting = bytes(self._waiting), bytearray()
        if piece:
            await anyio.to_thread.run_sync(self._into.write, piece)

    def _grant(self) -> None:
        """More time, for bytes that were not there before: what comes twice is paid for once."""
        if self._scope is not None and self.has > self._farthest:
            self._scope.deadline += (self.has - self._farthest) / PACE
        self._farthest = max(self._farthest, self.has)


def empty(into: IO[bytes]) -> None:
    """Back to a file without content."""
    if into.tell():
        into.seek(0)
        into.truncate()


async def receive(url: str, response: httpx.Response, body: Body) -> None:
    """Read a body as it was sent; decoding it could unpack a bomb. Raises `BrokeOff`, `UnfetchableUrl`, `OSError`."""
    status = response.status_code
    is_rest = bool(body.question())
    if status != 200 and not (is_rest and status == 206):
        # whatever is wrong with asking for the rest, asking for the whole may well work
        passing = is_rest or status in ASK_AGAIN or status >= 500
        message = f"{shown(url)} answered {status}; it must be readable without signing in"
        raise UnfetchableUrl(message, status=status, passing=passing)
    if response.headers.get("content-encoding", "identity") != "identity":
        raise UnfetchableUrl(f"{shown(url)} sends compressed content, which is not read", status=status)
    if status == 206:
        require_rest(url, response, body)
        body.go_on()
    else:
        await body.start_over(version_of(response))
        if int(response.headers.get("content-length", 0)) > body.most_bytes:
            raise too_large(url, response, body)
    await copy(url, response, body)


async def copy(url: str, response: httpx.Response, body: Body) -> None:
    """Take the bytes, up to the most that works. What came before a break is kept."""
    try:
        async for piece in response.aiter_raw():
            if not await body.take(piece):
                raise too_large(url, response, body)
    except BREAKS:
        raise BrokeOff(response.status_code) from None
    await body.write()
    if not body.is_complete:
        raise BrokeOff(response.status_code)


def require_rest(url: str, response: httpx.Response, body: Body) -> None:
    """Raise `UnfetchableUrl` for a part that does not begin where the file here ends, or is one of another file."""
    part = PART.fullmatch(response.headers.get("content-range", ""))
    tag = response.headers.get("etag")
    if part is not None and body.version is not None:
        start, end, total = map(int, part.groups())
        validator = body.version.validator
        is_same = tag in (None, validator) or not validator.startswith('"')
        if is_same and start == body.has <= end < total == body.version.total:
            return
    message = f"{shown(url)} broke off, and answered with another part than the missing one; try again"
    raise UnfetchableUrl(message, status=response.status_code, passing=True)


def version_of(response: httpx.Response) -> Version | None:
    """Which file this is; None where that, or its length, is not said for certain."""
    length = response.headers.get("content-length")
    validator = validator_of(response)
    if length is None or validator is None or "transfer-encoding" in response.headers:
        return None
    return Version(validator, int(length))


def validator_of(response: httpx.Response) -> str | None:
    """A strong tag; without any tag, a date at which the file had been the same for at least a second."""
    tag = response.headers.get("etag")
    if tag is not None:
        return tag if STRONG_TAG.fullmatch(tag) else None
    modified = response.headers.get("last-modified", "")
    return modified if instant(modified) + 1 <= instant(response.headers.get("date", "")) else None


def instant(date: str) -> float:
    """Seconds since the epoch; for what is no date, a number that compares with nothing."""
    with suppress(ValueError, OverflowError, TypeError):
        if parsed := parsedate_tz(date):
            return mktime_tz(parsed)
    return float("nan")


def too_large(url: str, response: httpx.Response, body: Body) -> UnfetchableUrl:
    """What to say when there are more bytes than work."""
    message = f"{shown(url)} has more than {body.most_bytes:,} bytes, which is the most that works"
    return UnfetchableUrl(message, status=response.status_code)


def shown(url: str) -> str:
    """A URL for an error text: without the query, which may carry a signature."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{parts.path}"[:200]

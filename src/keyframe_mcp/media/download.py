"""A body on its way into a file, and how one that broke off is gone on with.

Only a file that its server names unmistakably is gone on with (RFC 9110, 13.1.5, 14.4 and 15.3.7), and at that server
alone; of any other, the halves of two different films might end up in one file.
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

ASK_AGAIN = frozenset({206, 408, 425, 429})
"""Answers below 500 that may well be another one a little later. 206 is one where the whole was asked for."""

PIECE = 1 << 20
"""Bytes written at once, each time in a thread: a slow disk then holds up this one download and nothing else."""

PACE = 100_000
"""Bytes a second that count as steady."""

BREAKS = (httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError)
"""How a body ends too soon; the last of them also when fewer bytes came than were declared."""

STRONG_TAG = re.compile(r'"[!#-~]*"')
DATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")
PART = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")

Origin = tuple[str, bytes, int | None]
"""Scheme, host and port."""


class BrokeOff(Exception):
    """The body ended too soon. `status` is that of the answer it was in."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


@dataclass(frozen=True)
class Version:
    """Which file a server began to send: where, how it tells it from any other, and all its bytes."""

    origin: Origin
    tag: str | None
    modified: str | None
    total: int

    @property
    def validator(self) -> str:
        """By which the server knows it again. A tag is surer than a date."""
        return self.tag or self.modified or ""

    def is_told_by(self, response: httpx.Response) -> bool:
        """Whether a part is said to be of this file. A date may be left out of such an answer, and a tag may not."""
        tag, modified = response.headers.get("etag"), response.headers.get("last-modified")
        return tag == self.tag and modified in (None, self.modified)


class Body:
    """A file that a body is written into. `scope` is the time limit where that grows with what arrives."""

    def __init__(self, into: IO[bytes], most_bytes: int, scope: anyio.CancelScope | None) -> None:
        self._into = into
        self._scope = scope
        self._waiting = bytearray()
        self._farthest = 0
        self._came = 0
        self._end = most_bytes
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

    def question(self, url: str) -> Mapping[str, str]:
        """The headers that ask for the rest; none for the whole, as of a server that did not send the beginning."""
        if self.version is None or self.has == 0 or self.version.origin != origin(url):
            return {}
        return {"Range": f"bytes={self.has}-", "If-Range": self.version.validator}

    def go_on(self, end: int) -> None:
        """An answer brings more of it, up to a place that it names."""
        self._came, self._end = 0, end

    async def start_over(self, version: Version | None) -> None:
        """An answer brings the whole."""
        self.version, self.has, self._came, self._end = version, 0, 0, self.most_bytes
        self._waiting.clear()
        await anyio.to_thread.run_sync(empty, self._into)

    async def take(self, piece: bytes) -> bool:
        """Some more of it; False, and nothing is written, when that would be too much."""
        if self.has + len(piece) > self._end:
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
    is_rest = bool(body.question(url))
    # whatever is wrong with asking for the rest, asking for the whole may well work
    passing = is_rest or status in ASK_AGAIN or status >= 500
    if status != 200 and not (is_rest and status == 206):
        raise UnfetchableUrl(refusal(url, status), status=status, passing=passing)
    if response.headers.get("content-encoding", "identity") != "identity":
        packed = f"{shown(url)} sends compressed content, which is not read"
        raise UnfetchableUrl(packed, status=status, passing=passing)
    if status == 206:
        body.go_on(rest_end(url, response, body))
    else:
        await body.start_over(version_of(url, response))
        if int(response.headers.get("content-length", 0)) > body.most_bytes:
            raise too_much(url, response, body)
    await copy(url, response, body)


def refusal(url: str, status: int) -> str:
    """What to say of an answer that is no file."""
    if status == 206:
        return f"{shown(url)} answered with a part that was not asked for; try again"
    return f"{shown(url)} answered {status}; it must be readable without signing in"


async def copy(url: str, response: httpx.Response, body: Body) -> None:
    """Take the bytes, up to the last that is meant or works. What came before a break is kept."""
    try:
        async for piece in response.aiter_raw():
            if not await body.take(piece):
                raise too_much(url, response, body)
    except BREAKS:
        raise BrokeOff(response.status_code) from None
    await body.write()
    if not body.is_complete:
        raise BrokeOff(response.status_code)


def rest_end(url: str, response: httpx.Response, body: Body) -> int:
    """How many bytes there are after this part.

    Raises `UnfetchableUrl` for one that does not begin where the file here ends, or may be one of another file.
    """
    part = PART.fullmatch(response.headers.get("content-range", ""))
    if part is not None and body.version is not None and body.version.is_told_by(response):
        start, last, total = map(int, part.groups())
        if start == body.has <= last < total == body.version.total:
            return last + 1
    message = f"{shown(url)} broke off, and answered with another part than the missing one; try again"
    raise UnfetchableUrl(message, status=response.status_code, passing=True)


def version_of(url: str, response: httpx.Response) -> Version | None:
    """Which file this is; None where that, or its length, is not said for certain."""
    headers = response.headers
    length, tag, modified = headers.get("content-length"), headers.get("etag"), headers.get("last-modified")
    if length is None or "transfer-encoding" in headers:
        return None
    is_told = is_settled(modified, headers.get("date")) if tag is None else STRONG_TAG.fullmatch(tag) is not None
    return Version(origin(url), tag, modified, int(length)) if is_told else None


def is_settled(modified: str | None, now: str | None) -> bool:
    """Whether a date can stand for a file: it had been the same for at least a second when it was sent."""
    return instant(modified or "") + 1 <= instant(now or "")


def instant(date: str) -> float:
    """Seconds since the epoch; for what is no date as HTTP writes it, a number that compares with nothing."""
    with suppress(ValueError, OverflowError, TypeError):
        if DATE.fullmatch(date) and (parsed := parsedate_tz(date)):
            return mktime_tz(parsed)
    return float("nan")


def too_much(url: str, response: httpx.Response, body: Body) -> UnfetchableUrl:
    """What to say when there are more bytes than work, or than a part was said to have."""
    if response.status_code == 206:
        message = f"{shown(url)} broke off, and answered with more than the missing part; try again"
        return UnfetchableUrl(message, status=206, passing=True)
    message = f"{shown(url)} has more than {body.most_bytes:,} bytes, which is the most that works"
    return UnfetchableUrl(message, status=response.status_code)


def origin(url: str) -> Origin:
    """Anything that is no URL is an origin of its own, and refused elsewhere."""
    try:
        parsed = httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        return url, b"", None
    return parsed.scheme, parsed.raw_host, parsed.port


def shown(url: str) -> str:
    """A URL for an error text: without the query, which may carry a signature."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{parts.path}"[:200]

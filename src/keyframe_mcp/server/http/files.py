"""Kept results, for whoever has a link. Nobody signs in here: the address is the permission, and names one file.

Starlette's `FileResponse` is not used: it opens a path by itself, where a link could have been put in between; it
answers 400 to a `Range` it does not know, which is to be passed over; and it has no 304.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from typing import BinaryIO

import anyio
import anyio.to_thread
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from keyframe_mcp.errors import InvalidInput
from keyframe_mcp.media.files import Folders
from keyframe_mcp.server.http.ranges import OutOfRange, Span, span_of
from keyframe_mcp.server.links import MEDIA_TYPES, Links

METHODS = ("GET", "HEAD")
PIECE = 256 * 1024
MOST_BYTES = 1 << 40
ABSENT = "there is no such file"
OVER = "this link has ended; get_task gives a new one for a task's video, and a film's or frame's tool makes it again"
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "cross-origin",  # a page elsewhere may show it in a player
    # Nothing in it can run, whatever a provider has sent. Not `sandbox`: Chromium then opens a link without the video.
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; media-src 'self'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True)
class Opened:
    """A file that is open, and what its answers have in common."""

    file: BinaryIO
    size: int
    etag: str
    changed: float

    @classmethod
    def of(cls, file: BinaryIO) -> Opened:
        """What is known of it."""
        about = os.fstat(file.fileno())
        return cls(file, about.st_size, f'"{about.st_ino:x}-{about.st_mtime_ns:x}-{about.st_size:x}"', about.st_mtime)

    def is_known(self, headers: Headers) -> bool:
        """Whether whoever asks has it already."""
        if (tags := headers.get("if-none-match")) is not None:
            return tags.strip() == "*" or self.etag in [each.strip().removeprefix("W/") for each in tags.split(",")]
        return is_since(headers.get("if-modified-since"), self.changed)

    def is_same(self, condition: str | None) -> bool:
        """Whether a part may be given to who had another part of the file that the condition names."""
        return condition is None or condition in (self.etag, formatdate(self.changed, usegmt=True))


class Files:
    """`/files/<end>/<signature>/<name>`."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._folders = Folders((links.folder,), links.folder, proposes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope)
        if request.method not in METHODS:
            await refusal(405, "files can only be read", {"Allow": ", ".join(METHODS)})(scope, receive, send)
            return
        end, _, rest = str(request.path_params["path"]).partition("/")
        signature, _, name = rest.partition("/")
        if not self._links.is_ours(end, signature, name):
            await refusal(404, ABSENT)(scope, receive, send)
        elif (left := self._links.left(end)) <= 0:
            await refusal(410, OVER)(scope, receive, send)
        else:
            await self._give(request, name, left, receive, send)

    async def _give(self, request: Request, name: str, left: int, receive: Receive, send: Send) -> None:
        """A file that may be had for `left` seconds more."""
        try:
            file = await anyio.to_thread.run_sync(self._folders.open, name, MOST_BYTES)
        except InvalidInput:
            await refusal(404, ABSENT)(request.scope, receive, send)
            return
        try:
            await answer(request, Opened.of(file), name, left)(request.scope, receive, send)
        finally:
            file.close()


def answer(request: Request, opened: Opened, name: str, left: int) -> Response:
    """All of it, or the part that was asked for."""
    headers = {
        **SAFE,
        "Accept-Ranges": "bytes",
        "Cache-Control": f"private, max-age={left}",
        "Content-Disposition": f"inline; filename*=UTF-8''{name}",
        "Content-Type": MEDIA_TYPES[name.rpartition(".")[2]],
        "ETag": opened.etag,
        "Last-Modified": formatdate(opened.changed, usegmt=True),
    }
    if opened.is_known(request.headers):
        del headers["Content-Type"]
        return Response(status_code=304, headers=headers)
    asked = request.headers.get("range") if opened.is_same(request.headers.get("if-range")) else None
    try:
        span = span_of(asked, opened.size) if request.method == "GET" else None
    except OutOfRange:
        return refusal(416, f"the file has {opened.size} bytes", {"Content-Range": f"bytes */{opened.size}"})
    return part(request, opened, span, headers)


def part(request: Request, opened: Opened, span: Span | None, headers: dict[str, str]) -> Response:
    """The bytes, or with HEAD what they would have come with."""
    whole = Span(0, opened.size)
    chosen = span or whole
    headers = {**headers, "Content-Length": str(chosen.length)}
    if span is not None:
        headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{opened.size}"
    if request.method == "HEAD":
        return Response(headers=headers)
    return StreamingResponse(pieces(opened.file, chosen), 200 if span is None else 206, headers)


async def pieces(file: BinaryIO, span: Span) -> AsyncGenerator[bytes]:
    """The bytes of a part, a few at a time: the next are read when these have gone out."""
    await anyio.to_thread.run_sync(file.seek, span.start)
    left = span.length
    while left and (piece := await anyio.to_thread.run_sync(file.read, min(PIECE, left))):
        left -= len(piece)
        yield piece


def is_since(text: str | None, changed: float) -> bool:
    """Whether nothing has changed since a time in an HTTP header. What is no time does not count."""
    if text is None:
        return False
    try:
        return int(changed) <= parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return False


def refusal(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """What was wrong. It is not remembered: the file may be there later."""
    return JSONResponse({"error": message}, status, {**SAFE, "Cache-Control": "no-store", **(headers or {})})

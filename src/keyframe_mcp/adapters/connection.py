"""The one module that sends: which accidents prove that nothing left, and which prove nothing.

Tried 2026-11-20: a refused, unresolved or unsecured connection sends no byte of the request; a reset, a silence or a
broken answer may come after the provider took the job.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import anyio
import anyio.to_thread
import httpx

from keyframe_mcp.adapters.dialect import Call, Reply

MOST_BYTES = 64 << 20  # a video inside JSON fits; an endless answer does not
MOST_LEVELS = 100  # of lists in lists; what reads an answer calls itself for each
LARGE_TEXT = 100_000  # a picture; writing such a body takes long enough to be noticed by others
HEAR_SECONDS = 90  # a provider may be asked to wait a minute for the result before it answers
SUBMIT_SECONDS = 100
OTHER_SECONDS = 30
UPLOAD_SECONDS = 300
HEADER_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")


class NotBuilt(Exception):
    """What was asked for cannot be put into a request, so there was none."""


class NotSent(Exception):
    """Certainly no complete request left."""


class HeldUp(NotSent):
    """It is too late to send it: this process was stopped for a while."""


class NoAnswer(Exception):
    """It may have left; what became of it is not known."""


@dataclass(frozen=True)
class Fence:
    """A moment after which nothing more may leave. A process that was paused before it sent finds out here."""

    not_after: float
    clock: Callable[[], float]
    not_after_ticks: float = math.inf

    def require_open(self) -> None:
        """Raise `HeldUp` when it is too late, by either clock."""
        if self.clock() > self.not_after or anyio.current_time() > self.not_after_ticks:
            raise HeldUp("it was held up for too long before it could leave")

    async def trace(self, event: str, _: Mapping[str, object]) -> None:
        """What the connection calls just before headers and body leave: without both there is no request."""
        if event.endswith(("send_request_headers.started", "send_request_body.started")):
            self.require_open()


NO_FENCE = Fence(math.inf, time.time)


class Connection:
    """A provider's host, spoken to with one key. Redirects are never followed: they would carry the key elsewhere."""

    def __init__(self, base_url: str, headers: Mapping[str, str], transport: httpx.AsyncBaseTransport | None) -> None:
        self._base_url = base_url.rstrip("/")
        context = httpx.create_ssl_context()  # SSL_CERT_FILE and SSL_CERT_DIR count, proxies of the environment do not
        patient, timeout = httpx.Timeout(30, connect=5, read=HEAR_SECONDS), httpx.Timeout(30, connect=5, read=60)
        # A kept connection may be closed by the other side just as a request leaves: nobody could tell then whether
        # a paid job was taken. One handshake more costs nothing beside it.
        fresh, kept = httpx.Limits(max_keepalive_connections=0), httpx.Limits(max_connections=10)
        self._paid = httpx.AsyncClient(
            headers=headers, timeout=patient, limits=fresh, verify=context, transport=transport, trust_env=False
        )
        self._other = httpx.AsyncClient(
            headers=headers, timeout=timeout, limits=kept, verify=context, transport=transport, trust_env=False
        )

    async def pay(self, call: Call, fence: Fence = NO_FENCE) -> Reply:
        """Send what may cost money: once, on a connection of its own, and not too late."""
        return await self._send(self._paid, call, SUBMIT_SECONDS, fence)

    async def ask(self, call: Call) -> Reply:
        """Send what costs nothing."""
        return await self._send(self._other, call, UPLOAD_SECONDS if call.upload else OTHER_SECONDS)

    async def aclose(self) -> None:
        """Close both."""
        await self._paid.aclose()
        await self._other.aclose()

    async def _send(self, client: httpx.AsyncClient, call: Call, seconds: float, fence: Fence = NO_FENCE) -> Reply:
        request = await self._built(client, call)
        request.extensions["trace"] = fence.trace
        fence.require_open()
        try:
            with anyio.fail_after(seconds):
                response = await client.send(request, stream=True)
                try:
                    return await read(response)
                finally:
                    await response.aclose()
        except (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.PoolTimeout,
            httpx.ProxyError,
            httpx.UnsupportedProtocol,
            httpx.LocalProtocolError,
        ) as error:
            raise NotSent(accident(error)) from None
        except TimeoutError:
            raise NoAnswer(f"no answer within {seconds:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:  # our own URL was fine: a redirect's was not
            raise NoAnswer(accident(error)) from None

    async def _built(self, client: httpx.AsyncClient, call: Call) -> httpx.Request:
        """The whole request, before any of it is sent. Raises `NotBuilt`, whatever was wrong."""
        try:
            content = await written(call.json)
            headers = dict(call.headers) | ({} if content is None else {"Content-Type": "application/json"})
            request = client.build_request(
                call.method, self._base_url + call.path, content=content, headers=headers, files=form(call)
            )
            require_headers(request.headers.raw)
        except Exception as error:  # noqa: BLE001 - nothing was sent, and that is all that matters
            raise NotBuilt(f"{type(error).__name__}: {error}") from None
        return request


def accident(error: Exception) -> str:
    """What went wrong, for people."""
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return "no connection came about in time"
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return "there is no connection"
    if isinstance(error, httpx.TimeoutException):
        return "no answer came in time"
    return "the connection broke"


async def written(body: Mapping[str, object] | None) -> bytes | None:
    """A body as JSON. A large one is written in a thread: a picture must not keep everybody else waiting."""
    if body is None:
        return None
    return await anyio.to_thread.run_sync(as_json, body) if is_large(body) else as_json(body)


def as_json(body: Mapping[str, object]) -> bytes:
    """JSON as httpx writes it. Raises `ValueError` or `TypeError` for what JSON does not have."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def is_large(value: object) -> bool:
    """Whether there is a long text anywhere in it."""
    if isinstance(value, Mapping):
        return any(map(is_large, cast("Mapping[str, object]", value).values()))
    if isinstance(value, list):
        return any(map(is_large, cast("list[object]", value)))
    return isinstance(value, str) and len(value) > LARGE_TEXT


def require_headers(headers: list[tuple[bytes, bytes]]) -> None:
    """Raise `ValueError` for a header that would be two, or none."""
    for name, value in headers:
        if not HEADER_NAME.fullmatch(name) or not HEADER_VALUE.fullmatch(value):
            raise ValueError("a header has a character that headers cannot have")


def form(call: Call) -> Mapping[str, tuple[str, bytes, str]] | None:
    """The form of an upload."""
    upload = call.upload
    return {upload.field: (upload.name, upload.content, upload.mime_type)} if upload else None


async def read(response: httpx.Response) -> Reply:
    """A whole answer, up to the most that is read."""
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MOST_BYTES:
            raise NoAnswer(f"the answer has more than {MOST_BYTES:,} bytes")
    headers = {name.lower(): value for name, value in response.headers.items()}
    text = bytes(content).decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return Reply(status=response.status_code, body=text, headers=headers, is_json=False)
    if is_deep(text, body):
        return Reply(status=response.status_code, body=text, headers=headers, is_json=False)
    return Reply(status=response.status_code, body=body, headers=headers)


def is_deep(text: str, body: object) -> bool:
    """Whether an answer has more lists in lists than anybody means."""
    if text.count("[") + text.count("{") <= MOST_LEVELS:
        return False
    level = [body]
    for _ in range(MOST_LEVELS):
        level = [each for outer in level for each in inside(outer) if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def inside(value: object) -> list[object]:
    """What a list or an object holds."""
    if isinstance(value, dict):
        return list(cast("dict[str, object]", value).values())
    return cast("list[object]", value) if isinstance(value, list) else []

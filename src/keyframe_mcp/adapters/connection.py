"""The one module that sends: which accidents prove that nothing left, and which prove nothing.

Tried 2026-11-20: a refused, unresolved or unsecured connection sends no byte of the request; a reset, a silence or a
broken answer may come after the provider took the job.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import anyio
import httpx

from keyframe_mcp.adapters.dialect import Call, Reply

MOST_BYTES = 64 << 20  # a video inside JSON fits; an endless answer does not
SUBMIT_SECONDS = 90
OTHER_SECONDS = 30
UPLOAD_SECONDS = 300


class NotSent(Exception):
    """Certainly no complete request left."""


class NoAnswer(Exception):
    """It may have left; what became of it is not known."""


class Connection:
    """A provider's host, spoken to with one key. Redirects are never followed: they would carry the key elsewhere."""

    def __init__(self, base_url: str, headers: Mapping[str, str], transport: httpx.AsyncBaseTransport | None) -> None:
        self._base_url = base_url.rstrip("/")
        context = httpx.create_ssl_context()
        timeout = httpx.Timeout(30, connect=5, read=60)
        # A kept connection may be closed by the other side just as a request leaves: nobody could tell then whether
        # a paid job was taken. One handshake more costs nothing beside it.
        fresh, kept = httpx.Limits(max_keepalive_connections=0), httpx.Limits(max_connections=10)
        self._paid = httpx.AsyncClient(
            headers=headers, timeout=timeout, limits=fresh, verify=context, transport=transport
        )
        self._other = httpx.AsyncClient(
            headers=headers, timeout=timeout, limits=kept, verify=context, transport=transport
        )

    async def pay(self, call: Call) -> Reply:
        """Send what may cost money: once, on a connection of its own."""
        return await self._send(self._paid, call, SUBMIT_SECONDS)

    async def ask(self, call: Call) -> Reply:
        """Send what costs nothing."""
        return await self._send(self._other, call, UPLOAD_SECONDS if call.upload else OTHER_SECONDS)

    async def aclose(self) -> None:
        """Close both."""
        await self._paid.aclose()
        await self._other.aclose()

    async def _send(self, client: httpx.AsyncClient, call: Call, seconds: float) -> Reply:
        try:
            with anyio.fail_after(seconds):
                async with client.stream(
                    call.method,
                    self._base_url + call.path,
                    json=call.json,
                    headers=dict(call.headers),
                    files=form(call),
                ) as response:
                    return await read(response)
        except (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.PoolTimeout,
            httpx.ProxyError,
            httpx.UnsupportedProtocol,
            httpx.LocalProtocolError,
            httpx.InvalidURL,
        ) as error:
            raise NotSent(type(error).__name__) from None
        except TimeoutError:
            raise NoAnswer(f"no answer within {seconds:g} s") from None
        except httpx.HTTPError as error:
            raise NoAnswer(type(error).__name__) from None


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
        return Reply(status=response.status_code, body=json.loads(text), headers=headers)
    except ValueError:
        return Reply(status=response.status_code, body=text, headers=headers, is_json=False)

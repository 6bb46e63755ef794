"""Fetching the keys an issuer signs with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from keyframe_mcp.server.http.signing_in import CannotTell

MOST_BYTES = 256 * 1024
SECONDS = 10.0


class KeySet(BaseModel):
    """A JSON Web Key Set (RFC 7517)."""

    model_config = ConfigDict(frozen=True)

    keys: list[dict[str, Any]]


async def fetch_keys(url: str, transport: httpx.AsyncBaseTransport | None = None) -> Mapping[str, Any]:
    """The key set at a URL, which is a setting. Raises `CannotTell`."""
    try:
        with anyio.fail_after(SECONDS):
            believed = httpx.create_ssl_context()  # SSL_CERT_FILE counts, proxies of the environment do not
            async with (
                httpx.AsyncClient(transport=transport, timeout=SECONDS, verify=believed, trust_env=False) as client,
                client.stream("GET", url, headers={"Accept": "application/json"}) as response,
            ):
                response.raise_for_status()
                return KeySet.model_validate_json(await small_body(response)).model_dump()
    except (httpx.HTTPError, TimeoutError, ValidationError) as error:
        raise CannotTell(f"the keys of the sign-in service cannot be fetched ({type(error).__name__})") from None


async def small_body(response: httpx.Response) -> bytes:
    """The body, if it is no larger than a key set can be."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MOST_BYTES:
            raise CannotTell("the key set of the sign-in service is far too large")
    return bytes(body)

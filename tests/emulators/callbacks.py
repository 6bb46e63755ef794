"""How an emulated provider calls its customer: signed, and again while the answer is no.

Both sign `id.timestamp.body` with HMAC-SHA256. How often and when they call again is not documented; these are ours.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import anyio
import httpx

AGAIN = (0.05, 0.2, 0.5)  # seconds before each further try

Sign = Callable[[str, bytes], str]
"""The header of a text, with a secret."""


def by_wavespeed(secret: str, text: bytes) -> str:
    """`v3,` and hexadecimal; the key is the text after the prefix."""
    return "v3," + hmac.new(secret.removeprefix("whsec_").encode(), text, hashlib.sha256).hexdigest()


def by_replicate(secret: str, text: bytes) -> str:
    """`v1,` and base64; the key is what the text after the prefix decodes to."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call that was made, and every answer to it. 0 stands for none."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    answers: list[int] = field(default_factory=list[int])


@dataclass
class Calls:
    """All of a provider's. `secret` may be replaced, as a customer would; `again` are the seconds before each retry."""

    sign: Callable[[str, bytes], str]
    clock: Callable[[], float]
    secret: str
    again: tuple[float, ...] = AGAIN
    made: list[Call] = field(default_factory=list[Call])

    def call(self, url: str, body: Mapping[str, Any], call_id: str | None = None) -> Call:
        """A call, signed, and not made yet."""
        content, call_id, at = json.dumps(body).encode(), call_id or uuid4().hex, str(int(self.clock()))
        signature = self.sign(self.secret, b".".join((call_id.encode(), at.encode(), content)))
        headers = {"webhook-id": call_id, "webhook-timestamp": at, "webhook-signature": signature}
        return Call(url=url, headers={**headers, "content-type": "application/json"}, body=content)

    async def make(self, call: Call) -> int:
        """Make a call until it is accepted, or for the last time. The last answer."""
        self.made.append(call)
        for wait in (0.0, *self.again):
            await anyio.sleep(wait)
            call.answers.append(await posted(call))
            if 200 <= call.answers[-1] < 300:
                break
        return call.answers[-1]


async def posted(call: Call) -> int:
    """The status of one answer; 0 where there was none. Redirects are not followed."""
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:  # noqa: S501 - loopback only
        try:
            return (await client.post(call.url, content=call.body, headers=call.headers)).status_code
        except httpx.TransportError:
            return 0

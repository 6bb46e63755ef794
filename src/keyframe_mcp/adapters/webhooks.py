"""Calls that providers make to an address of ours, each signed with a secret of the account: their shape, no network.

Two providers sign the same text with the same headers, and each writes key and signature in its own way. Sources:
wavespeed.ai/docs/verify-webhooks and /how-to-use-webhooks, replicate.com/docs/topics/webhooks; read 2026-11-21.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from keyframe_mcp.adapters.base import Job

FRESH_SECONDS = 300  # both providers' own figure
MOST_CHARACTERS = 4096  # of a header; a signature has fewer than a hundred
CALL_ID = re.compile(r"[!-~]{1,200}")
TIMESTAMP = re.compile(r"[0-9]{1,12}")
SIGNATURES = re.compile(r"[ -~]{1,4096}")


@dataclass(frozen=True)
class Signed:
    """A call as it came. Nothing of it is proved."""

    id: str
    timestamp: str
    """When it was signed, in seconds since the epoch."""
    signatures: tuple[str, ...]
    """Each `version,signature`. There are several while a secret is being replaced."""
    body: bytes = field(repr=False)

    def is_fresh(self, now: float) -> bool:
        """Whether it was signed just now."""
        return abs(now - int(self.timestamp)) <= FRESH_SECONDS

    def has(self, version: str, signature: str) -> bool:
        """Whether it has this signature, found out in a time that tells nothing."""
        wanted = f"{version},{signature}".encode()
        return any([hmac.compare_digest(wanted, each.encode()) for each in self.signatures])  # noqa: C419 - all of them


def signed(headers: Mapping[str, str], body: bytes) -> Signed | None:
    """A call with the headers of a signed one. None where one is missing, or cannot be what it is called."""
    call_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    signatures = headers.get("webhook-signature", "")
    if not (CALL_ID.fullmatch(call_id) and TIMESTAMP.fullmatch(timestamp) and SIGNATURES.fullmatch(signatures)):
        return None
    return Signed(call_id, timestamp, tuple(signatures.split()), body)


def digest(call: Signed, key: bytes) -> bytes:
    """The HMAC of what is signed."""
    return hmac.digest(key, b".".join((call.id.encode(), call.timestamp.encode(), call.body)), "sha256")


@dataclass(frozen=True, kw_only=True)
class Called:
    """What a call says: of which job, as far as that could be read, and whether that is over."""

    remote_id: str | None = None
    model: str | None = None
    wire: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    is_over: bool = True


NOTHING = Called()
"""A call in a shape nobody knows. Something has happened."""


class CallsBack(Protocol):
    """The side of an adapter that hears its provider. Only `webhook_key` asks anything."""

    @property
    def calls_back(self) -> bool:
        """Whether its provider calls."""
        ...

    async def webhook_key(self) -> bytes:
        """What the provider signs its calls with. Raises `ProviderError`."""
        ...

    def is_signed(self, call: Signed, key: bytes) -> bool:
        """Whether a call is the provider's."""
        ...

    def read_called(self, body: bytes) -> Called:
        """What a call says. Never raises."""
        ...

    def may_be(self, job: Job, called: Called) -> bool:
        """Whether a call tells of this model and this prompt, or of none."""
        ...


def is_model(ours: str, told: str | None) -> bool:
    """Whether both may be one model. A provider may leave its owner's name out."""
    return told is None or last_name(ours) == last_name(told)


def last_name(model: str) -> str:
    """The last part of a model's name."""
    return model.rpartition("/")[2].casefold()


def speaks_of(sent: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether what is told could be of what was sent, by the prompts: nothing else tells one job from another so well.

    A provider may trim a prompt, lengthen it or cut it off, and tell numbers, seeds and pictures as it used them.
    """
    both = [(plain(sent[name]), plain(told[name])) for name in sent.keys() & told.keys() if is_prose(sent[name])]
    return all(ours in theirs or theirs in ours for ours, theirs in both)


def is_prose(value: object) -> bool:
    """Whether it is a text of several words, which none of a provider's own words is."""
    return isinstance(value, str) and " " in value.strip() and not value.startswith(("https://", "http://", "data:"))


def plain(value: object) -> str:
    """A text without what does not make it another."""
    return " ".join(str(value).split()).casefold()

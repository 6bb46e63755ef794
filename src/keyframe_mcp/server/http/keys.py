"""The keys an issuer signs with, kept for as long as they are good."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import jwt

from keyframe_mcp.server.http.rooms import Beside
from keyframe_mcp.server.http.signing_in import CannotTell

log = logging.getLogger(__name__)

KEEP_KEYS_SECONDS = 3600.0
ASK_AGAIN_SECONDS = 30.0  # a token with a key id that is not there may be new, or made up to have us ask

FetchKeys = Callable[[], Awaitable[Mapping[str, Any]]]
"""Fetches the issuer's key set, the parsed JSON. Raises `CannotTell`."""


@dataclass(frozen=True)
class Known:
    """A key the issuer has published, and the only algorithm it says it is for, if it says so."""

    key: jwt.PyJWK
    algorithm: str | None


class Keys:
    """The issuer's keys, fetched when needed and kept for an hour; longer while the issuer does not answer.

    A key that is there answers at once, whatever the issuer does. After the hour they are fetched `beside`.
    """

    def __init__(self, fetch: FetchKeys, clock: Callable[[], float], beside: Beside) -> None:
        self._fetch = fetch
        self._clock = clock
        self._beside = beside
        self._lock = anyio.Lock()
        self._keys: list[Known] = []
        self._fetched_at: float | None = None
        self._asked_at = float("-inf")

    async def find(self, key_id: str | None) -> Known | None:
        """The key with that id, or the only one where the token names none. Raises `CannotTell`."""
        found = chosen(self._keys, key_id)
        if found is None:
            found = await self._asked_for(key_id)
        elif self._is_stale() and self._may_ask():
            self._asked_at = self._clock()
            self._beside(self._renew)
        if self._fetched_at is None:
            raise CannotTell("the keys of the sign-in service cannot be fetched; try again in a minute")
        return found

    async def _asked_for(self, key_id: str | None) -> Known | None:
        """A key that is not known: it may be new. Whoever asks meanwhile waits for the same answer."""
        async with self._lock:
            if chosen(self._keys, key_id) is None and self._may_ask():
                await self._refresh()
            return chosen(self._keys, key_id)

    async def _renew(self) -> None:
        async with self._lock:
            try:
                await self._refresh()
            except Exception:
                log.exception("the keys of the sign-in service could not be renewed; the last ones are used")

    async def _refresh(self) -> None:
        self._asked_at = self._clock()
        try:
            published = await self._fetch()
        except CannotTell as error:
            log.warning("%s", error)
            if self._fetched_at is None:
                raise
            return
        self._keys = readable(published)
        self._fetched_at = self._clock()

    def _is_stale(self) -> bool:
        return self._fetched_at is None or self._clock() - self._fetched_at > KEEP_KEYS_SECONDS

    def _may_ask(self) -> bool:
        return self._clock() - self._asked_at > ASK_AGAIN_SECONDS


def readable(published: Mapping[str, Any]) -> list[Known]:
    """The keys for signatures that can be used here. An issuer may publish others beside them."""
    keys: list[Known] = []
    for each in published.get("keys", ()):
        try:
            key = jwt.PyJWK(each)
        except (jwt.PyJWTError, TypeError, ValueError, AttributeError):
            continue
        if key.public_key_use in (None, "sig") and key.key_type != "oct":
            keys.append(Known(key, each.get("alg")))
    return keys


def chosen(keys: list[Known], key_id: str | None) -> Known | None:
    """The key a token means."""
    if key_id is None:
        return keys[0] if len(keys) == 1 else None
    return next((known for known in keys if known.key.key_id == key_id), None)

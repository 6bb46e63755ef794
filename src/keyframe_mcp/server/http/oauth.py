"""Access tokens that an issuer signed: OAuth 2.1, with this server as the resource (JWT after RFC 9068)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import anyio
import jwt
from mcp.server.auth.provider import AccessToken, TokenVerifier

from keyframe_mcp.server.http.access import OAuth
from keyframe_mcp.server.http.signing_in import CannotTell

log = logging.getLogger(__name__)

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
"""Signatures with a public key. A shared secret, or none, is not what an issuer publishes."""
LEEWAY_SECONDS = 30
KEEP_KEYS_SECONDS = 3600.0
ASK_AGAIN_SECONDS = 30.0  # a token with a key id that is not there may be new, or made up to have us ask

FetchKeys = Callable[[], Awaitable[Mapping[str, Any]]]
"""Fetches the issuer's key set, the parsed JSON. Raises `CannotTell`."""


class Keys:
    """The issuer's keys, fetched when needed and kept for an hour; longer while the issuer does not answer."""

    def __init__(self, fetch: FetchKeys, clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = anyio.Lock()
        self._keys: list[jwt.PyJWK] = []
        self._fetched_at: float | None = None
        self._asked_at = float("-inf")

    async def find(self, key_id: str | None) -> jwt.PyJWK | None:
        """The key with that id, or the only one where the token names none. Raises `CannotTell`."""
        async with self._lock:
            found = chosen(self._keys, key_id)
            now = self._clock()
            stale = self._fetched_at is None or now - self._fetched_at > KEEP_KEYS_SECONDS
            if (stale or found is None) and now - self._asked_at > ASK_AGAIN_SECONDS:
                self._asked_at = now
                await self._refresh(now)
                found = chosen(self._keys, key_id)
            if self._fetched_at is None:
                raise CannotTell("the keys of the sign-in service cannot be fetched; try again in a minute")
            return found

    async def _refresh(self, now: float) -> None:
        try:
            published = await self._fetch()
        except CannotTell:
            if self._fetched_at is None:
                raise
            return
        self._keys = readable(published)
        self._fetched_at = now


class SignedTokens(TokenVerifier):
    """Accepts what the issuer signed for this server."""

    def __init__(self, oauth: OAuth, keys: Keys) -> None:
        self._oauth = oauth
        self._keys = keys

    async def verify_token(self, token: str) -> AccessToken | None:
        """Who holds it; None when it is not good. Raises `CannotTell`."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            return None
        key_id, algorithm = header.get("kid"), header.get("alg")
        if algorithm not in ALGORITHMS:
            log.info("a signed token is not good: its signature is made in the way %.20r", algorithm)
            return None
        key = await self._keys.find(key_id if isinstance(key_id, str) else None)
        if key is None:
            log.info("a signed token is not good: the issuer publishes no key %.60r", key_id)
            return None
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                audience=self._oauth.audience,
                issuer=self._oauth.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, TypeError, ValueError) as error:  # the last two: a key that is not for this algorithm
            log.info("a signed token is not good: %s; wanted %s", wrong(error, token), self._wanted)
            return None
        return self._accepted(token, claims)

    @property
    def _wanted(self) -> str:
        return f"aud {self._oauth.audience}, iss {self._oauth.issuer}"

    def _accepted(self, token: str, claims: Mapping[str, Any]) -> AccessToken:
        subject = f"oauth:{self._oauth.issuer}#{claims['sub']}"
        client = claims.get("client_id") or claims.get("azp") or claims["sub"]
        return AccessToken(token=token, client_id=str(client), subject=subject, scopes=scopes_of(claims))


def wrong(error: Exception, token: str) -> str:
    """What is wrong with a token, and what it says of itself: that is no secret, and proves nothing."""
    with suppress(jwt.PyJWTError, TypeError, ValueError):
        claims = jwt.decode(token, options={"verify_signature": False})
        said = {name: str(claims.get(name))[:120] for name in ("aud", "iss", "exp")}
        return f"{error} ({said!r})"
    return type(error).__name__


def scopes_of(claims: Mapping[str, Any]) -> list[str]:
    """The scopes of a token: one text in RFC 9068, a list with some issuers."""
    scopes = claims.get("scope", claims.get("scp", ""))
    return scopes.split() if isinstance(scopes, str) else [each for each in scopes if isinstance(each, str)]


def readable(published: Mapping[str, Any]) -> list[jwt.PyJWK]:
    """The keys for signatures that can be used here. An issuer may publish others beside them."""
    keys: list[jwt.PyJWK] = []
    for each in published.get("keys", ()):
        try:
            key = jwt.PyJWK(each)
        except (jwt.PyJWTError, TypeError, ValueError, AttributeError):
            continue
        if key.public_key_use in (None, "sig") and key.key_type != "oct":
            keys.append(key)
    return keys


def chosen(keys: list[jwt.PyJWK], key_id: str | None) -> jwt.PyJWK | None:
    """The key a token means."""
    if key_id is None:
        return keys[0] if len(keys) == 1 else None
    return next((key for key in keys if key.key_id == key_id), None)

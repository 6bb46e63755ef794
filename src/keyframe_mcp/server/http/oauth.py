"""Access tokens that an issuer signed: OAuth 2.1, with this server as the resource (JWT after RFC 9068)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

import jwt
from mcp.server.auth.provider import AccessToken, TokenVerifier

from keyframe_mcp.server.http.access import OAuth
from keyframe_mcp.server.http.keys import Keys

log = logging.getLogger(__name__)

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
"""Signatures with a public key. A shared secret, or none, is not what an issuer publishes."""
LEEWAY_SECONDS = 30
LONGEST_NAME = 255


class NotGood(Exception):
    """A token that lets nobody in. The text is for whoever runs the server."""


class SignedTokens(TokenVerifier):
    """Accepts what the issuer signed for this server."""

    def __init__(self, oauth: OAuth, keys: Keys) -> None:
        self._oauth = oauth
        self._keys = keys

    async def verify_token(self, token: str) -> AccessToken | None:
        """Who holds it; None when it is not good, which is logged. Raises `CannotTell`."""
        try:
            return self._accepted(token, await self._claims(token))
        except NotGood as error:
            log.info("a signed token is not good: %s", error)
            return None

    async def _claims(self, token: str) -> Mapping[str, Any]:
        """What a good token says. Raises `NotGood`."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise NotGood(type(error).__name__) from None
        algorithm = header.get("alg")
        key = await self._key(header.get("kid"), algorithm)
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[str(algorithm)],
                audience=self._oauth.audience,
                issuer=self._oauth.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, TypeError, ValueError) as error:  # the last two: a key that is not for this algorithm
            raise NotGood(f"{wrong(error, token)}; wanted {self._wanted}") from None

    async def _key(self, key_id: object, algorithm: object) -> Any:  # noqa: ANN401 - as PyJWT has it
        """The key that a token is checked with. Raises `NotGood`, `CannotTell`."""
        if algorithm not in ALGORITHMS:
            raise NotGood(f"its signature is made in the way {algorithm!r:.20}")
        known = await self._keys.find(key_id if isinstance(key_id, str) else None)
        if known is None:
            raise NotGood(f"the issuer publishes no key {key_id!r:.60}")
        if known.algorithm not in (None, algorithm):
            raise NotGood(f"it is signed with {algorithm}, and its key is for {known.algorithm}")
        return known.key.key

    @property
    def _wanted(self) -> str:
        return f"aud {self._oauth.audience}, iss {self._oauth.issuer}"

    def _accepted(self, token: str, claims: Mapping[str, Any]) -> AccessToken:
        """Who a good token is about. Raises `NotGood`."""
        if not is_name(claims["sub"]):
            raise NotGood(f"its sub is no name: {claims['sub']!r:.60}")
        subject = f"oauth:{self._oauth.issuer}#{claims['sub']}"
        named = [claims.get("client_id"), claims.get("azp"), claims["sub"]]
        client = next(str(each) for each in named if is_name(each))
        return AccessToken(token=token, client_id=client, subject=subject, scopes=scopes_of(claims))


def wrong(error: Exception, token: str) -> str:
    """What is wrong with a token, and what it says of itself: that is no secret, and proves nothing."""
    with suppress(jwt.PyJWTError, TypeError, ValueError):
        claims = jwt.decode(token, options={"verify_signature": False})
        said = {name: str(claims.get(name))[:120] for name in ("aud", "iss", "exp")}
        return f"{error} ({said!r})"
    return type(error).__name__


def is_name(claim: object) -> bool:
    """Whether it can be written down and told apart. OpenID Connect gives a `sub` 255 characters."""
    return isinstance(claim, str) and 0 < len(claim) <= LONGEST_NAME and claim.isprintable()


def scopes_of(claims: Mapping[str, Any]) -> list[str]:
    """The scopes of a token: one text in RFC 9068, a list with some issuers. Anything else is none."""
    scopes = claims.get("scope") or claims.get("scp")
    if isinstance(scopes, str):
        scopes = scopes.split()
    return [each for each in cast("list[Any]", scopes) if is_name(each)] if isinstance(scopes, list) else []

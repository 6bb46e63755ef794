"""Tokens that let others in, each for an owner of tasks. Only their digests are kept."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import SecretStr

from keyframe_mcp.errors import InvalidSettings
from keyframe_mcp.settings.variables import PREFIX

VARIABLE = f"{PREFIX}AUTH_TOKENS"
OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
TOKEN = re.compile(r"[!-+.-~-]+")  # what a header can carry, without the comma that ends one
SHORTEST = 20  # characters; `openssl rand -hex 24` gives 48


@dataclass(frozen=True)
class Token:
    """Who holds it, and its SHA-256."""

    owner: str
    digest: bytes = field(repr=False)


def parse_tokens(secret: SecretStr | None) -> tuple[Token, ...]:
    """The tokens of `owner:token, owner:token`. An owner may have several, to change one without a gap.

    Raises `InvalidSettings`, which repeats no token.
    """
    parts = [part.strip() for part in (secret.get_secret_value() if secret else "").split(",")]
    tokens = [parsed(part, place) for place, part in enumerate(parts, start=1) if part]
    owners: dict[bytes, str] = {}
    for token in tokens:
        if owners.setdefault(token.digest, token.owner) != token.owner:
            raise InvalidSettings(
                f"{VARIABLE} gives one token to both {owners[token.digest]} and {token.owner}; make one for each"
            )
    return tuple(dict.fromkeys(tokens))


def parsed(part: str, place: int) -> Token:
    """One `owner:token`."""
    owner, _, token = (each.strip() for each in part.partition(":"))
    if not OWNER.fullmatch(owner) or not token:
        raise InvalidSettings(
            f"{VARIABLE}: entry {place} is not owner:token; write ann:TOKEN, with a name of letters, digits and ._@-"
        )
    if len(token) < SHORTEST or not TOKEN.fullmatch(token):
        raise InvalidSettings(
            f"{VARIABLE}: the token of {owner} must have {SHORTEST} or more printable characters; "
            "make one with: openssl rand -hex 24"
        )
    return Token(owner, digest_of(token))


def owner_of(token: str, tokens: Iterable[Token]) -> str | None:
    """Whose token it is. Every token is compared, in a time that tells nothing."""
    digest, found = digest_of(token), None
    for each in tokens:
        if hmac.compare_digest(each.digest, digest):
            found = each.owner
    return found


def digest_of(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).digest()

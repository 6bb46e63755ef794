"""Who may come in over HTTP, under which names, and from which web pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from keyframe_mcp.errors import InvalidSettings
from keyframe_mcp.settings import Settings
from keyframe_mcp.settings.addresses import is_this_machine
from keyframe_mcp.settings.tokens import Token

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
METADATA = "/.well-known/oauth-protected-resource"
DEFAULT_PORTS = ("443", "80")
LOOPBACK_ORIGIN = r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?"


@dataclass(frozen=True)
class OAuth:
    """Whose access tokens are accepted, and what must be in them."""

    issuer: str
    audience: str
    jwks_url: str
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Access:
    """How a server is reached. `base_url` is where, if that is known.

    Without tokens and OAuth anybody may come in: that is for a server which only this machine reaches.
    """

    base_url: str | None
    hosts: tuple[str, ...]
    origins: tuple[str, ...]
    is_private: bool
    tokens: tuple[Token, ...] = ()
    oauth: OAuth | None = None

    @property
    def is_open(self) -> bool:
        """Whether nobody has to say who they are."""
        return not self.tokens and self.oauth is None

    def knows(self, host: str) -> bool:
        """Whether a `Host` header names this server. A name without a port stands for every port."""
        host = host.lower()
        name, _, port = host.rpartition(":")
        if host in self.hosts or (name in self.hosts and port.isascii() and port.isdigit()):
            return True
        return any(f"{host}:{each}" in self.hosts for each in DEFAULT_PORTS)  # clients leave those out

    def welcomes(self, origin: str) -> bool:
        """Whether a web page from there may call."""
        origin = without_default_port(origin.lower())
        return origin in self.origins or (self.is_private and re.fullmatch(LOOPBACK_ORIGIN, origin) is not None)


def access_of(settings: Settings, host: str, port: int) -> Access:
    """How a server that listens on a host and port is reached.

    Raises `InvalidSettings`, with everything that is missing, where others could come in without a sign-in.
    """
    public = settings.public_url
    own = tuple(name_of(public)) if public else ()
    ways = ways_in(settings, host, own)
    is_private = not ways
    base = public or (f"http://{bracketed(host)}:{port}" if host in LOOPBACK else None)
    tokens, problems = settings.tokens(), list[str]()
    oauth = oauth_of(settings, base, problems)
    if not is_private and not tokens and oauth is None and not problems:
        problems.append(
            "it has no sign-in: set KEYFRAME_AUTH_TOKENS=name:TOKEN (make one with: openssl rand -hex 24), "
            "or KEYFRAME_OAUTH_ISSUER and KEYFRAME_OAUTH_JWKS_URL"
        )
    if host not in LOOPBACK and not own and not settings.allowed_hosts:
        problems.append(
            "it has no name: set KEYFRAME_PUBLIC_URL=https://mcp.example.com, or KEYFRAME_ALLOWED_HOSTS, to what "
            "clients call it"
        )
    require(problems, ways)
    return Access(
        base_url=base,
        hosts=tuple(dict.fromkeys([*LOOPBACK_NAMES, *own, *settings.allowed_hosts])),
        origins=tuple(map(without_default_port, (*settings.allowed_origins, *([origin_of(public)] if public else [])))),
        is_private=is_private,
        tokens=tokens,
        oauth=oauth,
    )


def oauth_of(settings: Settings, base: str | None, problems: list[str]) -> OAuth | None:
    """What is accepted of whom, if anything is."""
    issuer, jwks_url = settings.oauth_issuer, settings.oauth_jwks_url
    audience = settings.oauth_audience or (f"{base}/mcp" if base else None)
    if issuer is None and jwks_url is None and settings.oauth_audience is None and not settings.oauth_scopes:
        return None
    missing = {
        "KEYFRAME_OAUTH_ISSUER": issuer,
        "KEYFRAME_OAUTH_JWKS_URL": jwks_url,
        "KEYFRAME_PUBLIC_URL": base,
        "KEYFRAME_OAUTH_AUDIENCE": audience,
    }
    absent = [name for name, value in missing.items() if value is None]
    if absent or not issuer or not jwks_url or not audience:
        problems.append(f"OAuth is half set up: set {' and '.join(absent[:2])} too")
        return None
    return OAuth(issuer=issuer, audience=audience, jwks_url=jwks_url, scopes=settings.oauth_scopes)


def ways_in(settings: Settings, host: str, own: Iterable[str]) -> list[str]:
    """What lets others reach the server. A tunnel or a proxy listens for it where it has a name."""
    return [
        *([] if is_loopback(host) else [f"it listens on {host}"]),
        *([] if all(map(is_loopback, own)) else ["KEYFRAME_PUBLIC_URL is set"]),
        *([] if all(map(is_loopback, settings.allowed_hosts)) else ["KEYFRAME_ALLOWED_HOSTS is set"]),
    ]


def require(problems: Sequence[str], ways: Sequence[str]) -> None:
    """Raises `InvalidSettings` for all of them at once."""
    if not problems:
        return
    because = f", because others can reach it ({' and '.join(ways)}), and:" if ways else ":"
    alone = ["or let only this machine reach it: none of these variables, and --host 127.0.0.1"] if ways else []
    raise InvalidSettings("\n  ".join([f"this server does not start{because}", *problems, *alone]))


def name_of(url: str) -> Iterable[str]:
    """The host of a URL as a `Host` header has it: with the port if it has one, else alone."""
    parts = urlsplit(url)
    yield parts.netloc.lower()


def origin_of(url: str) -> str:
    """The origin of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def without_default_port(origin: str) -> str:
    """An origin as browsers write it."""
    return origin.removesuffix(":443" if origin.startswith("https:") else ":80")


def bracketed(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether a host, as somebody listens on it or as a header has it, is this machine alone."""
    has_port = host.startswith("[") or host.count(":") == 1  # what has more colons is an IPv6 address
    return is_this_machine((re.sub(r":[0-9]+$", "", host) if has_port else host).strip("[]"))

"""Where a provider is, with which key, and where else that key may go."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from keyframe_mcp.catalog.entries import Provider

TLS_PORT = 443


@dataclass(frozen=True, kw_only=True)
class Access:
    """Where a provider is and with which key. `variable` is the setting that moves it to another host."""

    base_url: str
    variable: str
    key: str | None = field(default=None, repr=False)

    @property
    def account(self) -> str:
        """A name for this host and key, which tells nothing of either."""
        return hashlib.sha256(f"{self.base_url}\n{self.key}".encode()).hexdigest()[:16]

    def headers(self, provider: Provider) -> dict[str, str]:
        """The header the key goes in."""
        return header(provider, self.key) if self.key else {}

    def shown_headers(self, provider: Provider) -> dict[str, str]:
        """The same header for a person to read, without the key."""
        return header(provider, "[key]") if self.key else {}

    def credentials(self, provider: Provider, url: str) -> Mapping[str, str]:
        """See `Adapter.credentials`. A key that was given for another host is not for those the catalogue names."""
        home, ours, result = parts_of(provider.base_url or ""), parts_of(self.base_url), parts_of(url)
        if home is None or ours is None or result is None or ours.hostname != home.hostname:
            return {}
        host = result.hostname or ""
        is_known = any(host == each or host.endswith(f".{each}") for each in provider.key_hosts)
        return self.headers(provider) if is_known else {}


def header(provider: Provider, key: str) -> dict[str, str]:
    """The header a key goes in."""
    name, _, value = provider.key_as.partition(": ")
    return {name: value.replace("{}", key)}


def parts_of(url: str) -> SplitResult | None:
    """The parts of an https URL without a name, a password or a port of its own; None for any other text."""
    try:
        parts = urlsplit(url)
        is_plain = parts.scheme == "https" and parts.port in (None, TLS_PORT) and "@" not in parts.netloc
    except ValueError:
        return None
    return parts if is_plain and parts.hostname else None

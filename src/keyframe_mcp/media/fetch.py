"""Fetching what an agent points at: https only, public addresses only, bounded in size and time.

The name is resolved once, every address is checked, and the connection goes to the checked literal, so a name that
changes its answer between check and use gains nothing. Certificates are still verified against the name.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType
from typing import IO
from urllib.parse import urljoin, urlsplit

import anyio
import anyio.to_thread
import httpx

from keyframe_mcp.errors import UnfetchableUrl

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

# `is_global` is not enough: on Python 3.11-3.13 it is True for multicast, NAT64 to loopback, fec0::1 and
# 168.63.129.16 (a cloud's metadata service). Tried 2026-11-20.
REFUSED_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
ALLOWED_6 = IPv6Network("2000::/3")
REFUSED_6 = tuple(IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
REDIRECTS = 3
ASK_AGAIN = frozenset({408, 425, 429})
"""Answers below 500 that may well be another one a little later."""

PIECE = 1 << 20
"""Bytes written at once, each time in a thread: a slow disk then holds up this one download and nothing else."""

PACE = 100_000
"""Bytes a second that count as steady."""

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Fetcher:
    """Downloads files. `loopback=True` is for development: http and 127.0.0.0/8 become possible."""

    def __init__(self, *, loopback: bool = False, resolve: Resolve | None = None) -> None:
        self._loopback = loopback
        self._resolve = resolve or resolve_name

    async def fetch(
        self,
        url: str,
        into: IO[bytes],
        most_bytes: int,
        seconds: float,
        headers: Mapping[str, str] = NO_HEADERS,
        *,
        idle: float | None = None,
    ) -> None:
        """Write the body of `url` into a file, within `seconds`. Raises `UnfetchableUrl`, and `OSError` of the file.

        With `idle`, for what may be large, a server may be silent for at most so many seconds, and the limit grows
        with what arrives, so that a steady download never meets it. `headers` go to the host of `url` and no other.
        """
        wait = httpx.Timeout(20 if idle is None else idle, connect=5)
        try:
            with anyio.fail_after(seconds) as scope:
                async with httpx.AsyncClient(trust_env=False, timeout=wait) as client:
                    body = Body(into, most_bytes, scope if idle is not None else None)
                    await self._follow(client, url, headers, body)
        except TimeoutError:
            slow = "" if idle is None else f" and at {PACE // 1000} KB/s from then on"
            raise UnfetchableUrl(f"{shown(url)} did not arrive within {seconds:g} s{slow}", passing=True) from None
        except httpx.HTTPError as error:
            raise UnfetchableUrl(f"{shown(url)} could not be fetched ({type(error).__name__})", passing=True) from None

    async def _follow(self, client: httpx.AsyncClient, url: str, headers: Mapping[str, str], body: Body) -> None:
        """Every hop is checked like the first; headers are dropped for good where it leaves the first origin."""
        home = origin(url)
        for _ in range(REDIRECTS + 1):
            headers = headers if origin(url) == home else NO_HEADERS
            response = await client.send(await self._request(client, url, headers), stream=True)
            try:
                if response.has_redirect_location:
                    url = onward(url, response.headers["location"])
                    continue
                return await receive(url, response, body)
            finally:
                await response.aclose()
        raise UnfetchableUrl(f"{shown(url)} was redirected more than {REDIRECTS} times; give the final address")

    async def _request(self, client: httpx.AsyncClient, url: str, headers: Mapping[str, str]) -> httpx.Request:
        """A request to a checked address, for the host that was named."""
        host, port = self._admit(url)
        address = await self._address(host, port)
        named = httpx.URL(url)
        target = named.copy_with(host=address, port=port, fragment=None)
        sent = httpx.Headers(headers)
        sent.update({"Host": named.netloc.decode("ascii"), "Accept-Encoding": "identity"})
        return client.build_request("GET", target, headers=sent, extensions={"sni_hostname": host})

    def _admit(self, url: str) -> tuple[str, int]:
        """Host, as name servers and certificates spell it, and port of a URL that may be fetched at all."""
        try:
            parts = urlsplit(url)
            port = parts.port
            host = httpx.URL(url).raw_host.decode("ascii")
        except (ValueError, httpx.InvalidURL):
            raise UnfetchableUrl("that is not a URL that can be fetched; write https://host/path") from None
        if parts.scheme != "https" and not (self._loopback and parts.scheme == "http"):
            raise UnfetchableUrl(f"{shown(url)} is not an https URL; only https is fetched")
        if not host or parts.username is not None or parts.password is not None:
            raise UnfetchableUrl(f"{shown(url)} must name a host and carry no user name or password")
        if port not in (None, 443) and not self._loopback:
            raise UnfetchableUrl(f"{shown(url)} uses port {port}; only the https port works")
        return host, port or (443 if parts.scheme == "https" else 80)

    async def _address(self, host: str, port: int) -> str:
        """An address of `host`, after every one of them was checked."""
        try:
            addresses = await self._resolve(host, port)
        except OSError:
            addresses = ()
        if not addresses:
            raise UnfetchableUrl(f"the host {host} is not known", passing=True)  # or no name server could be reached
        if not all(is_public(each) or (self._loopback and is_loopback(each)) for each in addresses):
            raise UnfetchableUrl(f"the host {host} is not on the public internet; only public addresses are fetched")
        return addresses[0]


class Body:
    """A file that a body is written into. `scope` is the time limit where that grows with what arrives."""

    def __init__(self, into: IO[bytes], most_bytes: int, scope: anyio.CancelScope | None) -> None:
        self._into = into
        self._left = most_bytes
        self._scope = scope
        self.most_bytes = most_bytes

    async def take(self, piece: bytes) -> bool:
        """Write some more of it; False, and nothing is written, when that would be too much."""
        self._left -= len(piece)
        if self._left < 0:
            return False
        if self._scope is not None:
            self._scope.deadline += len(piece) / PACE
        await anyio.to_thread.run_sync(self._into.write, piece)
        return True


async def receive(url: str, response: httpx.Response, body: Body) -> None:
    """Read a body as it was sent; decoding it could unpack a bomb."""
    status = response.status_code
    if status != 200:
        passing = status in ASK_AGAIN or status >= 500
        message = f"{shown(url)} answered {status}; it must be readable without signing in"
        raise UnfetchableUrl(message, status=status, passing=passing)
    if response.headers.get("content-encoding", "identity") != "identity":
        raise UnfetchableUrl(f"{shown(url)} sends compressed content, which is not read", status=status)
    try:
        await copy(url, response, body)
    except httpx.RemoteProtocolError:  # also when fewer bytes came than were declared
        message = f"{shown(url)} broke off before it was complete; try again"
        raise UnfetchableUrl(message, status=status, passing=True) from None


async def copy(url: str, response: httpx.Response, body: Body) -> None:
    """Write the bytes, up to the most that works; none when it is said beforehand that there are more."""
    too_large = UnfetchableUrl(
        f"{shown(url)} has more than {body.most_bytes:,} bytes, which is the most that works",
        status=response.status_code,
    )
    if int(response.headers.get("content-length", 0)) > body.most_bytes:
        raise too_large
    async for piece in response.aiter_raw(PIECE):
        if not await body.take(piece):
            raise too_large


def onward(url: str, location: str) -> str:
    """Where a redirect leads."""
    try:
        return urljoin(url, location)
    except ValueError:
        raise UnfetchableUrl(f"{shown(url)} was redirected to something that is not a URL") from None


def origin(url: str) -> tuple[str, bytes, int | None]:
    """Scheme, host and port; anything that is no URL is an origin of its own, and refused later."""
    try:
        parsed = httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        return url, b"", None
    return parsed.scheme, parsed.raw_host, parsed.port


async def resolve_name(host: str, port: int) -> Sequence[str]:
    """Every address of a host."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Whether an address is one that anybody on the internet could reach."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in REFUSED_4)
    return parsed in ALLOWED_6 and not any(parsed in network for network in REFUSED_6)


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    return address == "::1" or ipaddress.ip_address(address.partition("%")[0]) in IPv4Network("127.0.0.0/8")


def shown(url: str) -> str:
    """A URL for an error text: without the query, which may carry a signature."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{parts.path}"[:200]

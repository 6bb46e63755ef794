"""Fetching what an agent points at: https only, public addresses only, bounded in size and time.

The name is resolved once, every address is checked, and the connection goes to the checked literal, so a name that
changes its answer between check and use gains nothing. Certificates are still verified against the name. The rest of
a file that broke off is asked for from its first address on, so every hop is checked again.
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
import httpx

from keyframe_mcp.errors import UnfetchableUrl
from keyframe_mcp.media.download import PACE, Body, BrokeOff, origin, receive, shown

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
RESUMES = 5
"""How often the rest of one file is asked for after it broke off."""

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
ONE_EACH = httpx.Limits(max_keepalive_connections=0)
"""A connection is for one request: kept, it might serve another name at that address, whose certificate nobody saw."""


class Fetcher:
    """Downloads files. `loopback=True` is for development: http and 127.0.0.0/8 become possible."""

    def __init__(self, *, loopback: bool = False, resolve: Resolve | None = None) -> None:
        self._loopback = loopback
        self._resolve = resolve or resolve_name
        self._trust = httpx.create_ssl_context()  # one for all: reading the certificates takes 50 ms

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
                async with self._client(wait) as client:
                    body = Body(into, most_bytes, scope if idle is not None else None)
                    await self._whole(client, url, headers, body)
        except TimeoutError:
            slow = "" if idle is None else f" and at {PACE // 1000} KB/s from then on"
            raise UnfetchableUrl(f"{shown(url)} did not arrive within {seconds:g} s{slow}", passing=True) from None
        except httpx.HTTPError as error:
            raise UnfetchableUrl(f"{shown(url)} could not be fetched ({accident(error)})", passing=True) from None

    def _client(self, wait: httpx.Timeout) -> httpx.AsyncClient:
        """For one file. Proxies in the environment are not used: they would look the name up themselves."""
        return httpx.AsyncClient(trust_env=False, timeout=wait, limits=ONE_EACH, verify=self._trust)

    async def _whole(self, client: httpx.AsyncClient, url: str, headers: Mapping[str, str], body: Body) -> None:
        """The body to its end, going on where it broke off as long as that brings more of it."""
        for left in reversed(range(RESUMES + 1)):
            try:
                return await self._follow(client, url, headers, body)
            except BrokeOff as broken:
                if not left or not body.can_go_on:
                    message = f"{shown(url)} broke off before it was complete; try again"
                    raise UnfetchableUrl(message, status=broken.status, passing=True) from None
        return None

    async def _follow(self, client: httpx.AsyncClient, url: str, headers: Mapping[str, str], body: Body) -> None:
        """Every hop is checked like the first; headers are dropped for good where it leaves the first origin."""
        home = origin(url)
        for _ in range(REDIRECTS + 1):
            headers = headers if origin(url) == home else NO_HEADERS
            request = await self._request(client, url, {**headers, **body.question(url)})
            response = await client.send(request, stream=True)
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


def accident(error: httpx.HTTPError) -> str:
    """What went wrong, for people."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return "there is no connection"
    return "nothing came" if isinstance(error, httpx.TimeoutException) else "the connection broke"


def onward(url: str, location: str) -> str:
    """Where a redirect leads."""
    try:
        return urljoin(url, location)
    except ValueError:
        raise UnfetchableUrl(f"{shown(url)} was redirected to something that is not a URL") from None


async def resolve_name(host: str, port: int) -> Sequence[str]:
    """Every address of a host."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Whether an address is one that anybody on the internet could reach."""
    if "%" in address:
        return False  # it means something on one link of this machine only
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in REFUSED_4)
    return parsed in ALLOWED_6 and not any(parsed in network for network in REFUSED_6)


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    return address == "::1" or ipaddress.ip_address(address.partition("%")[0]) in IPv4Network("127.0.0.0/8")

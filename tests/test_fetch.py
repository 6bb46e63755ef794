"""Fetching what an agent points at."""

from __future__ import annotations

import gzip
import io
import ipaddress
import logging
import socket
import struct
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.from_thread import start_blocking_portal
from anyio.streams.buffered import BufferedByteReceiveStream
from hypothesis import given
from hypothesis import strategies as st

from keyframe_mcp.errors import UnfetchableUrl
from keyframe_mcp.media.download import PIECE
from keyframe_mcp.media.fetch import REDIRECTS, RESUMES, Fetcher, Resolve, is_public

MOST = 100_000
Write = Callable[[bytes], Awaitable[None]]
Answer = bytes | Callable[[Write], Awaitable[None]]


@dataclass
class Site:
    """A server on this machine: what each path answers, and what it was asked."""

    answers: dict[str, Answer] = field(default_factory=dict[str, Answer])
    asked: list[str] = field(default_factory=list[str])
    heads: list[str] = field(default_factory=list[str])
    resets: set[str] = field(default_factory=set[str])
    connections: int = 0
    port: int = 0

    def url(self, path: str = "/fox.png", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def heard(self, name: str) -> list[str]:
        """What one header said in each request."""
        lines = [line for head in self.heads for line in head.splitlines()]
        return [line.partition(": ")[2] for line in lines if line.lower().startswith(name + ":")]

    async def serve(self, stream: SocketStream) -> None:
        """Answer one request."""
        self.connections += 1
        # the fetcher may hang up whenever it has seen enough
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.IncompleteRead):
            async with stream:
                head = (await BufferedByteReceiveStream(stream).receive_until(b"\r\n\r\n", 1 << 20)).decode()
                path = head.split()[1]
                self.asked.append(path)
                self.heads.append(head)
                answer = self.answers[path.partition("?")[0]]
                await (stream.send(answer) if isinstance(answer, bytes) else answer(stream.send))
                if path in self.resets:
                    linger = struct.pack("ii", 1, 0)  # what is sent at the end is then a reset
                    raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - this is no Django
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


@asynccontextmanager
async def open_site() -> AsyncGenerator[Site]:
    site = Site({"/fox.png": response(b"a fox")})
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        site.port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - this is no Django
        tasks.start_soon(listener.serve, site.serve)
        yield site
        tasks.cancel_scope.cancel()


@pytest.fixture
def site() -> Iterator[Site]:
    """On a thread of its own, as a server elsewhere would be."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(open_site()) as opened:
        yield opened


class Names:
    """A name server: each lookup gets the next answer, the last one again and again."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers[min(len(self.asked), len(self._answers)) - 1]


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return response(b"", status, f"Location: {location}")


async def fetch(
    url: str,
    *,
    loopback: bool = True,
    resolve: Resolve | None = None,
    most: int = MOST,
    seconds: float = 10,
    headers: Mapping[str, str] | None = None,
    idle: float | None = None,
) -> bytes:
    into = io.BytesIO()
    with anyio.fail_after(seconds + 1.5):
        await Fetcher(loopback=loopback, resolve=resolve).fetch(url, into, most, seconds, headers or {}, idle=idle)
    return into.getvalue()


async def refused(url: str, **how: object) -> UnfetchableUrl:
    with pytest.raises(UnfetchableUrl) as caught:
        await fetch(url, **how)  # pyright: ignore[reportArgumentType] - the options of `fetch`, passed on
    return caught.value


async def refusal(url: str, **how: object) -> str:
    return str(await refused(url, **how))


# What works


async def test_a_file_is_downloaded(site: Site):
    assert await fetch(site.url()) == b"a fox"


async def test_a_file_of_exactly_the_most_bytes_is_downloaded(site: Site):
    assert await fetch(site.url(), most=5) == b"a fox"


async def test_a_body_sent_in_chunks_is_put_together(site: Site):
    site.answers["/fox.png"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na \r\n3\r\nfox\r\n0\r\n\r\n"

    assert await fetch(site.url()) == b"a fox"


async def test_the_server_is_asked_for_the_host_that_was_named(site: Site):
    names = Names(["127.0.0.1"])

    assert await fetch(site.url(host="pictures.example"), resolve=names) == b"a fox"
    assert (names.asked, site.heard("host")) == (["pictures.example"], [f"pictures.example:{site.port}"])


async def test_an_international_name_is_looked_up_and_asked_for_as_name_servers_spell_it(site: Site):
    names = Names(["127.0.0.1"])

    assert await fetch(site.url(host="bücher.example"), resolve=names) == b"a fox"
    assert (names.asked, site.heard("host")) == (["xn--bcher-kva.example"], [f"xn--bcher-kva.example:{site.port}"])


async def test_content_is_asked_for_as_it_is_and_with_no_word_about_the_asker(site: Site):
    await fetch(site.url())

    assert site.heard("accept-encoding") == ["identity"]
    assert site.heard("cookie") == site.heard("authorization") == site.heard("referer") == []


async def test_the_query_reaches_the_server_and_the_fragment_does_not(site: Site):
    await fetch(site.url("/fox.png?a=1&b=%2F#part"))

    assert site.asked == ["/fox.png?a=1&b=%2F"]


# Redirects


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_redirects_are_followed(site: Site, status: str):
    site.answers["/old"] = redirect("/fox.png", status)

    assert await fetch(site.url("/old")) == b"a fox"


async def test_a_redirect_may_be_relative_or_lead_to_another_host(site: Site):
    site.answers["/a/old"] = redirect("../b/old")
    site.answers["/b/old"] = redirect(site.url(host="other.example"))
    names = Names(["127.0.0.1"])

    assert await fetch(site.url("/a/old"), resolve=names) == b"a fox"
    assert names.asked == ["127.0.0.1", "127.0.0.1", "other.example"]


async def test_too_many_redirects_are_refused(site: Site):
    for number in range(REDIRECTS + 1):
        site.answers[f"/{number}"] = redirect(f"/{number + 1}")
    site.answers[f"/{REDIRECTS + 1}"] = response(b"a fox")

    assert f"was redirected more than {REDIRECTS} times" in await refusal(site.url("/0"))
    assert await fetch(site.url("/1")) == b"a fox"


async def test_a_circle_of_redirects_is_refused(site: Site):
    site.answers["/round"] = redirect("/round")

    assert "was redirected more than" in await refusal(site.url("/round"))
    assert len(site.asked) == REDIRECTS + 1


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data/", "not on the public internet"),
        ("http://[::ffff:169.254.169.254]/", "not on the public internet"),
        ("http://10.0.0.1/", "not on the public internet"),
        ("file:///etc/passwd", "only https is fetched"),
        ("ftp://127.0.0.1/fox.png", "only https is fetched"),
        ("gopher://127.0.0.1/", "only https is fetched"),
        ("http://user:password@127.0.0.1/", "no user name or password"),
        ("http://[::1", "could not be fetched (the connection broke)"),
        ("http://x[y]/", "not a URL"),
        ("http://127.0.0.1:99999/", "not a URL"),
        ("https:", "must name a host"),
    ],
)
async def test_every_hop_is_checked_like_the_first(site: Site, location: str, reason: str):
    site.answers["/old"] = redirect(location)

    assert reason in await refusal(site.url("/old"))
    assert site.asked == ["/old"]


async def test_a_redirect_that_leads_nowhere_is_an_answer_like_any_other(site: Site):
    site.answers["/fox.png"] = response(b"", "304 Not Modified")

    assert "answered 304" in await refusal(site.url())


# Where it may not go


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://pictures.example/fox.png", "is not an https URL; only https is fetched"),
        ("ftp://pictures.example/fox.png", "is not an https URL; only https is fetched"),
        ("file:///etc/passwd", "is not an https URL; only https is fetched"),
        ("/etc/passwd", "is not an https URL; only https is fetched"),
        ("https://user:password@pictures.example/", "carry no user name or password"),
        ("https://user@pictures.example/", "carry no user name or password"),
        ("https://@pictures.example/", "carry no user name or password"),
        ("https://pictures.example:password@127.0.0.1/", "carry no user name or password"),
        ("https://pictures.example\\@127.0.0.1/", "carry no user name or password"),
        ("https://pictures.example:8443/", "uses port 8443; only the https port works"),
        ("https://pictures.example:80/", "uses port 80; only the https port works"),
        ("https://pictures.example:0/", "only the https port works"),
        ("https:///fox.png", "must name a host"),
        ("https://", "must name a host"),
        ("https://[::1", "is not a URL"),
        ("https://pictures.example:99999/", "is not a URL"),
        ("https://pictures.example:port/", "is not a URL"),
        ("https://pictures.example/\x01", "is not a URL"),
        ("https://pict\0ures.example/", "is not a URL"),
        ("https://pictures.example/" + "x" * 100_000, "is not a URL"),
        ("https://" + "ü" * 70 + ".example/", "is not a URL"),
        ("https://pictures.example/\ud800", "is not a URL"),
    ],
)
async def test_an_address_that_is_not_plain_https_is_refused_before_it_is_looked_up(url: str, reason: str):
    names = Names(["93.184.216.34"])

    message = await refusal(url, loopback=False, resolve=names)

    assert reason in message
    assert "password@" not in message
    assert names.asked == []


SPELLINGS = [
    "localhost",
    "LOCALHOST",
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "0",
    "0.0.0.0",  # noqa: S104 - an address to refuse
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "2852039166",
    "172.16.0.1",
    "192.0.0.192",
    "192.168.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::]",
    "[2001:0:7f00:1::]",
    "[2001:db8::1]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fec0::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[100::1]",
    "[5f00::1]",
    "localhost.",
    "localhost.localdomain",
    "127.0.0.1.",
    "169.254.169.254.",
    "0x7f000001.",
    "127.000.000.001",
    "\uff11\uff12\uff17.0.0.1",
    "127\u30020\u30020\u30021",
    "\u2460\u2461\u2466.0.0.1",
    "0xA9FEA9FE",
    "0251.0376.0251.0376",
    "169.16689662",
    "[::ffff:a9fe:a9fe]",
    "[::ffff:169.254.169.254%25lo]",
    "[2606:2800:220:1:248:1893:25c8:1946%25lo]",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::10.0.0.1]",
    "[2002:a00:1::]",
    "[::2]",
    "[v1.fe80::a]",
]


@pytest.mark.parametrize("loopback", [False, True])
@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_an_inside_address_is_fetched(host: str, loopback: bool):
    """With `loopback` the machine itself is allowed; there, port 1 answers nobody."""
    port = ":1" if loopback else ""
    message = await refusal(f"https://{host}{port}/latest/meta-data/", loopback=loopback)

    reasons = ["not on the public internet", "not a URL", "is not known"]
    reasons += ["there is no connection"] if loopback else []
    assert any(reason in message for reason in reasons)


@pytest.mark.parametrize(
    "answers",
    [
        ["10.0.0.1"],
        ["127.0.0.1", "10.0.0.1"],
        ["10.0.0.1", "127.0.0.1"],
        ["127.0.0.1", "::ffff:127.0.0.1"],
        ["127.0.0.1", "fe80::1%eth0"],
        ["127.0.0.1", "2606:2800:220:1:248:1893:25c8:1946%eth0"],
        ["127.0.0.1", "64:ff9b::7f00:1"],
        ["127.0.0.1", "169.254.169.254"],
    ],
)
async def test_a_name_with_any_inside_address_is_refused_before_a_connection_is_made(site: Site, answers: list[str]):
    message = await refusal(site.url(host="pictures.example"), resolve=Names(answers))

    assert message == ("the host pictures.example is not on the public internet; only public addresses are fetched")
    assert site.connections == 0


async def test_a_name_that_means_this_machine_is_refused_unless_allowed():
    message = await refusal("https://pictures.example/", loopback=False, resolve=Names(["127.0.0.1"]))

    assert "not on the public internet" in message


async def test_a_name_that_changes_its_answer_gains_nothing(site: Site):
    """It is looked up once for each request, and the connection goes to the address that was looked at."""
    names = Names(["127.0.0.1"], ["10.0.0.1"])

    assert await fetch(site.url(host="rebinding.example"), resolve=names) == b"a fox"
    assert names.asked == ["rebinding.example"]


async def test_a_name_that_changes_its_answer_between_hops_is_refused(site: Site):
    site.answers["/old"] = redirect("/fox.png")
    names = Names(["127.0.0.1"], ["10.0.0.1"])

    assert "not on the public internet" in await refusal(site.url("/old", "rebinding.example"), resolve=names)
    assert site.asked == ["/old"]


@pytest.mark.parametrize("error", [OSError("no such name"), TimeoutError("no answer")])
async def test_a_name_that_cannot_be_looked_up_is_said(error: OSError):
    async def broken(host: str, port: int) -> Sequence[str]:
        raise error

    assert await refusal("https://nowhere.example/", resolve=broken) == "the host nowhere.example is not known"
    assert await refusal("https://nowhere.example/", resolve=Names([])) == "the host nowhere.example is not known"


async def test_a_server_that_is_not_there_is_said(site: Site):
    assert "could not be fetched (there is no connection)" in await refusal("http://127.0.0.1:1/")


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "192.0.1.1", "2606:2800:220:1:248:1893:25c8:1946"])
def test_public_addresses_are_public(address: str):
    assert is_public(address)


@given(st.ip_addresses())
def test_nothing_the_standard_library_calls_private_is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address):
    assert address.is_global or not is_public(str(address))


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_in_ipv6_clothes_is_public(address: ipaddress.IPv4Address):
    number = int(address)
    clothes = (0, 0xFFFF << 32, 0xFFFF << 48, 0x64FF9B << 96, 0x64FF9B0001 << 80, 0x2002 << 112, 0x20010000 << 96)
    for prefix in clothes:
        shift = 80 if prefix == 0x2002 << 112 else 0
        assert not is_public(str(ipaddress.IPv6Address(prefix | number << shift)))


# What comes back


async def test_a_body_that_is_too_large_is_refused_and_not_written(site: Site):
    site.answers["/fox.png"] = response(b"x" * 6)
    into = io.BytesIO()
    with pytest.raises(UnfetchableUrl, match="has more than 5 bytes"):
        await Fetcher(loopback=True).fetch(site.url(), into, 5, 10)

    assert len(into.getvalue()) <= 5


async def test_an_endless_body_is_cut_off_where_the_limit_is(site: Site):
    sent = 0

    async def endless(write: Write) -> None:
        nonlocal sent
        await write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n")
        while True:
            await write(b"x" * 65536)
            sent += 65536

    site.answers["/fox.png"] = endless
    into = io.BytesIO()
    with anyio.fail_after(10), pytest.raises(UnfetchableUrl, match="has more than 100,000 bytes"):
        await Fetcher(loopback=True).fetch(site.url(), into, MOST, 10)

    assert len(into.getvalue()) <= MOST
    assert sent < 100 * MOST


async def test_a_body_that_breaks_off_is_refused(site: Site):
    site.answers["/fox.png"] = response(b"a fox").replace(b"Length: 5", b"Length: 500")

    assert "127.0.0.1/fox.png" in await refusal(site.url())


async def test_a_chunked_body_that_breaks_off_is_refused(site: Site):
    site.answers["/fox.png"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na fox\r\n"

    assert "broke off before it was complete" in await refusal(site.url())


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "x-anything", "gzip, identity"])
async def test_compressed_content_is_not_unpacked(site: Site, encoding: str):
    bomb = gzip.compress(bytes(5_000_000))
    site.answers["/fox.png"] = response(bomb, "200 OK", f"Content-Encoding: {encoding}")

    assert "sends compressed content" in await refusal(site.url())


@pytest.mark.parametrize("status", ["204 No Content", "401 Unauthorized", "404 Not Found", "500 Oops"])
async def test_any_answer_but_the_file_is_refused(site: Site, status: str):
    site.answers["/fox.png"] = response(b"", status)

    message = await refusal(site.url())
    assert f"answered {status[:3]}; it must be readable without signing in" in message


@pytest.mark.parametrize("answer", [b"", b"hello\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nbroken"])
async def test_an_answer_that_is_not_http_is_refused(site: Site, answer: bytes):
    site.answers["/fox.png"] = answer

    assert "could not be fetched (the connection broke)" in await refusal(site.url())


async def drip(write: Write) -> None:
    """A byte now and then, each of them in time for a limit on waiting for the next."""
    await write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        await write(b"x")
        with anyio.move_on_after(0.02):
            await anyio.sleep_forever()


async def silence(write: Write) -> None:
    await anyio.sleep_forever()


@pytest.mark.parametrize("answer", [drip, silence])
async def test_a_server_that_takes_its_time_is_given_up_on(site: Site, answer: Answer):
    site.answers["/fox.png"] = answer

    assert "did not arrive within 0.2 s" in await refusal(site.url(), seconds=0.2)


async def test_the_time_limit_covers_all_hops_and_the_lookup(site: Site):
    async def slow(host: str, port: int) -> Sequence[str]:
        await anyio.sleep_forever()
        return ()

    assert "did not arrive within 0.2 s" in await refusal(site.url(), resolve=slow, seconds=0.2)


async def test_with_a_limit_on_silence_a_steady_body_may_take_longer_than_the_limit(site: Site):
    async def steady(write: Write) -> None:
        await write(f"HTTP/1.1 200 OK\r\nContent-Length: {3 * PIECE}\r\n\r\n".encode())
        for _ in range(3):
            await write(b"x" * PIECE)
            with anyio.move_on_after(0.3):
                await anyio.sleep_forever()

    site.answers["/film.mp4"] = steady

    assert len(await fetch(site.url("/film.mp4"), most=4 * PIECE, seconds=0.5, idle=5)) == 3 * PIECE
    assert "did not arrive within 0.5 s" in await refusal(site.url("/film.mp4"), most=4 * PIECE, seconds=0.5)


async def test_with_a_limit_on_silence_a_silent_server_is_given_up_on_early(site: Site):
    site.answers["/fox.png"] = silence

    error = await refused(site.url(), seconds=5, idle=0.1)

    assert "could not be fetched (nothing came)" in str(error)
    assert error.passing


async def test_with_a_limit_on_silence_a_dripping_server_is_given_up_on_all_the_same(site: Site):
    site.answers["/fox.png"] = drip

    message = await refusal(site.url(), seconds=0.2, idle=5)

    assert "did not arrive within 0.2 s and at 100 KB/s from then on" in message


# Going on with what broke off


FILM = bytes(range(256)) * 1000
TAG = 'ETag: "film-1"'
DATES = ("Last-Modified: Fri, 20 Nov 2026 10:00:00 GMT", "Date: Sat, 21 Nov 2026 10:00:00 GMT")
LATER = "Last-Modified: Sat, 21 Nov 2026 09:00:00 GMT"


def whole(has: int, *headers: str, of: bytes = FILM) -> bytes:
    """An answer that brings the first bytes of a film, and then no more."""
    return response(of, "200 OK", *headers)[: has - len(of) or None]


def rest(start: int, stop: int = len(FILM), *headers: str, range_: str | None = None) -> bytes:
    """An answer that brings some of the bytes from `start` on, and then no more."""
    named = range_ or f"bytes {start}-{len(FILM) - 1}/{len(FILM)}"
    answer = response(FILM[start:], "206 Partial Content", f"Content-Range: {named}", *headers)
    return answer[: stop - len(FILM) or None]


def tagged(start: int, range_: str | None = None) -> bytes:
    """The same of the file that `TAG` names."""
    return rest(start, len(FILM), TAG, range_=range_)


REST = "Content-Range: bytes 100000-255999/256000"
ENDLESS = f"HTTP/1.1 206 Partial Content\r\n{TAG}\r\n{REST}\r\nConnection: close\r\n\r\n".encode() + bytes(3_000_000)
"""A rest that goes on and on, and would be more than may come."""


def in_turn(*answers: bytes) -> Answer:
    """Each answer once, and the last one again and again."""
    left = list(answers)

    async def answer(write: Write) -> None:
        await write(left.pop(0) if len(left) > 1 else left[0])

    return answer


async def film(site: Site, *answers: bytes, **how: object) -> bytes:
    site.answers["/film.mp4"] = in_turn(*answers)
    return await fetch(site.url("/film.mp4"), most=10 * len(FILM), **how)  # pyright: ignore[reportArgumentType] - passed on


async def broken_film(site: Site, *answers: bytes, **how: object) -> UnfetchableUrl:
    with pytest.raises(UnfetchableUrl) as caught:
        await film(site, *answers, **how)
    return caught.value


async def test_a_file_that_broke_off_is_gone_on_with(site: Site):
    assert await film(site, whole(100_000, TAG), rest(100_000, 150_001, TAG), rest(150_001, len(FILM), TAG)) == FILM
    assert site.heard("range") == ["bytes=100000-", "bytes=150001-"]
    assert site.heard("if-range") == ['"film-1"'] * 2


async def test_without_a_tag_a_date_tells_that_it_is_still_the_same_file(site: Site):
    assert await film(site, whole(100_000, *DATES), rest(100_000)) == FILM
    assert await film(site, whole(100_000, *DATES), rest(100_000, len(FILM), *DATES)) == FILM
    assert site.heard("if-range") == ["Fri, 20 Nov 2026 10:00:00 GMT"] * 2


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (DATES, (LATER, DATES[1])),
        (DATES, (*DATES, 'ETag: "film-2"')),
        (DATES, ('ETag: "film-2"',)),
        (DATES, ("Last-Modified: yesterday",)),
        ((TAG, *DATES), DATES),
        ((TAG, *DATES), (TAG, LATER)),
        ((TAG,), ()),
        ((TAG,), ('ETag: W/"film-1"',)),
        ((TAG,), ('ETag: "film-2"',)),
    ],
)
async def test_a_rest_that_may_be_of_another_file_is_not_taken(
    site: Site, first: tuple[str, ...], then: tuple[str, ...]
):
    error = await broken_film(site, whole(100_000, *first), rest(100_000, len(FILM), *then))

    assert error.passing
    assert "another part than the missing one" in str(error)


async def test_a_connection_that_is_reset_is_trouble_like_one_that_ends(site: Site):
    site.resets.add("/film.mp4")

    error = await broken_film(site, whole(100_000))

    assert error.passing
    assert len(site.asked) == 1


async def test_after_a_reset_a_file_is_gone_on_with(site: Site):
    """The first answer leads to another path, where connections are reset."""
    site.resets.add("/short.mp4")
    site.answers["/short.mp4"] = whole(100_000, TAG)
    asked_for: list[str] = []

    async def answer(write: Write) -> None:
        asked_for.extend(site.heard("range"))
        start = int(asked_for[0].removeprefix("bytes=").removesuffix("-")) if asked_for else 0
        await write(rest(start, len(FILM), TAG) if asked_for else redirect("/short.mp4"))

    site.answers["/film.mp4"] = answer

    content = await fetch(site.url("/film.mp4"), most=len(FILM))
    assert content == FILM


async def test_a_server_that_falls_silent_in_the_middle_is_asked_for_the_rest(site: Site):
    async def stalls(write: Write) -> None:
        if site.heard("range"):
            await write(rest(100_000, len(FILM), TAG))
        else:
            await write(whole(100_000, TAG))
            await anyio.sleep_forever()

    site.answers["/film.mp4"] = stalls

    assert await fetch(site.url("/film.mp4"), most=len(FILM), idle=0.3) == FILM
    assert site.heard("range") == ["bytes=100000-"]


async def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(site: Site):
    other = FILM[::-1][:200_000]

    assert await film(site, whole(100_000, TAG), whole(len(other), 'ETag: "film-2"', of=other)) == other
    assert await film(site, whole(250_000, TAG), whole(len(other), of=other)) == other


async def test_nothing_of_a_file_that_changed_is_left_also_when_much_was_written(site: Site):
    old, other = bytes(5 * PIECE // 2), FILM[:200_000]
    site.answers["/film.mp4"] = in_turn(whole(2 * PIECE + 5, TAG, of=old), response(other))

    assert await fetch(site.url("/film.mp4"), most=len(old)) == other


async def test_a_new_start_that_breaks_off_too_is_gone_on_with_under_its_own_tag(site: Site):
    answers = [whole(200_000, TAG), whole(100_000, 'ETag: "film-2"'), rest(100_000, len(FILM), 'ETag: "film-2"')]

    assert await film(site, *answers) == FILM
    assert (site.heard("range"), site.heard("if-range")) == (
        ["bytes=200000-", "bytes=100000-"],
        ['"film-1"', '"film-2"'],
    )


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ('ETag: W/"film-1"',),
        ('ETag: W/"film-1"', *DATES),
        ("ETag: film-1",),
        ('ETag: "a", "b"',),
        DATES[:1],
        (DATES[0], "Date: Fri, 20 Nov 2026 10:00:00 GMT"),
        ("Last-Modified: yesterday", DATES[1]),
        (DATES[0], "Date: never"),
        (f"{DATES[0]} \u00e9", DATES[1]),
        (f"{DATES[0]} \u4e2d", DATES[1]),
        (DATES[0].replace("20 Nov", "\u0662\u0660 Nov"), DATES[1]),
        (f"{DATES[0]} (or so)", DATES[1]),
        ('ETag: "film\u00e9"',),
    ],
)
async def test_a_file_that_is_not_told_from_every_other_is_not_gone_on_with(site: Site, headers: tuple[str, ...]):
    error = await broken_film(site, whole(100_000, *headers), rest(100_000))

    assert error.passing
    assert "broke off before it was complete" in str(error)
    assert len(site.asked) == 1


@pytest.mark.parametrize("length", ["", "Content-Length: 100000\r\n"])
async def test_a_body_in_chunks_is_not_gone_on_with_whatever_its_length_is_said_to_be(site: Site, length: str):
    head = f"HTTP/1.1 200 OK\r\n{TAG}\r\n{length}Transfer-Encoding: chunked\r\n\r\n"

    assert (await broken_film(site, f"{head}5\r\na fox\r\n".encode())).passing
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        tagged(100_001),
        tagged(0),
        tagged(100_000, f"bytes 100000-{len(FILM)}/{len(FILM) + 1}"),
        tagged(100_000, f"bytes 100000-{len(FILM) - 1}/*"),
        tagged(100_000, f"bytes 100000-{len(FILM)}/{len(FILM)}"),
        tagged(100_000, "bytes 100000-99999/256000"),
        tagged(100_000, "bytes 100000-\u0661\u0661/256000"),
        tagged(100_000, "pages 1-2/3"),
        response(FILM[100_000:], "206 Partial Content", TAG),
        response(b"--x\r\n", "206 Partial Content", TAG, "Content-Type: multipart/byteranges; boundary=x"),
        response(b"x" * 200_000, "206 Partial Content", "Content-Range: bytes 100000-255999/256000", TAG),
        response(FILM[100_000:], "206 Partial Content", "Content-Range: bytes 100000-199999/256000", TAG),
        response(FILM[100_000:], "206 Partial Content", REST, TAG, "Content-Encoding: gzip"),
        response(FILM, "200 OK", TAG, "Content-Encoding: gzip"),
        ENDLESS,
        response(b"", "204 No Content"),
        response(b"", "304 Not Modified"),
        response(b"", "403 Forbidden"),
        response(b"", "404 Not Found"),
        response(b"", "416 Range Not Satisfiable", "Content-Range: bytes */256000"),
        response(b"", "503 Service Unavailable"),
        b"nonsense\r\n\r\n",
        b"",
    ],
)
async def test_any_other_answer_than_the_rest_or_the_whole_is_passing_trouble(site: Site, answer: bytes):
    error = await broken_film(site, whole(100_000, TAG), answer)

    assert error.passing
    assert len(site.asked) == 2


async def test_a_rest_that_comes_in_parts_is_asked_for_part_by_part(site: Site):
    first = response(FILM[100_000:120_000], "206 Partial Content", "Content-Range: bytes 100000-119999/256000", TAG)

    assert await film(site, whole(100_000, TAG), first, tagged(120_000)) == FILM


async def test_an_answer_that_brings_nothing_ends_it(site: Site):
    error = await broken_film(site, whole(100_000, TAG), rest(100_000, 100_000, TAG))

    assert error.passing
    assert len(site.asked) == 2


async def test_a_file_that_comes_in_crumbs_is_given_up_on_after_a_few(site: Site):
    crumbs = [rest(100_000 + number, 100_001 + number, TAG) for number in range(RESUMES + 3)]

    assert (await broken_film(site, whole(100_000, TAG), *crumbs)).passing
    assert len(site.asked) == 1 + RESUMES


async def test_a_file_that_begins_anew_each_time_is_given_up_on_after_a_few(site: Site):
    assert (await broken_film(site, whole(100_000, TAG))).passing
    assert len(site.asked) == 1 + RESUMES


async def test_the_most_bytes_are_those_of_the_whole_file(site: Site):
    site.answers["/film.mp4"] = in_turn(whole(100_000, TAG), tagged(100_000))
    assert await fetch(site.url("/film.mp4"), most=len(FILM)) == FILM

    larger = response(bytes(300_000), "200 OK")
    site.answers["/film.mp4"] = in_turn(whole(100_000, TAG), larger)
    assert "has more than 256,000 bytes" in await refusal(site.url("/film.mp4"), most=len(FILM))


async def test_all_answers_together_have_one_time_limit(site: Site):
    async def drips_on(write: Write) -> None:
        await write(rest(100_000, 100_000, TAG) if site.heard("range") else whole(100_000, TAG))
        while site.heard("range"):
            await write(b"x")
            with anyio.move_on_after(0.02):
                await anyio.sleep_forever()

    site.answers["/film.mp4"] = drips_on

    error = await refused(site.url("/film.mp4"), most=len(FILM), seconds=0.3)
    assert "did not arrive within 0.3 s" in str(error)


async def test_bytes_that_come_twice_buy_no_more_time(site: Site):
    """Each answer brings a second's worth; five more of them would buy five seconds."""

    async def begins_anew(write: Write) -> None:
        await write(whole(100_000, TAG))
        if len(site.asked) == RESUMES:
            await anyio.sleep_forever()

    site.answers["/film.mp4"] = begins_anew

    with anyio.fail_after(4):
        message = await refusal(site.url("/film.mp4"), most=len(FILM), seconds=0.5, idle=30)
    assert "did not arrive within 0.5 s" in message


# The rest is asked for as carefully as the whole


async def test_a_name_that_leads_inside_when_the_rest_is_asked_for_is_refused(site: Site):
    site.answers["/film.mp4"] = in_turn(whole(100_000, TAG), tagged(100_000))
    names = Names(["127.0.0.1"], ["169.254.169.254"])

    url = site.url("/film.mp4", "rebinding.example")
    assert "not on the public internet" in await refusal(url, resolve=names, most=len(FILM))
    assert (len(names.asked), len(site.asked)) == (2, 1)


@pytest.mark.parametrize("location", ["http://169.254.169.254/", "http://10.0.0.1/", "file:///etc/passwd"])
async def test_a_redirect_is_checked_also_when_the_rest_is_asked_for(site: Site, location: str):
    error = await broken_film(site, whole(100_000, TAG), redirect(location))

    assert "not on the public internet" in str(error) or "only https is fetched" in str(error)
    assert len(site.asked) == 2


async def test_another_host_is_asked_for_the_whole_whose_tags_may_say_something_else(site: Site):
    film_there = FILM[::-1]
    async with open_site() as other:
        other.answers["/film.mp4"] = in_turn(whole(200_000, TAG, of=film_there), response(film_there, "200 OK", TAG))
        answers = [whole(100_000, TAG), redirect(other.url("/film.mp4"))]

        assert await film(site, *answers, headers=KEY) == film_there
    assert site.heard("authorization") == ["Bearer s3cret"] * 3
    assert site.heard("range") == ["bytes=100000-"]
    assert other.heard("authorization") == []
    assert (other.heard("range"), other.heard("if-range")) == (["bytes=200000-"], ['"film-1"'])


async def test_the_rest_is_asked_for_only_where_the_beginning_came_from(site: Site):
    async with open_site() as other:
        other.answers["/film.mp4"] = in_turn(whole(100_000, TAG), tagged(100_000))

        assert await film(site, redirect(other.url("/film.mp4"))) == FILM
    assert (site.heard("range"), other.heard("range")) == ([], ["bytes=100000-"])


async def test_a_part_from_a_host_that_was_asked_for_the_whole_is_passing_trouble(site: Site):
    async with open_site() as other:
        other.answers["/film.mp4"] = tagged(100_000)
        error = await broken_film(site, whole(100_000, TAG), redirect(other.url("/film.mp4")))

    assert error.passing
    assert "a part that was not asked for" in str(error)


# What the caller can tell from a refusal


@pytest.mark.parametrize(
    ("status", "passing"),
    [
        ("204 No Content", False),
        ("206 Partial Content", True),
        ("400 Bad Request", False),
        ("401 Unauthorized", False),
        ("403 Forbidden", False),
        ("404 Not Found", False),
        ("408 Request Timeout", True),
        ("410 Gone", False),
        ("425 Too Early", True),
        ("429 Too Many Requests", True),
        ("500 Oops", True),
        ("503 Service Unavailable", True),
        ("522 Connection Timed Out", True),
    ],
)
async def test_a_refusal_says_what_was_answered_and_whether_it_may_pass(site: Site, status: str, passing: bool):
    site.answers["/fox.png"] = response(b"", status)

    error = await refused(site.url())

    assert (error.status, error.passing) == (int(status[:3]), passing)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        response(b"a fox").replace(b"Length: 5", b"Length: 500"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na fox\r\n",
        drip,
        silence,
    ],
)
async def test_trouble_on_the_way_may_pass(site: Site, answer: Answer):
    site.answers["/fox.png"] = answer

    assert (await refused(site.url(), seconds=0.3)).passing


async def test_a_server_or_a_name_that_is_not_there_may_be_there_later():
    assert (await refused("http://127.0.0.1:1/")).passing
    assert (await refused("https://nowhere.example/", resolve=Names([]))).passing


async def test_what_is_not_allowed_will_not_be_later(site: Site):
    site.answers["/round"] = redirect("/round")
    site.answers["/inside"] = redirect("http://10.0.0.1/")
    site.answers["/packed"] = response(b"x", "200 OK", "Content-Encoding: gzip")
    urls = [site.url("/round"), site.url("/inside"), site.url("/packed"), "https://10.0.0.1/", "ftp://a.example/"]

    assert [(await refused(url)).passing for url in urls] == [False] * 5
    assert not (await refused(site.url(), most=4)).passing


# Headers of the caller's


KEY = {"Authorization": "Bearer s3cret"}


async def test_headers_reach_the_host_that_was_named(site: Site):
    assert await fetch(site.url(), headers=KEY) == b"a fox"
    assert site.heard("authorization") == ["Bearer s3cret"]


async def test_headers_follow_a_redirect_within_the_same_origin(site: Site):
    site.answers["/old"] = redirect("/fox.png")

    assert await fetch(site.url("/old"), headers=KEY) == b"a fox"
    assert site.heard("authorization") == ["Bearer s3cret"] * 2


async def test_headers_are_dropped_for_good_once_a_redirect_leaves_the_origin(site: Site):
    """The other origin is the same machine under another name; that it leads back changes nothing."""
    names = Names(["127.0.0.1"])
    site.answers["/old"] = redirect(site.url("/elsewhere", "other.example"))
    site.answers["/elsewhere"] = redirect(site.url("/fox.png", "first.example"))

    assert await fetch(site.url("/old", "first.example"), headers=KEY, resolve=names) == b"a fox"
    assert site.asked == ["/old", "/elsewhere", "/fox.png"]
    assert site.heard("authorization") == ["Bearer s3cret"]


async def test_another_port_is_another_origin(site: Site):
    async with open_site() as other:
        site.answers["/old"] = redirect(other.url())

        assert await fetch(site.url("/old"), headers=KEY) == b"a fox"
        assert (site.heard("authorization"), other.heard("authorization")) == (["Bearer s3cret"], [])


async def test_no_header_changes_which_host_is_asked_or_how_the_body_is_sent(site: Site):
    await fetch(site.url(), headers={"host": "other.example", "accept-encoding": "gzip"})

    assert (site.heard("host"), site.heard("accept-encoding")) == ([f"127.0.0.1:{site.port}"], ["identity"])


# Writing


async def test_a_file_that_cannot_be_written_is_an_error_of_the_file(site: Site):
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        await Fetcher(loopback=True).fetch(site.url(), Full(), MOST, 10)


async def test_a_slow_disk_does_not_hold_up_anything_else(site: Site):
    class Slow(io.BytesIO):
        """Each write waits until the event loop has been seen to run."""

        asked, ran = anyio.Event(), threading.Event()

        def write(self, piece: bytes) -> int:  # pyright: ignore[reportIncompatibleMethodOverride] - bytes is all it gets
            anyio.from_thread.run_sync(self.asked.set)
            assert self.ran.wait(5)
            return super().write(piece)

    into = Slow()
    with anyio.fail_after(8):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Fetcher(loopback=True).fetch, site.url(), into, MOST, 10)
            await into.asked.wait()
            into.ran.set()

    assert into.getvalue() == b"a fox"


async def test_a_body_said_to_be_too_large_is_refused_before_a_byte_of_it_is_read(site: Site):
    async def announce(write: Write) -> None:
        await write(b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n")
        await anyio.sleep_forever()

    site.answers["/fox.png"] = announce

    assert "has more than 100,000 bytes" in await refusal(site.url())


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "five", "5, 6"])
async def test_a_length_that_makes_no_sense_is_trouble_like_any_other(site: Site, length: str):
    site.answers["/fox.png"] = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\na fox".encode()

    assert "127.0.0.1/fox.png" in await refusal(site.url())


# Secrets


SECRET = "s3cret"  # noqa: S105 - the word to look for


@pytest.mark.parametrize(
    "answer",
    [
        response(b"", "403 Forbidden"),
        response(b"x" * 2 * MOST),
        response(b"x", "200 OK", "Content-Encoding: gzip"),
        response(b"a fox").replace(b"Length: 5", b"Length: 500"),
        b"nonsense\r\n\r\n",
        redirect(f"/signed?signature={SECRET}"),
        redirect(f"http://10.0.0.1/?signature={SECRET}"),
        redirect(f"ftp://127.0.0.1/?signature={SECRET}"),
        redirect(f"http://127.0.0.1:99999/?signature={SECRET}"),
        redirect(f"http://[::1/?signature={SECRET}"),
        redirect(f"http://user:{SECRET}@127.0.0.1/"),
        silence,
    ],
)
async def test_a_signature_in_the_query_appears_in_no_error(
    site: Site, answer: Answer, caplog: pytest.LogCaptureFixture
):
    site.answers["/signed"] = answer
    caplog.set_level(logging.WARNING)  # what the command line sets for the HTTP client

    with pytest.raises(UnfetchableUrl) as caught:
        await fetch(site.url(f"/signed?signature={SECRET}#{SECRET}"), seconds=0.3)

    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        f"https://pictures.example:99999/?signature={SECRET}",
        f"https://[::1/?signature={SECRET}",
        f"https://user:{SECRET}@pictures.example/",
        f"https://user:{SECRET}@pictures.example:99999/",
        f"http://pictures.example/?signature={SECRET}",
        f"https://pictures.example:8443/?signature={SECRET}",
        f"https://nowhere.example/?signature={SECRET}",
        f"https:?signature={SECRET}",
    ],
)
async def test_a_refused_address_is_shown_without_its_secrets(url: str):
    assert SECRET not in await refusal(url, loopback=False, resolve=Names([]))

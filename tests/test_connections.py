"""Connections on which too little, too much or too late is sent."""

from __future__ import annotations

import asyncio
import errno
import logging
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.abc import SocketStream
from starlette.requests import ClientDisconnect
from starlette.types import Message

from keyframe_mcp.server.http.access import access_of
from keyframe_mcp.server.http.connections import Accidents
from keyframe_mcp.server.http.ending import Outermost
from keyframe_mcp.server.http.gate import Gate
from keyframe_mcp.settings import read_settings
from sites import Served, browser, open_site
from test_http import listen

ACCEPT = {"Accept": "application/json, text/event-stream"}
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


async def never() -> Message:
    """Nothing comes."""
    await anyio.sleep_forever()
    raise AssertionError


async def connected(site: Served, *parts: str) -> SocketStream:
    """A connection on which this was sent, after a line `Host` where `HOST` stands."""
    host, port = urlsplit(site.address).netloc.split(":")
    stream = await anyio.connect_tcp(host, int(port))
    for part in parts:
        await stream.send(part.replace("HOST", f"Host: {host}:{port}").encode())
    return stream


async def heard(stream: SocketStream) -> bytes:
    """Everything that comes until the other side closes."""
    found = b""
    with anyio.fail_after(10):
        try:
            while True:
                found += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return found


@pytest.mark.parametrize("sent", [[""], ["GET /health HT"], ["GET /health HTTP/1.1\r\nHOST\r\n\r\n", "GET /hea"]])
async def test_who_sends_no_whole_head_does_not_keep_a_connection(tmp_path: Path, sent: list[str]):
    first, *others = sent
    async with open_site(tmp_path, head_seconds=0.2) as site, await connected(site, first) as stream:
        for other in others:
            assert b"200 OK" in await stream.receive()
            await stream.send(other.encode())
        assert b"HTTP" not in await heard(stream)


async def test_who_goes_on_with_a_body_that_nobody_wants_does_not_keep_a_connection(tmp_path: Path):
    head = "POST /nothing HTTP/1.1\r\nHOST\r\nContent-Length: 9000\r\n\r\n"
    async with open_site(tmp_path, head_seconds=0.2) as site, await connected(site, head) as stream:
        is_open = True
        with anyio.fail_after(10):
            while is_open:
                is_open = await dribbled(stream)


async def dribbled(stream: SocketStream) -> bool:
    """Whether one byte more could be sent."""
    try:
        await stream.send(b"x")
        with anyio.move_on_after(0.05):
            await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return False
    return True


async def test_a_head_or_a_body_that_comes_slowly_but_in_time_is_answered(tmp_path: Path):
    async with open_site(tmp_path, head_seconds=5) as site:
        for parts in (
            ["GET /health HT", "TP/1.1\r\nHOST\r\nConnection: close\r\n\r\n"],
            ["GET /health HTTP/1.1\r\nHOST\r\nConnection: close\r\n\r\n"],
        ):
            async with await connected(site, *parts) as stream:
                assert (await heard(stream)).startswith(b"HTTP/1.1 200")


async def test_a_full_house_says_so_at_once_and_goes_on_with_its_work(tmp_path: Path):
    async with open_site(tmp_path, most=3) as site, browser() as inside:
        assert (await inside.get(f"{site.address}/health")).status_code == 200
        async with await connected(site, "GET"), await connected(site, "GET"):
            async with await connected(site) as outside:
                said = await heard(outside)
            assert (await inside.get(f"{site.address}/health")).status_code == 200
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert f"Content-Length: {len(body)}".encode() in head


async def test_a_process_without_files_left_says_so_once_a_minute(caplog: pytest.LogCaptureFixture):
    accidents, loop = Accidents(), asyncio.get_running_loop()
    refused: dict[str, Any] = {
        "message": "socket.accept() out of system resource", "exception": OSError(errno.EMFILE, "Too many open files")
    }  # fmt: skip
    with caplog.at_level(logging.ERROR):
        for _ in range(5):
            accidents(loop, refused)
        accidents(loop, {"message": "another"})

    assert [each.getMessage() for each in caplog.records] == [
        "no connection can be taken in ([Errno 24] Too many open files); the system allows too few files", "another",
    ]  # fmt: skip
    assert not caplog.records[0].exc_info


async def test_a_request_that_has_not_come_whole_when_the_process_ends_is_sent_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    ends: list[bytes] = []
    async with anyio.create_task_group() as tasks:

        async def hear(stream: SocketStream) -> None:
            async with stream:
                ends.append(await heard(stream))

        async with open_site(tmp_path) as site:
            for path in ("/mcp", "/uploads"):
                head = (
                    f"POST {path} HTTP/1.1\r\nHOST\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{{"
                )
                stream = await connected(site, head)
                tasks.start_soon(hear, stream)
            async with browser() as another:
                await another.get(f"{site.address}/health")
    assert [end.startswith(b"HTTP/1.1 503") for end in ends] == [True, True]
    assert all(b"connection: close" in end for end in ends)
    assert "Traceback" not in caplog.text


async def test_a_stream_that_opens_while_the_process_ends_ends_at_once_and_calls_are_answered(tmp_path: Path):
    async with open_site(tmp_path) as site, browser(**ACCEPT) as anybody:
        site.site.begin_end()
        with anyio.fail_after(5):
            stream = await anybody.post(
                f"{site.address}/mcp", **listen({"resourceSubscriptions": ["keyframe://tasks"]})
            )
        call = await anybody.post(f"{site.address}/mcp", json=PING)

    assert stream.status_code == 200
    assert "acknowledged" in stream.text
    assert '"result"' in stream.text
    assert call.status_code < 500


async def test_what_cannot_end_in_time_is_answered_without_a_stack():
    sent: list[Message] = []

    async def for_ever(*_: object) -> None:
        await anyio.sleep_forever()

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    task = asyncio.create_task(Outermost(for_ever)(scope, never, send))
    await anyio.wait_all_tasks_blocked()
    task.cancel()
    await task

    assert sent[0]["status"] == 503


async def test_a_client_that_leaves_in_the_middle_of_its_request_is_no_error_of_ours():
    async def left(*_: object) -> None:
        raise ClientDisconnect

    await Outermost(left)({"type": "http"}, never, left)


async def test_web_sockets_do_not_pass_the_gate_by(tmp_path: Path):
    reached: list[str] = []
    sent: list[Message] = []

    async def inner(scope: Any, *_: object) -> None:
        reached.append(scope["type"])

    async def send(message: Message) -> None:
        sent.append(message)

    gate = Gate(inner, access_of(read_settings({}, Path("/srv"), Path("/home")), "127.0.0.1", 8765))
    for kind in ("websocket", "lifespan", "strange"):
        await gate({"type": kind, "path": "/mcp", "headers": []}, never, send)
    assert reached == ["lifespan"]
    assert [each["type"] for each in sent] == ["websocket.close"]

    async with open_site(tmp_path) as site:
        asked = "Connection: Upgrade, close\r\nUpgrade: websocket\r\n"
        async with await connected(site, f"GET /health HTTP/1.1\r\nHOST\r\n{asked}\r\n") as stream:
            assert (await heard(stream)).startswith(b"HTTP/1.1 200")


async def test_an_end_slash_is_no_other_address(tmp_path: Path):
    async with open_site(tmp_path) as site, browser(**ACCEPT) as anybody:
        answers = [await anybody.post(f"{site.address}/mcp{end}", json=PING) for end in ("", "/")]
        others = [await anybody.get(f"{site.address}{path}") for path in ("/sse/", "/messages", "/health/")]

    assert [each.status_code for each in answers] == [answers[0].status_code] * 2
    assert answers[0].status_code not in (301, 307, 308, 404)
    assert [each.status_code for each in others] == [404] * 3

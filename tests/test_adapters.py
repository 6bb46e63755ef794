"""The contract. Every provider keeps it; a new one is covered by adding tests/adapters/<provider id>.py."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from adapters import EXAMPLES, KEY, PROVIDERS, Example, Remote, connected, reply
from keyframe_mcp import errors
from keyframe_mcp.adapters import HTTP_DIALECTS
from keyframe_mcp.adapters.base import Found
from keyframe_mcp.adapters.connection import Connection
from keyframe_mcp.adapters.dialect import Call, nested
from keyframe_mcp.adapters.http import HttpAdapter
from keyframe_mcp.settings import base_url_variable
from keyframe_mcp.task import Picture, Status
from studio import picture

NEVER_ANSWERED = [
    httpx.ReadTimeout("slow"),
    httpx.ReadError("reset"),
    httpx.WriteError("reset"),
    httpx.WriteTimeout("slow"),
    httpx.RemoteProtocolError("cut"),
]
NEVER_SENT = [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("full")]
LISTED_AT = datetime(2026, 4, 1, 9, tzinfo=UTC).timestamp()
Connect = Callable[..., HttpAdapter]


def as_asked(call: Call) -> tuple[str, str, Any]:
    return (call.method, call.path, dict(call.json) if call.json is not None else None)


@pytest.fixture(params=sorted(EXAMPLES))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def example(name: str) -> Example:
    return EXAMPLES[name]


@pytest.fixture
def connect(name: str, tmp_path: Path) -> Connect:
    def connect(remote: Remote) -> HttpAdapter:
        return connected(name, remote, tmp_path)

    return connect


def test_every_provider_has_an_example_and_every_dialect_is_in_one():
    online = {name for name, provider in PROVIDERS.items() if provider.dialect != "local"}

    assert EXAMPLES.keys() == online
    assert {PROVIDERS[name].dialect for name in EXAMPLES} == HTTP_DIALECTS.keys()


async def test_submits_what_the_provider_documents(connect: Connect, example: Example):
    remote = Remote(reply(example.submit_reply))

    assert await connect(remote).submit(example.job) == example.accepted
    assert remote.calls == [as_asked(example.submit)]
    assert remote.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_any_kind_of_yes_is_a_yes(connect: Connect, example: Example, status: int):
    assert (await connect(Remote(reply(example.submit_reply, status))).submit(example.job)) == example.accepted


async def test_reads_every_state(connect: Connect, example: Example):
    for body, expected in example.reports:
        remote = Remote(reply(body), *map(reply, example.asks_again.values()))
        found = await connect(remote).check(example.accepted.remote_id)
        assert found == expected
        assert remote.calls[0] == as_asked(example.check)
        assert [path for _, path, _ in remote.calls[1:]] in ([], list(example.asks_again))


async def test_a_word_nobody_knows_is_a_job_that_still_runs(connect: Connect, example: Example):
    found = await connect(Remote(reply(example.unknown_state))).check(example.accepted.remote_id)

    assert found.status is Status.RUNNING
    assert found.native_status
    assert found.native_status in str(example.unknown_state)


async def test_says_why_a_job_failed(connect: Connect, example: Example):
    for body, kind, words in example.failures:
        found = await connect(Remote(reply(body))).check(example.accepted.remote_id)
        assert found.failure is not None
        assert found.failure.kind == kind
        assert words in found.failure.message
        assert not found.outputs


@pytest.mark.parametrize("accident", [*NEVER_ANSWERED, reply({}, 502), reply("oops", 500), reply({}, 408)])
async def test_never_submits_twice(connect: Connect, example: Example, accident: httpx.Response | Exception):
    """A job that may have been accepted may have been billed."""
    remote = Remote(accident, reply(example.submit_reply))

    with pytest.raises(errors.SubmissionUncertain, match="not sent again"):
        await connect(remote).submit(example.job)
    assert len(remote.requests) == 1


@pytest.mark.parametrize("accident", NEVER_SENT)
async def test_says_when_nothing_was_submitted(connect: Connect, example: Example, accident: Exception):
    with pytest.raises(errors.ProviderUnavailable, match="nothing was sent"):
        await connect(Remote(accident)).submit(example.job)


@pytest.mark.parametrize("accident", [*NEVER_SENT, *NEVER_ANSWERED, reply({}, 503), httpx.Response(502, text="<html>")])
async def test_keeps_asking_through_a_bad_patch(
    connect: Connect, example: Example, accident: httpx.Response | Exception
):
    body, expected = example.reports[0]
    adapter = connect(Remote(accident, reply(body)))

    with pytest.raises(errors.ProviderUnavailable):
        await adapter.check(example.accepted.remote_id)
    assert await adapter.check(example.accepted.remote_id) == expected


async def test_passes_on_why_it_was_refused(connect: Connect, example: Example):
    for status, body, kind, words in example.refusals:
        with pytest.raises(errors.by_kind()[kind]) as caught:
            await connect(Remote(reply(body, status))).submit(example.job)
        assert caught.value.kind == kind
        assert words in str(caught.value)


async def test_a_refused_key_names_the_host_and_both_variables(connect: Connect, example: Example, name: str):
    with pytest.raises(errors.CredentialRefused) as caught:
        await connect(Remote(reply("Invalid token", 401))).submit(example.job)

    host = httpx.URL(PROVIDERS[name].base_url or "").host
    for words in (host, str(PROVIDERS[name].key), base_url_variable(name)):
        assert words in str(caught.value)


async def test_being_told_to_wait_is_not_being_refused(connect: Connect, example: Example):
    status, body = example.busy

    with pytest.raises(errors.ProviderBusy) as caught:
        await connect(Remote(reply(body, status))).submit(example.job)
    assert caught.value.retry_after == (30 if "~30s" in str(body) else None)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("7000", 120), ("Mon, 12 Jan 1970 13:47:00 GMT", 20), ("Mon, 01 Jan 1900 00:00:00 GMT", 0), ("?", None)],
)
async def test_says_how_long_to_wait(connect: Connect, example: Example, header: str, seconds: float | None):
    with pytest.raises(errors.ProviderBusy) as caught:
        await connect(Remote(reply({}, 429, retry_after=header))).submit(example.job)
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("body", [{}, [], None, {"data": None}, {"id": {}}, "surprise", {"code": 200, "data": [7]}])
async def test_names_a_reply_it_cannot_read(connect: Connect, example: Example, body: object):
    with pytest.raises(errors.UnexpectedReply, match="unknown shape"):
        await connect(Remote(reply(body))).submit(example.job)
    with pytest.raises(errors.UnexpectedReply, match="unknown shape"):
        await connect(Remote(reply(body))).check(example.accepted.remote_id)


async def test_survives_a_page_where_json_should_be(connect: Connect, example: Example):
    page = "<html>maintenance \x1b[31m\u202e</html>"

    with pytest.raises(errors.UnexpectedReply, match="not JSON") as caught:
        await connect(Remote(httpx.Response(200, text=page))).submit(example.job)
    assert "\x1b" not in str(caught.value)
    with pytest.raises(errors.UnexpectedReply):
        await connect(Remote(httpx.Response(200, text=page))).check(example.accepted.remote_id)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_does_not_follow_a_redirect_with_the_key(connect: Connect, example: Example, status: int):
    remote = Remote(reply({}, status, location="https://elsewhere.test/"))

    with pytest.raises(errors.ProviderRefused, match="answers with a redirect to elsewhere"):
        await connect(remote).submit(example.job)
    assert len(remote.requests) == 1


async def test_an_id_is_evidence_of_a_job_whatever_the_status_says(connect: Connect, example: Example):
    assert await connect(Remote(reply(example.submit_reply, 502))).submit(example.job) == example.accepted


@pytest.mark.parametrize("yes", [httpx.Response(204), httpx.Response(200, text="ok"), None])
async def test_cancels_if_and_only_if_it_can(connect: Connect, example: Example, yes: httpx.Response | None):
    remote = Remote(yes or reply(example.reports[0][0]))

    assert await connect(remote).cancel(example.accepted.remote_id) is (example.cancel is not None)
    assert remote.calls == ([as_asked(example.cancel)] if example.cancel else [])


async def test_every_call_carries_the_headers_the_provider_wants(connect: Connect, example: Example):
    remote = Remote(reply(example.submit_reply), reply(example.reports[0][0]), reply({}), reply({}))
    adapter = connect(remote)
    await adapter.submit(example.job)
    await adapter.check(example.accepted.remote_id)
    await adapter.cancel(example.accepted.remote_id)

    calls = [example.submit, example.check, *([example.cancel] if example.cancel else [])]
    for call, request in zip(calls, remote.requests, strict=True):
        assert {name: request.headers.get(name) for name in call.headers} == dict(call.headers)


async def test_never_repeats_the_key(connect: Connect, example: Example):
    for status in (400, 401, 403, 404, 429, 500, 200):
        leaky = {"message": f"bad {KEY}", "detail": f"key {KEY}", "error": KEY, "code": 400}
        with pytest.raises(errors.ProviderError) as caught:
            await connect(Remote(reply(leaky, status))).submit(example.job)
        assert KEY not in repr(caught.value) + str(caught.value)
    for body, _, _ in example.failures:
        told = json.loads(json.dumps(body).replace("out of memory", KEY).replace("no GPU", KEY).replace("slow", KEY))
        found = await connect(Remote(reply(told))).check(example.accepted.remote_id)
        assert KEY not in repr(found)


async def test_the_key_goes_to_no_other_host(connect: Connect, example: Example):
    adapter = connect(Remote())

    for url in ("https://elsewhere.test/x.mp4", "https://replicate.delivery.elsewhere.test/x", "http://localhost/x"):
        assert adapter.credentials(url) == {}


async def test_passes_a_public_picture_on_and_brings_any_other_where_it_can_be_read(
    connect: Connect, example: Example, name: str, tmp_path: Path
):
    file = picture(tmp_path / "frame.png")
    ours = Picture(
        file=str(file), content="0" * 64, mime_type="image/png", width=320, height=192, size_bytes=file.stat().st_size
    )
    public = ours.model_copy(update={"url": "https://somewhere.test/frame.png"})
    inline = f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"

    assert (await connect(Remote()).send(public)).text == public.url
    if example.upload is None or ours.size_bytes <= PROVIDERS[name].pictures.inline_under:
        assert (await connect(Remote()).send(ours)).text == inline
    if example.upload is not None:
        call, body, url = example.upload
        large = ours.model_copy(update={"file": str(picture(tmp_path / "large.bmp", size=(800, 600)))})
        remote = Remote(reply(body))
        assert (await connect(remote).send(large)).text == url
        (request,) = remote.requests
        assert (request.method, request.url.path) == (call.method, call.path)
        assert Path(large.file).read_bytes() in request.content
        assert request.headers["content-type"].startswith("multipart/form-data")


async def test_quotes_a_price_where_the_provider_does(connect: Connect, example: Example):
    if example.quote is None:
        assert await connect(Remote()).quote(example.job) is None
        return
    call, body, price = example.quote
    remote = Remote(reply(body))

    assert await connect(remote).quote(example.job) == price
    assert remote.calls == [as_asked(call)]
    for trouble in (reply({}, 500), reply({}, 200), httpx.ConnectError("no")):
        assert await connect(Remote(trouble)).quote(example.job) is None


async def test_finds_a_job_of_unknown_fate_where_the_provider_lists_jobs(connect: Connect, example: Example):
    if example.recent is None:
        assert await connect(Remote()).find(example.job, 0) is None
        return
    call, body, remote_id = example.recent
    shows_inputs = "input" in json.dumps(body)
    for seconds, is_found in ((0, True), (200, False), (-200, True), (-900, False)):
        remote = Remote(reply(body))
        found = await connect(remote).find(example.job, LISTED_AT + seconds)
        assert found == (
            Found(certain=(remote_id,) * shows_inputs, possible=(remote_id,) * (not shows_inputs))
            if is_found
            else Found()
        )
        assert remote.calls == [as_asked(call)]


async def test_a_job_with_other_inputs_or_another_model_is_not_ours(connect: Connect, example: Example):
    if example.recent is None:
        return
    _, body, _ = example.recent
    for other in (replace(example.job, model="another/model"), replace(example.job, wire={"prompt_start": "else"})):
        found = await connect(Remote(reply(body))).find(other, LISTED_AT)
        assert found is not None
        assert not found.certain


async def test_looks_whether_a_key_is_good_without_spending(connect: Connect, example: Example):
    assert example.probe is not None
    call, body = example.probe
    remote = Remote(reply(body))

    assert "accepted" in await connect(remote).probe()
    assert remote.calls == [as_asked(call)]
    with pytest.raises(errors.CredentialRefused):
        await connect(Remote(reply({}, 401))).probe()
    with pytest.raises(errors.ProviderUnavailable):
        await connect(Remote(reply({}, 503))).probe()
    with pytest.raises(errors.ProviderError):
        await connect(Remote(httpx.Response(404, text="<html>wrong place</html>"))).probe()


async def test_bytes_inside_an_answer_become_a_file(connect: Connect, example: Example):
    film = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 4
    body, expected = next(each for each in example.reports if each[1].status is Status.SUCCEEDED)
    for spelled in (base64.b64encode(film).decode(), f"data:video/mp4;base64,{base64.b64encode(film).decode()}"):
        inside = json.loads(json.dumps(body).replace(expected.outputs[0], spelled))
        again = [
            reply(json.loads(json.dumps(each).replace(expected.outputs[0], spelled)))
            for each in example.asks_again.values()
        ]
        found = await connect(Remote(reply(inside), *again)).check(example.accepted.remote_id)
        assert found.status is Status.SUCCEEDED
        assert Path(httpx.URL(found.outputs[0]).path).read_bytes() == film


async def test_a_strange_id_stays_within_its_place_in_the_path(connect: Connect, example: Example):
    remote = Remote(reply(example.reports[0][0]))

    await connect(remote).check("../../models?x#y")
    assert b"/../" not in remote.requests[0].url.raw_path
    assert not remote.requests[0].url.query


async def test_an_input_that_travels_as_a_header_does(connect: Connect, example: Example):
    remote = Remote(reply(example.submit_reply))

    await connect(remote).submit(replace(example.job, wire={**example.job.wire, "header:X-Deadline": "60s"}))
    assert remote.requests[0].headers["x-deadline"] == "60s"
    assert remote.calls == [as_asked(example.submit)]


@dataclass
class Counter:
    """A server that keeps its connections open, and counts them."""

    connections: int = 0

    async def serve(self, stream: SocketStream) -> None:
        """Answer every request of one connection."""
        self.connections += 1
        heard = BufferedByteReceiveStream(stream)
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.IncompleteRead):
            async with stream:
                while True:
                    head = (await heard.receive_until(b"\r\n\r\n", 1 << 16)).decode().lower()
                    await heard.receive_exactly(int(head.partition("content-length: ")[2].partition("\r")[0] or 0))
                    await stream.send(b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"id": "job-1"}')


async def test_what_is_paid_for_has_a_connection_of_its_own():
    counter = Counter()
    question, paid = Call(method="GET", path="/jobs"), Call(method="POST", path="/jobs", json={"prompt": "a"})
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, counter.serve)
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - this is no Django
        connection = Connection(f"http://127.0.0.1:{port}", {}, None)
        with anyio.fail_after(10):
            for _ in range(2):
                await connection.ask(question)
            assert counter.connections == 1, "the server was to keep connections"
            for _ in range(2):
                await connection.pay(paid)
        await connection.aclose()
        tasks.cancel_scope.cancel()

    assert counter.connections == 3


async def test_a_replicate_model_without_a_version_is_asked_for_by_its_path(tmp_path: Path):
    example = EXAMPLES["replicate"]
    remote = Remote(reply(example.submit_reply, 201))
    job = replace(example.job, version=None, model="owner/some-model")

    await connected("replicate", remote, tmp_path).submit(job)
    assert remote.calls == [("POST", "/v1/models/owner/some-model/predictions", {"input": dict(example.job.wire)})]


def test_flat_names_become_the_providers_json():
    wire = {"input.prompt": "a", "images[1]": "last", "images[0]": "first", "header:Prefer": "wait=5", "seed": 7}
    frames = {"frames[1].uri": "b", "frames[0].uri": "a", "frames[0].position": "first"}

    assert nested(wire) == {"input": {"prompt": "a"}, "images": ["first", "last"], "seed": 7}
    assert nested(frames) == {"frames": [{"uri": "a", "position": "first"}, {"uri": "b"}]}

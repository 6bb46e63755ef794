"""Replies nobody planned for, to every question, from every provider: what comes out is an answer of our own."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from adapters import EXAMPLES, KEY, PROVIDERS, Example, Remote, connected
from keyframe_mcp.adapters.base import Accepted, Found, Report, Sent
from keyframe_mcp.adapters.http import HttpAdapter
from keyframe_mcp.adapters.refusals import LONGEST_WAIT
from keyframe_mcp.adapters.replicate import RELAY_REFUSALS, relay_code
from keyframe_mcp.errors import (
    CredentialRefused,
    OutputUnwritable,
    PaymentNeeded,
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUncertain,
    UnexpectedReply,
)
from keyframe_mcp.task import Picture, Status

LONGEST_TEXT = 1000
"""What a provider says is at most 300 characters of it; the rest is ours."""
DIRT = f"no {KEY} \x1b[31m\u202e\n https://user:hunter2@h.example/a?X-Amz-Signature=SIGNED Authorization: Bearer {KEY}"
STATUSES = (200, 201, 202, 204, 301, 302, 303, 304, 307, 400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 425, 429)
TROUBLES = (500, 501, 502, 503, 504, 520, 524, 529, 599)
HOSTILE = (
    None,
    True,
    False,
    0,
    -1,
    429,
    200,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x" * 5000,
    KEY,
    DIRT,
    "\ud83d",
    "../../etc",
    "a b",
    "data:video/mp4;base64,AAAA",
    "file:///etc/passwd",
    "https://[::1",
    [],
    {},
    [[]],
    [{}] * 200,
    {"id": {}},
    {"message": DIRT},
    {"error": {"message": [DIRT, {"detail": DIRT}]}},
)
RAW = (
    b"",
    b"\x00",
    b"null",
    b"<!doctype html><html><body>502 Bad Gateway</body></html>",
    DIRT.encode(),
    "günstig".encode("latin-1"),
    '{"id": "j1"}'.encode("utf-16"),
    b'\xef\xbb\xbf{"id": "j1"}',
    b'{"id": "j1"',
    b'{"id": "j1"}{"id": "j2"}',
    b'{"id": "j1", "id": null}',
    b"[" * 5000 + b"]" * 5000,
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
    b"1" * 5000,
    b"x" * 1_000_000,
)
HEADERS: tuple[Mapping[str, str], ...] = (
    {},
    {"content-type": "text/html"},
    {"content-encoding": "gzip"},
    {"content-encoding": "nonsense"},
    {"content-type": "application/json; charset=nonsense"},
    {"retry-after": "7"},
    {"retry-after": "-1"},
    {"retry-after": "9" * 400},
    {"retry-after": "Wed, 21 Oct 99999 07:28:00 GMT"},
    {"retry-after": "²"},
    {"location": "https://[::1"},
    {"location": f"https://elsewhere.example/{KEY}?key={KEY}"},
    {"x-siliconcloud-trace-id": DIRT.replace("\n", " ").encode("ascii", "replace").decode()},
)
RULES = settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
)


@dataclass(frozen=True)
class Said:
    """One reply."""

    status: int
    content: bytes
    headers: Mapping[str, str]

    def response(self) -> httpx.Response:
        """The reply, once more."""
        named = [(name.encode(), value.encode("utf-8")) for name, value in self.headers.items()]
        return httpx.Response(self.status, headers=named, stream=httpx.ByteStream(self.content))

    @property
    def body(self) -> Any:
        """What it says, where it is JSON."""
        try:
            return json.loads(self.content.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None

    @property
    def code(self) -> int | None:
        """The number in an envelope."""
        code = self.body.get("code") if isinstance(self.body, dict) else None
        try:
            return None if code is None or isinstance(code, bool | float) else int(code)
        except (ValueError, TypeError):
            return None


@dataclass
class Endless(Remote):
    """A provider that answers every question in the same way."""

    said: Said = field(default_factory=lambda: Said(200, b"", {}))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        return self.said.response()


def honest(example: Example) -> list[Any]:
    """Everything a provider is known to say."""
    told: list[Any] = [example.submit_reply, example.unknown_state, *example.asks_again.values(), example.busy[1]]
    told += [body for body, _ in example.reports] + [body for body, *_ in example.failures]
    told += [body for _, body, *_ in example.refusals]
    told += [each[1] for each in (example.upload, example.quote, example.recent, example.probe) if each]
    return told


@st.composite
def mutated(draw: st.DrawFn, bodies: list[Any]) -> Any:
    """An honest body with up to three things wrong with it."""
    body = deepcopy(draw(st.sampled_from(bodies)))
    for _ in range(draw(st.integers(0, 3))):
        body = with_change(draw, body)
    return body


def with_change(draw: st.DrawFn, value: Any) -> Any:
    """A value with one place in it changed: taken out, replaced, wrapped, or made text."""
    inside = isinstance(value, dict | list) and len(value) > 0
    if inside and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        if draw(st.integers(0, 3)) == 0:
            del value[key]
        else:
            value[key] = with_change(draw, value[key])
        return value
    changes: list[Callable[[], Any]] = [
        lambda: deepcopy(draw(st.sampled_from(HOSTILE))),
        lambda: [value],
        lambda: {"data": value},
        lambda: str(value),
        lambda: f"{value} {DIRT}",
    ]
    return draw(st.sampled_from(changes))()


def written(body: Any) -> bytes:
    """A body as it travels; what only Python could write is replaced."""
    return json.dumps(body).encode()


def replies(name: str) -> SearchStrategy[Said]:
    """What this provider may say: mostly nearly honest, sometimes anything."""
    anything = st.recursive(
        st.sampled_from(HOSTILE),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(("id", "data", "status", "code", "message", "output", "videos")), inner)
        ),
        max_leaves=6,
    )
    bodies = mutated(honest(EXAMPLES[name])).map(written) | anything.map(written)
    cut = st.builds(lambda body, share: body[: int(len(body) * share)], bodies, st.floats(0.1, 0.99))
    content = bodies | bodies | cut | st.integers(0, len(RAW) - 1).map(RAW.__getitem__)
    statuses = st.just(200) | st.sampled_from(STATUSES) | st.sampled_from(TROUBLES)
    return st.builds(Said, statuses, content, st.just(HEADERS[0]) | st.sampled_from(HEADERS))


def is_clean(text: str, most: int = LONGEST_TEXT) -> bool:
    """Whether a text can be shown anywhere, and shows nothing that must not be."""
    odd = [each for each in text if unicodedata.category(each)[0] == "C"]
    hidden = (KEY, KEY[:12], "hunter2", "SIGNED")
    return not odd and len(text) <= most and not any(each.casefold() in text.casefold() for each in hidden)


def is_documented_refusal(name: str, said: Said) -> bool:
    """Whether a reply to a submission says surely that nothing was taken."""
    if said.status in (301, 302, 307, 308) or (400 <= said.status < 500 and said.status != 408):
        return True
    dialect = PROVIDERS[name].dialect
    if dialect == "replicate" and relay_code(said.body) in RELAY_REFUSALS:
        return said.status >= 400
    if dialect == "siliconflow":
        return said.status == 503 and said.code == 50505
    if dialect == "wavespeed":
        return said.status < 400 and said.code is not None and said.code >= 400
    return dialect == "baicai" and said.status < 400 and said.code not in (None, 0, 200)


def is_busy(name: str, said: Said) -> bool:
    """Whether a reply says that, and to come back later."""
    in_envelope = PROVIDERS[name].dialect in ("wavespeed", "baicai") and said.code == 429
    return is_documented_refusal(name, said) and (said.status in (429, 503) or in_envelope)


async def heard(adapter: HttpAdapter, ask: Callable[[HttpAdapter], Any]) -> Any:
    """What an adapter answers, or the error it raises. Any other exception than ours ends the test."""
    try:
        return await ask(adapter)
    except (ProviderError, OutputUnwritable) as error:
        ours = error
    assert is_clean(str(ours)), str(ours)
    assert ours.__cause__ is None
    return ours


def for_all(test: Callable[..., Awaitable[None]], *strategies: SearchStrategy[Any]) -> None:
    """A test with everything that is drawn, in one event loop."""
    with start_blocking_portal() as portal:

        @RULES
        @given(st.tuples(*strategies))
        def one(drawn: tuple[Any, ...]) -> None:
            portal.call(test, *drawn)

        one()


names = pytest.mark.parametrize("name", sorted(EXAMPLES))


@names
def test_a_submission_ends_as_a_job_a_documented_no_or_in_doubt_and_never_again_by_mistake(name: str, tmp_path: Path):
    remote = Endless()
    adapter = connected(name, remote, tmp_path)

    async def submit(said: Said) -> None:
        remote.said = said
        end = await heard(adapter, lambda it: it.submit(EXAMPLES[name].job))
        if isinstance(end, Accepted):
            assert is_clean(end.remote_id.replace(KEY, ""), 200)
            assert is_clean(end.native_status or "", 60)
            assert is_clean(end.trace_id or "", 100)
            return
        kinds = (ProviderRefused, CredentialRefused, PaymentNeeded, ProviderBusy, SubmissionUncertain, UnexpectedReply)
        assert isinstance(end, kinds), repr(end)
        assert not isinstance(end, ProviderUnavailable)
        if isinstance(end, ProviderBusy):
            assert is_busy(name, said)
            assert end.retry_after is None or 0 <= end.retry_after <= LONGEST_WAIT
        elif not is_documented_refusal(name, said):
            assert isinstance(end, SubmissionUncertain | UnexpectedReply), repr(end)

    for_all(submit, replies(name))


@names
def test_a_check_ends_as_a_report_that_can_be_kept_or_as_an_error_of_ours(name: str, tmp_path: Path):
    remote = Endless()
    adapter = connected(name, remote, tmp_path)

    async def check(said: Said) -> None:
        remote.said = said
        report = await heard(adapter, lambda it: it.check("j1"))
        if not isinstance(report, Report):
            assert isinstance(report, ProviderError), repr(report)
            return
        assert report.status in (Status.RUNNING, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)
        assert is_clean(report.native_status or "", 60)
        assert is_clean(report.trace_id or "", 100)
        assert report.progress is None or 0 <= report.progress <= 1
        assert report.seed is None or 0 <= report.seed < 2**63
        assert all(is_clean(warning) for warning in report.warnings)
        assert report.failure is None or is_clean(report.failure.message)
        assert all(url.startswith(("https://", "http://", tmp_path.as_uri())) for url in report.outputs)
        if report.status is Status.SUCCEEDED:
            assert report.outputs or report.failure

    for_all(check, replies(name))


@names
def test_every_other_question_ends_in_an_answer_or_an_error_of_ours(name: str, tmp_path: Path):
    remote = Endless()
    adapter = connected(name, remote, tmp_path)
    (tmp_path / "a.png").write_bytes(b"x" * (3 << 20))
    shot = Picture(
        file=str(tmp_path / "a.png"), content="c" * 64, mime_type="image/png", width=8, height=8, size_bytes=3 << 20
    )
    job = EXAMPLES[name].job

    async def ask(said: Said, question: str) -> None:
        remote.said = said
        if question == "send":
            assert isinstance(await heard(adapter, lambda it: it.send(shot)), Sent | ProviderError)
        elif question == "quote":
            price = await adapter.quote(job)
            assert price is None or 0 <= price <= 10_000
        elif question == "find":
            found = await heard(adapter, lambda it: it.find(job, 1_000_000.0))
            assert found is None or isinstance(found, Found | ProviderError)
            if isinstance(found, Found):
                assert all(is_clean(each, 200) for each in (*found.certain, *found.possible))
        elif question == "cancel":
            assert isinstance(await heard(adapter, lambda it: it.cancel("j1")), bool | ProviderError)
        elif question == "probe":
            told = await heard(adapter, lambda it: it.probe())
            assert isinstance(told, ProviderError) or is_clean(told)
        else:
            listing = await heard(adapter, lambda it: it.models())
            assert listing is None or isinstance(listing, tuple | ProviderError)

    questions = st.sampled_from(("send", "quote", "find", "cancel", "probe", "models"))
    for_all(ask, replies(name), questions)

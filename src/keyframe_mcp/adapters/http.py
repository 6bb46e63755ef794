"""Everything about HTTP providers that is the same for all of them: sending once, and what an answer means.

What may be sent again, by what happened (tried 2026-11-20): nothing left, or the provider says that it is busy ->
the same job later; a definite no -> failed; anything else after a paid request left -> nobody can tell.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import anyio
from pydantic import BaseModel, ValidationError

from keyframe_mcp.adapters.base import Accepted, Found, Job, Report, Sent
from keyframe_mcp.adapters.dialect import Call, Complaint, Dialect, Reply, Upload, refusal_of
from keyframe_mcp.adapters.outputs import decoded
from keyframe_mcp.adapters.quotation import cleaned, quoted
from keyframe_mcp.errors import (
    CredentialRefused,
    KeyframeError,
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUncertain,
    UnexpectedReply,
)
from keyframe_mcp.task import Failure, Picture, Status

if TYPE_CHECKING:
    import httpx

    from keyframe_mcp.adapters.connection import Connection

T = TypeVar("T")
log = logging.getLogger(__name__)

LONGEST_WAIT = 120.0  # a provider's Retry-After beyond this is cut: looking once more is free
QUOTE_SECONDS = 5
CLOCKS_DIFFER = 60
SUBMISSION_TAKES = 300
WAIT_WORDS = re.compile(r"(?:resets?|retry|try again|wait)\D{0,20}?(\d+(?:\.\d+)?) ?s", re.IGNORECASE)
REDIRECTS = (301, 302, 307, 308)


class Listing(BaseModel):
    """A list in its envelope."""

    data: list[Any]


@dataclass(frozen=True, kw_only=True)
class Access:
    """Where a provider is and with which key. `variable` is the setting that moves it to another host."""

    base_url: str
    variable: str
    key: str | None = field(default=None, repr=False)


class HttpAdapter:
    """One provider. `spool` is where bytes go that came inside an answer; `transport` is the network, for tests."""

    idempotent = False

    def __init__(
        self,
        dialect: Dialect,
        access: Access,
        spool: Path,
        clock: Callable[[], float] = time.time,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        poll_seconds: float = 5.0,
    ) -> None:
        self.poll_seconds = poll_seconds
        self._dialect = dialect
        self._provider = dialect.provider
        self._variable = access.variable
        self._base_url = access.base_url
        self._key = access.key
        self._spool = spool
        self._clock = clock
        self._transport = transport
        self._opened: Connection | None = None

    @property
    def account(self) -> str:
        """See `Adapter.account`."""
        return hashlib.sha256(f"{self._base_url}\n{self._key}".encode()).hexdigest()[:16]

    async def send(self, picture: Picture) -> Sent:
        """See `Adapter.send`: the URL itself, a `data:` URI, or a copy left with the provider."""
        rules = self._provider.pictures
        if picture.url is not None and rules.urls:
            return Sent(text=picture.url)
        content = await anyio.Path(picture.file).read_bytes()
        if rules.by == "inline" or len(content) <= rules.inline_under:
            return Sent(text=f"data:{picture.mime_type};base64,{base64.b64encode(content).decode()}")
        name = f"{picture.content[:16]}.{picture.mime_type.partition('/')[2]}"
        call = self._dialect.upload_call(Upload(name=name, content=content, mime_type=picture.mime_type))
        if call is None:
            raise ProviderRefused(f"{self._provider.name} takes no uploads; give the picture as a public https URL")
        url = await self._ask(call, self._dialect.read_upload)
        return Sent(text=url, kept_seconds=rules.kept_seconds)

    async def quote(self, job: Job) -> float | None:
        """See `Adapter.quote`."""
        call = self._dialect.quote_call(job)
        if call is None:
            return None
        try:
            with anyio.move_on_after(QUOTE_SECONDS):
                return await self._ask(call, self._dialect.read_quote)
        except KeyframeError as error:
            log.info("%s gave no price: %s", self._provider.name, error)
        return None

    async def submit(self, job: Job) -> Accepted:
        """See `Adapter.submit`."""
        from keyframe_mcp.adapters.connection import NoAnswer, NotSent  # noqa: PLC0415 - httpx loads on first use

        call = self._dialect.submit_call(job)
        try:
            reply = await self._connection().pay(call)
        except NotSent as error:
            raise ProviderUnavailable(f"{self._where()} could not be reached ({error}); nothing was sent") from None
        except NoAnswer as error:
            raise SubmissionUncertain(uncertain(self._where(), str(error))) from None
        return self._read_submission(reply)

    async def check(self, remote_id: str) -> Report:
        """See `Adapter.check`."""
        call = self._dialect.check_call(remote_id)
        for _ in range(3):
            heard = await self._ask(call, lambda reply: self._dialect.read_report(reply, remote_id), remote_id)
            if isinstance(heard, Report):
                return await anyio.to_thread.run_sync(self._spooled, self._without_key(heard))
            call = heard
        raise UnexpectedReply(f"{self._provider.name} keeps pointing elsewhere for job {remote_id}")

    async def cancel(self, remote_id: str) -> bool:
        """See `Adapter.cancel`."""
        call = self._dialect.cancel_call(remote_id) if self._provider.cancel else None
        if call is None:
            return False
        await self._ask(call, lambda _: None)
        return True

    async def find(self, job: Job, sent_at: float) -> Found | None:
        """See `Adapter.find`: the same model, made when ours was sent; and the same inputs, where the list has them."""
        call = self._dialect.recent_call() if self._provider.reconcile else None
        if call is None:
            return None
        recents = await self._ask(call, self._dialect.read_recent)
        near = [each for each in recents if each.model == job.model and is_near(each.created_at, sent_at)]
        told = [each for each in near if each.wire is not None]
        return Found(
            certain=tuple(each.remote_id for each in told if self._dialect.is_same(job, each)),
            possible=tuple(each.remote_id for each in near if each.wire is None),
        )

    async def models(self) -> tuple[str, object] | None:
        """Where the provider lists its models, and its list as it is; None where it has none."""
        call = self._dialect.models_call()
        if call is None:
            return None
        listing = await self._ask(call, lambda reply: Listing.model_validate(reply.body))
        return self._base_url + call.path, listing.data

    async def probe(self) -> str:
        """What a call that costs nothing shows. Raises `CredentialRefused` for a bad key, `ProviderError` otherwise."""
        reply = await self._reply(self._dialect.probe_call())
        complaint = self._dialect.complaint(reply)
        if complaint and (complaint.status in (401, 403, 408, 429) or complaint.status >= 500):
            raise self._refusal(complaint, reply)
        if complaint and not self._dialect.is_at_home(reply):
            excerpt = cleaned(str(reply.body), self._key)[:160]
            raise UnexpectedReply(f"{self._where()} answered HTTP {reply.status} to a harmless question: {excerpt!r}")
        return "the key is accepted" if complaint else self._parse(self._dialect.read_probe, reply)

    async def forget(self, remote_id: str) -> None:
        """Nothing was kept: the result is in the output folder, and the provider cleans up after itself."""

    def credentials(self, url: str) -> Mapping[str, str]:
        """See `Adapter.credentials`."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        known = any(host == each or host.endswith(f".{each}") for each in self._provider.key_hosts)
        return self._headers() if known and parts.scheme == "https" else {}

    async def aclose(self) -> None:
        """See `Adapter.aclose`."""
        if self._opened is not None:
            await self._opened.aclose()

    def _read_submission(self, reply: Reply) -> Accepted:
        trace = self._trace(reply)
        try:
            accepted = self._dialect.read_accepted(reply)
        except ValidationError as error:
            unreadable = self._unreadable(reply, error if reply.is_json else None)
        else:
            if reply.status < 300 or reply.status >= 500:
                # An id is definite evidence that there is a job, whatever else the answer says.
                return replace(accepted, trace_id=trace)
            unreadable = self._unreadable(reply, None)
        complaint = self._dialect.complaint(reply)
        if reply.status in REDIRECTS:
            raise ProviderRefused(f"{self._where()} redirects to another address; {self._base_url_advice()}")
        if complaint is None or 300 <= reply.status < 400:
            raise unreadable
        if complaint.status >= 500 and not complaint.is_busy:
            said = quoted(self._provider.name, complaint.message, self._key)
            raise SubmissionUncertain(uncertain(self._where(), f"HTTP {complaint.status}; {said}"), trace_id=trace)
        if complaint.status == 408:
            raise SubmissionUncertain(uncertain(self._where(), "HTTP 408"), trace_id=trace)
        raise self._refusal(complaint, reply)

    async def _ask(self, call: Call, parse: Callable[[Reply], T], remote_id: str | None = None) -> T:
        """Send a call that costs nothing, and read the answer."""
        reply = await self._reply(call)
        complaint = self._dialect.complaint(reply)
        if complaint is not None and complaint.status == 404 and remote_id is not None:
            elsewhere = self._dialect.check_elsewhere(remote_id)
            if elsewhere is not None and elsewhere != call:
                reply = await self._reply(elsewhere)
                complaint = self._dialect.complaint(reply)
        if complaint is not None:
            raise self._refusal(complaint, reply)
        return self._parse(parse, reply)

    async def _reply(self, call: Call) -> Reply:
        from keyframe_mcp.adapters.connection import NoAnswer, NotSent  # noqa: PLC0415 - httpx loads on first use

        try:
            return await self._connection().ask(call)
        except (NotSent, NoAnswer) as error:
            raise ProviderUnavailable(f"{self._where()} did not answer ({error}); it is asked again") from None

    def _parse(self, parse: Callable[[Reply], T], reply: Reply) -> T:
        if not reply.is_json:
            raise self._unreadable(reply, None)
        try:
            return parse(reply)
        except ValidationError as error:
            raise self._unreadable(reply, error) from None

    def _refusal(self, complaint: Complaint, reply: Reply) -> ProviderError:
        """A complaint as our error."""
        trace = self._trace(reply)
        said = quoted(self._provider.name, complaint.message, self._key) + traced(trace)
        if complaint.is_busy or complaint.status == 429:
            return ProviderBusy(said, retry_after=retry_after(reply, complaint.message, self._clock()), trace_id=trace)
        if complaint.status >= 500 or complaint.status == 408:
            return ProviderUnavailable(
                f"{self._where()} is in trouble (HTTP {complaint.status}); {said}", trace_id=trace
            )
        kind = refusal_of(complaint)
        if kind is CredentialRefused:
            said = f"{self._where()} refused the key in {self._provider.key} (HTTP {complaint.status}). {said}. " + (
                self._base_url_advice()
            )
        return kind(said, trace_id=trace)

    def _base_url_advice(self) -> str:
        """Which variable to change, and to what."""
        others = [f"{url} ({label})" for label, url in self._provider.hosts.items() if url != self._base_url]
        hint = (
            f"If the key belongs to {' or '.join(others)}, set {self._variable} to that"
            if others
            else (f"If the key belongs to another host, set {self._variable} to it")
        )
        return f"{hint}; `keyframe-mcp doctor` finds out."

    def _unreadable(self, reply: Reply, error: ValidationError | None) -> UnexpectedReply:
        """What came instead of what is documented."""
        where = ".".join(map(str, error.errors()[0]["loc"])) if error else ""
        what = f"{where or 'reply'}: {error.errors()[0]['msg']}" if error else "not JSON"
        trace = self._trace(reply)
        excerpt = cleaned(str(reply.body), self._key)[:160]
        text = f"{self._where()} answered HTTP {reply.status} in an unknown shape ({what}): {excerpt!r}"
        return UnexpectedReply(text + traced(trace), trace_id=trace)

    def _spooled(self, report: Report) -> Report:
        """The report with bytes that came inside it put into files, and sure to name a file if it says success."""
        outputs = tuple(each for each in map(self._spool_one, report.outputs) if each)
        if report.status is Status.SUCCEEDED and not outputs and report.failure is None:
            error = UnexpectedReply(f"{self._provider.name} says the job succeeded and names no file")
            return replace(report, outputs=(), failure=Failure.of(error))
        return replace(report, outputs=outputs)

    def _without_key(self, report: Report) -> Report:
        """A provider may repeat the key in its reason."""
        if report.failure is None or not self._key:
            return report
        message = report.failure.message.replace(self._key, "[key]")
        return replace(report, failure=report.failure.model_copy(update={"message": message}))

    def _spool_one(self, output: str) -> str | None:
        if not output.startswith("data:"):
            return output
        content = decoded(output)
        if content is None:
            return None
        self._spool.mkdir(parents=True, exist_ok=True)
        file = self._spool / f"{hashlib.sha256(content).hexdigest()}.part"
        file.write_bytes(content)
        return file.as_uri()

    def _connection(self) -> Connection:
        if self._opened is None:
            from keyframe_mcp.adapters.connection import Connection  # noqa: PLC0415 - httpx loads on first use

            self._opened = Connection(self._base_url, self._headers(), self._transport)
        return self._opened

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}

    def _trace(self, reply: Reply) -> str | None:
        return reply.headers.get(self._dialect.trace_header) if self._dialect.trace_header else None

    def _where(self) -> str:
        return f"{self._provider.name} ({urlsplit(self._base_url).netloc})"


def uncertain(where: str, what: str) -> str:
    """The one sentence for every way of not knowing."""
    return f"{where} did not say whether it took the job ({what}). It may exist and be billed, so it was not sent again"


def traced(trace: str | None) -> str:
    """The provider's name for the exchange, for its support."""
    return f" (trace id {cleaned(trace)})" if trace else ""


def is_near(created_at: str | None, sent_at: float) -> bool:
    """Whether a job was made at about that moment. Clocks differ, and a provider may take its time."""
    try:
        made = datetime.fromisoformat(created_at or "")
    except ValueError:
        return False
    made = made if made.tzinfo else made.replace(tzinfo=UTC)
    return -CLOCKS_DIFFER <= made.timestamp() - sent_at <= SUBMISSION_TAKES


def retry_after(reply: Reply, message: str, now: float) -> float | None:
    """Seconds to wait: from a Retry-After header in either of its forms (RFC 9110 10.2.3), or from the words."""
    value = reply.headers.get("retry-after", "").strip()
    if not value:
        told = WAIT_WORDS.search(message)
        return min(float(told[1]), LONGEST_WAIT) if told else None
    if value.isdecimal():
        return min(float(value), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, moment.timestamp() - now), LONGEST_WAIT)

"""Everything about HTTP providers that is the same for all of them: sending once, and what an answer means.

What may be sent again, by what happened (tried 2026-11-20): nothing left, or the provider says that it is busy ->
the same job later; a definite no -> failed; anything else after a paid request left -> nobody can tell.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from pydantic import BaseModel

from keyframe_mcp.adapters.access import Access
from keyframe_mcp.adapters.base import Accepted, Found, Job, Outgoing, Report, Sent
from keyframe_mcp.adapters.dialect import Call, Complaint, Dialect, Reply, Upload, header_values
from keyframe_mcp.adapters.quotation import Quotation
from keyframe_mcp.adapters.recents import found
from keyframe_mcp.adapters.refusals import REDIRECTS, Refusals, uncertain
from keyframe_mcp.adapters.reports import Reports, within
from keyframe_mcp.adapters.routes import route_of
from keyframe_mcp.adapters.spool import Spool
from keyframe_mcp.adapters.webhooks import NOTHING, Called, Signed, is_model, speaks_of
from keyframe_mcp.errors import (
    KeyframeError,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUncertain,
    UnexpectedReply,
)
from keyframe_mcp.task import Picture
from keyframe_mcp.telemetry import QUIET, Told

if TYPE_CHECKING:
    import httpx

    from keyframe_mcp.adapters.connection import Connection

__all__ = ["Access", "HttpAdapter"]

T = TypeVar("T")
Requesting = Callable[[str, str, str], AbstractContextManager[Told]]
"""Hears of each request: its method, its route and its host, and how it was answered."""

log = logging.getLogger(__name__)

QUOTE_SECONDS = 5
MOST_USD = 10_000  # no video costs more; a price beyond is a mistake
PIECE = 3 << 18  # bytes; base64 of a whole picture in one go would hold everybody up, threads or not
UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What reading an answer of an unknown shape may end in. `ValidationError` is a `ValueError`."""


class Listing(BaseModel):
    """A list in its envelope."""

    data: list[Any]


class HttpAdapter:
    """One provider. `spool` is where bytes go that came inside an answer; `transport` is the network, for tests.

    `requesting` hears of every request.
    """

    idempotent = False
    poll_seconds = 5.0  # a remote job's looks are planned by how long its model takes

    def __init__(
        self,
        dialect: Dialect,
        access: Access,
        spool: Path,
        clock: Callable[[], float] = time.time,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        requesting: Requesting | None = None,
    ) -> None:
        quotation = Quotation(dialect.provider.name, access.key)
        self._dialect = dialect
        self._provider = dialect.provider
        self._access = access
        self._refusals = Refusals(dialect, access, quotation)
        self._reports = Reports(quotation)
        self._spool = Spool(spool)
        self._clock = clock
        self._transport = transport
        self._requesting = requesting or partial(QUIET.requesting, dialect.provider.name)
        self._host = urlsplit(access.base_url).hostname or ""
        self._opened: Connection | None = None

    @property
    def account(self) -> str:
        """See `Adapter.account`."""
        return self._access.account

    async def send(self, picture: Picture) -> Sent:
        """See `Adapter.send`: the URL itself, a `data:` URI, or a copy left with the provider."""
        rules = self._provider.pictures
        if picture.url is not None and rules.urls:
            return Sent(text=picture.url)
        content = await anyio.Path(picture.file).read_bytes()
        if rules.by == "inline" or len(content) <= rules.inline_under:
            return Sent(text=await anyio.to_thread.run_sync(data_uri, content, picture.mime_type))
        name = f"{picture.content[:16]}.{picture.mime_type.partition('/')[2]}"
        call = self._dialect.upload_call(Upload(name=name, content=content, mime_type=picture.mime_type))
        if call is None:
            raise ProviderRefused(f"{self._provider.name} takes no uploads; give the picture as a public https URL")
        url = await self._ask(call, self._dialect.read_upload)
        if self._refusals.quotation.holds_key(url):
            where = f"{self._refusals.where} keeps a picture at an address that holds the key"
            raise UnexpectedReply(f"{where}; nothing was submitted")
        return Sent(text=url, kept_seconds=rules.kept_seconds)

    async def quote(self, job: Job) -> float | None:
        """See `Adapter.quote`."""
        try:
            call = self._dialect.quote_call(job)
            if call is not None:
                with anyio.move_on_after(QUOTE_SECONDS):
                    return within(await self._ask(call, self._dialect.read_quote), 0, MOST_USD)
        except KeyframeError as error:
            log.info("%s gave no price: %s", self._provider.name, error)
        except Exception as error:  # noqa: BLE001 - a price is a courtesy, and no reason not to make the video
            log.warning("%s could not be asked for a price: %s", self._provider.name, type(error).__name__)
        return None

    def describe(self, job: Job) -> Outgoing:
        """See `Adapter.describe`."""
        call = with_headers(self._dialect.submit_call(job), job)
        headers = {**self._access.shown_headers(self._provider), **call.headers}
        return Outgoing(
            method=call.method, url=self._access.base_url + call.path, headers=headers, body=dict(call.json or {})
        )

    async def submit(self, job: Job) -> Accepted:
        """See `Adapter.submit`. Only what happens from the moment of sending can be uncertain."""
        from keyframe_mcp.adapters.connection import Fence, HeldUp, NoAnswer, NotBuilt, NotSent  # noqa: PLC0415 - httpx loads late

        try:
            connection, call = self._connection(), with_headers(self._dialect.submit_call(job), job)
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing was sent
            raise self._unsent(error) from None
        try:
            with self._heard(call, model=job.model) as told:
                reply = await connection.pay(call, Fence(job.not_after, self._clock, job.not_after_ticks))
                told.answered(reply.status)
        except NotBuilt as error:
            raise self._unsent(error) from None
        except NotSent as error:
            why = f"{self._refusals.where} could not be reached ({error}); nothing was sent"
            raise ProviderUnavailable(why, is_held_up=isinstance(error, HeldUp)) from None
        except NoAnswer as error:
            raise SubmissionUncertain(uncertain(self._refusals.where, str(error))) from None
        return self._read_submission(reply)

    async def check(self, remote_id: str) -> Report:
        """See `Adapter.check`."""
        call = self._dialect.check_call(remote_id)
        for _ in range(3):
            heard = await self._ask(call, lambda reply: self._dialect.read_report(reply, remote_id), remote_id)
            if not isinstance(heard, Call):
                shown = self._reports.shown(heard)
                return self._reports.sure(await anyio.to_thread.run_sync(self._spool.kept, shown, remote_id))
            call = heard
        raise UnexpectedReply(f"{self._provider.name} keeps pointing elsewhere for job {remote_id}")

    async def cancel(self, remote_id: str) -> bool:
        """See `Adapter.cancel`."""
        call = self._dialect.cancel_call(remote_id) if self._provider.cancel else None
        if call is None:
            return False
        reply = await self._reply(call, remote_id)  # whatever a yes says; some say it with nothing
        if complaint := self._complaint(reply):
            raise self._refusals.refusal(complaint, reply, self._clock())
        return True

    async def find(self, job: Job, sent_at: float) -> Found | None:
        """See `Adapter.find`: the same model, made when ours was sent, with the same inputs."""
        call = self._dialect.recent_call() if self._provider.reconcile else None
        if call is None:
            return None
        recents = await self._ask(call, self._dialect.read_recent)
        listed = found(recents, job.model, self._dialect.inputs(job), sent_at)
        return Found(certain=self._without_key(listed.certain), possible=self._without_key(listed.possible))

    async def models(self) -> tuple[str, object] | None:
        """Where the provider lists its models, and its list as it is; None where it has none."""
        call = self._dialect.models_call()
        if call is None:
            return None
        listing = await self._ask(call, lambda reply: Listing.model_validate(reply.body))
        return self._access.base_url + call.path, listing.data

    async def probe(self) -> str:
        """What a call that costs nothing shows. Raises `CredentialRefused` for a bad key, `ProviderError` otherwise."""
        reply = await self._reply(self._dialect.probe_call())
        complaint = self._complaint(reply)
        if complaint and (complaint.status in (401, 403, 408, 429) or complaint.status >= 500):
            raise self._refusals.refusal(complaint, reply, self._clock())
        if complaint and not self._dialect.is_at_home(reply):
            raise self._refusals.nowhere(reply)
        return "the key is accepted" if complaint else self._parse(self._dialect.read_probe, reply)

    async def reach(self) -> None:
        """See `Adapter.reach`. A refusal is an answer too."""
        try:
            await self.probe()
        except ProviderUnavailable:
            raise
        except ProviderError as error:
            log.info("%s answers again: %s", self._provider.name, error)

    @property
    def calls_back(self) -> bool:
        """See `CallsBack.calls_back`."""
        return self._provider.webhooks and self._dialect.webhook_key_call() is not None

    async def webhook_key(self) -> bytes:
        """See `CallsBack.webhook_key`. Nothing of the answer is quoted, whatever is wrong with it."""
        call = self._dialect.webhook_key_call()
        if call is None:
            raise ProviderRefused(f"{self._provider.name} makes no calls")
        reply = await self._reply(call)
        if reply.status < 300:
            with suppress(*UNREADABLE):
                return self._dialect.read_webhook_key(reply)
        where = self._refusals.where
        raise UnexpectedReply(f"{where} does not tell the secret it signs its calls with (HTTP {reply.status})")

    def is_signed(self, call: Signed, key: bytes) -> bool:
        """See `CallsBack.is_signed`."""
        return self._dialect.is_signed(call, key)

    def read_called(self, body: bytes) -> Called:
        """See `CallsBack.read_called`."""
        try:
            called = self._dialect.read_called(body)
        except UNREADABLE:
            return NOTHING
        is_safe = called.remote_id is not None and not self._refusals.quotation.holds_key(called.remote_id)
        return called if is_safe else replace(called, remote_id=None)

    def may_be(self, job: Job, called: Called) -> bool:
        """See `CallsBack.may_be`."""
        return is_model(job.model, called.model) and speaks_of(self._dialect.inputs(job), called.wire)

    async def forget(self, remote_id: str) -> None:
        """Nothing was kept: the result is in the output folder, and the provider cleans up after itself."""

    def credentials(self, url: str) -> Mapping[str, str]:
        """See `Adapter.credentials`."""
        return self._access.credentials(self._provider, url)

    async def aclose(self) -> None:
        """See `Adapter.aclose`."""
        if self._opened is not None:
            await self._opened.aclose()

    def _read_submission(self, reply: Reply) -> Accepted:
        """An id is definite evidence that there is a job, nearly whatever else the answer says."""
        if reply.status in REDIRECTS:
            raise ProviderRefused(self._refusals.redirected(reply))
        try:
            accepted = self._dialect.read_accepted(reply)
        except UNREADABLE as error:
            unreadable = self._refusals.unreadable(reply, error)
        else:
            if self._dialect.proves(reply, accepted):
                if self._refusals.quotation.holds_key(accepted.remote_id):
                    raise self._refusals.keyed(reply)
                return self._reports.accepted(accepted, self._refusals.trace(reply))
            unreadable = self._refusals.unreadable(reply)
        complaint = self._complaint(reply)
        if complaint is None:
            raise unreadable
        if (complaint.status >= 500 and not complaint.is_busy) or complaint.status == 408:
            raise self._refusals.uncertain(complaint, reply)
        raise self._refusals.refusal(complaint, reply, self._clock())

    async def _ask(self, call: Call, parse: Callable[[Reply], T], remote_id: str | None = None) -> T:
        """Send a call that costs nothing, and read the answer."""
        reply = await self._reply(call, remote_id)
        complaint = self._complaint(reply)
        if complaint is not None and complaint.status == 404 and remote_id is not None:
            elsewhere = self._dialect.check_elsewhere(remote_id)
            if elsewhere is not None and elsewhere.path != call.path:
                reply = await self._reply(elsewhere, remote_id)
                complaint = self._complaint(reply)
        if complaint is not None:
            raise self._refusals.refusal(complaint, reply, self._clock())
        return self._parse(parse, reply)

    def _heard(self, call: Call, *, job: str | None = None, model: str | None = None) -> AbstractContextManager[Told]:
        """While a call is made. Nothing that is in it is told: neither its address, which has ids, nor its body."""
        route = route_of(call.path, job=job, model=model)
        log.debug("%s %s of %s", call.method, route, self._host)
        return self._requesting(call.method, route, self._host)

    async def _reply(self, call: Call, remote_id: str | None = None) -> Reply:
        from keyframe_mcp.adapters.connection import NoAnswer, NotBuilt, NotSent  # noqa: PLC0415 - httpx loads late

        try:
            connection = self._connection()
        except ValueError as error:  # the key does not fit into a header
            raise self._unsent(error) from None
        try:
            with self._heard(call, job=remote_id) as told:
                reply = await connection.ask(call)
                told.answered(reply.status)
        except NotBuilt as error:
            raise self._unsent(error) from None
        except (NotSent, NoAnswer) as error:
            raise ProviderUnavailable(f"{self._refusals.where} did not answer ({error}); it is asked again") from None
        if reply.status in REDIRECTS:
            raise UnexpectedReply(self._refusals.redirected(reply))
        return replace(reply, call=call)

    def _complaint(self, reply: Reply) -> Complaint | None:
        try:
            return self._dialect.complaint(reply)
        except UNREADABLE as error:
            raise self._refusals.unreadable(reply, error) from None

    def _parse(self, parse: Callable[[Reply], T], reply: Reply) -> T:
        if not reply.is_json:
            raise self._refusals.unreadable(reply)
        try:
            return parse(reply)
        except UNREADABLE as error:
            raise self._refusals.unreadable(reply, error) from None

    def _unsent(self, error: Exception) -> ProviderError:
        """What cannot be put into a request."""
        text = self._refusals.quotation.cleaned(f"{type(error).__name__}: {error}", 160)
        return ProviderRefused(f"{self._provider.name} cannot be asked for this ({text}); nothing was sent")

    def _without_key(self, remote_ids: tuple[str, ...]) -> tuple[str, ...]:
        """Ids that can be shown as they are: one that has to be cleaned is no id of ours."""
        return tuple(each for each in remote_ids if self._refusals.quotation.cleaned(each) == each)

    def _connection(self) -> Connection:
        if self._opened is None:
            from keyframe_mcp.adapters.connection import Connection  # noqa: PLC0415 - httpx loads on first use

            headers = self._access.headers(self._provider)
            self._opened = Connection(self._access.base_url, headers, self._transport)
        return self._opened


def with_headers(call: Call, job: Job) -> Call:
    """A call with the inputs that travel as headers, whatever the dialect."""
    return replace(call, headers={**call.headers, **header_values(job.wire)})


def data_uri(content: bytes, mime_type: str) -> str:
    """A picture as text."""
    pieces = (base64.b64encode(content[start : start + PIECE]).decode() for start in range(0, len(content), PIECE))
    return f"data:{mime_type};base64,{''.join(pieces)}"

"""What a provider's no means: from HTTP statuses and words to our errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import ValidationError

from keyframe_mcp.adapters.quotation import Quotation
from keyframe_mcp.errors import (
    ContentRejected,
    CredentialRefused,
    PaymentNeeded,
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUncertain,
    UnexpectedReply,
)

if TYPE_CHECKING:
    from keyframe_mcp.adapters.access import Access
    from keyframe_mcp.adapters.dialect import Complaint, Dialect, Reply

LONGEST_WAIT = 120.0  # a provider's Retry-After beyond this is cut: looking once more is free
TRACE_CHARACTERS = 100
EXCERPT_CHARACTERS = 160
REDIRECTS = (301, 302, 307, 308)
WAIT_WORDS = re.compile(r"(?:resets?|retry|try again|wait)\D{0,20}?(\d+(?:\.\d+)?) ?s", re.IGNORECASE)
MODERATION = re.compile(
    r"\bnsfw\b|\bcontent moderation\b|\bmoderated\b|\bcontent polic(?:y|ies)\b|\binappropriate\b|\bprohibited content\b"
    r"|\bsensitive (?:content|words?|information)\b|\bnot pass(?:ed)? the review\b|\bflagged (?:by|as|for)\b"
    r"|\bsafety (?:filters?|systems?|checkers?) (?:blocked|rejected|refused|triggered)|\bblocked by .{0,20}safety\b"
    r"|违规|敏感|审核",
    re.IGNORECASE,
)
MONEY = re.compile(
    r"\binsufficient (?:\w+ ){0,2}(?:balance|credits?|funds?|quota)\b|\btop[ -]?up\b"
    r"|\b(?:balance|credits?|funds|quota) (?:is|are) (?:insufficient|not enough|exhausted|used up|too low)\b"
    r"|\b(?:not enough|out of) (?:balance|credits?|funds)\b|余额|欠费|额度不足",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Refusals:
    """One provider's."""

    dialect: Dialect
    access: Access
    quotation: Quotation

    @property
    def where(self) -> str:
        """`WaveSpeedAI (api.wavespeed.ai)`."""
        return f"{self.quotation.who} ({urlsplit(self.access.base_url).netloc})"

    def trace(self, reply: Reply) -> str | None:
        """The provider's name for the exchange, for its support."""
        header = self.dialect.trace_header
        return self.quotation.cleaned(reply.headers.get(header, ""), TRACE_CHARACTERS) or None if header else None

    def refusal(self, complaint: Complaint, reply: Reply, now: float) -> ProviderError:
        """A complaint as our error."""
        trace = self.trace(reply)
        said = self.quotation.of(complaint.message) + traced(trace)
        if complaint.is_busy or complaint.status == 429:
            return ProviderBusy(said, retry_after=retry_after(reply, complaint.message, now), trace_id=trace)
        if complaint.status >= 500 or complaint.status == 408:
            text = f"{self.where} is in trouble (HTTP {complaint.status}); {said}"
            return ProviderUnavailable(text, trace_id=trace)
        kind = refusal_of(complaint)
        if kind is CredentialRefused:
            key = self.dialect.provider.key
            said = f"{self.where} refused the key in {key} (HTTP {complaint.status}). {said}. {self._advice()}"
        return kind(said, trace_id=trace)

    def uncertain(self, complaint: Complaint, reply: Reply) -> SubmissionUncertain:
        """A complaint after which the job may exist all the same."""
        trace = self.trace(reply)
        said = f"HTTP {complaint.status}; {self.quotation.of(complaint.message)}"
        return SubmissionUncertain(uncertain(self.where, said) + traced(trace), trace_id=trace)

    def redirected(self, reply: Reply) -> str:
        """What to do about a redirect, which is never followed."""
        host = urlsplit(self.access.base_url).hostname or self.where
        elsewhere = self.quotation.cleaned(host_of(reply.headers.get("location", "")), TRACE_CHARACTERS)
        away = elsewhere if elsewhere not in ("", host) else "another address"
        return (
            f"{host} answers with a redirect to {away}; set {self.access.variable} to the address that answers itself"
        )

    def unreadable(self, reply: Reply, error: Exception | None = None) -> UnexpectedReply:
        """What came instead of what is documented."""
        trace = self.trace(reply)
        excerpt = self.quotation.cleaned(text_of(reply.body), EXCERPT_CHARACTERS)
        what = self.quotation.cleaned(wrong(error)) if reply.is_json else "not JSON"
        text = f"{self.where} answered HTTP {reply.status} in an unknown shape ({what}): {excerpt!r}"
        return UnexpectedReply(text + traced(trace), trace_id=trace)

    def keyed(self, reply: Reply) -> UnexpectedReply:
        """A job was taken under an id that nobody may see."""
        trace = self.trace(reply)
        why = "its id holds the key it was sent, so it is not written down"
        return UnexpectedReply(f"{self.where} took a job (HTTP {reply.status}); {why}{traced(trace)}", trace_id=trace)

    def nowhere(self, reply: Reply) -> UnexpectedReply:
        """A harmless question was answered by something that is not this provider."""
        excerpt = self.quotation.cleaned(text_of(reply.body), EXCERPT_CHARACTERS)
        return UnexpectedReply(f"{self.where} answered HTTP {reply.status} to a harmless question: {excerpt!r}")

    def _advice(self) -> str:
        """Which variable to change, and to what."""
        hosts = self.dialect.provider.hosts.items()
        others = [f"{url} ({label})" for label, url in hosts if url != self.access.base_url]
        hint = (
            f"If the key belongs to {' or '.join(others)}, set {self.access.variable} to that"
            if others
            else f"If the key belongs to another host, set {self.access.variable} to it"
        )
        return f"{hint}; `keyframe-mcp doctor` finds out."


def refusal_of(complaint: Complaint) -> type[ProviderError]:
    """What kind of no it is. Words decide only where the status leaves it open, and only clear ones."""
    status, message = complaint.status, complaint.message[:10_000]
    if status == 402:
        return PaymentNeeded
    if status == 401:
        return CredentialRefused
    if status not in (404, 422) and MODERATION.search(message):
        return ContentRejected
    if status not in (404, 422) and MONEY.search(message):
        return PaymentNeeded
    return CredentialRefused if status == 403 else ProviderRefused


def uncertain(where: str, what: str) -> str:
    """The one sentence for every way of not knowing."""
    return f"{where} did not say whether it took the job ({what}). It may exist and be billed, so it was not sent again"


def traced(trace: str | None) -> str:
    """The end of a message."""
    return f" (trace id {trace})" if trace else ""


def wrong(error: Exception | None) -> str:
    """What is wrong with a reply, and where."""
    if not isinstance(error, ValidationError):
        return "reply" if error is None else f"reply: {type(error).__name__}"
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'reply'}: {first['msg']}"


def text_of(body: object) -> str:
    """A body as it is shown."""
    try:
        return body if isinstance(body, str) else str(body)
    except (RecursionError, ValueError):
        return "what cannot be shown"


def host_of(location: str) -> str:
    """The host of an address; nothing for what is none."""
    try:
        return urlsplit(location).hostname or ""
    except ValueError:
        return ""


def retry_after(reply: Reply, message: str, now: float) -> float | None:
    """Seconds to wait: from a Retry-After header in either of its forms (RFC 9110 10.2.3), or from the words."""
    value = reply.headers.get("retry-after", "").strip()
    if not value:
        told = WAIT_WORDS.search(message[:10_000])
        return min(float(told[1]), LONGEST_WAIT) if told else None
    if value.isdecimal():
        return min(float(value), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return min(max(0.0, moment.timestamp() - now), LONGEST_WAIT)
    except (ValueError, TypeError, LookupError, OverflowError):
        return None

"""What a dialect is: calls described and replies read. Nothing here touches the network.

A new provider protocol is one subclass of `Dialect`: four functions and a table of status words. The rest has
defaults that say "this provider cannot do that".
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from keyframe_mcp.adapters.base import Accepted, Job, Report
from keyframe_mcp.adapters.recents import Recent
from keyframe_mcp.adapters.webhooks import Called, Signed
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.catalog.wires import Step, steps
from keyframe_mcp.errors import GenerationFailed, ProviderError
from keyframe_mcp.task import Status

NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file sent as a form."""

    name: str
    content: bytes
    mime_type: str
    field: str = "file"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One HTTP call, described rather than made. `path` comes after the provider's base URL."""

    method: str
    path: str
    json: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)
    upload: Upload | None = None
    because: str = ""
    """The state that made us ask this too."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back. `body` is the JSON, or the text where it was not JSON. Header names are in small letters."""

    status: int
    body: object
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)
    is_json: bool = True
    call: Call | None = None
    """What was asked, where it was not a submission."""

    @property
    def code(self) -> int | None:
        """The number an envelope calls `code`, where there is one. It may be written as text."""
        body: object = self.body
        code = cast("dict[str, object]", body).get("code") if isinstance(body, dict) else None
        if isinstance(code, str) and re.fullmatch(r"-?[0-9]{1,9}", code):
            return int(code)
        return code if isinstance(code, int) and not isinstance(code, bool) else None


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """That a call was not honoured: an HTTP status, also where the provider hides it in a 200, and its words."""

    status: int
    message: str
    is_busy: bool = False
    """Whether the provider says that it took nothing, and to come back later."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A job that ended badly. `reason` is the provider's, as it came; `note` is ours and follows it.

    A failed generation whose reason speaks of moderation is a rejection.
    """

    reason: str
    native_status: str
    kind: type[ProviderError] = GenerationFailed
    note: str = ""
    seed: int | None = None
    inference_seconds: float | None = None
    is_picture_gone: bool = False


NOWHERE = re.compile(r"page not found|invalid url|no such route", re.IGNORECASE)
"""What services say of a path they do not have, and not of a job."""


class Dialect(ABC):
    """One provider protocol. `provider` holds the facts that differ between hosts that speak it."""

    states: ClassVar[Mapping[str, Status]]
    """The provider's words for a job's state. A word missing here means: still running."""

    trace_header: ClassVar[str | None] = None

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    @abstractmethod
    def submit_call(self, job: Job) -> Call:
        """How a job is started."""

    @abstractmethod
    def read_accepted(self, reply: Reply) -> Accepted:
        """The provider's id in the answer to that. Raises `ValidationError` when there is none."""

    @abstractmethod
    def check_call(self, remote_id: str) -> Call:
        """How to ask after a job."""

    @abstractmethod
    def read_report(self, reply: Reply, remote_id: str) -> Report | Failed | Call:
        """How the job is doing, or what else must be asked to know."""

    def proves(self, reply: Reply, accepted: Accepted) -> bool:
        """Whether an id in the answer to a submission is a job's: it is in a yes, and in trouble after the yes."""
        return reply.status < 300 or reply.status >= 500

    def complaint(self, reply: Reply) -> Complaint | None:
        """What the provider complains about, if it does."""
        if reply.status < 400:
            return None
        return Complaint(status=reply.status, message=self.message(reply.body), is_busy=reply.status == 429)

    def message(self, body: object) -> str:
        """The provider's words in an error body of whatever shape."""
        return words(body)

    def check_elsewhere(self, remote_id: str) -> Call | None:
        """What else to ask when the provider says it does not know the job."""
        return None

    def cancel_call(self, remote_id: str) -> Call | None:
        """How to stop a job, where that is possible."""
        return None

    def upload_call(self, upload: Upload) -> Call | None:
        """How to leave a picture with the provider, where that is possible."""
        return None

    def read_upload(self, reply: Reply) -> str:
        """The URL of what was uploaded."""
        raise NotImplementedError

    def quote_call(self, job: Job) -> Call | None:
        """How to ask for a job's price, where the provider tells it."""
        return None

    def read_quote(self, reply: Reply) -> float | None:
        """The price in US dollars."""
        raise NotImplementedError

    def recent_call(self) -> Call | None:
        """How to ask for the account's newest jobs, where the provider lists them."""
        return None

    def read_recent(self, reply: Reply) -> Sequence[Recent]:
        """The newest jobs."""
        raise NotImplementedError

    def webhook_key_call(self) -> Call | None:
        """How to ask for what the provider signs its own calls with, where it makes any."""
        return None

    def read_webhook_key(self, reply: Reply) -> bytes:
        """The key for those signatures. Raises `ValueError` for one that is none."""
        raise NotImplementedError

    def is_signed(self, call: Signed, key: bytes) -> bool:
        """Whether one of a call's signatures is the provider's."""
        raise NotImplementedError

    def read_called(self, body: bytes) -> Called:
        """What a call says. Raises `ValidationError` for a shape nobody expects."""
        raise NotImplementedError

    def inputs(self, job: Job) -> Mapping[str, Any]:
        """What the provider calls a job's input."""
        return self.nested(job.wire)

    def models_call(self) -> Call | None:
        """How to ask which models there are, where the provider tells with every parameter."""
        return None

    def probe_call(self) -> Call:
        """A call that costs nothing and shows whether the key is good. Being told that a job is unknown will do."""
        return self.check_call("keyframe-mcp-doctor")

    def is_at_home(self, reply: Reply) -> bool:
        """Whether a complaint about the probe shows a good key: the service is there, and has no such job."""
        return reply.is_json and not NOWHERE.search(words(reply.body))

    def read_probe(self, reply: Reply) -> str:
        """What a good key brought, in a few words."""
        return "the key is accepted"

    def status(self, word: str) -> Status:
        """Our word for the provider's."""
        if word in self.states:
            return self.states[word]
        folded = {known.casefold(): status for known, status in self.states.items()}
        return folded.get(word.casefold(), Status.RUNNING)

    def nested(self, wire: Mapping[str, Any]) -> dict[str, Any]:
        """A flat wire as the provider's JSON."""
        return nested(wire)


def nested(wire: Mapping[str, Any]) -> dict[str, Any]:
    """`{"input.prompt": 1, "images[0]": 2, "frames[0].uri": 3}` as nested JSON. Header names are left out."""
    body: dict[Step, Any] = {}
    for name, value in wire.items():
        if name.startswith("header:"):
            continue
        *outer, last = steps(name)
        place = body
        for part in outer:
            place = cast("dict[Step, Any]", place.setdefault(part, {}))
        place[last] = value
    return cast("dict[str, Any]", listed(body))


def listed(value: object) -> object:
    """Tables whose keys are numbers as lists, in order."""
    if not isinstance(value, dict):
        return value
    table = cast("dict[object, object]", value)
    if table and all(isinstance(key, int) for key in table):
        return [table[key] for key in sorted(cast("list[int]", list(table)))]
    return {key: listed(each) for key, each in table.items()}


def header_values(wire: Mapping[str, Any]) -> dict[str, str]:
    """The inputs that travel as headers."""
    return {name.removeprefix("header:"): str(value) for name, value in wire.items() if name.startswith("header:")}


def words(body: object) -> str:
    """The text of an error body: a string, or the first of the usual keys, however deep."""
    if isinstance(body, str):
        return body
    if isinstance(body, list):
        return "; ".join(words(each) for each in cast("list[object]", body)[:3])
    if not isinstance(body, dict):
        return "" if body is None else str(body)
    table = cast("dict[str, object]", body)
    for key in ("message", "detail", "error", "msg", "reason", "error_code", "title"):
        if table.get(key):
            return words(table[key])
    return str(table) if table else ""

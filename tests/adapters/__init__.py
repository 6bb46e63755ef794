"""One module per provider, each holding one `EXAMPLE`: real exchanges, as its documentation prints them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx

from keyframe_mcp import catalog as catalogs
from keyframe_mcp.adapters import dialect_of
from keyframe_mcp.adapters.base import Accepted, Job, Report
from keyframe_mcp.adapters.dialect import Call
from keyframe_mcp.adapters.http import Access, HttpAdapter
from keyframe_mcp.settings import base_url_variable
from studio import Clock

KEY = "sk-not-to-be-seen-0123456789"
PROVIDERS = catalogs.load().providers


@dataclass(frozen=True, kw_only=True)
class Example:
    """What this provider expects and says. `source` says where the exchange came from.

    `reports` are bodies of an answer to the check and what they mean; `refusals` an HTTP status, a body, the kind of
    our error, and a piece of its text. `asks_again` maps the path of a second question to its answer.
    """

    source: str
    job: Job
    submit: Call
    submit_reply: Any
    accepted: Accepted
    check: Call
    reports: Sequence[tuple[Any, Report]]
    failures: Sequence[tuple[Any, str, str]]
    refusals: Sequence[tuple[int, Any, str, str]]
    busy: tuple[int, Any]
    unknown_state: Any
    cancel: Call | None = None
    upload: tuple[Call, Any, str] | None = None
    quote: tuple[Call, Any, float] | None = None
    recent: tuple[Call, Any, str] | None = None
    probe: tuple[Call, Any] | None = None
    asks_again: Mapping[str, Any] = field(default_factory=dict[str, Any])


EXAMPLES: dict[str, Example] = {
    path.stem: import_module(f"{__name__}.{path.stem}").EXAMPLE
    for path in sorted(Path(__file__).parent.glob("*.py"))
    if path.stem != "__init__"
}
"""By the id of the provider in the catalogue."""


class Remote:
    """Stands in for the network: gives out replies in order, and remembers what it was asked."""

    def __init__(self, *replies: httpx.Response | Exception) -> None:
        self.replies = list(replies)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    @property
    def calls(self) -> list[tuple[str, str, Any]]:
        """Method, path and JSON of everything that was asked."""
        return [(request.method, request.url.path, json.loads(request.content or b"null")) for request in self.requests]


def reply(body: Any, status: int = 200, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=body, headers=named)


def connected(
    name: str, remote: Remote, folder: Path, *, base_url: str | None = None, key: str | None = KEY, **changes: Any
) -> HttpAdapter:
    """The adapter of a provider of the catalogue, with some of its facts changed."""
    provider = PROVIDERS[name].model_copy(update=changes)
    access = Access(base_url=base_url or provider.base_url or "", variable=base_url_variable(name), key=key)
    dialect = dialect_of(provider.dialect)(provider)
    return HttpAdapter(dialect, access, folder / "spool", Clock(), httpx.MockTransport(remote))

"""One module per provider, each holding one `EXAMPLE`: real exchanges, as its documentation prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from keyframe_mcp.adapters.base import Accepted, Job, Report
from keyframe_mcp.adapters.dialect import Call


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

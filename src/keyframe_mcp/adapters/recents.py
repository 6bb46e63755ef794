"""Jobs in a provider's own list: which is surely the one looked for, and which may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from keyframe_mcp.adapters.base import Found
from keyframe_mcp.adapters.replies import is_remote_id

CLOCKS_DIFFER = 60
SUBMISSION_TAKES = 300


@dataclass(frozen=True, kw_only=True)
class Recent:
    """A job in a provider's own list. `created_at` as the provider writes it."""

    remote_id: str
    model: str | None
    created_at: str | None
    wire: Mapping[str, Any] | None


def found(recents: Sequence[Recent], model: str, sent: Mapping[str, Any], sent_at: float) -> Found:
    """Those of the same model, made when ours was sent, newest last. Certain are only those with the same inputs."""
    near = [each for each in recents if each.model == model and is_remote_id(each.remote_id)]
    near = sorted((each for each in near if is_near(each, sent_at)), key=lambda each: made_at(each) or 0)
    certain = [each for each in near if sent and equals(sent, each.wire)]
    possible = [each for each in near if each not in certain and may_be(sent, each.wire or {})]
    return Found(certain=tuple(each.remote_id for each in certain), possible=tuple(each.remote_id for each in possible))


def equals(ours: object, listed: object) -> bool:
    """Whether two JSON values are one. An empty text stands for a picture that is not known, and equals nothing."""
    if isinstance(ours, Mapping) and isinstance(listed, Mapping):
        one, other = cast("Mapping[str, object]", ours), cast("Mapping[str, object]", listed)
        return one.keys() == other.keys() and all(equals(one[name], other[name]) for name in one)
    if isinstance(ours, list) and isinstance(listed, list):
        first, second = cast("list[object]", ours), cast("list[object]", listed)
        return len(first) == len(second) and all(map(equals, first, second))
    return ours != "" and isinstance(ours, bool) == isinstance(listed, bool) and ours == listed


def may_be(sent: Mapping[str, Any], listed: Mapping[str, Any]) -> bool:
    """Whether nothing that both tell speaks against it. A provider may list fewer inputs or more, or copy pictures."""
    shared = sent.keys() & listed.keys()
    return all(equals(sent[name], listed[name]) or may_be_picture(sent[name]) for name in shared)


def may_be_picture(value: object) -> bool:
    """Whether a provider may list this under another address."""
    return value == "" or (isinstance(value, str) and value.startswith(("https://", "http://", "data:")))


def is_near(recent: Recent, sent_at: float) -> bool:
    """Whether a job was made at about that moment. Clocks differ, and a provider may take its time."""
    made = made_at(recent)
    return made is not None and -CLOCKS_DIFFER <= made - sent_at <= SUBMISSION_TAKES


def made_at(recent: Recent) -> float | None:
    """When a job was made, in seconds since the epoch."""
    try:
        made = datetime.fromisoformat(recent.created_at or "")
        return (made if made.tzinfo else made.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None

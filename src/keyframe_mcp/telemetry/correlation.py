"""Which call, and which task, the present work belongs to: for log lines, and for a person who asks a provider."""

from __future__ import annotations

import re
import secrets
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from keyframe_mcp.task import Task

TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
"""W3C Trace Context, level 2, section 3.2. An id of zeroes is none."""


@dataclass(frozen=True, kw_only=True)
class Bearings:
    """Where the present work belongs."""

    correlation_id: str | None = None
    task_id: str | None = None


NO_BEARINGS = Bearings()
_BEARINGS: ContextVar[Bearings] = ContextVar("keyframe_bearings")


def bearings() -> Bearings:
    """Where the present work belongs."""
    return _BEARINGS.get(NO_BEARINGS)


def correlation_id() -> str:
    """That of the call which is being answered, or a new one."""
    return bearings().correlation_id or secrets.token_hex(8)


def correlation_of(traceparent: object) -> str:
    """The trace id a client sent, or 16 random hexadecimal digits."""
    return trace_id_of(traceparent) or secrets.token_hex(8)


def trace_id_of(traceparent: object) -> str | None:
    """The trace id in a `traceparent`; None for what is none."""
    found = TRACEPARENT.fullmatch(traceparent.strip()) if isinstance(traceparent, str) else None
    if found is None or not (found["trace"].strip("0") and found["span"].strip("0")):
        return None
    return found["trace"]


def answering(correlation: str) -> AbstractContextManager[None]:
    """While a call is answered."""
    return steering(Bearings(correlation_id=correlation))


def working_on(task: Task) -> AbstractContextManager[None]:
    """While a step of a task is taken."""
    return steering(replace(bearings(), task_id=task.id, correlation_id=task.correlation_id))


@contextmanager
def steering(to: Bearings) -> Generator[None]:
    """For as long as the block lasts, also in tasks that are started in it."""
    before = _BEARINGS.set(to)
    try:
        yield
    finally:
        _BEARINGS.reset(before)

"""The books of an emulated provider: what was asked, which jobs were made of it, and how far each of them is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any


class Stage(Enum):
    """Where a job is, in words of our own; each provider has other words for it."""

    QUEUED = "queued"
    RUNNING = "running"
    OVER = "over"


@dataclass(frozen=True)
class Pace:
    """How long jobs take. Both clocks must have passed: the number of checks, and seconds of the injected clock.

    The default needs no clock: the first check finds a job queued, the second one running, the third one over.
    """

    checks_queued: int = 1
    checks_running: int = 1
    seconds_queued: float = 0
    seconds_running: float = 0

    @property
    def seconds(self) -> float:
        """How long a job takes at least."""
        return self.seconds_queued + self.seconds_running

    @property
    def checks(self) -> int:
        """How many checks find it unfinished."""
        return self.checks_queued + self.checks_running


AT_ONCE = Pace(checks_queued=0, checks_running=0)
"""Over at the first check."""


def by_the_clock(queued: float, running: float) -> Pace:
    """Jobs that take this many seconds, however often anyone asks."""
    return Pace(checks_queued=0, checks_running=0, seconds_queued=queued, seconds_running=running)


@dataclass(frozen=True)
class Fate:
    """How a job will end. `status` is the provider's own word; None is its word for success.

    `code` and `more` are for providers that say more: WaveSpeed's task-level codes, extra fields of the answer.
    `running_as` is the word shown while it runs, for words nobody has documented.
    """

    status: str | None = None
    error: str = ""
    code: int = 0
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    running_as: str | None = None


@dataclass(frozen=True)
class Part:
    """One part of a form."""

    name: str
    content: bytes
    filename: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as it arrived. `kind` is what it was for: submit, check, result, upload, cancel, list, ..."""

    kind: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    json: Any = None
    parts: tuple[Part, ...] = ()
    at: float = 0.0


@dataclass(frozen=True)
class Uploaded:
    """A file somebody left. `route` is the path it came in by."""

    url: str
    content: bytes
    content_type: str
    filename: str
    route: str
    at: float


@dataclass(frozen=True)
class Stored:
    """A file that can be fetched from the emulator, until it expires."""

    content: bytes
    content_type: str
    expires_at: float


@dataclass
class Job:
    """A job that exists at the provider, and would have been billed. `inputs` are as received."""

    id: str
    model: str
    inputs: dict[str, Any]
    created_at: float
    pace: Pace
    fate: Fate
    webhook: str | None = None
    details: dict[str, Any] = field(default_factory=dict[str, Any])
    """What one provider remembers and the others do not: a version, a deadline."""

    checks: int = 0
    finished_at: float | None = None
    status: str | None = None
    """The provider's last word for it, once it is over."""
    outputs: list[str] = field(default_factory=list[str])

    def stage(self, now: float) -> Stage:
        """Where it is."""
        if self.finished_at is not None:
            return Stage.OVER
        age, asked = now - self.created_at, self.checks
        nobody_looked = asked == 0 and self.pace.seconds == 0
        if nobody_looked or 0 < self.pace.checks_queued >= asked or age < self.pace.seconds_queued:
            return Stage.QUEUED
        if 0 < self.pace.checks >= asked or age < self.pace.seconds:
            return Stage.RUNNING
        return Stage.OVER

    def share(self, now: float) -> float:
        """How much of its running time has passed, from 0 to 1."""
        if self.stage(now) is Stage.QUEUED:
            return 0.0
        if self.stage(now) is Stage.OVER:
            return 1.0
        if self.pace.seconds_running:
            return (now - self.created_at - self.pace.seconds_queued) / self.pace.seconds_running
        return (self.checks - self.pace.checks_queued) / (self.pace.checks_running + 1)

    def ended_at(self, now: float) -> float:
        """When a job that is over ended: by the clock if that decides, else now that somebody looked."""
        return now if self.pace.checks else self.created_at + self.pace.seconds


def moment(at: float, digits: int = 3) -> str:
    """A time in UTC, with so many digits after the point. Providers write three, six, eight or nine."""
    fraction = int(at % 1 * 10**digits)
    return f"{datetime.fromtimestamp(math.floor(at), UTC):%Y-%m-%dT%H:%M:%S}.{fraction:0{digits}d}Z"

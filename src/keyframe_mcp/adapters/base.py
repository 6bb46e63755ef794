"""The seam. An adapter turns a few questions into one provider's dialect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from keyframe_mcp.task import Failure, Mode, Picture, Status


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the engine asks for: a remote model, and its inputs in its own spelling, pictures included."""

    task_id: str
    attempt: int
    model: str
    mode: Mode
    wire: Mapping[str, Any]
    version: str | None = None
    """The exact version of the model, for providers that are asked by version."""
    callback: str | None = field(default=None, repr=False)
    """The address to be called when it has ended, for providers that call. It is signed: whoever has it may use it."""
    not_after: float = math.inf
    """When it is too late to begin sending it, in seconds since the epoch: others may have taken the task up then."""
    not_after_ticks: float = math.inf
    """The same moment by the clock of the event loop: nobody can set it back, but it may stand still in a suspend."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A submission as it would go out. Where the key would be is `[key]`."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What stands for a picture in a request. `kept_seconds`: how long the provider keeps its copy, if it has one."""

    text: str
    kept_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A provider's word that it took a job."""

    remote_id: str
    native_status: str | None = None
    trace_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a provider says about a job it accepted.

    `status` is one of running, succeeded, failed, cancelled. A word the dialect does not know is running.
    `outputs` are URLs; `progress` is 0 to 1; `seed` is the one that was used.
    """

    status: Status
    native_status: str | None = None
    progress: float | None = None
    outputs: tuple[str, ...] = ()
    failure: Failure | None = None
    engine: str | None = None
    confidence: float | None = None
    seed: int | None = None
    inference_seconds: float | None = None
    trace_id: str | None = None
    is_picture_gone: bool = False
    """Whether it failed because the provider could not read a picture: what was uploaded must not be used again."""
    warnings: tuple[str, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class Found:
    """Jobs in a provider's list, newest last: those that are surely the one looked for, and those that may be."""

    certain: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()


class Adapter(Protocol):
    """Speaks to one provider. The engine's side of every method is: ask, then write down what came."""

    @property
    def idempotent(self) -> bool:
        """Whether submitting one job twice surely makes one video. False for everything that costs money."""
        ...

    @property
    def poll_seconds(self) -> float:
        """How long to leave a running job alone between two checks."""
        ...

    @property
    def account(self) -> str:
        """A name for this host and key, so that what was uploaded with one is never used with another."""
        ...

    async def send(self, picture: Picture) -> Sent:
        """Bring a picture to where the provider can read it. Costs nothing and may be repeated."""
        ...

    async def quote(self, job: Job) -> float | None:
        """What the provider itself says the job will cost, in US dollars. None when it does not say. Never raises."""
        ...

    def describe(self, job: Job) -> Outgoing | None:
        """What `submit` would send. None where nothing goes over a network."""
        ...

    async def submit(self, job: Job) -> Accepted:
        """Start a job. Called once per attempt, whatever happens.

        Raises `ProviderBusy` or `ProviderUnavailable` only when certainly nothing was submitted, other
        `ProviderError`s when it was refused, `SubmissionUncertain` or `UnexpectedReply` when nobody can tell. Whatever
        goes wrong before anything is sent is `ProviderRefused`.
        """
        ...

    async def reach(self) -> None:
        """Ask something that costs nothing. Raises `ProviderUnavailable` when there is no sensible answer."""
        ...

    async def check(self, remote_id: str) -> Report:
        """Ask how a job is doing. Safe to repeat. A `ProviderError` means only that the answer is not known."""
        ...

    async def find(self, job: Job, sent_at: float) -> Found | None:
        """Look for a job that may have been submitted at that moment. None when the provider has no list of jobs.

        The job's wire has its pictures as they were sent; those that were sent inside the request are empty. Only a
        job with the very same inputs is certain. Costs nothing; raises `ProviderError` when the list cannot be had.
        """
        ...

    async def cancel(self, remote_id: str) -> bool:
        """Try to stop a job. False when this provider cannot."""
        ...

    async def forget(self, remote_id: str) -> None:
        """The job is over, and its result safe with us: let go of what was kept for it. Never raises."""
        ...

    def credentials(self, url: str) -> Mapping[str, str]:
        """The headers needed to download this result. Empty nearly everywhere, and never for a foreign host."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and processes."""
        ...

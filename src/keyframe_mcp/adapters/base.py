"""The seam. An adapter turns a few questions into one provider's dialect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from keyframe_mcp.task import Failure, Mode, Status


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the engine asks for: a remote model, and its inputs in its own spelling."""

    task_id: str
    attempt: int
    model: str
    mode: Mode
    wire: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a provider says about a job it accepted.

    `status` is one of running, succeeded, failed, cancelled. A word the dialect does not know is running.
    `outputs` are URLs; `progress` is 0 to 1.
    """

    status: Status
    native_status: str | None = None
    progress: float | None = None
    outputs: tuple[str, ...] = ()
    failure: Failure | None = None
    engine: str | None = None
    confidence: float | None = None
    warnings: tuple[str, ...] = field(default=())


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

    async def submit(self, job: Job) -> str:
        """Start a job and return the provider's id for it. Called once per attempt, whatever happens.

        Raises `ProviderBusy` or `ProviderUnavailable` only when certainly nothing was submitted, other
        `ProviderError`s when it was refused, `SubmissionUncertain` when nobody can tell.
        """
        ...

    async def check(self, remote_id: str) -> Report:
        """Ask how a job is doing. Safe to repeat. A `ProviderError` means only that the answer is not known."""
        ...

    async def cancel(self, remote_id: str) -> bool:
        """Try to stop a job. False when this provider cannot."""
        ...

    async def forget(self, remote_id: str) -> None:
        """The job is over, and its result safe with us: let go of what was kept for it. Never raises."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and processes."""
        ...

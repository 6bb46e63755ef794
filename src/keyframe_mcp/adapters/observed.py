"""An adapter whose every question somebody hears of: what was asked, how long it took, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keyframe_mcp.adapters.base import Accepted, Adapter, Found, Job, Outgoing, Report, Sent
from keyframe_mcp.task import Picture
from keyframe_mcp.telemetry import Observer


@dataclass(frozen=True)
class ObservedAdapter:
    """Another adapter, as it is. `provider` is its id."""

    adapter: Adapter
    provider: str
    observer: Observer

    @property
    def idempotent(self) -> bool:
        """See `Adapter.idempotent`."""
        return self.adapter.idempotent

    @property
    def poll_seconds(self) -> float:
        """See `Adapter.poll_seconds`."""
        return self.adapter.poll_seconds

    @property
    def account(self) -> str:
        """See `Adapter.account`."""
        return self.adapter.account

    async def send(self, picture: Picture) -> Sent:
        """See `Adapter.send`."""
        with self.observer.asking(self.provider, "upload"):
            return await self.adapter.send(picture)

    async def quote(self, job: Job) -> float | None:
        """See `Adapter.quote`."""
        with self.observer.asking(self.provider, "quote"):
            return await self.adapter.quote(job)

    def describe(self, job: Job) -> Outgoing | None:
        """See `Adapter.describe`."""
        return self.adapter.describe(job)

    async def submit(self, job: Job) -> Accepted:
        """See `Adapter.submit`."""
        with self.observer.asking(self.provider, "submit", job.attempt):
            return await self.adapter.submit(job)

    async def reach(self) -> None:
        """See `Adapter.reach`."""
        with self.observer.asking(self.provider, "reach"):
            await self.adapter.reach()

    async def check(self, remote_id: str) -> Report:
        """See `Adapter.check`."""
        with self.observer.asking(self.provider, "check"):
            return await self.adapter.check(remote_id)

    async def find(self, job: Job, sent_at: float) -> Found | None:
        """See `Adapter.find`."""
        with self.observer.asking(self.provider, "find"):
            return await self.adapter.find(job, sent_at)

    async def cancel(self, remote_id: str) -> bool:
        """See `Adapter.cancel`."""
        with self.observer.asking(self.provider, "cancel"):
            return await self.adapter.cancel(remote_id)

    async def forget(self, remote_id: str) -> None:
        """See `Adapter.forget`."""
        await self.adapter.forget(remote_id)

    def credentials(self, url: str) -> Mapping[str, str]:
        """See `Adapter.credentials`."""
        return self.adapter.credentials(url)

    async def aclose(self) -> None:
        """See `Adapter.aclose`."""
        await self.adapter.aclose()

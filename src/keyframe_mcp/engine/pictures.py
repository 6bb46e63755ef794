"""From our copies of a task's pictures to what a provider is sent for them: each uploaded once while its copy lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio

from keyframe_mcp.adapters.base import Adapter, Sent
from keyframe_mcp.errors import InvalidInput, OutputUnwritable
from keyframe_mcp.store import Store
from keyframe_mcp.task import Picture, Task

MARGIN_SECONDS = 2 * 3600  # the job may wait in a queue before the provider reads its pictures


@dataclass(frozen=True)
class Pictures:
    """Remembers uploads by content and account, so that a still used in ten shots travels once."""

    store: Store
    clock: Callable[[], float]

    async def wire(self, task: Task, adapter: Adapter) -> dict[str, Any]:
        """The task's wire with its pictures in it.

        Raises `ProviderError`, `InvalidInput` when a copy is gone, and `OutputUnwritable` when it cannot be read now.
        """
        return task.wire | {name: await self._sent(picture, adapter) for name, picture in task.pictures.items()}

    async def forget(self, task: Task, adapter: Adapter) -> None:
        """Upload them anew next time: the provider may have refused a job because it could not read its copies."""
        if task.pictures:
            contents = [picture.content for picture in task.pictures.values()]
            await self.store.forget_uploads(adapter.account, contents)

    async def _sent(self, picture: Picture, adapter: Adapter) -> str:
        known = await self.store.uploaded(adapter.account, picture.content, until=self.clock() + MARGIN_SECONDS)
        if known is not None:
            return known
        sent = await brought(picture, adapter)
        if sent.kept_seconds is not None:
            until = self.clock() + sent.kept_seconds
            await self.store.remember_upload(adapter.account, picture.content, sent.text, until)
        return sent.text


async def brought(picture: Picture, adapter: Adapter) -> Sent:
    """Our copy, brought to where the provider reads it."""
    try:
        await anyio.Path(picture.file).stat()
        return await adapter.send(picture)
    except FileNotFoundError:
        raise InvalidInput("our copy of a picture of this task is gone; ask for the video again") from None
    except OSError as error:
        reason = f"our copy of a picture of this task cannot be read ({error.strerror or error})"
        raise OutputUnwritable(f"{reason}; it is tried again by itself") from None

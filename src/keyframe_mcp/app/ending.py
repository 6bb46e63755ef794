"""How things end: whatever happens, and in order."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

import anyio

from keyframe_mcp.adapters.base import Adapter
from keyframe_mcp.runners.embedded import EmbeddedRunner


class Closable(Protocol):
    """Something with an end."""

    async def aclose(self) -> None:
        """Let go of everything."""
        ...


async def put_down(runner: EmbeddedRunner | None, adapters: Mapping[str, Adapter]) -> None:
    """First the work, then what it works with: a job that is being sent must hear its answer."""
    if runner is not None:
        await runner.stop()
    for adapter in adapters.values():
        await adapter.aclose()


async def put_away(*things: Closable) -> None:
    """Close them, one after the other."""
    for each in things:
        await each.aclose()


@asynccontextmanager
async def closed_at_last(thing: Closable) -> AsyncGenerator[None]:
    """Close something however the block ends, and not half."""
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await thing.aclose()

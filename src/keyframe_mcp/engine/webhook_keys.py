"""What providers sign their calls with: asked for when it is first needed, kept in memory, asked again if replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from keyframe_mcp.adapters.webhooks import CallsBack, Signed
from keyframe_mcp.errors import ProviderUnavailable

AGAIN_SECONDS = 60.0  # a bad signature is rarely a new secret
RETRY_SECONDS = 5.0  # while there is none


@dataclass
class Kept:
    """One provider's. `asked_at` is in seconds since the epoch."""

    key: bytes | None = field(default=None, repr=False)
    asked_at: float | None = None
    asking: anyio.Lock = field(default_factory=anyio.Lock)

    def is_too_soon(self, now: float) -> bool:
        """Whether it was asked for a moment ago."""
        wait = RETRY_SECONDS if self.key is None else AGAIN_SECONDS
        return self.asked_at is not None and abs(now - self.asked_at) < wait


class WebhookKeys:
    """Those of all providers. `clock` gives seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[str, Kept] = {}

    async def is_signed(self, provider: str, adapter: CallsBack, call: Signed) -> bool:
        """Whether a call is the provider's. Raises `ProviderError` when that cannot be found out now."""
        kept = self._kept.setdefault(provider, Kept())
        tried = kept.key
        if tried is not None and adapter.is_signed(call, tried):
            return True
        async with kept.asking:
            if kept.key == tried:
                if kept.key is not None and kept.is_too_soon(self._clock()):
                    return False
                await self._ask(kept, adapter)
        return kept.key is not None and adapter.is_signed(call, kept.key)

    async def _ask(self, kept: Kept, adapter: CallsBack) -> None:
        if kept.is_too_soon(self._clock()):
            raise ProviderUnavailable("its secret was asked for a moment ago, in vain")
        kept.asked_at = self._clock()
        kept.key = await adapter.webhook_key()

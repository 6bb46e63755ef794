"""Whether the process answers, and whether it should be sent requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

CHECK_SECONDS = 3.0

Checks = Mapping[str, Callable[[], Awaitable[None]]]
"""By name; each raises when something is wrong."""


@dataclass
class Health:
    """`/health` and `/ready`. Both are open to anybody who reaches the server, and tell no more than a word."""

    checks: Checks
    is_ending: bool = field(default=False)

    async def health(self, _: Request) -> Response:
        """Whether the process answers."""
        return JSONResponse({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        """Whether it can do its work: 200, or 503 with what is wrong."""
        if self.is_ending:
            return JSONResponse({"status": "ending"}, 503)
        found = {name: await outcome(check) for name, check in self.checks.items()}
        is_ready = all(each == "ok" for each in found.values())
        return JSONResponse({"status": "ready" if is_ready else "not ready", **found}, 200 if is_ready else 503)


async def outcome(check: Callable[[], Awaitable[None]]) -> str:
    """A word about one thing. What exactly is wrong is for the log: it may name paths."""
    try:
        with anyio.fail_after(CHECK_SECONDS):
            await check()
    except TimeoutError:
        return "slow"
    except Exception:  # noqa: BLE001 - whatever is wrong, it is not ready
        return "failing"
    return "ok"

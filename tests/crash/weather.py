"""What goes wrong by itself, seeded: before and after a job is booked, with checks and with downloads."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from emulators.faults import (
    Answer,
    CutShort,
    Fault,
    Gone,
    Proceed,
    transport_of,
    until_disconnected,
    web_page,
)
from emulators.jobs import Fate
from emulators.provider import Emulator

HANG_SECONDS = 0.6
SLOWEST = 0.03
FAILED_SHARE = 0.03


class Lost(Gone):
    """No answer, to a caller that may itself be dead by now."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(OSError):
            await super().__call__(scope, receive, send)


@dataclass(frozen=True)
class Cut(Fault):
    """The connection is reset, before or after the job is booked."""

    recorded: bool = False

    async def meet(self, proceed: Proceed, released: anyio.Event) -> Response:
        if self.recorded:
            await proceed()
        return Lost(reset=True)


@dataclass(frozen=True)
class Hang(Fault):
    """The job is booked, and nobody hears of it for so long that the connection ends."""

    async def meet(self, proceed: Proceed, released: anyio.Event) -> Response:
        await proceed()
        with anyio.move_on_after(HANG_SECONDS):
            await released.wait()
        return Lost(reset=False)


@dataclass(frozen=True)
class Strike(Fault):
    """Something happens to the caller, before or after the job is booked; then the honest answer, if it still can."""

    deed: Callable[[], None]
    recorded: bool

    async def meet(self, proceed: Proceed, released: anyio.Event) -> Response:
        if not self.recorded:
            self.deed()
            return Lost(reset=True)
        honest = await proceed()
        self.deed()
        return honest


@dataclass(frozen=True)
class StrikeHalfway(Fault):
    """Something happens to the caller when half of the body has left."""

    deed: Callable[[], None]

    async def meet(self, proceed: Proceed, released: anyio.Event) -> Response:
        return Halved(await proceed(), self.deed)


class Halved(Response):
    """The first half of an answer, then the deed, then the end of the connection."""

    def __init__(self, honest: Response, deed: Callable[[], None]) -> None:
        super().__init__()
        self.honest = honest
        self.deed = deed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytes(self.honest.body)
        start = {"type": "http.response.start", "status": self.honest.status_code, "headers": self.honest.raw_headers}
        await send(start)
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await anyio.sleep(0.1)  # half a film has to arrive, and nobody says when it did
        self.deed()
        transport_of(scope).abort()
        await until_disconnected(receive)


Make = Callable[[Emulator], Fault]


def throttled(shop: Emulator) -> Fault:
    """Too many requests, and when to come back."""
    answer = shop.throttled()
    return Answer(answer.status, answer.body, {**answer.headers, "Retry-After": "1"})


def fixed(fault: Fault) -> Make:
    """The same at every provider."""
    return lambda _: fault


DOWN = Answer(503, {"message": "service unavailable"}, {"Retry-After": "1"})

FAULTS: Mapping[str, tuple[float, Mapping[str, Make]]] = {
    "submit": (
        0.14,
        {
            "reset_before_booking": fixed(Cut(recorded=False)),
            "reset_after_booking": fixed(Cut(recorded=True)),
            "hang_after_booking": fixed(Hang()),
            "429_retry_after": throttled,
            "503_retry_after": fixed(DOWN),
            "502_after_booking": fixed(web_page(502, recorded=True)),
            "garbage_200_after_booking": fixed(web_page(200, recorded=True)),
        },
    ),
    "check": (0.06, {"500": fixed(web_page(500)), "reset": fixed(Cut())}),
    "list": (0.1, {"500": fixed(web_page(500))}),
    "download": (
        0.12,
        {"short_body": fixed(CutShort()), "reset": fixed(Cut()), "404_once": fixed(web_page(404))},
    ),
}
"""For each kind of call: the share that goes wrong, and how."""


@dataclass
class Weather:
    """What goes wrong on its own. `dice` is None for fair weather; `injected` counts what went wrong."""

    dice: random.Random | None = None
    injected: Counter[str] = field(default_factory=Counter[str])
    asked: int = 0
    """How many requests there were. The moments of random kills are counted in these."""

    def fault(self, kind: str, shop: Emulator) -> Fault | None:
        """What is to go wrong with a call, if anything."""
        share, makers = FAULTS.get(kind, (0.0, {}))
        if self.dice is None or self.dice.random() >= share:
            return None
        name = self.dice.choice(sorted(makers))
        self.injected[f"{kind}_{name}"] += 1
        return makers[name](shop)

    def delay(self) -> float:
        """How long something takes, in seconds."""
        return 0.0 if self.dice is None else self.dice.uniform(0, SLOWEST)

    def fate(self, failed: Fate) -> Fate:
        """How a job will end."""
        if self.dice is None or self.dice.random() >= FAILED_SHARE:
            return Fate()
        self.injected["job_failed"] += 1
        return failed

"""Four emulated providers that are never killed: their books say what was really made, and would have been billed.

A job takes a little time before and after it is booked, so that a kill can fall in between. Every film is another one,
so that a file can be told from its neighbour's.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from crash.weather import Weather
from emulators.gateway import Gateway
from emulators.jobs import Asked, Fate, Job
from emulators.provider import Emulator, Handler
from emulators.replicate import Replicate
from emulators.siliconflow import SiliconFlow
from emulators.wavespeed import WaveSpeed

MARK = re.compile(r"mark-\d+")
PADDING = 48 << 10  # bytes: a download takes more than one read


class Weathered(Emulator):
    """What is added to an emulated provider."""

    weather: Weather
    failed_word = "failed"

    async def _answer(self, request: Request, kind: str, handler: Handler) -> Response:
        self.weather.asked += 1
        try:
            await request.body()
        except ClientDisconnect:  # it died in the middle of a sentence, so it asked for nothing
            return Response(status_code=400)
        if not self._faults[kind] and (fault := self.weather.fault(kind, self)):
            self.next(kind, fault)
        await anyio.sleep(self.weather.delay())
        return await super()._answer(request, kind, self._slowly(handler) if kind == "submit" else handler)

    def _slowly(self, handler: Handler) -> Handler:
        """The same, with time between the booking and the answer."""

        async def handle(request: Request, asked: Asked) -> Response:
            response = await handler(request, asked)
            await anyio.sleep(self.weather.delay())
            return response

        return handle

    def record(self, model: str, inputs: Mapping[str, Any], webhook: str | None = None, **details: Any) -> Job:
        self.will(self.weather.fate(Fate(self.failed_word, "it did not work out")))
        return super().record(model, inputs, webhook, **details)

    def film_of(self, job: Job) -> bytes:
        """A film that differs from all others: a box that players skip is at its end."""
        return self.film + free_box(job.id)


def free_box(seed: str) -> bytes:
    """An MP4 box without meaning, which is another one for every seed."""
    content = random.Random(seed).randbytes(PADDING)  # noqa: S311 - to tell files apart, not to keep a secret
    return (len(content) + 8).to_bytes(4, "big") + b"free" + content


class WaveSpeedShop(Weathered, WaveSpeed):
    """Lists its jobs, without their inputs."""


class SiliconFlowShop(Weathered, SiliconFlow):
    """Lists nothing."""

    failed_word = "Failed"


class ReplicateShop(Weathered, Replicate):
    """Lists its jobs with their inputs: one whose answer was lost can be found."""


class GatewayShop(Weathered, Gateway):
    """Lists nothing."""


Shop = WaveSpeedShop | SiliconFlowShop | ReplicateShop | GatewayShop
Books = Mapping[str, Weathered]
"""The shops by the name of their provider."""


def mark_of(job: Job) -> str:
    """The mark in a job's prompt. Raises `LookupError` for a job that nobody ordered."""
    found = MARK.search(json.dumps(job.inputs))
    if found is None:
        raise LookupError(f"job {job.id} has no mark")
    return found[0]


def digest_of(shop: Weathered, job: Job) -> str:
    """The SHA-256 of what a job made."""
    return digest_in(shop.film_of(job))


def digest_in(film: bytes) -> str:
    """The SHA-256 of all of an MP4 but its index, to which tags are added when it is kept."""
    boxes, start = hashlib.sha256(), 0
    while start < len(film):
        end = start + max(8, int.from_bytes(film[start : start + 4], "big"))
        if film[start + 4 : start + 8] != b"moov":
            boxes.update(film[start:end])
        start = end
    return boxes.hexdigest()


@asynccontextmanager
async def open_shops(weather: Weather) -> AsyncGenerator[Books]:
    """All four on loopback, under one weather."""
    kinds = {"wavespeed": WaveSpeedShop, "siliconflow": SiliconFlowShop, "replicate": ReplicateShop}
    async with AsyncExitStack() as stack:
        shops: dict[str, Weathered] = {}
        for name, kind in (kinds | {"gateway": GatewayShop}).items():
            shop = kind()
            shop.weather = weather
            shops[f"crash-{name}"] = await stack.enter_async_context(shop)
        yield shops

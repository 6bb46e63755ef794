"""What the tests of the emulators share: a request that each provider accepts, and a client that has its key."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from emulators.baicai import Baicai
from emulators.gateway import Gateway
from emulators.provider import EMULATED_KEY, Emulator
from emulators.replicate import Replicate
from emulators.replicate_models import ANIMATION_VERSION
from emulators.siliconflow import TEXT_TO_VIDEO, SiliconFlow
from emulators.wavespeed import WaveSpeed

PICTURE = "https://files.example.net/a.png"
FLF2V: dict[str, Any] = {"first_image": PICTURE, "last_image": PICTURE}
PROMPTS: dict[str, Any] = {"prompt_start": "dawn", "prompt_end": "dusk"}
BY_VERSION: dict[str, Any] = {"version": ANIMATION_VERSION, "input": PROMPTS}
TEXT: dict[str, Any] = {"model": TEXT_TO_VIDEO, "prompt": "a boat", "image_size": "1280x720"}
FILM_INPUT: dict[str, Any] = {
    "image": PICTURE,
    "last_image": PICTURE,
    "prompt": "a boat",
    "resolution": "720p",
    "duration": 5,
}
FILM: dict[str, Any] = {"selected_model": "Viduq2-pro-FLF2V-fast", "task_type": "flf2video", "input": FILM_INPUT}

SUBMITS: dict[type[Emulator], tuple[str, dict[str, Any]]] = {
    WaveSpeed: ("/api/v3/wavespeed-ai/wan-flf2v", FLF2V),
    SiliconFlow: ("/video/submit", TEXT),
    Baicai: ("/v1/videos/generations", FILM),
    Replicate: ("/predictions", BY_VERSION),
    Gateway: ("/replicate/v1/predictions", BY_VERSION),
}
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Loopback has none, and reading the usual ones takes longer than most tests."""


def client_of(base_url: str = "", key: str | None = EMULATED_KEY) -> httpx.AsyncClient:
    """A client with a key, or a stranger without one."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=base_url, headers=headers, trust_env=False, verify=NO_CERTIFICATES)


@asynccontextmanager
async def calling(provider: Emulator) -> AsyncGenerator[httpx.AsyncClient]:
    """A provider that listens, and a client that has the usual key."""
    async with provider, client_of(provider.base_url) as client:
        yield client


async def submit(client: httpx.AsyncClient, provider: Emulator) -> httpx.Response:
    """The answer to a request for a job that the provider accepts."""
    path, body = SUBMITS[type(provider)]
    return await client.post(path, json=body)

"""A provider in WaveSpeed's dialect that does as little as possible: so that a long run measures us and not it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

HOST = "127.0.0.1"


@dataclass
class QuickProvider:
    """It remembers numbers only: what it kept for each job would look like our own growth."""

    film: bytes
    port: int = 0
    submitted: int = 0
    downloaded: int = 0

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    def answer(self, method: str, path: str) -> tuple[str, bytes]:
        """What it says, and of what kind that is. Every job is over at the first check."""
        if path.startswith("/files/"):
            self.downloaded += 1
            return "video/mp4", self.film
        if path.endswith("/model/price"):
            return as_json({"price": 0.05})
        if method == "POST":
            self.submitted += 1
            return as_json({"id": f"job{self.submitted}", "status": "created"})
        job_id = path.split("/")[-2]
        address = f"{self.base_url}/files/{job_id}.mp4"
        return as_json({"id": job_id, "status": "completed", "outputs": [address], "error": ""})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: requests with a length, answers with a length, until the other side closes."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                lengths = [int(line.partition(":")[2]) for line in head if line.lower().startswith("content-length:")]
                await reader.readexactly(sum(lengths))
                method, path, _ = head[0].split(" ")
                kind, body = self.answer(method, path)
                start = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
                writer.write(start.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def as_json(data: dict[str, Any]) -> tuple[str, bytes]:
    """An answer in the envelope."""
    return "application/json", json.dumps({"code": 200, "message": "success", "data": data}).encode()


@asynccontextmanager
async def open_quick_provider(film: bytes) -> AsyncGenerator[QuickProvider]:
    """The provider, listening."""
    provider = QuickProvider(film)
    server = await asyncio.start_server(provider.serve, HOST, 0)
    provider.port = server.sockets[0].getsockname()[1]
    try:
        yield provider
    finally:
        server.close()

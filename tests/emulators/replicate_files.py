"""Replicate's files: upload, list, get, delete. Written from an exchange its client recorded (high confidence)."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from emulators.faults import Answer
from emulators.jobs import Asked, moment
from emulators.provider import Refused

if TYPE_CHECKING:
    from emulators.provider import Emulator

KEPT_SECONDS = 24 * 3600
LARGEST = 100 * 1024 * 1024


class Files:
    """What callers left, for a day."""

    def __init__(self, provider: Emulator, path: str) -> None:
        self.provider = provider
        self.path = path
        self.kept: dict[str, dict[str, Any]] = {}

    def routes(self) -> list[BaseRoute]:
        one = f"{self.path}/{{file_id}}"
        route = self.provider.route
        return [
            route("POST", self.path, "upload", self.create),
            route("GET", self.path, "files", self.listing),
            route("GET", one, "file", self.get),
            route("DELETE", one, "file", self.delete),
        ]

    def can_fetch(self, url: object) -> bool:
        """Whether an address among the inputs is none of ours, or of a file that is still there."""
        ours = f"{self.provider.url}{self.path}/"
        if not isinstance(url, str) or not url.startswith(ours):
            return True
        return self.is_there(url.removeprefix(ours))

    def is_there(self, file_id: str) -> bool:
        """Whether a file exists and has not expired."""
        return file_id in self.kept and self.kept[file_id]["expires_at"] > moment(self.provider.clock())

    async def create(self, request: Request, asked: Asked) -> Response:
        parts = {part.name: part for part in asked.parts}
        content = parts.get("content")
        if content is None or content.filename is None:
            raise refused(400, "Bad request", "Missing content")
        if len(content.content) > LARGEST:
            raise refused(413, "Request entity too large", "Files can have 100 MiB at most.")
        kept = self.provider.keep(content, asked.path)
        file_id, now = uuid4().hex, self.provider.clock()
        md5 = hashlib.md5(content.content, usedforsecurity=False).hexdigest()
        self.kept[file_id] = {
            "id": file_id,
            "name": kept.filename,
            "content_type": kept.content_type,
            "size": len(kept.content),
            "etag": md5,
            "checksums": {"sha256": hashlib.sha256(content.content).hexdigest(), "md5": md5},
            "metadata": json.loads(parts["metadata"].content) if "metadata" in parts else {},
            "created_at": moment(now),
            "expires_at": moment(now + KEPT_SECONDS),
            "urls": {"get": f"{self.provider.url}{self.path}/{file_id}"},
        }
        return Answer(201, self.kept[file_id]).response()

    async def listing(self, request: Request, asked: Asked) -> Response:
        there = [file for file_id, file in self.kept.items() if self.is_there(file_id)]
        return Answer(200, {"previous": None, "next": None, "results": there[::-1]}).response()

    async def get(self, request: Request, asked: Asked) -> Response:
        return Answer(200, self.kept[self.known(request)]).response()

    async def delete(self, request: Request, asked: Asked) -> Response:
        del self.kept[self.known(request)]
        return Response(status_code=204)

    def known(self, request: Request) -> str:
        """The id in the path, if there is such a file."""
        file_id = str(request.path_params["file_id"])
        if not self.is_there(file_id):
            raise refused(404, "Not found", "The requested resource could not be found.")
        return file_id


def refused(status: int, title: str, detail: str) -> Refused:
    """A complaint, to be raised."""
    body = {"title": title, "detail": detail, "status": status}
    return Refused(Answer(status, body, {"content-type": "application/problem+json"}))

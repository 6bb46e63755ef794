"""Pictures in: `POST /uploads` with the bytes of one, raw or as a form, answers the name by which tools take it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from keyframe_mcp.engine.uploads import (
    MOST_BYTES,
    MOST_BYTES_OF_ONE,
    TOO_LARGE,
    NoRoom,
    TooLarge,
    TooMany,
    Upload,
    Uploads,
)
from keyframe_mcp.errors import InvalidInput, KeyframeError, StoreUnusable, UnreadableImage
from keyframe_mcp.server.http.access import Access
from keyframe_mcp.server.http.rooms import owner_of

UPLOAD_SECONDS = 120.0
"""For one to arrive and be looked at: 20 MB at 1.4 Mbit/s."""
FORM_BYTES = 64 * 1024  # what a form may have around the picture
PIECE = 256 * 1024
PATH = "/uploads"
ONCE = {"Connection": "close"}  # the rest of the body is not read
HOW = "send a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF file: curl --data-binary @picture.png, or a form with one file"

FULL = "the server cannot keep it: its disk is full or not to be written; tell whoever runs it"


class BadRequest(Exception):
    """A request that holds no picture. The text says what would."""


@dataclass(frozen=True)
class Reception:
    """`/uploads`, and `/uploads/<id>`. `seconds` is how long one may take."""

    uploads: Uploads
    seconds: float = UPLOAD_SECONDS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        answer = await self._answer(request, owner_of(scope), request.path_params.get("upload_id"))
        await answer(scope, receive, send)

    async def _answer(self, request: Request, owner: str, upload_id: str | None) -> Response:
        match request.method, upload_id:
            case "POST", None:
                return await self._take(request, owner)
            case "GET" | "HEAD", None:
                return listing(await self.uploads.all(owner))
            case "DELETE", str():
                return await self._remove(upload_id, owner)
            case _:
                allowed = "DELETE" if upload_id else "GET, HEAD, POST"
                return refusal(405, f"here only {allowed} is answered", {"Allow": allowed})

    async def _take(self, request: Request, owner: str) -> Response:
        """Keep a picture, or say why not."""
        try:
            require_small(request)
            with anyio.fail_after(self.seconds):
                async with body(request) as pieces, aclosing(pieces):
                    upload = await self.uploads.add(owner, pieces)
        except TimeoutError:
            return refusal(408, f"it did not arrive within {self.seconds:g} seconds; try again, or scale it down", ONCE)
        except (TooLarge, NoRoom, TooMany, BadRequest, ClientDisconnect, KeyframeError, OSError) as error:
            return refused(error)
        return JSONResponse(view(upload), 201, {"Location": f"{PATH}/{upload.id}"})

    async def _remove(self, upload_id: str, owner: str) -> Response:
        try:
            await self.uploads.remove(upload_id, owner)
        except InvalidInput as error:
            return refusal(404, str(error))
        return Response(status_code=204)


ANSWERS: Mapping[type[Exception], tuple[int, str, Mapping[str, str]]] = {
    TooLarge: (413, "", ONCE),
    NoRoom: (507, "", ONCE),
    TooMany: (429, "", ONCE | {"Retry-After": "5"}),
    BadRequest: (400, "", ONCE),
    ClientDisconnect: (400, "the connection ended before the picture did", ONCE),
    UnreadableImage: (415, "", {}),
    StoreUnusable: (507, FULL, ONCE),
    OSError: (507, FULL, ONCE),
    KeyframeError: (503, "it could not be looked at just now; try again", {"Retry-After": "5"}),
}
"""How each trouble is answered; without words, in its own."""


def how_to_upload(access: Access) -> str:
    """What is said to who named a path: what would have worked."""
    url = f"{access.base_url or 'the address of this server'}{PATH}"
    sign_in = "" if access.is_open else " -H 'Authorization: Bearer <your token>'"
    curl = f"curl{sign_in} --data-binary @picture.png {url}"
    return f"POST the picture to {url} ({curl}) and give the upload:<id> it answers"


def refused(error: Exception) -> Response:
    """Why a picture was not kept, and what would be."""
    status, said, headers = next(how for kind, how in ANSWERS.items() if isinstance(error, kind))
    return refusal(status, said or str(error), headers)


def refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """What was wrong, for people and programs."""
    return JSONResponse({"error": message}, status, headers)


def require_small(request: Request) -> None:
    """Raise `TooLarge` for what says so itself, before any of it is read."""
    most = MOST_BYTES + (FORM_BYTES if is_form(request) else 0)
    said = request.headers.get("content-length", "0")
    if not said.isascii() or not said.isdigit() or len(said) > 15 or int(said) > most:
        raise TooLarge(TOO_LARGE)


def is_form(request: Request) -> bool:
    """Whether the picture comes in a form, as browsers and `curl -F` send it."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


@asynccontextmanager
async def body(request: Request) -> AsyncGenerator[AsyncGenerator[bytes]]:
    """The bytes of the picture. Raises `BadRequest`, `TooLarge`."""
    if not is_form(request):
        yield filled(request.stream())
        return
    parser = MultiPartParser(request.headers, small(request.stream()), max_files=1, max_fields=8)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise BadRequest(f"the form cannot be read ({error.message}); {HOW}") from None
    try:
        files = [each for _, each in form.multi_items() if isinstance(each, UploadFile)]
        if not files:
            raise BadRequest(f"the form has no file in it; {HOW}")
        yield filled(read(files[0]))
    finally:
        await form.close()


async def filled(pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """The same. Raises `BadRequest` where nothing comes."""
    is_empty = True
    async for piece in pieces:
        is_empty = is_empty and not piece
        yield piece
    if is_empty:
        raise BadRequest(f"there are no bytes; {HOW}")


async def small(pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """The same. Raises `TooLarge` as soon as there are too many: a form is put aside before it is read."""
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > MOST_BYTES + FORM_BYTES:
            raise TooLarge(TOO_LARGE)
        yield piece


async def read(file: UploadFile) -> AsyncGenerator[bytes]:
    """A file of a form, piece by piece."""
    while piece := await file.read(PIECE):
        yield piece


def view(upload: Upload) -> dict[str, object]:
    """An upload as it is answered."""
    return {
        "reference": upload.reference,
        "width": upload.width,
        "height": upload.height,
        "mime_type": upload.mime_type,
        "size_bytes": upload.size_bytes,
        "expires_at": datetime.fromtimestamp(int(upload.expires_at), UTC).isoformat().replace("+00:00", "Z"),
    }


def listing(kept: Sequence[Upload]) -> Response:
    """What an owner has here."""
    used = sum(each.size_bytes for each in kept)
    return JSONResponse({"uploads": [view(each) for each in kept], "used_bytes": used, "most_bytes": MOST_BYTES_OF_ONE})

"""Pictures in: `POST /uploads` with the bytes of one, raw or as a form, answers the name by which tools take it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio
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
    taken,
)
from keyframe_mcp.errors import InvalidInput, KeyframeError, StoreUnusable, UnreadableImage
from keyframe_mcp.server.http.access import Access
from keyframe_mcp.server.http.forms import BadForm, file_of
from keyframe_mcp.server.http.rooms import owner_of

UPLOAD_SECONDS = 120.0
"""For one to arrive and be looked at: 20 MB at 1.4 Mbit/s."""
LINGER_SECONDS = 2.0
MOST_LISTED = 100
FORM_BYTES = 64 * 1024  # what a form may have around the picture
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
                return listing(await self.uploads.all(owner), start_of(request))
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
                async with aclosing(body(request)) as pieces:
                    upload = await self.uploads.add(owner, pieces)
        except TimeoutError:
            return refusal(408, f"it did not arrive within {self.seconds:g} seconds; try again, or scale it down", ONCE)
        except (TooMany, BadRequest) as error:
            await passed_over(request)
            return refused(error)
        except (TooLarge, NoRoom, ClientDisconnect, KeyframeError, OSError) as error:
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


def body(request: Request) -> AsyncGenerator[bytes]:
    """The bytes of the picture, as they arrive. Reading them raises `BadRequest`, `TooLarge`."""
    pieces = request.stream()
    return filled(of_form(request.headers["content-type"], small(pieces)) if is_form(request) else pieces)


async def of_form(content_type: str, pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """The bytes of a form's file."""
    try:
        async for piece in file_of(content_type, pieces):
            yield piece
    except BadForm as error:
        raise BadRequest(f"the form cannot be used: {error}; {HOW}") from None


async def passed_over(request: Request) -> None:
    """Read on for a moment: a connection that is closed with bytes unread is reset, and the answer with it."""
    with anyio.move_on_after(LINGER_SECONDS), suppress(ClientDisconnect, RuntimeError):  # nothing is left to read
        async for _ in request.stream():
            pass


async def filled(pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """The same. Raises `BadRequest` where nothing comes."""
    is_empty = True
    async for piece in pieces:
        is_empty = is_empty and not piece
        yield piece
    if is_empty:
        raise BadRequest(f"there are no bytes; {HOW}")


async def small(pieces: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """The same. Raises `TooLarge` as soon as there are too many, whatever part of a form they are in."""
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > MOST_BYTES + FORM_BYTES:
            raise TooLarge(TOO_LARGE)
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


def listing(kept: Sequence[Upload], start: int) -> Response:
    """What an owner has here, some at a time."""
    shown = [view(each) for each in kept[start : start + MOST_LISTED]]
    used = sum(taken(each.size_bytes) for each in kept)
    counted = {"count": len(kept), "used_bytes": used, "most_bytes": MOST_BYTES_OF_ONE}
    more = {"next": f"{PATH}?start={start + MOST_LISTED}"} if len(kept) > start + MOST_LISTED else {}
    return JSONResponse({"uploads": shown, **more, **counted})


def start_of(request: Request) -> int:
    """Where a list begins. What is no number is its beginning."""
    said = request.query_params.get("start", "0")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 7 else 0

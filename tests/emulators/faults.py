"""What can go wrong with one call, on demand.

A fault is queued with `provider.next(kind, fault)` and used up by one call of that kind. `recorded` says on which side
of the accident the provider's books are: False, the call never took effect; True, the job was created (and would have
been billed) and only the answer was lost. Both look the same to the caller, and that is the point.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from abc import ABC, abstractmethod
from asyncio import BaseTransport, Transport
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Proceed = Callable[[], Awaitable[Response]]
"""The call as it would have gone: it takes effect, and brings the honest answer."""


class Fault(ABC):
    """Something that goes wrong with one call."""

    @abstractmethod
    async def meet(self, proceed: Proceed, released: anyio.Event) -> Response:
        """What the caller gets. `released` is set when the test lets go of calls that hang, and at the end."""


@dataclass(frozen=True)
class Answer(Fault):
    """Another answer than the honest one. `body` is sent as JSON, unless it is bytes."""

    status: int = 200
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    recorded: bool = False

    async def meet(self, proceed: Proceed, released: anyio.Event) -> Response:
        if self.recorded:
            await proceed()
        return self.response()

    def response(self) -> Response:
        """The answer, made up."""
        content = self.body if isinstance(self.body, bytes) else json.dumps(self.body, ensure_ascii=False).encode()
        return Response(content, self.status, {"content-type": "application/json", **self.headers})


def web_page(status: int, *, recorded: bool = False) -> Answer:
    """A page for people, as a proxy or a content network shows one. With status 200 it poses as the answer."""
    page = f"<!doctype html><html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
    return Answer(status, page.encode(), {"content-type": "text/html; charset=utf-8"}, recorded)


def redirect(to: str, *, recorded: bool = False) -> Answer:
    """Away to another address."""
    return Answer(302, b"", {"location": to}, recorded)


@dataclass(frozen=True)
class Reset(Fault):
    """The connection is reset: no answer, and an error at the socket."""

    recorded: bool = False

    async def meet(self, proceed: Proceed, released: anyio.Event) -> Response:
        if self.recorded:
            await proceed()
        return Gone(reset=True)


@dataclass(frozen=True)
class HangUp(Fault):
    """The connection ends in good order, but without any answer."""

    recorded: bool = False

    async def meet(self, proceed: Proceed, released: anyio.Event) -> Response:
        if self.recorded:
            await proceed()
        return Gone(reset=False)


@dataclass(frozen=True)
class Silence(Fault):
    """No answer until the test says `provider.release()`; then the honest one, or a hang-up if nothing was done."""

    recorded: bool = False

    async def meet(self, proceed: Proceed, released: anyio.Event) -> Response:
        late = await proceed() if self.recorded else Gone(reset=False)
        return Held(late, released)


@dataclass(frozen=True)
class Changed(Fault):
    """The honest answer with its JSON changed: a new status word, a field gone, another shape."""

    change: Callable[[Any], Any]

    async def meet(self, proceed: Proceed, released: anyio.Event) -> Response:
        honest = await proceed()
        body = self.change(json.loads(bytes(honest.body)))
        return Answer(honest.status_code, body, kept(honest)).response()


@dataclass(frozen=True)
class Truncated(Fault):
    """The honest answer, whole as HTTP and cut as text: JSON that stops in the middle."""

    share: float = 0.5

    async def meet(self, proceed: Proceed, released: anyio.Event) -> Response:
        honest = await proceed()
        body = bytes(honest.body)
        return Answer(honest.status_code, body[: int(len(body) * self.share)], kept(honest)).response()


@dataclass(frozen=True)
class CutShort(Fault):
    """The honest answer, promised at full length and ended early by the connection."""

    share: float = 0.5

    async def meet(self, proceed: Proceed, released: anyio.Event) -> Response:
        return Partial(await proceed(), self.share)


def kept(honest: Response) -> dict[str, str]:
    """The headers of an answer that still hold when its body changes."""
    return {name: value for name, value in honest.headers.items() if name != "content-length"}


def transport_of(scope: Scope) -> Transport:
    """The connection itself, which the protocol in `provider` leaves in the scope."""
    return cast("Transport", scope["state"]["transport"])


async def until_disconnected(receive: Receive) -> None:
    """Return once the server has noticed that the connection is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def set_to_reset(transport: BaseTransport) -> None:
    """From here on, closing sends a reset instead of a polite end."""
    linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


class Gone(Response):
    """No answer: the connection is dropped."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__()
        self.reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.reset:
            set_to_reset(transport_of(scope))
        transport_of(scope).abort()
        await until_disconnected(receive)


class Held(Response):
    """An answer that waits for its release, or for the caller to give up."""

    def __init__(self, late: Response, released: anyio.Event) -> None:
        super().__init__()
        self.late = late
        self.released = released

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.give_up, receive, tasks.cancel_scope)
            await self.released.wait()
            tasks.cancel_scope.cancel()
        if self.released.is_set():
            await self.late(scope, receive, send)

    async def give_up(self, receive: Receive, scope: anyio.CancelScope) -> None:
        """Stop waiting when nobody listens any more."""
        await until_disconnected(receive)
        scope.cancel()


class Partial(Response):
    """The first part of an answer whose header promises all of it."""

    def __init__(self, honest: Response, share: float) -> None:
        super().__init__()
        self.honest = honest
        self.share = share

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytes(self.honest.body)
        start = {"type": "http.response.start", "status": self.honest.status_code, "headers": self.honest.raw_headers}
        await send(start)
        await send({"type": "http.response.body", "body": body[: int(len(body) * self.share)], "more_body": True})
        transport_of(scope).close()
        await until_disconnected(receive)

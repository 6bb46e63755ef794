"""A server for every owner, made when the owner first calls.

Owners share the engine and nothing else: sessions, subscriptions and watches of one cannot be reached from another's
room, whatever id is guessed. A room costs about 10 ms and 100 kB (measured with mcp 2.3); one that nobody used for a
while is closed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
from anyio.abc import TaskGroup, TaskStatus
from mcp.server import MCPServer
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.transport_security import TransportSecuritySettings
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from keyframe_mcp.engine.ownership import LOCAL
from keyframe_mcp.server.beneath import close_standing_streams
from keyframe_mcp.server.http.streams import Streams
from keyframe_mcp.server.notices import end_listening

Transport = Literal["http", "sse"]
Beside = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
"""Does something while requests are answered."""
MCP_PATH = "/mcp"
MCP_PATHS = (MCP_PATH, f"{MCP_PATH}/")

IDLE_SECONDS = 3600.0  # twice what the SDK gives a session that nobody uses
SWEEP_SECONDS = 300.0
END_AGAIN_SECONDS = 0.1
CHECKED_ALREADY = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # by the gate, for every path


@dataclass
class Room:
    """One owner's server. `inside` are the requests that are being answered."""

    server: MCPServer
    app: ASGIApp
    streams: Streams
    inside: int = 0
    left_at: float = 0.0
    closing: anyio.Event = field(default_factory=anyio.Event)

    async def live(self, *, task_status: TaskStatus[None]) -> None:
        """Be there until it is closed."""
        async with sessions(self.server):
            task_status.started()
            await self.closing.wait()

    def end_streams(self) -> None:
        """End what clients keep open to be told of changes, in both eras: it would be waited for, and broken off."""
        end_listening(self.server)
        close_standing_streams(self.server)
        self.streams.end()


class Rooms:
    """The rooms there are. `furnish` makes an owner's server."""

    def __init__(
        self,
        furnish: Callable[[str], MCPServer],
        transports: Collection[Transport],
        clock: Callable[[], float],
    ) -> None:
        self._furnish = furnish
        self._transports = transports
        self._clock = clock
        self._rooms: dict[str, Room] = {}
        self._making = anyio.Lock()
        self._tasks: TaskGroup | None = None
        self._ending = anyio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Rooms can be used, and are all closed at the end."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._sweep_now_and_then)
            tasks.start_soon(self._end_streams_again)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
                self._rooms.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request in the room of whoever sent it."""
        owner = owner_of(scope)
        room = self._rooms.get(owner) or await self.room(owner)
        room.inside += 1
        try:
            await room.app(scope, receive, send)
        finally:
            room.inside -= 1
            room.left_at = self._clock()

    async def room(self, owner: str) -> Room:
        """An owner's room."""
        if room := self._rooms.get(owner):
            return room
        async with self._making:
            if owner not in self._rooms:
                self._rooms[owner] = await self._make(owner)
            return self._rooms[owner]

    async def _make(self, owner: str) -> Room:
        if self._tasks is None:
            raise RuntimeError("rooms are used before they are open")
        server, streams = self._furnish(owner), Streams()
        room = Room(server, routes_of(server, self._transports, streams), streams, left_at=self._clock())
        await self._tasks.start(room.live)
        return room

    def end_streams(self) -> None:
        """The process is about to end. Requests are answered as long as it is there; streams end as they open."""
        self._ending.set()
        for room in self._rooms.values():
            room.end_streams()

    async def _end_streams_again(self) -> None:
        await self._ending.wait()
        while True:
            self.end_streams()
            await anyio.sleep(END_AGAIN_SECONDS)

    def beside(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do something while requests are answered. It must not raise. Raises `RuntimeError` before rooms are open."""
        if self._tasks is None:
            raise RuntimeError("rooms are used before they are open")
        self._tasks.start_soon(work)

    async def _sweep_now_and_then(self) -> None:
        while True:
            await anyio.sleep(SWEEP_SECONDS)
            self.sweep()

    def sweep(self) -> None:
        """Close the rooms in which nobody was for long."""
        for owner, room in list(self._rooms.items()):
            if not room.inside and self._clock() - room.left_at > IDLE_SECONDS:
                del self._rooms[owner]
                room.closing.set()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._rooms)


@asynccontextmanager
async def sessions(server: MCPServer) -> AsyncGenerator[None]:
    """Streamable HTTP needs somewhere to run its sessions."""
    async with server.session_manager.run():
        yield


def routes_of(server: MCPServer, transports: Collection[Transport], streams: Streams) -> ASGIApp:
    """The transports that were asked for."""
    http = server.streamable_http_app(transport_security=CHECKED_ALREADY)  # makes the session manager, too
    routes = list(http.routes) if "http" in transports else []
    if "sse" in transports:
        routes += server.sse_app(transport_security=CHECKED_ALREADY).routes
    others = streams.ending(Router(routes, redirect_slashes=False))  # it would lead to http, behind a proxy of https
    if "http" not in transports:
        return others

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        """The way nearly all take is not searched for."""
        answer = server.session_manager.handle_request if scope["path"] in MCP_PATHS else others
        await answer(scope, receive, send)

    return routed


def owner_of(scope: Scope) -> str:
    """Whose request it is, as the sign-in found out."""
    user = scope.get("user")
    if not isinstance(user, AuthenticatedUser):
        return LOCAL  # nobody has to say who they are: it is whoever works at this machine
    return user.access_token.subject or user.access_token.client_id

"""Telling clients that a resource has changed, in the way of their era, and only those who asked.

Clients of 2026-07-28 listen on a stream of their own, which the SDK serves from its bus. Those of 2025-11-25 subscribe
address by address and hear of it on their session. Neither costs anything until somebody asks.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
from anyio.abc import TaskGroup
from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.connection import Connection
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.server.subscriptions import ListenHandler, ResourceUpdated, ServerEvent, SubscriptionBus
from mcp.types import (
    INVALID_PARAMS,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    UnsubscribeRequestParams,
)

from keyframe_mcp.server.beneath import connection_of, handler_of, lowlevel
from keyframe_mcp.server.lookout import Lookout, Sight
from keyframe_mcp.server.resources import TASKS, NoSuchAddress, not_found

LISTEN = "subscriptions/listen"
MOST_ADDRESSES = 100
TOO_MANY = f"At most {MOST_ADDRESSES} addresses can be followed at once; follow {TASKS}, or let go of some."
SUBSCRIBER = "keyframe.subscriber"  # where a connection remembers it


class Subscriber:
    """A session of the older era: what it follows, and who tells it. The teller is there only while it follows any."""

    def __init__(self, connection: Connection, lookout: Lookout, bus: SubscriptionBus, tasks: TaskGroup) -> None:
        self._connection = connection
        self._lookout = lookout
        self._bus = bus
        self._tasks = tasks
        self._followed: set[str] = set()
        self._untold: dict[str, None] = {}
        self._news = anyio.Event()
        self._telling: anyio.CancelScope | None = None
        self._deafen = lambda: None
        connection.exit_stack.callback(self.close)

    def follow(self, uri: str, sight: Sight) -> None:
        """Tell of this address from now on. Raises `MCPError` when it follows too many."""
        if uri in self._followed:
            return
        if len(self._followed) >= MOST_ADDRESSES:
            raise MCPError(INVALID_PARAMS, TOO_MANY, {"uri": uri})
        if not self._followed:
            self._begin()
        self._followed.add(uri)
        self._lookout.join(uri, sight)

    def unfollow(self, uri: str) -> None:
        """Tell of it no more. One that was not followed is no mistake."""
        if uri in self._followed:
            self._followed.remove(uri)
            self._untold.pop(uri, None)
            self._lookout.leave(uri)
            if not self._followed:
                self._end()

    def close(self) -> None:
        """The session is over."""
        for uri in list(self._followed):
            self.unfollow(uri)

    def _begin(self) -> None:
        self._telling = anyio.CancelScope()
        self._deafen = self._bus.subscribe(self._hear)
        self._tasks.start_soon(self._tell, self._telling)

    def _end(self) -> None:
        self._deafen()
        if self._telling is not None:
            self._telling.cancel()

    def _hear(self, event: ServerEvent) -> None:
        if isinstance(event, ResourceUpdated) and event.uri in self._followed:
            self._untold[event.uri] = None
            self._news.set()

    async def _tell(self, scope: anyio.CancelScope) -> None:
        """Pass on what was heard. A slow client keeps nobody else waiting, and hears of an address once."""
        with scope:
            while True:
                await self._news.wait()
                self._news = anyio.Event()
                while self._untold:
                    uri = next(iter(self._untold))
                    del self._untold[uri]
                    await self._connection.send_resource_updated(uri)


def add_notices(server: MCPServer, lookout: Lookout, bus: SubscriptionBus, tasks: TaskGroup) -> None:
    """Serve subscriptions in both eras. `bus` is the server's own."""
    add_subscribing(server, lookout, bus, tasks)
    add_listening(server, lookout)


def add_subscribing(server: MCPServer, lookout: Lookout, bus: SubscriptionBus, tasks: TaskGroup) -> None:
    """What clients of 2025-11-25 ask for. That these methods are served is what declares the capability."""

    async def subscribe(context: ServerRequestContext[Any], asked: SubscribeRequestParams) -> EmptyResult:
        try:
            sight = await lookout.see(asked.uri)
        except NoSuchAddress as nothing:
            raise not_found(context, asked.uri, str(nothing)) from None
        connection = connection_of(context.session)
        subscriber = connection.state.get(SUBSCRIBER)
        if subscriber is None:
            subscriber = connection.state[SUBSCRIBER] = Subscriber(connection, lookout, bus, tasks)
        subscriber.follow(asked.uri, sight)
        return EmptyResult()

    async def unsubscribe(context: ServerRequestContext[Any], asked: UnsubscribeRequestParams) -> EmptyResult:
        subscriber = connection_of(context.session).state.get(SUBSCRIBER)
        if subscriber is not None:
            subscriber.unfollow(asked.uri)
        return EmptyResult()

    lowlevel(server).add_request_handler("resources/subscribe", SubscribeRequestParams, subscribe)
    lowlevel(server).add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, unsubscribe)


class Listening:
    """What clients of 2026-07-28 ask for, around the SDK's own handler: it serves the stream, we look out."""

    def __init__(self, serving: ListenHandler, lookout: Lookout) -> None:
        self._serving = serving
        self._lookout = lookout

    async def __call__(
        self, context: ServerRequestContext[Any], asked: SubscriptionsListenRequestParams
    ) -> HandlerResult:
        """Serve one stream."""
        wanted = asked.notifications
        uris = list(dict.fromkeys(wanted.resource_subscriptions or ()))
        if len(uris) > MOST_ADDRESSES:
            raise MCPError(INVALID_PARAMS, TOO_MANY)
        sights = await seen(self._lookout, uris)
        # the acknowledgement says which are followed: what is not there, or is another's, is not among them
        honoured = wanted.model_copy(update={"resource_subscriptions": list(sights) or None})
        if wanted.resources_list_changed:
            sights[TASKS] = sights.get(TASKS) or await self._lookout.see(TASKS)
        with self._lookout.looking(sights):
            return await self._serving(context, asked.model_copy(update={"notifications": honoured}))

    def close(self) -> None:
        """Let every stream end as the protocol has it: with an answer, rather than in the middle."""
        self._serving.close()


def add_listening(server: MCPServer, lookout: Lookout) -> None:
    """Serve streams of changes."""
    serving = handler_of(server, LISTEN)
    if not isinstance(serving, ListenHandler):
        raise TypeError("this server was made without subscriptions")
    lowlevel(server).add_request_handler(LISTEN, SubscriptionsListenRequestParams, Listening(serving, lookout))


def end_listening(server: MCPServer) -> None:
    """Let every open stream of changes end."""
    listening = handler_of(server, LISTEN)
    if isinstance(listening, Listening):
        listening.close()


async def seen(lookout: Lookout, uris: list[str]) -> dict[str, Sight]:
    """What is at those addresses behind which there is something."""
    sights: dict[str, Sight] = {}
    for uri in uris:
        with suppress(NoSuchAddress):
            sights[uri] = await lookout.see(uri)
    return sights

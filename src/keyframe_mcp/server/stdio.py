"""Serving over standard input and output, as desktop hosts do.

The SDK locks a connection to the protocol era of its first request. Some hosts probe with `server/discover` (2026) and
then `initialize` (2025) on the same pipe, so leading probes are each answered by a short-lived connection of their
own and the first other request picks the era.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from mcp.server import MCPServer, Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCRequest

from keyframe_mcp.app import Application
from keyframe_mcp.server.beneath import lowlevel
from keyframe_mcp.server.unreadable import Readable

Received = SessionMessage | Exception

STOP_SECONDS = 1.5
SENDING_SECONDS = 100


async def serve_stdio(server: MCPServer, application: Application) -> None:
    """Serve until the host closes the pipe; SIGTERM and SIGINT end the process at once, with everything written."""
    async with anyio.create_task_group() as tasks:
        if sys.platform != "win32":  # event loops there have no signal handlers
            tasks.start_soon(end_on_signal, application)
        async with stdio_server() as (incoming, outgoing):
            await converse(lowlevel(server), Readable(incoming, outgoing), outgoing)  # pyright: ignore[reportArgumentType] - the SDK's own stream types are narrower in name only
        tasks.cancel_scope.cancel()


async def converse(
    server: Server[Any], incoming: ObjectReceiveStream[Received], outgoing: ObjectSendStream[SessionMessage]
) -> None:
    """Answer probes, then serve the connection in the era the client settles on."""
    opening: Received | None = None
    with suppress(anyio.EndOfStream):
        opening = await incoming.receive()
        while is_probe(opening):
            await outgoing.send(await answer_probe(server, opening))
            opening = await incoming.receive()
    if opening is None or is_probe(opening):
        await outgoing.aclose()
        return
    async with replayed(opening, incoming) as messages:
        await server.run(messages, outgoing, server.create_initialization_options())  # pyright: ignore[reportArgumentType] - as above


def is_probe(message: Received) -> bool:
    """Whether a client only asks what this server speaks."""
    return (
        isinstance(message, SessionMessage)
        and isinstance(message.message, JSONRPCRequest)
        and message.message.method == "server/discover"
    )


async def answer_probe(server: Server[Any], probe: Received) -> SessionMessage:
    """The answer of a connection that exists for this one request."""
    to_server, from_client = anyio.create_memory_object_stream[Received](1)
    to_client, from_server = anyio.create_memory_object_stream[SessionMessage](8)
    answers: list[SessionMessage] = []
    async with to_server, from_server, anyio.create_task_group() as tasks:
        tasks.start_soon(server.run, from_client, to_client, server.create_initialization_options())
        await to_server.send(probe)
        answers.append(await from_server.receive())
        tasks.cancel_scope.cancel()
    return answers[0]


@asynccontextmanager
async def replayed(
    opening: Received, incoming: ObjectReceiveStream[Received]
) -> AsyncGenerator[ObjectReceiveStream[Received]]:
    """The opening message again, then the rest."""
    sending, messages = anyio.create_memory_object_stream[Received](0)

    async def relay() -> None:
        async with sending:
            await sending.send(opening)
            async for message in incoming:
                await sending.send(message)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(relay)
        yield messages
        tasks.cancel_scope.cancel()


async def end_on_signal(application: Application) -> None:
    """Stop the work, finish the writes, and leave.

    The thread that reads standard input cannot be interrupted, so an orderly return would wait for the host for ever.
    """
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            break
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leave_on_the_next, signals)
            # The answer to a job that is being sent is all there will be of it, and it may be paid.
            with anyio.move_on_after(SENDING_SECONDS if application.is_sending() else STOP_SECONDS):
                await application.stop()
            os._exit(0)


async def leave_on_the_next(signals: AsyncIterator[signal.Signals]) -> None:
    """Somebody insists."""
    async for _ in signals:
        os._exit(1)

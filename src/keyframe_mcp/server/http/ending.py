"""An orderly end when a signal asks for it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import anyio
import uvicorn
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

log = logging.getLogger(__name__)

LEAVING = "the server is ending; send it again in a moment"
LEAVING_HEADERS = {"Connection": "close", "Retry-After": "5"}


class QuietServer(uvicorn.Server):
    """Leaves the signals to us: uvicorn ends by raising them again, before anything of ours could be put away."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Nothing here; see `serve_until_signal`."""
        yield


class Outermost:
    """Answers for what is given up on, by the client or because the process ends: uvicorn would log the whole stack."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or say that the process ends."""
        try:
            await self.app(scope, receive, send)
        except ClientDisconnect:
            log.debug("a client left before its request had come whole")
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise
            with suppress(RuntimeError):  # part of an answer has gone out: the connection is closed after it
                await JSONResponse({"error": LEAVING}, 503, LEAVING_HEADERS)(scope, receive, send)


async def serve_until_signal(server: uvicorn.Server, listening: socket.socket, before_end: Callable[[], None]) -> None:
    """Serve; the first signal asks for an orderly end, a second one for a quick one."""

    async def heed() -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                server.force_exit = server.should_exit
                server.should_exit = True
                before_end()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(heed)
        await server.serve(sockets=[listening])
        tasks.cancel_scope.cancel()

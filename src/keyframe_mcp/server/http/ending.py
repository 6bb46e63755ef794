"""An orderly end when a signal asks for it."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio
import uvicorn


class QuietServer(uvicorn.Server):
    """Leaves the signals to us: uvicorn ends by raising them again, before anything of ours could be put away."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Nothing here; see `serve_until_signal`."""
        yield


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

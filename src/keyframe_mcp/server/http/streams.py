"""Connections of the older SSE transport, which stay open as long as the client likes."""

from __future__ import annotations

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Streams:
    """Those that are open. `end` ends them all, each with its last chunk: nothing breaks off."""

    def __init__(self) -> None:
        self._open: set[anyio.CancelScope] = set()

    def ending(self, app: ASGIApp) -> ASGIApp:
        """An application whose streams can be ended."""

        async def ended(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].endswith("/sse"):
                await app(scope, receive, send)
                return
            await self._stream(app, scope, receive, send)

        return ended

    async def _stream(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        begun = done = False

        async def watched(message: Message) -> None:
            nonlocal begun, done
            begun = begun or message["type"] == "http.response.start"
            done = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        with anyio.CancelScope() as cancel:
            self._open.add(cancel)
            try:
                await app(scope, receive, watched)
            finally:
                self._open.discard(cancel)
        if cancel.cancelled_caught and begun and not done:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def end(self) -> None:
        """End them."""
        for cancel in tuple(self._open):
            cancel.cancel()

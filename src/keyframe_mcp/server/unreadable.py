"""Requests that cannot be read are answered all the same: a client that hears nothing waits until it gives up.

A host that cuts a text in the middle of an emoji sends half a character. JavaScript writes that as JSON, the SDK does
not read it, and a line that is not read has no id to answer to (mcp 2.3, tried 2026-11-21).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import cast

from anyio.abc import ObjectReceiveStream, ObjectSendStream
from mcp.shared.message import SessionMessage
from mcp.types import PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError

ADVICE = (
    "That request could not be read ({}); nothing was done. Write whole characters, numbers of less than 300 digits "
    "and at most 100 lists in lists, and send it again."
)


@dataclass(frozen=True)
class Readable(ObjectReceiveStream[SessionMessage | Exception]):
    """What comes in, without the requests that cannot be read. Those are answered here."""

    incoming: ObjectReceiveStream[SessionMessage | Exception]
    outgoing: ObjectSendStream[SessionMessage]

    async def receive(self) -> SessionMessage | Exception:
        """The next message that is somebody else's to answer. Raises what the stream does at its end."""
        while True:
            message = await self.incoming.receive()
            answer = refusal(message) if isinstance(message, ValidationError) else None
            if answer is None:
                return message
            await self.outgoing.send(answer)

    async def aclose(self) -> None:
        """Close what is read from."""
        await self.incoming.aclose()


def refusal(trouble: ValidationError) -> SessionMessage | None:
    """The answer to a request that could not be read; None for what asks for none."""
    first = trouble.errors(include_url=False)[0]
    request_id = asked_by(first["input"])
    if request_id is None:
        return None
    what = first["msg"].removeprefix("Invalid JSON: ").partition(" at line")[0]
    error = ErrorData(code=PARSE_ERROR, message=ADVICE.format(what))
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=request_id, error=error))


def asked_by(line: object) -> int | str | None:
    """The id of a request, read by a parser that takes more; None for what has no id, or is no request."""
    try:
        message = json.loads(line, parse_int=short) if isinstance(line, str) else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or "method" not in message:
        return None
    request_id = cast("dict[str, object]", message).get("id")
    return request_id if isinstance(request_id, int | str) and not isinstance(request_id, bool) else None


def short(digits: str) -> int:
    """A whole number. Which one does not matter where it is longer than Python reads."""
    return int(digits[:300])

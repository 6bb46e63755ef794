"""`POST /webhooks/...`: where providers call. Anybody can reach it; who calls is found out before anything is done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from keyframe_mcp.engine.callbacks import Address
from keyframe_mcp.engine.webhooks import Verdict, Webhooks

MOST_BYTES = 1 << 20
BODY_SECONDS = 10.0
ROUTE = "/webhooks/{provider}/{task_id}/{attempt}/{signature}"

ANSWERS: Mapping[Verdict, tuple[int, str]] = MappingProxyType(
    {
        Verdict.HEARD: (200, "heard"),
        Verdict.HEARD_BEFORE: (200, "heard before"),
        Verdict.NOT_OURS: (404, "no provider was given this address"),
        Verdict.MALFORMED: (
            400,
            "webhook-id, webhook-timestamp and webhook-signature are needed, as the provider sends",
        ),
        Verdict.UNSIGNED: (401, "the signature is not the provider's, or older than five minutes"),
        Verdict.LATER: (503, "this cannot be checked or written down now; send it again"),
    }
)

log = logging.getLogger(__name__)


class TooLarge(Exception):
    """More than any call has."""


class WebhookCalls:
    """Answers providers. `clock` gives seconds since the epoch."""

    def __init__(self, webhooks: Webhooks, clock: Callable[[], float]) -> None:
        self._webhooks = webhooks
        self._clock = clock

    async def receive(self, request: Request) -> Response:
        """Hear one call. Whatever happens here, the provider is told to send it again, or not to."""
        try:
            return answer(await self._receive(request))
        except TooLarge:
            return JSONResponse({"error": f"a call has at most {MOST_BYTES:,} bytes"}, 413)
        except TimeoutError:
            return JSONResponse({"error": f"the body did not come within {BODY_SECONDS:g} s"}, 408)
        except ClientDisconnect:
            return JSONResponse({"error": "the body broke off"}, 400)
        except Exception:
            log.exception("a provider's call could not be dealt with; it is asked to send it again")
            return answer(Verdict.LATER)

    async def _receive(self, request: Request) -> Verdict:
        given = request.path_params
        address = Address(given["provider"], given["task_id"], given["attempt"], given["signature"])
        if not self._webhooks.is_ours(address):
            return Verdict.NOT_OURS
        with anyio.fail_after(BODY_SECONDS):
            body = await read_body(request)
        return await self._webhooks.receive(address, request.headers, body, self._clock())


async def read_body(request: Request) -> bytes:
    """The body. Raises `TooLarge` as soon as it is."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 9 or int(declared) > MOST_BYTES):
        raise TooLarge
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise TooLarge
    return bytes(body)


def answer(verdict: Verdict) -> Response:
    """A verdict for a provider: what is not 2xx, it sends again."""
    status, said = ANSWERS[verdict]
    return JSONResponse({"status": said} if status < 300 else {"error": said}, status)

"""Loaded by every Python process of `make clients`, the server's included: nobody reaches beyond this machine."""

from __future__ import annotations

import sys
from typing import Any

LOOPBACK = ("127.", "::1", "localhost")


def refuse(event: str, values: tuple[Any, ...]) -> None:
    """An audit hook, which code under test cannot take out again."""
    if event in ("socket.connect", "socket.sendto"):
        address = values[1]
        elsewhere = isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK)
    elif event == "socket.getaddrinfo":
        name = values[0].decode() if isinstance(values[0], bytes) else values[0]
        elsewhere = name is not None and not str(name).startswith((*LOOPBACK, "0.0.0.0"))  # noqa: S104 - compared only
    else:
        return
    if elsewhere:
        raise PermissionError(f"{event} {values}: only loopback here")


sys.addaudithook(refuse)

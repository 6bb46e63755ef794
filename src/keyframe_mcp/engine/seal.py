"""Signatures under what goes out and comes back: links to results, addresses that providers call."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from keyframe_mcp.errors import StoreUnusable

KEY_BYTES = 32


@dataclass(frozen=True)
class Seal:
    """Signs with a key that all processes of a state folder share. It is made when it is first needed."""

    read_key: Callable[[], bytes] = field(repr=False)

    @cached_property
    def _key(self) -> bytes:
        return self.read_key()

    def sign(self, purpose: str, *parts: str) -> str:
        """The signature of the parts, for one purpose: 32 letters and digits of SHA-256. Raises `StoreUnusable`."""
        text = "\0".join((purpose, *parts)).encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()[:32]

    def is_signed(self, signature: str, purpose: str, *parts: str) -> bool:
        """Whether somebody who has the key signed this, found out in a time that tells nothing."""
        return hmac.compare_digest(self.sign(purpose, *parts).encode(), signature.encode("utf-8", "replace"))


def read_or_make(path: Path) -> bytes:
    """The key in a file that only its owner can read. Of processes that make it at once, one wins.

    Raises `StoreUnusable`.
    """
    try:
        if not path.exists():
            make(path)
        key = path.read_bytes()
    except OSError as error:
        raise StoreUnusable(f"the key for links at {path} cannot be read or made ({error.strerror})") from None
    if len(key) != KEY_BYTES:
        raise StoreUnusable(f"the key for links at {path} is damaged; delete it, and links given out so far end")
    return key


def make(path: Path) -> None:
    """Write a new key beside, whole, and give it its name unless somebody was quicker."""
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
    try:
        with suppress(FileExistsError):
            path.hardlink_to(beside)
    finally:
        beside.unlink()

"""Where the files are in what a provider calls its output: a URL, a list, an object, or the bytes themselves."""

from __future__ import annotations

import base64
import binascii
import re
from typing import cast
from urllib.parse import urlsplit

KEYS = ("url", "urls", "video", "videos", "videoUrl", "video_url", "fullPath", "output", "outputs", "file", "files")
NO_OUTPUTS = frozenset({"input", "inputs", "request", "params", "webhook"})
"""Where a provider repeats what it was sent."""
BARE_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{256,}={0,2}\s*")
LONGEST_ADDRESS = 8192


def outputs_in(value: object) -> tuple[str, ...]:
    """Every URL or `data:` URI in a value, in the provider's order, each once."""
    return tuple(dict.fromkeys(found(value)))


def found(value: object) -> list[str]:
    """The same, repeats included. In an object the usual keys come first; only if they hold nothing do others count."""
    if isinstance(value, str):
        return text_output(value)
    if isinstance(value, list):
        return [each for item in cast("list[object]", value) for each in found(item)]
    if not isinstance(value, dict):
        return []
    table = cast("dict[str, object]", value)
    usual = [each for key in KEYS if key in table for each in found(table[key])]
    return usual or [each for key, item in table.items() if key not in NO_OUTPUTS for each in found(item)]


def text_output(text: str) -> list[str]:
    """A URL, a `data:` URI, or bare base64 as a `data:` URI; nothing for any other text."""
    if text.startswith(("https://", "http://")):
        return [text.strip()]
    if text.startswith("data:") and ";base64," in text[:100]:
        return [text]
    return [f"data:application/octet-stream;base64,{text}"] if BARE_BASE64.fullmatch(text) else []


def is_address(output: str) -> bool:
    """Whether an output can be fetched at all: bytes, or a URL that has a host."""
    if output.startswith("data:"):
        return True
    try:
        parts = urlsplit(output)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return has_host and len(output) <= LONGEST_ADDRESS and output.isprintable() and " " not in output


def decoded(data_uri: str) -> bytes | None:
    """The bytes in a base64 `data:` URI; None when they are damaged."""
    try:
        return base64.b64decode("".join(data_uri.partition(",")[2].split()), validate=True)
    except (binascii.Error, ValueError):
        return None

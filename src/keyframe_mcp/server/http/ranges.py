"""Which bytes of a file a `Range` header asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

ONE = re.compile(
    r"\s*bytes\s*=\s*(?:(?P<start>[0-9]{1,18})\s*-\s*(?P<last>[0-9]{1,18})?|-\s*(?P<tail>[0-9]{1,18}))\s*",
    re.IGNORECASE,
)


class OutOfRange(Exception):
    """It asks for bytes the file does not have."""


@dataclass(frozen=True)
class Span:
    """From the first byte to before `end`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.end - self.start


def span_of(header: str | None, size: int) -> Span | None:
    """The part that is asked for; None is all. Several parts, and what is none, are answered with all, as a server may.

    Raises `OutOfRange`.
    """
    match = None if header is None else ONE.fullmatch(header)
    if match is None:
        return None
    if match["tail"] is not None:
        span = Span(max(0, size - int(match["tail"])), size)
    else:
        last = int(match["last"]) if match["last"] else size - 1
        if last < int(match["start"]) and match["last"]:
            return None  # no part at all, so it does not count
        span = Span(int(match["start"]), min(last + 1, size))
    if span.length <= 0:
        raise OutOfRange
    return span

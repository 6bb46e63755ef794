"""A structure as lines of text: several hosts and agent frameworks show the model nothing else."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import cast

Structure = Mapping[str, object]
BREAKS = {ord(each): ascii(each)[1:-1] for each in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"}


def outline(structure: Structure, said: Collection[str] = ()) -> str:
    """A line for each field, and for each item of a list, but for those that were said already."""
    shown = (line for name, value in structure.items() if name not in said for line in lines(name, value))
    return "\n".join(map(unbroken, shown))


def unbroken(line: str) -> str:
    """One line of it: a prompt or a provider's word with a break in it must not look like a field of ours."""
    return line.translate(BREAKS)


def lines(name: str, value: object) -> Iterator[str]:
    """One field."""
    if value == []:
        yield f"{name}: none"
        return
    if isinstance(value, list):
        yield f"{name}:"
        yield from (f"- {in_line(each)}" for each in cast("list[object]", value))
        return
    if isinstance(value, dict):
        yield f"{name}:"
        yield from (f"- {key}: {in_line(each)}" for key, each in cast("Structure", value).items())
        return
    yield f"{name}: {in_line(value)}"


def in_line(value: object) -> str:
    """A value without line breaks between its parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "; ".join(f"{key}: {packed(each)}" for key, each in cast("Structure", value).items())
    return packed(value)


def packed(value: object) -> str:
    """A value inside another."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))

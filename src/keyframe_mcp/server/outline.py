"""A structure as lines of text: several hosts and agent frameworks show the model nothing else."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import cast

Structure = Mapping[str, object]
in_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # made once: making it takes longer
BREAKS = {ord(each): ascii(each)[1:-1] for each in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"}


def outline(structure: Structure, said: Collection[str] = ()) -> str:
    """A line for each field, and for each item of a list, but for those that were said already."""
    shown = [lines(name, value) for name, value in structure.items() if name not in said]
    return "\n".join([unbroken(line) for each in shown for line in each])


def unbroken(line: str) -> str:
    """One line of it: a prompt or a provider's word with a break in it must not look like a field of ours."""
    return line if line.isprintable() else line.translate(BREAKS)  # no break is printable


def lines(name: str, value: object) -> Sequence[str]:
    """One field."""
    if isinstance(value, str):
        return [f"{name}: {value}"]
    if value == []:
        return [f"{name}: none"]
    if isinstance(value, list):
        return [f"{name}:", *[f"- {in_line(each)}" for each in cast("list[object]", value)]]
    if isinstance(value, dict):
        return [f"{name}:", *[f"- {key}: {in_line(each)}" for key, each in cast("Structure", value).items()]]
    return [f"{name}: {in_line(value)}"]


def in_line(value: object) -> str:
    """A value without line breaks between its parts."""
    if isinstance(value, dict):
        return "; ".join([f"{key}: {packed(each)}" for key, each in cast("Structure", value).items()])
    return packed(value)


def packed(value: object) -> str:
    """A value inside another."""
    if isinstance(value, str):
        return value
    # the encoder writes these so, in ten times as long
    if type(value) is int or (type(value) is float and isfinite(value)):
        return repr(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return in_json(value)

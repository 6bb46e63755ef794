"""How an agent names a picture or a video: a path, an https URL, an earlier task, or (pictures) the bytes."""

from __future__ import annotations

import base64
import binascii
import math
import re
from dataclasses import dataclass
from typing import Literal

from keyframe_mcp.errors import InvalidInput

At = float | Literal["first", "last"]

# Behind the prefix any word passes for an id: whoever looks the task up can say which one was meant.
TASK = re.compile(
    r"^(?:(?:task:|keyframe://tasks/)(?P<named>[\w-]{1,80})|(?P<bare>kf_[a-z2-7]{26}))"
    r"(?:#(?P<end>first|last)|@(?P<second>[0-9.]+))?$",
    re.ASCII,
)
OUTPUT = re.compile(
    r"^output:(?P<name>(?:kf_[a-z2-7]{26}(?:-\d+)?|frame-[0-9a-f]{16})(?:-of-[0-9a-f]{12})?"
    r"\.(?:mp4|webm|mov|mkv|avi|ts|gif|png|jpg|webp|avif))$"
)
UPLOAD = re.compile(r"^upload:(?P<id>[\w-]{1,80})$", re.ASCII)
SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")


@dataclass(frozen=True)
class TaskReference:
    """An earlier task's video, or one of its frames. `at` is in seconds."""

    task_id: str
    at: At | None = None


@dataclass(frozen=True)
class UrlReference:
    """Something to fetch."""

    url: str


@dataclass(frozen=True)
class PathReference:
    """A file on this machine."""

    path: str


@dataclass(frozen=True)
class OutputReference:
    """A file a tool has made: a joined film, or a frame. `name` has no folder."""

    name: str


@dataclass(frozen=True)
class UploadReference:
    """A picture that was sent in over HTTP."""

    upload_id: str


@dataclass(frozen=True)
class DataReference:
    """A picture that travels in the call itself."""

    content: bytes


Reference = TaskReference | UrlReference | PathReference | OutputReference | UploadReference | DataReference


def parse(text: str) -> Reference:
    """Tell the kinds apart. Raises `InvalidInput` for what is none of them."""
    text = text.strip()
    if own := ours(text):
        return own
    if text.startswith(("task:", "keyframe://tasks/")):
        raise InvalidInput(
            f"{text!r} is not a task reference; write task:<id> (its last frame), task:<id>#first or task:<id>@2.5"
        )
    if text.startswith("data:"):
        return DataReference(data_content(text))
    if text.lower().startswith(("https:", "http:")):
        return UrlReference(text)
    if SCHEME.match(text) and not re.match(r"^[A-Za-z]:[\\/]", text):
        raise InvalidInput(strange(text))
    if not text:
        raise InvalidInput("it is empty; give a path, an https URL or task:<id>")
    return PathReference(text)


def ours(text: str) -> Reference | None:
    """What names something that is here already."""
    if match := TASK.match(text):
        return TaskReference(match["named"] or match["bare"], moment(match["end"], match["second"]))
    if match := OUTPUT.match(text):
        return OutputReference(match["name"])
    match = UPLOAD.match(text)
    return None if match is None else UploadReference(match["id"])


def strange(text: str) -> str:
    """Why something like a URL is none that is taken."""
    kind = text.partition(":")[0]
    if kind == "output":
        return f"{text[:80]!r} names no result; write output:<name> just as a result's `reference` has it"
    if kind == "upload":
        return f"{text[:80]!r} names no upload; write upload:<id> just as its `reference` has it"
    return f"{kind}: is not accepted; give a path, an https URL or task:<id>"


def data_content(text: str) -> bytes:
    """The bytes of a `data:` URI. A space after the comma, as some documentation has it, is forgiven."""
    head, comma, body = text.partition(",")
    if not comma or not head.endswith(";base64"):
        raise InvalidInput("that data: URI has no base64 in it; write data:image/png;base64,<base64>")
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("the base64 of that data: URI is damaged; it may have been cut off") from None


def shortened(text: str) -> str:
    """A reference as it is remembered: a `data:` URI without its bytes."""
    return f"{text[:40]}... ({len(text):,} characters)" if text.startswith("data:") and len(text) > 100 else text


def moment(end: str | None, second: str | None) -> At | None:
    """Which frame a reference means."""
    if end in ("first", "last"):
        return end
    if second is None:
        return None
    try:
        seconds = float(second)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise InvalidInput(f"@{second} is not a number of seconds; write for example task:<id>@2.5")
    return seconds

"""What must hold for every answer of a tool, whatever it was given."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
from mcp.types import CallToolResult

from soak.values import Call, Schema

MOST_CHARACTERS = 6000
INSIDES = re.compile(
    r"Traceback|Error executing|pydantic|validation error|object at 0x|<class|NoneType|site-packages|\.py\b"
    r"|\b[A-Z][A-Za-z]+(?:Error|Exception|Warning)\b"
)
"""What only somebody who reads our code could make sense of."""
ACCIDENTS = re.compile(r"could not be fetched \(\w+\)")
"""How fetching names what went wrong on the network."""
PATH = re.compile(r"(?<![\w.:/~-])/(?:[^\s/'\"`;,()<>:]+/)+[^\s/'\"`;,()<>:]*")
CANARY = "nobody-outside-may-read-this"


class Broken(AssertionError):
    """An answer that must not be."""


@dataclass(frozen=True)
class Rules:
    """The rules for one server. `folders` may be named in answers; `schemas` are the advertised results.

    `hidden` are ids of other people's tasks, which no result may show.
    """

    folders: Sequence[Path]
    schemas: Mapping[str, Schema | None]
    hidden: Sequence[str] = ()

    def check(self, call: Call, result: CallToolResult) -> None:
        """Raise `Broken` for the first rule an answer breaks."""
        text = "\n".join(block.text for block in result.content if block.type == "text")
        require(bool(text.strip()), call, "an answer without words", text)
        require(can_be_sent(text) and can_be_sent(result.structured_content), call, "half a character", text)
        require(CANARY not in text, call, "the content of a file outside", text)
        if result.is_error:
            self._check_refusal(call, text)
            return
        shown = result.structured_content or {}
        ids = {each.get("task_id") for each in (shown, *shown.get("tasks", ()))}
        require(ids.isdisjoint(self.hidden), call, "somebody else's task", text)
        if (schema := self.schemas[call.tool]) is not None:
            jsonschema.validate(result.structured_content, schema)

    def _check_refusal(self, call: Call, text: str) -> None:
        said = json.dumps(call.arguments, ensure_ascii=False)
        require(len(text) <= MOST_CHARACTERS, call, f"{len(text):,} characters", text[:500])
        odd = sorted({each for each in text if not each.isprintable() and each != "\n"})
        require(not odd, call, f"unprintable {odd[:5]}", text)
        for found in INSIDES.findall(ACCIDENTS.sub("", text)):
            require(found in said, call, f"our insides ({found})", text)
        for path in PATH.findall(text):
            known = path in said or any(Path(path).is_relative_to(folder) for folder in self.folders)
            require(known, call, f"a path that is none of the caller's ({path})", text)


def require(holds: bool, call: Call, what: str, text: str) -> None:
    """Raise `Broken` where something does not hold."""
    if not holds:
        raise Broken(f"{what} in the answer to {call!r}:\n{text[:1500]!r}")


def can_be_sent(value: Any) -> bool:
    """Whether it can be put on a wire as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True

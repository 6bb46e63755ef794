"""A provider's words in our messages: short, printable, without the key, and marked as somebody else's."""

from __future__ import annotations

import re
import unicodedata

MOST_CHARACTERS = 300
SECRET = re.compile(r"(?i)\b(bearer|token|key)\s+[A-Za-z0-9._~+/=-]{8,}|\b(?:sk|r8|hf)[-_][A-Za-z0-9_-]{8,}")
DATA = re.compile(r"data:[\w/+.-]*;base64,[A-Za-z0-9+/=]*")
QUERY = re.compile(r"(https?://[^\s\"'?<>]+)\?[^\s\"'<>]+")


def quoted(who: str, text: str, key: str | None = None) -> str:
    """`WaveSpeedAI says: "..."`. Control and direction marks are dropped, signatures and keys are blanked."""
    clean = cleaned(text, key)
    return f'{who} says: "{clean}"' if clean else f"{who} gives no reason"


def cleaned(text: str, key: str | None = None) -> str:
    """Text that can be shown anywhere, on one line."""
    if key:
        text = text.replace(key, "[key]")
    text = SECRET.sub("[key]", QUERY.sub(r"\1?...", DATA.sub("data:...", text[: MOST_CHARACTERS * 20])))
    printable = "".join(each if unicodedata.category(each)[0] != "C" else " " for each in text)
    line = " ".join(printable.replace('"', "'").split())
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 3] + "..."

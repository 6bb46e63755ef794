"""A provider's words in our messages: short, printable, without the key, and marked as somebody else's."""

from __future__ import annotations

import base64
import html
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

MOST_CHARACTERS = 300
READ_CHARACTERS = 20_000  # what comes after is not looked at
LONG_KEY = 16  # of a longer one its beginning is blanked too: the provider may have cut it
SHORTEST_FORM = 8  # of a shorter one there is too much in any text
SECRET = re.compile(
    r"(?i)\bbearer\s+[\w.~+/=-]{8,}"
    r"|\bbasic\s+(?=\S*(?-i:[a-z]\S*[A-Z0-9]))[\w+/=-]{8,}"
    r"|\b(?:api[-_ ]?key|token|key|secret|password)[\"']?\s*[:=]\s*[\"']?(?=[\w.~+/-]*\d)[\w.~+/=-]{8,}"
    r"|\b(?:token|key)\s+(?=[\w.~+/-]*\d)[\w.~+/=-]{12,}"
    r"|\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"
    r"|\b(?:sk|r8|hf)[-_][A-Za-z0-9_-]{8,}"
)
DATA = re.compile(r"data:[\w/+.;=-]*,[^\s\"'<>]*")
USER = re.compile(r"(https?://)[^\s/?#\"'<>]*@")
QUERY = re.compile(r"(https?://[^\s\"'?#<>]+)[?#][^\s\"'<>]+")
BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Characters that are letters or marks by their category, and that nobody sees (Unicode: Default_Ignorable)."""
REST_OF_KEY = r"(?:[\w.~+/=%\\-]|&#?\w+;?)*"


@dataclass(frozen=True)
class Quotation:
    """Quotes one provider, whose key is never shown."""

    who: str
    key: str | None = field(default=None, repr=False)

    def of(self, text: str) -> str:
        """See `quoted`."""
        return quoted(self.who, text, self.key)

    def cleaned(self, text: str, most: int = MOST_CHARACTERS) -> str:
        """See `cleaned`."""
        return cleaned(text, self.key, most)

    def holds_key(self, text: str) -> bool:
        """See `holds_key`."""
        return holds_key(text, self.key)


def quoted(who: str, text: str, key: str | None = None) -> str:
    """`WaveSpeedAI says: "..."`. Control and direction marks are dropped, signatures and keys are blanked."""
    clean = cleaned(text, key)
    return f'{who} says: "{clean}"' if clean else f"{who} gives no reason"


def cleaned(text: str, key: str | None = None, most: int = MOST_CHARACTERS) -> str:
    """Text that can be shown anywhere, on one line. What must not be shown is blanked before anything is cut."""
    text = DATA.sub("data:...", without_key(visible(text[:READ_CHARACTERS]), key))
    text = SECRET.sub("[key]", QUERY.sub(r"\1?...", USER.sub(r"\1", text)))
    line = " ".join(text.replace('"', "'").split())
    return line if len(line) <= most else line[: most - 3] + "..."


def visible(text: str) -> str:
    """Text without what nobody sees, which might hide a key. The end of a line becomes a space."""
    seen = (" " if each.isspace() else each for each in text if each.isspace() or unicodedata.category(each)[0] != "C")
    return BLANK.sub("", "".join(seen))


def without_key(text: str, key: str | None) -> str:
    """The text with the key blanked, however it is written, and also where only its first half is there."""
    if not key:
        return text
    for form in forms(key):
        text = re.sub(spelled(form), "[key]", text, flags=re.IGNORECASE)
        if len(form) > LONG_KEY:
            text = re.sub(spelled(form[:8]) + REST_OF_KEY, "[key]", text, flags=re.IGNORECASE)
    return text


def holds_key(text: str, key: str | None) -> bool:
    """Whether the whole key is in what cannot be shown with a gap in it, such as an id or an address.

    A short key is in many of those by chance: there the text has to be the key.
    """
    if not key or len(key) < SHORTEST_FORM:
        return bool(key) and text == key
    seen = visible(text)
    return any(re.search(spelled(form), seen, flags=re.IGNORECASE) for form in forms(key))


def forms(key: str) -> list[str]:
    """A key as providers and what is between write it: plain, in hexadecimal, in base64."""
    written = (key.encode().hex(), *in_base64(key))
    return list(dict.fromkeys((key, *(each for each in written if len(each) >= SHORTEST_FORM))))


def spelled(form: str) -> str:
    """A pattern for a text whose characters may be written as in URLs, JSON or HTML, each in its own way.

    It may have been wrapped: between two of them there may be a little space.
    """
    return r"\s{0,2}".join(map(ways, form))


@cache
def ways(character: str) -> str:
    """A pattern for every way to write a character."""
    number = ord(character)
    in_url = "".join(f"%{byte:02x}" for byte in character.encode())
    plain = {character, in_url, f"\\u{number:04x}", json.dumps(character)[1:-1], html.escape(character)}
    return f"(?:{'|'.join(map(re.escape, sorted(plain)))}|&#0*{number};?|&#x0*{number:x};?)"


def in_base64(key: str) -> Iterator[str]:
    """What of a key is surely in the base64 of a text that holds it: the letters at its ends depend on the text."""
    for before, unsure in ((0, 0), (1, 2), (2, 3)):
        whole = base64.b64encode(bytes(before) + key.encode()).decode().rstrip("=")[unsure:-1]
        yield whole
        yield whole.replace("+", "-").replace("/", "_")

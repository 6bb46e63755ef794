"""TOML as text: what it says, and edits that leave every other line as it is."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from keyframe_mcp.cli.install.jsontext import MARK, Unreadable, is_rows, is_table, newline_of, rows, table

Trail = tuple[str, ...]

QUOTED = r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\''
BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
HEADER = re.compile(rf"\[(?:{QUOTED}|[^\]\"'\n])*\]\]?", re.DOTALL)
NAME = re.compile(rf"(?:{QUOTED}|[^=\"'\n])+", re.DOTALL)
PART = re.compile(rf"{QUOTED}|#[^\n]*|[\[\]{{}}\n]|[^\"'#\[\]{{}}\n]+", re.DOTALL)
WHERE = re.compile(r"\(at line (\d+), column (\d+)\)|\(at end of document\)")
BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Statement:
    """A table's header, or a name with its value. `table` is the one it stands in, or begins."""

    start: int
    end: int
    table: Trail
    name: Trail = ()
    value: int = 0


def read(text: str) -> dict[str, Any]:
    """What a document says. Raises `Unreadable`."""
    try:
        return tomllib.loads(text.removeprefix(MARK))
    except tomllib.TOMLDecodeError as error:
        match = WHERE.search(str(error))
        at = offset(text, int(match[1]), int(match[2])) if match and match[1] else len(text)
        raise Unreadable(WHERE.sub("", str(error)).strip(), at) from None


def offset(text: str, line: int, column: int) -> int:
    """The place of a line and column, both from 1."""
    return sum(len(each) for each in text.splitlines(keepends=True)[: line - 1]) + column - 1


def statements(text: str) -> Iterator[Statement]:
    """Every statement, in order. The text is known to be TOML."""
    at, table = len(MARK) if text.startswith(MARK) else 0, Trail()
    while (at := past(BLANK, text, at)) < len(text):
        if text[at] == "[":
            end = past(HEADER, text, at)
            table = trail_of(text[at:end])
            yield Statement(at, end, table)
        else:
            equals = past(NAME, text, at)
            end = value_end(text, equals + 1)
            yield Statement(at, end, table, trail_of(f"{text[at:equals]} = 0"), equals + 1)
        at = end


def past(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Behind what a pattern matches."""
    match = pattern.match(text, at)
    if match is None or (match.end() == at and pattern is not BLANK):
        raise Unreadable("it is written in a way that is not understood here", at)
    return match.end()


def trail_of(statement: str) -> Trail:
    """The names that lead to what a statement of its own sets."""
    found: object = tomllib.loads(statement)
    trail: list[str] = []
    while inner := table(found):
        ((name, found),) = inner.items()
        trail.append(name)
    return (*trail, "[]") if is_rows(found) else tuple(trail)


def value_end(text: str, at: int) -> int:
    """Where a value ends that begins at a place."""
    depth, end = 0, at
    for part in PART.finditer(text, at):
        if part[0] == "\n" and depth == 0:
            break
        depth += (part[0] in "[{") - (part[0] in "]}")
        if part[0].strip() and not part[0].startswith("#"):
            end = part.start() + len(part[0].rstrip())
    return end


def put(text: str, trail: Trail, value: object) -> str:
    """The text with a value at a place. A table that is not there is added at the end."""
    *outer, name = trail
    inside = [each for each in statements(text) if each.table == tuple(outer)]
    if inside and len(trail) > 2:
        return assigned(text, inside, name, value)
    if is_table(value) and len(trail) <= 2:
        return appended(text, trail, table(value))
    return put(text, tuple(outer), table(looked_up(read(text), outer)) | {name: value})


def assigned(text: str, inside: list[Statement], name: str, value: object) -> str:
    """The text with one assignment changed, or added after the last of its table."""
    there = next((each for each in inside if each.name == (name,)), None)
    if there is not None:
        return f"{text[: there.value]} {rendered(value)}{text[there.end :]}"
    end = text.find("\n", inside[-1].end)
    end = len(text) if end < 0 else end
    line = f"{key(name)} = {rendered(value)}"
    newline = newline_of(text)
    head = text[:end].removesuffix("\r")
    return f"{head}{newline}{line}{text[len(head) :]}"


def appended(text: str, trail: Trail, values: Mapping[str, object]) -> str:
    """The text with a table at its end."""
    newline = newline_of(text)
    gap = "" if not text.strip(MARK + " \t\r\n") else newline if text.endswith("\n") else newline * 2
    lines = [f"[{'.'.join(map(key, trail))}]", *(f"{key(name)} = {rendered(each)}" for name, each in values.items())]
    return text + gap + newline.join(lines) + newline


def drop(text: str, trail: Trail) -> str:
    """The text without a table and the tables in it, or without one assignment."""
    every = list(statements(text))
    gone = [each for each in every if each.table[: len(trail)] == trail]
    gone += [each for each in every if each.name and (*each.table, *each.name) == trail]
    if not gone and looked_up(read(text), trail) is not None:
        around = table(looked_up(read(text), trail[:-1]))
        return put(text, trail[:-1], {name: each for name, each in around.items() if name != trail[-1]})
    for each in reversed(gone):
        text = without(text, each)
    return text


def without(text: str, gone: Statement) -> str:
    """The text without the lines of a statement, and without a blank line before a header."""
    start = text.rfind("\n", 0, gone.start) + 1
    end = text.find("\n", gone.end) + 1 or len(text)
    head = text[:start]
    if not gone.name and head.endswith(("\n\n", "\n\r\n")):
        head = head.removesuffix("\n").removesuffix("\r")
    return head + text[end:]


def looked_up(data: object, trail: Iterable[str]) -> object:
    """What is at a place, if anything."""
    for name in trail:
        data = table(data).get(name)
    return data


def key(name: str) -> str:
    """A name as TOML writes it."""
    return name if BARE.fullmatch(name) else rendered(name)


def rendered(value: object) -> str:
    """A value as TOML writes it, on one line."""
    if is_table(value):
        inner = ", ".join(f"{key(name)} = {rendered(each)}" for name, each in table(value).items())
        return f"{{ {inner} }}" if inner else "{}"
    if is_rows(value):
        return f"[{', '.join(map(rendered, rows(value)))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

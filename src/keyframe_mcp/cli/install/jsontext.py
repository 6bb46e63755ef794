"""JSON with comments as text: what it says, and edits that leave every other byte where it is."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

Key = str | int
Trail = tuple[Key, ...]

MARK = "\ufeff"
TRIVIA = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
COMMENT = re.compile(r"//|/\*")
STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
WORD = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
INDENT = re.compile(r'^([ \t]+)"', re.MULTILINE)
DEEPEST = 100


class Unreadable(ValueError):
    """Text that is not in the format, with where it stops being so (a character offset)."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True)
class Node:
    """A value: where it stands, and what it is. `children` is None for what has none."""

    start: int
    end: int
    plain: Any
    children: tuple[Child, ...] | None = None

    def child(self, key: Key) -> Child | None:
        """The member or item with that key; of two with one name the last, which is the one that counts."""
        return next((child for child in reversed(self.children or ()) if child.key == key), None)


@dataclass(frozen=True)
class Child:
    """A member of an object, or an item of an array; `start` is that of its key."""

    key: Key
    start: int
    node: Node


class Reader:
    """Reads one document. `strict` is JSON alone, without comments and trailing commas."""

    def __init__(self, text: str, *, strict: bool) -> None:
        self.text, self.strict = text, strict

    def document(self) -> Node:
        """The whole of it."""
        node = self.value(self.skip(len(MARK) if self.text.startswith(MARK) else 0), 0)
        end = self.skip(node.end)
        if end < len(self.text):
            raise Unreadable("there is more after the end", end)
        return node

    def skip(self, at: int) -> int:
        """Past spaces and comments."""
        match = TRIVIA.match(self.text, at)
        end = match.end() if match else at
        comment = COMMENT.search(self.text, at, end) if self.strict else None
        if comment:
            raise Unreadable("a comment, which this host's plain JSON cannot have", comment.start())
        return end

    def value(self, at: int, depth: int) -> Node:
        """Any value."""
        if depth > DEEPEST:
            raise Unreadable(f"it is nested deeper than {DEEPEST} levels", at)
        if self.text.startswith(("{", "["), at):
            return self.container(at, depth)
        match = STRING.match(self.text, at) or WORD.match(self.text, at)
        if match is None:
            raise Unreadable("a value was expected" if at < len(self.text) else "it ends too early", at)
        return Node(at, match.end(), json.loads(match[0]))

    def container(self, at: int, depth: int) -> Node:
        """An object or an array."""
        closing, children = "}" if self.text[at] == "{" else "]", list[Child]()
        here = self.skip(at + 1)
        while not self.text.startswith(closing, here):
            child = self.member(here, depth) if closing == "}" else self.item(here, len(children), depth)
            children.append(child)
            comma = here = self.skip(child.node.end)
            if self.text.startswith(",", comma):
                here = self.skip(comma + 1)
                if self.strict and self.text.startswith(closing, here):
                    raise Unreadable("a comma after the last one, which plain JSON cannot have", comma)
            elif not self.text.startswith(closing, here):
                raise Unreadable(f'"," or "{closing}" was expected', here)
        values = [child.node.plain for child in children]
        keys = [child.key for child in children]
        return Node(at, here + 1, dict(zip(keys, values, strict=True)) if closing == "}" else values, tuple(children))

    def member(self, at: int, depth: int) -> Child:
        """A key and its value."""
        key = STRING.match(self.text, at)
        if key is None:
            raise Unreadable("a name in double quotes was expected", at)
        colon = self.skip(key.end())
        if not self.text.startswith(":", colon):
            raise Unreadable('":" was expected', colon)
        return Child(json.loads(key[0]), at, self.value(self.skip(colon + 1), depth + 1))

    def item(self, at: int, index: int, depth: int) -> Child:
        """An item of an array."""
        return Child(index, at, self.value(at, depth + 1))


def read(text: str, *, strict: bool = False) -> object:
    """What a document says; one without anything in it is an empty object. Raises `Unreadable`."""
    return {} if is_empty(text) else Reader(text, strict=strict).document().plain


def table(value: object) -> dict[str, Any]:
    """A value that may be an object, as one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def is_table(value: object) -> bool:
    """Whether a value is an object. It says nothing about what is in it, so a type checker learns nothing."""
    return isinstance(value, dict)


def is_rows(value: object) -> bool:
    """Whether a value is a list."""
    return isinstance(value, list)


def rows(value: object) -> list[Any]:
    """A value that may be a list, as one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def is_empty(text: str) -> bool:
    """Whether there is nothing but spaces and comments. Some hosts create their file so."""
    bare = text.removeprefix(MARK)
    match = TRIVIA.match(bare)  # not fullmatch, which would stretch a comment to the end of another
    return match is not None and match.end() == len(bare)


def put(text: str, trail: Trail, value: object) -> str:
    """The text with a value at a place, which is made if need be. An index after the last appends."""
    if is_empty(text):
        body = rendered(nested(trail, value), "", "  ", newline_of(text))
        return (text.rstrip() + newline_of(text) if text.strip(MARK + " \t\r\n") else text.rstrip()) + body + "\n"
    node = Reader(text, strict=False).document()
    for depth, key in enumerate(trail):
        child = node.child(key)
        if child is None:
            return inserted(text, node, key, nested(trail[depth + 1 :], value))
        node = child.node
    return (
        text[: node.start]
        + rendered(value, line_indent(text, node.start), unit_of(text), newline_of(text))
        + (text[node.end :])
    )


def drop(text: str, trail: Trail) -> str:
    """The text without what is at a place, and without the comma and the line that were its own."""
    if is_empty(text):
        return text
    node = parent = Reader(text, strict=False).document()
    gone: Child | None = None
    for key in trail:
        parent, gone = node, node.child(key)
        if gone is None:
            return text
        node = gone.node
    return text if gone is None else without(text, parent, gone)


def without(text: str, parent: Node, gone: Child) -> str:
    """The text without one child."""
    children = parent.children or ()
    after = Reader(text, strict=False).skip(gone.node.end)
    cuts = [whole_line(text, gone.start, gone.node.end)]
    if text.startswith(",", after):
        cuts = [whole_line(text, gone.start, after + 1)] if after == gone.node.end else [*cuts, (after, after + 1)]
    elif children.index(gone):
        comma = Reader(text, strict=False).skip(children[children.index(gone) - 1].node.end)
        cuts = [(comma, comma + 1), *cuts]
    for start, end in sorted(cuts, reverse=True):
        text = text[:start] + text[end:]
    return text


def whole_line(text: str, start: int, end: int) -> tuple[int, int]:
    """A span, with the line break and indentation before it if it has its lines to itself."""
    before, after = text[:start].rstrip(" \t"), text[end:].lstrip(" \t")
    if before.endswith("\n") and after.startswith(("\n", "\r\n", "}", "]")):
        return len(before.removesuffix("\n").removesuffix("\r")), end
    return start, end


def nested(trail: Trail, value: object) -> object:
    """A value inside the objects and arrays that lead to it."""
    for key in reversed(trail):
        value = [value] if isinstance(key, int) else {key: value}
    return value


def inserted(text: str, node: Node, key: Key, value: object) -> str:
    """The text with one more child at the end of a container. Nothing that is there moves."""
    if node.children is None or isinstance(node.plain, dict) is not isinstance(key, str):
        raise Unreadable(f"it is not {'an object' if isinstance(key, str) else 'a list'}", node.start)
    close, newline, unit = node.end - 1, newline_of(text), unit_of(text)
    end = len(text[:close].rstrip(" \t\r\n"))
    base = line_indent(text, node.start)
    own = own_line(text, node.children)
    indent = own if own is not None else base + unit
    label = f"{json.dumps(key, ensure_ascii=False)}: " if isinstance(key, str) else ""
    spread = own is not None or not node.children or "//" in text[node.children[-1].node.end : end]
    made = label + (rendered(value, indent, unit, newline) if spread else json.dumps(value, ensure_ascii=False))
    tail = text[end:close] if "\n" in text[end:close] or not spread else newline + base
    return with_comma(text[:end], node.children) + (newline + indent if spread else " ") + made + tail + text[close:]


def with_comma(head: str, children: Sequence[Child]) -> str:
    """The text up to the last child and its comments, with a comma after that child."""
    if not children:
        return head
    last = children[-1].node.end
    match = TRIVIA.match(head, last)
    has_one = match is not None and head.startswith(",", match.end())
    return head if has_one else head[:last] + "," + head[last:]


def own_line(text: str, children: Sequence[Child]) -> str | None:
    """The indentation of children that have lines of their own; None when they share one."""
    if not children:
        return None
    line = text[text.rfind("\n", 0, children[0].start) + 1 : children[0].start]
    return line if not line.strip(" \t") and "\n" in text[: children[0].start] else None


def rendered(value: object, indent: str, unit: str, newline: str) -> str:
    """A value as it would stand in a file indented so."""
    lines = json.dumps(value, indent=unit, ensure_ascii=False).split("\n")
    return (newline + indent).join(lines)


def line_indent(text: str, at: int) -> str:
    """How far the line of a place is indented."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def unit_of(text: str) -> str:
    """One step of indentation, as this file has it."""
    match = INDENT.search(text)
    return match[1] if match else "  "


def newline_of(text: str) -> str:
    """How this file ends its lines."""
    return "\r\n" if "\r\n" in text else "\n"

"""Brings an entry into a file's text, and proves that nothing else changed before anybody writes it."""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keyframe_mcp.cli.install import jsontext, tomltext
from keyframe_mcp.cli.install.entries import NAME, Entry, questions
from keyframe_mcp.cli.install.hosts import Host
from keyframe_mcp.cli.install.jsontext import Key, Unreadable, is_rows, is_table, rows, table
from keyframe_mcp.cli.install.variables import shown
from keyframe_mcp.errors import UnusableHostFile

ASKED = "inputs"
GONE = object()


@dataclass(frozen=True)
class Document:
    """A file of a host, as text."""

    host: Host
    where: str
    text: str

    def data(self) -> dict[str, Any]:
        """What it says. Raises `UnusableHostFile`, with line and column."""
        try:
            strict = self.host.form == "json"
            found = tomltext.read(self.text) if self.toml else jsontext.read(self.text, strict=strict)
        except Unreadable as error:
            raise self.broken(error) from None
        if not is_table(found):
            raise UnusableHostFile(f"{self.where} holds no object at its top; nothing was changed")
        return table(found)

    @property
    def toml(self) -> bool:
        """Which of the two formats that are written."""
        return self.host.form == "toml"

    def broken(self, error: Unreadable) -> UnusableHostFile:
        """The error for a text that is not in the format."""
        line = self.text.count("\n", 0, error.at) + 1
        column = error.at - self.text.rfind("\n", 0, error.at)
        return UnusableHostFile(
            f"{self.where}, line {line}, column {column}: {error}. Nothing was changed; mend that and run this again."
        )

    def entry(self) -> Entry | None:
        """What it says about this server, if anything."""
        found = servers(self).get(NAME)
        return table(found) if is_table(found) else None

    def put(self, trail: tuple[Key, ...], value: object) -> Document:
        """With a value at a place."""
        return self.edited(trail, value)

    def edited(self, trail: tuple[Key, ...], value: object) -> Document:
        """With a value at a place, or without it."""
        names = tuple(map(str, trail))
        try:
            if self.toml:
                text = tomltext.drop(self.text, names) if value is GONE else tomltext.put(self.text, names, value)
            else:
                text = jsontext.drop(self.text, trail) if value is GONE else jsontext.put(self.text, trail, value)
        except Unreadable as error:
            raise self.broken(error) from None
        return Document(self.host, self.where, text)


def installed(document: Document, entry: Entry) -> Document:
    """The document with the entry, part by part, so that comments inside it stay too."""
    place, old = (*document.host.within, NAME), document.entry()
    done = document
    if old is None:
        done = done.put(place, entry)
    else:
        for trail, value in changes(old, entry):
            done = done.edited((*place, *trail), value)
    if document.host.asks:
        done = with_questions(done, questions(document.host, entry))
    return proved(document, done, entry)


def removed(document: Document) -> Document:
    """The document without the entry."""
    done = document.edited((*document.host.within, NAME), GONE) if NAME in servers(document) else document
    if document.host.asks:
        for index in reversed(own_questions(done)):
            done = done.edited((ASKED, index), GONE)
    return proved(document, done, None)


def servers(document: Document) -> dict[str, Any]:
    """Every server a document has."""
    found: object = document.data()
    for name in document.host.within:
        found = table(found).get(name)
    return table(found)


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Sequence[tuple[tuple[str, ...], object]]:
    """What to do to turn one entry into another: places, and values or `GONE`."""
    found: list[tuple[tuple[str, ...], object]] = [((name,), GONE) for name in old if name not in new]
    for name, value in new.items():
        before = table(old.get(name))
        if before and is_table(value):
            found += [((name, *trail), each) for trail, each in changes(before, table(value))]
        elif name not in old or not same(old[name], value):
            found.append(((name,), value))
    return found


def same(one: object, other: object) -> bool:
    """Whether two values are one in a file: true is not 1 there."""
    return json.dumps(one, sort_keys=True, default=str) == json.dumps(other, sort_keys=True, default=str)


def with_questions(document: Document, asked: Sequence[Entry]) -> Document:
    """The document with the questions that are not in it yet."""
    there = rows(document.data().get(ASKED))
    known = {table(each).get("id") for each in there}
    for index, each in enumerate([each for each in asked if each["id"] not in known]):
        document = document.put((ASKED, len(there) + index), each)
    return document


def own_questions(document: Document) -> Sequence[int]:
    """Where our questions stand."""
    return [at for at, each in enumerate(rows(document.data().get(ASKED))) if is_ours(each)]


def is_ours(question: object) -> bool:
    """Whether a question was asked by us."""
    return str(table(question).get("id", "")).startswith(f"{NAME}-")


def proved(before: Document, after: Document, entry: Entry | None) -> Document:
    """The second document, if it says what the first did, and the entry. Raises `UnusableHostFile`."""
    try:
        said = after.data()
    except UnusableHostFile:
        said = None
    if said is None or not same(others(before.data(), before.host), others(said, before.host)):
        raise unsafe(before)
    if after.entry() != entry:
        raise unsafe(before)
    return after


def others(data: Mapping[str, Any], host: Host) -> dict[str, Any]:
    """All of a document but our part of it, and what we may have had to make around that."""
    rest = copy.deepcopy(dict(data))
    around = [rest]
    for name in host.within:
        around.append(table(around[-1].get(name)))
    around[-1].pop(NAME, None)
    for name, outer, inner in reversed(list(zip(host.within, around[:-1], around[1:], strict=True))):
        if not inner and is_table(outer.get(name)):
            del outer[name]
    if host.asks and is_rows(rest.get(ASKED)):
        rest[ASKED] = [each for each in rows(rest[ASKED]) if not is_ours(each)]
        rest = rest if rest[ASKED] else {name: each for name, each in rest.items() if name != ASKED}
    return rest


def unsafe(document: Document) -> UnusableHostFile:
    """The error for a file whose form is beyond us."""
    return UnusableHostFile(
        f"{document.where} is written in a way that cannot be changed here without touching the rest. "
        "Nothing was changed; run this again with --print, and put what it shows there by hand."
    )


def difference(before: Document, after: Document) -> str:
    """What changes, as a diff of our part alone: the rest of the file is nobody's business here."""
    old, new = (
        [] if (entry := each.entry()) is None else snippet(each.host, entry).split("\n") for each in (before, after)
    )
    lines = list(difflib.unified_diff(old, new, before.where, after.where, lineterm="", n=1))
    return "\n".join(lines or [f"{before.where}: a value that is not shown here changes."])


def snippet(host: Host, entry: Mapping[str, Any]) -> str:
    """An entry as it stands in a file of that host, without its secrets."""
    safe = shown(entry)
    if host.form == "toml":
        return tomltext.put("", (*host.within, NAME), safe).rstrip()
    data: dict[str, Any] = {NAME: safe}
    for name in reversed(host.within):
        data = {name: data}
    if host.form == "yaml":
        return "\n".join(yaml_lines(data))
    asked = questions(host, entry) if host.asks else []
    return json.dumps(data | {ASKED: asked} if asked else data, indent=2, ensure_ascii=False)


def yaml_lines(data: Mapping[str, Any], indent: str = "") -> Sequence[str]:
    """An entry in YAML: a block of names, and values as JSON writes them, which YAML reads."""
    lines: list[str] = []
    for name, value in data.items():
        if inner := table(value):
            lines += [f"{indent}{name}:", *yaml_lines(inner, indent + "  ")]
        else:
            lines.append(f"{indent}{name}: {json.dumps(value, ensure_ascii=False)}")
    return lines

"""Edits of JSON and TOML as text, on documents nobody thought of: nothing but the entry changes."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyframe_mcp.cli.install import jsontext, tomltext
from keyframe_mcp.cli.install.hosts import HOSTS
from keyframe_mcp.cli.install.jsontext import Unreadable
from keyframe_mcp.cli.install.merging import Document, installed, removed

ENTRY = {"command": "/opt/k", "args": ["a b", 'quote " and \\'], "env": {"KEYFRAME_TOOLSET": "core", "É": "ü\t"}}
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=6)
NAMES = st.one_of(TEXTS, st.sampled_from(["mcpServers", "mcp", "servers", "inputs", "env", "a"]))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
TRIVIA = st.lists(st.sampled_from([" ", "\n", "\t", "\r\n", '// é {"\n', "/* , } */", ""]), max_size=2).map("".join)
QUICK = settings(max_examples=40, deadline=None, database=None)


@st.composite
def documents(draw: Callable[..., Any]) -> tuple[dict[str, Any], str]:
    """A document and a text that says it, with spaces, comments and commas where some editors put them."""
    servers = draw(st.dictionaries(NAMES.filter(lambda name: name != "keyframe"), VALUES, max_size=3))
    document = draw(st.dictionaries(NAMES.filter(lambda name: name != "mcpServers"), VALUES, max_size=3))
    if draw(st.booleans()):
        document["mcpServers"] = servers
    return document, draw(TRIVIA) + spread(document, draw) + draw(TRIVIA)


def spread(value: object, draw: Callable[..., Any]) -> str:
    """A value with trivia between its parts."""
    if isinstance(value, dict):
        parts = [
            draw(TRIVIA)
            + json.dumps(name, ensure_ascii=draw(st.booleans()))
            + draw(TRIVIA)
            + ":"
            + draw(TRIVIA)
            + inner
            for name, inner in ((name, spread(each, draw)) for name, each in value.items())
        ]
        return "{" + joined(parts, draw) + draw(TRIVIA) + "}"
    if isinstance(value, list):
        return "[" + joined([draw(TRIVIA) + spread(each, draw) for each in value], draw) + draw(TRIVIA) + "]"
    return json.dumps(value, ensure_ascii=False)


def joined(parts: list[str], draw: Callable[..., Any]) -> str:
    ends = [part + draw(TRIVIA) for part in parts]
    return ",".join(ends) + ("," if ends and draw(st.booleans()) else "")


def is_within(old: str, new: str) -> bool:
    """Whether everything of one text but spaces is in another, in order."""
    rest = iter(new)
    return all(letter in rest for letter in "".join(old.split()))


@QUICK
@given(documents())
def test_adding_to_any_json_keeps_every_character_and_taking_out_brings_the_old_back(drawn: tuple[dict[str, Any], str]):
    document, text = drawn
    before = Document(HOSTS["gemini-cli"], "settings.json", text)
    assert json.dumps(before.data()) == json.dumps(document)

    after = installed(before, ENTRY)

    assert after.entry() == ENTRY
    assert is_within(text.rstrip(), after.text)
    again = removed(after)
    assert {name: each for name, each in again.data().items() if name != "mcpServers" or each} == {
        name: each for name, each in document.items() if name != "mcpServers" or each
    }
    assert sorted(re.findall(r"// é|/\* , } \*/", again.text)) == sorted(re.findall(r"// é|/\* , } \*/", text))


@QUICK
@given(documents(), st.dictionaries(st.sampled_from(["command", "args", "env", "timeout"]), SCALARS, max_size=3))
def test_changing_an_entry_in_any_json_changes_nothing_else(drawn: tuple[dict[str, Any], str], other: dict[str, Any]):
    start = installed(Document(HOSTS["gemini-cli"], "settings.json", drawn[1]), ENTRY)

    changed = installed(start, other)

    assert changed.entry() == other
    assert installed(changed, other).text == changed.text
    assert removed(changed).data() == removed(start).data()


LINES = st.sampled_from(
    [
        "# [mcp_servers.keyframe]",
        'a = "[mcp_servers.keyframe]" # b',
        "b = [\n  1, # ]\n  [2],\n]",
        "c = '''\n[mcp_servers.keyframe]\n'''",
        'd = """\n\\""" [x]\n"""',
        "e = { f = { g = 1 } }",
        "",
    ]
)
TABLES = st.sampled_from(
    [
        "[mcp_servers.other]",
        "[mcp_servers.other.env]",
        '[mcp_servers."key.frame"]',
        "[ profiles . x ] # y",
        "[[list]]",
        "[[list]] # again",
    ]
)


@st.composite
def toml_texts(draw: Callable[..., Any]) -> str:
    head = draw(st.lists(LINES, unique=True, max_size=4))
    tables = draw(st.lists(TABLES, unique=True, max_size=4))
    lines = [*head, *(line for table in tables for line in (table, *draw(st.lists(LINES, unique=True, max_size=3))))]
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    return newline.join("\n".join(lines).split("\n")) + draw(st.sampled_from(["", newline]))


@QUICK
@given(toml_texts())
def test_adding_to_any_toml_keeps_every_line_and_taking_out_brings_the_old_back(text: str):
    before = Document(HOSTS["codex"], "config.toml", text)

    after = installed(before, ENTRY)

    assert tomllib.loads(after.text)["mcp_servers"]["keyframe"] == ENTRY
    assert after.text.startswith(text)
    assert removed(after).text.split() == text.split()


@pytest.mark.parametrize(
    "text",
    [
        (
            '[mcp_servers.keyframe]\ncommand = "a" # why\nargs = [\n  "b", # c\n]\n'
            '[mcp_servers.keyframe.env]\nA = "1" # d\n[x]\ny = 1\n'
        ),
        '[mcp_servers."keyframe"]\ncommand = "a" # why\nenv = { A = "1" } # d\n# c\n[x]\ny = 1\n',
    ],
)
def test_a_toml_entry_of_any_form_is_changed_in_place(text: str):
    before = Document(HOSTS["codex"], "config.toml", text)

    after = installed(before, {"command": "b", "env": {"A": "1", "B": "2"}, "enabled": True})

    assert after.entry() == {"command": "b", "env": {"A": "1", "B": "2"}, "enabled": True}
    assert 'command = "b" # why\n' in after.text
    assert "# d" in after.text
    assert tomllib.loads(removed(after).text) == {"x": {"y": 1}} or removed(after).data()["x"] == {"y": 1}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{}", '{\n  "a": {\n    "b": 1\n  }\n}'),
        ('{"c": 2}', '{"c": 2, "a": {"b": 1}}'),
        ('{\n\t"c": 2\n}\n', '{\n\t"c": 2,\n\t"a": {\n\t\t"b": 1\n\t}\n}\n'),
        ('{\n    "c": 2, // d\n}\n', '{\n    "c": 2, // d\n    "a": {\n        "b": 1\n    }\n}\n'),
        ("{ // d\r\n}\r\n", '{ // d\r\n  "a": {\r\n    "b": 1\r\n  }\r\n}\r\n'),
        ('/* d */{"c": 2}/* e */', '/* d */{"c": 2, "a": {"b": 1}}/* e */'),
        ("// only this\n", '// only this\n{\n  "a": {\n    "b": 1\n  }\n}\n'),
    ],
)  # fmt: skip
def test_what_is_added_looks_like_the_rest_of_the_file(old: str, new: str):
    assert jsontext.put(old, ("a", "b"), 1) == new


@pytest.mark.parametrize("text", ['{"a" 1}', "{1: 2}", "[1 2]", '"\n"', "{'a': 1}", "nul", "01", "", "{} {}", '"\\x"'])
def test_what_is_not_json_is_not_read(text: str):
    with pytest.raises(Unreadable):
        jsontext.Reader(text, strict=False).document()


def test_the_place_of_a_mistake_in_toml_is_that_of_its_parser():
    with pytest.raises(Unreadable) as caught:
        tomltext.read("a = 1\nb = \n")

    assert caught.value.at == len("a = 1\nb = ")

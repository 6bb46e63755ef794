"""Whether the documentation hangs together: links, languages, and the words of errors it explains."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from keyframe_mcp.docs.site import FAR, LINK, NAVIGATION, Layout, parted, settings, spaced, stage

ROOT = Path(__file__).parent.parent
ENGLISH, CHINESE = (ROOT / name for name in ("README.md", "README.zh-CN.md"))


def tree(folder: Path, **pages: str) -> Path:
    """A small project: `docs__guide` is docs/guide.md."""
    for name, text in {"README": "# Home\n", **pages}.items():
        path = folder / f"{name.replace('__', '/')}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def test_links_lead_from_page_to_page_wherever_a_page_is_put(tmp_path: Path):
    root = tree(
        tmp_path,
        README="[one](docs/one.md#part) [hosts](docs/hosts/) [far](https://example.com/a.md)\n",
        docs__one="[home](../README.md) ![seen](images/a.png) [here](#part)\n",
        docs__hosts__README="[cursor](cursor.md) [home](../../README.md#top)\n",
        docs__hosts__cursor="[index](README.md)\n",
    )
    (root / "docs" / "images").mkdir()
    (root / "docs" / "images" / "a.png").write_bytes(b"png")
    stage(root, tmp_path / "laid")

    pages = tmp_path / "laid" / "pages"
    home = (pages / "index.md").read_text("utf-8")
    assert home == "[one](one.md#part) [hosts](hosts/index.md) [far](https://example.com/a.md)\n"
    assert (pages / "one.md").read_text("utf-8") == "[home](index.md) ![seen](images/a.png) [here](#part)\n"
    assert (pages / "hosts" / "index.md").read_text("utf-8") == "[cursor](cursor.md) [home](../index.md#top)\n"
    assert (pages / "hosts" / "cursor.md").read_text("utf-8") == "[index](index.md)\n"
    assert (pages / "images" / "a.png").read_bytes() == b"png"


def test_every_link_that_leads_nowhere_is_named_and_nothing_is_written(tmp_path: Path):
    root = tree(tmp_path, docs__one="[gone](gone.md) [out](../../secret.md)\n```\n[code](never.md)\n```\n")

    with pytest.raises(click.ClickException) as caught:
        stage(root, tmp_path / "laid")
    assert str(caught.value).splitlines() == [
        "docs/one.md: gone.md is not there",
        "docs/one.md: ../../secret.md is not there",
    ]
    assert not (tmp_path / "laid").exists()


def test_a_picture_from_elsewhere_is_words_so_that_a_reader_s_browser_asks_nobody(tmp_path: Path):
    root = tree(tmp_path, docs__one="[![Add to Cursor](https://example.com/badge.svg)](https://example.com/add)\n")
    stage(root, tmp_path / "laid")

    assert (tmp_path / "laid" / "pages" / "one.md").read_text("utf-8") == "[Add to Cursor](https://example.com/add)\n"


def test_a_page_that_came_later_has_a_place_and_one_that_is_nowhere_is_refused(tmp_path: Path):
    layout = Layout.of(tree(tmp_path, docs__newcomer="", docs__tools=""))
    assert '"newcomer.md"' in settings(layout)
    assert [title for title, _ in layout.sections()] == ["Start", "Guides", "Reference"]

    lost = Layout.of(tree(tmp_path, docs__deep__below=""))
    with pytest.raises(click.ClickException, match=r"docs/deep/below\.md"):
        list(lost.sections())


def test_a_list_right_below_a_line_is_a_list_for_both_readers():
    assert spaced("Some:\n* one\n* two\n  more\n* three") == "Some:\n\n* one\n* two\n    more\n* three"
    assert [is_code for is_code, _ in parted("a\n```sh\nb\n```\nc\n")] == [False, True, False]


def test_what_belongs_to_an_item_stands_where_both_readers_look_for_it():
    assert spaced("1. one\n\n   | a |\n   |---|\n\n   more\n2. two\n\nafter") == (
        "1. one\n\n    | a |\n    |---|\n\n    more\n\n2. two\n\nafter"
    )


def test_a_diagram_of_states_is_a_table_in_the_site(tmp_path: Path):
    diagram = "```mermaid\nstateDiagram-v2\n    [*] --> queued\n    queued --> failed\n    failed --> [*]\n```\n"
    stage(tree(tmp_path, docs__one=diagram), tmp_path / "laid")

    assert (tmp_path / "laid" / "pages" / "one.md").read_text("utf-8") == (
        "| From | To |\n|---|---|\n| (new) | queued |\n| queued | failed |\n| failed | - |\n"
    )


def test_every_page_there_is_has_a_place_in_the_site():
    named = {name for names in NAVIGATION.values() for name in names}
    placed = [name for _, names in Layout.of(ROOT).sections() for name in names]

    assert sorted(placed) == sorted(Layout.of(ROOT).pages)
    assert ENGLISH.name in named
    assert CHINESE.name in named


def bones(path: Path) -> dict[str, list[str]]:
    """What two languages must have in common: headings by depth, commands, pictures, links and tables."""
    text = path.read_text("utf-8")
    code = [part for is_code, part in parted(text) if is_code]
    prose = "".join(part for is_code, part in parted(text) if not is_code)
    targets = [match["target"] for match in LINK.finditer(prose)]
    return {
        "headings": re.findall(r"^#+", prose, re.MULTILINE),
        "commands": [line.partition("  #")[0].rstrip() for part in code for line in part.splitlines()],
        "words of code": sorted(set(re.findall(r"`([^`\n]+)`", prose))),
        "near links": [each for each in targets if not FAR.match(each) and each not in (ENGLISH.name, CHINESE.name)],
        "far links": [each for each in targets if FAR.match(each)],
        "cells": [str(line.count("|")) for line in prose.splitlines() if line.startswith("|")],
        "bullets": re.findall(r"^\*(?= )", prose, re.MULTILINE),
        "blocks": [name.removesuffix("-zh") for name in re.findall(r"begin generated: ([a-z-]+)", prose)],
    }


@pytest.mark.parametrize("bone", list(bones(ENGLISH)))
def test_both_languages_of_the_front_page_say_the_same(bone: str):
    assert bones(CHINESE)[bone] == bones(ENGLISH)[bone]


def test_the_languages_of_the_front_page_lead_to_each_other():
    assert f"]({CHINESE.name})" in ENGLISH.read_text("utf-8")
    assert f"]({ENGLISH.name})" in CHINESE.read_text("utf-8")


def said() -> str:
    """Every text in the code, with `...` for what is filled in."""
    return "\n".join(text for path in (ROOT / "src").rglob("*.py") for text in texts(path))


def texts(path: Path) -> Iterator[str]:
    """The strings of a module."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_every_error_that_is_explained_is_one_that_is_raised():
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    explained = re.findall(r"^## `(.+)`$", page, re.MULTILINE)
    everything = said()

    assert len(explained) >= 8
    for text in explained:
        parts = [part.strip() for part in text.split("...") if part.strip()]
        assert all(part in everything for part in parts), text

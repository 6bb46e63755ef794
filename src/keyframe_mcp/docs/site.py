"""`python -m keyframe_mcp.docs.site`: the documentation as a website, from the same Markdown that is read on its own.

The pages are laid out in a folder of their own, where the README is the front page and every link leads from page to
page; then Zensical, which knows nothing of us, makes HTML of them. Nothing is fetched, by it or by a reader's browser.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import click

STAGE, SITE = ".site", "site"
HOME = "README.md"

NAVIGATION: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "Start": (HOME, "README.zh-CN.md", "docs/troubleshooting.md"),
        "Hosts": ("docs/hosts/README.md", "docs/hosts/*.md", "docs/clients.md"),
        "Guides": (
            "docs/films.md",
            "docs/money.md",
            "docs/http.md",
            "docs/webhooks.md",
            "docs/observability.md",
            "docs/docker.md",
            "docs/catalogue.md",
            "docs/*.md",
        ),
        "Reference": ("docs/tools.md", "docs/providers.md", "docs/reference.md", "docs/local-renderer.md"),
        "Design": (
            "docs/architecture.md",
            "docs/decisions.md",
            "docs/reliability.md",
            "docs/performance.md",
            "docs/conformance.md",
            "SECURITY.md",
            "CONTRIBUTING.md",
        ),
        "Changes": ("CHANGELOG.md",),
    }
)
"""Sections and their pages, as paths from the root. A star stands for those that are named nowhere else."""
TITLES: Mapping[str, str] = MappingProxyType({HOME: "Home", "README.zh-CN.md": "简体中文", "CHANGELOG.md": "Changelog"})
"""Where a page's own heading is not what it should be called in the navigation."""

LINK = re.compile(r"(?P<mark>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\]|!\[[^\]]*\]\([^)]*\))*)\]\((?P<target>[^()\s]+)\)")
FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})", re.MULTILINE)
FAR = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
ITEM = re.compile(r"\s*([*+-]|\d+[.])\s+(?=\S)")
ARROW = re.compile(r"^\s*(\S+) --> (\S+)$", re.MULTILINE)

STYLE = """\
:root { --md-primary-fg-color: #7a3b12; --md-accent-fg-color: #b4540a; }
[data-md-color-scheme="slate"] { --md-typeset-a-color: #e39a5f; --md-accent-fg-color: #f2b27f; }
.md-typeset table:not([class]) { font-size: .68rem; }
.md-typeset table:not([class]) :is(th, td) { padding: .5em .9em; }
.md-typeset table:not([class]) td > code { overflow-wrap: anywhere; }
.md-typeset pre > code { font-size: .72em; }
"""


class DeadLink(click.ClickException):
    """A page leads to what is not there."""


@dataclass(frozen=True)
class Layout:
    """Where every page of the tree stands in the site."""

    root: Path
    pages: Mapping[str, str]
    """From its path in the tree to its path in the site."""

    @classmethod
    def of(cls, root: Path) -> Layout:
        """The pages there are now."""
        found = [path.relative_to(root).as_posix() for path in sorted((root / "docs").rglob("*.md"))]
        own = [name for names in NAVIGATION.values() for name in names if "/" not in name and (root / name).exists()]
        return cls(root, {name: placed(name) for name in (*own, *found)})

    def sections(self) -> Iterator[tuple[str, Sequence[str]]]:
        """The navigation: sections with the pages there are. Raises `DeadLink` for a page that is in none."""
        named = {name for names in NAVIGATION.values() for name in names}
        left = [name for name in self.pages if name not in named]
        for title, names in NAVIGATION.items():
            there: list[str] = []
            for name in names:
                folder = name.removesuffix("*.md")
                starred = [each for each in left if "*" in name and str(PurePosixPath(each).parent) + "/" == folder]
                there += starred or [name] * (name in self.pages)
            if there:
                yield title, there
        reached = {name.removesuffix("*.md") for name in named if "*" in name}
        if lost := [name for name in left if str(PurePosixPath(name).parent) + "/" not in reached]:
            raise DeadLink(f"no section of the site has a place for {', '.join(lost)}")


def placed(name: str) -> str:
    """The path of a page in the site."""
    path = PurePosixPath(name.removeprefix("docs/"))
    if name == HOME:
        return "index.md"
    if path.name == "README.md":
        return str(path.with_name("index.md"))
    return str(path) if name.startswith("docs/") else name.lower()


def stage(root: Path, folder: Path) -> Sequence[Path]:
    """Lay the pages and the pictures out. Raises `DeadLink` for every link that leads nowhere, together."""
    layout, dead, files = Layout.of(root), list[str](), set[str]()
    pages = {placed_at: staged(name, layout, files, dead) for name, placed_at in layout.pages.items()}
    if dead:
        raise DeadLink("\n".join(dead))
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in pages.items():
        write(folder / "pages" / name, text)
    for name in files:
        to = folder / "pages" / name.removeprefix("docs/")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, to)
    write(folder / "pages" / "assets" / "site.css", STYLE)
    write(folder / "zensical.toml", settings(layout))
    return [folder / "pages" / name for name in pages]


def write(path: Path, text: str) -> None:
    """Write a file, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def staged(name: str, layout: Layout, files: set[str], dead: list[str]) -> str:
    """A page as the site has it. Files it shows are added to `files`, links that lead nowhere to `dead`."""
    text = (layout.root / name).read_text("utf-8")

    def turned(match: re.Match[str]) -> str:
        inner = LINK.sub(turned, match["text"])
        if FAR.match(match["target"]):
            return match["text"] if match["mark"] else f"[{inner}]({match['target']})"
        where = turn(match["target"], name, layout, files)
        if where is None:
            dead.append(f"{name}: {match['target']} is not there")
        return f"{match['mark']}[{inner}]({where or match['target']})"

    return "".join(code(part) if is_code else spaced(LINK.sub(turned, part)) for is_code, part in parted(text))


def code(part: str) -> str:
    """What stands between fences, as it is; but for diagrams."""
    return without_arrows(part) if part.startswith("```mermaid\n") and "stateDiagram" in part else part


def turn(target: str, name: str, layout: Layout, files: set[str]) -> str | None:
    """Where a link of a page leads in the site; None when it leads nowhere."""
    path, _, anchor = target.partition("#")
    if not path:
        return target
    wanted = os.path.normpath(PurePosixPath(name).parent / path).replace(os.sep, "/")
    wanted = f"{wanted}/README.md" if f"{wanted}/README.md" in layout.pages else wanted
    if wanted not in layout.pages:
        if wanted.startswith("..") or not (layout.root / wanted).is_file():
            return None
        files.add(wanted)
    there = layout.pages.get(wanted, wanted.removeprefix("docs/"))
    here = PurePosixPath(layout.pages[name]).parent
    return os.path.relpath(there, here).replace(os.sep, "/") + (f"#{anchor}" if anchor else "")


def parted(text: str) -> Iterator[tuple[bool, str]]:
    """The text in parts: code between fences, and what is not."""
    is_code, fence, lines = False, "", list[str]()
    for line in text.splitlines(keepends=True):
        mark = FENCE.match(line)
        opens = mark is not None and not is_code
        closes = mark is not None and is_code and mark[2].startswith(fence) and not line.strip().strip(fence[0])
        if opens and mark:
            yield False, "".join(lines)
            is_code, fence, lines = True, mark[2], [line]
        elif closes:
            yield True, "".join([*lines, line])
            is_code, lines = False, []
        else:
            lines.append(line)
    yield is_code, "".join(lines)


def spaced(text: str) -> str:
    """What GitHub understands and Python-Markdown does not.

    That is a list right below a line, what belongs to an item standing below its first letter instead of four in, and
    Markdown inside HTML.
    """
    lines, width, is_loose = list[str](), 0, False
    for line in text.split("\n"):
        item = ITEM.match(line)
        if item and not line.startswith(" "):
            lines += [""] if (is_loose or not width) and lines and lines[-1].strip() else []
            width, is_loose = item.end(), is_loose and width > 0
        elif line.strip() and not line.startswith(" " * width):
            width = 0
        is_loose = is_loose or (width > 0 and not line.strip())
        lines.append(" " * 4 + line[width:] if width and line.startswith(" " * width) else line)
    return "\n".join(lines).replace("<details>", '<details markdown="1">')


def without_arrows(text: str) -> str:
    """A diagram of states as a table: what draws it would have to be fetched by the reader's browser."""
    moves: dict[str, list[str]] = {}
    for one, other in ARROW.findall(text):
        moves.setdefault(one, []).append(other)
    rows = [
        f"| {one} | {', '.join(each for each in others if each != '[*]') or '-'} |" for one, others in moves.items()
    ]
    return "\n".join(["| From | To |", "|---|---|", *rows]).replace("| [*] |", "| (new) |") + "\n"


def entry(name: str, layout: Layout) -> str:
    """A page in the navigation, in TOML."""
    place = json.dumps(layout.pages[name])
    title = json.dumps(TITLES.get(name, ""), ensure_ascii=False)
    return f"{{ {title} = {place} }}" if name in TITLES else place


def settings(layout: Layout) -> str:
    """What Zensical is told. `use_directory_urls` off: the pages work from a disk too, all but the search."""
    rows = [
        f"  {{ {json.dumps(title)} = [{', '.join(entry(name, layout) for name in names)}] }},"
        for title, names in layout.sections()
    ]
    return f"""\
[project]
site_name = "Keyframe MCP"
site_description = "Video generation for AI agents over the Model Context Protocol"
docs_dir = "pages"
site_dir = "{SITE}"
use_directory_urls = false
extra_css = ["assets/site.css"]
nav = [
{chr(10).join(rows)}
]

[project.theme]
font = false
language = "en"
features = ["navigation.tabs", "navigation.top", "content.code.copy", "toc.follow", "search.highlight"]

[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"
primary = "custom"
accent = "custom"
toggle.icon = "lucide/sun"
toggle.name = "Dark"

[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"
primary = "custom"
accent = "custom"
toggle.icon = "lucide/moon"
toggle.name = "Light"

[project.extra]
generator = false

[project.markdown_extensions.tables]
[project.markdown_extensions.md_in_html]
[project.markdown_extensions.sane_lists]
[project.markdown_extensions.toc]
permalink = true
slugify = {{ object = "pymdownx.slugs.slugify", kwds = {{ case = "lower" }} }}
[project.markdown_extensions."pymdownx.superfences"]
[project.markdown_extensions."pymdownx.highlight"]
"""


def main(root: Path) -> int:
    """Lay out, build, and put the result into `site`. The exit code."""
    try:
        pages = stage(root, root / STAGE)
    except DeadLink as error:
        error.show()
        return error.exit_code
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(command, cwd=root / STAGE, check=False)  # noqa: S603 - a list, without a shell
    if done.returncode:
        return done.returncode
    shutil.rmtree(root / SITE, ignore_errors=True)
    shutil.move(root / STAGE / SITE, root / SITE)
    click.echo(f"{len(pages)} pages: {SITE}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))

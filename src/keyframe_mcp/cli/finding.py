"""What was found out about one thing, and how findings are laid out on a screen."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click

from keyframe_mcp.errors import KeyframeError

WIDTH = 100
MARGIN = 22
MARKS = {True: ("ok", "green"), False: ("!!", "red"), None: ("", "")}


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `ok` is None for a mere fact."""

    about: str
    found: str
    ok: bool | None = None
    advice: str = ""


def checked(about: str, look: Callable[[], str], advice: str) -> Finding:
    """A look that may fail."""
    try:
        return Finding(about, look(), ok=True)
    except (OSError, KeyframeError) as error:
        return Finding(about, str(error), ok=False, advice=advice)


def lines(finding: Finding) -> Iterator[str]:
    """A finding as it is shown: a mark, what it is about, and what there is to say, with the advice beside or below."""
    mark, colour = MARKS[finding.ok]
    head = f"{click.style(f'{mark:2}', fg=colour or None, bold=finding.ok is False)}  {finding.about:17} "
    together = f"{finding.found}; {finding.advice}" if finding.advice else finding.found
    is_short = len(together) <= WIDTH - MARGIN and "\n" not in together
    texts = [together] if is_short else [finding.found, finding.advice]
    for number, line in enumerate(row for text in texts if text for row in wrapped(text)):
        yield f"{head if number == 0 else ' ' * MARGIN}{line}"


def wrapped(text: str, width: int = WIDTH - MARGIN) -> Iterator[str]:
    """A text in lines that fit beside the margin. An address or a path is never broken."""
    for paragraph in text.splitlines():
        yield from textwrap.wrap(paragraph, width, break_long_words=False, break_on_hyphens=False)

"""The fields of a catalogue file as Markdown, from the sentences beside them in the code."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

from keyframe_mcp.catalog.entries import Pictures, Provider
from keyframe_mcp.catalog.inputs import Entry, Input
from keyframe_mcp.catalog.models import Model
from keyframe_mcp.catalog.prices import Price

TABLES: tuple[tuple[str, type[Entry]], ...] = (
    ("A provider: the top of the file", Provider),
    ("Its pictures: `[pictures]`", Pictures),
    ("A model: `[[models]]`", Model),
    ("An input or option: `[models.inputs]`, `[models.options]`", Input),
    ("A price: an entry of `prices`", Price),
)


def catalogue_fields() -> str:
    """Every field of every table of a catalogue file."""
    parts: list[str] = []
    for title, table in TABLES:
        rows = [f"| `{name}`{star(table, name)} | {about} |" for name, about in described(table)]
        parts.append("\n".join([f"### {title}", "", "| Field | Meaning |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def star(table: type[Entry], name: str) -> str:
    """A star for what must be there."""
    return " *" if table.model_fields[name].is_required() else ""


def described(table: type[Entry]) -> Iterator[tuple[str, str]]:
    """Each field with the text that follows it."""
    (node,) = ast.parse(inspect.getsource(table)).body
    body = node.body if isinstance(node, ast.ClassDef) else []
    for field, text in zip(body, [*body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            yield field.target.id, sentence(text).replace("|", "\\|")


def sentence(node: ast.stmt | None) -> str:
    """The text of a string that stands by itself, on one line."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split())
    return ""

"""Writes the parts of the documentation that are facts of the code. `--check` says whether they are stale.

A file holds blocks between `<!-- begin generated: NAME -->` and `<!-- end generated -->`; `server.json`, the bundle's
manifest and project, and the outline of the commands are generated whole.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anyio
import click

from keyframe_mcp import catalog as catalogs
from keyframe_mcp import errors
from keyframe_mcp.app import open_application
from keyframe_mcp.cli import COMMANDS, cli, load_command
from keyframe_mcp.cli.session import ME
from keyframe_mcp.docs import (
    bundle,
    conformed,
    fields,
    figures,
    frontpage,
    hosts,
    outlines,
    providers,
    registry,
    telemetry,
)
from keyframe_mcp.server import build_server
from keyframe_mcp.server.instructions import INSTRUCTIONS
from keyframe_mcp.server.model_views import limits, model_view
from keyframe_mcp.settings import LIMITS, PREFIX, Settings, base_url_variable, limit_variable, read_settings
from keyframe_mcp.task import NEXT

BLOCK = re.compile(r"(<!-- begin generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end generated -->)", re.DOTALL)
HELP_WIDTH = 100


def models_table() -> str:
    """Every model, what it makes a video from, and what that costs."""
    rows = ["| Model | Makes | Length | Price | Facts checked |", "|---|---|---|---|---|"]
    for listed in catalogs.load().models():
        view = model_view(listed, configured=True, whole=False)
        kind = "" if listed.model.generative else " (drawn, not AI)"
        duration = listed.model.inputs.get("duration")
        seconds = f"{limits(duration).strip()} s" if duration else "the model's own"
        modes = ", ".join(sorted(listed.model.modes))
        rows.append(f"| `{listed.id}`{kind} | {modes} | {seconds} | {view.price} | {listed.model.verified} |")
    return "\n".join(rows)


def keys_table() -> str:
    """Every provider's key, and where it is by default."""
    rows = ["| Provider | Key | Another host |", "|---|---|---|"]
    for provider_id, provider in catalogs.load().providers.items():
        if provider.key is not None:
            name = f"[{provider.name}]({provider.key_page})" if provider.key_page else provider.name
            moved = f"`{base_url_variable(provider_id)}`, default `{provider.base_url}`"
            rows.append(f"| {name} | `{provider.key}` | {moved} |")
    return "\n".join(rows)


def limits_table() -> str:
    """How much each provider is given, and the variables that change it."""
    rows = [f"| Provider | {' | '.join(words.capitalize() for words in LIMITS.values())} |", "|---|---|---|"]
    for provider_id, provider in catalogs.load().providers.items():
        if provider.key is not None:
            usual = {name: registry.usual(provider, name) for name in LIMITS}
            cells = (f"`{limit_variable(provider_id, name)}`, default {usual[name]}" for name in LIMITS)
            rows.append(f"| {provider.name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def task_states() -> str:
    """The life of a task, drawn from the table the store enforces."""
    arrows = [f"    {one} --> {other}" for one in NEXT for other in sorted(NEXT[one])]
    ends = [f"    {status} --> [*]" for status in NEXT if status.is_final]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> queued", *arrows, *ends, "```"])


def error_table() -> str:
    """Every error an agent can meet, with who can fix it."""
    rows = ["| `kind` | What happened | What to do |", "|---|---|---|"]
    for kind, error in sorted(errors.by_kind().items()):
        if error not in (errors.KeyframeError, errors.CallerError, errors.OperatorError, errors.ProviderError):
            rows.append(f"| `{kind}` | {(error.__doc__ or '').strip()} | {error.fix} |")
    return "\n".join(rows)


def settings_table() -> str:
    """Every environment variable."""
    rows = ["| Variable | Meaning |", "|---|---|"]
    for name, field in Settings.model_fields.items():
        rows.append(f"| `{PREFIX}{name.upper()}` | {field.description} |")
    return "\n".join(rows)


def command_help() -> str:
    """What `--help` says, for every command."""
    context = click.Context(cli, info_name="keyframe-mcp", terminal_width=HELP_WIDTH, max_content_width=HELP_WIDTH)
    commands = {name: load_command(name) for name in COMMANDS}
    inner = {name: click.Context(each, info_name=name, parent=context) for name, each in commands.items()}
    texts = [cli.get_help(context), *(each.get_help(inner[name]) for name, each in commands.items())]
    return "\n\n".join(f"```text\n{text}\n```" for text in texts)


def tools_reference() -> str:
    """Every tool as a host sees it."""
    parts: list[str] = []
    for tool in anyio.run(listed_tools):
        parts.append(f"### `{tool['name']}`\n\n{tool['description']}\n")
        needed = tool["inputSchema"].get("required", [])
        rows = ["| Argument | Type | |", "|---|---|---|"]
        rows += [argument_row(name, each, name in needed) for name, each in tool["inputSchema"]["properties"].items()]
        parts.append("\n".join(rows) + "\n")
        output = tool.get("outputSchema", {}).get("properties")
        gives = ", ".join(f"`{name}`" for name in output) if output else "a picture and a text"
        parts.append(f"Gives: {gives}.\n")
    return "\n".join(parts)


def argument_row(name: str, schema: Mapping[str, Any], needed: bool) -> str:  # noqa: FBT001 - a cell of the table
    """One argument."""
    kind = " or ".join(map(str, schema["enum"])) if "enum" in schema else schema.get("type", "")
    limits = "".join(
        f" {word} {schema[key]}." for key, word in (("maximum", "At most"), ("default", "Default")) if key in schema
    )
    about = schema.get("description", "").replace("<", "&lt;")
    return f"| `{name}`{' *' if needed else ''} | {kind} | {about}{'.' if about and limits else ''}{limits} |"


async def listed_tools() -> list[dict[str, Any]]:
    """The tool list of a server that runs in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"KEYFRAME_OUTPUT_DIR": f"{folder}/out", "KEYFRAME_STATE_DIR": f"{folder}/state"}
        settings = read_settings(environment, Path(folder), Path(folder))
        async with open_application(settings, Path(folder)) as application:
            tools = await build_server(application, ME).list_tools()
    return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]


BLOCKS: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "models": models_table,
        "keys": keys_table,
        "limits": limits_table,
        "providers": providers.providers_table,
        "provider-pages": providers.provider_pages,
        "catalogue-fields": fields.catalogue_fields,
        "task-states": task_states,
        "errors": error_table,
        "error-tree": lambda: "```text\n" + (errors.__doc__ or "").partition("\n\n")[2].strip() + "\n```",
        "settings": settings_table,
        "command-help": command_help,
        "tools": tools_reference,
        "telemetry-spans": telemetry.spans_table,
        "telemetry-metrics": telemetry.metrics_table,
        "log-fields": telemetry.log_fields,
        "instructions": lambda: f"```text\n{INSTRUCTIONS['full']}\n```",
    }
)


def blocks(root: Path) -> Mapping[str, Callable[[], str]]:
    """Every block, with those that show what was measured."""
    path = root / "docs" / "reliability.json"
    measured = {
        "crash-figures": partial(figures.crash_figures, path),
        "self-proof": partial(figures.self_proof, path),
        "other-figures": partial(figures.other_figures, path),
    }
    conformance = conformed.blocks(root / "docs" / "conformance.json")
    return {**BLOCKS, **measured, **hosts.blocks(), **frontpage.blocks(), **conformance}


def rendered(root: Path) -> Iterator[tuple[Path, str]]:
    """Every file with generated parts, as it should be."""
    known, made = blocks(root), dict[str, str]()
    for path in (*sorted(root.glob("README*.md")), *sorted((root / "docs").rglob("*.md"))):
        text = path.read_text("utf-8")
        for match in BLOCK.finditer(text):
            made.setdefault(match["name"], known[match["name"]]().rstrip())
        yield path, BLOCK.sub(lambda match: f"{match[1]}{made[match['name']]}\n{match[3]}", text)
    yield root / "server.json", registry.server_json()
    yield from bundle.files(root, anyio.run(listed_tools))
    yield outlines.path(root), outlines.text()


def main(arguments: list[str], root: Path) -> int:
    """Write, or with `--check` only compare. The exit code."""
    stale = [(path, text) for path, text in rendered(root) if not path.exists() or path.read_text("utf-8") != text]
    if "--check" in arguments:
        for path, _ in stale:
            click.echo(f"{path.relative_to(root)} is stale; run: make docs", err=True)
        return 1 if stale else 0
    for path, text in stale:
        path.write_text(text, "utf-8")
        click.echo(f"wrote {path.relative_to(root)}")
    return 0

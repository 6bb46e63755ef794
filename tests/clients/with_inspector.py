"""The Inspector's command line: a process, and over stdio a server, for every call. Its lint must be clean."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import anyio

from clients.stage import Stage, give
from clients.story import Call, Seen, StoryBroken, tell

TOOL_FAILED = 5  # its exit code for a result with isError
ERAS = {"auto": ("modern", "2026-07-28"), "legacy": ("legacy", "2025-11-25")}


async def main() -> None:
    stage = Stage.given()
    story = stage.story()
    listed, complaints = await inspect(stage, "--method", "tools/list", "--strict")

    async def act(call: Call) -> Seen:
        given = "--tool-name", call.tool, "--tool-args-json", json.dumps(call.arguments)
        result, _ = await inspect(stage, "--method", "tools/call", *given)
        text = " ".join(block["text"] for block in result["content"] if block["type"] == "text")
        pictures = sum(block["type"] == "image" for block in result["content"])
        return Seen(text, result.get("structuredContent"), pictures, result.get("isError", False))

    await tell(story, act)
    package = Path(stage.installed, "node_modules", "@modelcontextprotocol", "inspector", "package.json")
    known = {"version": json.loads(package.read_text())["version"], "protocol": ERAS[stage.era][1]}
    give(story, tools=len(listed["tools"]), remarks=complaints, **known)


async def inspect(stage: Stage, *wanted: str) -> tuple[dict[str, Any], list[str]]:
    """One call: the result, and what was said on standard error."""
    at = [stage.url] if stage.url else stage.command
    kept = [part for name, value in stage.environment.items() for part in ("-e", f"{name}={value}")]
    place = [] if stage.url else [*kept, "--cwd", stage.folder]
    binary = Path(stage.installed, "node_modules", ".bin", "mcp-inspector")
    command = [
        str(binary),
        "--cli",
        *place,
        *at,
        "--protocol-era",
        ERAS[stage.era][0],
        *wanted,
        "--format",
        "json",
        "-q",
    ]
    ended = await anyio.run_process(command, check=False, stdin=DEVNULL)
    if ended.returncode not in (0, TOOL_FAILED):
        raise StoryBroken(f"{' '.join(wanted[:4])} ended with {ended.returncode}: {ended.stderr.decode()[-800:]}")
    said = [] if ended.returncode else [line for line in ended.stderr.decode().splitlines() if line.strip()]
    return json.loads(ended.stdout)["result"], said


anyio.run(main)

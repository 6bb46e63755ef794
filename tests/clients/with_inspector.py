"""The Inspector's command line: a process, and over stdio a server, for every call. Its lint must be clean."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import DEVNULL

import anyio

from clients.inspection import TOOL_FAILED, Ended, look_around
from clients.stage import Stage, give
from clients.story import Call, Seen, StoryBroken, tell

ERAS = {"auto": ("modern", "2026-07-28"), "legacy": ("legacy", "2025-11-25")}


async def main() -> None:
    stage = Stage.given()
    story = stage.story()

    async def ask(*wanted: str, ends: int = 0) -> Ended:
        ended = await inspect(stage, *wanted)
        if ended.code != ends:
            raise StoryBroken(f"{' '.join(wanted)[:200]} ended with {ended.code}: {ended.complaints}")
        return ended

    async def act(call: Call) -> Seen:
        given = "--tool-name", call.tool, "--tool-args-json", json.dumps(call.arguments)
        ended = await inspect(stage, "--method", "tools/call", *given)
        if ended.code not in (0, TOOL_FAILED):
            raise StoryBroken(f"{call.tool} ended with {ended.code}: {ended.complaints}")
        result = ended.result
        if result.get("isError", False) != (ended.code == TOOL_FAILED):
            raise StoryBroken(f"{call.tool} ended with {ended.code}, and isError is {result.get('isError', False)}")
        text = " ".join(block["text"] for block in result["content"] if block["type"] == "text")
        pictures = sum(block["type"] == "image" for block in result["content"])
        return Seen(text, result.get("structuredContent"), pictures, result.get("isError", False))

    listed = await look_around(ask)
    await tell(story, act)
    package = Path(stage.installed, "node_modules", "@modelcontextprotocol", "inspector", "package.json")
    known = {"version": json.loads(package.read_text())["version"], "protocol": ERAS[stage.era][1]}
    give(story, tools=len(listed.result["tools"]), remarks=[], **known)


async def inspect(stage: Stage, *wanted: str) -> Ended:
    """Run one command."""
    at = [stage.url] if stage.url else stage.command
    kept = [part for name, value in stage.environment.items() for part in ("-e", f"{name}={value}")]
    place = [] if stage.url else [*kept, "--cwd", stage.folder]
    binary = Path(stage.installed, "node_modules", ".bin", "mcp-inspector")
    era = ("--protocol-era", ERAS[stage.era][0])
    command = [str(binary), "--cli", *place, *at, *era, *wanted, "--format", "json", "-q"]
    ended = await anyio.run_process(command, check=False, stdin=DEVNULL)
    said = [line for line in ended.stderr.decode().splitlines() if line.strip()]
    return Ended(ended.returncode, ended.stdout.decode(), said)


anyio.run(main)

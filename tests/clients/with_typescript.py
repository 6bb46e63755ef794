"""The official TypeScript client, through a small program that does what it is told."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import PIPE
from typing import Any

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from clients.stage import Stage, give
from clients.story import Call, Seen, StoryBroken, tell

PROGRAM = Path(__file__).with_name("typescript.mjs")
MOST_BYTES = 16 << 20


async def main() -> None:
    stage = Stage.given()
    story = stage.story()
    async with await anyio.open_process(["node", str(PROGRAM)], stdin=PIPE, stdout=PIPE, stderr=None) as node:
        assert node.stdin
        assert node.stdout
        lines, to_node = BufferedByteReceiveStream(node.stdout), node.stdin

        async def read() -> dict[str, Any]:
            return json.loads(await lines.receive_until(b"\n", MOST_BYTES))

        async def act(call: Call) -> Seen:
            await to_node.send(json.dumps({"tool": call.tool, "arguments": call.arguments}).encode() + b"\n")
            return seen(await read())

        about = await read()
        await tell(story, act)
        await to_node.aclose()
    package = Path(stage.installed, "node_modules", "@modelcontextprotocol", "client", "package.json")
    give(story, version=json.loads(package.read_text())["version"], **about)


def seen(result: dict[str, Any]) -> Seen:
    """What a program gets; it decides itself what its model sees of it."""
    if "threw" in result:
        raise StoryBroken(result["content"][0]["text"])
    text = " ".join(block["text"] for block in result["content"] if block["type"] == "text")
    pictures = sum(block["type"] == "image" for block in result["content"])
    return Seen(text, result.get("structuredContent"), pictures, result.get("isError", False))


anyio.run(main)

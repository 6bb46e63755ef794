"""A short MCP session with an installed server, by the official client of the same environment.

Run as `python -P visit.py [--era ERA] [--model MODEL] COMMAND...` with the environment the server gets; prints a line
of JSON with what was seen. It imports nothing of this project.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

SECONDS = 100.0
DRAWN = {
    "local/storyboard": ("generate_t2v", {"prompt": "A heron — 鷺 — takes off"}),
    "local/morph": ("generate_flf2v", {"first_image": "dawn.jpg", "last_image": "dusk.jpg"}),
}
"""A call for each model; pictures are looked for in the folder it is started in."""


async def main() -> None:
    """Say hello, list the tools, and have a video drawn."""
    given = arguments()
    server = StdioServerParameters(command=given.command[0], args=given.command[1:], env=dict(os.environ))
    with anyio.fail_after(SECONDS):
        async with Client(server, mode=given.era) as client:
            about = client.server_info
            seen = {
                "server": f"{about.name} {about.version}" if about else "",
                "protocol": client.protocol_version,
                "tools": sorted(tool.name for tool in (await client.list_tools()).tools),
            }
            video = await drawn(client, given.model) if given.model else {}
    sys.stdout.write(json.dumps(seen | video) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--era", default="auto")
    parser.add_argument("--model", choices=DRAWN)
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


async def drawn(client: Client, model: str) -> dict[str, Any]:
    """Make a video of a second and wait for it."""
    tool, inputs = DRAWN[model]
    pictures = {name: str(Path(value).absolute()) for name, value in inputs.items() if name.endswith("_image")}
    task = await ask(client, tool, {**inputs, **pictures, "model": model, "duration": 1})
    while task.get("poll_after_seconds", 1) != 0:
        task = await ask(client, "get_task", {"task_id": task["task_id"], "wait_seconds": 30})
    if task["status"] != "succeeded":
        sys.exit(f"the video is {task['status']}: {task}")
    output = task["outputs"][0]
    return {"video": output["file"], "bytes": Path(output["file"]).stat().st_size, "drawn_with": task["engine"]}


async def ask(client: Client, tool: str, given: dict[str, Any]) -> dict[str, Any]:
    """A tool's structure. An error ends the visit."""
    result = await client.call_tool(tool, given)
    if result.is_error or result.structured_content is None:
        sys.exit(f"{tool}: {result.content}")
    return dict(result.structured_content)


if __name__ == "__main__":
    anyio.run(main)

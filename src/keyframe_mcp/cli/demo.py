"""`keyframe-mcp demo`: the whole of it, as an agent would use it.

It starts the server over stdio with the official MCP client, has it make a video between two pictures, continues
from its last frame, and joins the two clips.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import anyio
import click
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, ImageContent, TextContent

from keyframe_mcp.errors import KeyframeError, OutputUnwritable, RenderFailed

SAMPLES = ("dawn.jpg", "dusk.jpg")
WAIT_SECONDS = 30
ROUNDS = 20


@click.command()
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("keyframe-demo"),
    show_default=True,
    help="The folder for what it makes.",
)
def demo(output: Path) -> None:
    """Watch an MCP client make a video with this server. Needs no key and no network."""
    anyio.run(run, output.resolve())


async def run(folder: Path) -> None:
    """The story, step by step."""
    first, last = lay_out(folder)
    async with Client(server(folder)) as client:
        await introduce(client)
        say(f"generate_flf2v, from {first.name} to {last.name}")
        arguments = {"first_image": str(first), "last_image": str(last), "model": "local/morph", "duration": 4}
        clip = await make(client, "generate_flf2v", arguments)
        await show(client, clip, folder / "contact-sheet.jpg")
        say("generate_i2v, from the last frame of that clip")
        # named, as the first is: with somebody's keys in the environment a call without a model would be paid
        way = {"prompt": "the camera slowly pulls back", "model": "local/camera", "duration": 3}
        more = await make(client, "generate_i2v", {"image": f"task:{clip}", **way})
        say("join_videos")
        film = await ask(client, "join_videos", {"sources": [f"task:{clip}", f"task:{more}"]})
        kept = shutil.copyfile(film["file"], folder / "film.mp4")
        click.echo(f"   {film['duration']:g} s, joined by {film['method'].replace('_', ' ')}\n   {kept}")
    click.echo(f"\nAll of it is in {folder}")


def lay_out(folder: Path) -> tuple[Path, Path]:
    """A folder with the two sample pictures in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in SAMPLES:
            (folder / name).write_bytes(resources.files("keyframe_mcp").joinpath("samples", name).read_bytes())
    except OSError as error:
        raise OutputUnwritable(f"{folder} cannot be written ({error.strerror}); choose another with --output") from None
    return folder / SAMPLES[0], folder / SAMPLES[1]


def server(folder: Path) -> StdioServerParameters:
    """How a host would start the server, with everything it keeps inside the demo's folder."""
    installed = Path(sys.executable).with_name("keyframe-mcp.exe" if sys.platform == "win32" else "keyframe-mcp")
    command, arguments = (str(installed), []) if installed.exists() else (sys.executable, ["-m", "keyframe_mcp"])
    kept = {"KEYFRAME_OUTPUT_DIR": str(folder), "KEYFRAME_STATE_DIR": str(folder / ".state")}
    return StdioServerParameters(command=command, args=arguments, env=dict(os.environ) | kept, cwd=folder)


async def introduce(client: Client) -> None:
    """Say who answered."""
    tools = (await client.list_tools()).tools
    about = client.server_info
    name = f"{about.name} {about.version}" if about else "a server without a name"
    say(f"{name} answered over stdio (protocol {client.protocol_version})")
    click.echo(f"   {len(tools)} tools: {', '.join(tool.name for tool in tools)}")


async def make(client: Client, tool: str, arguments: dict[str, Any]) -> str:
    """Start a task and follow it to its video. The id of the task."""
    started = await ask(client, tool, arguments)
    task_id = started["task_id"]
    click.echo(f"   task {task_id} with {started['model']}")
    task = await follow(client, task_id)
    if task["status"] != "succeeded":
        raise RenderFailed(f"task {task_id} is {task['status']}: {task.get('error', {}).get('message', '')}")
    output = task["outputs"][0]
    sure = f", confidence {task['confidence']:.2f}" if "confidence" in task else ""
    facts = f"{output['width']}x{output['height']}, {output['duration']:g} s at {output['fps']:g} fps"
    click.echo(f"   {facts}, drawn with {task['engine']}{sure}\n   {output['file']}")
    for warning in task.get("warnings", ()):
        click.echo(f"   note: {warning}")
    return task_id


async def follow(client: Client, task_id: str) -> dict[str, Any]:
    """Ask until it is done, with the progress the server reports."""
    with click.progressbar(length=100, label="   get_task", width=40, show_eta=False) as bar:

        async def advance(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001 - the client's signature
            bar.update(max(0, round(progress) - bar.pos))

        for _ in range(ROUNDS):
            arguments = {"task_id": task_id, "wait_seconds": WAIT_SECONDS}
            task = structure(await client.call_tool("get_task", arguments, progress_callback=advance))
            if task["poll_after_seconds"] == 0:
                bar.update(100 - bar.pos)
                return task
    raise RenderFailed(f"task {task_id} took too long")


async def show(client: Client, task_id: str, to: Path) -> None:
    """Save what a model would see of a video."""
    seen = await client.call_tool("view_video", {"source": f"task:{task_id}"})
    for block in seen.content:
        if isinstance(block, ImageContent):
            await anyio.Path(to).write_bytes(base64.b64decode(block.data))
            click.echo(f"   view_video: {to}")


async def ask(client: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call a tool for its structure."""
    return structure(await client.call_tool(tool, arguments))


def structure(result: CallToolResult) -> dict[str, Any]:
    """The typed part of a result; an error result is an error here too."""
    if result.is_error:
        raise KeyframeError(" ".join(block.text for block in result.content if isinstance(block, TextContent)))
    return json.loads(json.dumps(result.structured_content))


def say(text: str) -> None:
    """One step of the story."""
    click.echo(f"\n>> {text}")

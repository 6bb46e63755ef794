"""The official Python client, as this project's own environment has it."""

from __future__ import annotations

from importlib.metadata import version

import anyio
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, ImageContent, TextContent

from clients.stage import Stage, give, listening
from clients.story import Call, Seen, tell


async def main() -> None:
    stage = Stage.given()
    story = stage.story()
    command, *arguments = stage.command
    server = StdioServerParameters(command=command, args=arguments, env=stage.environment, cwd=stage.path)
    async with Client(stage.url or server, mode=stage.era) as client:
        with listening() as remarks:
            tools = (await client.list_tools()).tools

        async def act(call: Call) -> Seen:
            return seen(await client.call_tool(call.tool, call.arguments))

        await tell(story, act)
        protocol = client.protocol_version
    give(story, version=version("mcp"), protocol=protocol, tools=len(tools), remarks=remarks)


def seen(result: CallToolResult) -> Seen:
    text = " ".join(block.text for block in result.content if isinstance(block, TextContent))
    pictures = sum(isinstance(block, ImageContent) for block in result.content)
    return Seen(text, result.structured_content, pictures, bool(result.is_error))


anyio.run(main)

"""FastMCP's client."""
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
from importlib.metadata import version

from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport

from clients.stage import Stage, give, listening
from clients.story import Call, Seen, tell


async def main() -> None:
    stage = Stage.given()
    story = stage.story()
    async with Client(transport(stage), mode=stage.era) as client:
        with listening() as remarks:
            tools = await client.list_tools()

        async def act(call: Call) -> Seen:
            result = await client.call_tool(call.tool, call.arguments, raise_on_error=False)
            text = " ".join(block.text for block in result.content if block.type == "text")
            pictures = sum(block.type == "image" for block in result.content)
            return Seen(text, result.structured_content, pictures, result.is_error)

        await tell(story, act)
        protocol = client.protocol_version
    give(story, version=version("fastmcp"), protocol=protocol, tools=len(tools), remarks=remarks)


def transport(stage: Stage) -> StdioTransport | StreamableHttpTransport:
    if stage.url:
        return StreamableHttpTransport(stage.url)
    command, *arguments = stage.command
    return StdioTransport(command, arguments, env=stage.environment, cwd=stage.folder, keep_alive=False)


asyncio.run(main())

"""Pydantic AI's MCP toolset with a model that is a function."""
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent, BinaryContent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelMessage, ModelResponse, RetryPromptPart, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from clients.stage import Stage, give, listening
from clients.story import Script, Seen


async def main() -> None:
    stage = Stage.given()
    story = stage.story()
    script, tools = Script(story), 0

    def think(messages: list[ModelMessage], about: AgentInfo) -> ModelResponse:
        nonlocal tools
        tools = len(about.function_tools)
        call = script.next(seen(messages[-1].parts))
        return ModelResponse([ToolCallPart(call.tool, call.arguments) if call else TextPart("Done.")])

    with listening() as remarks:
        client = Client(transport(stage))
        agent = Agent(FunctionModel(think), toolsets=[MCPToolset(client)])
        async with agent:
            await agent.run("Make a film.")
            protocol = client.protocol_version
    give(story, version=version("pydantic-ai-slim"), protocol=protocol, tools=tools, remarks=remarks)


def transport(stage: Stage) -> Any:
    if stage.url:
        return stage.url
    command, *arguments = stage.command
    return StdioTransport(command, arguments, env=stage.environment, cwd=stage.folder, keep_alive=False)


def seen(parts: Any) -> Seen | None:
    """What goes to the model: a structure, or text and pictures, or a request to try again."""
    text, structure, pictures, is_error = "", None, 0, False
    for part in parts:
        if isinstance(part, RetryPromptPart):
            text, is_error = f"{text} {part.model_response()}", True
        elif isinstance(part, ToolReturnPart):
            is_error = part.outcome != "success"
            for each in part.content if isinstance(part.content, list) else [part.content]:
                structure = each if isinstance(each, dict) else structure
                text = f"{text} {each}" if isinstance(each, str) else text
                pictures += isinstance(each, BinaryContent)
    return Seen(text.strip(), structure, pictures, is_error)


asyncio.run(main())

"""LangChain agents with langchain-mcp-adapters, which over stdio starts a server anew for every call."""
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_mcp_adapters.client import MultiServerMCPClient

from clients.stage import Stage, give, listening
from clients.story import Script, Seen


class ScriptedChatModel(BaseChatModel):
    """Asks for one tool after another. LangChain's own fakes cannot have tools bound."""

    script: Any

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Runnable:
        for tool in tools:
            convert_to_openai_tool(tool)
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        last = messages[-1]
        call = self.script.next(seen(last) if isinstance(last, ToolMessage) else None)
        asked = [{"name": call.tool, "args": call.arguments, "id": f"call-{len(messages)}"}] if call else []
        answer = AIMessage(content="" if call else "Done.", tool_calls=asked)
        return ChatResult(generations=[ChatGeneration(message=answer)])


async def main() -> None:
    stage = Stage.given()
    story = stage.story()
    client = MultiServerMCPClient({"keyframe": connection(stage)})
    with listening() as remarks:
        tools = await client.get_tools()
        agent = create_agent(ScriptedChatModel(script=Script(story)), tools)
    await agent.ainvoke({"messages": [("user", "Make a film.")]}, {"recursion_limit": 100})
    async with client.session("keyframe", auto_initialize=False) as session:
        protocol = (await session.initialize()).protocolVersion
    found = f"{version('langchain-mcp-adapters')}, langchain {version('langchain')}"
    give(story, version=found, protocol=protocol, tools=len(tools), remarks=remarks)


def connection(stage: Stage) -> Any:
    if stage.url:
        return {"transport": "streamable_http", "url": stage.url}
    command, *arguments = stage.command
    given = {"command": command, "args": arguments, "env": stage.environment, "cwd": stage.folder}
    return {"transport": "stdio"} | given


def seen(message: ToolMessage) -> Seen:
    """What goes to the chat model: the content. The artifact, with the structure, does not."""
    blocks = [{"type": "text", "text": message.content}] if isinstance(message.content, str) else message.content
    text = " ".join(block["text"] for block in blocks if block["type"] == "text")
    return Seen(text, None, sum(block["type"] == "image" for block in blocks), message.status == "error")


asyncio.run(main())

"""OpenAI's Agents SDK, as it is out of the box: structured content is not used unless a program asks for it."""
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import asyncio
import json
from importlib.metadata import version
from typing import Any

from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage, set_tracing_disabled
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from clients.stage import Stage, give, listening
from clients.story import Script, Seen


class ScriptedModel(Model):
    """Asks for one tool after another."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.tools = 0

    async def get_response(
        self,
        system_instructions: Any,
        input: Any,  # noqa: A002 - the SDK passes it by this name
        model_settings: Any,
        tools: list[Any],
        *_: Any,
        **__: Any,
    ) -> ModelResponse:
        self.tools = len(tools)
        last = input[-1] if isinstance(input, list) else {}
        returned = last.get("type") == "function_call_output"
        call = self._script.next(seen(last["output"]) if returned else None)
        if call is None:
            said = ResponseOutputText(text="Done.", type="output_text", annotations=[])
            return answer(
                ResponseOutputMessage(id="done", role="assistant", status="completed", type="message", content=[said])
            )
        wanted = {"name": call.tool, "arguments": json.dumps(call.arguments), "call_id": f"call-{len(input)}"}
        return answer(ResponseFunctionToolCall(type="function_call", **wanted))

    def stream_response(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


async def main() -> None:
    set_tracing_disabled(True)
    stage = Stage.given()
    story = stage.story()
    model = ScriptedModel(Script(story))
    with listening() as remarks:
        async with server(stage) as keyframe:
            agent = Agent("film maker", model=model, mcp_servers=[keyframe])
            await Runner.run(agent, "Make a film.", max_turns=40, run_config=RunConfig(tracing_disabled=True))
            protocol = keyframe.session.protocol_version
    give(story, version=version("openai-agents"), protocol=protocol, tools=model.tools, remarks=remarks)


def server(stage: Stage) -> MCPServerStdio | MCPServerStreamableHttp:
    patience = {"client_session_timeout_seconds": 60}
    if stage.url:
        return MCPServerStreamableHttp({"url": stage.url, "timeout": 60}, **patience)
    command, *arguments = stage.command
    given = {"command": command, "args": arguments, "env": stage.environment, "cwd": stage.folder}
    return MCPServerStdio(given, **patience)


def answer(output: Any) -> ModelResponse:
    return ModelResponse(output=[output], usage=Usage(), response_id=None)


def seen(output: Any) -> Seen:
    """What goes to the model. It does not carry whether the result was an error."""
    blocks = [{"type": "input_text", "text": output}] if isinstance(output, str) else output
    text = " ".join(block["text"] for block in blocks if block["type"] == "input_text")
    return Seen(text, None, sum(block["type"] == "input_image" for block in blocks))


asyncio.run(main())

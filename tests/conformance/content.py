"""What the suite reads and calls by name: contents of every kind, progress, logs, changes. Nothing asks back."""

from __future__ import annotations

import base64
import json
from typing import Annotated, Any

from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextResourceContents,
)
from pydantic import Field

from clients.story import png
from conformance.jobs import said

PICTURE = base64.b64encode(png(shift=0, width=4, height=4)).decode()
SILENCE = base64.b64encode(
    b"RIFF" + (36).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little") + b"\1\0\1\0"
    b"\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\0\0\0\0"
).decode()
"""A WAVE file of one channel, 8,000 samples a second, and none of them."""

# every keyword the suite looks for in a tool list; SEP-1613 and SEP-2106
WHOLE_VOCABULARY: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def picture() -> ImageContent:
    return ImageContent(type="image", data=PICTURE, mime_type="image/png")


def embedded(uri: str) -> EmbeddedResource:
    inside = TextResourceContents(uri=uri, mime_type="text/plain", text=f"what is at {uri}")
    return EmbeddedResource(type="resource", resource=inside)


def holding(*blocks: ContentBlock) -> CallToolResult:
    return CallToolResult(content=list(blocks))


async def simple_text() -> CallToolResult:
    """Answers with a text."""
    return said("a text")


async def image_content() -> CallToolResult:
    """Answers with a picture."""
    return holding(picture())


async def audio_content() -> CallToolResult:
    """Answers with a sound."""
    return holding(AudioContent(type="audio", data=SILENCE, mime_type="audio/wav"))


async def embedded_resource() -> CallToolResult:
    """Answers with a resource."""
    return holding(embedded("test://embedded-resource"))


async def multiple_content_types() -> CallToolResult:
    """Answers with a text, a picture and a resource."""
    return holding(*said("three kinds").content, picture(), embedded("test://mixed-content-resource"))


async def error_handling() -> CallToolResult:
    """Fails, as a tool does."""
    raise ToolError("this tool fails whenever it is called")


async def tool_with_progress(context: Context) -> CallToolResult:
    """Says how far it is, three times."""
    for percent in (0, 50, 100):
        await context.report_progress(percent, 100, f"{percent} of 100")
    return said("done")


async def tool_with_logging(context: Context) -> CallToolResult:
    """Logs three lines to its client."""
    for line in ("begun", "half way", "ended"):
        await context.info(line)  # pyright: ignore[reportDeprecated] - what is asked for, by clients of the older era
    return said("done")


async def reconnection(context: Context) -> CallToolResult:
    """Lets go of the stream its answer would have come on. Whoever comes back finds it, where events are kept."""
    await context.close_sse_stream()
    return said("here is the answer, after all")


async def missing_capability(context: Context) -> CallToolResult:
    """Needs something of its client, as none of our tools does."""
    capabilities = context.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        data = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "this tool needs sampling", data)
    return said("the client samples")


async def x_mcp_header(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "none",
) -> CallToolResult:
    """Has an argument that is also sent as a header, for proxies to route by."""
    return said(f"region {region}")


async def trigger_tool_change(context: Context) -> CallToolResult:
    """Adds a tool, takes it away, and says that the list has changed."""
    context.mcp_server.add_tool(simple_text, name="test_passing_tool")
    context.mcp_server.remove_tool("test_passing_tool")
    await context.notify_tools_changed()
    return said("changed")


async def trigger_prompt_change(context: Context) -> CallToolResult:
    """Says that the list of prompts has changed."""
    await context.notify_prompts_changed()
    return said("changed")


TOOLS = (
    simple_text,
    image_content,
    audio_content,
    embedded_resource,
    multiple_content_types,
    error_handling,
    tool_with_progress,
    tool_with_logging,
    reconnection,
    missing_capability,
    x_mcp_header,
    trigger_tool_change,
    trigger_prompt_change,
)


def add_content(server: MCPServer) -> None:
    """Serve the tools and resources. Our own server serves these beside its own."""
    for tool in TOOLS:
        server.add_tool(tool, name=f"test_{tool.__name__}", structured_output=False)
    server.add_tool(tool_with_logging, name="test_logging_tool", structured_output=False)
    server.add_tool(simple_text, name="json_schema_2020_12_tool", structured_output=False)
    described = server._tool_manager.get_tool("json_schema_2020_12_tool")
    assert described is not None
    described.parameters = WHOLE_VOCABULARY  # no public way to give a schema with a function in mcp 2.3
    add_resources(server)


def add_resources(server: MCPServer) -> None:
    """Serve a text, some bytes, a template, and one that is there to be watched."""

    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        return "a text"

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        return base64.b64decode(PICTURE)

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def data(id: str) -> str:  # noqa: A002 - the name in the template
        return json.dumps({"id": id})

    @server.resource("test://watched-resource", mime_type="text/plain")
    def watched_resource() -> str:
        return "a text that could change"

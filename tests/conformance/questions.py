"""Tools that ask their client something: within a call, as in 2025-11-25, or by a result, as in 2026-07-28."""

from __future__ import annotations

import json
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    CallToolResult,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
)

from conformance.jobs import said

Answer = CallToolResult | InputRequiredResult

# SEP-1034: a default of every primitive type
DEFAULTS: dict[str, Any] = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}
SIZES = [{"const": each, "title": each.title()} for each in ("low", "medium", "high")]
KINDS = [{"const": each, "title": each.title()} for each in ("feature", "bug", "docs")]
# SEP-1330: every way to offer a choice
CHOICES: dict[str, Any] = {
    "untitledSingle": {"type": "string", "enum": ["active", "inactive", "pending"]},
    "titledSingle": {"type": "string", "oneOf": SIZES},
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["read", "write", "execute"]}},
    "titledMulti": {"type": "array", "items": {"anyOf": KINDS}},
    "legacyEnum": {"type": "string", "enum": ["small", "large"], "enumNames": ["Small", "Large"]},
}


def form(message: str, **properties: dict[str, Any]) -> ElicitRequest:
    """A form for a person."""
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def who() -> ElicitRequest:
    return form("What is your name?", name={"type": "string"})


def whether() -> ElicitRequest:
    return form("Go on?", ok={"type": "boolean"})


def completion(words: str) -> CreateMessageRequest:
    """Words for the client's model."""
    message = SamplingMessage(role="user", content=TextContent(type="text", text=words))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=50))


def asking(state: str | None = None, **questions: InputRequest) -> InputRequiredResult:
    return InputRequiredResult(input_requests=questions, request_state=state)


def written(context: Context, question: str, field: str) -> str | None:
    """What a person wrote into a form, if this call brings it."""
    answer = (context.input_responses or {}).get(question)
    content = answer.content if isinstance(answer, ElicitResult) else None
    return None if content is None or field not in content else str(content[field])


async def sampling(prompt: str, context: Context) -> CallToolResult:
    """Has the client's model say something."""
    related = ServerMessageMetadata(related_request_id=context.request_id)
    reply = await context.session.send_request(completion(prompt), CreateMessageResult, metadata=related)
    return said(f"the model said {reply.content}")


async def elicited(context: Context, message: str, properties: dict[str, Any]) -> CallToolResult:
    schema = {"type": "object", "properties": properties}
    reply = await context.session.elicit_form(message, schema, context.request_id)
    return said(f"{reply.action}: {json.dumps(reply.content)}")


async def elicitation(message: str, context: Context) -> CallToolResult:
    """Asks a person."""
    return await elicited(context, message, {"response": {"type": "string"}})


async def elicitation_sep1034_defaults(context: Context) -> CallToolResult:
    """Asks a person, and has something filled in already."""
    return await elicited(context, "Is this right?", DEFAULTS)


async def elicitation_sep1330_enums(context: Context) -> CallToolResult:
    """Asks a person to choose."""
    return await elicited(context, "Which?", CHOICES)


async def ask_name(context: Context) -> Answer:
    """Asks for a name by its result."""
    name = written(context, "user_name", "name")
    return asking(user_name=who()) if name is None else said(f"Hello, {name}.")


async def ask_model(context: Context) -> Answer:
    """Asks the client's model by its result."""
    question = asking(capital_question=completion("What is the capital of France?"))
    reply = (context.input_responses or {}).get("capital_question")
    return said(f"the model said {reply.content}") if isinstance(reply, CreateMessageResult) else question


async def ask_roots(context: Context) -> Answer:
    """Asks for the client's folders by its result."""
    answered = "client_roots" in (context.input_responses or {})
    return said("the client has folders") if answered else asking(client_roots=ListRootsRequest())


async def ask_with_state(context: Context) -> Answer:
    """Asks, and has the client carry what is known so far."""
    if context.request_state != "asked once":
        return asking("asked once", confirm=whether())
    return said("state-ok") if written(context, "confirm", "ok") else asking("asked once", confirm=whether())


async def ask_everything(context: Context) -> Answer:
    """Asks a person, a model and for folders at once."""
    questions = asking("all", user_name=who(), greeting=completion("Greet me."), client_roots=ListRootsRequest())
    answered = (context.input_responses or {}).keys() >= (questions.input_requests or {}).keys()
    return said("all answered") if answered else questions


async def ask_twice(context: Context) -> Answer:
    """Asks for a name, and with the name for a colour. Anything else begins again."""
    name = context.request_state if context.request_state != "begun" else None
    if name and (colour := written(context, "step2", "color")):
        return said(f"{name} likes {colour}")
    if context.request_state == "begun" and (name := written(context, "step1", "name")):
        return asking(name, step2=form("Which colour?", color={"type": "string"}))
    return asking("begun", step1=who())


async def ask_what_is_possible(context: Context) -> Answer:
    """Asks only for what the client said it can do."""
    can = context.client_capabilities
    questions: dict[str, InputRequest] = {}
    if can is not None and can.sampling is not None:
        questions["sample"] = completion("Say hello.")
    if can is not None and can.elicitation is not None:
        questions["ask"] = who()
    return asking("possible", **questions)


IN_A_CALL = (sampling, elicitation, elicitation_sep1034_defaults, elicitation_sep1330_enums)
BY_RESULT = {
    "elicitation": ask_name,
    "sampling": ask_model,
    "list_roots": ask_roots,
    "request_state": ask_with_state,
    "multiple_inputs": ask_everything,
    "multi_round": ask_twice,
    "tampered_state": ask_with_state,
    "capabilities": ask_what_is_possible,
}


def add_questions(server: MCPServer) -> None:
    """Serve the tools, by the names the suite has for them."""
    for tool in IN_A_CALL:
        server.add_tool(tool, name=f"test_{tool.__name__}", structured_output=False)
    for name, tool in BY_RESULT.items():
        server.add_tool(tool, name=f"test_input_required_result_{name}", structured_output=False)
    server.add_tool(ask_name, name="test_streaming_elicitation", structured_output=False)

"""Tools that drop nothing in silence and explain themselves.

The SDK would accept unknown arguments and ignore them, and answer a wrong one with a validator's dump.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable, Iterator, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import BaseModel, ValidationError

from keyframe_mcp.errors import CallerError, KeyframeError
from keyframe_mcp.server.arguments import Arguments
from keyframe_mcp.server.schemas import input_schema, output_schema

Taken = TypeVar("Taken", bound=Arguments)
Handler = Callable[[Taken, Context], Awaitable[CallToolResult]]

MOST_CHARACTERS = 4000
NAME_CHARACTERS = 80
CRASHED = (
    "{}: a mistake inside this server, not in the call; its log has the details. Repeat the same call at once: if it "
    "had started a task, that is found and nothing is paid twice. If it happens again, tell whoever runs this server."
)


class Metadata(FuncMetadata):
    """Reads JSON out of text only where a list or an object is wanted.

    Some hosts send those as text. The SDK would also read a prompt like `{"scene": ...}` or `null`, and refuse it or
    take it for nothing.
    """

    def pre_parse_json(self, data: dict[str, Any]) -> dict[str, Any]:
        """Arguments with lists and objects unpacked."""
        packed = {name: data[name] for name in compound(self.arg_model) if name in data}
        return data | super().pre_parse_json(packed) if packed else data

    def validate_arguments(self, arguments_to_validate: dict[str, Any]) -> dict[str, Any]:
        """The arguments in one piece. The SDK would take them apart, for whoever is called to build them again."""
        return {"arguments": self.arg_model.model_validate(self.pre_parse_json(arguments_to_validate))}


@cache
def compound(arguments: type[BaseModel]) -> tuple[str, ...]:
    """The fields that are lists or objects. Every call asks."""
    described = {name: str(each.annotation) for name, each in arguments.model_fields.items()}
    return tuple(name for name, text in described.items() if "list[" in text or "dict[" in text)


class StrictTool(Tool):
    """A tool that explains wrong arguments in our words."""

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - the SDK's own signature
        """Run it. Raises `ToolError`, whose text is what the agent reads, without the SDK's words before it."""
        try:
            return await super().run(arguments, context, convert_result)
        except UnexpectedToolError as crash:
            raise UnexpectedToolError(CRASHED.format(self.name)) from crash.__cause__
        except ToolError as refusal:
            if isinstance(refusal.__cause__, ValidationError):  # of the arguments; in the tool it would be a crash
                raise ToolError(sayable(self._advice(refusal.__cause__))) from None
            own = refusal.__cause__ if isinstance(refusal.__cause__, ToolError) else refusal
            raise ToolError(sayable(str(own))) from None

    def _advice(self, error: ValidationError) -> str:
        """What is wrong with arguments, and what would be right."""
        mistakes = "; ".join(self._explain(error))
        return f"{ended(f'{self.name}: {mistakes}')} {CallerError.outlook()}"

    def _explain(self, error: ValidationError) -> Iterator[str]:
        names = list(self.fn_metadata.arg_model.model_fields)  # a schema may announce fewer
        for mistake in error.errors(include_url=False, include_input=False):
            name = ".".join(map(str, mistake["loc"]))[:NAME_CHARACTERS]
            if mistake["type"] == "extra_forbidden":
                near = get_close_matches(name, names, n=2, cutoff=0.5)
                hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
                yield f"{name} is not an argument; {hint}"
            elif mistake["type"] == "missing":
                yield f"{name} is missing"
            elif mistake["type"] == "too_long":
                counts = mistake.get("ctx", {})
                yield f"{name}: {counts['actual_length']} were given; at most {counts['max_length']} work"
            else:
                yield f"{name}: {mistake['msg'][:1].lower()}{mistake['msg'][1:]}"


def strict_tool(
    handler: Handler[Taken],
    takes: type[Taken],
    gives: type[BaseModel] | None,
    annotations: ToolAnnotations,
    description: str,
    *,
    advertised: Sequence[str] = (),
    or_gives: type[BaseModel] | None = None,
) -> Tool:
    """A tool, named like its handler, from the models of what it takes and gives."""

    async def call(context: Context, arguments: Taken) -> CallToolResult:
        try:
            return await handler(arguments, context)
        except KeyframeError as error:
            # The SDK shows the agent the text of this error class and of no other.
            raise ToolError(explained(error)) from error

    output = None if gives is None else output_schema(gives, advertised, or_gives)
    return StrictTool(
        fn=call,
        title=None,
        name=handler.__name__,
        description=description,
        parameters=input_schema(takes),
        fn_metadata=Metadata(arg_model=takes, output_schema=output),
        is_async=True,
        context_kwarg="context",
        annotations=annotations,
    )


def explained(error: KeyframeError) -> str:
    """An error for an agent: what happened, all of it, and what to do."""
    if isinstance(error, CallerError) and len(error.problems) > 1:
        listed = "\n".join(f"- {problem}" for problem in error.problems)
        return f"{len(error.problems)} problems, nothing was started:\n{listed}\n{error.fix} {error.outlook()}"
    return " ".join(filter(None, (ended(str(error)), error.fix, error.outlook())))


def ended(text: str) -> str:
    """A sentence with its full stop."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def sayable(text: str) -> str:
    """Text that any client can take and show: what it quotes may hold half characters, escapes and direction marks."""
    cut = text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3] + "..."
    return "".join(each if is_plain(each) else ascii(each)[1:-1] for each in cut)


def is_plain(character: str) -> bool:
    """Whether a character shows as what it is."""
    return character == "\n" or unicodedata.category(character)[0] != "C"

"""Fewer tools with shorter schemas, for hosts and models that every token costs.

Nothing stops working: a core tool takes every input and gives every field that it does in full. Those that are
rarely wanted are only not announced, which is why these schemas do not say that there are no others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from mcp.server.mcpserver.tools import Tool

from keyframe_mcp.server.schemas import Schema

GENERATE = ("model", "duration", "aspect_ratio", "idempotency_key", "dry_run", "prompt")


@dataclass(frozen=True)
class Announced:
    """What of a tool is shown: its inputs, and of its result the fields at the top and in each of `outputs`."""

    inputs: tuple[str, ...]
    fields: tuple[str, ...]
    more: str = ""


STARTED = ("task_id",)
CORE: Mapping[str, Announced] = MappingProxyType(
    {
        "generate_flf2v": Announced(("first_image", "last_image", *GENERATE), STARTED),
        "generate_i2v": Announced(("image", *GENERATE), STARTED),
        "generate_t2v": Announced(GENERATE, STARTED),
        "get_task": Announced(
            ("task_id", "wait_seconds"), ("task_id", "status", "next_step", "outputs", "file", "url")
        ),
        "list_models": Announced(
            ("mode", "duration", "aspect_ratio", "max_price_usd", "model"),
            ("models",),
            " Generate tools take every input listed with model=<id>.",
        ),
        "view_video": Announced(("source",), ()),
    }
)
"""The tools of the core set."""


def of_set(tools: Iterable[Tool], toolset: str) -> Sequence[Tool]:
    """The tools of a set, `full` or `core`."""
    if toolset == "full":
        return list(tools)
    return [core(tool, CORE[tool.name]) for tool in tools if tool.name in CORE]


def core(tool: Tool, announced: Announced) -> Tool:
    """A tool with only what is mostly used in its schemas."""
    parameters = only(tool.parameters, announced.inputs)
    if "required" in tool.parameters:
        parameters["required"] = tool.parameters["required"]
    known = tool.fn_metadata.output_schema
    output = None if known is None else only(known, announced.fields)
    return tool.model_copy(
        update={
            "parameters": parameters,
            "description": tool.description + announced.more,
            "fn_metadata": tool.fn_metadata.model_copy(update={"output_schema": output}),
        }
    )


def only(schema: Schema, names: tuple[str, ...]) -> Schema:
    """An object's schema with these fields, at every level, and without the promise that there are no others."""
    kept: Schema = {"type": "object", "properties": {}}
    for name, each in schema["properties"].items():
        if name in names:
            items = each.get("items", {})
            inside = {"items": only(items, names)} if "properties" in items else {}
            kept["properties"][name] = each | inside
    return kept

"""Schemas as hosts want them: flat, closed, without references and unions, and short.

Several hosts refuse or hide a tool with `$ref` or `anyOf`, and every byte here is in every conversation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

KEPT_OF_OUTPUT = ("type", "enum", "items", "properties")


def input_schema(model: type[BaseModel]) -> Schema:
    """What a tool takes: nothing unknown, required arguments first."""
    schema = flat(model.model_json_schema())
    required = schema.get("required", [])
    properties = sorted(schema["properties"].items(), key=lambda item: item[0] not in required)
    closed: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return closed | ({"required": required} if required else {})


RARE = (
    *("engine", "confidence", "native_status", "trace_id", "inference_seconds", "created_at", "updated_at"),
    *("kept", "mime_type", "size_bytes", "fps"),
)
"""Fields of results that are read by people and programs that have seen them, and not planned with."""


def output_schema(model: type[BaseModel], only: Sequence[str] = (), also: type[BaseModel] | None = None) -> Schema:
    """What a tool gives: types and names, enough to use a result without having seen one.

    `only` names the fields to advertise where the same result is described in full by another tool, or says by
    itself what the rest is. `also` is another shape the result may have. Nothing is said to be required: whoever
    reads a result sees what is there.
    """
    properties = lean(of_results(model))["properties"]
    if only:
        chosen = {name: brief(properties[name]) for name in only}
        return {"type": "object", "properties": chosen}
    if also is not None:
        other = of_results(also)["properties"]
        properties = {name: brief(each) for name, each in other.items()} | properties
    return {"type": "object", "properties": properties}


@cache
def of_results(model: type[BaseModel]) -> Schema:
    """The flat schema of what a tool gives. Kept, as it takes milliseconds and half of the tools give the same."""
    return flat(model.model_json_schema(mode="serialization"))


def brief(node: Schema) -> Schema:
    """Only of what type a field is."""
    return {"type": node["type"]}


def flat(schema: Schema) -> Schema:
    """References put in place, optional unions reduced to their type, titles and docstrings left out."""
    return inlined(schema, schema.get("$defs", {}))


def inlined(node: Schema, definitions: Schema) -> Schema:
    """One node of `flat`."""
    if "$ref" in node:
        name = str(node["$ref"]).rpartition("/")[2]
        return inlined(definitions[name] | {key: value for key, value in node.items() if key != "$ref"}, definitions)
    kinds = [each for each in node.get("anyOf", []) if each != {"type": "null"}]
    if len(kinds) == 1:
        rest = {key: value for key, value in node.items() if key != "anyOf"}
        return inlined(kinds[0] | rest, definitions)
    inside: Schema = {}
    for key, value in node.items():
        if key == "properties":
            inside[key] = {name: inlined(each, definitions) for name, each in value.items()}
        elif key == "items":
            inside[key] = inlined(value, definitions)
        elif not is_noise(key, value, node):
            inside[key] = value
    return inside


def is_noise(key: str, value: object, node: Schema) -> bool:
    """What says nothing to a caller: titles, null defaults, and docstrings of models and enumerations."""
    return (
        key in ("title", "$defs", "additionalProperties")
        or (key == "default" and value is None)
        or (key == "description" and ("properties" in node or "enum" in node))
        or (key == "default" and not value)  # false and 0 are what one would guess
        or key in ("maxLength", "maxItems", "minimum")  # still enforced, and the refusal says so
    )


def lean(node: Schema) -> Schema:
    """A node with its types and names only."""
    cut = {key: value for key, value in node.items() if key in KEPT_OF_OUTPUT}
    if "properties" in cut:
        cut["properties"] = {name: lean(each) for name, each in cut["properties"].items() if name not in RARE}
    if "items" in cut and "properties" in (items := lean(cut.pop("items"))):
        cut["items"] = items
    return cut

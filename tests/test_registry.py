"""`server.json`: what the registry checks, and what it would let through."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import SecretStr

from keyframe_mcp import __version__
from keyframe_mcp import catalog as catalogs
from keyframe_mcp.docs import registry
from keyframe_mcp.errors import InvalidSettings
from keyframe_mcp.settings import LIMITS, PREFIX, Settings, base_url_variable, limit_variable, read_settings

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((ROOT / "tests" / "schemas" / "server.schema.json").read_text("utf-8"))
ENTRY = json.loads((ROOT / "server.json").read_text("utf-8"))
VARIABLES: list[dict[str, Any]] = ENTRY["packages"][0]["environmentVariables"]
SECRET = re.compile(r"(key|token|secret|password)s?\b", re.IGNORECASE)


def strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same schema, in which a key that it does not name is an error, however deep.

    What is put together with `allOf` is made one object first: each part alone would refuse the other's keys.
    """
    definitions = {name: flat(each, schema["definitions"]) for name, each in schema["definitions"].items()}
    return {**schema, "definitions": {name: closed(each) for name, each in definitions.items()}}


def flat(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """An object with the properties of everything it is made of."""
    if "$ref" in node:
        return flat(definitions[node["$ref"].rpartition("/")[2]], definitions)
    parts = [flat(each, definitions) for each in node.get("allOf", ())]
    whole = {name: value for name, value in node.items() if name != "allOf"}
    properties = {name: each for part in parts for name, each in part.get("properties", {}).items()}
    required = [name for part in parts for name in part.get("required", ())]
    if parts:
        whole["properties"] = properties | whole.get("properties", {})
        whole["required"] = [*required, *whole.get("required", ())]
    return whole


def closed(node: Any) -> Any:
    if isinstance(node, list):
        return [closed(each) for each in node]
    if not isinstance(node, dict):
        return node
    inner = {name: closed(each) for name, each in node.items()}
    return inner | {"additionalProperties": False} if "properties" in node and "anyOf" not in node else inner


def problems(entry: Mapping[str, Any]) -> list[str]:
    validator = jsonschema.Draft7Validator(strict(SCHEMA))
    return [f"{each.json_path}: {each.message}" for each in validator.iter_errors(entry)]


def changed(*path: str | int, value: object) -> dict[str, Any]:
    entry = deepcopy(ENTRY)
    place: Any = entry
    for each in path[:-1]:
        place = place[each]
    place[path[-1]] = value
    return entry


def test_the_registry_would_take_it():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.Draft7Validator(SCHEMA).validate(ENTRY)

    assert ENTRY["$schema"] == SCHEMA["$id"]


def test_no_key_is_one_the_registry_does_not_know():
    assert problems(ENTRY) == []


@pytest.mark.parametrize(
    "entry",
    [
        changed("licence", value="Apache-2.0"),
        changed("packages", 0, "runtime", value="uvx"),
        changed("packages", 0, "transport", "port", value=1),
        changed("packages", 0, "environmentVariables", 0, "secret", value=True),
    ],
    ids=["entry", "package", "transport", "variable"],
)
def test_an_unknown_key_which_the_registry_would_let_through_is_found(entry: Mapping[str, Any]):
    jsonschema.Draft7Validator(SCHEMA).validate(entry)

    assert problems(entry)


@pytest.mark.parametrize(
    "entry",
    [
        changed("description", value="x" * 101),
        changed("packages", 0, "version", value="latest"),
        changed("packages", 0, "environmentVariables", 0, "format", value="path"),
        changed("name", value="keyframe-mcp"),
    ],
    ids=["description", "version", "format", "name"],
)
def test_what_the_registry_refuses_is_found(entry: Mapping[str, Any]):
    assert problems(entry)


def test_the_names_and_versions_agree_with_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (package,) = ENTRY["packages"]

    assert ENTRY["version"] == package["version"] == __version__
    assert package["identifier"] == project["name"]
    assert project["readme"] == "README.md", "the index shows the registry the name that is in the README"
    assert f"<!-- mcp-name: {ENTRY['name']} -->" in (ROOT / "README.md").read_text("utf-8")


def test_every_variable_there_is_is_named_once():
    providers = {name: each for name, each in catalogs.load().providers.items() if each.key}
    ours = [PREFIX + name.upper() for name in Settings.model_fields]
    theirs = [each.key for each in providers.values() if each.key] + [base_url_variable(name) for name in providers]
    limits = [limit_variable(name, limit) for name in providers for limit in LIMITS]

    assert sorted(each["name"] for each in VARIABLES) == sorted([*ours, *theirs, *limits])


def test_what_is_secret_says_so_and_nothing_else_does():
    fields = {PREFIX + name.upper(): registry.kind_of(field) for name, field in Settings.model_fields.items()}
    secret = {name for name, kind in fields.items() if kind is SecretStr}
    keys = {each.key for each in catalogs.load().providers.values() if each.key}

    assert {each["name"] for each in VARIABLES if each["isSecret"]} == secret | keys
    # by its name too, so that a secret kept as plain text is noticed
    assert {each["name"] for each in VARIABLES if SECRET.search(each["name"].replace("_", " "))} == secret | keys
    assert not [each["name"] for each in VARIABLES if each["isSecret"] and "default" in each]


def test_every_variable_says_what_it_is():
    assert not [each["name"] for each in VARIABLES if not each["description"].endswith(".")]


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda each: each["name"])
def test_a_default_and_every_choice_is_taken_by_the_server(variable: dict[str, Any], tmp_path: Path):
    values = [*variable.get("choices", ()), *([variable["default"]] if "default" in variable else [])]

    assert all(read_settings({variable["name"]: each}, tmp_path, tmp_path) for each in values)


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda each: each["name"])
def test_a_value_that_is_refused_for_not_being_one_of_a_few_has_those_as_choices(
    variable: dict[str, Any], tmp_path: Path
):
    try:
        read_settings({variable["name"]: "neither"}, tmp_path, tmp_path)
        few = None
    except InvalidSettings as refused:
        _, _, listed = str(refused).partition("is not one of ")
        few = listed.split(", ") if listed else None
    expected = None if few == ["1", "0", "true", "false"] else few

    assert variable.get("choices") == expected
    assert (variable.get("format") == "boolean") == (few is not None and expected is None)


def test_defaults_are_those_in_force(tmp_path: Path):
    bare = read_settings({}, tmp_path, tmp_path)
    said = {each["name"]: each["default"] for each in VARIABLES if "default" in each}
    ours = {PREFIX + name.upper(): getattr(bare, name) for name in Settings.model_fields}
    plain = {name: value for name, value in ours.items() if isinstance(value, str | bool | int | float)}

    assert {name: each for name, each in said.items() if name in ours} == {
        name: registry.written(value) for name, value in plain.items()
    }

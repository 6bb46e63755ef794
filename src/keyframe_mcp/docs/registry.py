"""`server.json`: the entry of the MCP registry, from the package's version, the settings and the catalogue.

Facts of the format: its schema of 2025-12-11, a copy of which is in `tests/schemas`. Only the package on the index is
named. A bundle or an image is named by the address and digest of a release, and a remote by where it runs: there is
none of them yet.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from keyframe_mcp import __version__
from keyframe_mcp import catalog as catalogs
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.settings import (
    LIMITS,
    LOG_FORMATS,
    LOG_LEVELS,
    PREFIX,
    TOOLSETS,
    Settings,
    base_url_variable,
    limit_variable,
)

SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
NAME = "io.github.keyframe-mcp/keyframe-mcp"
"""With a GitHub login the registry takes `io.github.OWNER/...` alone, and wants the README to say the same."""
TITLE = "Keyframe"
DESCRIPTION = "Video generation for agents: first-last-frame, image, text, prompt-to-prompt; typed results."
PACKAGE = "keyframe-mcp"

FORMATS: Mapping[object, str] = MappingProxyType({Path: "filepath", float: "number", int: "number", bool: "boolean"})
"""What the registry calls a type; it calls everything else, lists included, a string."""
CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"log_level": LOG_LEVELS, "log_format": LOG_FORMATS, "toolset": TOOLSETS}
)
"""Settings that have a few values."""


def server_json() -> str:
    """The whole file."""
    package = {
        "registryType": "pypi",
        "identifier": PACKAGE,
        "version": __version__,
        "runtimeHint": "uvx",
        "transport": {"type": "stdio"},
        "environmentVariables": [*map(setting, Settings.model_fields), *provider_variables()],
    }
    entry = {
        "$schema": SCHEMA,
        "name": NAME,
        "title": TITLE,
        "description": DESCRIPTION,
        "version": __version__,
        "packages": [package],
    }
    return json.dumps(entry, indent=2) + "\n"


def setting(name: str) -> dict[str, object]:
    """One of our own variables, with everything its field says of it."""
    field = Settings.model_fields[name]
    kind = kind_of(field)
    more = {
        "default": written(field.default) if is_plain(field) else None,
        "choices": list(CHOICES[name]) if name in CHOICES else None,
        "format": FORMATS.get(kind),
    }
    is_secret = kind is SecretStr
    return variable(PREFIX + name.upper(), field.description or "", is_secret=is_secret) | given(more)


def provider_variables() -> Iterator[dict[str, object]]:
    """The variables of every provider: its key, where it is, and how much it is given."""
    for provider_id, provider in catalogs.load().providers.items():
        if provider.key is not None:
            yield variable(provider.key, f"Key for {provider.name}.", is_secret=True)
            moved = f"Another host for {provider.name}; default {provider.base_url}."
            yield variable(base_url_variable(provider_id), moved) | given({"default": provider.base_url})
            for name, words in LIMITS.items():
                most = f"The most {words} for {provider.name}; 0 is no limit; default {usual(provider, name)}."
                usually = {"default": number_of(provider, name), "format": "number"}
                yield variable(limit_variable(provider_id, name), most) | given(usually)


def variable(name: str, about: str, *, is_secret: bool = False) -> dict[str, object]:
    """One environment variable, as the registry wants it. None of ours is needed to start."""
    return {"name": name, "description": about, "isRequired": False, "isSecret": is_secret}


def usual(provider: Provider, limit: str) -> str:
    """How much a provider is given unless a variable says otherwise, in words."""
    return number_of(provider, limit) or "no limit"


def number_of(provider: Provider, limit: str) -> str | None:
    """The same, if there is a limit at all."""
    return next((str(many) for name, many in provider.limits.items() if name == limit), None)


def kind_of(field: FieldInfo) -> object:
    """A field's type, without the None that says that it may be unset."""
    if get_origin(field.annotation) not in (Union, types.UnionType):
        return field.annotation
    return next(each for each in get_args(field.annotation) if each is not type(None))


def is_plain(field: FieldInfo) -> bool:
    """Whether the default is one value that a variable can hold; other defaults are told in words."""
    return isinstance(field.default, str | bool | int | float)


def written(value: Any) -> str:  # noqa: ANN401 - a default of any of those types
    """A value as a variable would hold it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def given(more: Mapping[str, object]) -> dict[str, object]:
    """Those that there are."""
    return {name: value for name, value in more.items() if value is not None}

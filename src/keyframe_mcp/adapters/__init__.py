"""The dialects this server speaks. A new one is a module here and a line in this table."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyframe_mcp.adapters.dialect import Dialect

HTTP_DIALECTS: Mapping[str, str] = MappingProxyType(
    {"baicai": "Baicai", "replicate": "Replicate", "siliconflow": "SiliconFlow", "wavespeed": "WaveSpeed"}
)
"""The name of a dialect, which is its module's, and its class."""

DIALECTS = frozenset({"local", *HTTP_DIALECTS})


def dialect_of(name: str) -> type[Dialect]:
    """A dialect's class. Imported only now: a server with one key need not start with all of them."""
    return getattr(import_module(f"{__name__}.{name}"), HTTP_DIALECTS[name])

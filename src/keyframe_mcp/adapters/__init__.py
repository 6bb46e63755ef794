"""The dialects this server speaks. A new one is a module here and a line in this table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from keyframe_mcp.adapters.baicai import Baicai
from keyframe_mcp.adapters.dialect import Dialect
from keyframe_mcp.adapters.replicate import Replicate
from keyframe_mcp.adapters.siliconflow import SiliconFlow
from keyframe_mcp.adapters.wavespeed import WaveSpeed

HTTP_DIALECTS: Mapping[str, type[Dialect]] = MappingProxyType(
    {"baicai": Baicai, "replicate": Replicate, "siliconflow": SiliconFlow, "wavespeed": WaveSpeed}
)

DIALECTS = frozenset({"local", *HTTP_DIALECTS})

"""The story of a task: checked, written down, submitted once, followed to its end."""

from __future__ import annotations

from keyframe_mcp.engine.caller import Caller
from keyframe_mcp.engine.engine import Engine, Rehearsal, Started

__all__ = ["Caller", "Engine", "Rehearsal", "Started"]

"""The standard `OTEL_*` variables, which other people's code reads when it likes: what it makes of bad ones."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from keyframe_mcp.errors import InvalidSettings

PREFIX = "OTEL_"


def unusable(error: Exception, environment: Mapping[str, str]) -> InvalidSettings:
    """What stopped OpenTelemetry, and which variables are set. Their values stay unsaid: headers hold keys."""
    names = ", ".join(sorted(name for name in environment if name.startswith(PREFIX)))
    why = f"{type(error).__name__}: {error}".rstrip(": .")
    return InvalidSettings(
        f"OpenTelemetry cannot be started as its variables say ({why}); correct what is wrong among "
        f"those that are set ({names or 'none here'}), or unset them"
    )


def is_of_opentelemetry(error: Exception) -> bool:
    """Whether an exception was raised in OpenTelemetry's own code."""
    return bool(error.__traceback__) and where(error.__traceback__).startswith("opentelemetry.")


def where(traceback: TracebackType) -> str:
    """The module that raised."""
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return str(traceback.tb_frame.f_globals.get("__name__", ""))

"""A gateway that speaks Replicate's API under a path of its own."""

from __future__ import annotations

from adapters.replicate import example

EXAMPLE = example("/replicate/v1", "GATEWAY_API_KEY", is_gateway=True)

"""The dialects this server speaks. A new one is a module here and a line in this table."""

from __future__ import annotations

DIALECTS = frozenset({"local"})

"""What is observed, as tables: from the same data that makes the spans, the metrics and the lines."""

from __future__ import annotations

from keyframe_mcp.cli.logs import FIELDS
from keyframe_mcp.telemetry.inventory import METRICS, SPANS


def spans_table() -> str:
    """Every kind of span."""
    rows = ["| Span | Kind | In the trace of the | | Attributes |", "|---|---|---|---|---|"]
    rows += [
        f"| `{each.name}` | {each.kind} | {each.trace} | {each.about} | {codes(each.attributes)} |" for each in SPANS
    ]
    return "\n".join(rows)


def metrics_table() -> str:
    """Every metric."""
    rows = ["| Metric | Kind | Unit | | Labels |", "|---|---|---|---|---|"]
    rows += [
        f"| `{each.name}` | {each.kind} | `{each.unit}` | {each.about} | {codes(each.labels)} |" for each in METRICS
    ]
    return "\n".join(rows)


def log_fields() -> str:
    """Every field of a log line."""
    return "\n".join(["| Field | |", "|---|---|", *(f"| `{name}` | {about} |" for name, about in FIELDS.items())])


def codes(names: tuple[str, ...]) -> str:
    """Names, one after the other."""
    return ", ".join(f"`{name}`" for name in names)

"""The figures of the long tests, as tables. They are measured by `make soak`, which writes them down as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

Figures = Mapping[str, str | int | float]

CRASH = {
    "processes": "Servers",
    "seed": "Seed",
    "jobs": "Ordered",
    "kills": "Killed",
    "stops": "Stopped",
    "faults": "Faults",
    "created": "Made",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "unknown": "Unknown",
    "lost": "Lost",
    "duplicates": "Duplicates",
    "wrong_verdicts": "Wrong verdicts",
    "corrupt_files": "Corrupt files",
}
"""What is shown of a run with kills, and what it is called."""


def crash_figures(path: Path) -> str:
    """A row for every run of the server as it is."""
    runs = [each for each in measured(path) if each.get("strategy") == "sound"]
    rows = [[str(each[name]) for name in CRASH] for each in sorted(runs, key=order)]
    return table(list(CRASH.values()), rows) if rows else "Not measured yet: `make soak`."


def self_proof(path: Path) -> str:
    """A row for every run of a server that submits in a way known to be wrong."""
    runs = [each for each in measured(path) if each.get("strategy", "sound") != "sound"]
    rows = [[str(each[name]) for name in ("strategy", *CRASH)] for each in sorted(runs, key=order)]
    return table(["Strategy", *CRASH.values()], rows) if rows else "Not measured yet: `make soak`."


def other_figures(path: Path) -> str:
    """What the other long tests measured: a line each."""
    runs = [each for each in measured(path) if "strategy" not in each]
    lines = [f"* **{each['scenario']}**: {', '.join(map(worded, sorted(shown(each).items())))}" for each in runs]
    return "\n".join(sorted(lines)) if lines else "Not measured yet: `make soak`."


def measured(path: Path) -> Sequence[Figures]:
    """Everything in the file."""
    return json.loads(path.read_text("utf-8")) if path.exists() else []


def order(figures: Figures) -> tuple[str, int, int]:
    """By strategy, number of servers and seed."""
    return str(figures["strategy"]), int(figures["processes"]), int(figures["seed"])


def shown(figures: Figures) -> Figures:
    """All but the name, and what there was nothing to say of."""
    return {name: value for name, value in figures.items() if name != "scenario" and value != ""}


def worded(figure: tuple[str, str | int | float]) -> str:
    """`10,000 tasks`."""
    name, value = figure
    number = f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else value
    return f"{name.replace('_', ' ')} {number}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of numbers."""
    lines = [f"| {' | '.join(heads)} |", f"|{'---:|' * len(heads)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])

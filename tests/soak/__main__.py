"""`python -m soak --tasks 10000`, `python -m soak --fuzz 5000 --seed 7`; both print flat JSON."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import anyio


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--tasks", type=int, default=0, help="so many videos through one application")
    parser.add_argument("--fuzz", type=int, default=0, help="so many made-up calls of tools, and a tenth on the wire")
    parser.add_argument("--seed", type=int, default=1, help="with which calls; the same seed, the same calls")
    parser.add_argument("--write", type=Path, help="put the figures into this list of them too")
    asked = parser.parse_args()
    if not asked.tasks and not asked.fuzz:
        parser.error("say --tasks or --fuzz, and how many")
    figures = measured(asked.tasks, asked.fuzz, asked.seed)
    text = json.dumps(figures, indent=2)
    sys.stdout.write(text + "\n")
    if asked.write:
        remember(figures, asked.write)


def remember(figures: Mapping[str, float | str], path: Path) -> None:
    """Put figures into a list of them, in the place of earlier ones. What a name begins with is the scenario."""
    before: list[dict[str, float | str]] = json.loads(path.read_text()) if path.exists() else []
    parted: dict[str, dict[str, float | str]] = {}
    for name, value in figures.items():
        scenario, _, rest = name.partition("_")
        parted.setdefault(scenario, {"scenario": scenario})[rest] = value
    kept = [each for each in before if each.get("scenario") not in parted]
    path.write_text(json.dumps([*kept, *parted.values()], indent=2) + "\n")


def measured(tasks: int, calls: int, seed: int) -> dict[str, float | str]:
    """The figures of everything that was asked for."""
    figures: dict[str, float | str] = {}
    with tempfile.TemporaryDirectory() as folder:
        if tasks:
            from soak.endurance import endure  # each run loads only its own, to measure only that

            figures |= anyio.run(endure, Path(folder), tasks)
    if calls:
        from soak.fuzz import fuzz
        from soak.wire import fuzz_wire

        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            figures |= {"fuzz_seed": seed} | fuzz(Path(one), calls, seed)
            figures |= fuzz_wire(Path(other), max(1, calls // 10), seed)
    return figures


if __name__ == "__main__":
    main()

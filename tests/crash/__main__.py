"""The long form: `python -m crash`, from the folder of the tests.

Ends with 1 when our own way to submit lost a job or paid for one twice, or when a way known to be wrong did neither.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import anyio
import click

from crash.run import Outcome, Plan, perform
from crash.strategies import Strategy

COLUMNS = (
    *("scenario", "strategy", "seed", "processes", "jobs", "kills", "stops", "faults", "created"),
    *("succeeded", "failed", "unknown", "lost", "duplicates", "wrong_verdicts", "corrupt_files", "seconds"),
)

Figures = dict[str, str | int | float]


def parted(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
    """Values parted by commas."""
    return tuple(each.strip() for each in value.split(","))


@click.command()
@click.option("--seeds", default="1", show_default=True, callback=parted, help="A run for each.")
@click.option("--processes", default="1", show_default=True, callback=parted, help="On one state folder: 1, 2 or 1,2.")
@click.option("--strategies", default="sound", show_default=True, callback=parted, help="Of sound, naive, state-only.")
@click.option("--jobs", default=500, show_default=True, help="Videos ordered in a run.")
@click.option("--kills", default=12, show_default=True, help="Processes killed in a run, at random moments.")
@click.option("--traps", default=4, show_default=True, help="Of these, started again to die at a random named step.")
@click.option("--stops", default=0, show_default=True, help="Processes paused for longer than a lease, and continued.")
@click.option("--calls", is_flag=True, help="Let providers call, and a person have tasks sent again meanwhile.")
@click.option("--fair", is_flag=True, help="Let nothing go wrong but what is done to the processes.")
@click.option("--limit", default=180.0, show_default=True, help="Seconds after which a run is over, settled or not.")
@click.option("--write", type=click.Path(path_type=Path), help="A JSON file to keep the figures in.")
@click.option("--keep", type=click.Path(path_type=Path), help="A folder for what runs leave behind, for diagnosis.")
def main(
    *,
    seeds: Sequence[str],
    processes: Sequence[str],
    strategies: Sequence[str],
    jobs: int,
    kills: int,
    traps: int,
    stops: int,
    calls: bool,
    fair: bool,
    limit: float,
    write: Path | None,
    keep: Path | None,
) -> None:
    """Kill and pause real servers in the middle of paid jobs; count what was lost, doubled, misjudged or spoiled."""
    plans = [
        Plan(
            seed=int(seed),
            jobs=jobs,
            kills=kills,
            traps=traps,
            stops=stops,
            processes=int(count),
            strategy=Strategy(strategy),
            calls=calls,
            is_fair=fair,
            limit=limit,
        )
        for strategy, count, seed in product(strategies, processes, seeds)
    ]
    outcomes = [tell(perform_in(plan, keep)) for plan in plans]
    figures = [outcome.figures() for outcome in outcomes]
    click.echo(table(figures))
    if write is not None:
        remember(figures, write)
    sys.exit(not all(outcome.is_as_expected for outcome in outcomes))


def remember(figures: Sequence[Figures], path: Path) -> None:
    """Add figures to those in a file, in the place of earlier ones of the same run."""
    before: list[Figures] = json.loads(path.read_text()) if path.exists() else []
    new = {name_of(each) for each in figures}
    kept = [each for each in before if name_of(each) not in new]
    path.write_text(json.dumps([*kept, *figures], indent=2) + "\n")


def name_of(figures: Figures) -> tuple[str | int | float, ...]:
    """What makes a run the same."""
    return tuple(figures.get(name, "") for name in ("scenario", "strategy", "seed", "processes", "jobs"))


def perform_in(plan: Plan, keep: Path | None) -> Outcome:
    """One run, in a folder that is removed afterwards unless it is wanted."""
    with tempfile.TemporaryDirectory(prefix="keyframe-crash-") as scratch:
        folder = (keep or Path(scratch)) / f"{plan.strategy}-{plan.processes}-{plan.seed}"
        folder.mkdir(parents=True)
        return anyio.run(perform, plan, folder)


def tell(outcome: Outcome) -> Outcome:
    """The figures in a line, and what was wrong in words."""
    click.echo(json.dumps(outcome.figures()))
    if not outcome.is_as_expected:
        for problem in outcome.verdict.problems or ["nothing was paid for twice: this harness does not see it"]:
            click.echo(f"  {problem}", err=True)
    return outcome


def table(figures: Sequence[Figures]) -> str:
    """The figures for people."""
    rows = [COLUMNS, *(tuple(str(each[name]) for name in COLUMNS) for each in figures)]
    widths = [max(len(row[number]) for row in rows) for number in range(len(COLUMNS))]
    return "\n".join("  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)


if __name__ == "__main__":
    main()

"""`python -m conformance`, from the folder of the tests: install the suite, start the servers, run the scenarios.

Ends with 1 when anything is not as the roster says.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from conformance.report import counts, report, run_rows
from conformance.roster import EVENTS, LEGS, NEW, OLD, OLDER, Place, place_of, why_not
from conformance.servers import serving
from conformance.suite import Ran, Suite, installed
from conformance.verdict import Summary, troubles

Addresses = Mapping[Place, str]


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path(".conformance"), help="For the suite itself.")
@click.option("--only", default="", help="Run just the scenarios whose name has this in it, where they belong.")
@click.option("--write", type=click.Path(path_type=Path), help="A file for what was found, as JSON.")
def main(*, folder: Path, only: str, write: Path | None) -> None:
    """Run the official conformance suite against this server, and against one with the suite's own tools added."""
    suites = {version: installed(version, folder.resolve()) for version in (OLD, NEW)}
    with tempfile.TemporaryDirectory() as under, serving(Path(under)) as addresses:
        if only:
            sys.exit(run_some(suites, addresses, only))
        ran, refused = run_all(suites, addresses)
    listings = {version: suite.listing() for version, suite in suites.items()}
    wrong = [*refused, *troubles(listings, ran)]
    show_all(ran, wrong)
    if write is not None and not wrong:
        found = report(listings, ran, datetime.now(UTC).date().isoformat())
        write.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    sys.exit(bool(wrong))


def run_all(suites: Mapping[str, Suite], addresses: Addresses) -> tuple[list[Ran], list[str]]:
    """Every leg against the real app and the fixture, and what needs an event store. What the suite itself refuses.

    The real app is asked everything, too: what it answers by chance must not be taken for the fixture's alone.
    """
    ran: list[Ran] = []
    refused: list[str] = []
    for leg in LEGS:
        for place in ("real", "fixture"):
            found, code = suites[leg.suite].run(addresses[place], leg.asked, leg.revision, place)
            ran += found
            if code and place == "fixture":
                refused.append(f"{leg.suite} {leg.revision} does not pass the fixture: exit code {code}")
    for name in sorted(EVENTS):
        found, _ = suites[NEW].run(addresses["events"], one(name, OLDER), OLDER, "events")
        ran += found
    return ran, refused


def run_some(suites: Mapping[str, Suite], addresses: Addresses, only: str) -> int:
    """Scenarios one by one, where they belong. The exit code."""
    failed = 0
    for version, suite in suites.items():
        for name, revisions in suite.listing()["Server"].items():
            place = place_of(name)
            if only not in name or place is None or why_not(version, name) is not None:
                continue
            for revision in [each for each in revisions if each in ("extension", *(leg.revision for leg in LEGS))]:
                found, _ = suite.run(addresses[place], one(name, revision), revision, place)
                failed += sum(not show(each) for each in found)
    return 1 if failed else 0


def one(name: str, revision: str) -> Sequence[str]:
    """How the suite is asked for one scenario. Those of extensions have no revision."""
    return ["--scenario", name, *([] if revision == "extension" else ["--spec-version", revision])]


def show(ran: Ran) -> bool:
    """A line for a scenario, and what did not pass. Whether everything did."""
    summary = Summary.of(ran)
    click.echo(f"{ran.suite:16}{ran.revision:12}{ran.place:9}{ran.name:46}{len(summary.passed):3} passed")
    for each in sorted(summary.wrong):
        click.echo(f"    {each} did not pass")
    return summary.is_clean


def show_all(ran: Sequence[Ran], wrong: Sequence[str]) -> None:
    """A line for every run, and everything that is not as it should be."""
    for each in run_rows(ran):
        click.echo("{suite:16}{revision:12}{app:9}{scenarios:3} scenarios {checks:4} checks passed".format(**each))
    click.echo(f"{sum(map(counts, ran))} scenarios ran where they belong.")
    for each in wrong:
        click.echo(f"    {each}")


if __name__ == "__main__":
    main()

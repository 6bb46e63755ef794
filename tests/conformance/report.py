"""What a run found, as data for docs/conformance.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from conformance import roster
from conformance.roster import place_of, why_not
from conformance.suite import Listing, Ran
from conformance.verdict import Summary


def report(listings: Mapping[str, Listing], ran: Sequence[Ran], day: str) -> dict[str, Any]:
    """The facts of one run, sorted, so that the next one differs only where something did."""
    return {
        "day": day,
        "runs": run_rows(ran),
        "listed": [listed_row(suite, listing) for suite, listing in listings.items()],
        "excused": excused_rows(ran),
        "not_run": not_run_rows(listings),
    }


def run_rows(ran: Sequence[Ran]) -> list[dict[str, Any]]:
    """Of every version, revision and app the scenarios that belong there."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for each in ran:
        if not counts(each):
            continue
        empty = {
            "suite": each.suite,
            "revision": each.revision,
            "app": each.place,
            "scenarios": 0,
            "checks": 0,
            "excused": 0,
        }
        row = rows.setdefault((each.suite, each.revision, each.place), empty)
        row["scenarios"] += 1
        row["checks"] += len(Summary.of(each).passed)
        row["excused"] += len(Summary.of(each).wrong)
    return [rows[key] for key in sorted(rows)]


def counts(ran: Ran) -> bool:
    """Whether a run is one the roster wants: on the fixture everything, on the real app what is its own."""
    home = place_of(ran.name)
    if why_not(ran.suite, ran.name) is not None:
        return False
    return home == ran.place or (home == "real" and ran.place == "fixture")


def listed_row(suite: str, listing: Listing) -> dict[str, Any]:
    """How many scenarios of which kind a version has."""
    here = [name for name in listing["Server"] if why_not(suite, name) is None]
    others = {kind: len(names) for kind, names in sorted(listing.items()) if kind != "Server"}
    return {"suite": suite, "servers": len(listing["Server"]), "run": len(here), "others": others}


def excused_rows(ran: Sequence[Ran]) -> list[dict[str, Any]]:
    """The checks the real app was excused from, which passed on the fixture."""
    there = {(each.suite, each.revision, each.name) for each in ran if each.place == "real"}
    return [
        {"suite": suite, "revision": revision, "scenario": name, "check": check, "needs": needs}
        for suite, revision, name in sorted(there)
        for check, needs in roster.NEEDS_THE_FIXTURE.get(name, {}).items()
    ]


def not_run_rows(listings: Mapping[str, Listing]) -> list[dict[str, Any]]:
    """What is not run, and why."""
    rows = [
        {"suite": suite, "scenario": name, "why": why}
        for suite, listing in listings.items()
        for name in listing["Server"]
        if (why := why_not(suite, name)) is not None
    ]
    kinds = [
        {"suite": suite, "scenario": f"all {len(names)} for {kind.lower()}s", "why": roster.OTHER_KINDS[kind]}
        for suite, listing in listings.items()
        for kind, names in listing.items()
        if kind in roster.OTHER_KINDS
    ]
    return [*rows, *kinds]

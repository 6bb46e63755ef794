"""Whether everything is as the roster says. What is not is said in a sentence each, and any one fails the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from conformance import roster
from conformance.roster import EXTENSIONS_AT, LEGS, Leg, place_of, why_not
from conformance.suite import Listing, Ran

BESIDES = "wire-schema-"  # checked of every message in every scenario: alone it says nothing about a scenario
SUSPICIOUS = ("FAILURE", "WARNING", "SKIPPED")


@dataclass(frozen=True)
class Summary:
    """What became of a scenario: its checks by how they ended. A check that was looked at twice counts once."""

    passed: frozenset[str]
    wrong: frozenset[str]

    @classmethod
    def of(cls, ran: Ran) -> Summary:
        """Of a scenario that ran."""
        wrong = frozenset(each.id for each in ran.checks if each.status in SUSPICIOUS)
        passed = frozenset(each.id for each in ran.checks if each.status == "SUCCESS") - wrong
        return cls(passed, wrong)

    @property
    def is_clean(self) -> bool:
        """Whether something was looked at, and nothing was wrong."""
        return not self.wrong and any(not each.startswith(BESIDES) for each in self.passed)


Runs = Mapping[tuple[str, str, str, str], Ran]
"""By suite, revision, place and name."""


def by_key(ran: Sequence[Ran]) -> Runs:
    """Runs to be looked up."""
    return {(each.suite, each.revision, each.place, each.name): each for each in ran}


def troubles(listings: Mapping[str, Listing], ran: Sequence[Ran]) -> list[str]:
    """Everything that is not as it should be."""
    runs = by_key(ran)
    found = [*unknown(listings), *stale_names(listings)]
    for leg in LEGS:
        found += missing(leg, listings[leg.suite], runs)
    for each in ran:
        found += [f"{each.suite} {each.revision} {each.place} {each.name}: {what}" for what in amiss(each, runs)]
    return found


def unknown(listings: Mapping[str, Listing]) -> Iterator[str]:
    """Scenarios of the suite that the roster does not name."""
    for suite, kinds in listings.items():
        for kind in kinds.keys() - {"Server"} - roster.OTHER_KINDS.keys():
            yield f"{suite} has {kind} scenarios, a kind the roster does not know"
        for name in kinds["Server"]:
            if place_of(name) is None and why_not(suite, name) is None:
                yield f"{suite} has a scenario {name}, which the roster does not name"


def stale_names(listings: Mapping[str, Listing]) -> Iterator[str]:
    """Names of the roster that no version of the suite has."""
    there = {name for kinds in listings.values() for name in kinds["Server"]}
    for name in sorted({*roster.REAL, *roster.FIXTURE, *roster.EVENTS, *roster.NOT_RUN} - there):
        yield f"the roster names {name}, which no version of the suite has"


def missing(leg: Leg, listing: Listing, runs: Runs) -> Iterator[str]:
    """Scenarios of a revision that were not run where the roster puts them."""
    for name in wanted(leg, listing):
        place = place_of(name)
        if place is not None and (leg.suite, leg.revision, place, name) not in runs:
            yield f"{leg.suite} {leg.revision} {place} {name} was not run"


def wanted(leg: Leg, listing: Listing) -> list[str]:
    """The scenarios of a leg's revision, and at one of them those of extensions."""
    words = {leg.revision, *(["extension"] if leg.revision == EXTENSIONS_AT else [])}
    names = listing["Server"].items()
    return [name for name, revisions in names if words & set(revisions) and why_not(leg.suite, name) is None]


def amiss(ran: Ran, runs: Runs) -> Iterator[str]:
    """What is wrong with one run, given where the scenario belongs."""
    summary, home = Summary.of(ran), place_of(ran.name)
    if why_not(ran.suite, ran.name) is not None:
        if summary.is_clean:
            yield "it passed; it was said that it cannot be run"
    elif ran.place == "real":
        yield from amiss_on_real(ran, summary, runs)
    elif ran.place == "fixture" and home == "events":
        if summary.is_clean:
            yield "it passed without an event store; it was said to need one"
    else:
        yield from amiss_at_home(summary, frozenset())


def amiss_on_real(ran: Ran, summary: Summary, runs: Runs) -> Iterator[str]:
    """The real app: its own scenarios pass, those of the fixture do not, but for the exceptions that are named."""
    if place_of(ran.name) == "real":
        excused = roster.NEEDS_THE_FIXTURE.get(ran.name, {}).keys()
        yield from amiss_at_home(summary, frozenset(excused))
        proof = runs.get((ran.suite, ran.revision, "fixture", ran.name))
        proved = Summary.of(proof).passed if proof else frozenset[str]()
        yield from (f"{each} is excused, and did not pass on the fixture" for each in sorted(excused - proved))
    elif summary.is_clean and ran.name not in roster.PASSES_UNASKED:
        yield "the real app passes it; put it among its own"
    elif not summary.is_clean and ran.name in roster.PASSES_UNASKED:
        yield "the real app does not pass it, and was said to"


def amiss_at_home(summary: Summary, excused: frozenset[str]) -> Iterator[str]:
    """A scenario where it belongs."""
    yield from (f"{each} did not pass" for each in sorted(summary.wrong - excused))
    yield from (f"{each} passed, and was said not to" for each in sorted(excused - summary.wrong))
    if not any(not each.startswith(BESIDES) for each in summary.passed):
        yield "nothing passed"

"""What the official conformance suite found, as tables. `make conformance` writes the facts down as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

Facts = Mapping[str, Any]

NEVER_RUN = "Not run yet: `make conformance`."
APPS = {"real": "the real app", "fixture": "the fixture", "events": "the fixture with an event store"}


def blocks(path: Path) -> Mapping[str, Callable[[], str]]:
    """The blocks of docs/conformance.md."""
    return {
        "conformance-runs": partial(of_facts, path, runs),
        "conformance-excused": partial(of_facts, path, excused),
        "conformance-not-run": partial(of_facts, path, not_run),
    }


def of_facts(path: Path, shown: Callable[[Facts], str]) -> str:
    """A table of what is in the file, if there is one."""
    return shown(json.loads(path.read_text("utf-8"))) if path.exists() else NEVER_RUN


def runs(facts: Facts) -> str:
    """A row for every version, revision and app."""
    heads = ("Suite", "Revision", "Against", "Scenarios", "Checks passed", "Not passed")
    rows = [
        (each["suite"], each["revision"], APPS[each["app"]], each["scenarios"], each["checks"], failed(each))
        for each in facts["runs"]
    ]
    listed = " and ".join(f"{each['run']} of the {each['servers']} of {each['suite']}" for each in facts["listed"])
    return f"Last run on {facts['day']}. Of the scenarios for servers {listed} are run.\n\n{table(heads, rows)}"


def failed(run: Facts) -> str:
    """How many did not pass. Those that only the fixture can pass are the only ones a run that is written down has."""
    return f"{run['excused']}, which need the fixture" if run["excused"] else "0"


def excused(facts: Facts) -> str:
    """Checks of the real app's own scenarios that only the fixture can pass."""
    rows = [(each["scenario"], f"`{each['check']}`", each["needs"]) for each in facts["excused"]]
    return table(("Scenario", "Check", "What it needs"), rows)


def not_run(facts: Facts) -> str:
    """What is left out, and why."""
    rows = [(each["suite"], each["scenario"], each["why"]) for each in facts["not_run"]]
    return table(("Suite", "Scenario", "Why"), rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table."""
    lines = [f"| {' | '.join(map(str, each))} |" for each in (heads, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(heads)}", *lines[1:]])

"""Every scenario of the suite: against what it is run, or why it is not.

The real app is `keyframe-mcp serve --transport http` as people run it; a scenario is its own unless it calls a tool,
prompt or resource by a name of the suite's. Those are for the fixture, which is the same app with these added. What
fits none of the lists below, or is no longer true, fails the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Place = Literal["real", "fixture", "events"]

OLD, NEW = "0.1.16", "0.2.0-alpha.12"
OLDER, NEWER = "2025-11-25", "2026-07-28"


@dataclass(frozen=True)
class Leg:
    """A run of many scenarios at one revision. `asked` is how the suite is asked for them."""

    suite: str
    revision: str
    asked: tuple[str, ...]


# The requirements of a revision are all it wants, and what the suite runs without counting it: extensions among it.
LEGS = (
    Leg(OLD, OLDER, ("--suite", "all")),
    Leg(NEW, OLDER, ("--requirements", OLDER)),
    Leg(NEW, NEWER, ("--requirements", NEWER)),
)
EXTENSIONS_AT = NEWER

REAL = frozenset(
    (
        "server-initialize",
        "server-session-lifecycle",
        "server-stateless",
        "ping",
        "tools-list",
        "resources-list",
        "prompts-list",
        "server-sse-multiple-streams",
        "dns-rebinding-protection",
        "sep-2164-resource-not-found",
        "caching",
        "http-header-validation",
    )
)
FIXTURE = frozenset(
    (
        "logging-set-level",
        "completion-complete",
        "tools-call-simple-text",
        "tools-call-image",
        "tools-call-audio",
        "tools-call-embedded-resource",
        "tools-call-mixed-content",
        "tools-call-with-logging",
        "tools-call-error",
        "tools-call-with-progress",
        "tools-call-sampling",
        "tools-call-elicitation",
        "json-schema-2020-12",
        "elicitation-sep1034-defaults",
        "elicitation-sep1330-enums",
        "resources-read-text",
        "resources-read-binary",
        "resources-templates-read",
        "resources-subscribe",
        "resources-unsubscribe",
        "prompts-get-simple",
        "prompts-get-with-args",
        "prompts-get-embedded-resource",
        "prompts-get-with-image",
        "http-custom-header-server-validation",
        "tasks-lifecycle",
        "tasks-capability-negotiation",
        "tasks-wire-fields",
        "tasks-request-state-removal",
        "tasks-mrtr-input",
        "tasks-request-headers",
        "tasks-dispatch-and-envelope",
        "tasks-required-task-error",
        "tasks-mrtr-composition",
        "input-required-result-basic-elicitation",
        "input-required-result-basic-sampling",
        "input-required-result-basic-list-roots",
        "input-required-result-request-state",
        "input-required-result-multiple-input-requests",
        "input-required-result-multi-round",
        "input-required-result-missing-input-response",
        "input-required-result-non-tool-request",
        "input-required-result-result-type",
        "input-required-result-unsupported-methods",
        "input-required-result-tampered-state",
        "input-required-result-capability-check",
        "input-required-result-ignore-extra-params",
        "input-required-result-validate-input",
    )
)
# The fixture with an event store. The real app has none: a call whose stream was lost is found again by its task, and
# messages with videos' facts in them are not kept in memory for clients that may never come back.
EVENTS = frozenset(("server-sse-polling",))

NOT_RUN: Mapping[str, str] = {
    "tasks-status-notifications": "the suite skips it itself, until it listens where the extension sends; "
    "tests/test_protocol_tasks.py listens there",
    "sep-2640-skills-directory": "for servers with skills (SEP-2640); this one has none",
    "sep-2640-skills-enumeration": "for servers with skills (SEP-2640); this one has none",
    "sep-2640-skills-manifest": "for servers with skills (SEP-2640); this one has none",
}
NOT_RUN_BY: Mapping[tuple[str, str], str] = {
    (
        OLD,
        "server-sse-polling",
    ): f"{OLD} calls as a client of 2025-03-26, which knows no such events; {NEW} asks as one of {OLDER}",
}
OTHER_KINDS: Mapping[str, str] = {
    "Client": "they test clients; this is a server",
    "Authorization server": "they test servers that issue tokens; this one only takes them",
}

# Checks of the real app's scenarios that call a tool of the suite's all the same. The real app must not pass them, or
# the entry is stale; the fixture must.
NEEDS_THE_FIXTURE: Mapping[str, Mapping[str, str]] = {
    "server-stateless": {
        "sep-2575-server-rejects-undeclared-capability": "a tool that needs its client's sampling; no tool of ours "
        "needs anything of its client",
        "sep-2575-missing-capability-http-400": "the same tool",
        "sep-2575-server-sends-tools-list-changed-on-subscription": "a tool that changes the list of tools; ours is "
        "the same from start to end",
        "sep-2575-server-sends-prompts-list-changed-on-subscription": "a tool that changes the list of prompts; as "
        "above",
    }
}

# Scenarios of the fixture that the real app passes for want of what they call: they take its refusal for an answer.
PASSES_UNASKED: Mapping[str, str] = {
    "tools-call-simple-text": "it looks for a text, and there is one in a refusal",
    "tools-call-error": "it looks for an error, and a tool that is not there is one",
    "input-required-result-unsupported-methods": "it looks at what is not asked, and nothing is",
    "input-required-result-ignore-extra-params": "it looks for a result without questions, and a refusal is one",
}


def place_of(name: str) -> Place | None:
    """Against what a scenario is run."""
    places: Mapping[Place, frozenset[str]] = {"real": REAL, "fixture": FIXTURE, "events": EVENTS}
    return next((place for place, names in places.items() if name in names), None)


def why_not(suite: str, name: str) -> str | None:
    """Why a scenario is not run by a version of the suite, if it is not."""
    return NOT_RUN.get(name) or NOT_RUN_BY.get((suite, name))

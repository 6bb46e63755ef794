"""Which of the suite's scenarios are run, against what, and which of their checks cannot pass there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Target = Literal["server", "fixture"]


@dataclass(frozen=True)
class Scenario:
    """One run of the suite. Scenarios of extensions have no revision."""

    target: Target
    name: str
    revision: str | None = None


OLDER, NEWER = "2025-11-25", "2026-07-28"

# What any server can be asked, whatever its tools are. The rest of the suite wants tools, prompts and resources of its
# own; `server` is `keyframe-mcp serve` as people run it.
IN_BOTH = ("tools-list", "resources-list", "prompts-list", "server-sse-multiple-streams", "dns-rebinding-protection")
IN_OLDER = ("server-initialize", "server-session-lifecycle", "ping", *IN_BOTH)
IN_NEWER = (
    "server-stateless",
    "sep-2164-resource-not-found",
    "caching",
    "http-header-validation",
    "input-required-result-missing-input-response",
    "input-required-result-unsupported-methods",
    "input-required-result-ignore-extra-params",
    "input-required-result-validate-input",
    *IN_BOTH,
)

# Left out: tasks-mrtr-input and tasks-mrtr-composition, which want a task that asks its client something (none of ours
# does), and tasks-status-notifications, which the suite itself skips until it listens where the extension sends.
OF_TASKS = (
    "tasks-lifecycle",
    "tasks-capability-negotiation",
    "tasks-wire-fields",
    "tasks-request-state-removal",
    "tasks-request-headers",
    "tasks-dispatch-and-envelope",
    "tasks-required-task-error",
)

SCENARIOS = (
    *(Scenario("server", name, OLDER) for name in IN_OLDER),
    *(Scenario("server", name, NEWER) for name in IN_NEWER),
    *(Scenario("fixture", name) for name in OF_TASKS),
    Scenario("fixture", "server-stateless", NEWER),
)

# Both call a tool that needs the client's `sampling`; the fixture has it, and no tool of ours needs anything.
CANNOT_PASS: Mapping[Scenario, frozenset[str]] = {
    Scenario("server", "server-stateless", NEWER): frozenset(
        ("sep-2575-server-rejects-undeclared-capability", "sep-2575-missing-capability-http-400")
    )
}

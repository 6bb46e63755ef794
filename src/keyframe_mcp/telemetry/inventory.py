"""Every span and metric there is: what the recorder makes, and what the documentation lists.

Names are those of the OpenTelemetry semantic conventions where they have one (read 2026-11-21: HTTP, GenAI, MCP), and
begin with `keyframe.` otherwise. No label has a task, an owner or anything else of which there may be any number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PROVIDER, MODEL, MODE, STATUS = (
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "keyframe.task.mode",
    "keyframe.task.status",
)
TASK, ATTEMPT, CORRELATION = "keyframe.task.id", "keyframe.task.attempt", "keyframe.correlation.id"
WHAT, OUTCOME, ERROR, ORDER = "keyframe.operation", "keyframe.outcome", "error.type", "keyframe.media.order"
SPEND_OUTCOME = "keyframe.spend.outcome"
METHOD, CODE, ROUTE, HOST = "http.request.method", "http.response.status_code", "url.template", "server.address"
MCP_METHOD, TOOL = "mcp.method.name", "gen_ai.tool.name"

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
MINUTES = (1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 240.0, 480.0, 900.0, 1800.0, 3600.0, 7200.0)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One instrument. `bounds` are those of a histogram's buckets."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    unit: str
    about: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Trail:
    """One kind of span. `trace` says whose trace it is in."""

    name: str
    kind: Literal["producer", "internal", "client", "server"]
    trace: Literal["call", "task", "call or task"]
    about: str
    attributes: tuple[str, ...]


TASKS = Metric(
    name="keyframe.tasks",
    kind="gauge",
    unit="{task}",
    about="Tasks in the state folder, by state. Servers that share a folder each report all of it. "
    "Those of unknown fate are the series with the status unknown, which is always there.",
    labels=(STATUS, PROVIDER),
)
MOVES = Metric(
    name="keyframe.task.moves",
    kind="counter",
    unit="{move}",
    about="Tasks that came into a state; queued counts the accepted ones too.",
    labels=(STATUS, PROVIDER, MODE, MODEL, ERROR),
)
DURATION = Metric(
    name="keyframe.task.duration",
    kind="histogram",
    unit="s",
    about="From accepting a task to its end.",
    labels=(STATUS, PROVIDER, MODE, MODEL),
    bounds=MINUTES,
)
QUEUE = Metric(
    name="keyframe.task.queue.duration",
    kind="histogram",
    unit="s",
    about="From accepting a task to its first attempt.",
    labels=(PROVIDER,),
    bounds=(0.05, *MINUTES),
)
SPEND = Metric(
    name="keyframe.spend",
    kind="counter",
    unit="{USD}",
    about="Estimated US dollars in the budget's book: counted when a task begins to count, released when it is proved "
    "that nothing was charged. Counted less released is what the book holds.",
    labels=(PROVIDER, SPEND_OUTCOME),
)
ASKED = Metric(
    name="keyframe.provider.request.duration",
    kind="histogram",
    unit="s",
    about="One question to a provider, from asking to having understood the answer. "
    "The outcome is ok, or the kind of the error.",
    labels=(PROVIDER, WHAT, OUTCOME),
    bounds=SECONDS,
)
POLL_ERRORS = Metric(
    name="keyframe.provider.poll.errors",
    kind="counter",
    unit="{error}",
    about="Checks of running jobs that brought no answer.",
    labels=(PROVIDER, ERROR),
)
CIRCUIT = Metric(
    name="keyframe.provider.circuit.changes",
    kind="counter",
    unit="{change}",
    about="Times a provider began to be left alone (open), or answered again (closed).",
    labels=(PROVIDER, OUTCOME),
)
HTTP = Metric(
    name="http.client.request.duration",
    kind="histogram",
    unit="s",
    about="One HTTP request to a provider.",
    labels=(METHOD, ROUTE, HOST, CODE, ERROR),
    bounds=SECONDS,
)
MEDIA = Metric(
    name="keyframe.media.duration",
    kind="histogram",
    unit="s",
    about="One order to the media worker, the wait for its place included.",
    labels=(ORDER, OUTCOME),
    bounds=SECONDS,
)
SERVED = Metric(
    name="mcp.server.operation.duration",
    kind="histogram",
    unit="s",
    about="One request of a client. A tool that answers with an error has the error type tool_error.",
    labels=(MCP_METHOD, TOOL, ERROR),
    bounds=SECONDS,
)
METRICS = (TASKS, MOVES, DURATION, QUEUE, SPEND, ASKED, POLL_ERRORS, CIRCUIT, HTTP, MEDIA, SERVED)

SERVE = Trail(
    name="tools/call {tool}",
    kind="server",
    trace="call",
    about="The MCP SDK's span of a client's request. It continues the client's trace, where the client sends one.",
    attributes=(MCP_METHOD, "mcp.protocol.version", "jsonrpc.request.id", "gen_ai.operation.name", TOOL),
)
ACCEPT = Trail(
    name="accept task",
    kind="producer",
    trace="task",
    about="Writing a task down. The root of the task's own trace; it and the call's span link to each other.",
    attributes=(TASK, CORRELATION, PROVIDER, MODEL, MODE, "keyframe.task.deduplicated"),
)
ASK = Trail(
    name="{operation} {provider}",
    kind="internal",
    trace="call or task",
    about="One question to a provider: submit, check, upload, quote, find, cancel, reach.",
    attributes=(PROVIDER, WHAT, ATTEMPT, OUTCOME, ERROR),
)
REQUEST = Trail(
    name="{method} {route}",
    kind="client",
    trace="call or task",
    about="One HTTP request to a provider, or for a result. Ids in the path are left out.",
    attributes=(METHOD, ROUTE, HOST, CODE, PROVIDER, ATTEMPT, ERROR),
)
SAVE = Trail(
    name="save task",
    kind="internal",
    trace="task",
    about="Bringing the result to the output folder: fetching it and looking at it.",
    attributes=(TASK, ATTEMPT),
)
WORK = Trail(
    name="media {order}",
    kind="internal",
    trace="call or task",
    about="One order to the media worker.",
    attributes=(ORDER, OUTCOME, ERROR),
)
END = Trail(
    name="task {status}",
    kind="internal",
    trace="task",
    about="From accepting a task to succeeded, failed, cancelled or unknown.",
    attributes=(TASK, CORRELATION, PROVIDER, MODEL, MODE, STATUS, ATTEMPT, ERROR),
)
SPANS = (SERVE, ACCEPT, ASK, REQUEST, SAVE, WORK, END)

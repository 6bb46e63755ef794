"""What is told of the work while it is done. `Observer` is the seam, and by itself does nothing.

`recorder` turns it into OpenTelemetry spans and metrics, `export` sends those away; both are imported only when they
are wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from keyframe_mcp.task import Task
from keyframe_mcp.telemetry.correlation import correlation_id


class Told:
    """What can be said of something while it happens."""

    def answered(self, status: int) -> None:
        """There was an HTTP answer."""

    def failed(self, kind: str) -> None:
        """It ended badly, without an exception."""


class Accepting(Told):
    """A task that is about to be written down. `draft` is what to write: it knows the call it came from."""

    def __init__(self, draft: Task) -> None:
        self.draft = draft

    def became(self, task: Task) -> None:
        """The task that answers the request, which may have been there already."""


NOTHING = nullcontext(Told())
NOWHERE = nullcontext(None)


class Observer:
    """Hears what happens, and never gets in its way: nothing here raises, waits or writes to a disk."""

    def accepting(self, draft: Task) -> AbstractContextManager[Accepting]:
        """While a task is written down."""
        return nullcontext(Accepting(marked(draft)))

    def moved(self, before: Task | None, after: Task) -> None:
        """A task was written down, or changed. `before` is None for a new one."""

    def working(self, task: Task) -> AbstractContextManager[None]:
        """While a step of a task is taken: what is told meanwhile belongs to it."""
        return NOWHERE

    def asking(self, provider: str, what: str, attempt: int | None = None) -> AbstractContextManager[Told]:
        """While a provider is asked for something: `submit`, `check`, `upload` and so on."""
        return NOTHING

    def requesting(self, provider: str, method: str, route: str, host: str) -> AbstractContextManager[Told]:
        """While one HTTP request is under way. `route` is its path with ids left out."""
        return NOTHING

    def fetching(self, url: str) -> AbstractContextManager[Told]:
        """While a file is fetched, a result or a picture. Of its address only the host is told."""
        return NOTHING

    def circuit(self, provider: str, *, is_open: bool) -> None:
        """A provider is left alone from now on, or answers again."""

    def at_work(self, order: str) -> AbstractContextManager[Told]:
        """While the media worker carries out an order."""
        return NOTHING

    def continuing(self, headers: Mapping[str, str]) -> AbstractContextManager[None]:
        """While a request is served whose headers may name the trace it belongs to."""
        return NOWHERE

    def calling(self, method: str, tool: str | None) -> AbstractContextManager[Told]:
        """While a client's request is answered."""
        return NOTHING

    def close(self) -> None:
        """Send what is left, for a second at most."""


QUIET = Observer()


def marked(draft: Task, traceparent: str | None = None) -> Task:
    """A task that knows which call it came from."""
    return draft.model_copy(update={"correlation_id": correlation_id(), "traceparent": traceparent})

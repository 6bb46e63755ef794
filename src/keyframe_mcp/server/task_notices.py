"""Word of tasks on `subscriptions/listen` streams, for clients that would rather be told than ask.

The SDK's own handler serves the stream and knows nothing of tasks. This goes around it: the ids it agrees to are added
to the acknowledgement, and the tasks' moves are sent beside whatever else the stream carries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import anyio
from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult
from mcp.server.mcpserver import require_client_extension
from mcp.server.session import ServerSession
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp.types import (
    INVALID_PARAMS,
    Notification,
    RequestId,
    ServerNotification,
    SubscriptionFilter,
    SubscriptionsAcknowledgedNotification,
)
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ConfigDict

from keyframe_mcp.errors import KeyframeError
from keyframe_mcp.server.notices import LISTEN
from keyframe_mcp.server.protocol_tasks import TASKS, Asked, refusal
from keyframe_mcp.server.task_watches import Shown, TaskWatches, Untold

MOST_TASKS = 100  # on one stream: each is read again every two seconds


class TaskNotification(Notification[dict[str, Any], Literal["notifications/tasks"]]):
    """A task as `tasks/get` would show it. A plain dictionary, since a null `ttlMs` has to arrive."""

    model_config = ConfigDict(defer_build=True)

    method: Literal["notifications/tasks"] = "notifications/tasks"
    params: dict[str, Any]


class Acknowledging:
    """A session whose acknowledgement also names tasks. Everything else is the session's own."""

    def __init__(self, session: ServerSession, task_ids: Sequence[str]) -> None:
        self._session = session
        self._task_ids = list(task_ids)
        self.acknowledged = anyio.Event()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the session has
        return getattr(self._session, name)

    async def send_notification(
        self, notification: ServerNotification, related_request_id: RequestId | None = None
    ) -> None:
        """Send it, the ids of tasks added where it is the acknowledgement, which must be the first frame."""
        if not isinstance(notification, SubscriptionsAcknowledgedNotification):
            await self._session.send_notification(notification, related_request_id)
            return
        agreed = notification.params.notifications.model_dump(by_alias=True, exclude_none=True)
        honored = SubscriptionFilter.model_validate(agreed | {"taskIds": self._task_ids})
        params = notification.params.model_copy(update={"notifications": honored})
        await self._session.send_notification(notification.model_copy(update={"params": params}), related_request_id)
        self.acknowledged.set()


@dataclass(frozen=True)
class TaskNotices:
    """Middleware for one server. It costs nothing until somebody listens, and ends with the stream."""

    watches: TaskWatches

    async def __call__(self, ctx: Asked, call_next: CallNext) -> HandlerResult:
        """Serve a stream that asks for tasks; pass everything else on. Raises `MCPError`."""
        wanted = task_ids_of(ctx)
        if not wanted:
            return await call_next(ctx)
        require_client_extension(ctx, TASKS)
        return await self._serve(ctx, call_next, await self._seen(wanted))

    async def _serve(self, ctx: Asked, call_next: CallNext, seen: Mapping[str, Shown]) -> HandlerResult:
        """The stream, with the tasks' moves beside what the SDK sends."""
        session = Acknowledging(ctx.session, list(seen))
        answer: HandlerResult = None
        stopped: Exception | None = None
        try:
            with self.watches.following(seen) as untold:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(tell, ctx, session.acknowledged, untold)
                    answer = await call_next(replace(ctx, session=session))
                    tasks.cancel_scope.cancel()
        except* Exception as group:  # noqa: BLE001 - raised again below: the SDK has answers to each, none to groups
            stopped = group.exceptions[0]
        if stopped is not None:
            raise stopped
        return answer

    async def _seen(self, wanted: Sequence[str]) -> dict[str, Shown]:
        """Those of the tasks that are the caller's, as they are. The client reads in the acknowledgement which."""
        seen: dict[str, Shown] = {}
        for task_id in wanted:
            try:
                shown = await self.watches.look(task_id)
            except KeyframeError as error:
                raise refusal(error) from error
            if shown is not None:
                seen[task_id] = shown
        return seen


async def tell(ctx: Asked, acknowledged: anyio.Event, untold: Untold) -> None:
    """Send every task as it is, and again when it has changed."""
    await acknowledged.wait()
    while True:
        for shown in await untold.take():
            params = dict(shown) | {"_meta": {SUBSCRIPTION_ID_META_KEY: ctx.request_id}}
            notification: Any = TaskNotification(params=params)  # the SDK's union knows only the protocol's own
            await ctx.session.send_notification(notification, ctx.request_id)


def task_ids_of(ctx: Asked) -> list[str]:
    """The ids a request to listen names, none for any other request. Raises `MCPError`."""
    if ctx.method != LISTEN or ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return []
    filters = (ctx.params or {}).get("notifications")
    named: Any = cast("Mapping[str, Any]", filters).get("taskIds") if isinstance(filters, Mapping) else None
    if named is None:
        return []
    if not isinstance(named, list) or not all(isinstance(each, str) for each in cast("list[Any]", named)):
        raise MCPError(INVALID_PARAMS, "notifications.taskIds must be a list of task ids")
    task_ids = list(dict.fromkeys(cast("list[str]", named)))
    if len(task_ids) > MOST_TASKS:
        raise MCPError(INVALID_PARAMS, f"At most {MOST_TASKS} tasks can be followed on one stream; ask for fewer.")
    return task_ids

"""Copying a finished video here. Until that worked the task has not succeeded, and it is not lost either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keyframe_mcp.adapters.base import Adapter
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.delivered import unlike_asked
from keyframe_mcp.engine.keeper import Keeper
from keyframe_mcp.engine.moves import Moves, expires_at, forget, waiting
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.errors import (
    CallerError,
    KeyframeError,
    OutputUnwritable,
    ProviderUnavailable,
    ResultGone,
    UnexpectedReply,
)
from keyframe_mcp.task import Failure, Status, Task

MOST_ADDRESSES = 3  # how often a provider is asked about a result that cannot be had


@dataclass(frozen=True)
class Saving:
    """From saving to succeeded."""

    catalog: Catalog
    keeper: Keeper
    moves: Moves
    clock: Callable[[], float]
    pace: Pace

    async def save(self, task: Task, adapter: Adapter) -> float | None:
        """Copy the result here. Until that worked the task has not succeeded, and it is not lost either."""
        try:
            kept = await self.keeper.keep(task, adapter.credentials)
        except (OutputUnwritable, ProviderUnavailable) as error:
            await self.moves.note(task, failure=Failure.of(error))
            return self.pace.saving
        except (ResultGone, UnexpectedReply) as error:
            return await self._ask_where(task, error, adapter)
        except CallerError as error:
            # An agent cannot mend what a provider has made.
            made = UnexpectedReply(f"what {task.provider} made cannot be used: {error}")
            return await self._ask_where(task, made, adapter)
        except KeyframeError as error:
            await self._lose(task, error, adapter)
            return None
        warn = (*kept.warnings, *unlike_asked(task, kept.outputs, self.catalog))
        changes = {"outputs": kept.outputs, "failure": None}
        await self.moves.warn(task, {Status.SAVING}, Status.SUCCEEDED, warn, changes)
        await forget(task, adapter)
        return None

    async def _ask_where(self, task: Task, error: ResultGone | UnexpectedReply, adapter: Adapter) -> float | None:
        """The result is not where it was, or not what it should be: some providers give a new address when asked.

        What is no video may have been a page that got in between, and what is gone may only not be there yet: as long
        as the provider names an address it is fetched again all the same.
        """
        if task.asked_where >= MOST_ADDRESSES:
            await self._lose(task, error, adapter)
            return None
        try:
            report = await adapter.check(task.remote_id or "")
        except KeyframeError as trouble:
            await self.moves.note(task, failure=Failure.of(trouble))
            return waiting(trouble, self.pace.trouble)
        if not report.outputs and isinstance(error, ResultGone):
            await self._lose(task, error, adapter)
            return None
        is_new = report.outputs not in ((), task.remote_outputs)
        changes: dict[str, object] = {"asked_where": task.asked_where + 1, "failure": Failure.of(error)}
        if is_new:
            until = expires_at(self.catalog, task, self.clock())
            changes |= {"remote_outputs": report.outputs, "remote_expires_at": until}
        await self.moves.note(task, **changes)
        return 0 if is_new else self.pace.saving

    async def _lose(self, task: Task, error: KeyframeError, adapter: Adapter) -> None:
        """The video was made and cannot be had."""
        await self.moves.move(task, {Status.SAVING}, Status.FAILED, failure=Failure.of(error))
        await forget(task, adapter)

"""The embedded runner: one loop that wakes what is due, beside the server, in one process or several.

Each task is held under a lease while it is worked on, so processes that share the file share the work, and what a
dead process held becomes due again by itself.
"""

from __future__ import annotations

import logging
import os
import secrets

import anyio
from anyio.abc import TaskGroup

from keyframe_mcp.engine.bulletin import WAKE, Bulletin, Listener
from keyframe_mcp.engine.steps import Steps
from keyframe_mcp.store import Store

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 1.0  # another process may have added or let go of a task
KEEP_SECONDS = 1.0  # so short a wait is not worth letting go of the task
MOST_TURNS = 20  # then others have theirs: a queue of previews must not keep a paid job waiting
MOST_AT_ONCE = 64
AFTER_AN_ERROR = 5.0


class EmbeddedRunner:
    """Runs until it is cancelled. What it was doing then is due again when its lease ends."""

    def __init__(self, steps: Steps, store: Store, bulletin: Bulletin) -> None:
        self._lease = steps.pace.lease
        self._providers = frozenset(steps.adapters)  # others' tasks are left to processes that have their keys
        self._steps = steps
        self._store = store
        self._bulletin = bulletin
        self._held: set[str] = set()
        self._scope = anyio.CancelScope()
        self._stopped = anyio.Event()
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"

    async def run(self) -> None:
        """Claim what is due, advance it, wait."""
        try:
            with self._scope:
                await self._rounds()
        finally:
            self._stopped.set()

    async def stop(self) -> None:
        """Stop, and let go of what was held, so that another process need not wait for the leases to end."""
        self._scope.cancel()
        await self._stopped.wait()

    async def _rounds(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._renew)
            with self._bulletin.listening([WAKE]) as listener:
                while True:
                    await self._guarded_round(tasks, listener)

    async def _guarded_round(self, tasks: TaskGroup, listener: Listener) -> None:
        try:
            await self._round(tasks, listener)
        except Exception:
            # Whatever it was, stopping the server would be worse.
            log.exception("the task database could not be used; trying again")
            await anyio.sleep(AFTER_AN_ERROR)

    async def _round(self, tasks: TaskGroup, listener: Listener) -> None:
        free = MOST_AT_ONCE - len(self._held)
        claimed = await self._store.claim(self._name, free, self._lease, self._providers) if free else ()
        for task_id in claimed:
            self._held.add(task_id)
            tasks.start_soon(self._one, task_id)
        if not claimed:
            due = await self._store.next_due(self._providers) if free else None
            await listener.wait(LOOK_AGAIN_SECONDS if due is None else min(due + 0.005, LOOK_AGAIN_SECONDS))

    async def _one(self, task_id: str) -> None:
        """Advance one task as long as there is something to do at once, then let go of it."""
        delay: float | None = 0.0  # when stopped in the middle: due at once, for whoever comes next
        try:
            delay = await self._steps.advance(task_id)
            for _ in range(MOST_TURNS):
                if delay is None or delay > KEEP_SECONDS:
                    break
                await anyio.sleep(delay)
                delay = await self._steps.advance(task_id)
        except Exception:
            # One task's trouble must not stop the others, nor lose it.
            log.exception("advancing %s failed; it is tried again", task_id)
            delay = AFTER_AN_ERROR
        finally:
            self._held.discard(task_id)
            await self._let_go(task_id, delay)

    async def _let_go(self, task_id: str, delay: float | None) -> None:
        """Give a task back, also when stopping. If that fails its lease ends by itself."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(1):
            try:
                await self._store.release(self._name, task_id, delay)
            except Exception:
                log.exception("%s could not be let go of", task_id)
        self._bulletin.ring(WAKE)

    async def _renew(self) -> None:
        while True:
            await anyio.sleep(self._lease / 3)
            try:
                await self._store.renew(self._name, list(self._held), self._lease)
            except Exception:
                log.exception("the leases could not be renewed; trying again")

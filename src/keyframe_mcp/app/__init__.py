"""The one place that knows how the parts fit together."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from keyframe_mcp.adapters.base import Adapter
from keyframe_mcp.app.ending import closed_at_last, put_away, put_down
from keyframe_mcp.app.folders import PICTURES, UPLOADED, tidy
from keyframe_mcp.app.parts import (
    callbacks_of,
    catalog_of,
    fetching,
    heard,
    keeper_of,
    rules_of,
    seal_of,
    workshops,
)
from keyframe_mcp.app.providers import http_adapters, local_adapters, observed
from keyframe_mcp.engine.bulletin import Bulletin
from keyframe_mcp.engine.choosing import Choosing
from keyframe_mcp.engine.chronicle import Chronicle
from keyframe_mcp.engine.circuit import Circuits
from keyframe_mcp.engine.engine import Engine
from keyframe_mcp.engine.films import Films
from keyframe_mcp.engine.intake import Intake
from keyframe_mcp.engine.ownership import Ownership
from keyframe_mcp.engine.pace import PACE, Pace
from keyframe_mcp.engine.pictures import Pictures
from keyframe_mcp.engine.seal import Seal
from keyframe_mcp.engine.settling import Settling
from keyframe_mcp.engine.sources import Sources
from keyframe_mcp.engine.steps import Steps
from keyframe_mcp.engine.uploads import Uploads
from keyframe_mcp.engine.webhook_keys import WebhookKeys
from keyframe_mcp.engine.webhooks import Webhooks
from keyframe_mcp.media.files import Folders
from keyframe_mcp.runners.embedded import EmbeddedRunner
from keyframe_mcp.settings import Settings
from keyframe_mcp.store import Store
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.telemetry import QUIET, Observer

OpenStore = Callable[[Path, Callable[[], float]], Store]


@dataclass(frozen=True)
class Application:
    """A running server's inside: the engine, and what was configured."""

    engine: Engine
    settings: Settings
    configured: frozenset[str]
    stop: Callable[[], Awaitable[None]]
    """Stop the work and finish the writes; for when the process has to leave at once."""
    is_sending: Callable[[], bool]
    """Whether a job is on its way to a provider, whose answer is worth waiting for."""
    tasks: TaskGroup
    """Where work beside it runs; it is cancelled when the application ends."""
    seal: Seal
    """Signs what goes out to come back: links to results, addresses that providers call."""
    uploads: Uploads
    """Pictures that callers without a disk of ours send in."""
    webhooks: Webhooks
    """What providers say by themselves."""
    observer: Observer = QUIET
    """Hears of the work."""


def as_it_is(adapter: Adapter) -> Adapter:
    """Nothing around it."""
    return adapter


@asynccontextmanager
async def open_application(
    settings: Settings,
    working_dir: Path,
    clock: Callable[[], float] = time.time,
    *,
    works: bool = True,
    pace: Pace = PACE,
    open_store: OpenStore = SqliteStore,
    adapted: Callable[[Adapter], Adapter] = as_it_is,
    observer: Observer = QUIET,
) -> AsyncGenerator[Application]:
    """Everything started, and stopped at the end. Raises `OperatorError` when it cannot start.

    `works=False` only looks: nothing is submitted or followed by a process that is about to leave. `open_store` and
    `adapted` put something else in the place of the database and of each adapter on the network. `observer` hears of
    the work, and is closed only by `stop`.
    """
    catalog = catalog_of(settings)
    store, bulletin = heard(open_store(settings.database, clock), observer), Bulletin()
    # Renders have a place of their own, so that looking at a picture never waits for one.
    workshop, renderers = workshops(observer)
    tidy(settings, clock())
    async with (
        closed_at_last(store),
        closed_at_last(workshop),
        closed_at_last(renderers),
        anyio.create_task_group() as tasks,
    ):
        adapters = local_adapters(catalog, settings, renderers, tasks)
        online = http_adapters(catalog, settings, clock, observer)
        adapters |= {name: adapted(observed(name, each, observer)) for name, each in online.items()}
        fetch, seal = fetching(settings, observer), seal_of(settings)
        folders, ownership = Folders(settings.allowed_dirs, working_dir), Ownership(seal)
        uploads = Uploads(settings.state_dir / UPLOADED, seal, workshop, clock)
        sources_in = partial(
            Sources, store, folders, fetch, workshop, ownership, outputs=settings.output_dir, uploads=uploads
        )
        sources = sources_in(folder=settings.state_dir / PICTURES)
        rules, callbacks = rules_of(catalog, settings), callbacks_of(settings, seal, catalog)
        webhooks = Webhooks(callbacks, online, store, catalog, bulletin, WebhookKeys(clock))
        chronicle = Chronicle(workshop, catalog, clock)
        keeper = keeper_of(settings, workshop, fetch, clock, chronicle)
        steps = Steps(
            catalog, adapters, store, keeper, Pictures(store, clock), bulletin, clock, pace,
            rules=rules, circuits=Circuits(observer), observer=observer, callbacks=callbacks,
        )  # fmt: skip
        engine = Engine(
            catalog=catalog,
            adapters=adapters,
            store=store,
            intake=Intake(
                Choosing(catalog, adapters.keys(), settings.default_model), sources, rules.budget, sources_in
            ),
            films=Films(sources, workshop, settings.output_dir, catalog, ownership, chronicle),
            settling=Settling(adapters, store, rules.budget, bulletin, clock),
            budget=rules.budget,
            bulletin=bulletin,
            clock=clock,
            observer=observer,
            callbacks=callbacks,
        )
        runner = EmbeddedRunner(steps, store, bulletin)
        if works:
            tasks.start_soon(runner.run)

        async def stop() -> None:
            await put_down(runner if works else None, adapters)
            await put_away(workshop, renderers, store)
            observer.close()

        try:
            yield Application(
                engine, settings, frozenset(adapters), stop, steps.sending.is_any, tasks, seal, uploads, webhooks,
                observer,
            )  # fmt: skip
        finally:
            with anyio.CancelScope(shield=True):
                await put_down(runner if works else None, adapters)
            tasks.cancel_scope.cancel()

"""The one place that knows how the parts fit together."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import anyio
from anyio.abc import TaskGroup

from keyframe_mcp import catalog as catalogs
from keyframe_mcp.adapters import DIALECTS
from keyframe_mcp.adapters.base import Adapter
from keyframe_mcp.adapters.local import LocalAdapter
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.bulletin import Bulletin
from keyframe_mcp.engine.engine import Engine
from keyframe_mcp.engine.films import Films
from keyframe_mcp.engine.intake import Intake
from keyframe_mcp.engine.keeper import Keeper
from keyframe_mcp.engine.sources import Fetch, Sources
from keyframe_mcp.engine.steps import Steps
from keyframe_mcp.errors import InvalidSettings, UnknownModel
from keyframe_mcp.media.files import Folders
from keyframe_mcp.media.workshop import Workshop
from keyframe_mcp.runners.embedded import EmbeddedRunner
from keyframe_mcp.settings import Settings
from keyframe_mcp.store.sqlite import SqliteStore

KEEP_PICTURES_SECONDS = 30 * 24 * 3600


class Closable(Protocol):
    """Something with an end."""

    async def aclose(self) -> None:
        """Let go of everything."""
        ...


@dataclass(frozen=True)
class Application:
    """A running server's inside: the engine, and what was configured."""

    engine: Engine
    settings: Settings
    configured: frozenset[str]
    stop: Callable[[], Awaitable[None]]
    """Stop the work and finish the writes; for when the process has to leave at once."""


@asynccontextmanager
async def open_application(
    settings: Settings, working_dir: Path, clock: Callable[[], float] = time.time
) -> AsyncGenerator[Application]:
    """Everything started, and stopped at the end. Raises `OperatorError` when it cannot start."""
    catalog = catalogs.load(settings.catalog_dir, DIALECTS)
    require_default_model(catalog, settings)
    store, workshop, bulletin = SqliteStore(settings.database, clock), Workshop(), Bulletin()
    tidy(settings.state_dir / "pictures", clock() - KEEP_PICTURES_SECONDS)
    async with closed_at_last(store), closed_at_last(workshop), anyio.create_task_group() as tasks:
        adapters = build_adapters(catalog, settings, workshop, tasks)
        folders = Folders(settings.allowed_dirs, working_dir)
        sources = Sources(store, folders, fetching(settings), workshop, settings.state_dir / "pictures")
        keeper = Keeper(settings.output_dir, workshop)
        steps = Steps(catalog, adapters, store, keeper, bulletin)
        engine = Engine(
            catalog=catalog,
            store=store,
            intake=Intake(catalog, adapters.keys(), sources, settings.default_model),
            films=Films(sources, workshop, settings.output_dir),
            bulletin=bulletin,
            clock=clock,
        )
        runner = EmbeddedRunner(steps, store, bulletin)
        tasks.start_soon(runner.run)

        async def stop() -> None:
            await runner.stop()
            for adapter in adapters.values():
                await adapter.aclose()
            await workshop.aclose()
            await store.aclose()

        try:
            yield Application(engine, settings, frozenset(adapters), stop)
        finally:
            for adapter in adapters.values():
                await adapter.aclose()
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def closed_at_last(thing: Closable) -> AsyncGenerator[None]:
    """Close something however the block ends, and not half."""
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await thing.aclose()


def fetching(settings: Settings) -> Fetch:
    """How URLs are fetched, as the settings allow."""
    # Its INFO lines hold whole URLs, signatures included.
    logging.getLogger("httpx").setLevel(logging.WARNING)

    async def fetch(url: str, into: IO[bytes], most_bytes: int, seconds: float) -> None:
        from keyframe_mcp.media.fetch import Fetcher  # noqa: PLC0415 - httpx costs 50 ms that most starts never need

        await Fetcher(loopback=settings.allow_loopback).fetch(url, into, most_bytes, seconds)

    return fetch


def build_adapters(catalog: Catalog, settings: Settings, workshop: Workshop, tasks: TaskGroup) -> Mapping[str, Adapter]:
    """An adapter for every provider that can be used."""
    adapters: dict[str, Adapter] = {}
    for provider_id, provider in catalog.providers.items():
        if provider.dialect == "local":
            local = LocalAdapter(settings.state_dir / "renders" / provider_id, workshop, tasks)
            tasks.start_soon(local.pulse)
            adapters[provider_id] = local
    return adapters


def tidy(folder: Path, older_than: float) -> None:
    """Remove copies of pictures nobody has asked for in a long time, and what a crash left unfinished."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.stat().st_mtime >= older_than:
            continue
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def require_default_model(catalog: Catalog, settings: Settings) -> None:
    """Raise `InvalidSettings` if the default model does not exist: it would be passed over in silence."""
    if settings.default_model is not None:
        try:
            catalog.find(settings.default_model)
        except UnknownModel as error:
            raise InvalidSettings(f"KEYFRAME_DEFAULT_{error}".replace("DEFAULT_model", "DEFAULT_MODEL")) from None

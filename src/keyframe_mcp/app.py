"""The one place that knows how the parts fit together."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

import anyio
from anyio.abc import TaskGroup

from keyframe_mcp import catalog as catalogs
from keyframe_mcp.adapters import DIALECTS, HTTP_DIALECTS, dialect_of
from keyframe_mcp.adapters.base import Adapter
from keyframe_mcp.adapters.local import LocalAdapter
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.engine.budget import Budget
from keyframe_mcp.engine.bulletin import Bulletin
from keyframe_mcp.engine.choosing import Choosing
from keyframe_mcp.engine.chronicle import Chronicle
from keyframe_mcp.engine.engine import Engine
from keyframe_mcp.engine.films import Films
from keyframe_mcp.engine.intake import Intake
from keyframe_mcp.engine.keeper import FetchResult, Keeper
from keyframe_mcp.engine.pace import PACE, Pace
from keyframe_mcp.engine.pictures import Pictures
from keyframe_mcp.engine.seal import Seal, read_or_make
from keyframe_mcp.engine.settling import Settling
from keyframe_mcp.engine.sources import Sources
from keyframe_mcp.engine.steps import Steps
from keyframe_mcp.engine.submitting import MOST_ON_THEIR_WAY, Rules
from keyframe_mcp.errors import InvalidSettings, UnknownModel
from keyframe_mcp.media.files import Folders
from keyframe_mcp.media.unfinished import sweep
from keyframe_mcp.media.workshop import Workshop
from keyframe_mcp.runners.embedded import EmbeddedRunner
from keyframe_mcp.settings import Settings, base_url_variable
from keyframe_mcp.store import Limits, Store
from keyframe_mcp.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from keyframe_mcp.adapters.http import HttpAdapter
    from keyframe_mcp.media.fetch import Fetcher

KEEP_PICTURES_SECONDS = 30 * 24 * 3600
LEFT_BEHIND_SECONDS = 3600
MADE = "renders"  # in the state folder: videos that are not in the output folder yet
NO_HEADERS: Mapping[str, str] = {}

OpenStore = Callable[[Path, Callable[[], float]], Store]

log = logging.getLogger(__name__)


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
    is_sending: Callable[[], bool]
    """Whether a job is on its way to a provider, whose answer is worth waiting for."""
    tasks: TaskGroup
    """Where work beside it runs; it is cancelled when the application ends."""
    seal: Seal
    """Signs what goes out to come back: links to results, addresses that providers call."""


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
) -> AsyncGenerator[Application]:
    """Everything started, and stopped at the end. Raises `OperatorError` when it cannot start.

    `works=False` only looks: nothing is submitted or followed by a process that is about to leave. `open_store` and
    `adapted` put something else in the place of the database and of each adapter on the network.
    """
    catalog = catalogs.load(settings.catalog_dir, DIALECTS, settings.learned_models)
    for trouble in catalog.troubles:
        log.warning("%s", trouble)
    require_default_model(catalog, settings)
    store, bulletin = open_store(settings.database, clock), Bulletin()
    # Renders have a place of their own, so that looking at a picture never waits for one.
    workshop, renderers = Workshop(), Workshop(places=1)
    tidy(settings, clock())
    async with (
        closed_at_last(store),
        closed_at_last(workshop),
        closed_at_last(renderers),
        anyio.create_task_group() as tasks,
    ):
        adapters = local_adapters(catalog, settings, renderers, tasks)
        online = http_adapters(catalog, settings, clock)
        adapters |= {provider_id: adapted(each) for provider_id, each in online.items()}
        fetch = fetching(settings)
        folders = Folders(settings.allowed_dirs, working_dir)
        sources_in = partial(Sources, store, folders, fetch, workshop, outputs=settings.output_dir)
        sources = sources_in(folder=settings.state_dir / "pictures")
        rules = Rules(budget_of(settings), limits_in_force(catalog, settings))
        chronicle = Chronicle(workshop, catalog, clock)
        keeper = Keeper(
            settings.output_dir,
            workshop,
            fetch,
            made_in=settings.state_dir / MADE,
            copies=settings.keep_results,
            clock=clock,
            chronicle=chronicle,
        )
        steps = Steps(catalog, adapters, store, keeper, Pictures(store, clock), bulletin, clock, pace, rules=rules)
        engine = Engine(
            catalog=catalog,
            adapters=adapters,
            store=store,
            intake=Intake(
                Choosing(catalog, adapters.keys(), settings.default_model), sources, rules.budget, sources_in
            ),
            films=Films(sources, workshop, settings.output_dir, catalog, chronicle),
            settling=Settling(adapters, store, rules.budget, bulletin, clock),
            budget=rules.budget,
            bulletin=bulletin,
            clock=clock,
        )
        runner = EmbeddedRunner(steps, store, bulletin)
        if works:
            tasks.start_soon(runner.run)

        async def stop() -> None:
            await put_down(runner if works else None, adapters)
            await workshop.aclose()
            await renderers.aclose()
            await store.aclose()

        try:
            yield Application(
                engine, settings, frozenset(adapters), stop, steps.sending.is_any, tasks, seal_of(settings)
            )
        finally:
            with anyio.CancelScope(shield=True):
                await put_down(runner if works else None, adapters)
            tasks.cancel_scope.cancel()


def seal_of(settings: Settings) -> Seal:
    """One key for all processes that share the state folder, made when it is first needed."""
    return Seal(partial(read_or_make, settings.state_dir / "link.key"))


def budget_of(settings: Settings) -> Budget:
    """What may be spent, as the settings say."""
    return Budget(
        per_task=settings.budget_usd_per_task,
        per_day=settings.budget_usd_per_day,
        per_owner=settings.budget_usd_per_owner_per_day,
        unpriced_usd=settings.budget_unpriced_usd,
    )


def limits_in_force(catalog: Catalog, settings: Settings) -> dict[str, Limits]:
    """How much each provider on the network takes: what its catalogue file says, unless the settings do."""
    return {
        provider_id: Limits(
            on_their_way=MOST_ON_THEIR_WAY,
            at_once=settings.limit(provider_id, "at_once", provider.limits.get("at_once")),
            submits_per_minute=settings.limit(
                provider_id, "submits_per_minute", provider.limits.get("submits_per_minute")
            ),
        )
        for provider_id, provider in catalog.providers.items()
        if provider.dialect in HTTP_DIALECTS
    }


async def put_down(runner: EmbeddedRunner | None, adapters: Mapping[str, Adapter]) -> None:
    """First the work, then what it works with: a job that is being sent must hear its answer."""
    if runner is not None:
        await runner.stop()
    for adapter in adapters.values():
        await adapter.aclose()


@asynccontextmanager
async def closed_at_last(thing: Closable) -> AsyncGenerator[None]:
    """Close something however the block ends, and not half."""
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await thing.aclose()


def fetching(settings: Settings) -> FetchResult:
    """How URLs are fetched, as the settings allow."""
    for name in ("httpx", "httpcore"):  # their lines hold whole URLs, signatures included, and headers
        logging.getLogger(name).setLevel(logging.WARNING)

    @cache
    def fetcher() -> Fetcher:
        from keyframe_mcp.media.fetch import Fetcher  # noqa: PLC0415 - httpx costs 50 ms that most starts never need

        return Fetcher(loopback=settings.allow_loopback)

    async def fetch(
        url: str,
        into: IO[bytes],
        most_bytes: int,
        seconds: float,
        headers: Mapping[str, str] = NO_HEADERS,
        *,
        idle: float | None = None,
    ) -> None:
        await fetcher().fetch(url, into, most_bytes, seconds, headers, idle=idle)

    return fetch


def local_adapters(catalog: Catalog, settings: Settings, workshop: Workshop, tasks: TaskGroup) -> dict[str, Adapter]:
    """An adapter for every provider that draws on this machine."""
    adapters: dict[str, Adapter] = {}
    for provider_id, provider in catalog.providers.items():
        if provider.dialect == "local":
            local = LocalAdapter(settings.state_dir / MADE / provider_id, workshop, tasks)
            tasks.start_soon(local.pulse)
            adapters[provider_id] = local
    return adapters


def http_adapters(catalog: Catalog, settings: Settings, clock: Callable[[], float]) -> dict[str, HttpAdapter]:
    """An adapter for every provider on the network that can be used. Raises `InvalidSettings` for a bad host."""
    return {
        provider_id: http_adapter(provider_id, provider, settings, clock)
        for provider_id, provider in catalog.providers.items()
        if provider.dialect in HTTP_DIALECTS and (provider.key is None or settings.key(provider.key) is not None)
    }


def http_adapter(
    provider_id: str,
    provider: Provider,
    settings: Settings,
    clock: Callable[[], float],
    *,
    base_url: str | None = None,
) -> HttpAdapter:
    """An adapter for a provider on the network, at another host than the configured one if that is given."""
    from keyframe_mcp.adapters.http import Access, HttpAdapter  # noqa: PLC0415 - a server without a key needs none

    access = Access(
        base_url=base_url or settings.base_url(provider_id, provider.base_url),
        variable=base_url_variable(provider_id),
        key=settings.key(provider.key),
    )
    dialect = dialect_of(provider.dialect)(provider)
    return HttpAdapter(dialect, access, settings.state_dir / MADE / provider_id, clock)


def tidy(settings: Settings, now: float) -> None:
    """Remove what killed processes have left, and copies of pictures nobody has asked for in a long time."""
    sweep(settings.output_dir, now - LEFT_BEHIND_SECONDS)
    pictures = settings.state_dir / "pictures"
    for entry in pictures.iterdir() if pictures.is_dir() else ():
        with suppress(OSError):  # another server may tidy too
            age = now - entry.lstat().st_mtime
            if entry.is_dir() and age > LEFT_BEHIND_SECONDS:
                shutil.rmtree(entry, ignore_errors=True)
            elif age > KEEP_PICTURES_SECONDS:
                entry.unlink()


def require_default_model(catalog: Catalog, settings: Settings) -> None:
    """Raise `InvalidSettings` if the default model does not exist: it would be passed over in silence."""
    if settings.default_model is not None:
        try:
            catalog.find(settings.default_model)
        except UnknownModel as error:
            raise InvalidSettings(f"KEYFRAME_DEFAULT_{error}".replace("DEFAULT_model", "DEFAULT_MODEL")) from None

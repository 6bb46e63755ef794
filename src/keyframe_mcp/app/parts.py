"""Parts of the engine as the settings want them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import IO, TYPE_CHECKING, cast

from keyframe_mcp import catalog as catalogs
from keyframe_mcp.adapters import DIALECTS, HTTP_DIALECTS
from keyframe_mcp.app.folders import MADE
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.budget import Budget
from keyframe_mcp.engine.callbacks import Callbacks, callable_url
from keyframe_mcp.engine.chronicle import Chronicle
from keyframe_mcp.engine.keeper import FetchResult, Keeper
from keyframe_mcp.engine.seal import Seal, read_or_make
from keyframe_mcp.engine.submitting import MOST_ON_THEIR_WAY, Rules
from keyframe_mcp.errors import InvalidSettings, UnknownModel
from keyframe_mcp.media.observed import ObservedWorkshop
from keyframe_mcp.media.workshop import Workshop
from keyframe_mcp.settings import Settings
from keyframe_mcp.store import Limits, Store
from keyframe_mcp.store.heard import HeardStore
from keyframe_mcp.telemetry import QUIET, Observer
from keyframe_mcp.telemetry.narration import is_narrated, narrate

if TYPE_CHECKING:
    from keyframe_mcp.media.fetch import Fetcher

log = logging.getLogger(__name__)

NO_HEADERS: Mapping[str, str] = {}


def catalog_of(settings: Settings) -> Catalog:
    """The models there are. Raises `InvalidSettings` if the one to use by default is none of them."""
    catalog = catalogs.load(settings.catalog_dir, DIALECTS, settings.learned_models)
    for trouble in catalog.troubles:
        log.warning("%s", trouble)
    require_default_model(catalog, settings)
    return catalog


def rules_of(catalog: Catalog, settings: Settings) -> Rules:
    """What may be spent, and how much each provider is given."""
    return Rules(budget_of(settings), limits_in_force(catalog, settings))


def seal_of(settings: Settings) -> Seal:
    """One key for all processes that share the state folder, made when it is first needed."""
    return Seal(partial(read_or_make, settings.state_dir / "link.key"))


def callbacks_of(settings: Settings, seal: Seal, catalog: Catalog) -> Callbacks:
    """The addresses for providers that call, where they can reach this server.

    Also of those whose key is not set here: a process that shares the tasks may have it, and have given them out.
    """
    base_url = callable_url(settings.public_url, loopback=settings.allow_loopback)
    return Callbacks(seal, base_url, {name for name, each in catalog.providers.items() if each.webhooks})


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


def keeper_of(
    settings: Settings, workshop: Workshop, fetch: FetchResult, clock: Callable[[], float], chronicle: Chronicle
) -> Keeper:
    """What brings results here, as the settings say."""
    return Keeper(
        settings.output_dir,
        workshop,
        fetch,
        made_in=settings.state_dir / MADE,
        copies=settings.keep_results,
        clock=clock,
        chronicle=chronicle,
    )


def fetching(settings: Settings, observer: Observer = QUIET) -> FetchResult:
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
        with observer.fetching(url):
            await fetcher().fetch(url, into, most_bytes, seconds, headers, idle=idle)

    return fetch


def workshops(observer: Observer) -> tuple[Workshop, Workshop]:
    """One for looking at things, and one for renders."""
    if observer is QUIET:
        return Workshop(), Workshop(places=1)
    return ObservedWorkshop(observer), ObservedWorkshop(observer, places=1)


def heard(store: Store, observer: Observer) -> Store:
    """The store, and its moves told to the log and the observer where anybody listens."""
    hear = [*([narrate] if is_narrated() else []), *([] if observer is QUIET else [observer.moved])]
    return cast("Store", HeardStore(store, hear)) if hear else store


def require_default_model(catalog: Catalog, settings: Settings) -> None:
    """Raise `InvalidSettings` if the default model does not exist: it would be passed over in silence."""
    if settings.default_model is not None:
        try:
            catalog.find(settings.default_model)
        except UnknownModel as error:
            raise InvalidSettings(f"KEYFRAME_DEFAULT_{error}".replace("DEFAULT_model", "DEFAULT_MODEL")) from None

"""An adapter for every provider that can be used."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from anyio.abc import TaskGroup

from keyframe_mcp.adapters import HTTP_DIALECTS, dialect_of
from keyframe_mcp.adapters.base import Adapter
from keyframe_mcp.adapters.local import LocalAdapter
from keyframe_mcp.adapters.observed import ObservedAdapter
from keyframe_mcp.app.folders import MADE
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.media.workshop import Workshop
from keyframe_mcp.settings import Settings, base_url_variable
from keyframe_mcp.telemetry import QUIET, Observer

if TYPE_CHECKING:
    from keyframe_mcp.adapters.http import HttpAdapter


def observed(provider_id: str, adapter: Adapter, observer: Observer) -> Adapter:
    """The adapter, whose every question is told to an observer where there is one."""
    return adapter if observer is QUIET else ObservedAdapter(adapter, provider_id, observer)


def local_adapters(catalog: Catalog, settings: Settings, workshop: Workshop, tasks: TaskGroup) -> dict[str, Adapter]:
    """An adapter for every provider that draws on this machine."""
    adapters: dict[str, Adapter] = {}
    for provider_id, provider in catalog.providers.items():
        if provider.dialect == "local":
            local = LocalAdapter(settings.state_dir / MADE / provider_id, workshop, tasks)
            tasks.start_soon(local.pulse)
            adapters[provider_id] = local
    return adapters


def http_adapters(
    catalog: Catalog, settings: Settings, clock: Callable[[], float], observer: Observer = QUIET
) -> dict[str, HttpAdapter]:
    """An adapter for every provider on the network that can be used. Raises `InvalidSettings` for a bad host."""
    return {
        provider_id: http_adapter(provider_id, provider, settings, clock, observer=observer)
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
    observer: Observer = QUIET,
) -> HttpAdapter:
    """An adapter for a provider on the network, at another host than the configured one if that is given."""
    from keyframe_mcp.adapters.http import Access, HttpAdapter  # noqa: PLC0415 - a server without a key needs none

    access = Access(
        base_url=base_url or settings.base_url(provider_id, provider.base_url),
        variable=base_url_variable(provider_id),
        key=settings.key(provider.key),
    )
    dialect = dialect_of(provider.dialect)(provider)
    spool, requesting = settings.state_dir / MADE / provider_id, partial(observer.requesting, provider_id)
    return HttpAdapter(dialect, access, spool, clock, requesting=requesting)

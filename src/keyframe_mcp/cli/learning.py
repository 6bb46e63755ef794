"""Asking a provider which models it has, and keeping what it says beside the catalogue."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import anyio.to_thread

from keyframe_mcp import catalog as catalogs
from keyframe_mcp.adapters import DIALECTS, HTTP_DIALECTS, dialect_of
from keyframe_mcp.app.providers import http_adapter
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.catalog.learned import models_of
from keyframe_mcp.catalog.learned_files import LearnedFile
from keyframe_mcp.errors import InvalidInput, MissingCredential, UnexpectedReply
from keyframe_mcp.media.unfinished import put_in_place
from keyframe_mcp.settings import Settings


async def learn(provider_id: str, settings: Settings) -> str:
    """Ask, keep, and say in a sentence what was learned. Raises `KeyframeError`; what was kept before is then left."""
    catalog = catalogs.load(settings.catalog_dir, DIALECTS)
    provider = chosen(provider_id, catalog)
    if provider.key is not None and settings.key(provider.key) is None:
        where = f"; get a key at {provider.key_page}" if provider.key_page else ""
        raise MissingCredential(f"{provider_id} needs {provider.key} to be set{where}")
    source, data = await listing(provider_id, provider, settings)
    today = datetime.now(UTC).date()
    learned = models_of(data, source, today)
    if not learned.models:
        raise UnexpectedReply(f"{source} names no video model that can be used ({len(learned.skipped)} others)")
    kept = LearnedFile(fetched=today, source=source, models=list(learned.models))
    await anyio.to_thread.run_sync(keep, provider_id, kept, settings)
    known = {model.remote for model in provider.models}
    new = sum(model.remote not in known for model in learned.models)
    return (
        f"{provider_id}: {len(learned.models)} video models, {new} of them new; {len(learned.skipped)} others left out"
    )


def chosen(provider_id: str, catalog: Catalog) -> Provider:
    """A provider that lists its models. Raises `InvalidInput` for any other."""
    if provider_id not in catalog.providers:
        raise InvalidInput(f"there is no provider {provider_id!r}; there are {', '.join(catalog.providers)}")
    if not lists_models(catalog.providers[provider_id]):
        able = [name for name, provider in catalog.providers.items() if lists_models(provider)]
        raise InvalidInput(f"{provider_id} does not list its models; {', '.join(able) or 'none'} can be asked")
    return catalog.providers[provider_id]


def lists_models(provider: Provider) -> bool:
    """Whether a provider can be asked which models it has."""
    speaks = provider.dialect in HTTP_DIALECTS
    return speaks and dialect_of(provider.dialect)(provider).models_call() is not None


async def listing(provider_id: str, provider: Provider, settings: Settings) -> tuple[str, object]:
    """The provider's list as it is, and its address."""
    adapter = http_adapter(provider_id, provider, settings, time.time)
    try:
        return await adapter.models() or ("", None)
    finally:
        await adapter.aclose()


def keep(provider_id: str, learned: LearnedFile, settings: Settings) -> None:
    """Put the file in place, whole or not at all. Raises `OutputUnwritable`."""
    file = settings.learned_models / f"{provider_id}.json"
    with put_in_place(file) as partial:
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(learned.model_dump_json(exclude_defaults=True), "utf-8")

"""Asking a provider which models it has, and keeping what it says beside the catalogue."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import anyio.to_thread

from keyframe_mcp import catalog as catalogs
from keyframe_mcp.adapters import DIALECTS
from keyframe_mcp.app import http_adapters
from keyframe_mcp.catalog.learned import models_of
from keyframe_mcp.catalog.learned_files import LearnedFile
from keyframe_mcp.engine.pace import PACE
from keyframe_mcp.errors import InvalidInput, MissingCredential
from keyframe_mcp.media.unfinished import put_in_place
from keyframe_mcp.settings import Settings


async def learn(provider_id: str, settings: Settings) -> str:
    """Ask, keep, and say in a sentence what was learned."""
    catalog = catalogs.load(settings.catalog_dir, DIALECTS)
    if provider_id not in catalog.providers:
        raise InvalidInput(f"there is no provider {provider_id!r}; there are {', '.join(catalog.providers)}")
    adapter = http_adapters(catalog, settings, time.time, PACE).get(provider_id)
    if adapter is None:
        raise MissingCredential(f"{provider_id} needs {catalog.providers[provider_id].key} to be set")
    try:
        listing = await adapter.models()
    finally:
        await adapter.aclose()
    if listing is None:
        raise InvalidInput(f"{provider_id} does not list its models; wavespeed does")
    source, data = listing
    today = datetime.now(UTC).date()
    learned = models_of(data, source, today)
    kept = LearnedFile(fetched=today, source=source, models=list(learned.models))
    await anyio.to_thread.run_sync(keep, provider_id, kept, settings)
    known = {model.remote for model in catalog.providers[provider_id].models}
    new = sum(model.remote not in known for model in learned.models)
    return (
        f"{provider_id}: {len(learned.models)} video models, {new} of them new; {len(learned.skipped)} others left out"
    )


def keep(provider_id: str, learned: LearnedFile, settings: Settings) -> None:
    """Put the file in place, whole or not at all."""
    file = settings.learned_models / f"{provider_id}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with put_in_place(file) as partial:
        partial.write_text(learned.model_dump_json(exclude_defaults=True), "utf-8")

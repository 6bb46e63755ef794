"""Models a provider named itself, kept in files `<provider>.json` and added after the catalogue's own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from pydantic import ValidationError

from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.catalog.inputs import Entry
from keyframe_mcp.catalog.models import Model

MOST_BYTES = 30_000_000


class LearnedFile(Entry):
    """What one provider said. `fetched` is the day, `source` the URL."""

    fetched: date
    source: str
    models: list[Model]


def with_learned(providers: Mapping[str, Provider], folder: Path) -> tuple[dict[str, Provider], tuple[str, ...]]:
    """The providers with what was learned of them, and what could not be used. Never raises."""
    found = dict(providers)
    troubles: list[str] = []
    for provider_id, provider in providers.items():
        path = folder / f"{provider_id}.json"
        try:
            learned = read_learned(path)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            troubles.append(f"{path}: left out: {in_short(error)}")
            continue
        found[provider_id] = with_models(provider, learned.models)
    return found, tuple(troubles)


def read_learned(path: Path) -> LearnedFile:
    """One file. Raises `OSError` or `ValueError`."""
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES:,} bytes")
    return LearnedFile.model_validate_json(path.read_bytes())


def with_models(provider: Provider, models: list[Model]) -> Provider:
    """A provider with further models. One the catalogue describes already stays as described there."""
    ids, remotes = {each.id for each in provider.models}, {each.remote for each in provider.models}
    fresh: list[Model] = []
    for model in models:
        if model.id not in ids and model.remote not in remotes:
            fresh.append(model)
            ids.add(model.id)
            remotes.add(model.remote)
    return provider.model_copy(update={"models": [*provider.models, *fresh]})


def in_short(error: Exception) -> str:
    """An error in a line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{error.error_count()} mistakes, first {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return " ".join(str(error).split())[:200]

"""Whether each provider's key works at its host. Every call made here is free."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import anyio

from keyframe_mcp.app.providers import http_adapter
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.errors import (
    CredentialRefused,
    InvalidSettings,
    KeyframeError,
    PaymentNeeded,
    ProviderRefused,
    ProviderUnavailable,
    UnexpectedReply,
)
from keyframe_mcp.settings import Settings, base_url_variable

PROBE_SECONDS = 5
ALL_SECONDS = 8
CLOSE_SECONDS = 1
LATER = "; it is asked again"
"""What is said of a provider that is followed, and is not true of one that is only looked at."""


@dataclass(frozen=True)
class Probe:
    """What a look at one provider showed. `ok` is None when there was nothing to look at."""

    found: str
    ok: bool | None
    advice: str = ""


async def probe_all(catalog: Catalog, settings: Settings, seconds: float = ALL_SECONDS) -> Mapping[str, Probe]:
    """Every provider on the network, side by side, and all of them within that time."""
    found: dict[str, Probe] = {}

    async def one(provider_id: str, provider: Provider) -> None:
        found[provider_id] = Probe(
            f"no telling within {seconds:g} s", ok=False, advice="try again; the network is slow"
        )
        with anyio.move_on_after(seconds):
            found[provider_id] = await probe(provider_id, provider, settings)

    async with anyio.create_task_group() as tasks:
        for provider_id, provider in networked(catalog).items():
            tasks.start_soon(one, provider_id, provider)
    return dict(sorted(found.items()))


def unasked(catalog: Catalog, settings: Settings) -> Mapping[str, Probe]:
    """Every provider on the network, as far as it can be told without a network."""
    found = {provider_id: kept(provider_id, each, settings) for provider_id, each in networked(catalog).items()}
    return dict(sorted(found.items()))


def networked(catalog: Catalog) -> Mapping[str, Provider]:
    """The providers that are not on this machine."""
    return {name: provider for name, provider in catalog.providers.items() if provider.dialect != "local"}


async def probe(provider_id: str, provider: Provider, settings: Settings) -> Probe:
    """One provider: at its own host, and where the key is refused there at the others it may belong to."""
    try:
        key = settings.key(provider.key)
        if provider.key is not None and key is None:
            return kept(provider_id, provider, settings)
        base_url, began = settings.base_url(provider_id, provider.base_url), time.monotonic()
        said = await ask(provider_id, provider, settings, base_url)
        size = f"{len(key)} characters, " if key else ""
        return Probe(f"{base_url}: {said}; {size}{time.monotonic() - began:.1f} s", ok=True)
    except CredentialRefused as error:
        return await elsewhere(provider_id, provider, settings, error)
    except KeyframeError as error:
        return Probe(str(error).removesuffix(LATER), ok=False, advice=advice(error, provider_id))


def kept(provider_id: str, provider: Provider, settings: Settings) -> Probe:
    """Whether there is a key. Nobody is asked."""
    try:
        key, base_url = settings.key(provider.key), settings.base_url(provider_id, provider.base_url)
    except KeyframeError as error:
        return Probe(str(error), ok=False, advice=advice(error, provider_id))
    if provider.key is not None and key is None:
        where = f", from {provider.key_page}" if provider.key_page else ""
        return Probe("no key", ok=None, advice=f"set {provider.key}{where}")
    return Probe(f"{base_url}: not asked; {f'a key of {len(key)} characters' if key else 'no key is needed'}", ok=None)


def advice(error: KeyframeError, provider_id: str) -> str:
    """What to do about a provider that could not be asked, when its key is not to blame."""
    match error:
        case InvalidSettings():
            return "correct it, or unset it"
        case PaymentNeeded():
            return "the key is good; top the account up"
        case UnexpectedReply() | ProviderRefused():
            return f"something else may be there: check {base_url_variable(provider_id)}, or unset it"
        case _:
            return "try again; if it stays so, the provider or the network is in trouble"


async def elsewhere(provider_id: str, provider: Provider, settings: Settings, refusal: CredentialRefused) -> Probe:
    """Which other host takes the key, if one does."""
    here, tried = settings.base_url(provider_id, provider.base_url), list[str]()
    for label, url in provider.hosts.items():
        if url == here:
            continue
        try:
            await ask(provider_id, provider, settings, url)
        except CredentialRefused:
            tried.append(f"{url} refused it too")
        except KeyframeError:
            tried.append(f"{url} could not be asked")
        else:
            variable = base_url_variable(provider_id)
            return Probe(f"{here} refuses the key; {url} ({label}) takes it", ok=False, advice=f"set {variable}={url}")
    refused = refusal.args[0].partition(". If the key")[0]
    return Probe("; ".join([refused, *tried]), ok=False, advice=f"check {provider.key}")


async def ask(provider_id: str, provider: Provider, settings: Settings, base_url: str) -> str:
    """What one host says to the key."""
    adapter = http_adapter(provider_id, provider, settings, time.time, base_url=base_url)
    try:
        with anyio.fail_after(PROBE_SECONDS):
            return await adapter.probe()
    except TimeoutError:
        raise ProviderUnavailable(f"{base_url} did not answer within {PROBE_SECONDS} s") from None
    finally:
        with anyio.move_on_after(CLOSE_SECONDS, shield=True):
            await adapter.aclose()

"""`keyframe-mcp doctor`: whether this installation can work, and what to do if not. Spends nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import anyio
import click

from keyframe_mcp import catalog as catalogs
from keyframe_mcp.adapters import DIALECTS
from keyframe_mcp.app.parts import require_default_model
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.cli import allowance, equipment, reach
from keyframe_mcp.cli.finding import WIDTH, Finding, checked, lines, wrapped
from keyframe_mcp.cli.probes import probe_all, unasked
from keyframe_mcp.cli.session import settings, show_json
from keyframe_mcp.errors import KeyframeError
from keyframe_mcp.settings import Settings, strangers

NEXT = "next"
# of text: pictures would have to lie where the host's server may read them
FIRST_WORDS = "make a 5 second video of a heron taking off at dawn, and show me its contact sheet"


@click.command()
@click.option("--offline", is_flag=True, help="Ask no provider.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: what was found, and last what to do next.")
def doctor(*, offline: bool, as_json: bool) -> None:
    """Check this installation, within about eight seconds. Exit code 3 when something must be mended."""
    found = settings()
    catalog = loaded(found)
    findings = list(examine(found, catalog, is_offline=offline))
    findings.append(Finding(NEXT, next_thing(findings, keyless(found, catalog))))
    if as_json:
        show_json([asdict(finding) for finding in findings])
    else:
        show(findings)
    sys.exit(3 if any(finding.ok is False for finding in findings) else 0)


def show(findings: Sequence[Finding]) -> None:
    """For people: a screen, in colour on a terminal."""
    for finding in findings[:-1]:
        for line in lines(finding):
            click.echo(line)
    click.echo("\n" + click.style("\n".join(wrapped(findings[-1].found, WIDTH)), bold=True))


def examine(found: Settings, catalog: Catalog | None, *, is_offline: bool) -> Iterator[Finding]:
    """Everything worth knowing, most basic first."""
    yield equipment.program()
    yield equipment.installation()
    yield from unknown_settings(catalog)
    yield from equipment.folders(found)
    yield from equipment.libraries(os.environ)
    yield checked("catalogue", lambda: catalogue(found), "mend what is named, or unset it")
    for trouble in catalog.troubles if catalog else ():
        yield Finding(
            "learned models", trouble, ok=False, advice="remove that file, or run models --refresh <provider> again"
        )
    yield from allowance.spending(found)
    yield from providers(found, catalog, is_offline=is_offline) if catalog else ()
    yield reach.over_http(found, catalog)
    yield reach.telemetry(found)
    around = reach.surroundings(keys_of(catalog))
    yield from reach.broken_files(around)
    yield reach.hosts(around)


def unknown_settings(catalog: Catalog | None) -> Iterator[Finding]:
    """Variables that mean nothing. Which hosts can be set is known only with a catalogue."""
    if catalog is not None:
        for stranger in strangers(os.environ, catalog.providers, keys_of(catalog)):
            yield Finding("setting", stranger, ok=False, advice="correct its name, or unset it")


def keys_of(catalog: Catalog | None) -> Sequence[str]:
    """The variables of every provider's key."""
    return [provider.key for provider in catalog.providers.values() if provider.key] if catalog else []


def providers(found: Settings, catalog: Catalog, *, is_offline: bool) -> Iterator[Finding]:
    """Each provider's key, whether its host takes it, and how much the provider is given."""
    probed = unasked(catalog, found) if is_offline else anyio.run(probe_all, catalog, found)
    for name, probe in probed.items():
        yield Finding(name, probe.found, probe.ok, probe.advice)
        if probe.ok or not probe.advice:
            yield Finding(f"{name} takes", allowance.given(found, catalog, name))


def loaded(found: Settings) -> Catalog | None:
    """The catalogue, if it can be read; if not, its own finding says why."""
    try:
        return catalogs.load(found.catalog_dir, DIALECTS, found.learned_models)
    except KeyframeError:
        return None


def catalogue(found: Settings) -> str:
    """Every provider, and how many models it has."""
    catalog = catalogs.load(found.catalog_dir, DIALECTS, found.learned_models)
    require_default_model(catalog, found)
    counted = {name: len(provider.models) for name, provider in catalog.providers.items()}
    return ", ".join(f"{name} ({count} model{'s' * (count != 1)})" for name, count in counted.items())


def keyless(found: Settings, catalog: Catalog | None) -> Provider | None:
    """Where no key is set: the provider to get one from, which is the one with the most models."""
    networked = [each for each in catalog.providers.values() if each.key] if catalog else []
    try:
        if any(found.key(each.key) for each in networked):
            return None
    except KeyframeError:
        return None
    return max(networked, key=lambda each: (each.key_page is not None, len(each.models)), default=None)


def next_thing(findings: Sequence[Finding], to_get: Provider | None) -> str:
    """What to do now, in a sentence. `to_get` is the provider to get a key from when there is none."""
    broken = [finding for finding in findings if finding.ok is False]
    if broken:
        first = f"{broken[0].about}: {broken[0].advice}" if broken[0].advice else broken[0].about
        return f"Mend what is marked !!, first {first}. Then run this again."
    if to_get is not None:
        where = f" (from {to_get.key_page})" if to_get.key_page else ""
        return f"All well. Next: keyframe-mcp demo makes a video without a key; for AI video, set {to_get.key}{where}."
    if not any(finding.about == "hosts" and finding.ok for finding in findings):
        return "All well. Next: keyframe-mcp install puts this server into an MCP host of yours."
    return f"All well. Next: tell your agent: {FIRST_WORDS}."

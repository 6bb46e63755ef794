"""`keyframe-mcp doctor`: whether this installation can work, and what to do if not. Spends nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import anyio
import click

from keyframe_mcp import __version__
from keyframe_mcp import catalog as catalogs
from keyframe_mcp.adapters import DIALECTS
from keyframe_mcp.app import budget_of, limits_in_force, require_default_model
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.cli.probes import probe_all
from keyframe_mcp.cli.session import ME, settings, show_json
from keyframe_mcp.engine.budget import PER_TASK, Budget, dollars
from keyframe_mcp.errors import KeyframeError
from keyframe_mcp.settings import LIMITS, Settings, limit_variable, strangers
from keyframe_mcp.store.sqlite import SqliteStore, journal_mode, prepare

SPARE_BYTES = 1 << 30
PER_DAY, PER_OWNER = "KEYFRAME_BUDGET_USD_PER_DAY", "KEYFRAME_BUDGET_USD_PER_OWNER_PER_DAY"
UNPRICED = "KEYFRAME_BUDGET_UNPRICED_USD"


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `ok` is None for a mere fact."""

    about: str
    found: str
    ok: bool | None = None
    advice: str = ""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(*, as_json: bool) -> None:
    """Check this installation. Exit code 3 when something must be mended."""
    findings = list(examine(settings()))
    if as_json:
        show_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = {True: "ok  ", False: "!!  ", None: "    "}[finding.ok]
            click.echo(
                f"{mark}{finding.about:16} {finding.found}" + (f"\n{'':21}{finding.advice}" * bool(finding.advice))
            )
        click.echo(next_thing(findings))
    sys.exit(3 if any(finding.ok is False for finding in findings) else 0)


def examine(found: Settings) -> Iterator[Finding]:
    """Everything worth knowing, most basic first."""
    runs_on = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Finding("keyframe-mcp", f"{__version__}, mcp {version('mcp')}, {runs_on}")
    catalog = loaded(found)
    yield from unknown_settings(catalog)
    yield checked("output folder", lambda: writable(found.output_dir), "set KEYFRAME_OUTPUT_DIR to a folder of yours")
    yield checked("task database", lambda: database(found), "set KEYFRAME_STATE_DIR to a folder of yours")
    yield space(found.output_dir)
    yield Finding("may read", os.pathsep.join(map(str, found.allowed_dirs)))
    yield motion()
    yield checked("catalogue", lambda: catalogue(found), "mend what is named, or unset it")
    for trouble in catalog.troubles if catalog else ():
        yield Finding(
            "learned models", trouble, ok=False, advice="remove that file, or run models --refresh <provider> again"
        )
    yield spending(found)
    yield from (Finding("budget", note) for note in at_odds(budget_of(found)))
    for name, probe in anyio.run(probe_all, catalog, found).items() if catalog else ():
        yield Finding(name, probe.found, probe.ok, probe.advice)
        if catalog and probe.ok is not None:
            yield Finding(f"{name} takes", limits(found, catalog, name))


def unknown_settings(catalog: Catalog | None) -> Iterator[Finding]:
    """Variables that mean nothing. Which hosts can be set is known only with a catalogue."""
    if catalog is not None:
        keys = [provider.key for provider in catalog.providers.values() if provider.key]
        for stranger in strangers(os.environ, catalog.providers, keys):
            yield Finding("setting", stranger, ok=False, advice="correct its name, or unset it")


def checked(about: str, look: Callable[[], str], advice: str) -> Finding:
    """A look that may fail."""
    try:
        return Finding(about, look(), ok=True)
    except (OSError, KeyframeError) as error:
        return Finding(about, str(error), ok=False, advice=advice)


def writable(folder: Path) -> str:
    """A folder that a file can be put in."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / ".keyframe-doctor"
    probe.write_bytes(b"")
    probe.unlink()
    return str(folder)


def database(found: Settings) -> str:
    """The task database, opened as the server opens it."""
    prepare(found.database)
    return f"{found.database} (SQLite {sqlite3.sqlite_version}, journal {journal_mode(sqlite3.sqlite_version_info)})"


def space(folder: Path) -> Finding:
    """Room for videos."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    advice = "" if free > SPARE_BYTES else "a video has 0.1 to 50 MB; make room"
    return Finding("free space", f"{free / (1 << 30):.1f} GiB", ok=free > SPARE_BYTES, advice=advice)


def spending(found: Settings) -> Finding:
    """What may be spent and what was. Having no limit is a fact, not a virtue."""
    finding = checked("budget", lambda: anyio.run(budget, found), "mend what is named")
    is_unlimited = finding.ok and not budget_of(found).is_limited
    return replace(finding, ok=None, advice=f"to set one: {PER_TASK}=1, for example") if is_unlimited else finding


def at_odds(limits: Budget) -> Iterator[str]:
    """Amounts that do not do what whoever set them may think."""
    if limits.unpriced_usd is not None and not limits.is_limited:
        yield f"{UNPRICED} limits nothing by itself: it is what videos without a known price count for in a limit"
    pairs = (
        (UNPRICED, limits.unpriced_usd, PER_TASK, limits.per_task),
        (PER_TASK, limits.per_task, PER_DAY, limits.per_day),
        (PER_TASK, limits.per_task, PER_OWNER, limits.per_owner),
        (PER_OWNER, limits.per_owner, PER_DAY, limits.per_day),
    )
    for less, one, more, other in pairs:
        if one is not None and other is not None and one > other:
            what = "videos without a known price are refused" if less == UNPRICED else "the smaller one holds"
            yield f"{less} ({dollars(one)}) is more than {more} ({dollars(other)}): {what}"


async def budget(found: Settings) -> str:
    """The limits, what counts as spent today, and what is left."""
    limits, now = budget_of(found), time.time()
    store = SqliteStore(found.database, time.time)
    try:
        spent = await store.counted(limits.caps(now).since)
        left = await limits.left(store, ME.owner, now)
    finally:
        await store.aclose()
    if not limits.is_limited:
        return f"no limit is set; {dollars(spent)} counted today (UTC)"
    parts: list[str] = []
    if limits.per_task is not None:
        parts.append(f"{dollars(limits.per_task)} a video")
    if limits.per_day is not None:
        parts.append(f"{dollars(limits.per_day)} a day, {dollars(left.today_usd or 0)} left")
    if limits.per_owner is not None:
        parts.append(f"{dollars(limits.per_owner)} a day and owner, {dollars(left.owner_today_usd or 0)} left")
    unpriced = "are refused" if limits.unpriced_usd is None else f"count for {dollars(limits.unpriced_usd)}"
    parts += [f"{dollars(spent)} counted today (UTC)", f"videos without a known price {unpriced}"]
    return "; ".join(parts)


def limits(found: Settings, catalog: Catalog, provider_id: str) -> str:
    """How much a provider is given, and which variables say otherwise."""
    force = limits_in_force(catalog, found)[provider_id]
    given = {name: getattr(force, name) for name in LIMITS}
    words = [f"{many} {LIMITS[name]}" for name, many in given.items() if many is not None]
    variables = " and ".join(limit_variable(provider_id, name) for name in LIMITS)
    return f"{', '.join(words) or 'as much as comes'} ({variables})"


def motion() -> Finding:
    """Whether the embedded renderer can find motion. Without OpenCV it works, with less."""
    if find_spec("cv2") is None:
        return Finding(
            "OpenCV", "not installed: pictures dissolve", advice="pip install 'keyframe-mcp[local]' for motion"
        )
    return Finding("OpenCV", "installed: motion between pictures is found", ok=True)


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


def next_thing(findings: list[Finding]) -> str:
    """What to do now."""
    if any(finding.ok is False for finding in findings):
        return "\nMend what is marked !!, then run this again."
    return "\nAll well. See it work: keyframe-mcp demo"

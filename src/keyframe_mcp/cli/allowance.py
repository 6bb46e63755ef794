"""What may be spent and what was, and how much each provider is given."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import anyio

from keyframe_mcp.app.parts import budget_of, limits_in_force
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.cli.finding import Finding, checked
from keyframe_mcp.cli.session import ME
from keyframe_mcp.engine.budget import PER_TASK, Budget, dollars
from keyframe_mcp.settings import LIMITS, Settings, limit_variable
from keyframe_mcp.store.sqlite import SqliteStore

PER_DAY, PER_OWNER = "KEYFRAME_BUDGET_USD_PER_DAY", "KEYFRAME_BUDGET_USD_PER_OWNER_PER_DAY"
UNPRICED = "KEYFRAME_BUDGET_UNPRICED_USD"


def spending(found: Settings) -> Iterator[Finding]:
    """What may be spent and what was. Having no limit is a fact, not a virtue."""
    finding = checked("budget", lambda: anyio.run(budget, found), "mend what is named")
    is_unlimited = finding.ok and not budget_of(found).is_limited
    yield replace(finding, ok=None, advice=f"set {PER_TASK}=1") if is_unlimited else finding
    yield from (Finding("budget", note) for note in at_odds(budget_of(found)))


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


def given(found: Settings, catalog: Catalog, provider_id: str) -> str:
    """How much a provider is given, and which variables say otherwise."""
    force = limits_in_force(catalog, found)[provider_id]
    amounts = {name: getattr(force, name) for name in LIMITS}
    words = [f"{many} {LIMITS[name]}" for name, many in amounts.items() if many is not None]
    first, *others = (limit_variable(provider_id, name) for name in LIMITS)
    shared = first.removesuffix(next(iter(LIMITS)).upper())
    variables = ", ".join([first, *(f"...{each.removeprefix(shared)}" for each in others)])
    return f"{', '.join(words) or 'as much as comes'} ({variables})"

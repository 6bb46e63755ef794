"""What is counted in the store: money, held against limits in the transaction that uses it up."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyframe_mcp.store import Caps, OverCap
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Status
from ledger import EVERY, FINAL, Clock, a_task, moved

NOW = 1_000_000.0
UNCHARGED = {"counted_usd": 0.0}


def priced(name: str, usd: float, **more: Any):
    return a_task(name, counted_usd=usd, counted_at=NOW, **more)


async def test_tasks_count_until_they_are_proved_to_cost_nothing(store: SqliteStore):
    await store.add(priced("kf_a", 0.5), same_request_since=0)
    await store.add(priced("kf_b", 0.25, owner="her"), same_request_since=0)
    await store.add(priced("kf_free", 0), same_request_since=0)

    assert await store.counted(0) == 0.75
    assert await store.counted(0, "her") == 0.25
    assert await store.counted(NOW + 1) == 0

    await moved(store, "kf_a", Status.SUBMITTING, Status.UNKNOWN)
    assert await store.counted(0) == 0.75
    await store.move("kf_b", of={Status.QUEUED}, to=Status.CANCELLED, changes=UNCHARGED)
    assert await store.counted(0) == 0.5


async def test_what_is_too_much_is_refused_and_leaves_nothing(store: SqliteStore):
    caps = Caps(all_usd=1.0)
    await store.add(priced("kf_a", 0.7), same_request_since=0, caps=caps)
    with pytest.raises(OverCap) as caught:
        await store.add(priced("kf_b", 0.4), same_request_since=0, caps=caps)

    assert caught.value.which == "all"
    assert caught.value.left == pytest.approx(0.3)
    assert [task.id for task in await store.recent("local")] == ["kf_a"]
    assert await store.counted(0) == 0.7


async def test_fractions_that_add_up_to_the_limit_fit(store: SqliteStore):
    assert 0.3 - 0.2 < 0.1  # as numbers go
    for number in range(3):
        await store.add(priced(f"kf_{number}", 0.1), same_request_since=0, caps=Caps(all_usd=0.3))

    with pytest.raises(OverCap):
        await store.add(priced("kf_more", 0.1), same_request_since=0, caps=Caps(all_usd=0.3))


async def test_a_request_that_is_there_already_costs_nothing_and_is_answered_when_nothing_is_left(store: SqliteStore):
    caps = Caps(all_usd=0.5)
    first = priced("kf_a", 0.5, idempotency_key="k")
    await store.add(first, same_request_since=0, caps=caps)
    again = first.model_copy(update={"id": "kf_b"})

    task, is_new = await store.add(again, same_request_since=0, caps=caps)
    assert (task.id, is_new) == ("kf_a", False)
    assert await store.counted(0) == 0.5


async def test_an_insert_that_fails_leaves_nothing_counted(store: SqliteStore):
    await store.add(priced("kf_a", 0.5), same_request_since=0)
    with pytest.raises(Exception, match="UNIQUE"):
        await store.add(priced("kf_a", 0.25, request_hash="another"), same_request_since=0)

    assert await store.counted(0) == 0.5


async def test_a_price_that_is_too_high_when_it_is_known_changes_nothing(store: SqliteStore):
    caps = Caps(all_usd=1.0)
    await store.add(priced("kf_a", 0.5), same_request_since=0, caps=caps)
    await store.add(priced("kf_b", 0.3), same_request_since=0, caps=caps)
    with pytest.raises(OverCap):
        await store.count("kf_b", of=EVERY, attempt=0, usd=0.6, caps=caps)
    assert await store.counted(0) == 0.8

    await store.count("kf_b", of=EVERY, attempt=0, usd=0.5, caps=caps)
    assert await store.counted(0) == 1.0
    assert await store.count("kf_b", of=EVERY, attempt=1, usd=0.1, caps=caps) is None


async def test_a_task_that_is_sent_again_counts_today_and_only_within_the_limit(store: SqliteStore, clock: Clock):
    caps = Caps(since=NOW + 1000, all_usd=1.0)
    await store.add(priced("kf_a", 0.5), same_request_since=0)
    await moved(store, "kf_a", Status.SUBMITTING, Status.UNKNOWN)
    clock.now = NOW + 2000
    other = a_task("kf_b", counted_usd=0.2, counted_at=clock.now, wire={"prompt": "another"})
    await store.add(other, same_request_since=0, caps=caps)
    with pytest.raises(OverCap):
        await store.resume("kf_a", attempt=0, changes={"counted_usd": 1.0, "spent_before": 0.5}, caps=caps)
    assert (await store.get("kf_a")).status is Status.UNKNOWN
    assert await store.counted(caps.since) == 0.2

    resumed = await store.resume("kf_a", attempt=0, changes={"counted_usd": 0.75, "spent_before": 0.25}, caps=caps)
    assert resumed is not None
    assert (resumed.status, resumed.counted_at) == (Status.QUEUED, clock.now)
    assert await store.counted(caps.since) == 0.95


LIMIT, OWNER_LIMIT = 2.0, 1.25
CAPS = Caps(all_usd=LIMIT, owner_usd=OWNER_LIMIT)
ACTIONS = st.tuples(
    st.sampled_from(["add", "add", "add", "count", "resume", "doubt", "cancel", "fail"]),
    st.integers(0, 7),
    st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.75, 1.25, 3.0]),
    st.sampled_from(["me", "her"]),
    st.booleans(),
)


async def act(store: SqliteStore, kind: str, name: str, usd: float, owner: str) -> None:
    """One thing that changes what counts, as the engine does it."""
    match kind:
        case "add":
            await store.add(priced(name, usd, owner=owner), same_request_since=0, caps=CAPS)
        case "count":
            await store.count(name, of=EVERY, attempt=0, usd=usd, caps=CAPS)
        case "resume":
            await store.resume(name, attempt=0, changes={"counted_usd": 2 * usd, "spent_before": usd}, caps=CAPS)
        case "doubt":
            await store.move(name, of={Status.QUEUED}, to=Status.SUBMITTING)
            await store.move(name, of={Status.SUBMITTING}, to=Status.UNKNOWN)
        case "cancel":
            await store.move(name, of={Status.QUEUED}, to=Status.CANCELLED, changes=UNCHARGED)
        case _:
            await store.move(name, of=frozenset(Status) - FINAL, to=Status.FAILED)


@settings(max_examples=25, deadline=None)
@given(st.lists(ACTIONS, max_size=20))
async def test_whatever_happens_in_whatever_order_no_limit_is_ever_passed(
    actions: list[tuple[str, int, float, str, bool]],
):
    with tempfile.TemporaryDirectory() as folder:
        handles = [SqliteStore(Path(folder) / "tasks.db", Clock()) for _ in range(2)]
        try:
            there: set[str] = set()
            for kind, number, usd, owner, which in actions:
                name = f"kf_{number}"
                if (kind == "add") == (name in there):
                    continue
                try:
                    await act(handles[which], kind, name, usd, owner)
                except OverCap:
                    pass
                else:
                    there.add(name)
                assert await handles[not which].counted(0) <= LIMIT + 1e-6
                for each in ("me", "her"):
                    assert await handles[not which].counted(0, each) <= OWNER_LIMIT + 1e-6
        finally:
            for each in handles:
                await each.aclose()

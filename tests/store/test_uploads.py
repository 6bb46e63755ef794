"""Where providers keep their copies of pictures: remembered by account and content, as long as the copies last."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from keyframe_mcp.store.sqlite import SqliteStore
from ledger import Clock

URL = "https://provider.example/a.png"


def rows(path: Path) -> list[tuple[str, str, str, float]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT account, content, url, kept_until FROM uploads ORDER BY url").fetchall()


async def test_what_was_never_uploaded_is_not_known(store: SqliteStore, clock: Clock):
    assert await store.uploaded("account", "content", until=clock.now) is None


async def test_an_upload_is_known_until_the_provider_deletes_it_and_not_a_moment_longer(
    store: SqliteStore, clock: Clock
):
    await store.remember_upload("account", "content", URL, clock.now + 100)

    assert await store.uploaded("account", "content", until=clock.now) == URL
    assert await store.uploaded("account", "content", until=clock.now + 100) == URL
    assert await store.uploaded("account", "content", until=clock.now + 100.5) is None


@pytest.mark.parametrize(
    ("account", "content"),
    [("other", "content"), ("account", "other"), ("account", "a"), ("", ""), ("ACCOUNT", "content")],
)
async def test_it_is_known_for_its_own_account_and_content_alone(
    store: SqliteStore, clock: Clock, account: str, content: str
):
    await store.remember_upload("account", "content", URL, clock.now + 100)

    assert await store.uploaded(account, content, until=clock.now) is None


async def test_one_content_may_be_with_several_accounts(store: SqliteStore, clock: Clock):
    for account in ("one", "two"):
        await store.remember_upload(account, "content", f"https://{account}.example/", clock.now + 100)

    assert await store.uploaded("one", "content", until=clock.now) == "https://one.example/"
    assert await store.uploaded("two", "content", until=clock.now) == "https://two.example/"


async def test_a_new_upload_replaces_the_old_one(store: SqliteStore, path: Path, clock: Clock):
    await store.remember_upload("account", "content", "https://provider.example/old.png", clock.now + 100)
    await store.remember_upload("account", "content", URL, clock.now + 50)

    assert await store.uploaded("account", "content", until=clock.now) == URL
    assert await store.uploaded("account", "content", until=clock.now + 75) is None
    assert rows(path) == [("account", "content", URL, clock.now + 50)]


async def test_it_survives_the_end_of_the_process_that_left_it_there(path: Path, clock: Clock):
    first = SqliteStore(path, clock)
    await first.remember_upload("account", "content", URL, clock.now + 100)
    await first.aclose()

    second = SqliteStore(path, clock)
    try:
        assert await second.uploaded("account", "content", until=clock.now + 99) == URL
    finally:
        await second.aclose()


async def test_what_one_process_has_uploaded_another_knows_at_once(
    store: SqliteStore, other: SqliteStore, clock: Clock
):
    assert await other.uploaded("account", "content", until=clock.now) is None
    await store.remember_upload("account", "content", URL, clock.now + 100)

    assert await other.uploaded("account", "content", until=clock.now) == URL


async def test_two_processes_may_upload_the_same_picture_at_once(
    store: SqliteStore, other: SqliteStore, path: Path, clock: Clock
):
    writes = [
        handle.remember_upload("account", f"content {number % 5}", f"https://provider.example/{number}", clock.now + 9)
        for number, handle in enumerate([store, other] * 10)
    ]
    with anyio.fail_after(20):
        await asyncio.gather(*writes)

    assert len(rows(path)) == 5


async def test_what_providers_have_deleted_is_forgotten_on_the_way(store: SqliteStore, path: Path, clock: Clock):
    await store.remember_upload("account", "short", "https://provider.example/1", clock.now + 10)
    await store.remember_upload("account", "long", "https://provider.example/2", clock.now + 1000)
    clock.now += 11
    assert len(rows(path)) == 2
    await store.remember_upload("other", "new", "https://provider.example/3", clock.now + 10)

    assert [content for _, content, _, _ in rows(path)] == ["long", "new"]


async def test_an_upload_is_on_disk_when_remembering_it_returns(store: SqliteStore, path: Path, clock: Clock):
    await store.remember_upload("account", "content", URL, clock.now + 1)

    assert rows(path) == [("account", "content", URL, clock.now + 1)]

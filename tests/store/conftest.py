"""A store in a file, and a second one on the same file."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from keyframe_mcp.store.sqlite import SqliteStore
from ledger import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "tasks.db"


@pytest.fixture
async def store(path: Path, clock: Clock) -> AsyncGenerator[SqliteStore]:
    opened = SqliteStore(path, clock)
    yield opened
    await opened.aclose()


@pytest.fixture
async def other(store: SqliteStore, path: Path, clock: Clock) -> AsyncGenerator[SqliteStore]:
    """A second handle on the same file, as another process has."""
    opened = SqliteStore(path, clock)
    yield opened
    await opened.aclose()

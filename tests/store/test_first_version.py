"""A database of the first version: its tasks are still there after an upgrade, and those that were not done go on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from keyframe_mcp.adapters.base import Report
from keyframe_mcp.errors import InvalidInput
from keyframe_mcp.store.migrations import APPLICATION_ID, MIGRATIONS
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Inputs, Mode, Status
from ledger import Clock
from studio import ME, ScriptedProvider, open_server_inside, open_studio, picture

BODY: Mapping[str, Any] = {
    "id": "kf_old",
    "owner": "me",
    "mode": "t2v",
    "model": "paid/film",
    "provider": "paid",
    "request": {"mode": "t2v", "prompt": "a fox"},
    "wire": {"prompt": "a fox", "duration": 5},
    "request_hash": "hash",
    "idempotency_key": None,
    "status": "queued",
    "attempt": 0,
    "remote_id": None,
    "native_status": None,
    "trace_id": None,
    "progress": None,
    "cancel_requested": False,
    "remote_outputs": [],
    "outputs": [],
    "generative": True,
    "engine": None,
    "confidence": None,
    "cost": {"estimated_usd": 2.5, "basis": "5 s at $0.5"},
    "failure": None,
    "warnings": [],
    "created_at": 1_000_000.0,
    "updated_at": 1_000_000.0,
}
"""A task as the first version wrote it: without pictures of its own, and without what was learned since."""

OUTPUT = {
    "url": None,
    "file": "/videos/kf_old.mp4",
    "mime_type": "video/mp4",
    "width": 832,
    "height": 480,
    "duration": 5.0,
    "fps": 24.0,
    "size_bytes": 1000,
}
FAILURE = {"kind": "submission_uncertain", "message": "nobody can tell", "fix": "look", "retryable": False}

STATES: Mapping[str, Mapping[str, Any]] = {
    "queued": {},
    "submitting": {"attempt": 1},
    "running": {"attempt": 1, "remote_id": "remote-old"},
    "saving": {"attempt": 1, "remote_id": "remote-old", "remote_outputs": ["file:///renders/video.mp4"]},
    "succeeded": {"attempt": 1, "remote_id": "remote-old", "outputs": [OUTPUT]},
    "failed": {"attempt": 1, "failure": FAILURE},
    "cancelled": {},
    "unknown": {"attempt": 1, "failure": FAILURE},
}
"""What a task in each state had besides."""


def write(path: Path, *bodies: Mapping[str, Any]) -> None:
    """A file as the first version left it behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(MIGRATIONS[0])
        for body in bodies:
            is_over = body["status"] in ("succeeded", "failed", "cancelled")
            columns = ("id", "owner", "status", "attempt", "idempotency_key", "request_hash", "created_at")
            connection.execute(
                "INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, 0, 0, ?)",
                (*(body[name] for name in columns), None if is_over else body["created_at"], json.dumps(body)),
            )
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()


def old(status: str, **changes: Any) -> dict[str, Any]:
    return {**BODY, "status": status, **STATES[status], **changes}


def test_there_are_tasks_in_every_state():
    assert STATES.keys() == {str(status) for status in Status}


async def test_tasks_in_every_state_are_as_they_were(path: Path, clock: Clock):
    bodies = [old(status, id=f"kf_{status}", request_hash=status) for status in STATES]
    write(path, *bodies)

    store = SqliteStore(path, clock)
    try:
        for body in bodies:
            task = await store.get(body["id"], "me")
            shown = task.model_dump(mode="json")
            outputs = [{name: each[name] for name in OUTPUT} for each in shown["outputs"]]
            assert {name: shown[name] for name in BODY} | {"outputs": outputs} == body
            assert (task.pictures, task.sent_at, task.looks, task.remote_expires_at) == ({}, None, 0, None)
        assert len(await store.recent("me")) == len(bodies)
        is_open = {f"kf_{status}" for status in STATES} - {"kf_succeeded", "kf_failed", "kf_cancelled"}
        assert set(await store.claim("worker", 20, 30)) == is_open
    finally:
        await store.aclose()


async def test_pictures_can_be_remembered_in_a_file_that_knew_none(path: Path, clock: Clock):
    write(path, old("queued"))

    store = SqliteStore(path, clock)
    try:
        await store.remember_upload("account", "content", "https://provider.example/a.png", clock.now + 10)
        assert await store.uploaded("account", "content", until=clock.now) == "https://provider.example/a.png"
    finally:
        await store.aclose()


async def test_a_task_that_was_not_sent_is_sent(tmp_path: Path):
    write(tmp_path / "tasks.db", old("queued"))
    async with open_studio(tmp_path) as studio:
        await studio.steps.advance("kf_old")

        task = await studio.store.get("kf_old")
        assert (task.status, task.remote_id, task.attempt) == (Status.RUNNING, "remote-kf_old-1", 1)
        assert studio.provider.jobs[0].wire == BODY["wire"]
        assert task.sent_at == studio.clock.now


async def test_a_task_that_was_running_is_followed_to_its_video(tmp_path: Path):
    write(tmp_path / "tasks.db", old("running"))
    async with open_studio(tmp_path) as studio:
        made = (await studio.clip()).as_uri()
        studio.provider.on_check = lambda _: Report(status=Status.SUCCEEDED, native_status="completed", outputs=(made,))
        for _ in range(2):
            await studio.steps.advance("kf_old")

        task = await studio.store.get("kf_old")
        assert (task.status, studio.provider.checks) == (Status.SUCCEEDED, ["remote-old"])
        assert task.outputs[0].file == str(tmp_path / "out" / "kf_old.mp4")


@pytest.mark.parametrize("status", ["submitting", "unknown"])
async def test_a_task_of_unknown_fate_stays_so_and_is_never_sent(tmp_path: Path, status: str):
    write(tmp_path / "tasks.db", old(status))
    provider = ScriptedProvider(on_find=lambda _job, _sent_at: pytest.fail("nobody knows when it was sent"))
    async with open_studio(tmp_path, provider) as studio:
        for _ in range(4):
            await studio.steps.advance("kf_old")

        assert (await studio.store.get("kf_old")).status is Status.UNKNOWN
        assert provider.jobs == []


async def test_the_embedded_renderer_draws_what_it_was_asked_for_before_the_upgrade(tmp_path: Path):
    files = {
        name: str(picture(tmp_path / f"{name}.png", shift=7 * number))
        for number, name in enumerate(("first_image", "last_image"))
    }
    asked = {**files, "duration": 1, "fps": 8}
    drawing = {"model": "local/morph", "provider": "local", "mode": "flf2v", "generative": False, "wire": asked}
    now = {"request": {"mode": "flf2v", **files}, "created_at": 1.0}
    write(tmp_path / "state" / "tasks.db", old("queued", **drawing, **now))
    async with open_server_inside(tmp_path) as application:
        with anyio.fail_after(40):
            task = [task async for (task,) in application.engine.follow(["kf_old"], ME, 40)][-1]

        assert task.status is Status.SUCCEEDED, task.failure
        assert Path(task.outputs[0].file or "").is_file()


async def test_a_key_that_was_used_before_the_upgrade_names_its_task_and_starts_no_other(tmp_path: Path):
    write(tmp_path / "tasks.db", old("succeeded", idempotency_key="key"))
    async with open_studio(tmp_path) as studio:
        with pytest.raises(InvalidInput, match="kf_old"):
            await studio.engine.start(
                ME, Inputs(mode=Mode.T2V, prompt="a fox"), model="paid/film", idempotency_key="key"
            )

        assert [task.id for task in await studio.engine.recent(ME)] == ["kf_old"]


async def test_leases_due_times_job_ids_and_prices_come_through_an_upgrade(path: Path, clock: Clock):
    bodies = [old(status, id=f"kf_{status}", request_hash=status) for status in STATES]
    write(path, *bodies)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE tasks SET lease_holder = 'one', lease_until = ?", (clock.now + 8,))
        connection.execute("UPDATE tasks SET due_at = ? WHERE status = 'running'", (clock.now + 5,))
        connection.execute("UPDATE tasks SET due_at = NULL WHERE status IN ('queued', 'unknown')")
    store = SqliteStore(path, clock)

    assert await store.claim("two", 10, 10) == ()
    assert await store.counted(0) == 2.5 * len(STATES.keys() - {"failed", "cancelled"})
    assert (await store.get("kf_running")).remote_id == "remote-old"
    assert not await store.adopt("kf_unknown", "remote-old", attempt=1)
    assert (await store.get("kf_unknown")).counted_usd == 2.5
    clock.now += 9
    assert set(await store.claim("two", 10, 10)) >= {"kf_queued", "kf_running"}
    assert "kf_unknown" not in await store.claim("three", 10, 10)
    await store.aclose()

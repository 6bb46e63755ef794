"""Word that a task has moved."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from keyframe_mcp.engine.bulletin import Bulletin

LONG = 60.0


async def test_a_ring_between_looking_and_waiting_is_not_missed():
    bulletin = Bulletin()

    with bulletin.listening(["a"]) as listener, anyio.fail_after(5):
        bulletin.ring("a")
        await listener.wait(LONG)


async def test_a_ring_wakes_everybody_who_waits_for_that_topic():
    bulletin = Bulletin()
    ready: list[str] = []
    heard: list[str] = []

    async def wait(name: str, *topics: str) -> None:
        with bulletin.listening(topics) as listener:
            ready.append(name)
            await listener.wait(LONG)
            heard.append(name)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, "one", "a", "b")
            tasks.start_soon(wait, "two", "a")
            tasks.start_soon(wait, "other", "c")
            while len(ready) < 3:
                await anyio.lowlevel.checkpoint()
            bulletin.ring("a")
            while len(heard) < 2:
                await anyio.lowlevel.checkpoint()
            assert sorted(heard) == ["one", "two"]
            bulletin.ring("c")


async def test_one_ring_ends_one_wait():
    bulletin = Bulletin()
    with bulletin.listening(["a"]) as listener:
        bulletin.ring("a")
        bulletin.ring("a")
        await listener.wait(LONG)
        before = anyio.current_time()
        await listener.wait(0.02)

    assert anyio.current_time() - before >= 0.015


async def test_a_wait_ends_by_itself():
    with Bulletin().listening(["a"]) as listener, anyio.fail_after(5):
        await listener.wait(0)


async def test_a_topic_nobody_listens_to_may_be_rung():
    Bulletin().ring("a")


async def test_listeners_leave_nothing_behind():
    bulletin = Bulletin()

    with bulletin.listening(["a", "b"]), bulletin.listening(["b"]):
        assert sorted(bulletin._listeners) == ["a", "b"]
    with pytest.raises(RuntimeError), bulletin.listening(["a"]):
        raise RuntimeError("the block ended badly")
    with anyio.move_on_after(0), bulletin.listening(["a", "a"]) as listener:
        await listener.wait(LONG)

    assert not bulletin._listeners

"""Word of changes: whom it reaches, how often, and that nothing is left when nobody listens any more."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream
from mcp import Client, MCPError, StdioServerParameters
from mcp.server import MCPServer
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp.shared.subscriptions import ResourcesListChanged, ResourceUpdated
from mcp.types import ResourceUpdatedNotification

from keyframe_mcp.app import Application
from keyframe_mcp.engine import Caller
from keyframe_mcp.engine.callbacks import Callbacks
from keyframe_mcp.engine.seal import Seal
from keyframe_mcp.engine.uploads import Uploads
from keyframe_mcp.engine.webhook_keys import WebhookKeys
from keyframe_mcp.engine.webhooks import Webhooks
from keyframe_mcp.server.beneath import connection_of, lowlevel
from keyframe_mcp.server.lookout import Lookout
from keyframe_mcp.server.notices import add_notices
from keyframe_mcp.server.resources import TASKS, Resources
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Status
from studio import ME, Studio, open_studio, settings_in
from test_http import serving
from test_stdio import environment

ERAS = pytest.mark.parametrize("era", ["auto", "legacy"])
STRANGER = Caller(owner="somebody else", may_name_files=False)
SPACING = 0.3

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")  # subscribing is how the older era does it

News = MemoryObjectReceiveStream[str]


class CountedBus(InMemorySubscriptionBus):
    """The SDK's bus, which tells how many listen."""

    @property
    def count(self) -> int:
        return len(self._listeners)


@dataclass(frozen=True)
class Newsroom:
    """A server over an engine that is moved by hand, and all that could be left behind in it."""

    studio: Studio
    application: Application
    bus: CountedBus
    lookout: Lookout
    server: MCPServer

    def is_quiet(self) -> bool:
        """Whether nobody listens, and nobody looks."""
        return not (self.lookout.addresses or self.bus.count or self.studio.engine.bulletin._listeners)

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(10):
            while not condition():
                await anyio.sleep(0.005)


@asynccontextmanager
async def open_newsroom(folder: Path, caller: Caller = ME, look_again: float = 60.0) -> AsyncGenerator[Newsroom]:
    """With short spaces between notices, and no looking without a word unless asked for."""

    async def stop() -> None:
        return None

    async with open_studio(folder) as studio, anyio.create_task_group() as tasks:
        engine, seal = studio.engine, Seal(lambda: bytes(32))
        uploads = Uploads(folder / "uploads", seal, studio.workshop, engine.clock)
        nobody_calls = Webhooks(
            Callbacks(seal, None, set()), {}, studio.store, engine.catalog, engine.bulletin, WebhookKeys(engine.clock)
        )
        application = Application(
            engine, settings_in(folder), frozenset({"paid"}), stop, lambda: False, tasks, seal, uploads, nobody_calls
        )
        bus = CountedBus()
        server = MCPServer("news", subscriptions=bus)
        lookout = Lookout(Resources(application, caller), bus, tasks, SPACING, look_again)
        add_notices(server, lookout, bus, tasks)
        yield Newsroom(studio, application, bus, lookout, server)
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def following(server: Any, era: str, *uris: str, **more: bool) -> AsyncGenerator[tuple[Client, News]]:
    """A client that follows addresses in the way of its era, and the addresses it hears of."""
    send, news = anyio.create_memory_object_stream[str](1000)

    async def hear(message: Any) -> None:
        if era == "legacy" and isinstance(message, ResourceUpdatedNotification):  # the newer era's stream gives events
            send.send_nowait(str(message.params.uri))

    async with send, news, Client(server, mode=era, message_handler=hear) as client:
        if era == "legacy":
            for uri in uris:
                await subscribe(client, uri)
            yield client, news
        else:
            async with client.listen(resource_subscriptions=uris, **more) as stream, anyio.create_task_group() as tasks:
                assert list(stream.honored.resource_subscriptions or ()) == list(uris)

                async def pump() -> None:
                    async for event in stream:
                        send.send_nowait(event.uri if isinstance(event, ResourceUpdated) else type(event).__name__)

                tasks.start_soon(pump)
                yield client, news
                tasks.cancel_scope.cancel()


async def subscribe(client: Client, uri: str) -> None:
    await client.subscribe_resource(uri)  # pyright: ignore[reportDeprecated] - it is how the older era does it


async def unsubscribe(client: Client, uri: str) -> None:
    await client.unsubscribe_resource(uri)  # pyright: ignore[reportDeprecated] - as above


async def heard(news: News) -> str:
    with anyio.fail_after(15):
        return await news.receive()


async def progress(studio: Studio, task_id: str, share: float) -> None:
    """The provider is a little further, and this process hears of it."""
    await studio.store.move(task_id, of=set(Status), changes={"progress": share})
    studio.engine.bulletin.ring(task_id)


@ERAS
async def test_a_change_reaches_who_follows_that_task_and_nobody_else(tmp_path: Path, era: str):
    async with open_newsroom(tmp_path) as room:
        mine, other = await room.studio.start("mine"), await room.studio.start("other")
        async with (
            following(room.server, era, f"{TASKS}/{mine}") as (_, news),
            following(room.server, era, f"{TASKS}/{other}") as (_, others),
        ):
            await progress(room.studio, mine, 0.5)
            assert await heard(news) == f"{TASKS}/{mine}"
            await progress(room.studio, other, 0.5)
            assert await heard(others) == f"{TASKS}/{other}"
            assert news.statistics().current_buffer_used == 0
        await room.until(room.is_quiet)


@ERAS
async def test_what_follows_fast_is_told_once_and_what_did_not_change_not_at_all(tmp_path: Path, era: str):
    async with open_newsroom(tmp_path) as room:
        task_id = await room.studio.start()
        async with following(room.server, era, f"{TASKS}/{task_id}") as (_, news):
            for _ in range(5):
                room.studio.engine.bulletin.ring(task_id)  # nothing has changed
            await progress(room.studio, task_id, 0.01)
            await heard(news)
            began = anyio.current_time()
            for step in range(2, 30):
                await progress(room.studio, task_id, step / 100)
            await heard(news)
            assert anyio.current_time() - began >= SPACING * 0.9
            assert news.statistics().current_buffer_used == 0
            assert room.lookout.addresses == (f"{TASKS}/{task_id}",)


async def test_looking_alone_is_no_news(tmp_path: Path):
    looks: list[str] = []
    told: list[Any] = []

    class Watched(Resources):
        async def task(self, uri: str) -> Any:
            looks.append(uri)
            return await super().task(uri)

    async with open_newsroom(tmp_path) as room:
        task_id = await room.studio.start()
        lookout = Lookout(Watched(room.application, ME), room.bus, room.application.tasks, SPACING, 0.01)
        room.bus.subscribe(told.append)
        sight = await lookout.see(f"{TASKS}/{task_id}")
        with lookout.looking({f"{TASKS}/{task_id}": sight}):
            await room.until(lambda: len(looks) > 3)

        assert told == []


@ERAS
async def test_another_processes_move_is_seen_without_a_word(tmp_path: Path, era: str):
    async with open_newsroom(tmp_path, look_again=0.05) as room:
        task_id = await room.studio.start()
        elsewhere = SqliteStore(tmp_path / "tasks.db", room.studio.clock)
        async with following(room.server, era, f"{TASKS}/{task_id}") as (_, news):
            await elsewhere.move(task_id, of={Status.QUEUED}, to=Status.CANCELLED)
            assert await heard(news) == f"{TASKS}/{task_id}"
        await elsewhere.aclose()


async def test_the_list_of_tasks_is_told_of_new_ones(tmp_path: Path):
    async with open_newsroom(tmp_path) as room:
        async with following(room.server, "auto", TASKS, resources_list_changed=True) as (_, news):
            task_id = await room.studio.start()
            assert {await heard(news), await heard(news)} == {TASKS, ResourcesListChanged.__name__}
            await room.studio.engine.cancel(task_id, ME)
            assert await heard(news) == TASKS
            assert news.statistics().current_buffer_used == 0
        async with following(room.server, "legacy", TASKS) as (_, news):
            await room.studio.start("another")
            assert await heard(news) == TASKS


async def test_a_foreign_task_cannot_be_followed_in_the_older_era_and_is_not_acknowledged_in_the_newer(tmp_path: Path):
    async with open_newsroom(tmp_path, STRANGER) as room:
        task_id = await room.studio.start()
        foreign, invented = f"{TASKS}/{task_id}", f"{TASKS}/{'kf_' + 'a' * (len(task_id) - 3)}"
        async with Client(room.server, mode="legacy") as client:
            refusals: list[str] = []
            for uri in (foreign, invented, "ui://keyframe/task.html"):
                with pytest.raises(MCPError) as caught:
                    await subscribe(client, uri)
                assert caught.value.code == -32002
                refusals.append(str(caught.value).replace(uri, "").replace(uri.rpartition("/")[2], ""))
            assert refusals[0] == refusals[1]
        async with (
            Client(room.server) as client,
            client.listen(resource_subscriptions=[foreign, TASKS, invented]) as stream,
        ):
            assert stream.honored.resource_subscriptions == [TASKS]
            assert room.lookout.addresses == (TASKS,)


async def test_too_many_addresses_are_refused(tmp_path: Path):
    async with open_newsroom(tmp_path) as room, Client(room.server) as client:
        with pytest.raises(MCPError, match="At most 100"):
            async with client.listen(resource_subscriptions=[f"{TASKS}/{number}" for number in range(101)]):
                pass
        assert room.is_quiet()


async def test_two_hundred_streams_leave_nothing_behind(tmp_path: Path):
    async with open_newsroom(tmp_path) as room:
        uris = [f"{TASKS}/{await room.studio.start(f'number {number}')}" for number in range(4)]
        async with Client(room.server) as client:
            async with AsyncExitStack() as streams:
                for number in range(200):
                    listening = client.listen(resource_subscriptions=[uris[number % 4]])
                    await streams.enter_async_context(listening)
                assert room.bus.count == 200
                assert sorted(room.lookout.addresses) == sorted(uris)  # four watches, however many listen
            await room.until(room.is_quiet)


async def test_sessions_that_subscribe_and_leave_leave_nothing_behind(tmp_path: Path):
    async with open_newsroom(tmp_path) as room:
        uri = f"{TASKS}/{await room.studio.start()}"
        for _ in range(20):
            async with Client(room.server, mode="legacy") as client:
                for _ in range(10):
                    await subscribe(client, uri)
                    await subscribe(client, uri)  # twice is once
                    assert (room.bus.count, room.lookout.addresses) == (1, (uri,))
                    await unsubscribe(client, uri)
                    assert (room.bus.count, room.lookout.addresses) == (0, ())
                await unsubscribe(client, uri)  # once more is no mistake
                await subscribe(client, uri)
            await room.until(room.is_quiet)


async def test_trouble_with_looking_ends_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    class Broken(Resources):
        async def task(self, uri: str) -> Any:
            raise OSError("the disk is gone")

    async with open_newsroom(tmp_path) as room:
        uri = f"{TASKS}/{await room.studio.start()}"
        sight = await room.lookout.see(uri)
        lookout = Lookout(Broken(room.application, ME), room.bus, room.application.tasks, SPACING)
        with lookout.looking({uri: sight}):
            await room.until(lambda: "the disk is gone" in caplog.text)
            assert not room.application.tasks.cancel_scope.cancel_called
        await room.until(room.is_quiet)


@ERAS
async def test_word_comes_over_pipes(tmp_path: Path, era: str):
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "keyframe_mcp"], env=environment(tmp_path), cwd=tmp_path
    )
    with anyio.fail_after(60):
        async with following(command, era, TASKS) as (client, news):
            assert client.server_capabilities.resources
            assert client.server_capabilities.resources.subscribe
            await client.call_tool("generate_t2v", {"prompt": "followed", "duration": 1})
            assert await heard(news) == TASKS


async def test_word_comes_over_http_in_both_eras(tmp_path: Path):
    async with serving(tmp_path) as address:
        with anyio.fail_after(60):
            async with following(f"{address}/mcp", "legacy", TASKS) as (client, news):
                await client.call_tool("generate_t2v", {"prompt": "over http", "duration": 1})
                assert await heard(news) == TASKS
            async with following(f"{address}/mcp", "auto", TASKS) as (client, news):
                await until_succeeded(client, news)


async def until_succeeded(client: Client, news: News) -> None:
    """Start a preview, and ask for it only when there is news."""
    called = await client.call_tool("generate_t2v", {"prompt": "followed", "duration": 1})
    assert called.structured_content
    status = ""
    while status != "succeeded":
        assert await heard(news) == TASKS
        task = await client.call_tool("get_task", {"task_id": called.structured_content["task_id"]})
        assert task.structured_content
        status = task.structured_content["status"]


def test_the_sdk_still_has_what_is_beneath():
    server = lowlevel(MCPServer("any"))

    assert server.get_request_handler("subscriptions/listen")
    assert connection_of.__annotations__["return"] == "Connection"

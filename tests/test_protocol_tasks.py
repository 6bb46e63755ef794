"""The Tasks extension, through the official client: handles for slow calls, asking, stopping, and being told."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import anyio
import httpx
import pytest
from anyio.abc import TaskGroup
from mcp import Client, MCPError
from mcp.client import ClaimContext, ClientExtension, ResultClaim
from mcp.client.extension import NotificationBinding
from mcp.server import MCPServer
from mcp.server.context import ServerRequestContext
from mcp.types import (
    CallToolResult,
    ClientCapabilities,
    EmptyResult,
    Request,
    RequestParams,
    Result,
    SubscriptionFilter,
    SubscriptionsAcknowledgedNotification,
    SubscriptionsAcknowledgedNotificationParams,
    SubscriptionsListenRequest,
    SubscriptionsListenRequestParams,
)
from pydantic import BaseModel, ConfigDict

from keyframe_mcp.adapters.base import Report
from keyframe_mcp.engine import Caller
from keyframe_mcp.errors import ProviderUnavailable, SubmissionUncertain
from keyframe_mcp.server import build_server
from keyframe_mcp.server.protocol_tasks import TASKS, TasksExtension, task_named
from keyframe_mcp.server.task_notices import MOST_TASKS, TaskNotices
from keyframe_mcp.server.task_states import EngineTasks, TaskState
from keyframe_mcp.server.task_watches import TaskWatches
from keyframe_mcp.task import Inputs, Mode, Status
from studio import ME, ScriptedProvider, Studio, open_server_inside, open_studio
from test_http import serving

CARD = {"prompt": "a card", "duration": 1}
STRANGER = Caller(owner="somebody else", may_name_files=True)


class TaskId(RequestParams):
    task_id: str


class Answers(TaskId):
    input_responses: dict[str, Any]


class GetTask(Request[TaskId, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    params: TaskId
    name_param = "taskId"


class CancelTask(Request[TaskId, Literal["tasks/cancel"]]):
    method: Literal["tasks/cancel"] = "tasks/cancel"
    params: TaskId
    name_param = "taskId"


class UpdateTask(Request[Answers, Literal["tasks/update"]]):
    method: Literal["tasks/update"] = "tasks/update"
    params: Answers
    name_param = "taskId"


class Handle(Result):
    """What a slow call answers with, whatever is in it."""

    model_config = ConfigDict(extra="allow", alias_generator=None)
    result_type: Literal["task"] = "task"


class Shown(BaseModel):
    """A notification, whatever is in it."""

    model_config = ConfigDict(extra="allow")


class Anything(Result):
    """A result, whatever is in it."""

    model_config = ConfigDict(extra="allow")


@dataclass
class TasksClient(ClientExtension):
    """A client with tasks, which waits for them as its user would have to, and keeps what it is told."""

    identifier = TASKS
    told: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    acknowledged: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    news: anyio.Event = field(default_factory=anyio.Event)

    def claims(self) -> Sequence[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=Handle, resolve=self._finish)]

    def notifications(self) -> Sequence[NotificationBinding[Any]]:
        return [NotificationBinding(method="notifications/tasks", params_type=Shown, handler=self._hear)]

    async def on_message(self, message: object) -> None:
        if isinstance(message, SubscriptionsAcknowledgedNotification):
            self.acknowledged.append(message.params.notifications.model_dump(by_alias=True, exclude_none=True))
            self._ring()

    async def until_told(self, count: int) -> list[dict[str, Any]]:
        """What was told, once it is that much."""
        with anyio.fail_after(20):
            while len(self.told) < count:
                await self.news.wait()
        return self.told

    async def until(self, words: str) -> list[dict[str, Any]]:
        """What was told, once the latest says this."""
        while not self.told or words not in self.told[-1]["statusMessage"]:
            await self.until_told(len(self.told) + 1)
        return self.told

    async def until_acknowledged(self) -> dict[str, Any]:
        with anyio.fail_after(20):
            while not self.acknowledged:
                await self.news.wait()
        return self.acknowledged[-1]

    async def _hear(self, shown: Shown) -> None:
        self.told.append(shown.model_dump())
        self._ring()

    def _ring(self) -> None:
        self.news.set()
        self.news = anyio.Event()

    async def _finish(self, handle: Handle, context: ClaimContext) -> CallToolResult:
        with anyio.fail_after(60):
            while True:
                request = GetTask(params=TaskId(task_id=data(handle)["taskId"]))
                shown = data(await context.session.send_request(request, Anything))
                if shown["status"] != "working":
                    return CallToolResult.model_validate(shown["result"])
                await anyio.sleep(0.05)


def data(result: Result) -> dict[str, Any]:
    return dict(result.model_extra or {})


async def start(client: Client, arguments: dict[str, Any] = CARD) -> dict[str, Any]:
    """The handle a generate call is answered with."""
    answer = await client.session.call_tool("generate_t2v", arguments, allow_claimed=True)
    assert isinstance(answer, Handle), answer
    return data(answer)


async def look(client: Client, task_id: str) -> dict[str, Any]:
    """What tasks/get says."""
    return data(await client.session.send_request(GetTask(params=TaskId(task_id=task_id)), Anything))


async def finished(client: Client, task_id: str) -> dict[str, Any]:
    """What tasks/get says in the end."""
    with anyio.fail_after(60):
        while (shown := await look(client, task_id))["status"] == "working":
            await anyio.sleep(0.05)
    return shown


async def stop(client: Client, task_id: str) -> None:
    await client.session.send_request(CancelTask(params=TaskId(task_id=task_id)), EmptyResult)


def said(result: dict[str, Any]) -> str:
    return " ".join(block["text"] for block in result["content"])


def server_of(studio: Studio, caller: Caller = ME, watches: TaskWatches | None = None) -> MCPServer:
    """A server with nothing but a studio's tasks."""
    source = EngineTasks(studio.engine, caller)
    middleware: Any = [TaskNotices(watches)] if watches else []
    return MCPServer("tasks", extensions=[TasksExtension(source, ())], middleware=middleware, log_level="ERROR")


@asynccontextmanager
async def telling(studio: Studio, seconds_apart: float = 0.01) -> AsyncGenerator[MCPServer]:
    """The same server, which tells of tasks too, in a hurry."""
    async with anyio.create_task_group() as tasks:
        yield server_of(studio, watches=TaskWatches(EngineTasks(studio.engine, ME), tasks, seconds_apart))
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def listening(client: Client, task_ids: Sequence[str]) -> AsyncGenerator[TaskGroup]:
    """An open stream for tasks, closed at the end of the block."""
    wanted = SubscriptionFilter.model_validate({"taskIds": list(task_ids)})
    request = SubscriptionsListenRequest(params=SubscriptionsListenRequestParams(notifications=wanted))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.session.send_request, request, EmptyResult)
        yield tasks
        tasks.cancel_scope.cancel()


async def test_a_slow_call_is_answered_with_a_handle_whose_id_is_our_task(tmp_path: Path):
    async with (
        open_server_inside(tmp_path) as application,
        Client(build_server(application, ME), extensions=[TasksClient()]) as client,
    ):
        handle = await start(client)
        plain = (await client.call_tool("get_task", {"task_id": handle["taskId"]})).structured_content
        shown = await finished(client, handle["taskId"])
        called = await client.call_tool("get_task", {"task_id": handle["taskId"]})
        whole, text = called.structured_content, said(called.model_dump())

    assert handle["status"] == "working"
    assert handle["ttlMs"] is None
    assert handle["pollIntervalMs"] == 2000
    assert handle["createdAt"].endswith("Z")
    assert "not AI video" in handle["statusMessage"]
    assert plain
    assert plain["task_id"] == handle["taskId"]
    assert (shown["status"], shown["ttlMs"], shown["resultType"]) == ("completed", None, "complete")
    assert shown["lastUpdatedAt"] >= handle["lastUpdatedAt"]
    assert shown["result"]["structuredContent"] == whole
    assert shown["result"]["isError"] is False
    assert f"Task {handle['taskId']} succeeded" in said(shown["result"])
    assert whole
    assert f"next_step: {whole['next_step']}" in said(shown["result"])
    assert said(shown["result"]) == text


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_who_does_not_declare_the_extension_gets_the_ordinary_answer(tmp_path: Path, era: str):
    extensions = [TasksClient()] if era == "legacy" else []  # in the older era there is nothing to declare
    async with (
        open_server_inside(tmp_path) as application,
        Client(build_server(application, ME), mode=era, extensions=extensions) as client,
    ):
        result = await client.call_tool("generate_t2v", CARD)
        assert result.structured_content
        with pytest.raises(MCPError) as refused:
            await look(client, result.structured_content["task_id"])

    assert result.structured_content["status"] != "failed"
    assert refused.value.code == (-32601 if era == "legacy" else -32021)


async def test_dry_runs_refusals_and_quick_tools_are_answered_at_once(tmp_path: Path):
    async with (
        open_server_inside(tmp_path) as application,
        Client(build_server(application, ME), extensions=[TasksClient()]) as client,
    ):
        for tool, arguments, is_error in (
            ("generate_t2v", CARD | {"dry_run": True}, False),
            ("generate_t2v", {"prompt": "x", "sed": 3}, True),
            ("generate_i2v", {"image": "missing.png"}, True),
            ("list_tasks", {}, False),
            ("list_models", {}, False),
        ):
            answer = await client.session.call_tool(tool, arguments, allow_claimed=True)

            assert isinstance(answer, CallToolResult), tool
            assert answer.is_error is is_error, tool


async def test_the_same_key_is_the_same_handle_and_says_so(tmp_path: Path):
    async with (
        open_server_inside(tmp_path) as application,
        Client(build_server(application, ME), extensions=[TasksClient()]) as client,
    ):
        first = await start(client, CARD | {"idempotency_key": "shot-1"})
        again = await start(client, CARD | {"idempotency_key": "shot-1"})

    assert again["taskId"] == first["taskId"]
    assert "already" in again["statusMessage"]
    assert "already" not in first["statusMessage"]


async def test_a_task_outlives_a_restart_and_becomes_the_result_of_the_call_made_again(tmp_path: Path):
    shot = CARD | {"idempotency_key": "shot-1"}
    async with (
        open_server_inside(tmp_path) as application,
        Client(build_server(application, ME), extensions=[TasksClient()]) as client,
    ):
        task_id = (await start(client, shot))["taskId"]
    async with (
        open_server_inside(tmp_path) as application,
        Client(build_server(application, ME), extensions=[TasksClient()]) as client,
    ):
        assert (await look(client, task_id))["taskId"] == task_id
        result = await client.call_tool("generate_t2v", shot)

    assert not result.is_error
    assert result.structured_content
    assert (result.structured_content["task_id"], result.structured_content["status"]) == (task_id, "succeeded")


async def test_nobody_learns_of_tasks_that_are_not_theirs(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()
        async with Client(server_of(studio, STRANGER), extensions=[TasksClient()]) as client:
            errors: list[str] = []
            for named in (task_id, "kf_" + "a" * 26, "\u2603"):
                for request in (
                    GetTask(params=TaskId(task_id=named)),
                    CancelTask(params=TaskId(task_id=named)),
                    UpdateTask(params=Answers(task_id=named, input_responses={})),
                ):
                    with pytest.raises(MCPError) as refused:
                        await client.session.send_request(request, Anything)
                    assert refused.value.code == -32602
                    errors.append(str(refused.value).replace(named, "ID").replace(ascii(named)[1:-1], "ID"))

        assert len(set(errors)) == 1
        assert (await studio.store.get(task_id)).status is Status.QUEUED


async def test_an_id_is_taken_as_it_was_given_out_and_in_no_other_spelling(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()
        async with Client(server_of(studio), extensions=[TasksClient()]) as client:
            assert (await look(client, task_id))["taskId"] == task_id
            with pytest.raises(MCPError):
                await look(client, f"task:{task_id}")


async def test_what_happens_to_a_job_is_said_in_words(tmp_path: Path):
    answers: list[str | Exception] = [ProviderUnavailable("it is away"), "remote-1"]
    provider = ScriptedProvider(
        on_submit=lambda _: answers.pop(0), on_check=lambda _: Report(status=Status.RUNNING, progress=0.4)
    )
    async with open_studio(tmp_path, provider) as studio:
        task_id = await studio.start()
        async with Client(server_of(studio), extensions=[TasksClient()]) as client:
            waiting = await look(client, task_id)
            await studio.steps.advance(task_id)
            delayed = await look(client, task_id)
            await studio.steps.advance(task_id)
            await studio.steps.advance(task_id)
            running = await look(client, task_id)

    assert [each["status"] for each in (waiting, delayed, running)] == ["working"] * 3
    assert waiting["statusMessage"] == "Waiting to be sent to paid."
    assert "it is away" in delayed["statusMessage"]
    assert "Do not start it again" in delayed["statusMessage"]
    assert running["statusMessage"] == "Being made by paid/film, 40%."
    assert running["pollIntervalMs"] == 10_000
    assert "result" not in running


async def test_a_job_that_failed_is_completed_with_an_error_that_says_why(tmp_path: Path):
    provider = ScriptedProvider(on_check=lambda _: Report(status=Status.FAILED, native_status="failed"))
    async with open_studio(tmp_path, provider) as studio:
        task_id = await studio.start()
        for _ in range(2):
            await studio.steps.advance(task_id)
        async with Client(server_of(studio), extensions=[TasksClient()]) as client:
            shown = await look(client, task_id)

    assert shown["status"] == "completed"
    assert "error" not in shown
    assert shown["result"]["isError"] is True
    assert shown["result"]["structuredContent"]["status"] == "failed"
    assert "failed" in shown["statusMessage"]
    assert "Trying again is a new task" in said(shown["result"])


async def test_a_job_of_unknown_fate_is_an_error_that_forbids_paying_twice_until_it_is_known(tmp_path: Path):
    async with open_studio(tmp_path, ScriptedProvider(on_submit=lambda _: SubmissionUncertain("no answer"))) as studio:
        task_id = await studio.start()
        await studio.steps.advance(task_id)
        async with Client(server_of(studio), extensions=[TasksClient()]) as client:
            shown = await look(client, task_id)
            await stop(client, task_id)
            stopped = await look(client, task_id)
            await studio.store.move(task_id, of={Status.UNKNOWN}, to=Status.RUNNING, changes={"remote_id": "found"})
            later = await look(client, task_id)

    assert shown["status"] == stopped["status"] == "completed"
    assert shown["result"]["isError"] is True
    assert shown["result"]["structuredContent"]["status"] == "unknown"
    assert "Do not generate it again" in said(shown["result"])
    assert later["status"] == "working"


async def test_stopping_is_acknowledged_however_often_and_shown_once_it_is_true(tmp_path: Path):
    async with open_studio(tmp_path, ScriptedProvider(can_cancel=False)) as studio:
        unsent, sent = await studio.start("never sent"), await studio.start("sent")
        await studio.steps.advance(sent)
        async with Client(server_of(studio), extensions=[TasksClient()]) as client:
            for _ in range(2):
                await stop(client, unsent)
            await stop(client, sent)
            asked = await look(client, sent)
            await studio.steps.advance(sent)
            goes_on = await look(client, sent)
            stopped = await look(client, unsent)

    assert stopped["status"] == "cancelled"
    assert "result" not in stopped
    assert asked["status"] == "working"
    assert "asked to stop" in asked["statusMessage"]
    assert goes_on["status"] == "working"


async def test_answers_to_questions_nobody_asked_are_acknowledged_and_change_nothing(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()
        before = await studio.store.get(task_id)
        async with Client(server_of(studio), extensions=[TasksClient()]) as client:
            answers = Answers(task_id=task_id, input_responses={"name": {"action": "accept"}})
            await client.session.send_request(UpdateTask(params=answers), EmptyResult)

        assert await studio.store.get(task_id) == before


async def test_a_listener_is_told_of_the_moves_of_its_tasks_and_of_no_others(tmp_path: Path):
    hears = TasksClient()
    async with open_studio(tmp_path) as studio:
        mine, still, other = [await studio.start(prompt) for prompt in ("mine", "mine too", "not asked for")]
        foreign = await studio.engine.start(STRANGER, Inputs(mode=Mode.T2V, prompt="theirs"), model="paid/film")
        async with (
            telling(studio) as server,
            Client(server, extensions=[hears], message_handler=hears.on_message) as client,
            listening(client, [mine, foreign.task.id, "kf_none", mine, still]),
        ):
            assert await hears.until_acknowledged() == {"taskIds": [mine, still]}
            await hears.until_told(2)
            await studio.steps.advance(other)
            await studio.steps.advance(mine)
            told = await hears.until("Being made by paid/film.")
            shown = await look(client, mine)

    assert [each["taskId"] for each in told[:2]] == [mine, still]
    assert {each["taskId"] for each in told[2:]} == {mine}
    assert told[0]["statusMessage"] == "Waiting to be sent to paid."
    assert told[0]["ttlMs"] is None
    assert set(told[0]["_meta"]) == {"io.modelcontextprotocol/subscriptionId"}
    assert told[-1].keys() - {"_meta"} == shown.keys() - {"_meta", "resultType"}


class WithoutLists:
    """A store that only gives tasks by their ids."""

    def __init__(self, studio: Studio) -> None:
        self.get = studio.store.get


async def test_ids_of_nobodys_are_passed_over_without_looking_for_what_was_meant(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id, store = await studio.start(), cast("Any", WithoutLists(studio))
        source = EngineTasks(replace(studio.engine, store=store), ME)

        assert await source.find(task_id[:-1] + "x") is None
        assert await source.find(f"task:{task_id}") is None
        found = await source.find(task_id)

    assert found
    assert found.task_id == task_id


class Settled:
    """A source whose every task is done, and whose answers take no time. It counts who looks."""

    def __init__(self) -> None:
        self.looks = 0

    async def get(self, task_id: str) -> TaskState:
        return TaskState(task_id, "cancelled", "Stopped.", 0, 0, 1)

    async def find(self, task_id: str) -> TaskState | None:
        self.looks += 1
        return await self.get(task_id)

    async def cancel(self, task_id: str) -> None:
        return None

    async def follow(self, task_ids: Sequence[str]) -> AsyncGenerator[Sequence[TaskState]]:
        self.looks += 1
        yield [await self.get(each) for each in task_ids]
        await anyio.sleep_forever()


@dataclass
class Recording:
    """A session that keeps what is sent."""

    client_capabilities: ClientCapabilities
    sent: list[Any] = field(default_factory=list[Any])

    async def send_notification(self, notification: Any, related_request_id: object = None) -> None:
        self.sent.append(notification)


def asking(session: Any, task_ids: Sequence[str]) -> ServerRequestContext[Any, Any]:
    """A request to listen for tasks, as the server sees it."""
    return ServerRequestContext(
        session=session,
        lifespan_context={},
        protocol_version="2026-07-28",
        method="subscriptions/listen",
        params={"notifications": {"taskIds": list(task_ids)}},
        request_id=1,
    )


async def acknowledge(ctx: ServerRequestContext[Any, Any]) -> dict[str, Any]:
    """A server that takes its time to acknowledge, and ends the stream soon after."""
    await anyio.wait_all_tasks_blocked()
    params = SubscriptionsAcknowledgedNotificationParams(notifications=SubscriptionFilter())
    await ctx.session.send_notification(SubscriptionsAcknowledgedNotification(params=params), 1)
    await anyio.wait_all_tasks_blocked()
    return {"ended": True}


async def test_the_acknowledgement_comes_first_and_the_telling_ends_when_the_server_ends_the_stream():
    session: Any = Recording(ClientCapabilities(extensions={TASKS: {}}))
    answer: Any = None

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            answer = await TaskNotices(TaskWatches(Settled(), tasks))(asking(session, ["kf_1"]), acknowledge)

    assert answer == {"ended": True}
    assert [each.method for each in session.sent] == ["notifications/subscriptions/acknowledged", "notifications/tasks"]


async def test_a_listener_hears_what_another_process_did(tmp_path: Path):
    hears = TasksClient()
    async with open_studio(tmp_path) as studio, open_studio(tmp_path) as elsewhere:
        task_id = await studio.start()
        async with (
            telling(studio) as server,
            Client(server, extensions=[hears], message_handler=hears.on_message) as client,
            listening(client, [task_id]),
        ):
            await hears.until_told(1)
            await elsewhere.engine.cancel(task_id, ME)
            told = await hears.until_told(2)

    assert told[1]["status"] == "cancelled"


async def test_streams_end_with_their_clients_and_leave_nobody_listening(tmp_path: Path):
    hears = TasksClient()
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()
        async with (
            telling(studio) as server,
            Client(server, extensions=[hears], message_handler=hears.on_message) as client,
        ):
            for count in range(20):
                async with listening(client, [task_id]):
                    await hears.until_told(count + 1)
            with anyio.fail_after(5):
                while studio.engine.bulletin._listeners:  # pyright: ignore[reportPrivateUsage] # nothing else shows it
                    await anyio.sleep(0.01)


async def test_a_fast_task_is_told_at_a_bounded_pace_and_its_last_state_is_never_left_out(tmp_path: Path):
    hears, progress = TasksClient(), iter(range(1, 100))
    running = Report(status=Status.RUNNING)
    provider = ScriptedProvider(on_check=lambda _: Report(status=running.status, progress=next(progress) / 100))
    async with open_studio(tmp_path, provider) as studio:
        task_id = await studio.start()
        async with (
            telling(studio, seconds_apart=0.3) as server,
            Client(server, extensions=[hears], message_handler=hears.on_message) as client,
            listening(client, [task_id]),
        ):
            await hears.until_told(1)
            for _ in range(31):
                await studio.steps.advance(task_id)
            await hears.until("30%")

    assert len(hears.told) <= 10  # of 32 states


async def test_listening_for_tasks_takes_the_extension_and_a_list(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        task_id = await studio.start()
        several = [f"{task_id}{number}" for number in range(MOST_TASKS + 1)]
        for extensions, wanted, code in (
            ([], [task_id], -32021),
            ([TasksClient()], task_id, -32602),
            ([TasksClient()], several, -32602),
        ):
            async with telling(studio) as server, Client(server, extensions=extensions) as client:
                asked = SubscriptionFilter.model_validate({"taskIds": wanted})
                request = SubscriptionsListenRequest(params=SubscriptionsListenRequestParams(notifications=asked))
                with pytest.raises(MCPError) as refused, anyio.fail_after(5):
                    await client.session.send_request(request, EmptyResult)

                assert refused.value.code == code


async def test_many_streams_for_the_same_tasks_are_one_look_at_each_and_all_hear_of_it():
    first, *sessions = [cast("Any", Recording(ClientCapabilities(extensions={TASKS: {}}))) for _ in range(21)]
    ids, source, ends = [f"kf_{number}" for number in range(5)], Settled(), anyio.Event()

    async def stay(ctx: ServerRequestContext[Any, Any]) -> dict[str, Any]:
        params = SubscriptionsAcknowledgedNotificationParams(notifications=SubscriptionFilter())
        await ctx.session.send_notification(SubscriptionsAcknowledgedNotification(params=params), 1)
        await ends.wait()
        return {"ended": True}

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            notices = TaskNotices(TaskWatches(source, tasks))
            await notices(asking(first, ids), acknowledge)
            assert source.looks == 2 * len(ids)  # to see whose it is, and to follow it
            for session in sessions:
                tasks.start_soon(notices, asking(session, ids), stay)
            while not all(len(session.sent) > len(ids) for session in sessions):
                await anyio.sleep(0.005)
            ends.set()

    assert source.looks == 4 * len(ids)
    for session in sessions:
        assert [each.params["taskId"] for each in session.sent[1:]] == ids


async def test_other_subscriptions_go_through_as_they_are(tmp_path: Path):
    async with (
        open_studio(tmp_path) as studio,
        Client(server_of(studio)) as client,
        client.listen(tools_list_changed=True) as subscription,
    ):
        assert subscription.honored.model_dump(exclude_none=True) == {"tools_list_changed": True}


async def test_over_http_a_task_is_driven_told_and_routed_by_its_header(tmp_path: Path):
    hears = TasksClient()
    async with serving(tmp_path, "http") as address, httpx.AsyncClient(trust_env=False) as raw:
        async with Client(f"{address}/mcp", extensions=[hears], message_handler=hears.on_message) as client:
            task_id = (await start(client))["taskId"]
            async with listening(client, [task_id]):
                assert await hears.until_acknowledged() == {"taskIds": [task_id]}
                with anyio.fail_after(40):
                    while not hears.told or hears.told[-1]["status"] == "working":
                        await hears.until_told(len(hears.told) + 1)
            shown = await look(client, task_id)
        answers = [await raw.post(f"{address}/mcp", **by_hand(task_id, name)) for name in (task_id, "kf_other", None)]

    assert shown["result"] == hears.told[-1]["result"]
    assert [each.status_code for each in answers] == [200, 400, 400]
    assert [each.json().get("error", {}).get("code") for each in answers[1:]] == [-32020, -32020]


def by_hand(task_id: str, name: str | None) -> dict[str, Any]:
    """A tasks/get as any HTTP client could write it."""
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tasks/get",
    }
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {TASKS: {}}},
    }
    params = {"taskId": task_id, "_meta": meta}
    return {
        "headers": headers | ({} if name is None else {"mcp-name": name}),
        "json": {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": params},
    }


def test_a_refusal_is_no_handle_even_where_it_names_a_task():
    structure = {"task_id": "kf_1"}

    assert task_named(CallToolResult(content=[], structured_content=structure)) == ("kf_1", [])
    assert task_named(CallToolResult(content=[], structured_content=structure, is_error=True)) is None
    assert task_named(CallToolResult(content=[])) is None

"""Spans and metrics: what a task leaves behind in OpenTelemetry's own memory exporters, and what it must not."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mcp import Client
from opentelemetry.propagate import inject
from opentelemetry.sdk.metrics import Counter, Histogram
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, get_tracer
from starlette.datastructures import Headers

from emulators.faults import Answer, Reset
from emulators.jobs import AT_ONCE, Fate, by_the_clock
from emulators.wavespeed import WaveSpeed
from keyframe_mcp.adapters.routes import route_of
from keyframe_mcp.app import Application, open_application
from keyframe_mcp.cli.logs import Redaction
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.server import build_server
from keyframe_mcp.server.correlating import headers_of
from keyframe_mcp.store.tally import tally
from keyframe_mcp.task import Status
from keyframe_mcp.telemetry.cleaning import Cleaning
from keyframe_mcp.telemetry.export import recorder
from keyframe_mcp.telemetry.inventory import METRICS, SPANS
from keyframe_mcp.telemetry.recorder import Recorder, span_ids
from studio import BRISK, ME, picture, settings_in

MODEL = "wavespeed/wan-2.1-t2v-720p"
KEY = "canary-key-0123456789abcdef"
JOBS = 6
UNLIMITED = {"KEYFRAME_WAVESPEED_SUBMITS_PER_MINUTE": "0", "KEYFRAME_WAVESPEED_AT_ONCE": "0"}
NOTHING: Mapping[str, str] = {}
LIGHT = {"KEYFRAME_KEEP_RESULTS": "0"}  # nothing is fetched or looked at, so no media worker is started
DELTA = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}


@dataclass
class Collected:
    """What was exported. There is one for all tests: the SDK's tracer can be set once in a process."""

    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader
    observer: Recorder
    folders: list[Path]
    points: list[tuple[str, Mapping[str, Any], Any]] = field(default_factory=list)

    def spans(self, name: str = "") -> list[ReadableSpan]:
        """The finished spans whose names begin so, in the order of their ends."""
        return [span for span in self.exporter.get_finished_spans() if span.name.startswith(name)]

    def span(self, name: str) -> ReadableSpan:
        """The only one."""
        (found,) = self.spans(name)
        return found

    def read(self) -> None:
        """Take up what was measured since the last time."""
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.points += [
                        (metric.name, dict(point.attributes or {}), point) for point in metric.data.data_points
                    ]

    def values(self, name: str, **labels: object) -> list[Any]:
        """The points of a metric that have these labels; `_` stands for `.` in a name."""
        wanted = {each.replace("__", "."): value for each, value in labels.items()}
        return [point for metric, has, point in self.points if metric == name and wanted.items() <= dict(has).items()]

    def total(self, name: str, **labels: object) -> float:
        """What a counter counted."""
        return sum(point.value for point in self.values(name, **labels))

    def everything(self) -> bytes:
        """All that was exported, as text."""
        spans = [json.loads(span.to_json()) for span in self.spans()]
        points = [(name, dict(labels), point.to_json()) for name, labels, point in self.points]
        return json.dumps([spans, points]).encode()


@pytest.fixture(scope="module")
def collecting() -> Iterator[Collected]:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader(preferred_temporality=DELTA)
    folders: list[Path] = []
    processor = SimpleSpanProcessor(Cleaning(exporter, Redaction([KEY])))
    observer = recorder([processor], [reader], lambda: tally(folders[-1]) if folders else {})
    yield Collected(exporter, reader, observer, folders)
    exporter.clear()
    observer.close()


@pytest.fixture
def collected(collecting: Collected) -> Collected:
    collecting.exporter.clear()
    collecting.read()
    collecting.points.clear()
    return collecting


@dataclass(frozen=True)
class Scene:
    """A server with one emulated provider, and a client."""

    provider: WaveSpeed
    application: Application
    client: Client
    collected: Collected

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        meta: Any = {}
        inject(meta)
        result = await self.client.call_tool(tool, arguments, meta=meta)
        assert not result.is_error, result.content
        return dict(result.structured_content or {})

    async def made(self, **more: Any) -> dict[str, Any]:
        """A task at its end."""
        given = {"model": MODEL, "prompt": "a heron takes off", **more}
        started = await self.call("generate_t2v", **given)
        ended = await self.call("get_task", task_id=started["task_id"], wait_seconds=20)
        self.collected.read()
        return ended


@asynccontextmanager
async def open_scene(
    folder: Path, collected: Collected, mode: str = "auto", *, pace: Pace = BRISK, more: Mapping[str, str] = NOTHING
) -> AsyncGenerator[Scene]:
    async with WaveSpeed(key=KEY, pace=AT_ONCE) as provider:
        environment = {"KEYFRAME_ALLOW_LOOPBACK": "1", "WAVESPEED_API_KEY": KEY}
        environment |= {"KEYFRAME_WAVESPEED_BASE_URL": provider.base_url, **UNLIMITED, **more}
        settings = settings_in(folder, **environment)
        collected.folders.append(settings.database)
        observer = collected.observer
        async with (
            open_application(settings, folder, pace=pace, observer=observer) as application,
            Client(build_server(application, ME), mode=mode) as client,
        ):
            yield Scene(provider, application, client, collected)


def ids(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def parent(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_task_is_one_trace_from_its_acceptance_to_its_end(tmp_path: Path, collected: Collected, mode: str):
    async with open_scene(tmp_path, collected, mode) as scene:
        with get_tracer("agent").start_as_current_span("agent's turn") as turn:
            task = await scene.made()
        assert task["status"] == "succeeded"

    call, accepted = collected.span("tools/call generate_t2v"), collected.span("accept task")
    assert call.context is not None
    assert call.context.trace_id == turn.get_span_context().trace_id, "the client's trace goes on"
    assert [link.context.span_id for link in accepted.links] == [ids(call)[1]]
    assert [link.context.span_id for link in call.links] == [ids(accepted)[1]], "and back"

    trace = [span for span in collected.spans() if ids(span)[0] == ids(accepted)[0]]
    tree = {span.name: span for span in trace}
    root = ids(accepted)[1]
    assert parent(accepted) is None
    for name in ("submit wavespeed", "check wavespeed", "save task", "task succeeded"):
        assert parent(tree[name]) == root, name
    submitted, checked = tree["POST /api/v3/{model}"], tree["GET /api/v3/predictions/{job}/result"]
    assert parent(submitted) == ids(tree["submit wavespeed"])[1]
    assert parent(checked) in [ids(span)[1] for span in trace if span.name == "check wavespeed"]
    assert parent(tree["GET {file}"]) == parent(tree["media ProbeVideo"]) == ids(tree["save task"])[1]
    assert submitted.attributes is not None
    assert dict(submitted.attributes) | {} == {
        "http.request.method": "POST",
        "url.template": "/api/v3/{model}",
        "server.address": "127.0.0.1",
        "http.response.status_code": 200,
        "gen_ai.provider.name": "wavespeed",
        "keyframe.task.attempt": 1,
    }
    assert tree["task succeeded"].start_time is not None
    assert accepted.start_time is not None
    assert abs(tree["task succeeded"].start_time - accepted.start_time) < 5e9
    assert all(span.status.status_code is not StatusCode.ERROR for span in trace)


async def test_the_metrics_of_a_task_say_what_it_cost_and_how_long_it_took(tmp_path: Path, collected: Collected):
    async with open_scene(tmp_path, collected) as scene:
        await scene.made()
        book = await scene.application.engine.store.counted(0)
        assert collected.values("keyframe.tasks", keyframe__task__status="succeeded")[-1].value == 1
        assert collected.values("keyframe.tasks", keyframe__task__status="unknown")[-1].value == 0

    for status in ("queued", "submitting", "running", "saving", "succeeded"):
        assert collected.total("keyframe.task.moves", keyframe__task__status=status) == 1, status
    assert book > 0
    assert collected.total("keyframe.spend", keyframe__spend__outcome="counted") == pytest.approx(book)
    assert collected.total("keyframe.spend", keyframe__spend__outcome="released") == 0
    (asked,) = collected.values("keyframe.provider.request.duration", keyframe__operation="submit")
    assert asked.count == 1
    assert asked.attributes == {
        "gen_ai.provider.name": "wavespeed",
        "keyframe.operation": "submit",
        "keyframe.outcome": "ok",
    }
    for name in ("keyframe.task.queue.duration", "keyframe.task.duration"):
        (point,) = collected.values(name)
        assert point.count == 1
    assert collected.values("keyframe.provider.request.duration", keyframe__operation="fetch")
    assert collected.values("keyframe.media.duration", keyframe__media__order="ProbeVideo")
    assert collected.values("mcp.server.operation.duration", gen_ai__tool__name="generate_t2v")


async def test_what_is_released_and_counted_again_agrees_with_the_book(tmp_path: Path, collected: Collected):
    async with open_scene(tmp_path, collected, more=LIGHT) as scene:
        scene.provider.next("submit", Answer(400, {"code": 400, "message": "no"}))
        refused = await scene.made(idempotency_key="one")
        scene.provider.will(Fate(status="failed", error="it broke"))
        await scene.made(idempotency_key="two")
        await scene.made(idempotency_key="three")
        scene.provider.next("submit", Reset())
        unknown = await scene.made(idempotency_key="four")
        await scene.application.engine.settling.give_up(unknown["task_id"], ME, was_billed=False)
        collected.read()
        book = await scene.application.engine.store.counted(0)

    assert (refused["status"], unknown["status"]) == ("failed", "unknown")
    counted = collected.total("keyframe.spend", keyframe__spend__outcome="counted")
    released = collected.total("keyframe.spend", keyframe__spend__outcome="released")
    assert released > 0
    assert counted - released == pytest.approx(book)
    failed = collected.spans("task failed")[0]
    assert failed.attributes is not None
    assert failed.attributes["error.type"] == refused["error"]["kind"]
    assert failed.status.status_code is StatusCode.ERROR
    assert collected.spans("task unknown")


async def test_an_outage_is_seen_in_poll_errors_and_the_circuit(tmp_path: Path, collected: Collected):
    async with open_scene(tmp_path, collected, pace=replace(BRISK, trouble=0.3), more=LIGHT) as scene:
        scene.provider.pace = by_the_clock(0, 600)
        started = [await scene.call("generate_t2v", model=MODEL, prompt=f"heron {each}") for each in range(JOBS)]
        scene.provider.next("check", Reset(), times=JOBS)
        for job in scene.provider.jobs:
            job.pace = AT_ONCE
        await scene.call("get_task", task_ids=[each["task_id"] for each in started], wait_seconds=20)
        collected.read()

    assert collected.total("keyframe.provider.poll.errors") == JOBS
    bad = collected.values("keyframe.provider.request.duration", keyframe__outcome="provider_unavailable")
    assert sum(point.count for point in bad if point.attributes["keyframe.operation"] == "check") == JOBS
    assert collected.total("keyframe.task.moves", keyframe__task__status="succeeded") == JOBS
    opened = collected.total("keyframe.provider.circuit.changes", keyframe__outcome="open")
    assert opened >= 1
    assert collected.total("keyframe.provider.circuit.changes", keyframe__outcome="closed") == opened


async def test_a_task_goes_on_in_its_trace_after_a_restart(tmp_path: Path, collected: Collected):
    async with open_scene(tmp_path, collected, more=LIGHT) as scene:
        scene.provider.next("check", Answer(500, {}), times=200)
        started = await scene.call("generate_t2v", model=MODEL, prompt="a heron")
        assert not collected.spans("task")
        async with open_again(tmp_path, collected, scene.provider) as (again, client):
            scene.provider._faults["check"].clear()
            await client.call_tool("get_task", {"task_id": started["task_id"], "wait_seconds": 20})
            task = await again.engine.get(started["task_id"], ME)
    assert task.status is Status.SUCCEEDED
    assert ids(collected.span("task succeeded"))[0] == ids(collected.span("accept task"))[0]


@asynccontextmanager
async def open_again(
    folder: Path, collected: Collected, provider: WaveSpeed
) -> AsyncGenerator[tuple[Application, Client]]:
    """Another server on the same state folder."""
    environment = {"KEYFRAME_ALLOW_LOOPBACK": "1", "WAVESPEED_API_KEY": KEY}
    environment |= {"KEYFRAME_WAVESPEED_BASE_URL": provider.base_url, **LIGHT}
    opened = open_application(settings_in(folder, **environment), folder, pace=BRISK, observer=collected.observer)
    async with opened as application, Client(build_server(application, ME)) as client:
        yield application, client


async def test_nothing_that_must_not_be_read_is_exported(tmp_path: Path, collected: Collected):
    prompt, signature, owner_file = "canary-prompt-7731", "canary-signature-9942", "canary-file-5512"
    async with open_scene(tmp_path, collected) as scene:
        there = scene.provider.publish(picture(tmp_path / "a.png").read_bytes(), "image/png", "shot.png", 3600)
        scene.provider.next("submit", Answer(401, {"message": f"bad key {KEY}", "code": 401}, {"x-request-id": KEY}))
        await scene.made(prompt=prompt, idempotency_key="one")
        await scene.made(prompt=prompt, idempotency_key="two")
        image = f"{there}?X-Amz-Signature={signature}"
        video = {"model": "wavespeed/wan-2.1-i2v-720p", "image": image, "prompt": prompt, "wait_seconds": 20}
        await scene.call("generate_i2v", **video)
        for name, arguments in (
            ("generate_i2v", {"image": f"{owner_file}.png", "prompt": prompt}),
            ("generate_i2v", {"image": f"https://user:{signature}@nowhere.invalid/{owner_file}?sig={signature}"}),
            ("get_task", {"task_id": owner_file}),
            ("generate_t2v", {"prompt": prompt, "no_such": prompt}),
        ):
            assert (await scene.client.call_tool(name, arguments)).is_error
        collected.read()

    everything = collected.everything()
    assert len(everything) > 20_000
    for planted in (KEY, prompt, signature, owner_file):
        assert planted.encode() not in everything, planted
        assert planted[:14].encode() not in everything, planted


async def test_every_exported_name_is_documented_and_no_label_is_unbounded(tmp_path: Path, collected: Collected):
    async with open_scene(tmp_path, collected) as scene:
        await scene.made()
        await scene.client.call_tool("get_task", {"task_id": "kf_nothing"})
        collected.read()
    known = {metric.name: frozenset(metric.labels) for metric in METRICS}
    for name, labels, _ in collected.points:
        assert labels.keys() <= known[name], (name, labels)
        assert not any(str(value).startswith(("kf_", ME.owner)) for value in labels.values())
    assert {name for name, _, _ in collected.points} >= known.keys() - {
        "keyframe.provider.poll.errors",
        "keyframe.provider.circuit.changes",
    }
    assert collected.values("mcp.server.operation.duration", error__type="tool_error")
    attributes = {name for span in SPANS for name in span.attributes}
    ours = [
        span
        for span in collected.spans()
        if span.instrumentation_scope and "keyframe" in span.instrumentation_scope.name
    ]
    assert len(ours) > 5
    for span in ours:
        assert (span.attributes or {}).keys() <= attributes, span.name


def test_a_trace_that_is_named_in_a_header_goes_on(collected: Collected):
    sent = Headers({"Traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "Authorization": "Bearer no"})
    request = SimpleNamespace(headers=sent)
    with collected.observer.continuing(headers_of(request)), get_tracer("sdk").start_as_current_span("tools/call x"):
        assert span_ids()["trace_id"] == "ab" * 16
    assert parent(collected.span("tools/call x")) == int("cd" * 8, 16)
    assert headers_of(SimpleNamespace(headers=Headers({"traceparent": "nonsense"}))) == {}
    assert headers_of(None) == {}


@pytest.mark.parametrize(
    ("path", "named", "route"),
    [
        ("/api/v3/predictions/8f1c-77/result", {"job": "8f1c-77"}, "/api/v3/predictions/{job}/result"),
        ("/api/v3/predictions/8f1c-77/result?key=1", {}, "/api/v3/predictions/{id}/result"),
        ("/api/v3/wan-ai/wan-2.1/t2v", {"model": "wan-ai/wan-2.1/t2v"}, "/api/v3/{model}"),
        ("/files/a%2Fb", {"job": "a/b"}, "/files/{job}"),
        ("/video/status", {}, "/video/status"),
    ],
)
def test_a_route_is_a_path_without_its_ids(path: str, named: dict[str, str], route: str):
    assert route_of(path, **named) == route

"""Telemetry of the real process: sent by OTLP over HTTP when that is wanted, never waited for, free when it is off."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from keyframe_mcp.errors import InvalidSettings
from keyframe_mcp.telemetry.export import at_most, require_possible

HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a host", "version": "1"}}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PROMPT = "canary-prompt-4412"
COLLECTOR_KEY = "canary-collector-key-9921"


@dataclass
class Collector:
    """What was posted, by path."""

    url: str = ""
    posts: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)

    def names(self) -> list[str]:
        """Every span's."""
        requests = (ExportTraceServiceRequest.FromString(body) for path, _, body in self.posts if path == "/v1/traces")
        scopes = [scope for each in requests for resource in each.resource_spans for scope in resource.scope_spans]
        return [span.name for scope in scopes for span in scope.spans]

    def metrics(self) -> list[str]:
        """Every metric's."""
        found = (ExportMetricsServiceRequest.FromString(body) for path, _, body in self.posts if path == "/v1/metrics")
        scopes = [scope for each in found for resource in each.resource_metrics for scope in resource.scope_metrics]
        return [metric.name for scope in scopes for metric in scope.metrics]

    def services(self) -> set[str]:
        """What calls itself what."""
        requests = (ExportTraceServiceRequest.FromString(body) for path, _, body in self.posts if path == "/v1/traces")
        resources = [each.resource for request in requests for each in request.resource_spans]
        return {each.value.string_value for resource in resources for each in resource.attributes if "name" in each.key}


@contextmanager
def collecting() -> Generator[Collector]:
    """A collector on loopback."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.posts.append((self.path, dict(self.headers.items()), body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's own name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield collector
        finally:
            server.shutdown()


@contextmanager
def silent_address() -> Generator[str]:
    """A collector that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def variables(folder: Path, **more: str) -> dict[str, str]:
    found = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")}
    return found | {"KEYFRAME_OUTPUT_DIR": f"{folder}/out", "KEYFRAME_STATE_DIR": f"{folder}/state"} | more


@dataclass
class Server:
    """A server process on its pipe."""

    process: subprocess.Popen[str]
    last: int = 0

    def ask(self, method: str, params: object) -> dict[str, Any]:
        """A request, and its answer."""
        assert self.process.stdin
        assert self.process.stdout
        self.last += 1
        asked = {"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        while (heard := json.loads(self.process.stdout.readline())).get("id") != self.last:
            pass
        return heard

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """A tool's structure."""
        meta = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        answer = self.ask("tools/call", {"name": tool, "arguments": arguments, "_meta": meta})
        return answer["result"]["structuredContent"]

    def leave(self) -> float:
        """Close the pipe, as hosts do; the seconds until the process is gone."""
        began = time.perf_counter()
        out, _ = self.process.communicate(timeout=30)
        assert not out.strip(), "nothing but the protocol is on standard output"
        return time.perf_counter() - began


@contextmanager
def serving(folder: Path, **more: str) -> Generator[Server]:
    with (folder / "stderr.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "keyframe_mcp"],
            env=variables(folder, **more),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        server = Server(process)
        server.ask("initialize", HANDSHAKE)
        yield server
    finally:
        process.kill()
        process.wait()


def test_a_collector_gets_the_spans_and_metrics_of_a_task(tmp_path: Path):
    with collecting() as collector:
        standard = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_RESOURCE_ATTRIBUTES": "team=film"}
        standard |= {"OTEL_EXPORTER_OTLP_HEADERS": f"api-key={COLLECTOR_KEY}", "OTEL_SERVICE_NAME": "our-studio"}
        with serving(tmp_path, KEYFRAME_TELEMETRY="1", KEYFRAME_LOG_LEVEL="debug", **standard) as server:
            task = server.call("generate_t2v", prompt=PROMPT, duration=1, model="local/storyboard")
            server.call("get_task", task_id=task["task_id"], wait_seconds=20)
            server.leave()
    assert {"tools/call generate_t2v", "accept task", "media RenderVideo", "task succeeded"} <= set(collector.names())
    assert {"keyframe.tasks", "keyframe.task.moves", "mcp.server.operation.duration"} <= set(collector.metrics())
    assert "our-studio" in collector.services()
    assert all(headers["api-key"] == COLLECTOR_KEY for _, headers, _ in collector.posts)
    assert not any(PROMPT.encode() in body for _, _, body in collector.posts)
    assert any(bytes.fromhex(TRACE) in body for _, _, body in collector.posts), "the client's trace goes on"
    assert COLLECTOR_KEY not in (tmp_path / "stderr.log").read_text()


def test_a_collector_that_never_answers_slows_no_call_and_holds_up_no_end(tmp_path: Path):
    with silent_address() as url:
        quick = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "100"}
        more = {"KEYFRAME_TELEMETRY": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": url} | quick
        with serving(tmp_path, **more) as server:
            server.call("list_models")
            began = time.perf_counter()
            for _ in range(30):
                server.call("list_tasks")
            called = time.perf_counter() - began
            left = server.leave()
    assert called < 3, "the collector's time limit is ten seconds"
    assert left < 3, "a second for the telemetry, and what a busy machine adds"


def test_the_end_waits_a_second_at_most():
    forever = threading.Event()
    began = time.perf_counter()
    at_most(0.2, forever.wait, forever.wait)  # pyright: ignore[reportArgumentType] - what it returns is not looked at
    assert 0.15 < time.perf_counter() - began < 1
    forever.set()


WITHOUT_EXTRA = """
import sys
sys.modules["opentelemetry.exporter.otlp.proto.http.trace_exporter"] = None
from keyframe_mcp.cli import main
main()
"""


def test_without_the_extra_the_start_is_refused_with_what_to_install(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA],
        env=variables(tmp_path, KEYFRAME_TELEMETRY="1"),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 3
    assert "pip install 'keyframe-mcp[telemetry]'" in done.stderr
    assert "Traceback" not in done.stderr


OFF = """
import sys
from keyframe_mcp.cli import cli
cli.main(["serve"], standalone_mode=False)
heavy = [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter", "requests"))]
assert not heavy, heavy
assert "keyframe_mcp.telemetry.recorder" not in sys.modules
"""


def test_without_the_switch_nothing_of_it_is_imported(tmp_path: Path):
    off = variables(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    subprocess.run([sys.executable, "-c", OFF], env=off, cwd=tmp_path, stdin=subprocess.DEVNULL, timeout=30, check=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ],
)
def test_a_way_of_sending_that_there_is_not_is_refused(name: str, value: str):
    with pytest.raises(InvalidSettings, match=f"{name}={value}"):
        require_possible({name: value})
    require_possible({name: ""})


@pytest.mark.parametrize(
    "bad",
    [
        {"OTEL_BSP_SCHEDULE_DELAY": "-1"},
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "x"},
        {"OTEL_PROPAGATORS": "foo"},
        {"OTEL_PYTHON_TRACER_PROVIDER": "foo"},
    ],
    ids="".join,
)
def test_a_standard_variable_that_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path, bad: dict[str, str]):
    done = subprocess.run(
        [sys.executable, "-m", "keyframe_mcp"],
        env=variables(tmp_path, KEYFRAME_TELEMETRY="1", OTEL_EXPORTER_OTLP_HEADERS=f"api-key={COLLECTOR_KEY}", **bad),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("keyframe-mcp: ")  # OpenTelemetry may have logged before
    assert next(iter(bad)) in done.stderr.splitlines()[-1]
    assert COLLECTOR_KEY not in done.stderr
    assert not done.stdout

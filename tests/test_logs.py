"""Log lines: whole JSON objects that say what they belong to, and hold nothing that must not be read."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from keyframe_mcp.cli.logs import FIELDS, JsonLines, Redaction, TextLines, secrets_in
from keyframe_mcp.cli.session import show_task
from keyframe_mcp.task import Failure, Mode, Status, Task
from keyframe_mcp.telemetry.correlation import answering, correlation_of, working_on
from keyframe_mcp.telemetry.narration import narrate
from studio import ME, open_studio

KEY = "sk-canary+/0123456789=abcdef"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TASK = Task(
    id="kf_a", owner="me", mode=Mode.T2V, model="paid/film", provider="paid", request={}, wire={}, request_hash="",
    correlation_id="c0ffee", counted_usd=0.3, created_at=10.0, updated_at=51.25,
)  # fmt: skip


@contextmanager
def logging_to(lines: logging.Formatter) -> Generator[tuple[logging.Logger, io.StringIO]]:
    """A logger of its own that writes there."""
    stream, log = io.StringIO(), logging.Logger("test")  # noqa: LOG001 - one that nobody else listens to
    handler = logging.StreamHandler(stream)
    handler.setFormatter(lines)
    log.addHandler(handler)
    yield log, stream


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_the_ids_it_belongs_to():
    ids = {"trace_id": TRACE, "span_id": "00f067aa0ba902b7"}
    with logging_to(JsonLines(Redaction(), lambda: ids)) as (log, stream):
        with answering("abcd"):
            log.info("two\nlines")
            with working_on(TASK):
                log.warning("about %s", "it", extra={"facts": {"provider": "paid"}})
        log.error("alone")
    first, second, third = written(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first == {"level": "info", "logger": "test", "message": "two\nlines", "correlation_id": "abcd", **ids}
    assert (second["task_id"], second["correlation_id"], second["provider"]) == ("kf_a", "c0ffee", "paid")
    assert "correlation_id" not in third
    assert FIELDS.keys() >= {name for line in (first, second, third) for name in line}


def test_an_exception_is_a_field_and_stays_on_the_line():
    with logging_to(JsonLines(Redaction([KEY]))) as (log, stream):
        try:
            int(KEY)
        except ValueError:
            log.exception("it broke")
    (line,) = written(stream)
    assert line["message"] == "it broke"
    assert "Traceback" in line["exception"]
    assert "with base 10: '[key]'" in line["exception"]


def test_a_text_line_has_the_correlation_id_before_a_traceback():
    with logging_to(TextLines(Redaction())) as (log, stream), answering("abcd"):
        try:
            int("no")
        except ValueError:
            log.exception("it broke")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("it broke [abcd]")
    assert rest[-1].startswith("ValueError: ")


SECRETS = [
    f"the key {KEY} there",
    f"https://host/a?X-Amz-Signature={KEY}",
    "https://host/a?X-Amz-Signature=canary77",
    "GET /files/a.mp4?token=canary77 HTTP/1.1",
    "Authorization: Bearer canary77canary77",
    "{'authorization': 'canary77canary77'}",
    "(b'Authorization', b'Bearer canary77canary77')",
    "Authorization: Basic canary77Canary77",
    "https://user:canary77@host/a",
    "https://host/#access=canary77",
    "api_key=canary77canary77",
    "data:image/png;base64,canary77",
    "sk-cana%2B begins",
    json.dumps({"key": KEY}),
]


@pytest.mark.parametrize("lines", [JsonLines, TextLines])
@pytest.mark.parametrize("said", SECRETS)
def test_keys_credentials_and_queries_are_left_out_of_a_line(said: str, lines: type[JsonLines | TextLines]):
    with logging_to(lines(Redaction([KEY]))) as (log, stream):
        log.warning("%s", said, extra={"facts": {"provider": said}})
    assert "canary77" not in stream.getvalue()
    assert "canary+" not in stream.getvalue()
    assert "0123456789" not in stream.getvalue()


def test_what_a_person_needs_is_left_in_a_line():
    plain = "task kf_abc submitted to wavespeed as job 9a1f-77, attempt 1; OUTPUT_DIR=/home/me/Videos; why? yes"
    with logging_to(TextLines(Redaction([KEY]))) as (log, stream):
        log.warning(plain)
    assert plain in stream.getvalue()


def test_variables_named_like_secrets_are_secrets_and_folders_are_not():
    environment = {
        "KEYFRAME_OUTPUT_DIR": "/home/somebody/Videos",
        "WAVESPEED_API_KEY": "wavespeed-key-1",
        "KEYFRAME_AUTH_TOKENS": "alice-smith:token-of-alice, bob:token-of-bobby",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-honeycomb-team=collector%20key",
    }
    clean = Redaction(secrets_in(environment))
    shown = clean("/home/somebody/Videos wavespeed-key-1 alice-smith token-of-alice token-of-bobby collector key")
    assert shown == "/home/somebody/Videos [key] alice-smith [key] [key] [key]"


@pytest.mark.parametrize(
    ("sent", "becomes"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", None),
        ("nonsense", None),
        (None, None),
        (7, None),
    ],
)
def test_a_call_is_known_by_the_clients_trace_id_or_by_one_of_ours(sent: object, becomes: str | None):
    correlation = correlation_of(sent)
    assert correlation == becomes or (becomes is None and re.fullmatch("[0-9a-f]{16}", correlation))


def test_every_end_of_a_task_is_one_line_at_info(caplog: pytest.LogCaptureFixture):
    failure = Failure(kind="provider_refused", message="", fix="", retryable=False)
    sent = TASK.model_copy(update={"status": Status.SUBMITTING, "attempt": 1})
    moves = [
        (None, TASK, "accepted: t2v with paid/film, counts $0.3"),
        (TASK, sent, None),
        (sent, sent.model_copy(update={"status": Status.RUNNING, "remote_id": "r1"}), "submitted to paid as job r1"),
        (sent, sent.model_copy(update={"status": Status.SUCCEEDED}), "finished in 41.2 s, counts $0.3"),
        (
            sent,
            sent.model_copy(update={"status": Status.FAILED, "failure": failure}),
            "failed after 41.2 s: provi",
        ),
        (
            sent,
            sent.model_copy(update={"status": Status.UNKNOWN, "failure": failure}),
            "unknown: provider_refused",
        ),
        (sent, sent.model_copy(update={"progress": 0.5}), None),
    ]
    for before, after, expected in moves:
        caplog.clear()
        with caplog.at_level(logging.INFO):
            narrate(before, after)
        assert [record.levelname for record in caplog.records] == ["INFO"] * (expected is not None)
        if expected is not None:
            assert caplog.messages[0].startswith(f"task kf_a {expected}")
            facts = caplog.records[0].__dict__["facts"]
            assert facts.keys() <= FIELDS.keys()
            assert facts["correlation_id"] == "c0ffee"


async def test_a_task_keeps_the_correlation_id_of_the_call_that_made_it(tmp_path: Path):
    async with open_studio(tmp_path) as studio:
        with answering(TRACE):
            called = await studio.start()
        alone = await studio.start("another")
        assert (await studio.engine.get(called, ME)).correlation_id == TRACE
        assert re.fullmatch("[0-9a-f]{16}", (await studio.engine.get(alone, ME)).correlation_id or "")


def test_a_task_that_was_written_before_there_were_ids_still_loads():
    old = TASK.model_copy(update={"correlation_id": None}).model_dump_json(exclude_defaults=True)
    assert "correlation_id" not in old
    assert Task.model_validate_json(old).correlation_id is None


HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a host", "version": "1"}}


def request(number: int, method: str, params: object) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n"


def test_a_server_logs_json_on_standard_error_with_the_clients_trace_id(tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")}
    environment |= {"KEYFRAME_OUTPUT_DIR": f"{tmp_path}/out", "KEYFRAME_STATE_DIR": f"{tmp_path}/state"}
    environment |= {"KEYFRAME_LOG_LEVEL": "info", "WAVESPEED_API_KEY": KEY}
    meta = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    call = {"name": "generate_t2v", "arguments": {"prompt": "a heron", "model": "local/storyboard"}, "_meta": meta}
    server = subprocess.Popen(
        [sys.executable, "-m", "keyframe_mcp", "serve", "--log-format", "json"],
        env=environment, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdin
    assert server.stdout
    server.stdin.write(request(1, "initialize", HANDSHAKE) + request(2, "tools/call", call))
    server.stdin.flush()
    answers = [json.loads(server.stdout.readline()) for _ in range(2)]
    task_id = answers[1]["result"]["structuredContent"]["task_id"]
    out, err = server.communicate(timeout=30)
    assert not out.strip(), "nothing but the protocol is on standard output"
    lines = [json.loads(line) for line in err.splitlines()]
    ours = [line for line in lines if line.get("task_id") == task_id]
    assert any("accepted" in line["message"] for line in ours)
    assert {line["correlation_id"] for line in ours} == {TRACE}
    assert "correlation_id" not in json.dumps(answers), "agents need no such id"


def test_a_person_is_shown_both_ids_and_programs_too(capsys: pytest.CaptureFixture[str]):
    task = TASK.model_copy(update={"trace_id": "req-77", "status": Status.SUCCEEDED})
    show_task(task, as_json=False)
    assert "ids: call c0ffee, paid's trace req-77" in capsys.readouterr().out
    show_task(task, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert (shown["correlation_id"], shown["trace_id"]) == ("c0ffee", "req-77")

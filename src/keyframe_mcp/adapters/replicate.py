"""Replicate, and every gateway that speaks its predictions API.

Polling and cancelling go to the configured host, never to the addresses in `urls`: a gateway's point at Replicate,
and the gateway's key is no business of theirs. Sources: Replicate's API reference and Python client 1.0.7, the
gateway's page; read 2026-11-20.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import quote

from pydantic import BaseModel

from keyframe_mcp.adapters.base import Accepted, Job, Report
from keyframe_mcp.adapters.dialect import (
    MODERATION,
    Call,
    Complaint,
    Dialect,
    Recent,
    Reply,
    Upload,
    failed,
    header_values,
)
from keyframe_mcp.adapters.outputs import outputs_in
from keyframe_mcp.adapters.quotation import quoted
from keyframe_mcp.errors import ContentRejected, GenerationFailed, ResultGone
from keyframe_mcp.task import Failure, Status

BAR = re.compile(r"^\s*(\d+)%\s*\|.+?\|\s*(\d+)/(\d+)", re.MULTILINE)
FRAME = re.compile(r"Generating frame (\d+) of keyframe (\d+)")
SEED = re.compile(r"Using seed:\s*(\d+)")


RELAY_REFUSALS = MappingProxyType({"model_not_found": 400, "insufficient_user_quota": 402})
"""What relays of the new-api family call a no, whatever HTTP status it comes with (public code of such relays)."""


class Metrics(BaseModel):
    predict_time: float | None = None  # seconds


class Prediction(BaseModel):
    """A job. `output` may be anything: a URL, a list of them, an object. It is deleted an hour after the end."""

    id: str
    status: str
    model: str | None = None
    input: dict[str, Any] | None = None
    output: Any = None
    logs: str | None = None
    error: Any = None
    data_removed: bool | None = None
    created_at: str | None = None
    metrics: Metrics | None = None


class Recents(BaseModel):
    results: list[Prediction]


class FileUrls(BaseModel):
    get: str


class FileReply(BaseModel):
    urls: FileUrls


class Replicate(Dialect):
    """A job with a version is asked for by version, one without by the path of an official model."""

    states = MappingProxyType(
        {
            "starting": Status.RUNNING,
            "processing": Status.RUNNING,
            "succeeded": Status.SUCCEEDED,
            "failed": Status.FAILED,
            "canceled": Status.CANCELLED,
            "aborted": Status.CANCELLED,
        }
    )

    def complaint(self, reply: Reply) -> Complaint | None:
        """Gateways of the new-api family answer 503 where they have no such model, which is a plain no."""
        complaint = super().complaint(reply)
        code = relay_code(reply.body)
        if complaint is None or code not in RELAY_REFUSALS:
            return complaint
        return Complaint(status=RELAY_REFUSALS[code], message=f"{complaint.message} ({code})")

    def submit_call(self, job: Job) -> Call:
        headers = header_values(job.wire)
        if job.version is None:
            path = self._path(f"/models/{quote(job.model)}/predictions")
            return Call(method="POST", path=path, json={"input": self.inputs(job)}, headers=headers)
        body = {"version": f"{job.model}:{job.version}", "input": self.inputs(job)}
        return Call(method="POST", path=self._path("/predictions"), json=body, headers=headers)

    def read_accepted(self, reply: Reply) -> Accepted:
        prediction = Prediction.model_validate(reply.body)
        return Accepted(remote_id=prediction.id, native_status=prediction.status)

    def check_call(self, remote_id: str) -> Call:
        return Call(method="GET", path=self._path(f"/predictions/{quote(remote_id, safe='')}"))

    def read_report(self, reply: Reply, remote_id: str) -> Report:
        prediction = Prediction.model_validate(reply.body)
        status, logs = self.status(prediction.status), prediction.logs or ""
        report = Report(
            status=status,
            native_status=prediction.status,
            progress=progress(prediction) if status is Status.RUNNING else None,
            outputs=outputs_in(prediction.output) if status is Status.SUCCEEDED else (),
            seed=int(seeds[-1]) if (seeds := SEED.findall(logs)) else None,
            inference_seconds=prediction.metrics.predict_time if prediction.metrics else None,
        )
        if status is Status.FAILED:
            reason = "" if prediction.error is None else str(prediction.error)
            kind = ContentRejected if MODERATION.search(reason) else GenerationFailed
            return failed(prediction.status, kind(quoted(self.provider.name, reason)), seed=report.seed)
        if status is Status.SUCCEEDED and not report.outputs and prediction.data_removed:
            gone = ResultGone(f"{self.provider.name} deleted the result before it was copied (data_removed)")
            return replace(report, failure=Failure.of(gone))
        return report

    def cancel_call(self, remote_id: str) -> Call:
        return Call(method="POST", path=self._path(f"/predictions/{quote(remote_id, safe='')}/cancel"))

    def upload_call(self, upload: Upload) -> Call | None:
        return Call(method="POST", path=self._path("/files"), upload=replace(upload, field="content"))

    def read_upload(self, reply: Reply) -> str:
        return FileReply.model_validate(reply.body).urls.get

    def recent_call(self) -> Call:
        return Call(method="GET", path=self._path("/predictions"))

    def read_recent(self, reply: Reply) -> Sequence[Recent]:
        return [
            Recent(remote_id=each.id, model=each.model, status=each.status, created_at=each.created_at, wire=each.input)
            for each in Recents.model_validate(reply.body).results
        ]

    def probe_call(self) -> Call:
        return self.recent_call() if self.provider.reconcile else super().probe_call()

    def is_at_home(self, reply: Reply) -> bool:
        """A list of jobs is there or it is not; only one that is asked for a job may complain."""
        return not self.provider.reconcile and super().is_at_home(reply)

    def read_probe(self, reply: Reply) -> str:
        if not self.provider.reconcile:
            return super().read_probe(reply)
        return f"the key is accepted, {len(self.read_recent(reply))} recent jobs"

    def inputs(self, job: Job) -> dict[str, Any]:
        """Everything that is not a header, whether or not the catalogue spells it with `input.`."""
        body = self.nested(job.wire)
        inner = body.pop("input", {})
        return body | cast("dict[str, Any]", inner)

    def _path(self, rest: str) -> str:
        return self.provider.paths.get("prefix", "") + rest


def relay_code(body: object) -> str:
    """The `error.code` of a relay's own complaint."""
    error = cast("dict[str, object]", body).get("error") if isinstance(body, dict) else None
    return str(cast("dict[str, object]", error).get("code")) if isinstance(error, dict) else ""


def progress(prediction: Prediction) -> float | None:
    """How far a job is, from its log: keyframes of stable-diffusion-animation, or the last progress bar."""
    logs, asked = prediction.logs or "", prediction.input or {}
    if frames := FRAME.findall(logs):
        each = int(asked.get("num_animation_frames") or 10)
        segments = str(asked.get("prompt_end") or "").count("|") + 1 + bool(asked.get("gif_ping_pong"))
        frame, keyframe = map(int, frames[-1])
        return min((keyframe * each + frame) / (segments * each), 0.99)
    if bars := BAR.findall(logs):
        return min(int(bars[-1][0]) / 100, 0.99)
    return None

"""Replicate, and every gateway that speaks its predictions API.

Polling and cancelling go to the configured host, never to the addresses in `urls`: a gateway's point at Replicate,
and the gateway's key is no business of theirs. Sources: Replicate's API reference and Python client 1.0.7, the
gateway's page; read 2026-11-20.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Any, cast
from urllib.parse import quote

from pydantic import BaseModel, Field

from keyframe_mcp.adapters.base import Accepted, Job, Report
from keyframe_mcp.adapters.dialect import Call, Complaint, Dialect, Failed, Reply, Upload, words
from keyframe_mcp.adapters.outputs import outputs_in
from keyframe_mcp.adapters.recents import Recent
from keyframe_mcp.adapters.replies import Lenient, Number, RemoteId
from keyframe_mcp.adapters.webhook_bodies import CalledBody, Secret
from keyframe_mcp.adapters.webhooks import Called, Signed, digest
from keyframe_mcp.errors import ResultGone
from keyframe_mcp.task import Failure, Status

BAR = re.compile(r"^[ \t]*(\d{1,3})%[ \t]*\|.+?\|[ \t]*\d+/\d+", re.MULTILINE)
FRAME = re.compile(r"Generating frame (\d{1,9}) of keyframe (\d{1,9})(?!\d)")
SEED = re.compile(r"Using seed:[ \t]*(\d{1,20})(?!\d)")
LATEST = 20_000  # characters of a log that tell how far a job is
FRAMES = 10  # between two keyframes, where the input does not say
EVENTS = ("start", "completed")


RELAY_REFUSALS = MappingProxyType({"model_not_found": 400, "insufficient_user_quota": 402})
"""What relays of the new-api family call a no, whatever HTTP status it comes with (public code of such relays)."""


class Submitted(BaseModel):
    id: RemoteId
    status: Lenient[str] = None


class Metrics(BaseModel):
    predict_time: Lenient[Number] = None  # seconds


class Prediction(BaseModel):
    """How a job is doing. `output` may be anything: a URL, a list of them, an object. It is deleted after an hour."""

    status: str
    input: Lenient[dict[str, Any]] = None
    output: Any = None
    logs: Lenient[str] = None
    error: Any = None
    data_removed: Lenient[bool] = None
    metrics: Lenient[Metrics] = None


class Listed(BaseModel):
    id: RemoteId
    model: Lenient[str] = None
    created_at: Lenient[str] = None
    input: Lenient[dict[str, Any]] = None


class Recents(BaseModel):
    results: list[Lenient[Listed]]


class WebhookSecret(BaseModel):
    key: Secret


class FileUrls(BaseModel):
    get: Annotated[str, Field(min_length=1, max_length=4096)]


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
        if job.version is None:
            path = self._path(f"/models/{quote(job.model)}/predictions")
            return Call(method="POST", path=path, json={"input": self.inputs(job), **called(job)})
        body = {"version": f"{job.model}:{job.version}", "input": self.inputs(job), **called(job)}
        return Call(method="POST", path=self._path("/predictions"), json=body)

    def read_accepted(self, reply: Reply) -> Accepted:
        submitted = Submitted.model_validate(reply.body)
        return Accepted(remote_id=submitted.id, native_status=submitted.status or None)

    def proves(self, reply: Reply, accepted: Accepted) -> bool:
        """Errors have ids too, in the same place. Only a job has a state with it."""
        return reply.status < 300 or (reply.status >= 500 and accepted.native_status is not None)

    def check_call(self, remote_id: str) -> Call:
        return Call(method="GET", path=self._path(f"/predictions/{quote(remote_id, safe='')}"))

    def read_report(self, reply: Reply, remote_id: str) -> Report | Failed:
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
            return Failed(native_status=prediction.status, reason=words(prediction.error), seed=report.seed)
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
            Recent(remote_id=each.id, model=each.model, created_at=each.created_at, wire=each.input)
            for each in Recents.model_validate(reply.body).results
            if each is not None
        ]

    def webhook_key_call(self) -> Call:
        return Call(method="GET", path=self._path("/webhooks/default/secret"))

    def read_webhook_key(self, reply: Reply) -> bytes:
        """The text after the prefix is base64."""
        return base64.b64decode(WebhookSecret.model_validate(reply.body).key, validate=True)

    def is_signed(self, call: Signed, key: bytes) -> bool:
        return call.has("v1", base64.b64encode(digest(call, key)).decode())

    def read_called(self, body: bytes) -> Called:
        return CalledBody.model_validate_json(body).read(self.states)

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


def called(job: Job) -> dict[str, Any]:
    """What asks Replicate to call. At the start too: a job whose submission was never answered is known then."""
    return {"webhook": job.callback, "webhook_events_filter": list(EVENTS)} if job.callback else {}


def relay_code(body: object) -> str:
    """The `error.code` of a relay's own complaint."""
    error = cast("dict[str, object]", body).get("error") if isinstance(body, dict) else None
    return str(cast("dict[str, object]", error).get("code")) if isinstance(error, dict) else ""


def progress(prediction: Prediction) -> float | None:
    """How far a job is, from its log: keyframes of stable-diffusion-animation, or the last progress bar."""
    logs, asked = (prediction.logs or "")[-LATEST:], prediction.input or {}
    if frames := FRAME.findall(logs):
        told = asked.get("num_animation_frames")
        each = told if isinstance(told, int) and 0 < told <= 1000 else FRAMES
        segments = str(asked.get("prompt_end") or "").count("|") + 1 + bool(asked.get("gif_ping_pong"))
        frame, keyframe = map(int, frames[-1])
        return min((keyframe * each + frame) / (segments * each), 0.99)
    if bars := BAR.findall(logs):
        return min(int(bars[-1]) / 100, 0.99)
    return None

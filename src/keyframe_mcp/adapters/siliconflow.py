"""SiliconFlow. Status is asked for with a POST that only reads; error bodies may be plain strings.

Sources: docs.siliconflow.cn (video submit, video status, error codes), read 2026-11-20.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, Field

from keyframe_mcp.adapters.base import Accepted, Job, Report
from keyframe_mcp.adapters.dialect import Call, Complaint, Dialect, Failed, Reply, words
from keyframe_mcp.adapters.outputs import outputs_in
from keyframe_mcp.adapters.replies import Lenient, Number, RemoteId, Whole
from keyframe_mcp.task import Status

OVERLOADED = 50505


class Submitted(BaseModel):
    request_id: RemoteId = Field(alias="requestId")


class Timings(BaseModel):
    inference: Lenient[Number] = None  # seconds


class Results(BaseModel):
    videos: Any = None
    timings: Lenient[Timings] = None
    seed: Lenient[Whole] = None


class Progress(BaseModel):
    """How a job is doing. `results` is null until it has succeeded; `position` was on an older page."""

    status: str
    reason: Any = None
    position: Lenient[Whole] = None
    results: Lenient[Results] = None


class SiliconFlow(Dialect):
    states = MappingProxyType(
        {
            "InQueue": Status.RUNNING,
            "InProgress": Status.RUNNING,
            "Succeed": Status.SUCCEEDED,
            "Failed": Status.FAILED,
        }
    )
    trace_header = "x-siliconcloud-trace-id"

    def complaint(self, reply: Reply) -> Complaint | None:
        """Being overloaded is documented as a refusal, so nothing was taken."""
        complaint = super().complaint(reply)
        code = reply.code
        if complaint is None or complaint.status != 503 or code != OVERLOADED:
            return complaint
        return Complaint(status=503, message=complaint.message, is_busy=True)

    def submit_call(self, job: Job) -> Call:
        return Call(method="POST", path="/video/submit", json={"model": job.model, **self.nested(job.wire)})

    def read_accepted(self, reply: Reply) -> Accepted:
        return Accepted(remote_id=Submitted.model_validate(reply.body).request_id)

    def check_call(self, remote_id: str) -> Call:
        return Call(method="POST", path="/video/status", json={"requestId": remote_id})

    def read_report(self, reply: Reply, remote_id: str) -> Report | Failed:
        progress = Progress.model_validate(reply.body)
        status, results = self.status(progress.status), progress.results or Results()
        if status is Status.FAILED:
            return Failed(native_status=progress.status, reason=words(progress.reason or ""))
        queue = f" (position {progress.position})" if progress.position is not None else ""
        return Report(
            status=status,
            native_status=progress.status + queue,
            outputs=outputs_in(results.videos) if status is Status.SUCCEEDED else (),
            seed=results.seed,
            inference_seconds=results.timings.inference if results.timings else None,
        )

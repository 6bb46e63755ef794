"""Baicai Infer. Everything comes wrapped in `{code: 0, message, data, ts}`; `ts` is Java's date text and is not read.

The submit page is the provider's own; status, result and upload are known from one public client only (chenjie222's
baoyu-skills, commit 022d143), so their paths can be replaced in the catalogue. Read 2026-11-20.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any, Literal, cast
from urllib.parse import quote

from pydantic import BaseModel, Field, field_validator

from keyframe_mcp.adapters.base import Accepted, Job, Report
from keyframe_mcp.adapters.dialect import MODERATION, Call, Complaint, Dialect, Reply, Upload, failed, words
from keyframe_mcp.adapters.outputs import outputs_in
from keyframe_mcp.adapters.quotation import quoted
from keyframe_mcp.errors import ContentRejected, GenerationFailed
from keyframe_mcp.task import Status

NAME = "Baicai Infer"
PATHS = MappingProxyType(
    {
        "submit": "/v1/videos/generations",
        "status": "/v1/comfyui/tasks/{task_id}/status",
        "result": "/v1/comfyui/tasks/{task_id}/result",
        "upload": "/v1/resources/upload",
    }
)


class Envelope(BaseModel):
    """An answer that says yes. `data` comes as an object on one page and as a list of one on another."""

    code: Literal[0]
    data: dict[str, Any]

    @field_validator("data", mode="before")
    @classmethod
    def first_of_a_list(cls, data: object) -> object:
        """A list of several results is kept whole, under the key that outputs are looked for."""
        if not isinstance(data, list):
            return data
        several = cast("list[object]", data)
        return several[0] if len(several) == 1 else {"urls": several}


class Submitted(BaseModel):
    task_id: str = Field(alias="taskId", min_length=1)


class Uploaded(BaseModel):
    full_path: str = Field(alias="fullPath", min_length=1)


class Baicai(Dialect):
    states = MappingProxyType(
        {
            "PENDING": Status.RUNNING,
            "QUEUED": Status.RUNNING,
            "WAITING": Status.RUNNING,
            "RUNNING": Status.RUNNING,
            "PROCESSING": Status.RUNNING,
            "COMPLETED": Status.SUCCEEDED,
            "SUCCEEDED": Status.SUCCEEDED,
            "SUCCESS": Status.SUCCEEDED,
            "FAILED": Status.FAILED,
            "ERROR": Status.FAILED,
            "TIMEOUT": Status.FAILED,
            "CANCELED": Status.CANCELLED,
            "CANCELLED": Status.CANCELLED,
        }
    )

    def complaint(self, reply: Reply) -> Complaint | None:
        """An HTTP error, or a code of 400 and more in the envelope (0, 400 and 500 are documented)."""
        code = reply.code
        if reply.status >= 400 or code is None or code < 400:
            return super().complaint(reply)
        status = code if code < 600 else 400
        return Complaint(status=status, message=f"{words(reply.body)} (code {code})", is_busy=status == 429)

    def submit_call(self, job: Job) -> Call:
        body = {"selected_model": job.model, **self.nested(job.wire)}
        return Call(method="POST", path=self._path("submit"), json=body)

    def read_accepted(self, reply: Reply) -> Accepted:
        data = Envelope.model_validate(reply.body).data
        return Accepted(remote_id=Submitted.model_validate(data).task_id)

    def check_call(self, remote_id: str) -> Call:
        return Call(method="GET", path=self._path("status", remote_id))

    def check_elsewhere(self, remote_id: str) -> Call:
        return Call(method="GET", path=self._path("result", remote_id))

    def read_report(self, reply: Reply, remote_id: str) -> Report | Call:
        data = Envelope.model_validate(reply.body).data
        outputs = outputs_in({key: value for key, value in data.items() if key in ("urls", "result", "url")})
        word = str(data.get("status") or ("COMPLETED" if "urls" in data or "result" in data else ""))
        status = self.status(word)
        if status is Status.FAILED:
            reason = words({key: value for key, value in data.items() if key != "status"}) if len(data) > 1 else ""
            kind = ContentRejected if MODERATION.search(reason) else GenerationFailed
            return failed(word, kind(quoted(NAME, reason)))
        if status is Status.SUCCEEDED and "urls" not in data and "result" not in data:
            return self.check_elsewhere(remote_id)
        is_done = status is Status.SUCCEEDED
        return Report(
            status=status,
            native_status=word or None,
            progress=None if is_done else fraction(data.get("progress")),
            outputs=outputs if is_done else (),
        )

    def upload_call(self, upload: Upload) -> Call:
        return Call(method="POST", path=self._path("upload"), upload=upload)

    def read_upload(self, reply: Reply) -> str:
        return Uploaded.model_validate(Envelope.model_validate(reply.body).data).full_path

    def _path(self, name: str, task_id: str = "") -> str:
        return self.provider.paths.get(name, PATHS[name]).replace("{task_id}", quote(task_id, safe=""))


def fraction(progress: object) -> float | None:
    """`45`, `"45%"` and `"0.45"` as 0.45. Its format is not documented."""
    match = re.match(r"\s*(\d+(?:\.\d+)?)\s*(%?)", str(progress)) if progress is not None else None
    if match is None:
        return None
    number = float(match[1])
    share = number if number <= 1 and "." in match[1] and not match[2] else number / 100
    return min(share, 1.0)

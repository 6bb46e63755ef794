"""Baicai Infer. Everything comes wrapped in `{code: 0, message, data, ts}`; `ts` is Java's date text and is not read.

The submit page is the provider's own; status, result and upload are known from one public client only (chenjie222's
baoyu-skills, commit 022d143), so their paths can be replaced in the catalogue. Read 2026-11-20.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, cast
from urllib.parse import quote

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, ValidationError

from keyframe_mcp.adapters.base import Accepted, Job, Report
from keyframe_mcp.adapters.dialect import Call, Complaint, Dialect, Failed, Reply, Upload, words
from keyframe_mcp.adapters.outputs import KEYS, outputs_in
from keyframe_mcp.adapters.replies import Lenient, RemoteId
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


YES = (0, 200)
"""Only 0 is documented."""
FILE_KEYS = (*KEYS, "result", "results")


def items_in(data: object) -> object:
    """`data` as a list of objects: it comes as an object on one page and as a list on another, and may be an address.

    Nothing at all is a job that is not listed yet.
    """
    several = cast("list[object]", data) if isinstance(data, list) else [] if data is None else [data]
    return [{"url": each} if isinstance(each, str) and outputs_in(each) else each for each in several]


Items = Annotated[list[dict[str, Any]], BeforeValidator(items_in)]


class Submission(BaseModel):
    data: Items


class Envelope(Submission):
    code: int


class Submitted(BaseModel):
    task_id: RemoteId = Field(validation_alias=AliasChoices("taskId", "task_id", "taskID"))
    status: Lenient[str] = None


class Uploaded(BaseModel):
    full_path: str = Field(alias="fullPath", min_length=1, max_length=4096)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One video of a job."""

    status: Status
    word: str
    outputs: tuple[str, ...]
    reason: str
    progress: float | None


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
        """An HTTP error, or any code in the envelope that is not yes (0, 400 and 500 are documented)."""
        code = reply.code
        if reply.status >= 400 or code is None or code in YES:
            return super().complaint(reply)
        status = code if 400 <= code < 600 else 400
        return Complaint(status=status, message=f"{words(reply.body)} (code {code})", is_busy=status == 429)

    def submit_call(self, job: Job) -> Call:
        body = {"selected_model": job.model, **self.nested(job.wire)}
        return Call(method="POST", path=self._path("submit"), json=body)

    def read_accepted(self, reply: Reply) -> Accepted:
        items = Submission.model_validate(reply.body).data
        submitted = next(filter(None, map(submitted_in, items)), None) or Submitted.model_validate(items[0])
        return Accepted(remote_id=submitted.task_id, native_status=submitted.status or None)

    def proves(self, reply: Reply, accepted: Accepted) -> bool:
        """The envelope's id is a job's, whatever code is beside it; in an HTTP refusal it must have a state."""
        return not 400 <= reply.status < 500 or accepted.native_status is not None

    def check_call(self, remote_id: str) -> Call:
        return Call(method="GET", path=self._path("status", remote_id))

    def check_elsewhere(self, remote_id: str) -> Call:
        return Call(method="GET", path=self._path("result", remote_id))

    def read_report(self, reply: Reply, remote_id: str) -> Report | Failed | Call:
        result = self.check_elsewhere(remote_id)
        is_result = reply.call is not None and reply.call.path == result.path
        because = reply.call.because if reply.call is not None else ""
        parts = [self._part(item, because, is_result=is_result) for item in Envelope.model_validate(reply.body).data]
        words = dict.fromkeys(part.word for part in parts if part.word)
        native, status = ", ".join(words) or because, merged(parts, because)
        if status is Status.FAILED:
            return Failed(
                native_status=native, reason="; ".join(dict.fromkeys(filter(None, (p.reason for p in parts))))
            )
        made = [part for part in parts if part.status is Status.SUCCEEDED]
        if status is Status.SUCCEEDED and not is_result and not all(part.outputs for part in made):
            return Call(method="GET", path=result.path, because=native)
        told = [part.progress for part in parts if part.progress is not None]
        return Report(
            status=status,
            native_status=native or None,
            progress=min(told) if told and status is Status.RUNNING else None,
            outputs=outputs_in([list(part.outputs) for part in made]) if status is Status.SUCCEEDED else (),
            warnings=some_made(made, parts) if status is Status.SUCCEEDED else (),
        )

    def _part(self, item: dict[str, Any], because: str, *, is_result: bool) -> Part:
        """One video. Where the result is asked for, an address counts under whatever name."""
        inner = cast("dict[str, Any]", item["result"]) if isinstance(item.get("result"), dict) else {}
        word = next((each for each in (item.get("status"), inner.get("status")) if isinstance(each, str)), "")
        outputs = outputs_in(item if is_result else {key: item[key] for key in FILE_KEYS if key in item})
        unsaid = Status.SUCCEEDED if outputs or because else Status.RUNNING
        more = {key: value for key, value in item.items() if key != "status"}
        return Part(
            status=self.status(word) if word else unsaid,
            word=word,
            outputs=outputs,
            reason=words(more),
            progress=fraction(item.get("progress")),
        )

    def upload_call(self, upload: Upload) -> Call:
        return Call(method="POST", path=self._path("upload"), upload=upload)

    def read_upload(self, reply: Reply) -> str:
        return Uploaded.model_validate(Envelope.model_validate(reply.body).data[0]).full_path

    def _path(self, name: str, task_id: str = "") -> str:
        return self.provider.paths.get(name, PATHS[name]).replace("{task_id}", quote(task_id, safe=""))


def submitted_in(item: dict[str, Any]) -> Submitted | None:
    """The job an object names, if it does."""
    try:
        return Submitted.model_validate(item)
    except ValidationError:
        return None


def merged(parts: Sequence[Part], because: str) -> Status:
    """The state of a job of several videos: it is over when all are, and then one that was made is worth having."""
    statuses = {part.status for part in parts} or {Status.SUCCEEDED if because else Status.RUNNING}
    order = (Status.RUNNING, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)
    return next(status for status in order if status in statuses)


def some_made(made: Sequence[Part], parts: Sequence[Part]) -> tuple[str, ...]:
    """A warning when not all videos were made."""
    return (f"{NAME} made {len(made)} of {len(parts)} videos",) if len(made) < len(parts) else ()


def fraction(progress: object) -> float | None:
    """`45`, `"45%"` and `"0.45"` as 0.45. Its format is not documented."""
    match = re.match(r"\s*(\d+(?:\.\d+)?)\s*(%?)", str(progress)) if progress is not None else None
    if match is None:
        return None
    number = float(match[1])
    share = number if number <= 1 and "." in match[1] and not match[2] else number / 100
    return min(share, 1.0)

"""WaveSpeedAI, API v3. Everything comes wrapped in `{code: 200, message, data}`, failed jobs included.

Sources: wavespeed.ai/docs and the official Python client 2.0.5, read 2026-11-20.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import quote

from pydantic import BaseModel

from keyframe_mcp.adapters.base import Accepted, Job, Report
from keyframe_mcp.adapters.dialect import MODERATION, Call, Complaint, Dialect, Recent, Reply, Upload, failed
from keyframe_mcp.adapters.outputs import outputs_in
from keyframe_mcp.adapters.quotation import quoted
from keyframe_mcp.errors import ContentRejected, GenerationFailed, ProviderError, ProviderRefused
from keyframe_mcp.task import Failure, Status

NAME = "WaveSpeedAI"

TASK_CODES: Mapping[int, tuple[type[ProviderError], str]] = MappingProxyType(
    {
        1200: (ContentRejected, "content moderation"),
        1400: (ProviderRefused, "a parameter is missing"),
        1401: (ProviderRefused, "a parameter is invalid"),
        1402: (ProviderRefused, "a picture could not be fetched"),
        1403: (GenerationFailed, "the generation failed"),
        1405: (GenerationFailed, "the generation failed"),
        5000: (GenerationFailed, "an internal error"),
        5003: (GenerationFailed, "the service is not available"),
        5004: (GenerationFailed, "the generation took too long"),
    }
)
"""What a failed job's own code means (wavespeed.ai/docs/error-codes)."""


class Timings(BaseModel):
    inference: float | None = None  # milliseconds


class Prediction(BaseModel):
    """A job. `outputs` are URLs, or bare base64 if that was asked for."""

    id: str
    status: str
    code: int | None = None
    outputs: list[Any] | None = None
    error: Any = None
    has_nsfw_contents: list[bool] | None = None
    timings: Timings | None = None
    model: str | None = None
    created_at: str | None = None
    input: dict[str, Any] | None = None


class PredictionReply(BaseModel):
    data: Prediction


class Uploaded(BaseModel):
    download_url: str


class UploadReply(BaseModel):
    data: Uploaded


class Price(BaseModel):
    price: float | None = None
    discounted_price: float | None = None


class PriceReply(BaseModel):
    data: Price


class Balance(BaseModel):
    balance: float


class BalanceReply(BaseModel):
    data: Balance


class Page(BaseModel):
    items: list[Prediction]


class RecentReply(BaseModel):
    data: list[Prediction] | Page


class WaveSpeed(Dialect):
    """`job.model` is a path of two or three segments, such as `wavespeed-ai/wan-2.1/i2v-720p`."""

    states = MappingProxyType(
        {
            "created": Status.RUNNING,
            "pending": Status.RUNNING,
            "processing": Status.RUNNING,
            "completed": Status.SUCCEEDED,
            "failed": Status.FAILED,
            "timeout": Status.FAILED,
            "cancelled": Status.CANCELLED,
            "deleted": Status.CANCELLED,
        }
    )

    def complaint(self, reply: Reply) -> Complaint | None:
        """An HTTP error, or a code of 400 and more in the envelope. A job is never a complaint, however it went."""
        code = reply.code
        if reply.status >= 400 or code is None or code < 400 or has_job(reply.body):
            return super().complaint(reply)
        status = code if code < 600 else 400
        return Complaint(status=status, message=self.message(reply.body), is_busy=status == 429)

    def submit_call(self, job: Job) -> Call:
        return Call(method="POST", path=f"/api/v3/{quote(job.model)}", json=self.nested(job.wire))

    def read_accepted(self, reply: Reply) -> Accepted:
        prediction = PredictionReply.model_validate(reply.body).data
        return Accepted(remote_id=prediction.id, native_status=prediction.status)

    def check_call(self, remote_id: str) -> Call:
        return Call(method="GET", path=f"/api/v3/predictions/{quote(remote_id, safe='')}/result")

    def read_report(self, reply: Reply, remote_id: str) -> Report:
        prediction = PredictionReply.model_validate(reply.body).data
        status = self.status(prediction.status)
        seconds = prediction.timings.inference / 1000 if prediction.timings and prediction.timings.inference else None
        if status is Status.FAILED:
            return failed(prediction.status, why(prediction), inference_seconds=seconds)
        outputs = outputs_in(prediction.outputs) if status is Status.SUCCEEDED else ()
        flagged = [number for number, flag in enumerate(prediction.has_nsfw_contents or (), 1) if flag]
        nothing_shown = status is Status.SUCCEEDED and not outputs and flagged
        return Report(
            status=status,
            native_status=prediction.status,
            outputs=outputs,
            failure=Failure.of(ContentRejected(f"{NAME} withheld the result as not safe for work"))
            if nothing_shown
            else None,
            inference_seconds=seconds,
            warnings=tuple(f"{NAME} flagged output {number} as not safe for work" for number in flagged if outputs),
        )

    def upload_call(self, upload: Upload) -> Call:
        return Call(method="POST", path="/api/v3/media/upload/binary", upload=upload)

    def read_upload(self, reply: Reply) -> str:
        return UploadReply.model_validate(reply.body).data.download_url

    def quote_call(self, job: Job) -> Call:
        asked = {"model_id": job.model, "inputs": self.nested(job.wire)}
        return Call(method="POST", path="/api/v3/model/price", json=asked)

    def read_quote(self, reply: Reply) -> float | None:
        price = PriceReply.model_validate(reply.body).data
        return price.price if price.discounted_price is None else price.discounted_price

    def recent_call(self) -> Call:
        return Call(method="POST", path="/api/v3/predictions", json={"page": 1, "page_size": 100})

    def read_recent(self, reply: Reply) -> Sequence[Recent]:
        data = RecentReply.model_validate(reply.body).data
        return [
            Recent(remote_id=each.id, model=each.model, status=each.status, created_at=each.created_at, wire=each.input)
            for each in (data.items if isinstance(data, Page) else data)
        ]

    def models_call(self) -> Call:
        return Call(method="GET", path="/api/v3/models")

    def probe_call(self) -> Call:
        return Call(method="GET", path="/api/v3/balance")

    def is_at_home(self, reply: Reply) -> bool:
        """It has a balance to tell, so any complaint means that this is another place."""
        return False

    def read_probe(self, reply: Reply) -> str:
        return f"the key is accepted, balance ${BalanceReply.model_validate(reply.body).data.balance:.2f}"


def has_job(body: object) -> bool:
    """Whether an answer names a job."""
    data = cast("dict[str, Any]", body).get("data") if isinstance(body, dict) else None
    return isinstance(data, dict) and "id" in data and "status" in data


def why(prediction: Prediction) -> ProviderError:
    """Why a job failed."""
    text = str(prediction.error or "")
    kind, meaning = TASK_CODES.get(prediction.code or 0, (GenerationFailed, ""))
    if kind is GenerationFailed and MODERATION.search(text):
        kind = ContentRejected
    code = f" (code {prediction.code}: {meaning or 'not documented'})" if prediction.code else ""
    return kind(quoted(NAME, text) + code)

"""WaveSpeedAI, API v3. Everything comes wrapped in `{code: 200, message, data}`, failed jobs included.

Sources: wavespeed.ai/docs and the official Python client 2.0.5, read 2026-11-20.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, cast
from urllib.parse import quote

from pydantic import BaseModel, Field

from keyframe_mcp.adapters.base import Accepted, Job, Report
from keyframe_mcp.adapters.dialect import Call, Complaint, Dialect, Failed, Reply, Upload, words
from keyframe_mcp.adapters.outputs import outputs_in
from keyframe_mcp.adapters.recents import Recent
from keyframe_mcp.adapters.replies import Lenient, Number, RemoteId, Whole
from keyframe_mcp.adapters.webhook_bodies import CalledBody, Secret
from keyframe_mcp.adapters.webhooks import Called, Signed, digest
from keyframe_mcp.errors import ContentRejected, GenerationFailed, ProviderError, ProviderRefused
from keyframe_mcp.task import Failure, Status

NAME = "WaveSpeedAI"
PICTURE_GONE = 1402
MOST_NUMBERS = 10

TASK_CODES: Mapping[int, tuple[type[ProviderError], str]] = MappingProxyType(
    {
        1200: (ContentRejected, "content moderation"),
        1400: (ProviderRefused, "a parameter is missing"),
        1401: (ProviderRefused, "a parameter is invalid"),
        PICTURE_GONE: (ProviderRefused, "a picture could not be fetched"),
        1403: (GenerationFailed, "the generation failed"),
        1405: (GenerationFailed, "the generation failed"),
        5000: (GenerationFailed, "an internal error"),
        5003: (GenerationFailed, "the service is not available"),
        5004: (GenerationFailed, "the generation took too long"),
    }
)
"""What a failed job's own code means (wavespeed.ai/docs/error-codes)."""


class Submitted(BaseModel):
    id: RemoteId
    status: Lenient[str] = None


class SubmittedReply(BaseModel):
    data: Submitted


class Timings(BaseModel):
    inference: Lenient[Number] = None  # milliseconds


class Prediction(BaseModel):
    """How a job is doing. `outputs` are URLs, or bare base64 if that was asked for."""

    status: str
    code: Lenient[Whole] = None
    outputs: Any = None
    error: Any = None
    has_nsfw_contents: Lenient[list[Any]] = None
    timings: Lenient[Timings] = None


class PredictionReply(BaseModel):
    data: Prediction


class Listed(BaseModel):
    id: RemoteId
    model: Lenient[str] = None
    created_at: Lenient[str] = None
    input: Lenient[dict[str, Any]] = None


class Uploaded(BaseModel):
    download_url: Annotated[str, Field(min_length=1, max_length=4096)]


class UploadReply(BaseModel):
    data: Uploaded


class Price(BaseModel):
    price: Lenient[Number] = None
    discounted_price: Lenient[Number] = None


class PriceReply(BaseModel):
    data: Price


class Balance(BaseModel):
    balance: float


class BalanceReply(BaseModel):
    data: Balance


class WebhookSecret(BaseModel):
    secret: Secret


class WebhookSecretReply(BaseModel):
    data: WebhookSecret


class Page(BaseModel):
    items: list[Lenient[Listed]]


class RecentReply(BaseModel):
    data: list[Lenient[Listed]] | Page


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
        called = f"?webhook={quote(job.callback, safe='')}" if job.callback else ""
        return Call(method="POST", path=f"/api/v3/{quote(job.model)}{called}", json=self.nested(job.wire))

    def read_accepted(self, reply: Reply) -> Accepted:
        submitted = SubmittedReply.model_validate(reply.body).data
        return Accepted(remote_id=submitted.id, native_status=submitted.status or None)

    def proves(self, reply: Reply, accepted: Accepted) -> bool:
        """What is in the envelope is a job, unless it is an error's own id: that has no state."""
        return not 400 <= reply.status < 500 or accepted.native_status is not None

    def check_call(self, remote_id: str) -> Call:
        return Call(method="GET", path=f"/api/v3/predictions/{quote(remote_id, safe='')}/result")

    def read_report(self, reply: Reply, remote_id: str) -> Report | Failed:
        prediction = PredictionReply.model_validate(reply.body).data
        status = self.status(prediction.status)
        inference = prediction.timings.inference if prediction.timings else None
        seconds = inference / 1000 if inference else None
        if status is Status.FAILED:
            return why(prediction, seconds)
        outputs = outputs_in(prediction.outputs) if status is Status.SUCCEEDED else ()
        flags = [flag is True for flag in prediction.has_nsfw_contents or ()]
        is_withheld = status is Status.SUCCEEDED and not outputs and any(flags)
        withheld = Failure.of(ContentRejected(f"{NAME} withheld the result as not safe for work"))
        return Report(
            status=status,
            native_status=prediction.status,
            outputs=outputs,
            failure=withheld if is_withheld else None,
            inference_seconds=seconds,
            warnings=flagged(flags) if outputs else (),
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
            Recent(remote_id=each.id, model=each.model, created_at=each.created_at, wire=each.input)
            for each in (data.items if isinstance(data, Page) else data)
            if each is not None
        ]

    def webhook_key_call(self) -> Call:
        return Call(method="GET", path="/api/v3/webhook/secret")

    def read_webhook_key(self, reply: Reply) -> bytes:
        """The text after the prefix, as it is. The answer's shape is not documented; this is what its users read."""
        return WebhookSecretReply.model_validate(reply.body).data.secret.encode()

    def is_signed(self, call: Signed, key: bytes) -> bool:
        return call.has("v3", digest(call, key).hex())

    def read_called(self, body: bytes) -> Called:
        return CalledBody.model_validate_json(body).read(self.states)

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


def flagged(flags: Sequence[bool]) -> tuple[str, ...]:
    """One warning, however many were flagged."""
    numbers = [str(number) for number, flag in enumerate(flags, 1) if flag]
    if not numbers:
        return ()
    named = ", ".join(numbers[:MOST_NUMBERS]) + (", ..." if len(numbers) > MOST_NUMBERS else "")
    which = "output 1" if len(flags) == 1 else f"{len(numbers)} of {len(flags)} outputs ({named})"
    return (f"{NAME} flagged {which} as not safe for work",)


def why(prediction: Prediction, seconds: float | None) -> Failed:
    """Why a job failed."""
    code = prediction.code or 0
    kind, meaning = TASK_CODES.get(code, (GenerationFailed, "not documented"))
    return Failed(
        native_status=prediction.status,
        reason=words(prediction.error or ""),
        kind=kind,
        note=f" (code {code}: {meaning})" if 0 < code < 10**9 else "",
        inference_seconds=seconds,
        is_picture_gone=code == PICTURE_GONE,
    )

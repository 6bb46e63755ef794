"""A task: one attempt to make one video, in this project's words and never a provider's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from keyframe_mcp.errors import InvalidInput, KeyframeError, Problem


class Mode(StrEnum):
    """What a video is made from."""

    FLF2V = "flf2v"
    I2V = "i2v"
    T2V = "t2v"
    ANIMATION = "animation"

    @property
    def meaning(self) -> str:
        """The mode as a person would say it."""
        return _MEANINGS[self]


_MEANINGS = {
    Mode.FLF2V: "first and last image to video",
    Mode.I2V: "image to video",
    Mode.T2V: "text to video",
    Mode.ANIMATION: "animation from one prompt to another",
}


class Status(StrEnum):
    """Where a task is in its life."""

    QUEUED = "queued"  # written down, not sent
    SUBMITTING = "submitting"  # an attempt to send it has begun
    RUNNING = "running"  # the provider has it and gave its id
    SAVING = "saving"  # made; the file is being copied to the output folder
    SUCCEEDED = "succeeded"  # the file is here and was checked
    FAILED = "failed"  # refused, or the provider gave up; the reason is in `error`
    CANCELLED = "cancelled"  # stopped on request
    UNKNOWN = "unknown"  # it may have been accepted, and billed; never sent again by us

    @property
    def is_final(self) -> bool:
        """Whether the task will never change again."""
        return not NEXT[self]

    @property
    def is_settled(self) -> bool:
        """Whether waiting longer is pointless: final, or a person has to look."""
        return self.is_final or self is Status.UNKNOWN


NEXT: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        # running when the answer to an attempt comes after a person had it sent again, and that has not begun
        Status.QUEUED: frozenset({Status.SUBMITTING, Status.RUNNING, Status.FAILED, Status.CANCELLED}),
        # back to queued only with proof that nothing was sent
        Status.SUBMITTING: frozenset({Status.QUEUED, Status.RUNNING, Status.FAILED, Status.UNKNOWN}),
        # unknown when the provider's own time limit is long past and it never said how the job ended
        Status.RUNNING: frozenset({Status.SAVING, Status.FAILED, Status.CANCELLED, Status.UNKNOWN}),
        Status.SAVING: frozenset({Status.SUCCEEDED, Status.FAILED}),
        # definite evidence wins whenever it comes; queued only with proof, or where sending again is harmless
        Status.UNKNOWN: frozenset({Status.QUEUED, Status.RUNNING, Status.FAILED}),
        Status.SUCCEEDED: frozenset(),
        Status.FAILED: frozenset(),
        Status.CANCELLED: frozenset(),
    }
)
"""The only moves allowed. The store refuses any other, and the docs draw this table."""


class Record(BaseModel):
    """Frozen, and strict about its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def no_switch(value: object) -> object:
    """Whatever is not true or false, which would pass for 1 and 0."""
    if isinstance(value, bool):
        raise PydanticCustomError("switch", "True and false are not numbers; give a number")
    return value


Whole = Annotated[int, BeforeValidator(no_switch)]
Number = Annotated[float, BeforeValidator(no_switch)]


class Inputs(Record):
    """One request in our words. A field left as None is the model's business.

    `first_image`, `last_image` and `image` are references: a path, an https URL, `task:<id>`, `output:<name>` or a
    `data:` URI. `duration` is in seconds. Raises `InvalidInput` for text that is none.
    """

    mode: Mode
    prompt: str | None = None
    negative_prompt: str | None = None
    prompt_start: str | None = None
    prompt_end: str | None = None
    first_image: str | None = None
    last_image: str | None = None
    image: str | None = None
    duration: Number | None = None
    resolution: str | None = None
    aspect_ratio: str | None = None
    seed: Whole | None = None
    num_inference_steps: Whole | None = None
    guidance_scale: Number | None = None
    num_outputs: Whole | None = None
    options: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Further parameters of the one model, in its own spelling."""

    @model_validator(mode="after")
    def text_can_be_written(self) -> Self:
        """JSON can spell half a character, which no file, database or request can hold."""
        options = {f"options.{ascii(name)[1:-1]}": {name: value} for name, value in self.options.items()}
        if broken := [name for name, value in (self.given() | options).items() if not can_be_written(value)]:
            why = "it has half a character (a lone surrogate such as \\ud83d); write the whole character"
            raise InvalidInput(problems=[Problem(name, why) for name in broken])
        return self

    def given(self) -> dict[str, Any]:
        """The unified fields the caller set, `options` apart."""
        return self.model_dump(exclude_none=True, exclude={"mode", "options"})


def can_be_written(value: object) -> bool:
    """Whether all text in a value can be encoded. What is no JSON at all is for others to refuse."""
    try:
        (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode()
    except UnicodeEncodeError:
        return False
    except (TypeError, ValueError, RecursionError):
        return True
    return True


ImageFormat = Literal["png", "jpeg", "webp", "gif", "bmp", "tiff"]
"""The formats of pictures that can be written."""


class Picture(Record):
    """Our own copy of a picture a request names. `content` is its SHA-256; sizes are in pixels, as shown."""

    file: str
    content: str
    mime_type: str
    width: int
    height: int
    size_bytes: int
    url: str | None = None
    """The https URL it was given as, for providers that fetch pictures themselves."""


class Output(Record):
    """One finished video, or a preview picture made on the way to it: `mime_type` tells.

    `url` is where the provider keeps it until `expires_at`; `file` is our own checked copy. `kept` is said only where
    there is none on purpose, and is then false.
    """

    # As with tasks: a newer version may know more fields.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    url: str | None = None
    file: str | None = None
    reference: str | None = None
    mime_type: str | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    fps: float | None = None
    size_bytes: int | None = None
    expires_at: datetime | None = None
    kept: bool | None = None


class Cost(Record):
    """What a task is expected to cost, and what that figure rests on."""

    estimated_usd: float | None
    basis: str


class Failure(Record):
    """Why a task ended badly. `kind` names a class in `errors`."""

    kind: str
    message: str
    fix: str
    retryable: bool

    @classmethod
    def of(cls, error: KeyframeError) -> Self:
        """An error as it is remembered."""
        return cls(kind=error.kind, message=str(error), fix=error.fix, retryable=error.retryable)


class Plan(Record):
    """How one model would make the video: checked when the request was made, and not changed since.

    `wire` and `pictures` are as in a task.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    model: str
    provider: str
    wire: dict[str, Any]
    pictures: dict[str, Picture] = Field(default_factory=dict[str, Picture])
    generative: bool = True
    cost: Cost
    warnings: tuple[str, ...] = ()
    request_hash: str | None = None
    """That of a task which names this model."""


def is_sent_alike(one: Task, other: Task) -> bool:
    """Whether both ask one model for the very same, whatever they were asked for as."""
    shown, others = ({name: each.content for name, each in task.pictures.items()} for task in (one, other))
    return (one.model, one.mode, one.wire, shown) == (other.model, other.mode, other.wire, others)


class Task(Record):
    """What is remembered about a task. Replaced, never mutated."""

    # A newer version may share the database and know more fields.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    owner: str
    mode: Mode
    model: str
    provider: str
    request: dict[str, Any]
    """What was asked, as the caller said it."""
    strict: bool = True
    """Whether inputs the model does not have were to be refused, rather than dropped."""
    wire: dict[str, Any]
    """What the adapter sends: the model's own words, defaults filled in."""
    pictures: dict[str, Picture] = Field(default_factory=dict[str, Picture])
    """The wire name of each picture, and our copy. What is sent for it is decided when it is sent."""
    request_hash: str
    moved_hash: str | None = None
    """The request hash of a task that names the model it has gone on to: it answers that request too."""
    parent_id: str | None = None
    """The earlier task that this one makes again."""
    idempotency_key: str | None = None
    correlation_id: str | None = None
    """That of the call which made it: the client's trace id, or our own. `trace_id` is the provider's."""
    traceparent: str | None = None
    """Where its own trace begins, as W3C Trace Context writes it, when there are traces."""
    status: Status = Status.QUEUED
    attempt: int = 0
    alternatives: tuple[Plan, ...] = ()
    """The models to go on to, in this order, when the present one surely charged nothing and will not make it."""
    refused: tuple[str, ...] = ()
    """The models it has gone on from, each with the reason: `provider/model: why`."""
    plan_warnings: tuple[str, ...] = ()
    """Those of `warnings` that hold for the present model only, where there are alternatives."""
    planned_at: int = 0
    """The attempt after which the present model took over. Its provider is asked for a price before the next one."""
    sent_at: float | None = None
    """When the attempt to send it began, in seconds since the epoch."""
    sent_pictures: dict[str, str] = Field(default_factory=dict[str, str])
    """What stood for each picture in the last attempt, by wire name; empty where it was the bytes themselves."""
    looks: int = 0
    """How often it was looked for in the provider's list, after an attempt of unknown fate."""
    remote_id: str | None = None
    is_adopted: bool = False
    """Whether that job was found in the provider's list, rather than named in its answer."""
    native_status: str | None = None
    trace_id: str | None = None
    progress: float | None = None
    cancel_requested: bool = False
    stop_refusal: str | None = None
    """Why the provider did not stop the job when it was asked to."""
    remote_outputs: tuple[str, ...] = ()
    remote_expires_at: float | None = None
    """When the provider deletes `remote_outputs`, in seconds since the epoch, as far as it says so."""
    calls_back: bool = False
    """Whether the provider was given an address to call when the job has ended, and has not called for that yet."""
    called_id: str | None = None
    """The job that the provider called about while nobody knew whether there is one. It is asked about first."""
    called_attempt: int = 0
    """The attempt that call was about. It says nothing of a later one."""
    unheard_since: float | None = None
    """Since when every question about the job went unanswered, in seconds since the epoch."""
    asked_where: int = 0
    """How often the provider was asked for a new address of the result."""
    seed: int | None = None
    """The seed that was used, where the provider tells."""
    inference_seconds: float | None = None
    outputs: tuple[Output, ...] = ()
    generative: bool = True
    engine: str | None = None
    confidence: float | None = None
    cost: Cost | None = None
    counted_usd: float = 0.0
    """What it counts for in budgets, in US dollars: its price, from the moment it is written down until it is proved
    that nothing was charged."""
    counted_at: float = 0.0
    """When that was booked, in seconds since the epoch."""
    spent_before: float = 0.0
    """The part of it that earlier attempts count for, after a person had it sent again."""
    failure: Failure | None = None
    warnings: tuple[str, ...] = ()
    created_at: float
    updated_at: float

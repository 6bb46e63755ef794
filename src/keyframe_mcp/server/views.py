"""What an agent sees. Some hosts show the model nothing but this structure, so all it needs is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Annotated, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from keyframe_mcp.engine import Rehearsal, Started
from keyframe_mcp.engine.budget import Budget, dollars
from keyframe_mcp.engine.doubts import settling
from keyframe_mcp.engine.kept import whereabouts
from keyframe_mcp.errors import BudgetExceeded, KeyframeError, OperatorError, by_kind
from keyframe_mcp.media.orders import FrameFacts, JoinFacts
from keyframe_mcp.media.references import shortened
from keyframe_mcp.task import Cost, Failure, Mode, Output, Picture, Status, Task

POLL_SECONDS = {True: 10, False: 2}  # a provider's model takes minutes, the embedded renderer seconds


class View(BaseModel):
    """Absent rather than null: a field without a value is left out."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    def data(self) -> dict[str, object]:
        """The structure as it goes on the wire."""
        return self.model_dump(mode="json", exclude_none=True)


class TaskView(View):
    """One task."""

    task_id: str
    status: Status
    mode: Annotated[Mode, WithJsonSchema({"type": "string"})]  # which there are, list_models says
    model: str
    next_step: str
    poll_after_seconds: int
    progress: float | None = None
    outputs: list[Output] | None = None
    error: Failure | None = None
    warnings: list[str] | None = None
    cost: Cost | None = None
    generative: bool | None = None
    engine: str | None = None
    confidence: float | None = None
    native_status: str | None = None
    trace_id: str | None = None
    seed: int | None = None
    inference_seconds: float | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @classmethod
    def of(cls, task: Task) -> Self:
        """What is known about a task now."""
        return cls(
            task_id=task.id,
            status=task.status,
            mode=task.mode,
            model=task.model,
            next_step=next_step(task),
            poll_after_seconds=0 if task.status.is_settled else POLL_SECONDS[task.generative],
            progress=task.progress,
            outputs=[named(output) for output in task.outputs or remote(task)] or None,
            error=told(task),
            warnings=list(task.warnings) or None,
            cost=task.cost,
            generative=task.generative,
            engine=task.engine,
            confidence=task.confidence,
            native_status=task.native_status,
            trace_id=task.trace_id,
            seed=task.seed,
            inference_seconds=task.inference_seconds,
            created_at=instant(task.created_at),
            updated_at=instant(task.updated_at),
        )


class StartedView(TaskView):
    """A task a generate tool answered with. `deduplicated`: it was there already, nothing was started."""

    deduplicated: bool | None = None

    @classmethod
    def of_started(cls, task: Task, started: Started) -> Self:
        """What is known about a task now, whether it is new, and what the request was told."""
        warnings = list(dict.fromkeys((*started.warnings, *task.warnings)))
        return cls.of(task).model_copy(
            update={"deduplicated": started.deduplicated or None, "warnings": warnings or None}
        )


class BudgetView(View):
    """Whether a video fits what may be spent, in US dollars, and what is left of each limit that there is.

    `counts_usd` is what it counts for where its price is not known.
    """

    fits: bool
    refusal: str | None = None
    per_task_usd: float | None = None
    today_usd: float | None = None
    owner_today_usd: float | None = None
    counts_usd: float | None = None
    resets_at: datetime | None = None

    @classmethod
    def of(cls, rehearsal: Rehearsal, budget: Budget) -> Self | None:
        """What is left, where there is any limit."""
        left = rehearsal.left
        if left is None:
            return None
        cost = rehearsal.draft.task.cost
        is_priced = cost is not None and cost.estimated_usd is not None
        return cls(
            fits=rehearsal.refusal is None,
            refusal=rehearsal.refusal,
            per_task_usd=budget.per_task,
            today_usd=left.today_usd,
            owner_today_usd=left.owner_today_usd,
            counts_usd=None if is_priced else budget.unpriced_usd,
            resets_at=None if budget.per_day is None and budget.per_owner is None else left.resets_at,
        )


class DryRunView(View):
    """What a call would do. `wire` is the request in the model's own words, `assumed` what holds without being asked.

    `estimated_usd` in `cost` comes from the catalogue: no provider was asked. `quote` says that one will be.
    """

    status: Literal["dry_run"] = "dry_run"
    next_step: str
    poll_after_seconds: int = 0
    mode: Mode
    model: str
    why: str
    wire: dict[str, object]
    assumed: dict[str, object] | None = None
    cost: Cost | None = None
    quote: str | None = None
    budget: BudgetView | None = None
    warnings: list[str] | None = None
    generative: bool

    @classmethod
    def of(cls, rehearsal: Rehearsal, budget: Budget) -> Self:
        """A request that was checked and not made."""
        task = rehearsal.draft.task
        limit = "" if budget.is_limited else f" {NO_LIMIT}"
        step = f"Nothing was written or sent. Call again without dry_run to make it.{limit}"
        if rehearsal.refusal is not None:
            step = f"Nothing was written or sent, and a real call would be refused. {BudgetExceeded.fix}"
        return cls(
            next_step=step,
            mode=task.mode,
            model=task.model,
            why=rehearsal.draft.why,
            wire=without_bytes(task.wire) | {name: in_words(each) for name, each in task.pictures.items()},
            assumed=without_bytes(rehearsal.draft.assumed) or None,
            cost=task.cost,
            quote=quoted(rehearsal.draft.quoted_by, budget),
            budget=BudgetView.of(rehearsal, budget),
            warnings=list(task.warnings) or None,
            generative=task.generative,
        )


class TasksView(View):
    """Several tasks."""

    tasks: list[TaskView]
    next_step: str
    poll_after_seconds: int

    @classmethod
    def of(cls, tasks: Sequence[Task]) -> TasksView:
        """Several tasks and what to do about those that are not done."""
        views = [TaskView.of(task) for task in tasks]
        open_ids = [view.task_id for view in views if view.poll_after_seconds]
        return cls(
            tasks=views,
            next_step=f"Call get_task with task_ids {open_ids} and wait_seconds=30." if open_ids else DONE,
            poll_after_seconds=min((view.poll_after_seconds for view in views if view.poll_after_seconds), default=0),
        )


class TaskLine(View):
    """A task in a list."""

    task_id: str
    status: Status
    mode: Mode
    model: str
    created_at: datetime
    about: str | None = None
    file: str | None = None
    url: SkipJsonSchema[str | None] = None  # where there is no file; the tool list has no byte left to say so


class TaskListView(View):
    """The newest tasks first."""

    tasks: list[TaskLine]
    next_step: str

    @classmethod
    def of(cls, tasks: Sequence[Task]) -> TaskListView:
        """A line for each task."""
        return cls(
            tasks=[line(task) for task in tasks],
            next_step="Call get_task with a task_id for all of it." if tasks else "Nothing yet: call a generate tool.",
        )


class FrameView(View):
    """A frame, saved."""

    file: str
    reference: str
    width: int
    height: int
    at: float
    next_step: str

    @classmethod
    def of(cls, facts: FrameFacts) -> FrameView:
        """Where a frame is and what it is good for."""
        name = f"output:{facts.path.name}"
        step = f"Use {name} as image, first_image or last_image of a generate tool."
        return cls(
            file=str(facts.path), reference=name, width=facts.width, height=facts.height, at=facts.at, next_step=step
        )


class JoinView(View):
    """A joined video."""

    file: str
    reference: str
    method: str
    duration: float
    width: int
    height: int
    fps: float
    has_audio: bool
    size_bytes: int
    notes: list[str] | None = None
    next_step: str

    @classmethod
    def of(cls, facts: JoinFacts) -> JoinView:
        """Where the film is."""
        video = facts.video
        return cls(
            file=str(facts.path),
            reference=f"output:{facts.path.name}",
            method=facts.method,
            duration=round(video.duration, 3),
            width=video.width,
            height=video.height,
            fps=round(video.fps, 3),
            has_audio=video.has_audio,
            size_bytes=video.size_bytes,
            notes=list(facts.notes) or None,
            next_step=f"Look at it: view_video source=output:{facts.path.name}.",
        )


DONE = "Nothing is left to wait for."
NO_LIMIT = "No spending limit is set."


def next_step(task: Task) -> str:
    """What to do now, in words."""
    match task.status:
        case Status.SUCCEEDED:
            return (
                f"{whereabouts(task)} Look at it: view_video source=task:{task.id}. "
                f"Continue it: generate_i2v image=task:{task.id} (its last frame)."
            )
        case Status.FAILED:
            fix = task.failure.fix if task.failure else ""
            again = "Trying again is a new task" + (" with a new idempotency_key." if task.idempotency_key else ".")
            return f"Nothing more happens to this task. {fix} {again}".replace("  ", " ")
        case Status.CANCELLED:
            again = " Starting it again needs a new idempotency_key." if task.idempotency_key else ""
            return "Stopped as asked. Nothing more happens." + again
        case Status.UNKNOWN:
            return (
                f"Do not generate it again: the job may exist at {task.provider} and be billed. "
                f"Tell the user, who can settle it in a terminal: {settling(task)}."
            )
        case _:
            return f"Call get_task with task_id {task.id} and wait_seconds=30."


def rehearsed(view: DryRunView) -> str:
    """A dry run in a sentence, for hosts that show only text."""
    refusal = None if view.budget is None else view.budget.refusal
    limit = f" {NO_LIMIT}" if view.budget is None else ""
    if refusal is not None:
        return f"Refused: {refusal}. Dry run of {view.model} ({view.why}): nothing was written or sent."
    made = f"Dry run: {view.model} would make it {priced(view)} ({view.why})."
    return f"{made}{limit} Nothing was written or sent."


def priced(view: DryRunView) -> str:
    """For how much."""
    usd = None if view.cost is None else view.cost.estimated_usd
    if usd is not None:
        return f"for {dollars(usd)}"
    counts = None if view.budget is None else view.budget.counts_usd
    known = "at a price that is not known"
    return known if counts is None else f"{known} and counts for {dollars(counts)} (KEYFRAME_BUDGET_UNPRICED_USD)"


def quoted(name: str | None, budget: Budget) -> str | None:
    """What is still to come between this price and the job."""
    if name is None:
        return None
    again = "; the limits are held against that again" if budget.is_limited else ""
    return f"{name} names its own price before the job is sent{again}"


def in_words(picture: Picture) -> str:
    """A picture, where its bytes or its address would be."""
    return f"<{picture.mime_type}, {picture.width}x{picture.height}, {picture.size_bytes:,} bytes>"


def without_bytes(values: Mapping[str, object]) -> dict[str, object]:
    """Values with what is too long to read cut out of `data:` URIs."""
    return {name: bare(value) for name, value in values.items()}


def bare(value: object) -> object:
    """One value of them."""
    if isinstance(value, str):
        return shortened(value.strip()) if value.lstrip().startswith("data:") else value
    if isinstance(value, dict):
        return without_bytes(cast("dict[str, object]", value))
    return [bare(each) for each in cast("list[object]", value)] if isinstance(value, list) else value


def told(task: Task) -> Failure | None:
    """The trouble of a task. What would mend it as an answer to a call would pay twice where it is not over."""
    if task.failure is None or task.status.is_final:
        return task.failure
    fix = "Nothing to do: it goes on by itself. Do not start it again."
    if task.status is Status.UNKNOWN:
        fix = "The user has to settle it, as next_step says. Do not start it again."
    elif issubclass(by_kind().get(task.failure.kind, KeyframeError), OperatorError):
        fix = f"{task.failure.fix} It goes on by itself then: do not start it again."
    return task.failure.model_copy(update={"fix": fix, "retryable": False})


def named(output: Output) -> Output:
    """An output with the name by which other tools take its file."""
    reference = f"output:{PurePath(output.file).name}" if output.file else None
    return output.model_copy(update={"reference": reference})


def remote(task: Task) -> list[Output]:
    """Where the provider has the result, while our own copy is not there."""
    expires = None if task.remote_expires_at is None else instant(task.remote_expires_at)
    urls = [url for url in task.remote_outputs if not url.startswith("file:")]
    return [Output(url=url, expires_at=expires) for url in urls]


def line(task: Task) -> TaskLine:
    """One task in a list."""
    words = next((str(task.request[key]) for key in ("prompt", "prompt_start", "image") if key in task.request), None)
    return TaskLine(
        task_id=task.id,
        status=task.status,
        mode=task.mode,
        model=task.model,
        created_at=instant(task.created_at),
        about=words[:80] if words else None,
        file=next((output.file for output in task.outputs if output.file), None),
        url=next((output.url for output in task.outputs[:1] if not output.file), None),
    )


def instant(seconds: float) -> datetime:
    """Seconds since the epoch as a UTC time, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC)

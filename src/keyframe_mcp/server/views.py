"""What an agent sees. Some hosts show the model nothing but this structure, so all it needs is in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from keyframe_mcp.engine import Started
from keyframe_mcp.engine.doubts import settling
from keyframe_mcp.engine.kept import is_video, whereabouts
from keyframe_mcp.errors import KeyframeError, OperatorError, by_kind
from keyframe_mcp.server.sentences import is_there, unstopped
from keyframe_mcp.server.watching import Watched
from keyframe_mcp.task import Cost, Failure, Mode, Output, Status, Task

NEWS = frozenset(
    (
        *("task_id", "status", "model", "next_step", "poll_after_seconds", "progress", "error", "warnings"),
        *("native_status", "outputs"),  # while it is being saved: where the provider has it, and until when
    )
)
MOST_OF_AN_ERROR = 80  # characters, in a list
POLL_SECONDS = {True: 10, False: 2}  # a provider's model takes minutes, the embedded renderer seconds


class View(BaseModel):
    """Absent rather than null: a field without a value is left out."""

    model_config = ConfigDict(frozen=True, defer_build=True)
    said: ClassVar[Collection[str]] = ()
    """The fields that the sentence before the outline says already."""

    def data(self) -> dict[str, object]:
        """The structure as it goes on the wire."""
        return self.model_dump(mode="json", exclude_none=True)

    def unsaid(self, data: Mapping[str, object]) -> Mapping[str, object]:
        """The part of its data that the sentence before the outline leaves to be said."""
        return {name: value for name, value in data.items() if name not in self.said}


class TaskView(View):
    """One task."""

    said = ("task_id", "status")
    task_id: str
    status: Status
    mode: Annotated[Mode | None, WithJsonSchema({"type": "string"})] = None  # which there are, list_models says
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
    unchanged: SkipJsonSchema[bool | None] = None  # nothing happened while the call waited

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
            warnings=list(warned(task)) or None,
            cost=charged(task),
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

    def brief(self, *, unchanged: bool) -> Self:
        """Only what can be news about a task that goes on: whoever waits for it has seen the rest."""
        known = {name: None for name in type(self).model_fields if name not in NEWS}
        known |= {"warnings": None} if unchanged else {}
        return self.model_copy(update=known | {"unchanged": unchanged or None})


class StartedView(TaskView):
    """A task a generate tool answered with. `deduplicated`: it was there already, nothing was started.

    `why` says how the model was chosen that was not named.
    """

    deduplicated: bool | None = None
    why: str | None = None

    @classmethod
    def of_started(cls, task: Task, started: Started) -> Self:
        """What is known about a task now, whether it is new, and what the request was told."""
        warnings = list(dict.fromkeys((*started.warnings, *warned(task))))
        return cls.of(task).model_copy(
            update={"deduplicated": started.deduplicated or None, "warnings": warnings or None, "why": started.why}
        )


class TasksView(View):
    """Several tasks."""

    tasks: list[TaskView]
    next_step: str
    poll_after_seconds: int

    @classmethod
    def of(cls, views: Sequence[TaskView]) -> TasksView:
        """Several tasks and what to do about those that are not done."""
        open_ids = [view.task_id for view in views if view.poll_after_seconds]
        return cls(
            tasks=list(views),
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
    error: SkipJsonSchema[str | None] = None  # why it failed, in a few words


class TaskListView(View):
    """The newest tasks first."""

    tasks: list[TaskLine]
    next_step: str

    @classmethod
    def of(cls, tasks: Sequence[Task], status: Status | None = None, *, more: bool = False) -> TaskListView:
        """A line for each task. `status` is the one that was asked for, and there may be more than are shown."""
        step = "Nothing yet: call a generate tool."
        if tasks:
            older = " There are older ones: raise limit." if more else ""
            step = f"Call get_task with a task_id for all of it.{older}"
        elif status is not None:  # a video that was not found must not be paid for twice
            step = f"No task is {status}. list_tasks without status shows the others."
        return cls(tasks=[line(task) for task in tasks], next_step=step)


UNCHARGED = "nothing was charged"
DONE = "Nothing is left to wait for."


def seen(watched: Watched) -> list[TaskView]:
    """Tasks after a wait: whole where they are settled, and else only what is news."""
    views = enumerate(map(TaskView.of, watched.now))
    return [
        view if view.status.is_settled else view.brief(unchanged=watched.is_unchanged(place)) for place, view in views
    ]


def next_step(task: Task) -> str:
    """What to do now, in words."""
    match task.status:
        case Status.SUCCEEDED:
            return (
                f"{whereabouts(task)} Look at it: view_video source=task:{task.id}.{others(task)} "
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


def others(task: Task) -> str:
    """How the further videos of a task are looked at; its id names the first."""
    videos = [output for output in task.outputs[1:] if is_video(output)]
    files = [f"view_video source={reference}" for reference in (named(each).reference for each in videos) if reference]
    urls = [f"{output.url}" for output in videos if not named(output).reference and is_there(output)]
    return f" The others: {', '.join((*files, *urls))}." if files or urls else ""


def warned(task: Task) -> Sequence[str]:
    """What a caller should know, whatever became of the task."""
    refusal = unstopped(task)
    return task.warnings if refusal is None else (*task.warnings, refusal)


def charged(task: Task) -> Cost | None:
    """What it costs: nothing, where it is over and was proved to have cost nothing."""
    if task.status not in (Status.FAILED, Status.CANCELLED) or task.counted_usd or not task.cost:
        return task.cost
    return Cost(estimated_usd=0, basis=UNCHARGED) if task.cost.estimated_usd else task.cost


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
    """An output with the name by which other tools take its file. Links have given it one already."""
    if output.file is None or output.reference is not None:
        return output
    return output.model_copy(update={"reference": f"output:{PurePath(output.file).name}"})


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
        error=in_short(task.failure) if task.failure and task.status is Status.FAILED else None,
    )


def in_short(failure: Failure) -> str:
    """Why a task failed, in a few words."""
    words = f"{failure.kind}: {failure.message}"
    return words if len(words) <= MOST_OF_AN_ERROR else words[: MOST_OF_AN_ERROR - 3] + "..."


def instant(seconds: float) -> datetime:
    """Seconds since the epoch as a UTC time, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC)

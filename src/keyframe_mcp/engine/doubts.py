"""What a person is told about a task whose fate nobody knows: what to look for, where, and what to do then."""

from __future__ import annotations

from datetime import UTC, datetime

from keyframe_mcp.catalog import Catalog
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.errors import KeyframeError, SubmissionUncertain, UnexpectedReply, UnknownModel
from keyframe_mcp.store.claims import claimed, named
from keyframe_mcp.task import Failure, Task

MOST_OF_A_PROMPT = 60


def doubtful(catalog: Catalog, task: Task, error: KeyframeError) -> Failure:
    """An error of a task that becomes unknown, with what a person can do about it."""
    return Failure.of(error).model_copy(update={"fix": f"{look_for(catalog, task)}; {ways(task.id)}"})


def refixed(catalog: Catalog, task: Task) -> dict[str, object]:
    """The same failure with what a person can do about it by now, as a change to the task."""
    if task.failure is None:
        return {}
    fix = f"{look_for(catalog, task)}; {ways(task.id)}"
    return {"failure": task.failure.model_copy(update={"fix": fix})}


def ways(task_id: str) -> str:
    """The commands with which a person says what is there."""
    settle = f"keyframe-mcp task {task_id}"
    return (
        f"if it is there: {settle} --attach JOB_ID; if it is not there and was not billed: "
        f"{settle} --resubmit --not-billed (sends it again) or {settle} --give-up --not-billed; "
        "without --not-billed it goes on counting as spent"
    )


def settling(task: Task) -> str:
    """What a person does about a task of unknown fate, as it was written down when it became so."""
    if task.failure is not None and f"keyframe-mcp task {task.id}" in task.failure.fix:
        return task.failure.fix
    job = f"job {task.remote_id}" if task.remote_id else f"the job of {task.model}"
    return f"Look for {job} at {task.provider}; {ways(task.id)}"


def uncancellable(task: Task) -> str:
    """Why a task of unknown fate is not stopped, and who can do something about it."""
    lost = f"{task.provider} no longer says how its job {task.remote_id} is doing"
    doubt = lost if task.remote_id else f"nobody knows whether {task.provider} has the job"
    return f"Task {task.id} cannot be cancelled: {doubt}. The user settles that: keyframe-mcp task {task.id} says how."


def look_for(catalog: Catalog, task: Task) -> str:
    """Which job to look for, and where."""
    where = place(catalog.providers.get(task.provider), task.provider)
    if task.remote_id is not None:
        return f"Look at job {task.remote_id} {where} before paying again"
    if remote_id := claimed(task):
        return f"Look at job {named((remote_id,))}, which {task.provider} has called about, {where} before paying again"
    try:
        model = catalog.find(task.model).model.remote
    except UnknownModel:
        model = task.model
    sent = "" if task.sent_at is None else f"{datetime.fromtimestamp(task.sent_at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    when = f", sent at {sent}" if sent else ""
    return f"Look for a job of {model}{when}{prompt_of(task)}, {where} before paying again"


def place(provider: Provider | None, provider_id: str) -> str:
    """Where a person sees the jobs of an account."""
    if provider is None:
        return f"at {provider_id}"
    if provider.jobs_page:
        return f"at {provider.jobs_page}"
    if provider.reconcile:
        return f"in the job list of {provider.name}"
    return f"on {provider.name}'s own web page, if it shows one,"


def prompt_of(task: Task) -> str:
    """How the prompt begins, by which a person knows the job again."""
    words = " ".join(str(task.request.get("prompt") or task.request.get("prompt_start") or "").split())
    if not words:
        return ""
    shown = "".join(each if each.isprintable() else "?" for each in words).replace('"', "'")
    return f', with the prompt "{shown if len(shown) <= MOST_OF_A_PROMPT else shown[:MOST_OF_A_PROMPT] + "..."}"'


def uncertain(error: SubmissionUncertain | UnexpectedReply) -> SubmissionUncertain:
    """An answer to a submission that cannot be read leaves it open whether there is a job."""
    if isinstance(error, SubmissionUncertain):
        return error
    doubt = f"{error}. The job may exist and be billed, so it was not sent again"
    return SubmissionUncertain(doubt, trace_id=error.trace_id)

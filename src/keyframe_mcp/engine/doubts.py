"""What a person is told about a task whose fate nobody knows: what to look for, where, and what to do then."""

from __future__ import annotations

from datetime import UTC, datetime

from keyframe_mcp.catalog import Catalog
from keyframe_mcp.errors import KeyframeError, SubmissionUncertain, UnexpectedReply, UnknownModel
from keyframe_mcp.task import Failure, Task


def doubtful(catalog: Catalog, task: Task, error: KeyframeError) -> Failure:
    """An error of a task that becomes unknown, with what a person can do about it."""
    settle = f"keyframe-mcp task {task.id}"
    found, gone = f"if the job is there: {settle} --attach JOB_ID", f"if it is not: {settle} --resubmit, or --give-up"
    return Failure.of(error).model_copy(update={"fix": f"{look_for(catalog, task)}; {found}; {gone}"})


def look_for(catalog: Catalog, task: Task) -> str:
    """Which job to look for, and where."""
    provider = catalog.providers.get(task.provider)
    where = (provider.jobs_page or f"the job list of {provider.name}") if provider else task.provider
    if task.remote_id is not None:
        return f"Look at job {task.remote_id} in {where} before paying again"
    try:
        model = catalog.find(task.model).model.remote
    except UnknownModel:
        model = task.model
    when = "" if task.sent_at is None else f" of {datetime.fromtimestamp(task.sent_at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"Look for a {model} job{when} in {where} before paying again"


def uncertain(error: SubmissionUncertain | UnexpectedReply) -> SubmissionUncertain:
    """An answer to a submission that cannot be read leaves it open whether there is a job."""
    if isinstance(error, SubmissionUncertain):
        return error
    doubt = f"{error}. The job may exist and be billed, so it was not sent again"
    return SubmissionUncertain(doubt, trace_id=error.trace_id)

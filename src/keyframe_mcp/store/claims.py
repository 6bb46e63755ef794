"""Jobs that providers called about: a task takes such a job up, or names it. None is dropped without a word."""

from __future__ import annotations

import re
from collections.abc import Sequence

from keyframe_mcp.task import Task

MOST_NAMED = 5
MOST_WORDS = 2
PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:~-]{0,63}")
WORD = re.compile(r"(?<![^._:~-])[A-Za-z]{3,}(?![^._:~-])")


class Claimed(Exception):
    """A job that was called about has to be asked about first. Raised inside a transaction, which it undoes."""

    def __init__(self, remote_id: str) -> None:
        super().__init__(remote_id)
        self.remote_id = remote_id


def claimed(task: Task) -> str | None:
    """The job that was called about in this attempt of a task that has none and is not over."""
    is_open = task.remote_id is None and not task.status.is_final
    return task.called_id if is_open and task.called_attempt == task.attempt else None


def settled(task: Task, before: Task) -> Task:
    """A task as it is to be written: a claim that can no longer be taken up has become a warning.

    That holds whatever ended it: another job, another attempt, another claim, or the end of the task.
    """
    gone = {before.called_id: before.called_attempt} if before.called_id != task.called_id else {}
    if task.called_id is not None and claimed(task) is None:
        gone[task.called_id] = task.called_attempt
        task = task.model_copy(update={"called_id": None})
    for remote_id, attempt in gone.items():
        if remote_id not in (None, task.remote_id):
            # the provider is that of the task as it was: it may have gone on to another in this very write
            task = with_warning(task, remote_id, unused(before.provider, remote_id, attempt))
    return task


def with_warning(task: Task, remote_id: str, warning: str) -> Task:
    """A task with a warning about a job, unless one says something of that job already."""
    name = re.compile(rf"(?<![\w-]){re.escape(remote_id)}(?![\w-])")
    is_told = any(name.search(each) or each == warning for each in task.warnings)
    return task if is_told else task.model_copy(update={"warnings": (*task.warnings, warning)})


def unused(provider: str, remote_id: str, attempt: int | str) -> str:
    """That a job was called about which cannot be used."""
    job = f"{provider} called about job {named((remote_id,))} for attempt {attempt}"
    return f"{job}; nothing follows that job, and it may be billed"


def named(remote_ids: Sequence[str]) -> str:
    """The first few ids, for a sentence of ours. They are the provider's text: quoted, and none that says much."""
    plain = [f'"{each}"' for each in remote_ids if is_plain(each)][:MOST_NAMED]
    more = len(remote_ids) - len(plain)
    rest = [f"{more} more" if plain else f"{more} that cannot be named here"] if more else []
    return ", ".join([*plain, *rest])


def is_plain(remote_id: str) -> bool:
    """Whether it looks like an id: short, with a digit in it, and not made of words."""
    has_digit = any(each.isdecimal() for each in remote_id)
    return has_digit and bool(PLAIN_ID.fullmatch(remote_id)) and len(WORD.findall(remote_id)) <= MOST_WORDS

"""What became of every paid job: the providers' books against the tasks and the files. The books are right."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crash.shops import Books, digest_in, digest_of, mark_of
from emulators.jobs import Job
from keyframe_mcp.task import Status, Task


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Sentences about what is wrong, and counts of what is not.

    lost: a job that was ordered or made, and no task accounts for it.
    duplicates: a job beyond the first that was made of one order.
    wrong: a task that never ended, or says what the books deny.
    corrupt: a finished file that is not what the provider published.
    """

    lost: tuple[str, ...]
    duplicates: tuple[str, ...]
    wrong: tuple[str, ...]
    corrupt: tuple[str, ...]
    created: int
    succeeded: int
    failed: int
    unknown: int
    unknown_made: int
    """How many of the unknown were made after all: honest, and paid."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong."""
        return (*self.lost, *self.duplicates, *self.wrong, *self.corrupt)


@dataclass(frozen=True)
class Case:
    """One order: what was made of it, in any shop, and the task it has."""

    mark: str
    made: Sequence[Job]
    task: Task | None


def judge(
    marks: Iterable[str], tasks: Iterable[Task], books: Books, outputs: Path, again: Mapping[str, int]
) -> Verdict:
    """The verdict on a whole run. `tasks` have the marks of their orders as idempotency keys.

    `again` says how often a person has had a task sent again: so often more it may have been made.
    """
    cases = list(cases_of(marks, tasks, books))
    by_status: dict[Status, list[Case]] = defaultdict(list)
    for case in cases:
        if case.task is not None:
            by_status[case.task.status].append(case)
    return Verdict(
        lost=(*(each for case in cases for each in lost(case)), *unsaid(cases, books)),
        duplicates=tuple(each for case in cases for each in duplicates(case, again)),
        wrong=(*(each for case in cases for each in wrong(case)), *shared(cases)),
        corrupt=tuple(corrupt(cases, books, outputs)),
        created=sum(len(shop.jobs) for shop in books.values()),
        succeeded=len(by_status[Status.SUCCEEDED]),
        failed=len(by_status[Status.FAILED]),
        unknown=len(by_status[Status.UNKNOWN]),
        unknown_made=sum(bool(case.made) for case in by_status[Status.UNKNOWN]),
    )


def cases_of(marks: Iterable[str], tasks: Iterable[Task], books: Books) -> Iterator[Case]:
    """Every order, and everything that was made without one."""
    made: dict[str, list[Job]] = defaultdict(list)
    for shop in books.values():
        for job in shop.jobs:
            made[mark_of(job)].append(job)
    by_mark = {task.idempotency_key or task.id: task for task in tasks}
    for mark in dict.fromkeys([*marks, *made, *by_mark]):
        yield Case(mark, made[mark], by_mark.get(mark))


def lost(case: Case) -> Iterator[str]:
    """An order without a task, and a job that its task does not know of."""
    if case.task is None:
        yield f"{case.mark} has no task; made of it: {ids(case.made)}"
    elif case.made and case.task.status.is_settled and not accounts(case.task, case.made):
        yield f"{case.mark} is {case.task.status} and does not know its job {ids(case.made)}"


def accounts(task: Task, made: Sequence[Job]) -> bool:
    """Whether a task knows a job of its order, or says that there may be one."""
    return task.status is Status.UNKNOWN or task.remote_id in {job.id for job in made}


def unsaid(cases: Sequence[Case], books: Books) -> Iterator[str]:
    """A job of which a server has heard by a call, and of which its task says nothing."""
    heard = {call.url for shop in books.values() for call in shop.calls.made if 200 in call.answers}
    for case in cases:
        told = case.task.model_dump_json(exclude={"parent_id"}) if case.task is not None else ""
        for job in case.made:
            if job.webhook in heard and job.id not in told:
                yield f"{case.mark} does not say that job {job.id} was called about"


def duplicates(case: Case, again: Mapping[str, int]) -> Iterator[str]:
    """Every job beyond the first, and those that a person has asked for."""
    asked = again.get(case.task.id, 0) if case.task is not None else 0
    for job in case.made[1 + asked :]:
        yield f"{case.mark} was made again as {job.id}"


def wrong(case: Case) -> Iterator[str]:
    """What the task says, and the books deny."""
    task = case.task
    if task is None:
        return
    mine = next((job for job in case.made if job.id == task.remote_id), None)
    if not task.status.is_settled:
        yield f"{case.mark} is {task.status} for ever: {task.failure}"
    elif task.status is Status.SUCCEEDED and (mine is None or mine.status is not None):
        yield f"{case.mark} succeeded as {task.remote_id}, of which the books know no success"
    elif task.status is Status.CANCELLED:
        yield f"{case.mark} is cancelled, and nobody asked for that"
    elif task.status is Status.FAILED and (mine is None or mine.status is None):
        yield f"{case.mark} failed, and no job of it did ({ids(case.made) or 'none was made'}): {task.failure}"


def shared(cases: Sequence[Case]) -> Iterator[str]:
    """Two tasks that both call one job theirs."""
    owner: dict[tuple[str, str], str] = {}
    for case in cases:
        if case.task is not None and case.task.remote_id is not None:
            job = (case.task.provider, case.task.remote_id)
            if job in owner:
                yield f"{case.mark} and {owner[job]} share job {job[1]}"
            owner[job] = case.mark


def corrupt(cases: Sequence[Case], books: Books, outputs: Path) -> Iterator[str]:
    """Finished files that are gone, or are not what was published; and files with a final name that nobody made."""
    published = {job.id: digest_of(shop, job) for shop in books.values() for job in shop.jobs}
    digests = {file: digest_in(file.read_bytes()) for file in final_files(outputs)}
    for case in cases:
        if case.task is not None and case.task.status is Status.SUCCEEDED:
            yield from bad_file(case.mark, case.task, published, digests)
            yield from bad_story(case.mark, case.task)
    for file, digest in digests.items():
        if digest not in published.values():
            yield f"{file.name} is no film that was made"


def bad_file(mark: str, task: Task, published: Mapping[str, str], digests: Mapping[Path, str]) -> Iterator[str]:
    """What is wrong with the file of a task that succeeded."""
    for output in task.outputs or (None,):
        digest = digests.get(Path(output.file)) if output and output.file else None
        if digest is None:
            yield f"{mark} succeeded, and its file is not there"
        elif digest != published.get(task.remote_id or ""):
            yield f"{mark} succeeded with a file that is not its film"


def bad_story(mark: str, task: Task) -> Iterator[str]:
    """What is wrong with what is written beside the film of a task that succeeded."""
    for file in (Path(output.file) for output in task.outputs if output.file):
        story = file.with_suffix(".json")
        if not story.is_file():
            yield f"{mark} succeeded, and nothing beside its film says how"
        elif file.is_file() and told(story) != (task.id, hashlib.sha256(file.read_bytes()).hexdigest()):
            yield f"{mark} succeeded, and what is beside its film is about another"


def told(story: Path) -> tuple[str, str]:
    """The task and the content that a file beside a film speaks of."""
    said = json.loads(story.read_bytes())
    return said["task_id"], said["output"]["sha256"]


def final_files(outputs: Path) -> Iterator[Path]:
    """Films under a name that says they are whole."""
    files = (file for file in sorted(outputs.glob("*")) if file.is_file() and not file.name.startswith("."))
    return (file for file in files if file.suffix != ".json")


def ids(jobs: Sequence[Job]) -> str:
    """The provider's names of jobs."""
    return ", ".join(job.id for job in jobs)

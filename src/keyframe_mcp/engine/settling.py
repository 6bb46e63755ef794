"""Settling by hand what nobody could tell: whether a job of unknown fate exists. A person's word, never ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keyframe_mcp.adapters.base import Adapter
from keyframe_mcp.engine.budget import Budget
from keyframe_mcp.engine.bulletin import WAKE, Bulletin
from keyframe_mcp.engine.caller import Caller
from keyframe_mcp.engine.moves import discreet
from keyframe_mcp.errors import GivenUp, InvalidInput, MissingCredential, Problem, ProviderRefused, kind_of
from keyframe_mcp.store import OverCap, Store
from keyframe_mcp.task import Cost, Failure, Status, Task

JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:~-]{0,199}")
FORGOTTEN: Mapping[str, object] = {
    "remote_id": None,
    "is_adopted": False,
    "native_status": None,
    "unheard_since": None,
    "failure": None,
    "cancel_requested": False,
    "stop_refusal": None,
    "progress": None,
    "looks": 0,
    "alternatives": (),  # a person has agreed to pay for this model once more, and for no other
}


@dataclass(frozen=True)
class Settling:
    """What a person who has looked can say about a task that is unknown. Each raises `InvalidInput` for any other."""

    adapters: Mapping[str, Adapter]
    store: Store
    budget: Budget
    bulletin: Bulletin
    clock: Callable[[], float]

    async def attach(self, task_id: str, caller: Caller, remote_id: str) -> Task:
        """The provider has the job, under this id: it is followed from here on.

        The provider is asked first. Raises `MissingCredential` without its key, and `ProviderError` when it does not
        answer, or knows no such job.
        """
        task = await self._doubtful(task_id, caller)
        remote_id = remote_id.strip()
        if not JOB_ID.fullmatch(remote_id):
            raise InvalidInput(problems=[Problem("--attach", "give the id the provider shows for the job")])
        await self._require_known(task, remote_id)
        wanted = {"cancel_requested": False}  # whatever was asked for before, now it is to be followed
        if not await self.store.adopt(task.id, remote_id, attempt=task.attempt, changes=wanted):
            await self._doubtful(task_id, caller)
            raise InvalidInput(
                problems=[Problem("--attach", f"job {remote_id} belongs to another task of {task.provider}")]
            )
        return await self._awake(task_id)

    async def _require_known(self, task: Task, remote_id: str) -> None:
        """Raise unless the provider knows the job: a mistyped id could not be taken back."""
        adapter = self.adapters.get(task.provider)
        if adapter is None:
            raise MissingCredential(f"{task.provider} has to be asked for job {remote_id}, and its key is not set")
        try:
            await adapter.check(remote_id)
        except ProviderRefused as error:
            raise InvalidInput(
                problems=[Problem("--attach", f"{task.provider} does not know job {remote_id}: {error}")]
            ) from None

    async def give_up(self, task_id: str, caller: Caller, *, was_billed: bool = True) -> Task:
        """It is over. It goes on counting as spent unless the person says, then or later, that nothing was billed."""
        task = await self.store.get(task_id, caller.owner)
        if is_given_up(task) and not was_billed:
            of = {Status.FAILED}
            await self.store.count(task.id, of=of, attempt=task.attempt, usd=task.spent_before)
            return await self.store.get(task_id)
        task = await self._doubtful(task_id, caller)
        told = "; whether it was made was never learned" if was_billed else ", and says that nothing was billed"
        failure = Failure.of(GivenUp(f"a person gave it up{told}"))
        counted = task.counted_usd if was_billed else task.spent_before
        changes = {"failure": failure, "counted_usd": counted} | discreet(task)
        failed, of = Status.FAILED, {Status.UNKNOWN}
        if await self.store.move(task.id, of=of, to=failed, attempt=task.attempt, changes=changes) is None:
            await self._doubtful(task_id, caller)
        return await self._awake(task_id)

    async def resubmit(
        self, task_id: str, caller: Caller, *, attempt: int | None = None, was_billed: bool = True
    ) -> Task:
        """Send it again, and pay for it again. Raises `BudgetExceeded` when there is not enough left for that.

        `attempt` is the one the person was asked about; what is said of it holds for no later one.
        """
        task = await self._doubtful(task_id, caller)
        if attempt not in (None, task.attempt):
            reason = f"task {task_id} was sent again meanwhile (attempt {task.attempt}); look at that one"
            raise InvalidInput(problems=[Problem("--resubmit", reason)])
        before = task.counted_usd if was_billed else task.spent_before
        usd = self.budget.counts(task.cost or Cost(estimated_usd=None, basis="no price was noted"))
        now = self.clock()

        def changes(current: Task) -> Mapping[str, object]:
            job = f"job {current.remote_id} of {current.provider} was let go of by a person"
            told = () if current.remote_id is None else (job,)
            counts = {"spent_before": before, "counted_usd": before + usd}
            return {**FORGOTTEN, **counts, "warnings": (*current.warnings, *told)}

        try:
            caps = self.budget.caps(now)
            resumed = await self.store.resume(task.id, attempt=task.attempt, changes=changes, caps=caps)
        except OverCap as over:
            # what the attempts before count for is not left either
            left = OverCap(over.which, max(0.0, over.left - before))
            raise self.budget.exceeded(left, usd, now) from None
        if resumed is None:
            await self._doubtful(task_id, caller)
        return await self._awake(task_id)

    async def _doubtful(self, task_id: str, caller: Caller) -> Task:
        task = await self.store.get(task_id, caller.owner)
        require_unknown(task)
        return task

    async def _awake(self, task_id: str) -> Task:
        """The task as it is now, due at once, and those who wait for it told."""
        await self.store.wake(task_id)
        self.bulletin.ring(task_id)
        self.bulletin.ring(WAKE)
        return await self.store.get(task_id)


def require_unknown(task: Task) -> None:
    """Raise `InvalidInput` for a task that is not unknown."""
    if task.status is not Status.UNKNOWN:
        reason = f"task {task.id} is {task.status}; only one that is unknown needs to be settled by hand"
        raise InvalidInput(problems=[Problem("task", reason)])


def is_given_up(task: Task) -> bool:
    """Whether a person has given it up."""
    return task.status is Status.FAILED and task.failure is not None and task.failure.kind == kind_of(GivenUp)

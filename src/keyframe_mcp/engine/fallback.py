"""Going on to the next model of a task when the present one will not make it and has surely charged nothing.

Only from a task that is queued, or whose own attempt has just been answered: never from one of unknown fate, nor from
a job that a provider has taken. The task counts at the price of the model it is on: recounted with every move, within
what may be spent then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from keyframe_mcp.engine.budget import Budget, dollars
from keyframe_mcp.engine.moves import Moves, trace_of
from keyframe_mcp.errors import (
    BudgetExceeded,
    CallerError,
    ContentRejected,
    CredentialRefused,
    KeyframeError,
    MissingCredential,
    OperatorError,
    PaymentNeeded,
    ProviderRefused,
    ProviderUnavailable,
    SubmissionUncertain,
)
from keyframe_mcp.store import OverCap
from keyframe_mcp.store.claims import Claimed, named
from keyframe_mcp.task import Failure, Plan, Status, Task

DEFINITE = (ProviderRefused, CredentialRefused, PaymentNeeded, CallerError, OperatorError)
"""Answers to a submission after which there is surely no job."""

OF_ALL_MODELS = (CredentialRefused, PaymentNeeded, MissingCredential, ProviderUnavailable)
"""What keeps a provider from taking any job, whatever the model."""

ASKED_AGAIN = re.compile(r"[;,] it is (asked|tried) again\b[^;()]*$")

FIX = "Read each reason, then change the request, or ask whoever runs the server about keys and credit."


@dataclass(frozen=True)
class Fallback:
    """From one model of a task to the next."""

    moves: Moves
    budget: Budget
    clock: Callable[[], float]
    configured: Collection[str]
    """The providers whose keys are set here. A task is never moved to where this process could not send it."""

    async def refused(self, task: Task, of: Collection[Status], error: KeyframeError) -> float | None:
        """It will not be made so, and costs nothing: go on to the next model, at once, or the task failed.

        What one provider's moderation declined is not offered to the next.
        """
        passed = () if isinstance(error, ContentRejected) else await self._go_on(task, error)
        if passed is None:
            return 0
        failure = at_the_end(error, (*task.refused, f"{task.model}: {error}", *passed))
        return await self.failed(task, of, error, failure)

    async def failed(
        self, task: Task, of: Collection[Status], error: KeyframeError, failure: Failure | None = None
    ) -> float | None:
        """It was refused, so it costs nothing: unless its provider has called about a job, which is asked about."""
        try:
            await self.moves.fail(task, of, failure=failure or Failure.of(error), **trace_of(error))
        except Claimed as claim:
            called = f"{task.provider} refused it ({error}), and called about job {named((claim.remote_id,))} of it"
            doubt = Failure.of(SubmissionUncertain(called))
            await self.moves.move(task, {Status.SUBMITTING}, Status.UNKNOWN, failure=doubt, **trace_of(error))
            return 0
        return None

    async def left(self, task: Task, error: KeyframeError) -> bool:
        """Whether the task went on to another provider: this one is out of order, and was sent nothing.

        One that is busy is waited for, and so is our own process where it was stopped for a while.
        """
        if not isinstance(error, ProviderUnavailable) or error.is_held_up:
            return False
        return await self._go_on(task, error) is None

    async def _go_on(self, task: Task, error: KeyframeError) -> tuple[str, ...] | None:
        """None when the task went on; else why it did not go on to any of its other models."""
        left, passed = reachable(task, error, self.configured)
        for number, plan in enumerate(left):
            try:
                switched = await self._switch(task, plan, left[number + 1 :], error, passed)
            except BudgetExceeded as over:
                passed = (*passed, f"{plan.model}: {over}")
                continue
            return None if switched else ()
        return passed

    async def _switch(
        self, task: Task, plan: Plan, rest: tuple[Plan, ...], error: KeyframeError, passed: tuple[str, ...]
    ) -> bool:
        """Whether the task is on that plan now. Raises `BudgetExceeded` where not enough is left for it."""
        usd, now = self.budget.counts(plan.cost), self.clock()
        counts = {"counted_usd": usd, "counted_at": now}
        reasons = (f"{task.model}: {reason(error)}", *passed)

        def changes(current: Task) -> Mapping[str, object]:
            told = (*after(current), went_on(task, plan, error), *passed, *plan.warnings)
            gone = {"alternatives": rest, "refused": (*current.refused, *reasons), "warnings": told}
            return planned(task, plan) | gone | counts

        try:
            # Only from where the task was: what a person had sent again meanwhile is for that one model.
            return await self.moves.switch(task, {task.status}, changes, self.budget.caps(now)) is not None
        except OverCap as over:
            raise self.budget.exceeded(over, usd, now) from None


def reachable(
    task: Task, error: KeyframeError, configured: Collection[str]
) -> tuple[tuple[Plan, ...], tuple[str, ...]]:
    """The plans that can be sent here and that what went wrong does not concern, and why others are passed over."""
    of_all = isinstance(error, OF_ALL_MODELS)
    left: list[Plan] = []
    passed: list[str] = []
    for plan in task.alternatives:
        if of_all and plan.provider == task.provider:
            passed.append(f"{plan.model}: not tried, being of the same provider")
        elif plan.provider not in configured:
            passed.append(f"{plan.model}: not tried, its key is not set here any more")
        else:
            left.append(plan)
    return tuple(left), tuple(passed)


def planned(task: Task, plan: Plan) -> dict[str, object]:
    """A plan in the place of the present one, with nothing left of what its provider has said."""
    return {
        "model": plan.model,
        "provider": plan.provider,
        "wire": plan.wire,
        "pictures": plan.pictures,
        "generative": plan.generative,
        "cost": plan.cost,
        "plan_warnings": plan.warnings,
        "moved_hash": plan.request_hash,
        "planned_at": task.attempt + 1,
        "sent_at": None,
        "sent_pictures": {},
        "native_status": None,
        "trace_id": None,
        "failure": None,
    }


def after(task: Task) -> tuple[str, ...]:
    """The warnings of a task without those that held for the present model only."""
    return tuple(each for each in task.warnings if each not in task.plan_warnings)


def went_on(task: Task, plan: Plan, error: KeyframeError) -> str:
    """What became of the present model, and which is next for how much."""
    became = "refused"
    if isinstance(error, ProviderUnavailable):
        became = "is out of reach"
    elif isinstance(error, BudgetExceeded):
        became = "is too dear"
    usd = plan.cost.estimated_usd
    price = "at a price that is not known" if usd is None else f"for {dollars(usd)}"
    return f"{task.model} {became} ({reason(error)}; nothing was charged); trying {plan.model} {price}"


def reason(error: KeyframeError) -> str:
    """What went wrong, without the promise that this provider is asked once more: it is not."""
    return ASKED_AGAIN.sub("", str(error)).rstrip(".")


def at_the_end(error: KeyframeError, reasons: Sequence[str]) -> Failure:
    """The failure of a task no model would make: each with its reason, where there was more than one."""
    failure = Failure.of(error)
    if len(reasons) == 1:
        return failure
    told = "; ".join(each.rstrip(".") for each in reasons)
    return failure.model_copy(update={"message": f"no model made it, and nothing was charged. {told}", "fix": FIX})

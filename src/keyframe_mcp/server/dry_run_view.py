"""What an agent sees of a call that was only tried: the request, its price, and what stands in its way."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Self, cast

from keyframe_mcp.adapters.base import Outgoing
from keyframe_mcp.engine import Rehearsal
from keyframe_mcp.engine.budget import Budget, dollars
from keyframe_mcp.engine.outgoing import in_words
from keyframe_mcp.media.references import shortened
from keyframe_mcp.server.views import View, next_step
from keyframe_mcp.task import Cost, Mode, Plan, Task

NO_LIMIT = "No spending limit is set."


class BudgetView(View):
    """Whether a video fits what may be spent, in US dollars, and what is left today of each limit that there is.

    `counts_usd` is what it counts for where its price is not known.
    """

    fits: bool
    refusal: str | None = None
    per_task_usd: float | None = None
    left_today_usd: float | None = None
    left_owner_today_usd: float | None = None
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
            refusal=None if rehearsal.refusal is None else str(rehearsal.refusal),
            per_task_usd=budget.per_task,
            left_today_usd=left.today_usd,
            left_owner_today_usd=left.owner_today_usd,
            counts_usd=None if is_priced else budget.unpriced_usd,
            resets_at=None if budget.per_day is None and budget.per_owner is None else left.resets_at,
        )


class AlternativeView(View):
    """A model a task goes on to when those before it refuse and charge nothing, and its price in US dollars."""

    model: str
    estimated_usd: float | None = None
    basis: str
    warnings: list[str] | None = None

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """One plan. What would be sent is left out: it is the same request in other words."""
        cost, warnings = plan.cost, list(plan.warnings) or None
        return cls(model=plan.model, estimated_usd=cost.estimated_usd, basis=cost.basis, warnings=warnings)


class RequestView(View):
    """A request as it would go out, with `[key]` where the key would be and words where pictures would be."""

    method: str
    url: str
    headers: dict[str, str] | None = None
    body: dict[str, object]

    @classmethod
    def of(cls, request: Outgoing | None) -> Self | None:
        """The request to a provider, where there is one."""
        if request is None:
            return None
        headers, body = dict(request.headers) or None, without_bytes(request.body)
        return cls(method=request.method, url=request.url, headers=headers, body=body)


class DryRunView(View):
    """What a call would do.

    `request` is what the provider would be sent, `wire` what a model on this machine would be given, `assumed` what
    holds without being asked. `estimated_usd` in `cost` comes from the catalogue: no provider was asked. `quote` says
    that one will be.
    """

    said = ("status", "model")
    status: Literal["dry_run"] = "dry_run"
    next_step: str
    poll_after_seconds: int = 0
    mode: Mode
    model: str
    why: str
    request: RequestView | None = None
    wire: dict[str, object] | None = None
    assumed: dict[str, object] | None = None
    cost: Cost | None = None
    quote: str | None = None
    budget: BudgetView | None = None
    alternatives: list[AlternativeView] | None = None
    warnings: list[str] | None = None
    generative: bool
    answered_by: str | None = None
    """The task that is there already, which a real call would give."""

    @classmethod
    def of(cls, rehearsal: Rehearsal, budget: Budget) -> Self:
        """A request that was checked and not made."""
        task = rehearsal.draft.task
        limit = "" if budget.is_limited else f" {NO_LIMIT}"
        step = f"Nothing was written or sent. Call again without dry_run to make it.{limit}"
        if rehearsal.refusal is not None:
            step = f"Nothing was written or sent, and a real call would be refused. {rehearsal.refusal.fix}"
        if (there := rehearsal.answered_by) is not None:
            step = f"A real call gives task {there.id}, which is {there.status}, and starts nothing. {next_step(there)}"
        return cls(
            next_step=step,
            mode=task.mode,
            model=task.model,
            why=rehearsal.draft.why,
            request=RequestView.of(rehearsal.request),
            wire=None if rehearsal.request else given(task),
            assumed=without_bytes(rehearsal.draft.assumed) or None,
            cost=task.cost,
            quote=quoted(rehearsal.draft.quoted_by, budget),
            budget=BudgetView.of(rehearsal, budget),
            alternatives=[AlternativeView.of(plan) for plan in task.alternatives] or None,
            warnings=[*rehearsal.doubts, *task.warnings] or None,
            generative=task.generative,
            answered_by=None if rehearsal.answered_by is None else rehearsal.answered_by.id,
        )

    def unsaid(self, data: Mapping[str, object]) -> Mapping[str, object]:
        """See `View.unsaid`. The sentence begins with what the budget refuses."""
        budget = {} if self.budget is None else self.budget.data()
        budget.pop("refusal", None)
        return {**super().unsaid(data), **({"budget": budget} if budget else {})}


def rehearsed(view: DryRunView) -> str:
    """The gist of a dry run in a sentence."""
    refusal = None if view.budget is None else view.budget.refusal
    if refusal is not None:
        return f"Refused: {refusal}. It was a dry run of {view.model}."
    if view.answered_by is not None:
        return f"Dry run: nothing would be made, as task {view.answered_by} of the same request is there."
    return f"Dry run: {view.model} would make it {priced(view)}."


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


def given(task: Task) -> dict[str, object]:
    """What a model on this machine is given."""
    return without_bytes(task.wire) | {name: in_words(each) for name, each in task.pictures.items()}


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

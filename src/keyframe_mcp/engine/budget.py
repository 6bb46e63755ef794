"""What may be spent: on a task, in a day by everybody, in a day by each owner. Days are those of UTC.

A task counts from the moment it is written down until it is proved that nothing was charged. What nobody can tell
counts as spent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from keyframe_mcp.errors import BudgetExceeded, PriceUnknown, SpentForToday
from keyframe_mcp.store import Caps, OverCap, Store
from keyframe_mcp.task import Cost

DAY = 86_400.0
TINY = 1e-9  # prices are sums of fractions
PER_TASK = "KEYFRAME_BUDGET_USD_PER_TASK"


@dataclass(frozen=True, kw_only=True)
class Left:
    """What is left of the day's limits that there are, in US dollars, and when the next day begins."""

    today_usd: float | None
    owner_today_usd: float | None
    resets_at: datetime


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits in US dollars; None is no limit. `unpriced_usd` is what a video counts for whose price nobody knows."""

    per_task: float | None = None
    per_day: float | None = None
    per_owner: float | None = None
    unpriced_usd: float | None = None

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit."""
        return not (self.per_task is None and self.per_day is None and self.per_owner is None)

    def counts(self, cost: Cost) -> float:
        """What a video counts for. Raises `BudgetExceeded` where one alone is too much, or its price is not known."""
        if refusal := self.refusal(cost):
            raise self._refused(cost, refusal)
        return self.worth(cost) or 0.0

    def _refused(self, cost: Cost, refusal: str) -> BudgetExceeded:
        return BudgetExceeded(refusal) if self.worth(cost) is not None else PriceUnknown(refusal)

    def worth(self, cost: Cost) -> float | None:
        """What a video counts for at that price, if that is known."""
        return cost.estimated_usd if cost.estimated_usd is not None else self.unpriced_usd

    def refusal(self, cost: Cost) -> str | None:
        """Why a video may not be made whatever else was spent. None: it may."""
        usd = self.worth(cost)
        if usd is None and self.is_limited:
            return f"the price is not known ({cost.basis}), and there is a budget without KEYFRAME_BUDGET_UNPRICED_USD"
        if usd is not None and self.per_task is not None and usd > self.per_task:
            counts = f"would cost {dollars(usd)}"
            if cost.estimated_usd is None:
                counts = f"counts for {dollars(usd)} (KEYFRAME_BUDGET_UNPRICED_USD), its price not being known"
            return f"this {counts} ({cost.basis}), and a video may cost {dollars(self.per_task)} ({PER_TASK})"
        return None

    def refusal_now(self, cost: Cost, left: Left, now: float) -> BudgetExceeded | None:
        """Why a video may not be made with what is left today. None: it may."""
        if refusal := self.refusal(cost):
            return self._refused(cost, refusal)
        usd = self.worth(cost) or 0.0
        rests: tuple[tuple[Literal["all", "owner"], float | None], ...]
        rests = (("all", left.today_usd), ("owner", left.owner_today_usd))
        over = (OverCap(which, rest) for which, rest in rests if rest is not None and usd > rest + TINY)
        first = next(over, None)
        return None if first is None else self.exceeded(first, usd, now)

    def caps(self, now: float) -> Caps:
        """The limits as the store holds a task against them."""
        return Caps(since=now // DAY * DAY, all_usd=self.per_day, owner_usd=self.per_owner)

    def exceeded(self, over: OverCap, usd: float, now: float) -> BudgetExceeded:
        """The store's no, in words."""
        limit, variable = (self.per_day, "DAY") if over.which == "all" else (self.per_owner, "OWNER_PER_DAY")
        whole = limit or 0.0
        rest = (
            f"this would cost {dollars(usd)}, and of the {dollars(whole)} for today "
            f"(KEYFRAME_BUDGET_USD_PER_{variable}) {dollars(over.left)} is left"
        )
        if usd > whole + TINY:
            return BudgetExceeded(f"{rest}; no day has enough for it")
        return SpentForToday(f"{rest}; a new day begins at {tomorrow(now):%Y-%m-%d %H:%M} UTC: wait until then")

    async def left(self, store: Store, owner: str, now: float) -> Left:
        """What is left today."""
        since = self.caps(now).since
        today = None if self.per_day is None else self.per_day - await store.counted(since)
        own = None if self.per_owner is None else self.per_owner - await store.counted(since, owner)
        return Left(today_usd=at_least_nothing(today), owner_today_usd=at_least_nothing(own), resets_at=tomorrow(now))


NO_BUDGET = Budget()


def tomorrow(now: float) -> datetime:
    """When the next day begins."""
    return datetime.fromtimestamp((now // DAY + 1) * DAY, UTC)


def at_least_nothing(usd: float | None) -> float | None:
    """A rest, which is never below nothing, without what adding up fractions leaves behind."""
    return None if usd is None else max(0.0, round(usd, 6))


def dollars(usd: float) -> str:
    """`$0.5`, `$12`, `$1,000,000`: never in powers of ten."""
    return "$" + f"{usd:,.6f}".rstrip("0").rstrip(".")

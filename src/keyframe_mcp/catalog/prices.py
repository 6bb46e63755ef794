"""What a video costs, as far as it is known: rules a catalogue file states, held against what will be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from keyframe_mcp.catalog.inputs import Entry, Value
from keyframe_mcp.task import Cost

FREE = "free, drawn on this machine"
UNKNOWN = "no price is known for this model"


class Price(Entry):
    """One rule. The first that fits decides."""

    usd: float = Field(ge=0)
    """US dollars."""
    per: Literal["video", "second", "frame"]
    """What that buys: a video, a second of one (of `inputs.duration`), or a frame (of `options.num_frames`)."""
    when: dict[str, Value | list[Value]] = Field(default_factory=dict[str, Value | list[Value]])
    """Wire names, and the value, or values, each must have. Documented defaults count as sent."""

    def fits(self, in_effect: Mapping[str, object]) -> bool:
        """Whether a request is of the kind this rule is for."""
        return all(
            any(same(in_effect.get(name), each) for each in (wanted if isinstance(wanted, list) else [wanted]))
            for name, wanted in self.when.items()
        )

    @property
    def text(self) -> str:
        """The rule in words."""
        conditions = [
            f"{name} {'/'.join(map(str, wanted)) if isinstance(wanted, list) else wanted}"
            for name, wanted in self.when.items()
        ]
        return f"${self.usd:g} a {self.per}" + (f" with {', '.join(conditions)}" if conditions else "")


def same(one: object, other: object) -> bool:
    """Equality where True is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def estimate(
    prices: Sequence[Price], in_effect: Mapping[str, object], measures: Mapping[str, float | None], outputs: float = 1
) -> Cost:
    """What a request will cost. `measures` holds how many seconds and frames a video has, where that is known."""
    if not prices:
        return Cost(estimated_usd=None, basis=UNKNOWN)
    rule = next((each for each in prices if each.fits(in_effect)), None)
    if rule is None:
        return Cost(estimated_usd=None, basis="no price is known for these inputs")
    if not rule.usd:
        return Cost(estimated_usd=0, basis=FREE)
    many = {"video": 1.0, **measures}.get(rule.per)
    if many is None:
        return Cost(estimated_usd=None, basis=f"${rule.usd:g} a {rule.per}, of a length the provider decides")
    held = [f"{name} {in_effect[name]}" for name in rule.when]
    words = [
        f"${rule.usd:g} a {rule.per}",
        *([] if rule.per == "video" else [f"{many:g} {rule.per}s"]),
        *([] if outputs == 1 else [f"{outputs:g} videos"]),
    ]
    basis = f"estimate: {' x '.join(words)}{' with ' + ', '.join(held) if held else ''}"
    return Cost(estimated_usd=round(rule.usd * many * outputs, 6), basis=basis)


def in_short(prices: Sequence[Price]) -> str:
    """All rules in a few words: a figure or a range."""
    if not prices:
        return "price unknown"
    if not any(price.usd for price in prices):
        return FREE
    if len(prices) == 1 and prices[0].when:
        return f"about ${prices[0].usd:g} a {prices[0].per}"
    units = {price.per for price in prices}
    if len(units) > 1:
        return "; ".join(price.text for price in prices)
    low, high = min(price.usd for price in prices), max(price.usd for price in prices)
    return f"${low:g}{f'-{high:g}' if high != low else ''} a {units.pop()}"


def in_full(prices: Sequence[Price]) -> str:
    """Every rule."""
    return FREE if prices and not any(price.usd for price in prices) else "; ".join(price.text for price in prices)

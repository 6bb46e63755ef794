"""The motion as seen at one instant: for each pixel of the frame being drawn, where it is in either picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keyframe_mcp.media.render.arrays import Floats, as_floats
from keyframe_mcp.media.render.geometry import grid, inverse
from keyframe_mcp.media.render.motion import Motion, Stream, coverage
from keyframe_mcp.media.render.vision import sample, transform

_ROUNDS = 3
_SOFT_EDGE = 0.08  # of the shorter side
_FAINTEST = 1e-3  # keeps the shares defined where neither picture shows a pixel


@dataclass(frozen=True)
class Instant:
    """All on the motion's grid, in its pixels."""

    in_first: Floats
    in_last: Floats
    share_of_first: Floats
    """0-1; the last picture gives the rest."""
    in_middle: Floats


@dataclass(frozen=True)
class _Flows:
    """Displacements from the first picture to the last, at the pixels of one instant, and the weight of each side."""

    from_first: Floats
    weight_first: Floats
    from_last: Floats
    weight_last: Floats


def projector(motion: Motion) -> Callable[[float], Instant]:
    """A function of the time, between 0 and 1 and neither of them."""
    flows_at = _Splatter(motion).flows if motion.has_movers else _Follower(motion).flows
    own = grid(*motion.size)
    # A hard edge would show as the outline of one picture where the other has already another light.
    soft = max(1.0, _SOFT_EDGE * min(motion.size))

    def project(time: float) -> Instant:
        flows, in_middle = flows_at(time), own
        if motion.moves_camera:
            in_middle = transform(own, inverse(motion.camera(time) @ motion.first_from_middle))
            flows = _moved(flows, in_middle)
        in_first = transform(as_floats(in_middle - np.float32(time) * flows.from_first), motion.first_from_middle)
        in_last = transform(as_floats(in_middle + np.float32(1 - time) * flows.from_last), motion.last_from_middle)
        first = np.float32(1 - time) * (flows.weight_first * coverage(in_first, soft) + np.float32(_FAINTEST))
        last = np.float32(time) * (flows.weight_last * coverage(in_last, soft) + np.float32(_FAINTEST))
        return Instant(in_first, in_last, as_floats(first / (first + last)), in_middle)

    return project


class _Follower:
    """For motion without objects of its own: looks for the point that arrives here, by fixed-point iteration."""

    def __init__(self, motion: Motion) -> None:
        self._own = grid(*motion.size)
        self._forward = motion.forward.displacement
        self._backward = motion.backward.displacement

    def flows(self, time: float) -> _Flows:
        from_first, weight_first = self._follow(self._forward, np.float32(time))
        from_last, weight_last = self._follow(self._backward, np.float32(1 - time))
        return _Flows(from_first, weight_first, as_floats(-from_last), weight_last)

    def _follow(self, displacement: Floats, time: np.float32) -> tuple[Floats, Floats]:
        start = as_floats(self._own - time * displacement)
        for _ in range(_ROUNDS):
            start = as_floats(self._own - time * sample(displacement, start))
        found = sample(displacement, start)
        missed = start + time * found - self._own
        return found, as_floats(1 / (1 + (missed * missed).sum(axis=2)))


class _Splatter:
    """For objects that travel over the background: each point is thrown to where it is at the time."""

    def __init__(self, motion: Motion) -> None:
        self._own = grid(*motion.size)
        self._forward = _Throw(motion.forward, self._own)
        self._backward = _Throw(motion.backward, self._own)

    def flows(self, time: float) -> _Flows:
        first = self._forward.at(time)
        last = self._backward.at(1 - time)
        return _reconciled(first, _Landed(as_floats(-last.displacement), last.importance, last.hit))


@dataclass(frozen=True)
class _Landed:
    displacement: Floats
    importance: Floats
    hit: Floats
    """0-1: whether anything landed there."""


class _Throw:
    """One side's points with their importance: sure ones before guesses, movers before the background."""

    def __init__(self, stream: Stream, own: Floats) -> None:
        self._own = own
        self._displacement = stream.displacement
        width = own.shape[1]
        speed = np.sqrt((stream.displacement * stream.displacement).sum(axis=2)) / (0.03 * width)
        in_front = 30 * np.clip(speed - 0.3, 0, 1) * (stream.found.confidence > 0.3)
        importance = (np.maximum(stream.found.confidence, 0.05) ** 2 * (1 + in_front)).ravel()
        across, along = stream.displacement[..., 0].ravel(), stream.displacement[..., 1].ravel()
        self._loads = (importance, importance * across, importance * along)

    def at(self, time: float) -> _Landed:
        places, weights = self._places(time)
        hit = self._gather(places, weights)
        importance, across, along = (
            self._gather(places, [weight * load for weight in weights]) for load in self._loads
        )
        total = importance + np.float32(1e-9)
        return _Landed(
            as_floats(np.dstack([across / total, along / total])),
            importance,
            as_floats(np.clip(hit * 2.5 - 0.25, 0, 1)),
        )

    def _places(self, time: float) -> tuple[list[np.typing.NDArray[np.intp]], list[Floats]]:
        """The four pixels around each landing point, in a grid with one more pixel on every side, and their shares."""
        height, width = self._own.shape[:2]
        landing = self._own + np.float32(time) * self._displacement
        across, along = landing[..., 0].ravel(), landing[..., 1].ravel()
        column, row = np.floor(across), np.floor(along)
        right, down = across - column, along - row
        column, row = np.clip(column, -1, width - 1) + 1, np.clip(row, -1, height - 1) + 1
        corner = row.astype(np.intp) * (width + 2) + column.astype(np.intp)
        places = [corner, corner + 1, corner + width + 2, corner + width + 3]
        shares = [(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down]
        return places, [as_floats(share) for share in shares]

    def _gather(self, places: list[np.typing.NDArray[np.intp]], weights: list[Floats]) -> Floats:
        height, width = self._own.shape[:2]
        total = np.zeros((height + 2) * (width + 2))
        for place, weight in zip(places, weights, strict=True):
            total += np.bincount(place, weight, minlength=total.size)
        return total.reshape(height + 2, width + 2)[1:-1, 1:-1].astype(np.float32)


def _reconciled(first: _Landed, last: _Landed) -> _Flows:
    """Either side's holes filled from the other; where both saw something and disagree, the more important wins.

    That is a mover which covers the background on one side only.
    """
    hit_first, hit_last = first.hit[..., np.newaxis], last.hit[..., np.newaxis]
    from_first = first.displacement * hit_first + last.displacement * (1 - hit_first) * hit_last
    from_last = last.displacement * hit_last + first.displacement * (1 - hit_last) * hit_first
    apart = ((from_first - from_last) ** 2).sum(axis=2)
    conflict = (np.minimum(first.hit, last.hit) * np.clip(apart / 4 - 0.5, 0, 1))[..., np.newaxis]
    winner = np.where((first.importance >= last.importance)[..., np.newaxis], from_first, from_last)
    return _Flows(
        as_floats(from_first + (winner - from_first) * conflict),
        np.clip(first.hit, 0.02, 1),
        as_floats(from_last + (winner - from_last) * conflict),
        np.clip(last.hit, 0.02, 1),
    )


def _moved(flows: _Flows, positions: Floats) -> _Flows:
    return _Flows(
        sample(flows.from_first, positions),
        sample(flows.weight_first, positions),
        sample(flows.from_last, positions),
        sample(flows.weight_last, positions),
    )

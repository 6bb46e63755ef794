"""How fast time passes within a clip: from 0 to 1, slow at both ends."""

from __future__ import annotations


def smooth(progress: float) -> float:
    """Accelerates for half the time, brakes for the other half."""
    return progress * progress * (3 - 2 * progress)


def steady(progress: float, ramp: float = 0.15) -> float:
    """Constant speed but for a short ramp at each end, as a person moves a camera."""
    cruise = 1 - ramp
    if progress < ramp:
        return progress * progress / (2 * ramp * cruise)
    if progress < cruise:
        return (progress - ramp / 2) / cruise
    return 1 - (1 - progress) ** 2 / (2 * ramp * cruise)


def clamp(value: float, low: float = 0.0, high: float = 1.0) -> float:
    return min(max(value, low), high)

"""How long things are left alone before they are looked at again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds, each."""

    poll: float = 5.0  # between two looks at a provider's running job
    place: float = 1.5  # when enough jobs are on their way to the provider
    busy: float = 10.0  # when nothing could be submitted, and the provider did not say how long to wait
    trouble: float = 10.0  # when a provider could not be asked
    saving: float = 15.0  # when a result could not be copied
    looks: tuple[float, ...] = (5.0, 20.0, 60.0, 300.0, 900.0)  # before each look for a job of unknown fate
    disowned: float = 600.0  # a provider that says it has no such job is believed after so long
    silence: float = 6 * 3600.0  # and one that says nothing, beyond the longest it lets a job run
    unconfigured: float = 60.0  # when a task's provider has no key any more


PACE = Pace()

"""How long things are left alone before they are looked at again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds, each."""

    poll: float = 5.0  # before the first look at a provider's job, while nobody knows how long its model takes
    place: float = 1.5  # when enough jobs are on their way to the provider
    turn: float = 5.0  # when the provider has as many jobs as it takes at once
    busy: float = 10.0  # when nothing could be submitted, and the provider did not say how long to wait
    trouble: float = 10.0  # when a provider could not be asked
    saving: float = 15.0  # when a result could not be copied
    looks: tuple[float, ...] = (5.0, 20.0, 60.0, 300.0, 900.0)  # before each look for a job of unknown fate
    disowned: float = 600.0  # a provider that says it has no such job is believed after so long
    silence: float = 6 * 3600.0  # and one that says nothing, beyond the longest it lets a job run
    longest: float = 24 * 3600.0  # how long a job may run where its provider sets no limit
    overdue: float = 2 * 3600.0  # and how much longer one may be said to be running: it may have been in a queue first
    unconfigured: float = 60.0  # when a task's provider has no key any more
    lease: float = 10.0  # how long a process holds a task without renewing it, and others leave it alone

    @property
    def soonest(self) -> float:
        """The shortest wait between two looks at a provider's job."""
        return 0.4 * self.poll

    @property
    def latest(self) -> float:
        """The longest wait between two looks at a provider's job that can be asked about."""
        return 2 * self.poll

    @property
    def safety(self) -> float:
        """The wait between two looks at a job whose provider is going to call."""
        return 12 * self.poll

    @property
    def first(self) -> float:
        """The longest wait before the first look at a provider's job, however long its model takes."""
        return 24 * self.poll

    @property
    def longest_trouble(self) -> float:
        """The longest wait between two looks at a job that cannot be asked about."""
        return 6 * self.trouble

    @property
    def failing(self) -> float:
        """Calls that fail within so long of each other show that a provider is out of order."""
        return 3 * self.trouble

    @property
    def pause(self) -> float:
        """How long a provider that is out of order is left alone at first."""
        return 1.5 * self.trouble

    @property
    def longest_pause(self) -> float:
        """And how long at most, when it stays so."""
        return 30 * self.trouble

    @property
    def fence(self) -> float:
        """How long after it was written down an attempt may still begin to leave.

        A process that was paused for longer must not send: others may have taken the task up by then.
        """
        return self.lease / 2


PACE = Pace()

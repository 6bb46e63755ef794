"""Leaving a provider alone that is out of order, so that nothing is sent into the dark and nobody is hammered.

A circuit for each provider, in memory: another process finds out by itself. It hears how every call ended. After some
failures in a row it opens: no call is made for a while. Then one task may try; its call closes the circuit, or opens it
for twice as long. The try is not a paid one, unless what costs nothing has failed for long: that may be broken for good
where submitting works.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from keyframe_mcp.adapters.base import Accepted, Adapter, Found, Job, Outgoing, Report, Sent
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.errors import KeyframeError, ProviderError, ProviderUnavailable, SubmissionUncertain, UnexpectedReply
from keyframe_mcp.task import Picture
from keyframe_mcp.telemetry import QUIET, Observer

log = logging.getLogger(__name__)

FAILURES = 5
UNREACHED = 5  # harmless questions that fail, one after each pause: then the pause is the longest
MOST_UNREACHED = 24  # two hours of them
BROKEN: tuple[type[KeyframeError], ...] = (ProviderUnavailable, SubmissionUncertain)
# An odd answer to a question says little of the next one. One to a submission leaves a job in doubt.
UNCLEAR = (*BROKEN, UnexpectedReply)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Opening:
    """Until when a provider is left alone, how long that is in all, after how many failures; who tries it then."""

    until: float
    pause: float
    failures: int
    is_tried: bool = False


class Circuit:
    """Whether one provider can be asked. Moments are in seconds since the epoch. `changed` hears whether it is open."""

    def __init__(self, pace: Pace, changed: Callable[[bool], None] = lambda _: None) -> None:
        self._pace = pace
        self._changed = changed
        self._latest: deque[float] = deque(maxlen=FAILURES)
        self._in_a_row = 0
        self._unreached, self._most_unreached = 0, UNREACHED
        self._opening: Opening | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is left alone, or only tried."""
        return self._opening is not None

    def enter(self, now: float) -> float:
        """0 when a call may be made, or the seconds to wait. Whoever got 0 and makes no call says `leave`."""
        opening = self._opening
        if opening is None:
            return 0
        if opening.until > now + opening.pause:  # the clock was set back
            opening = replace(opening, until=now + opening.pause)
        self._opening = opening if now < opening.until else replace(opening, is_tried=True)
        if now < opening.until:
            return opening.until - now
        return self._pace.pause if opening.is_tried else 0

    def leave(self) -> None:
        """Whoever might have tried made no call: the next one may."""
        if self._opening is not None:
            self._opening = replace(self._opening, is_tried=False)

    def heard(self) -> None:
        """The provider answered, whatever it said."""
        self._latest.clear()
        was_open = self.is_open
        self._in_a_row, self._opening = 0, None
        if was_open:
            self._changed(False)  # noqa: FBT003 - what it is called with has one meaning
        self._unreached, self._most_unreached = 0, UNREACHED

    def unreached(self) -> None:
        """A harmless question was the try, and failed."""
        self._unreached += 1

    def dares(self) -> bool:
        """Whether a submission is to be the try. Harmless questions are then the next ones, twice as many as before.

        So of jobs that are sent into the dark there are few, however long the provider is out of order.
        """
        if self._unreached < self._most_unreached:
            return False
        self._unreached, self._most_unreached = 0, min(2 * self._most_unreached, MOST_UNREACHED)
        return True

    def failed(self, now: float, *, within: float) -> None:
        """The provider could not be reached, or is broken. Failures that are older than `within` do not count."""
        if self._opening is not None and now < self._opening.until:
            return  # a call that had begun before
        self._in_a_row += 1
        self._latest.append(now)
        if (pause := self._next_pause(within)) is not None:
            was_open = self.is_open
            self._opening = Opening(until=now + pause, pause=pause, failures=self._in_a_row)
            if not was_open:
                self._changed(True)  # noqa: FBT003 - as above

    def why(self, name: str) -> str:
        """What a task that waits is told: the same words for as long as the provider is left alone."""
        if self._opening is None:
            return f"{name} is asked again"
        until = datetime.fromtimestamp(self._opening.until, UTC)
        times = f"{self._opening.failures} times in a row"
        return f"{name} did not answer {times}; it is asked again at {until:%H:%M:%S} UTC"

    def _next_pause(self, within: float) -> float | None:
        """How long to leave it alone after one more failure. None: not at all yet."""
        if self._opening is not None:
            return min(2 * self._opening.pause, self._pace.longest_pause)
        is_enough = len(self._latest) == FAILURES and self._latest[-1] - self._latest[0] <= within
        return self._pace.pause if is_enough else None


class Circuits:
    """The circuit of each provider. Their changes are logged, and told to an observer."""

    def __init__(self, observer: Observer = QUIET) -> None:
        self._observer = observer
        self._circuits: dict[str, Circuit] = {}

    def of(self, provider: str, pace: Pace) -> Circuit:
        """The provider's circuit."""
        if provider not in self._circuits:
            self._circuits[provider] = Circuit(pace, partial(self._changed, provider))
        return self._circuits[provider]

    def _changed(self, provider: str, is_open: bool) -> None:  # noqa: FBT001 - what it is called with has one meaning
        become = f"failed {FAILURES} times in a row and is left alone" if is_open else "answers again"
        log.info("provider %s %s", provider, become, extra={"facts": {"provider": provider, "is_open": is_open}})
        self._observer.circuit(provider, is_open=is_open)


class Watched:
    """An adapter for one step of a task, whose provider's circuit hears how every call ended.

    While the circuit is open, calls raise `ProviderUnavailable` without being made.
    """

    def __init__(self, adapter: Adapter, circuit: Circuit, clock: Callable[[], float], pace: Pace, name: str) -> None:
        self._adapter = adapter
        self._circuit = circuit
        self._clock = clock
        self._pace = pace
        self._name = name
        self._is_in = False
        self._is_trying = False

    @property
    def idempotent(self) -> bool:
        """See `Adapter.idempotent`."""
        return self._adapter.idempotent

    @property
    def poll_seconds(self) -> float:
        """See `Adapter.poll_seconds`."""
        return self._adapter.poll_seconds

    @property
    def account(self) -> str:
        """See `Adapter.account`."""
        return self._adapter.account

    @property
    def why(self) -> str:
        """Why calls have to wait."""
        return self._circuit.why(self._name)

    def wait(self) -> float:
        """0 when calls may be made in this step; else the seconds to wait."""
        if self._is_in:
            return 0
        wait = self._circuit.enter(self._clock())
        self._is_in = wait == 0
        self._is_trying = self._is_in and self._circuit.is_open
        return wait

    def leave(self) -> None:
        """The step is over."""
        if self._is_trying:
            self._circuit.leave()

    async def send(self, picture: Picture) -> Sent:
        """See `Adapter.send`. An upload is a good try. Else it says nothing of submissions, which may be failing."""
        return await self._watched(
            lambda: self._adapter.send(picture), tells=lambda sent: self._is_trying and is_upload(sent, picture)
        )

    async def quote(self, job: Job) -> float | None:
        """See `Adapter.quote`. A price is a good try, like an upload; no price may be none there is."""
        usd = await self._adapter.quote(job)
        if usd is not None and self._is_trying:
            self._circuit.heard()
        return usd

    def describe(self, job: Job) -> Outgoing | None:
        """See `Adapter.describe`."""
        return self._adapter.describe(job)

    async def submit(self, job: Job) -> Accepted:
        """See `Adapter.submit`."""
        if self._circuit.is_open and not (self._is_trying and self._circuit.dares()):
            await self.reach()
        # Few are on their way at once and a silent one takes a minute or more: they are counted over a longer time.
        within = self._pace.longest_pause
        return await self._watched(lambda: self._adapter.submit(job), broken=UNCLEAR, within=within)

    async def reach(self) -> None:
        """See `Adapter.reach`. An answer opens the way for one submission, and that one decides."""
        try:
            await self._watched(self._adapter.reach, tells=lambda _: False)
        except BROKEN:
            if self._is_trying:
                self._circuit.unreached()
            raise

    async def check(self, remote_id: str) -> Report:
        """See `Adapter.check`."""
        return await self._watched(lambda: self._adapter.check(remote_id))

    async def find(self, job: Job, sent_at: float) -> Found | None:
        """See `Adapter.find`. None came without a call."""
        return await self._watched(lambda: self._adapter.find(job, sent_at), tells=lambda found: found is not None)

    async def cancel(self, remote_id: str) -> bool:
        """See `Adapter.cancel`. A no may have come without a call."""
        return await self._watched(lambda: self._adapter.cancel(remote_id), tells=bool)

    async def forget(self, remote_id: str) -> None:
        """See `Adapter.forget`."""
        await self._adapter.forget(remote_id)

    def credentials(self, url: str) -> Mapping[str, str]:
        """See `Adapter.credentials`."""
        return self._adapter.credentials(url)

    async def aclose(self) -> None:
        """See `Adapter.aclose`."""
        await self._adapter.aclose()

    async def _watched(
        self,
        call: Callable[[], Awaitable[T]],
        *,
        broken: tuple[type[KeyframeError], ...] = BROKEN,
        within: float | None = None,
        tells: Callable[[T], bool] = lambda _: True,
    ) -> T:
        """Make a call and let the circuit hear how it ended; `tells`: whether a good end says that there was a call."""
        if self.wait():
            raise ProviderUnavailable(self.why)
        try:
            answer = await call()
        except broken:
            self._circuit.failed(self._clock(), within=within or self._pace.failing)
            raise
        except ProviderError:
            self._circuit.heard()
            raise
        if tells(answer):
            self._circuit.heard()
        return answer


def is_upload(sent: Sent, picture: Picture) -> bool:
    """Whether a picture was left with the provider, which then answered."""
    return sent.text != picture.url and not sent.text.startswith("data:")

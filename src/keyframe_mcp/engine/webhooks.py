"""Calls of providers, from outside: whose they are is found out first, and then they are a hint, never a truth.

What a call says about a job is not believed. It makes the task due, and the provider is asked. One thing is taken from
it: the id of a job whose submission was never answered, and that is asked about too before the job is the task's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from keyframe_mcp.adapters.base import Job
from keyframe_mcp.adapters.webhooks import Called, CallsBack, signed
from keyframe_mcp.catalog import Catalog
from keyframe_mcp.engine.bulletin import WAKE, Bulletin
from keyframe_mcp.engine.callbacks import Address, Callbacks
from keyframe_mcp.engine.webhook_keys import WebhookKeys
from keyframe_mcp.errors import ProviderError, UnknownModel, UnknownTask
from keyframe_mcp.store import Hint, Store
from keyframe_mcp.store.claims import named, unused, with_warning
from keyframe_mcp.task import Status, Task

OPEN = frozenset({Status.QUEUED, Status.SUBMITTING, Status.UNKNOWN})
"""Where nobody knows whether there is a job, or what it is called."""

NO_HINT = Hint()

log = logging.getLogger(__name__)


class Verdict(Enum):
    """What became of a call."""

    HEARD = "heard"
    HEARD_BEFORE = "heard before"
    NOT_OURS = "not ours"
    MALFORMED = "malformed"
    UNSIGNED = "unsigned"
    LATER = "later"


@dataclass(frozen=True)
class Webhooks:
    """Hears them."""

    callbacks: Callbacks
    adapters: Mapping[str, CallsBack]
    store: Store
    catalog: Catalog
    bulletin: Bulletin
    keys: WebhookKeys
    keyless: set[str] = field(default_factory=set[str])
    """The providers that have called, and whose key is not set here."""

    def is_ours(self, address: Address) -> bool:
        """Whether we, or a process that shares our tasks, have given out an address. Raises `StoreUnusable`."""
        return self.callbacks.is_ours(address)

    async def receive(self, address: Address, headers: Mapping[str, str], body: bytes, now: float) -> Verdict:
        """Hear a call to an address of ours. Header names are in small letters. Raises `StoreUnusable`."""
        call, adapter = signed(headers, body), self.adapters.get(address.provider)
        if call is None:
            return Verdict.MALFORMED
        if adapter is None:
            self._say_keyless(address.provider)
            return Verdict.LATER
        try:
            if not call.is_fresh(now) or not await self.keys.is_signed(address.provider, adapter, call):
                return Verdict.UNSIGNED
        except ProviderError as error:
            log.warning("%s called, and whether it was %s cannot be told: %s", *[address.provider] * 2, error)
            return Verdict.LATER
        if address.provider not in self.callbacks.arrived:
            log.info("%s calls, and its calls arrive: its jobs are asked about less often", address.provider)
            self.callbacks.arrived.add(address.provider)
        return await self._hear(address, call.id, adapter.read_called(body))

    def _say_keyless(self, name: str) -> None:
        """Tell whoever runs the server, once, that calls come to a process that cannot check them."""
        if name not in self.keyless:
            self.keyless.add(name)
            provider = self.catalog.providers.get(name)
            key = provider.key if provider and provider.key else "its key"
            log.warning("%s calls, and this server cannot check whether it is %s: set %s here too", name, name, key)

    async def _hear(self, address: Address, call_id: str, called: Called) -> Verdict:
        """Write down what follows, once."""

        def decide(task: Task, is_anothers: bool) -> Hint:  # noqa: FBT001 - the store calls it so
            return hint(task, address, called, is_anothers=is_anothers, may_be=partial(self._may_be, called=called))

        try:
            is_new = await self.store.hear(address.provider, call_id, address.task_id, called.remote_id, decide)
        except UnknownTask:
            return Verdict.NOT_OURS
        if not is_new:
            return Verdict.HEARD_BEFORE
        self.bulletin.ring(address.task_id)
        self.bulletin.ring(WAKE)
        return Verdict.HEARD

    def _may_be(self, task: Task, called: Called) -> bool:
        """Whether the job that was called about may be the task's, by its model and its inputs."""
        try:
            model = self.catalog.find(task.model).model
        except UnknownModel:
            return True
        sent = task.wire | task.sent_pictures
        job = Job(task_id=task.id, attempt=task.attempt, model=model.remote, mode=task.mode, wire=sent)
        return self.adapters[task.provider].may_be(job, called) if task.provider in self.adapters else True


def hint(
    task: Task, address: Address, called: Called, *, is_anothers: bool, may_be: Callable[[Task], bool] = lambda _: True
) -> Hint:
    """What follows from a call for its task as it is now. `may_be` is asked only about the attempt that was called."""
    is_its_provider = task.provider == address.provider
    is_current = is_its_provider and str(task.attempt) == address.attempt
    if called.remote_id is None:
        return Hint(is_due=is_current)
    if is_its_provider and task.remote_id == called.remote_id:
        return news(task) if called.is_over else NO_HINT
    if is_anothers:
        job = f"{address.provider} called about job {named((called.remote_id,))} for attempt {address.attempt}"
        log.warning("task %s: %s, which is another task's", task.id, job)
        return NO_HINT
    told = unused(address.provider, called.remote_id, address.attempt)
    if is_current and task.remote_id is None and task.status in OPEN:
        if may_be(task):
            return claim_of(task, called)
        told = contradiction(task, address, called.remote_id)
    return mention(task, called.remote_id, told)


def claim_of(task: Task, called: Called) -> Hint:
    """The job is asked about, and if it is there it is the task's. One that is over will not be called about again."""
    over = {"calls_back": False} if called.is_over else {}
    return Hint({"called_id": called.remote_id, "called_attempt": task.attempt, "looks": 0, **over}, is_due=True)


def news(task: Task) -> Hint:
    """The task's job is over, it says. From here on it is asked about as if nobody were going to call."""
    match task.status:
        case Status.RUNNING:
            return Hint({"calls_back": False}, is_due=True)
        case Status.UNKNOWN:
            return Hint({"looks": 0}, is_due=True)
        case _:
            return NO_HINT


def mention(task: Task, remote_id: str, told: str) -> Hint:
    """A job that cannot be used is named to whoever looks at the task, once."""
    warned = with_warning(task, remote_id, told)
    return NO_HINT if warned is task else Hint({"warnings": warned.warnings})


def contradiction(task: Task, address: Address, remote_id: str) -> str:
    """That the job is of something else than was asked for, by what the call says: a person has to look."""
    job = f"{address.provider} called about job {named((remote_id,))} for attempt {address.attempt}"
    attach = f"if it is this task's all the same: keyframe-mcp task {task.id} --attach JOB_ID"
    return f"{job}, which names another model or prompt than was sent; look at it there before paying again; {attach}"

"""The addresses that providers call when a job has ended. Each is for one attempt of one task, and signed by us."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from keyframe_mcp.engine.seal import Seal
from keyframe_mcp.settings.addresses import is_this_machine
from keyframe_mcp.task import Task

PURPOSE = "webhook"
PATH = "/webhooks"
TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
ATTEMPT = re.compile(r"[1-9][0-9]{0,8}")
SIGNATURE = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Address:
    """The last parts of an address that was called, as they came. `Callbacks.is_ours` says whether they are ours."""

    provider: str
    task_id: str
    attempt: str
    signature: str = field(repr=False)

    @property
    def is_one(self) -> bool:
        """Whether it could be ours by its looks."""
        fits = TASK_ID.fullmatch(self.task_id) and ATTEMPT.fullmatch(self.attempt)
        return bool(fits and SIGNATURE.fullmatch(self.signature))


@dataclass(frozen=True)
class Callbacks:
    """Makes them, and knows its own. `base_url` is where this server is reached from the internet, if it is."""

    seal: Seal | None = None
    base_url: str | None = None
    providers: Collection[str] = ()
    """Those that make calls."""
    arrived: set[str] = field(default_factory=set[str])
    """The providers whose calls have arrived since this process began: proof that the way is open."""

    def address(self, provider: str, task_id: str, attempt: int) -> str | None:
        """Where the provider is to call. None where it does not, or could not reach us. Raises `StoreUnusable`."""
        if self.seal is None or self.base_url is None or provider not in self.providers:
            return None
        signature = self.seal.sign(PURPOSE, provider, task_id, str(attempt))
        return f"{self.base_url}{PATH}/{provider}/{task_id}/{attempt}/{signature}"

    def example(self, provider: str) -> str | None:
        """Such an address with words in the place of a task, for people to read."""
        if self.base_url is None or provider not in self.providers:
            return None
        return f"{self.base_url}{PATH}/{provider}/TASK_ID/ATTEMPT/SIGNATURE"

    def is_ours(self, address: Address) -> bool:
        """Whether we have given it out. Raises `StoreUnusable`."""
        if self.seal is None or address.provider not in self.providers or not address.is_one:
            return False
        return self.seal.is_signed(address.signature, PURPOSE, address.provider, address.task_id, address.attempt)

    def is_expected(self, task: Task) -> bool:
        """Whether the provider is going to call about a task's job, as far as can be told."""
        return task.calls_back and task.provider in self.arrived


NO_CALLBACKS = Callbacks()


def callable_url(public_url: str | None, *, loopback: bool) -> str | None:
    """The public URL, where providers can call it: they do so over https only. `loopback` is for emulated ones."""
    if public_url is None:
        return None
    parts = urlsplit(public_url)
    if is_this_machine(parts.hostname or ""):
        return public_url if loopback else None
    return public_url if parts.scheme == "https" else None

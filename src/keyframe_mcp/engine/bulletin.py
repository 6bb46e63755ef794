"""Word that a task has moved, for those in this process who wait for it."""

from __future__ import annotations

from collections.abc import Collection, Generator
from contextlib import contextmanager

import anyio

WAKE = "wake"
"""What the runner listens to: some task may be due."""


class Listener:
    """Hears rings from the moment it was made, so that none is missed between looking and waiting."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def notify(self) -> None:
        """Something was rung."""
        self._event.set()

    async def wait(self, at_most: float) -> None:
        """Return when there was a ring since the last wait, or after `at_most` seconds."""
        with anyio.move_on_after(at_most):
            await self._event.wait()
        self._event = anyio.Event()


class Bulletin:
    """Wakes listeners. Other processes' moves are not heard here, so every wait also looks again after a while."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = {}
        self.is_closing = False
        """Whether the process is about to end, and nobody should go on waiting."""

    def ring(self, topic: str) -> None:
        """Wake everybody who listens to this topic."""
        for listener in self._listeners.get(topic, ()):
            listener.notify()

    def let_go(self) -> None:
        """Wake all who wait for a task: the process is about to end. The runner is stopped otherwise."""
        self.is_closing = True
        for topic in [each for each in self._listeners if each != WAKE]:
            self.ring(topic)

    @contextmanager
    def listening(self, topics: Collection[str]) -> Generator[Listener]:
        """Hear these topics for as long as the block lasts."""
        listener = Listener()
        for topic in topics:
            self._listeners.setdefault(topic, set()).add(listener)
        try:
            yield listener
        finally:
            for topic in topics:
                self._leave(topic, listener)

    def _leave(self, topic: str, listener: Listener) -> None:
        listeners = self._listeners.get(topic, set())
        listeners.discard(listener)
        if not listeners:
            self._listeners.pop(topic, None)

"""The media worker seen from the server: orders go out, facts come back.

Decoding strangers' files and drawing frames happens in a process of its own. A crash there is an error here, a
cancelled call kills it, its memory is returned when it has been idle, and it never sees the provider keys.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE
from typing import IO, TypeVar

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

import keyframe_mcp
from keyframe_mcp.errors import RenderFailed, by_kind
from keyframe_mcp.media.orders import Order, reply_type

Reply = TypeVar("Reply", bound=BaseModel)

LONGEST_LINE = 1 << 20
REUSE_WITHIN = 45  # seconds; shorter than the worker's own patience, so that a reused one is still there
LINE_TROUBLE = (
    anyio.EndOfStream,
    anyio.IncompleteRead,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.DelimiterNotFound,
    ValidationError,
)
SAFE_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LD_LIBRARY_PATH")


class Message(BaseModel):
    """One line from the worker: how far it is, or how the order ended."""

    model_config = ConfigDict(frozen=True)

    progress: float | None = None
    facts: dict[str, object] | None = None
    error: str | None = None
    kind: str = ""


class Workshop:
    """Runs orders, at most `places` at once, and keeps one finished worker warm for the next.

    Raises what the worker raised (`UnreadableImage`, `UnreadableVideo`, ...), or `RenderFailed` when it died.
    """

    def __init__(self, places: int | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._places = anyio.CapacityLimiter(places or max(1, min(4, os.cpu_count() or 1)))
        self._environment = clean_environment(os.environ if environment is None else environment)
        self._idle: list[Worker] = []

    async def run(
        self,
        order: Order[Reply],
        report: Callable[[float], None] = lambda _: None,
        *,
        time_limit: float = 600,
    ) -> Reply:
        """Carry out one order. `report` hears fractions from 0 to 1. Cancelling kills the worker."""
        try:
            with anyio.fail_after(time_limit):
                async with self._places:
                    return await self._carry_out(order, report)
        except TimeoutError:
            raise RenderFailed(f"{type(order).__name__} was stopped after {time_limit:g} s") from None

    async def _carry_out(self, order: Order[Reply], report: Callable[[float], None]) -> Reply:
        """With the warm worker if there is one; a new one takes over where that turns out to have died while idle."""
        try:
            if warm := await self._warm_worker():
                with suppress(NotTaken):
                    return await self._use(warm, order, report)
            return await self._use(await hire(self._environment), order, report)
        except DeadWorker as end:
            raise RenderFailed(str(end)) from None

    async def _use(self, worker: Worker, order: Order[Reply], report: Callable[[float], None]) -> Reply:
        """One order with one worker, which is kept if it is still good, and otherwise stopped."""
        try:
            return await worker.carry_out(order, report)
        finally:
            if worker.is_reusable and len(self._idle) < self._places.total_tokens:
                self._idle.append(worker)
            else:
                await worker.stop()

    async def aclose(self) -> None:
        """Stop the warm workers."""
        while self._idle:
            await self._idle.pop().stop()

    async def _warm_worker(self) -> Worker | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.is_reusable:
                return worker
            await worker.stop()
        return None


class DeadWorker(Exception):
    """The process ended, or said something that was no answer."""


class NotTaken(DeadWorker):
    """It had ended before it could take the order."""


class Worker:
    """One worker process. It reads an order a line and answers in lines."""

    def __init__(self, process: Process, complaints: IO[bytes]) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the worker needs pipes for standard input and output")
        self._process = process
        self._orders = process.stdin
        self._lines = BufferedByteReceiveStream(process.stdout)
        self._complaints = complaints
        self._last_used = anyio.current_time()
        self._is_idle = True

    @property
    def is_reusable(self) -> bool:
        """Whether the process can surely take another order: one that was interrupted in its work cannot."""
        fresh = anyio.current_time() - self._last_used < REUSE_WITHIN
        return self._is_idle and fresh and self._process.returncode is None

    async def carry_out(self, order: Order[Reply], report: Callable[[float], None]) -> Reply:
        """Send one order and read until its end. Raises what the worker raised, `NotTaken` or `DeadWorker`."""
        line = json.dumps({"order": type(order).__name__, "arguments": order.model_dump(mode="json")})
        self._is_idle = False
        try:
            await self._orders.send(line.encode() + b"\n")
        except LINE_TROUBLE:
            raise NotTaken(await self._epitaph()) from None
        try:
            while (message := await self._hear()).progress is not None:
                report(message.progress)
        except LINE_TROUBLE:
            raise DeadWorker(await self._epitaph()) from None
        self._is_idle, self._last_used = True, anyio.current_time()
        if message.error is not None:
            raise by_kind().get(message.kind, RenderFailed)(message.error)
        return TypeAdapter(reply_type(order)).validate_python(message.facts, strict=False)

    async def _hear(self) -> Message:
        return Message.model_validate_json(await self._lines.receive_until(b"\n", LONGEST_LINE))

    async def stop(self) -> None:
        """End the process, if need be by force."""
        with anyio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.aclose()
            self._complaints.close()

    async def _epitaph(self) -> str:
        """Why the process died, as far as it said so."""
        with anyio.move_on_after(1, shield=True):
            await self._process.wait()
        self._complaints.seek(0)
        said = self._complaints.read(1 << 16).decode("utf-8", "replace").strip().splitlines()[-1:]
        return f"the media worker stopped (exit code {self._process.returncode}){': ' + said[0][:300] if said else ''}"


async def hire(environment: Mapping[str, str]) -> Worker:
    """Start a worker process. Not to be cancelled half-way: what was started must also be stopped."""
    complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
    # -P: the working folder is the host's, often a stranger's project; a numpy.py in it must not be run as ours
    command = [sys.executable, "-P", "-m", "keyframe_mcp.media"]
    workers: list[Worker] = []
    try:
        with anyio.CancelScope(shield=True):
            process = await anyio.open_process(command, stdin=PIPE, stdout=PIPE, stderr=complaints, env=environment)
            workers.append(Worker(process, complaints))
    except OSError as error:
        complaints.close()
        raise RenderFailed(f"the media worker could not be started: {error}") from None
    return workers[0]


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What the worker may see: enough to start Python, and no key."""
    kept = {name: environment[name] for name in SAFE_VARIABLES if name in environment}
    own = {"PYTHONPATH": str(Path(keyframe_mcp.__file__).parent.parent)}
    return kept | own | {"PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}

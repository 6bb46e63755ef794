"""A provider on a loopback port: what all five emulators have in common.

The server runs in the event loop of whoever opens it, with uvicorn's protocol on a socket of its own: no signals, no
threads, and nothing to wait for at the end. A blocking client reaches it from a thread (`anyio.to_thread`).

    async with WaveSpeed() as provider:
        provider.next("submit", Reset(recorded=True))
        ...
        assert len(provider.jobs) == 1
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, ClassVar, Self, cast
from urllib.parse import quote
from uuid import uuid4

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from emulators import films, results
from emulators.callbacks import Calls, Sign, by_replicate
from emulators.faults import Answer, Fault
from emulators.jobs import Asked, Fate, Job, Pace, Part, Stage, Stored, Uploaded

HOST = "127.0.0.1"
EMULATED_KEY = "emulated-key"

Handler = Callable[[Request, Asked], Awaitable[Response]]
Observer = Callable[[Asked, str], None]
"""Hears of every request and what became of it."""


class Protocol(H11Protocol):
    """Leaves the connection itself where an answer can get at it, to cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] - as the parent has it
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class Refused(Exception):
    """The provider says no, in the words and the shape of its own."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Emulator(ABC):
    """A provider with its books open. `key` is the one it accepts; `clock` says what time it is, in epoch seconds.

    `by_hand`: a person is trying things, and shall see that inputs matter. Films then differ with what was asked for.
    """

    name: ClassVar[str]
    open_kinds: ClassVar[frozenset[str]] = frozenset({"download"})
    """The kinds of call that need no key."""

    signs: ClassVar[Sign] = staticmethod(by_replicate)
    """How it signs its own calls, where it makes any."""

    result_seconds: float = 3600
    """How long a result can be downloaded after its job ended."""
    upload_seconds: float = 24 * 3600

    def __init__(
        self,
        *,
        key: str = EMULATED_KEY,
        clock: Callable[[], float] = time.time,
        pace: Pace | None = None,
        port: int = 0,
        observer: Observer | None = None,
        by_hand: bool = False,
    ) -> None:
        self.key = key
        self.clock = clock
        self.pace = pace or Pace()
        self.port = port
        self.jobs: list[Job] = []
        self.requests: list[Asked] = []
        self.uploads: list[Uploaded] = []
        self.files: dict[str, Stored] = {}
        self.film = results.mp4()
        """What jobs make."""
        self.by_hand = by_hand
        self.calls = Calls(type(self).signs, clock, f"whsec_{base64.b64encode(uuid4().bytes + uuid4().bytes).decode()}")
        """What it calls its customers about, where it does."""
        self.calls_by_itself = True
        """Whether it calls as soon as a job begins and ends. Without, a test says when: `call_back`."""
        self._calling: set[asyncio.Task[object]] = set()
        self._observer = observer
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._fates: deque[Fate] = deque()
        self._released = anyio.Event()
        self._news = anyio.Event()
        self._server: asyncio.Server | None = None
        self._state = ServerState()

    # What a test says to it

    def next(self, kind: str, *faults: Fault, times: int = 1) -> None:
        """Let the next calls of a kind go wrong, one fault each, the whole list `times` over."""
        self._faults[kind].extend(faults * times)

    def limit(self, kind: str, *, times: int = 1, retry_after: float | None = None) -> None:
        """Refuse the next calls of a kind because there were too many, with or without `Retry-After`."""
        headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
        throttled = self.throttled()
        self.next(kind, Answer(throttled.status, throttled.body, {**throttled.headers, **headers}), times=times)

    def will(self, *fates: Fate) -> None:
        """Decide how the next jobs end, one fate each. Jobs without a fate succeed."""
        self._fates.extend(fates)

    def release(self) -> None:
        """Let go of every call that hangs."""
        self._released.set()
        self._released = anyio.Event()

    def asked(self, kind: str) -> list[Asked]:
        """The requests of one kind so far."""
        return [each for each in self.requests if each.kind == kind]

    async def until_asked(self, kind: str, times: int = 1, seconds: float = 10) -> Asked:
        """The request that made it so many of a kind, as soon as it is in the books. Raises `TimeoutError`."""
        with anyio.fail_after(seconds):
            while len(self.asked(kind)) < times:
                await self._news.wait()
        return self.asked(kind)[times - 1]

    async def call_back(self, job: Job, *, call_id: str | None = None) -> int:
        """Call a job's customer about it as it is now, and again until it is heard. The last answer."""
        assert job.webhook is not None
        return await self.calls.make(self.calls.call(job.webhook, self.told(job), call_id))

    async def _follow(self, job: Job) -> None:
        """Call when a job ends: by the clock, or when somebody has looked often enough."""
        if "start" in job.details.get("events", ()):
            await self.call_back(job)
        while self.look(job, counts=False) is not Stage.OVER:
            await asyncio.sleep(0.02)
        await self.call_back(job)

    def _call_later(self, calling: Coroutine[object, object, object]) -> None:
        task = asyncio.ensure_future(calling)
        self._calling.add(task)
        task.add_done_callback(self._calling.discard)

    # What each provider has of its own

    def told(self, job: Job) -> dict[str, Any]:
        """What a call says of a job, where the provider calls."""
        raise NotImplementedError

    @abstractmethod
    def routes(self) -> list[BaseRoute]:
        """The paths it answers on, made with `route`."""

    @property
    @abstractmethod
    def base_url(self) -> str:
        """What a client of this provider is configured with."""

    @abstractmethod
    def unauthorized(self) -> Answer:
        """Its answer to a wrong key."""

    @abstractmethod
    def throttled(self) -> Answer:
        """Its answer to too many requests."""

    @abstractmethod
    def nowhere(self, status: int) -> Answer:
        """Its answer on a path (404) or to a method (405) it does not have."""

    def new_id(self) -> str:
        """An id in the style of the house."""
        return uuid4().hex

    def finish(self, job: Job) -> None:
        """Make what a job that has just succeeded leaves behind."""
        job.outputs = [self.publish(self.film_of(job), results.MP4, "output.mp4")]

    def film_of(self, job: Job) -> bytes:
        """What a job has made: one film for all tests, one of its own for a person."""
        return films.film(job.inputs, self.jobs.index(job)) if self.by_hand else self.film

    def dress(self, response: Response) -> Response:
        """Add the headers that every answer has."""
        return response

    # What they share

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    def route(self, method: str, path: str, kind: str, handler: Handler) -> Route:
        """A path, what a call to it is for, and what answers it."""

        async def endpoint(request: Request) -> Response:
            return self.dress(await self._answer(request, kind, handler))

        return Route(path, endpoint, methods=[method])

    def record(self, model: str, inputs: Mapping[str, Any], webhook: str | None = None, **details: Any) -> Job:
        """Enter a job into the books: from here on it exists, and costs."""
        fate = self._fates.popleft() if self._fates else Fate()
        job = Job(self.new_id(), model, dict(inputs), self.clock(), self.pace, fate, webhook, details)
        self.jobs.append(job)
        if webhook is not None and webhook.startswith(f"http://{HOST}:") and self.calls_by_itself:
            self._call_later(self._follow(job))
        return job

    def job(self, job_id: object) -> Job | None:
        """The job with that id."""
        return next((job for job in self.jobs if job.id == job_id), None)

    def look(self, job: Job, *, counts: bool = True) -> Stage:
        """Where a job is now. A look that counts brings it closer to its end."""
        job.checks += counts
        stage = job.stage(self.clock())
        if stage is Stage.OVER and job.finished_at is None:
            self.end(job, job.ended_at(self.clock()))
        return stage

    def end(self, job: Job, at: float) -> None:
        """Let a job end as its fate has it."""
        job.finished_at, job.status = at, job.fate.status
        if job.status is None:
            self.finish(job)

    def publish(self, content: bytes, content_type: str, name: str, seconds: float | None = None) -> str:
        """Put a file where it can be fetched, and its address."""
        path = f"/files/{uuid4().hex}/{quote(name)}"
        lasts = self.result_seconds if seconds is None else seconds
        self.files[path] = Stored(content, content_type, self.clock() + lasts)
        return self.url + path

    def keep(self, part: Part, route: str) -> Uploaded:
        """Enter an upload into the books and make it fetchable."""
        name, kind = part.filename or "upload", part.content_type or "application/octet-stream"
        url = self.publish(part.content, kind, name, self.upload_seconds)
        self.uploads.append(Uploaded(url, part.content, kind, name, route, self.clock()))
        return self.uploads[-1]

    def can_fetch(self, url: object) -> bool:
        """Whether the provider would get anything there. Addresses elsewhere are taken on trust."""
        if not isinstance(url, str) or not url.startswith(f"{self.url}/files/"):
            return True
        stored = self.files.get(url.removeprefix(self.url))
        return stored is not None and stored.expires_at > self.clock()

    def is_known(self, asked: Asked) -> bool:
        """Whether the caller has the key."""
        return asked.headers.get("authorization") == f"Bearer {self.key}"

    async def download(self, request: Request, asked: Asked) -> Response:
        """A file, while it lasts. The address is not signed, and what has expired looks like what never was."""
        stored = self.files.get(request.scope["raw_path"].decode())
        if stored is None or stored.expires_at <= self.clock():
            return Response(b"<Error><Code>AccessDenied</Code></Error>", 403, media_type="application/xml")
        return Response(stored.content, media_type=stored.content_type)

    async def _answer(self, request: Request, kind: str, handler: Handler) -> Response:
        """Write the request down, then answer it: honestly, or as the next fault has it."""
        asked = await read(request, kind, self.clock())
        self.requests.append(asked)
        self._news.set()
        self._news = anyio.Event()

        async def proceed() -> Response:
            if kind not in self.open_kinds and not self.is_known(asked):
                return self.unauthorized().response()
            try:
                return await handler(request, asked)
            except Refused as refused:
                return refused.answer.response()

        fault = self._faults[kind].popleft() if self._faults[kind] else None
        response = await (fault.meet(proceed, self._released) if fault else proceed())
        if self._observer is not None:
            self._observer(asked, repr(fault) if fault else str(response.status_code))
        return response

    async def _lost(self, request: Request, error: Exception) -> Response:
        """The answer on a path or to a method that is not there."""
        status = int(getattr(error, "status_code", 404))
        asked = await read(request, "nowhere", self.clock())
        self.requests.append(asked)
        if self._observer is not None:
            self._observer(asked, str(status))
        return self.dress(self.nowhere(status).response())

    # Opening and closing

    async def __aenter__(self) -> Self:
        """Listen. Opening one again after it was closed brings it back on the same port, books and all."""
        files = [self.route("GET", "/files/{path:path}", "download", self.download)]
        app = Starlette(routes=[*files, *self.routes()], exception_handlers={404: self._lost, 405: self._lost})
        config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off")
        config.load()
        self._state = ServerState()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Protocol(config, self._state, {}, loop), HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening and drop every connection, also those that hang."""
        for each in self._calling:
            each.cancel()
        server = cast("asyncio.Server", self._server)
        server.close()
        self.release()
        for connection in list(self._state.connections):
            connection.transport.abort()
        if self._state.tasks:
            await asyncio.wait(list(self._state.tasks), timeout=5)
        await server.wait_closed()


async def read(request: Request, kind: str, now: float) -> Asked:
    """A request, as the books keep it."""
    body = await request.body()
    content_type = request.headers.get("content-type", "")
    parts: list[Part] = []
    if content_type.startswith("multipart/form-data"):
        async with request.form() as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    parts.append(Part(name, await value.read(), value.filename, value.content_type))
                else:
                    parts.append(Part(name, value.encode()))
    return Asked(
        kind=kind,
        method=request.method,
        path=request.url.path,
        query=dict(request.query_params),
        headers=dict(request.headers),
        body=body,
        json=parsed(body) if "json" in content_type else None,
        parts=tuple(parts),
        at=now,
    )


def parsed(body: bytes) -> Any:
    """A body as JSON. None when it is not."""
    try:
        return json.loads(body)
    except ValueError:
        return None

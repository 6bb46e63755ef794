"""What the tests share: pictures drawn on the spot, a provider that does as it is told, and an engine around them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from PIL import Image, ImageDraw

from keyframe_mcp import catalog as catalogs
from keyframe_mcp.adapters.base import Accepted, Found, Job, Outgoing, Report, Sent
from keyframe_mcp.app import Application, open_application
from keyframe_mcp.engine import Caller, Engine
from keyframe_mcp.engine.budget import NO_BUDGET, Budget
from keyframe_mcp.engine.bulletin import Bulletin
from keyframe_mcp.engine.choosing import Choosing
from keyframe_mcp.engine.films import Films
from keyframe_mcp.engine.intake import Intake
from keyframe_mcp.engine.keeper import Keeper
from keyframe_mcp.engine.ownership import Ownership
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.engine.pictures import Pictures
from keyframe_mcp.engine.seal import Seal
from keyframe_mcp.engine.settling import Settling
from keyframe_mcp.engine.sources import Sources
from keyframe_mcp.engine.steps import Steps
from keyframe_mcp.engine.submitting import Rules
from keyframe_mcp.media.fetch import Fetcher
from keyframe_mcp.media.files import Folders
from keyframe_mcp.media.orders import RenderVideo
from keyframe_mcp.media.workshop import Workshop
from keyframe_mcp.settings import Settings, read_settings
from keyframe_mcp.store import Limits
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Inputs, Mode, Picture, Status

BRISK = Pace(poll=0.02, place=0.02, busy=0.05, trouble=0.05, saving=0.1, looks=(0.05, 0.1))
ME = Caller(owner="me", may_name_files=True)
OWNERSHIP = Ownership(Seal(lambda: bytes(32)))

PAID_PROVIDER = """
name = "A provider that bills"
dialect = "scripted"
docs = "tests/studio.py"
results_seconds = 600
cancel = true
[pictures]
by = "upload"
formats = ["png", "jpeg"]
kept_seconds = 86400
[[models]]
id = "film"
remote = "film-v1"
title = "Film"
modes = ["t2v", "flf2v"]
source = "tests/studio.py"
verified = 2026-11-20
confidence = "H"
prices = [{ usd = 0.5, per = "second" }]
[models.inputs]
prompt = { type = "string", required = true, modes = ["t2v"] }
first_image = { type = "image", required = true, modes = ["flf2v"] }
last_image = { type = "image", required = true, modes = ["flf2v"] }
duration = { type = "integer", values = [5, 10], default = 5 }
"""


def picture(path: Path, shade: int = 120, size: tuple[int, int] = (320, 192), shift: int = 0) -> Path:
    """A picture with enough in it to find its way about."""
    image = Image.new("RGB", size, (shade, 90, 200 - shade // 2))
    draw = ImageDraw.Draw(image)
    for number in range(60):
        x, y = (number * 73 + shift) % size[0], (number * 41) % size[1]
        colour = (number * 37 % 255, number * 91 % 255, number * 17 % 255)
        draw.rectangle((x, y, x + 6 + number % 19, y + 5 + number % 13), fill=colour)
    image.save(path)
    return path


@dataclass
class Clock:
    """Time that moves when a test says so."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class ScriptedProvider:
    """An adapter whose every answer is decided by the test. What it was asked is in `jobs` and `checks`."""

    idempotent: bool = False
    poll_seconds: float = 0.01
    account: str = "scripted"
    on_send: Callable[[Picture], Sent | Exception] = lambda picture: Sent(
        text=f"https://provider.test/{picture.content}", kept_seconds=86400
    )
    on_quote: Callable[[Job], float | None] = lambda _: None
    on_submit: Callable[[Job], Accepted | str | Exception] = lambda job: f"remote-{job.task_id}-{job.attempt}"
    on_check: Callable[[str], Report | Exception] = lambda _: Report(status=Status.RUNNING, native_status="rendering")
    on_find: Callable[[Job, float], Found | Exception | None] = lambda _job, _sent_at: None
    on_reach: Callable[[], Exception | None] = lambda: None
    on_cancel: Callable[[str], Exception | None] = lambda _: None
    can_cancel: bool = True
    sent: list[Picture] = field(default_factory=list[Picture])
    jobs: list[Job] = field(default_factory=list[Job])
    reached: int = 0
    checks: list[str] = field(default_factory=list[str])
    cancelled: list[str] = field(default_factory=list[str])
    forgotten: list[str] = field(default_factory=list[str])

    async def send(self, picture: Picture) -> Sent:
        self.sent.append(picture)
        answer = self.on_send(picture)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def quote(self, job: Job) -> float | None:
        return self.on_quote(job)

    def describe(self, job: Job) -> Outgoing:
        return Outgoing(method="POST", url="https://provider.test/jobs", headers={}, body=dict(job.wire))

    def credentials(self, url: str) -> dict[str, str]:
        return {}

    async def submit(self, job: Job) -> Accepted:
        self.jobs.append(job)
        answer = self.on_submit(job)
        if isinstance(answer, Exception):
            raise answer
        return Accepted(remote_id=answer) if isinstance(answer, str) else answer

    async def reach(self) -> None:
        self.reached += 1
        if trouble := self.on_reach():
            raise trouble

    async def check(self, remote_id: str) -> Report:
        self.checks.append(remote_id)
        answer = self.on_check(remote_id)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def find(self, job: Job, sent_at: float) -> Found | None:
        answer = self.on_find(job, sent_at)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def cancel(self, remote_id: str) -> bool:
        self.cancelled.append(remote_id)
        if trouble := self.on_cancel(remote_id):
            raise trouble
        return self.can_cancel

    async def forget(self, remote_id: str) -> None:
        self.forgotten.append(remote_id)

    async def aclose(self) -> None:
        return None


@dataclass(frozen=True)
class Studio:
    """An engine with one paid provider, moved by hand: no runner, so a test sees every step."""

    folder: Path
    clock: Clock
    provider: ScriptedProvider
    store: SqliteStore
    engine: Engine
    steps: Steps
    workshop: Workshop

    async def start(self, prompt: str = "a heron takes off", **more: object) -> str:
        """The id of a new task."""
        request = Inputs.model_validate({"mode": Mode.T2V, "prompt": prompt} | more)
        return (await self.engine.start(ME, request, model="paid/film")).task.id

    async def clip(self, name: str = "made.mp4") -> Path:
        """A short real video, as a provider would have made it."""
        to = self.folder / name
        await self.workshop.run(RenderVideo(mode=Mode.T2V, prompt=name, to=to, duration=1, fps=8))
        return to


@asynccontextmanager
async def open_studio(
    folder: Path,
    provider: ScriptedProvider | None = None,
    *,
    budget: Budget = NO_BUDGET,
    limits: Limits | None = None,
) -> AsyncGenerator[Studio]:
    """A studio in a folder. Opening one again in the same folder is a restart."""
    rules = Rules(budget, {} if limits is None else {"paid": limits})
    (folder / "catalogue").mkdir(exist_ok=True)
    (folder / "catalogue" / "paid.toml").write_text(PAID_PROVIDER)
    provider, clock, bulletin, workshop = provider or ScriptedProvider(), Clock(), Bulletin(), Workshop()
    catalog = catalogs.load(folder / "catalogue")
    store = SqliteStore(folder / "tasks.db", clock)
    sources = Sources(
        store,
        Folders((folder,), folder),
        Fetcher(loopback=True).fetch,
        workshop,
        OWNERSHIP,
        folder=folder / "pictures",
        outputs=folder / "out",
    )
    keeper = Keeper(folder / "out", workshop, Fetcher(loopback=True).fetch, made_in=folder, clock=clock)
    steps = Steps(catalog, {"paid": provider}, store, keeper, Pictures(store, clock), bulletin, clock, rules=rules)
    engine = Engine(
        catalog=catalog,
        adapters={"paid": provider},
        store=store,
        intake=Intake(Choosing(catalog, {"paid"}, None), sources, budget),
        films=Films(sources, workshop, folder / "out", catalog, OWNERSHIP),
        settling=Settling({"paid": provider}, store, budget, bulletin, clock),
        budget=budget,
        bulletin=bulletin,
        clock=clock,
    )
    try:
        yield Studio(folder, clock, provider, store, engine, steps, workshop)
    finally:
        with anyio.CancelScope(shield=True):
            await workshop.aclose()
            await store.aclose()


def settings_in(folder: Path, **more: str) -> Settings:
    """Settings that keep everything inside one folder."""
    environment = {"KEYFRAME_OUTPUT_DIR": str(folder / "out"), "KEYFRAME_STATE_DIR": str(folder / "state")} | more
    return read_settings(environment, folder, Path("/nonexistent-home"))


@asynccontextmanager
async def open_server_inside(folder: Path, **more: str) -> AsyncGenerator[Application]:
    """The whole application, with the embedded renderer and its runner."""
    async with open_application(settings_in(folder, **more), folder, pace=BRISK) as application:
        yield application

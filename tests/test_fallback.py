"""Going on to the next model: when it is sure that nothing was charged, and never when it may have been."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import anyio
import pytest

from emulators.faults import Answer, Reset
from keyframe_mcp import catalog as catalogs
from keyframe_mcp.adapters.base import Accepted, Job, Report, Sent
from keyframe_mcp.engine import Rehearsal
from keyframe_mcp.engine.budget import NO_BUDGET, Budget
from keyframe_mcp.engine.choosing import Choosing
from keyframe_mcp.engine.sources import Original, Sources, Wanted
from keyframe_mcp.engine.steps import Steps
from keyframe_mcp.engine.submitting import Rules
from keyframe_mcp.errors import (
    ContentRejected,
    CredentialRefused,
    GenerationFailed,
    InvalidInput,
    KeyframeError,
    MissingCredential,
    NotReady,
    PaymentNeeded,
    ProviderBusy,
    ProviderRefused,
    ProviderUnavailable,
    RenderFailed,
    SubmissionUncertain,
    UnexpectedReply,
    UnknownModel,
)
from keyframe_mcp.media.fetch import Fetcher
from keyframe_mcp.media.files import Folders
from keyframe_mcp.task import Failure, Inputs, Mode, Picture, Status, Task
from studio import ME, OWNERSHIP, PAID_PROVIDER, ScriptedProvider, Studio, open_studio, picture
from systems import open_systems

HEAD, _, FILM = PAID_PROVIDER.partition("[[models]]")
OTHER = HEAD.replace("A provider that bills", "Another") + "".join(
    "[[models]]" + FILM.replace('"film"', f'"{name}"').replace("film-v1", f"{name}-v1").replace("0.5", usd)
    for name, usd in (("reel", "0.6"), ("tape", "0.7"))
)
THIRD = (HEAD.replace("A provider that bills", "A third") + "[[models]]" + FILM.replace("0.5", "0.9")).replace(
    'by = "upload"', 'by = "url"'
)
CATALOGUE = {"paid": PAID_PROVIDER, "other": OTHER, "third": THIRD}
PLAN = ["paid/film", "other/reel", "third/film", "other/tape"]


@dataclass(frozen=True)
class Market:
    """An engine with three paid providers, the cheapest first, moved by hand."""

    studio: Studio
    steps: Steps
    providers: dict[str, ScriptedProvider]

    async def start(self, model: str | None = None, *, fallback: bool = True, **words: object) -> str:
        request = Inputs.model_validate({"mode": Mode.T2V, "prompt": "a heron takes off"} | words)
        return (await self.studio.engine.start(ME, request, model=model, fallback=fallback)).task.id

    async def rehearse(self, model: str | None = None, *, fallback: bool = True, **words: object) -> Rehearsal:
        request = Inputs.model_validate({"mode": Mode.T2V, "prompt": "a heron takes off"} | words)
        return await self.studio.engine.rehearse(ME, request, model=model, fallback=fallback)

    async def advanced(self, task_id: str, times: int = 1) -> Task:
        for _ in range(times):
            await self.steps.advance(task_id)
        return await self.studio.store.get(task_id)

    @property
    def jobs(self) -> list[str]:
        """Every job that was submitted, by whom."""
        return [f"{name}:{job.model}" for name, each in self.providers.items() for job in each.jobs]


def answering(error: Exception) -> ScriptedProvider:
    return ScriptedProvider(on_submit=lambda _: error)


@asynccontextmanager
async def open_market(
    folder: Path,
    budget: Budget = NO_BUDGET,
    default: str | None = None,
    catalogue: Mapping[str, str] = CATALOGUE,
    **providers: ScriptedProvider,
) -> AsyncGenerator[Market]:
    """Providers that are not given take every job."""
    async with open_studio(folder, budget=budget) as studio:
        for name, text in catalogue.items():
            (folder / "catalogue" / f"{name}.toml").write_text(text)
        catalog = catalogs.load(folder / "catalogue")
        everyone = {name: providers.get(name, ScriptedProvider(account=name)) for name in catalogue}
        choosing = Choosing(catalog, everyone.keys(), default)
        intake = replace(studio.engine.intake, choosing=choosing)
        engine = replace(studio.engine, catalog=catalog, intake=intake)
        steps = replace(studio.steps, catalog=catalog, adapters=everyone, rules=Rules(budget))
        yield Market(replace(studio, engine=engine), steps, everyone)


def other_models(task: Task) -> list[str]:
    return [plan.model for plan in task.alternatives]


async def test_a_task_with_fallback_holds_the_next_models_one_of_each_provider_first(tmp_path: Path):
    async with open_market(tmp_path) as market:
        task = await market.studio.store.get(await market.start())
        assert [task.model, *other_models(task)] == PLAN
        assert other_models(await market.studio.store.get(await market.start("other/tape"))) == [
            "paid/film",
            "third/film",
            "other/reel",
        ]


async def test_without_fallback_there_is_no_next_model(tmp_path: Path):
    async with open_market(tmp_path, paid=answering(ProviderRefused("no such size"))) as market:
        task = await market.advanced(await market.start(fallback=False), 2)

        assert task.failure is not None
        assert (task.status, task.failure.message) == (Status.FAILED, "no such size")
        assert market.jobs == ["paid:film-v1"]


@pytest.mark.parametrize(
    "refusal",
    [
        ProviderRefused("no such size"),
        CredentialRefused("bad key"),
        PaymentNeeded("no credit"),
        MissingCredential("no key"),
    ],
)
async def test_a_refusal_moves_the_task_to_the_next_model_under_the_same_id(tmp_path: Path, refusal: KeyframeError):
    async with open_market(tmp_path, paid=answering(refusal)) as market:
        task_id = await market.start(duration=10)
        moved = await market.advanced(task_id)
        assert (moved.status, moved.model, moved.provider) == (Status.QUEUED, "other/reel", "other")
        assert moved.failure is None
        assert moved.warnings == (f"paid/film refused ({refusal}; nothing was charged); trying other/reel for $6",)
        assert (moved.cost and moved.cost.estimated_usd, moved.counted_usd) == (6, 6)

        store = market.studio.store
        assert (await store.next_due({"paid"}), await store.next_due({"other"})) == (None, 0)  # whose work it is now

        task = await market.advanced(task_id)
        assert (task.id, task.status, task.remote_id) == (task_id, Status.RUNNING, f"remote-{task_id}-{task.attempt}")
        assert market.jobs == ["paid:film-v1", "other:reel-v1"]
        assert await market.studio.store.counted(0) == 6


@pytest.mark.parametrize(
    "promise", ["; it is asked again", "; it is asked again at 12:00:00 UTC", "; it is tried again by itself"]
)
async def test_a_provider_that_is_left_is_not_said_to_be_asked_again(tmp_path: Path, promise: str):
    out = ProviderUnavailable(f"Paid did not answer (timeout; 3 s){promise}")
    async with open_market(tmp_path, paid=answering(out)) as market:
        moved = await market.advanced(await market.start())

        assert moved.warnings[0].startswith(
            "paid/film is out of reach (Paid did not answer (timeout; 3 s); nothing was charged); trying other/reel"
        )
        assert moved.refused == ("paid/film: Paid did not answer (timeout; 3 s)",)


async def test_what_moderation_has_declined_is_not_offered_to_the_next_provider(tmp_path: Path):
    async with open_market(tmp_path, paid=answering(ContentRejected("not this"))) as market:
        task = await market.advanced(await market.start(), 2)

        assert task.failure is not None
        assert (task.status, task.failure.kind, task.failure.message) == (Status.FAILED, "content_rejected", "not this")
        assert (market.jobs, task.counted_usd) == (["paid:film-v1"], 0)


@pytest.mark.parametrize(
    ("doubt", "looks_like"),
    [
        (SubmissionUncertain("timed out"), Status.UNKNOWN),
        (UnexpectedReply("odd"), Status.UNKNOWN),
        (RuntimeError("broke"), Status.UNKNOWN),
        (ProviderBusy("429"), Status.QUEUED),
        (GenerationFailed("it says it failed"), Status.FAILED),
        (ProviderUnavailable("held up", is_held_up=True), Status.QUEUED),
    ],
)
async def test_what_may_be_charged_or_only_has_to_wait_moves_nothing(
    tmp_path: Path, doubt: Exception, looks_like: Status
):
    async with open_market(tmp_path, paid=answering(doubt)) as market:
        task_id = await market.start()
        task = await market.advanced(task_id)
        assert (task.status, task.model) == (looks_like, "paid/film")

        await market.advanced(task_id, 4)
        assert set(market.jobs) == {"paid:film-v1"}
        assert len(market.jobs) == 1 or looks_like is Status.QUEUED


async def test_a_job_that_fails_at_the_provider_is_not_made_elsewhere(tmp_path: Path):
    failed = Report(status=Status.FAILED, failure=Failure.of(GenerationFailed("out of memory")))
    async with open_market(tmp_path, paid=ScriptedProvider(on_check=lambda _: failed)) as market:
        task = await market.advanced(await market.start(), 3)

        assert (task.status, task.model) == (Status.FAILED, "paid/film")
        assert market.jobs == ["paid:film-v1"]


async def test_a_provider_that_is_out_of_reach_is_left_for_another_one(tmp_path: Path):
    out = ProviderUnavailable("no connection; nothing was sent")
    async with open_market(tmp_path, other=answering(out)) as market:
        task = await market.advanced(await market.start("other/reel"))

        assert (task.model, other_models(task)) == ("paid/film", ["third/film"])  # other/tape would be out of reach too
        assert "other/reel is out of reach (no connection" in task.warnings[0]
        assert task.warnings[1] == "other/tape: not tried, being of the same provider"


async def test_where_all_others_are_of_the_same_provider_the_task_waits_for_it(tmp_path: Path):
    out = ProviderUnavailable("no connection; nothing was sent")
    async with open_market(tmp_path, other=answering(out), paid=answering(ProviderRefused("x"))) as market:
        task_id = await market.start("third/film")
        third = market.providers["third"]
        third.on_submit = lambda _: ProviderRefused("x")
        task = await market.advanced(task_id, 3)
        assert (task.status, task.model, other_models(task)) == (Status.QUEUED, "other/reel", ["other/tape"])
        assert task.failure is not None
        assert task.failure.kind == "provider_unavailable"

        market.providers["other"].on_submit = lambda job: f"remote-{job.model}"
        assert (await market.advanced(task_id)).remote_id == "remote-reel-v1"


async def test_a_provider_whose_circuit_is_open_is_left_without_being_asked(tmp_path: Path):
    out = ProviderUnavailable("no connection; nothing was sent")
    async with open_market(tmp_path, paid=answering(out)) as market:
        for number in range(5):
            await market.advanced(await market.start("paid/film", fallback=False, prompt=f"heron {number}"))
        asked = len(market.providers["paid"].jobs)
        task = await market.advanced(await market.start())

        assert task.model == "other/reel"
        assert "did not answer 5 times in a row" in task.warnings[0]
        assert len(market.providers["paid"].jobs) == asked


async def test_when_every_model_refuses_the_error_names_each_with_its_reason(tmp_path: Path):
    async with open_market(
        tmp_path,
        paid=answering(ProviderRefused("no herons.")),
        other=answering(CredentialRefused("bad key")),
        third=answering(PaymentNeeded("no credit")),
    ) as market:
        task = await market.advanced(await market.start(), 5)

        assert task.status is Status.FAILED
        assert task.failure is not None
        assert task.failure.message == (
            "no model made it, and nothing was charged. paid/film: no herons; other/reel: bad key; "
            "other/tape: not tried, being of the same provider; third/film: no credit"
        )
        assert (task.counted_usd, await market.studio.store.counted(0)) == (0, 0)
        assert market.jobs == ["paid:film-v1", "other:reel-v1", "third:film-v1"]


async def test_a_picture_that_cannot_be_brought_over_moves_the_task_and_each_provider_gets_its_own(tmp_path: Path):
    def refuses(_: object) -> Sent | Exception:
        return ProviderRefused("too large a picture")

    first, last = picture(tmp_path / "a.png"), picture(tmp_path / "b.png", shift=9)
    async with open_market(tmp_path, paid=ScriptedProvider(on_send=refuses)) as market:
        task_id = await market.start(mode=Mode.FLF2V, prompt=None, first_image=str(first), last_image=str(last))
        before = await market.studio.store.get(task_id)
        assert other_models(before) == ["other/reel", "other/tape"]  # the third takes only https URLs
        task = await market.advanced(task_id, 2)

        assert (task.status, task.model) == (Status.RUNNING, "other/reel")
        assert {each.content for each in market.providers["other"].sent} == {
            each.content for each in before.pictures.values()
        }
        assert market.jobs == ["other:reel-v1"]


async def test_a_quote_over_the_budget_moves_the_task_and_the_next_provider_is_asked_for_its_price(tmp_path: Path):
    quoted: list[str] = []

    def dear(_: Job) -> float:
        return 50.0

    def fair(job: Job) -> float:
        quoted.append(job.model)
        return 2.75

    paid, other = ScriptedProvider(on_quote=dear), ScriptedProvider(on_quote=fair)
    async with open_market(tmp_path, Budget(per_task=4), paid=paid, other=other) as market:
        task_id = await market.start()
        moved = await market.advanced(task_id)
        assert "paid/film is too dear (this would cost $50" in moved.warnings[0]
        assert moved.counted_usd == 3

        task = await market.advanced(task_id)
        assert (task.status, task.counted_usd, quoted) == (Status.RUNNING, 2.75, ["reel-v1"])
        assert market.jobs == ["other:reel-v1"]


async def test_models_that_alone_cost_too_much_are_no_alternatives(tmp_path: Path):
    async with open_market(tmp_path, Budget(per_task=3.2)) as market:
        assert other_models(await market.studio.store.get(await market.start())) == ["other/reel"]
    async with open_market(tmp_path, Budget(per_task=2.6)) as market:
        (warning,) = (await market.rehearse(prompt="another")).draft.task.warnings
        assert warning.startswith("fallback makes no difference")


async def test_what_was_spent_meanwhile_is_held_against_the_next_model(tmp_path: Path):
    async with open_market(
        tmp_path, Budget(per_day=5.2), paid=answering(ProviderRefused("no")), third=answering(ProviderRefused("no"))
    ) as market:
        task_id = await market.start()
        await market.start("paid/film", fallback=False, prompt="another heron")
        task = await market.advanced(task_id)

        assert task.status is Status.FAILED
        assert task.failure is not None
        assert "other/reel: this would cost $3, and of the $5.2 for today" in task.failure.message
        assert await market.studio.store.counted(0) == 2.5


async def test_a_named_model_goes_first_and_is_passed_over_only_where_it_cannot_be_used_at_all(tmp_path: Path):
    async with open_market(tmp_path, Budget(per_task=4)) as market:
        choice = (await market.rehearse("third/film")).draft
        assert choice.task.model == "paid/film"
        assert "third/film was named and passed over (this would cost $4.5" in choice.task.warnings[0]

        without = Choosing(market.studio.engine.catalog, {"other"}, None)
        request = Inputs(mode=Mode.T2V, prompt="p")
        found = without.choose(request, "paid/film", strict=True, fallback=True)
        assert found.listed.id == "other/reel"
        assert "passed over" in found.warnings[0]
        with pytest.raises(MissingCredential):
            without.choose(request, "paid/film", strict=True)
        with pytest.raises(UnknownModel):
            without.choose(request, "paid/flim", strict=True, fallback=True)
        with pytest.raises(InvalidInput, match="7 is not one of 5, 10"):
            await market.rehearse("paid/film", duration=7)


async def test_a_process_that_read_the_task_before_it_moved_cannot_send_the_old_plan(tmp_path: Path):
    async with open_market(tmp_path, paid=ScriptedProvider(on_quote=lambda _: 9.0)) as market:
        rules = Rules(Budget(per_task=4))
        limited = replace(market, steps=replace(market.steps, rules=rules))
        task_id = await market.start()
        reached, go_on = anyio.Event(), anyio.Event()

        class Stopped(ScriptedProvider):
            async def quote(self, job: Job) -> float | None:
                reached.set()
                await go_on.wait()
                return None

        stopped = Stopped()
        other_process = replace(market.steps, adapters={**market.steps.adapters, "paid": stopped})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other_process.advance, task_id)
            with anyio.fail_after(10):
                await reached.wait()
            moved = await limited.advanced(task_id)
            assert (moved.status, moved.model) == (Status.QUEUED, "other/reel")
            go_on.set()

        still = await market.studio.store.get(task_id)
        assert (still.status, still.model, still.attempt) == (Status.QUEUED, "other/reel", 1)
        assert stopped.jobs == []


async def test_a_refusal_of_an_attempt_that_others_gave_up_for_unknown_moves_nothing(tmp_path: Path):
    reached, go_on = anyio.Event(), anyio.Event()

    class Slow(ScriptedProvider):
        async def submit(self, job: Job) -> Accepted:
            self.jobs.append(job)
            reached.set()
            await go_on.wait()
            raise ProviderRefused("no herons")

    async with open_market(tmp_path, paid=Slow()) as market:
        task_id = await market.start()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(market.steps.advance, task_id)
            with anyio.fail_after(10):
                await reached.wait()
            assert (await market.advanced(task_id)).status is Status.UNKNOWN
            go_on.set()
        task = await market.studio.store.get(task_id)

        assert (task.status, task.model, market.jobs) == (Status.FAILED, "paid/film", ["paid:film-v1"])


async def test_what_a_person_has_sent_again_stays_with_the_model_they_agreed_to_pay(tmp_path: Path):
    async with open_market(tmp_path, paid=answering(SubmissionUncertain("timed out"))) as market:
        task_id = await market.start()
        await market.advanced(task_id)
        await market.studio.engine.settling.resubmit(task_id, ME, was_billed=False)
        market.providers["paid"].on_submit = lambda _: ProviderRefused("no herons")
        task = await market.advanced(task_id)

        assert (task.status, task.model) == (Status.FAILED, "paid/film")
        assert market.jobs == ["paid:film-v1"] * 2


async def test_a_task_that_is_to_be_cancelled_is_not_tried_elsewhere(tmp_path: Path):
    async with open_market(tmp_path) as market:
        task_id = await market.start()
        store = market.studio.store

        class Slow(ScriptedProvider):
            async def submit(self, job: Job) -> Accepted:
                await store.move(task_id, of={Status.SUBMITTING}, changes={"cancel_requested": True})
                raise ProviderRefused("no herons")

        market.steps.adapters["paid"] = Slow()  # pyright: ignore[reportIndexIssue] - a dictionary, in this test
        task = await market.advanced(task_id, 2)

        assert task.status is Status.FAILED
        assert market.jobs == []


async def test_the_same_request_with_fallback_is_the_same_task_also_after_it_moved(tmp_path: Path):
    async with open_market(tmp_path, paid=answering(ProviderRefused("no"))) as market:
        task_id = await market.start()
        assert await market.start() == task_id
        await market.advanced(task_id, 2)
        assert await market.start() == task_id

        alone = await market.start("third/film", fallback=False)
        request = Inputs(mode=Mode.T2V, prompt="a heron takes off")
        again = await market.studio.engine.start(ME, request, model="third/film", fallback=True)
        assert (again.task.id, again.deduplicated) == (alone, True)
        assert "without fallback" in again.warnings[-1]


async def test_signed_addresses_of_the_other_plans_are_gone_when_the_task_is_over(tmp_path: Path):
    failed = Report(status=Status.FAILED, failure=Failure.of(GenerationFailed("out of memory")))
    async with open_market(tmp_path, paid=ScriptedProvider(on_check=lambda _: failed)) as market:
        task = await market.advanced(await market.start(), 3)

        assert task.status is Status.FAILED
        assert task.alternatives == ()


async def test_warnings_of_a_model_that_was_left_go_with_it(tmp_path: Path):
    refusing = answering(ProviderRefused("no"))
    async with open_market(tmp_path, paid=refusing) as market:
        first, last = picture(tmp_path / "a.png"), picture(tmp_path / "b.png", size=(192, 320))
        task_id = await market.start(mode=Mode.FLF2V, prompt=None, first_image=str(first), last_image=str(last))
        (before,) = (await market.studio.store.get(task_id)).warnings
        task = await market.advanced(task_id)

        assert task.warnings[0].startswith("paid/film refused")
        assert task.warnings[1:] == (before,)  # it holds for the next one too, and is said once


async def test_a_provider_whose_key_is_gone_is_passed_over(tmp_path: Path):
    async with open_market(tmp_path, paid=answering(ProviderRefused("no"))) as market:
        task_id = await market.start()
        del market.steps.adapters["other"]  # pyright: ignore[reportIndexIssue] - a dictionary, in this test
        task = await market.advanced(task_id, 2)

        assert (task.status, task.model) == (Status.RUNNING, "third/film")
        assert "other/reel: not tried, its key is not set here any more" in task.warnings
        assert market.jobs == ["paid:film-v1", "third:film-v1"]


async def test_where_no_other_provider_has_its_key_the_task_ends_instead_of_waiting_for_one(tmp_path: Path):
    async with open_market(tmp_path, paid=answering(ProviderRefused("no"))) as market:
        task_id = await market.start()
        market.steps.adapters.pop("other")  # pyright: ignore[reportAttributeAccessIssue] - a dictionary, in this test
        market.steps.adapters.pop("third")  # pyright: ignore[reportAttributeAccessIssue] - a dictionary, in this test
        task = await market.advanced(task_id)

        assert task.status is Status.FAILED
        assert task.failure is not None
        assert "paid/film: no; other/reel: not tried, its key is not set here any more" in task.failure.message
        assert task.counted_usd == 0


async def test_what_a_moved_task_answers_is_answered_under_both_models_and_said(tmp_path: Path):
    async with open_market(tmp_path, paid=answering(PaymentNeeded("no credit"))) as market:
        task_id = await market.start("paid/film")
        await market.advanced(task_id, 2)
        request = Inputs(mode=Mode.T2V, prompt="a heron takes off")

        first = await market.studio.engine.start(ME, request, model="paid/film")
        now = await market.studio.engine.start(ME, request, model="other/reel")
        third = await market.studio.engine.start(ME, request, model="third/film")

        assert (first.task.id, now.task.id) == (task_id, task_id)
        assert "went on from paid/film to other/reel, so nothing is made with paid/film" in first.warnings[-1]
        assert now.warnings == ()
        assert not third.deduplicated


async def test_what_was_promised_of_the_first_model_goes_with_it(tmp_path: Path):
    seed = 'seed = { type = "integer" }\n'
    seeded = {name: text.replace("duration =", f"{seed}duration =") for name, text in CATALOGUE.items()}
    failed = Report(status=Status.FAILED, failure=Failure.of(GenerationFailed("out of memory")))
    paid = ScriptedProvider(on_check=lambda _: failed)
    async with open_market(tmp_path, Budget(per_task=4), catalogue=seeded, paid=paid) as market:
        parent = await market.start("paid/film", fallback=False, seed=7)
        await market.advanced(parent, 2)
        paid.on_submit = lambda _: ProviderRefused("no")
        engine = market.studio.engine
        retake = await engine.retake(ME, parent, {"fallback": True})
        started = await engine.start(ME, **retake.wanted)
        assert any("expect the same video" in each for each in started.warnings)
        passed = await market.start("third/film", seed=8)
        assert any("is used instead" in each for each in (await market.studio.store.get(passed)).warnings)

        for task_id in (started.task.id, passed):
            moved = await market.advanced(task_id)
            assert moved.model == "other/reel"
            assert not any("expect the same video" in each or "is used instead" in each for each in moved.warnings)


async def test_pictures_are_fetched_once_however_many_models_want_them_in_their_own_way(tmp_path: Path):
    fetched: list[str] = []
    shown = picture(tmp_path / "shown.png").read_bytes()

    async def fetch(url: str, into: IO[bytes], *_: object, **__: object) -> None:
        fetched.append(url)
        into.write(shown)

    each = {"other": '["jpeg"]', "third": '["png"]'}
    narrow = {name: CATALOGUE[name].replace('["png", "jpeg"]', formats) for name, formats in each.items()}
    async with open_market(tmp_path, catalogue=CATALOGUE | narrow) as market:
        studio = market.studio
        folders = Folders((tmp_path,), tmp_path)
        kept: dict[str, Any] = {"folder": tmp_path / "pictures", "outputs": tmp_path / "out"}
        sources = Sources(studio.store, folders, fetch, studio.workshop, OWNERSHIP, **kept)
        engine = replace(studio.engine, intake=replace(studio.engine.intake, sources=sources))
        first, last = "https://a.test/1.png?sig=once", "https://a.test/2.png?sig=once"
        request = Inputs(mode=Mode.FLF2V, first_image=first, last_image=last)

        started = await engine.start(ME, request, fallback=True)

        assert sorted(fetched) == [first, last]
        assert other_models(started.task) == PLAN[1:]
        assert {each.mime_type for plan in started.task.alternatives[:1] for each in plan.pictures.values()} == {
            "image/jpeg"
        }
        assert [path.suffix for path in (tmp_path / "pictures").iterdir() if path.is_dir()] == []


class FailingFor(Sources):
    """Cannot make a picture ready for whoever takes no PNG."""

    def __init__(self, *given: Any, otherwise: Callable[[], Awaitable[None]], **named: Any) -> None:
        super().__init__(*given, **named)
        self._otherwise = otherwise

    async def picture(self, original: Original, wanted: Wanted) -> tuple[Picture, tuple[str, ...]]:
        if "png" not in wanted.formats:
            await self._otherwise()
        return await super().picture(original, wanted)


async def worker_died() -> None:
    raise RenderFailed("the media worker stopped (exit code 1)")


@pytest.mark.parametrize(
    ("otherwise", "left", "why"),
    [
        (worker_died, ["third/film"], "other/reel is no alternative: the media worker stopped"),
        (anyio.sleep_forever, [], "other/reel is no alternative: its pictures were not ready within 0.5 seconds"),
    ],
)
async def test_an_alternative_that_cannot_be_prepared_is_dropped_and_the_request_goes_its_way(
    tmp_path: Path, otherwise: Callable[[], Awaitable[None]], left: list[str], why: str
):
    first, last = picture(tmp_path / "a.png"), picture(tmp_path / "b.png", shift=9)
    third = THIRD.replace('by = "url"', 'by = "upload"')
    catalogue = CATALOGUE | {"other": OTHER.replace('["png", "jpeg"]', '["jpeg"]'), "third": third}
    async with open_market(tmp_path, catalogue=catalogue) as market:
        studio = market.studio
        given = (studio.store, Folders((tmp_path,), tmp_path), Fetcher().fetch, studio.workshop, OWNERSHIP)
        kept = {"folder": tmp_path / "pictures", "outputs": tmp_path / "out"}
        sources = FailingFor(*given, **kept, otherwise=otherwise)
        intake = replace(studio.engine.intake, sources=sources, most_seconds=0.5)
        request = Inputs(mode=Mode.FLF2V, first_image=str(first), last_image=str(last))

        with anyio.fail_after(30):
            started = await replace(studio.engine, intake=intake).start(ME, request, fallback=True)

        assert (started.task.model, other_models(started.task)) == ("paid/film", left)
        assert any(each.startswith(why) for each in started.task.warnings)
        assert [path for path in (tmp_path / "pictures").iterdir() if path.is_dir()] == []


async def test_a_picture_that_came_as_bytes_is_not_called_damaged_where_only_addresses_are_taken(tmp_path: Path):
    data = "data:image/png;base64," + base64.b64encode(picture(tmp_path / "a.png").read_bytes()).decode()
    failed = Report(status=Status.FAILED, failure=Failure.of(GenerationFailed("out of memory")))
    async with open_market(tmp_path, paid=ScriptedProvider(on_check=lambda _: failed)) as market:
        frames = {"first_image": data, "last_image": data}
        parent = await market.start("paid/film", fallback=False, mode=Mode.FLF2V, prompt=None, **frames)
        await market.advanced(parent, 2)
        retake = await market.studio.engine.retake(ME, parent, {"model": "third/film"})

        with pytest.raises(InvalidInput) as caught:
            await market.studio.engine.start(ME, **retake.wanted)

        assert "first_image: A third takes pictures only as public https URLs (it comes from task" in str(caught.value)
        assert "give another first_image in overrides" in str(caught.value)
        assert "null" not in str(caught.value)
        assert "damaged" not in str(caught.value)


async def test_a_dry_run_names_the_alternatives_with_their_prices(tmp_path: Path):
    async with open_market(tmp_path) as market:
        task = (await market.rehearse()).draft.task

        assert [(plan.model, plan.cost.estimated_usd) for plan in task.alternatives] == [
            ("other/reel", 3),
            ("third/film", 4.5),
            ("other/tape", 3.5),
        ]
        assert market.jobs == []


async def test_a_drawing_is_no_alternative_to_a_video_nor_the_other_way_round():
    everything = catalogs.load()
    choosing = Choosing(everything, {"wavespeed", "local"}, None)
    request = Inputs(mode=Mode.FLF2V, first_image="a.png", last_image="b.png", prompt="p")
    named = choosing.choose(request, "local/morph", strict=True, fallback=True)
    assert (named.listed.id, named.others) == ("local/morph", ())
    best = choosing.choose(request, None, strict=True, fallback=True)
    assert best.others
    assert all(each.model.generative for each in (best.listed, *best.others))


async def test_an_agent_sees_a_refused_task_go_on_to_another_provider(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        systems.wavespeed.next("submit", Answer(402, {"code": 402, "message": "Insufficient credits"}))
        words = {"prompt": "a heron takes off", "model": "wavespeed/wan-2.1-t2v-720p", "fallback": True}
        dry = await systems.call("generate_t2v", dry_run=True, **words)
        assert dry["alternatives"][0]["model"] == "siliconflow/wan2.2-t2v"
        assert all("basis" in each for each in dry["alternatives"])

        task = await systems.made("generate_t2v", **words)
        assert (task["status"], task["model"]) == ("succeeded", "siliconflow/wan2.2-t2v")
        (told,) = [each for each in task["warnings"] if "trying" in each]
        assert told.startswith("wavespeed/wan-2.1-t2v-720p refused (")
        assert "nothing was charged); trying siliconflow/wan2.2-t2v" in told
        assert systems.wavespeed.jobs == []


async def test_an_agent_s_task_whose_submission_timed_out_is_unknown_and_nothing_is_sent_anywhere_else(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        systems.wavespeed.next("submit", Reset(recorded=True))
        words = {"prompt": "a heron takes off", "model": "wavespeed/wan-2.1-t2v-720p", "fallback": True}
        task = await systems.made("generate_t2v", **words)

        assert (task["status"], task["model"]) == ("unknown", "wavespeed/wan-2.1-t2v-720p")
        for provider in (systems.siliconflow, systems.baicai, systems.replicate, systems.gateway):
            assert provider.jobs == []


async def test_a_running_task_that_went_on_is_not_made_again_by_repeating_what_it_was_first_asked_for(tmp_path: Path):
    async with open_market(tmp_path, paid=answering(ProviderRefused("no such size"))) as market:
        task_id = await market.start("paid/film")
        task = await market.advanced(task_id, 2)
        assert (task.status, task.model) == (Status.RUNNING, "other/reel")

        retake = await market.studio.engine.retake(ME, task_id, {"model": "paid/film"})
        with pytest.raises(NotReady, match="went on from paid/film to other/reel; wait for it, or cancel it"):
            await market.studio.engine.start(ME, **retake.wanted)
        changed = await market.studio.engine.retake(ME, task_id, {"model": "paid/film", "duration": 10})
        assert not (await market.studio.engine.start(ME, **changed.wanted)).deduplicated

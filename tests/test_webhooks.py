"""Providers that call when a job has ended: a hint that is checked, heard once, and never believed."""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import httpx
import pytest
from mcp import Client

from emulators.faults import Reset, Silence
from emulators.jobs import Pace as JobPace
from emulators.jobs import by_the_clock
from emulators.provider import Emulator
from emulators.wavespeed import WaveSpeed
from keyframe_mcp.app import open_application
from keyframe_mcp.engine.pace import Pace
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Inputs, Mode, Status
from reached import KEY, Reached, open_reached
from studio import ME, settings_in
from test_http import answering, free_port
from test_stdio import environment

WAVESPEED, REPLICATE = "wavespeed/wan-2.1-t2v-720p", "replicate/stable-diffusion-animation"
PATIENT = Pace(poll=60, place=0.02, busy=0.05, trouble=0.05, saving=0.1, looks=(60, 60))
"""Nothing is looked at again by itself: what goes on was woken."""


def system(reached: Reached, model: str) -> Emulator:
    return reached.wavespeed if model == WAVESPEED else reached.replicate


async def unknown(reached: Reached, model: str) -> str:
    """A task whose job was booked, and whose answer was lost."""
    provider = system(reached, model)
    provider.calls_by_itself = False
    provider.next("submit", Reset(recorded=True))
    task_id = await reached.start(model)
    await reached.until(task_id, Status.UNKNOWN)
    return task_id


@pytest.mark.parametrize("model", [WAVESPEED, REPLICATE])
async def test_a_job_is_followed_to_its_end_by_the_call_alone(tmp_path: Path, model: str):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        provider = system(reached, model)
        provider.pace = by_the_clock(0.1, 0.2)
        task_id = await reached.start(model)
        task = await reached.until(task_id, Status.SUCCEEDED, Status.FAILED)

        assert (task.status, task.failure) == (Status.SUCCEEDED, None)
        assert len(provider.asked("check")) == 1
        assert len(provider.asked("secret")) == 1
        assert provider.name in reached.application.webhooks.callbacks.arrived
        assert {answer for call in provider.calls.made for answer in call.answers} == {200}


@pytest.mark.parametrize("model", [WAVESPEED, REPLICATE])
async def test_a_job_whose_submission_was_never_answered_is_found_by_its_call(tmp_path: Path, model: str):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        provider = system(reached, model)
        task_id = await unknown(reached, model)
        provider.end(provider.jobs[0], time.time())
        assert await provider.call_back(provider.jobs[0]) == 200
        task = await reached.until(task_id, Status.SUCCEEDED, Status.FAILED)

        assert (task.status, task.remote_id) == (Status.SUCCEEDED, provider.jobs[0].id)
        assert (len(provider.jobs), len(provider.asked("submit"))) == (1, 1)


async def test_a_call_at_the_start_is_enough_to_find_it(tmp_path: Path):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        task_id = await unknown(reached, REPLICATE)
        assert await reached.replicate.call_back(reached.replicate.jobs[0]) == 200
        task = await reached.until(task_id, Status.RUNNING)

        assert task.remote_id == reached.replicate.jobs[0].id


async def test_a_call_that_comes_before_the_answer_makes_no_second_job_and_is_not_in_its_way(tmp_path: Path):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        reached.wavespeed.calls_by_itself = False
        reached.wavespeed.next("submit", Silence(recorded=True))
        task_id = await reached.start(WAVESPEED)
        job = await reached.job(reached.wavespeed)
        reached.wavespeed.end(job, time.time())
        assert await reached.wavespeed.call_back(job) == 200
        assert (await reached.task(task_id)).status is Status.SUBMITTING
        reached.wavespeed.release()
        task = await reached.until(task_id, Status.SUCCEEDED)

        assert (task.remote_id, task.warnings, len(reached.wavespeed.jobs)) == (job.id, (), 1)


async def test_the_same_call_again_is_accepted_and_does_nothing(tmp_path: Path):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        reached.wavespeed.calls_by_itself = False
        reached.wavespeed.pace = JobPace(checks_queued=0, checks_running=100)
        task_id = await reached.start(WAVESPEED)
        job = await reached.job(reached.wavespeed)
        await reached.until(task_id, Status.RUNNING)
        call = reached.wavespeed.calls.call(job.webhook or "", {**reached.wavespeed.told(job), "status": "completed"})
        assert await reached.post(call.url, dict(call.headers), call.body) == 200
        await reached.wavespeed.until_asked("check", 1)
        with anyio.fail_after(10):  # the look it caused is over when it is due again, much later
            while (await reached.application.engine.store.next_due() or 0) < 10:
                await anyio.sleep(0.01)
        before = await reached.task(task_id)
        for _ in range(3):
            assert await reached.post(call.url, dict(call.headers), call.body) == 200

        assert await reached.task(task_id) == before
        assert (await reached.application.engine.store.next_due() or 0) > 10
        assert len(reached.wavespeed.asked("check")) == 1


async def test_a_call_about_another_task_s_job_is_not_taken_for_ones_own(tmp_path: Path):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        lost = await unknown(reached, WAVESPEED)
        followed = await reached.start(WAVESPEED, prompt="a lighthouse")
        await reached.until(followed, Status.RUNNING)
        ours, other = reached.wavespeed.jobs
        reached.wavespeed.end(other, time.time())
        call = reached.wavespeed.calls.call(ours.webhook or "", reached.wavespeed.told(other))
        assert await reached.post(call.url, dict(call.headers), call.body) == 200

        assert (await reached.task(lost)).called_id is None
        assert (await reached.task(lost)).status is Status.UNKNOWN
        assert (await reached.task(followed)).remote_id == other.id


async def test_a_call_about_a_job_with_other_inputs_is_not_taken_either(tmp_path: Path):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        lost = await unknown(reached, WAVESPEED)
        reached.wavespeed.next("submit", Reset(recorded=True))
        also_lost = await reached.start(WAVESPEED, prompt="a lighthouse")
        await reached.until(also_lost, Status.UNKNOWN)
        ours, other = reached.wavespeed.jobs
        call = reached.wavespeed.calls.call(ours.webhook or "", reached.wavespeed.told(other))
        assert await reached.post(call.url, dict(call.headers), call.body) == 200

        assert (await reached.task(lost)).called_id is None


async def test_a_call_about_an_attempt_that_was_replaced_is_named_in_a_warning_once(tmp_path: Path):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        task_id = await unknown(reached, WAVESPEED)
        await reached.application.engine.settling.resubmit(task_id, ME)
        await reached.until(task_id, Status.RUNNING)
        first, second = reached.wavespeed.jobs
        for _ in range(2):
            assert await reached.wavespeed.call_back(first) == 200
        task = await reached.task(task_id)

        assert (task.remote_id, task.attempt, len(task.warnings)) == (second.id, 2, 1)
        assert first.id in task.warnings[0]
        assert "billed" in task.warnings[0]


async def test_a_call_about_a_task_that_a_person_gave_up_is_named_in_a_warning(tmp_path: Path):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        task_id = await unknown(reached, WAVESPEED)
        await reached.application.engine.settling.give_up(task_id, ME)
        assert await reached.wavespeed.call_back(reached.wavespeed.jobs[0]) == 200
        task = await reached.task(task_id)

        assert task.status is Status.FAILED
        assert reached.wavespeed.jobs[0].id in task.warnings[-1]


async def test_one_process_hears_the_call_and_another_that_holds_the_task_goes_on_with_it(tmp_path: Path):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        task_id = await unknown(reached, WAVESPEED)
        settings = reached.application.settings
        store = SqliteStore(settings.database, time.time)
        await store.wake(task_id)
        with anyio.fail_after(10):
            while not await store.claim("another", 1, 2):  # its lease ends by itself
                await store.wake(task_id)
        reached.wavespeed.end(reached.wavespeed.jobs[0], time.time())
        assert await reached.wavespeed.call_back(reached.wavespeed.jobs[0]) == 200
        assert (await reached.task(task_id)).status is Status.UNKNOWN
        await store.release("another", task_id, None)
        await reached.until(task_id, Status.SUCCEEDED)
        await store.aclose()


async def test_two_processes_hear_one_call_once(tmp_path: Path):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        task_id = await unknown(reached, WAVESPEED)
        call = reached.wavespeed.calls.call("", reached.wavespeed.told(reached.wavespeed.jobs[0]))
        path = (reached.wavespeed.jobs[0].webhook or "").split("/")[-4:]
        settings = settings_in(tmp_path, WAVESPEED_API_KEY=KEY, KEYFRAME_WAVESPEED_BASE_URL=reached.wavespeed.base_url)
        verdicts: list[str] = []
        async with open_application(settings, tmp_path, works=False) as other, anyio.create_task_group() as tasks:
            for application in (reached.application, other):
                tasks.start_soon(hear, application, path, call, verdicts)

        assert sorted(verdicts) == ["heard", "heard before"]
        await reached.until(task_id, Status.RUNNING, Status.SAVING, Status.SUCCEEDED)


async def hear(application: Any, path: list[str], call: Any, verdicts: list[str]) -> None:
    from keyframe_mcp.engine.callbacks import Address

    address = Address(*path)
    assert application.webhooks.is_ours(address)
    verdict = await application.webhooks.receive(address, call.headers, call.body, time.time())
    verdicts.append(verdict.value)


async def test_without_a_public_url_no_address_is_given_and_none_is_shown(tmp_path: Path):
    async with open_reached(tmp_path, is_public=False) as reached:
        for model in (WAVESPEED, REPLICATE):
            task_id = await reached.start(model)
            await reached.until(task_id, Status.SUCCEEDED)
        (one,), (other,) = reached.wavespeed.asked("submit"), reached.replicate.asked("submit")

        assert "webhook" not in one.query
        assert not {"webhook", "webhook_events_filter"} & other.json.keys()


async def test_the_address_names_the_task_and_attempt_and_changes_nothing_of_what_is_asked_for(tmp_path: Path):
    async with open_reached(tmp_path) as reached:
        task_id = await reached.start(WAVESPEED)
        job = await reached.job(reached.wavespeed)

        assert (job.webhook or "").startswith(f"{reached.url}/webhooks/wavespeed/{task_id}/1/")
        assert not any("webhook" in name for name in job.inputs)


async def test_a_dry_run_shows_where_the_provider_will_call_with_words_in_place_of_the_task(tmp_path: Path):
    async with open_reached(tmp_path) as reached:
        request = Inputs.model_validate({"mode": Mode.T2V, "prompt": "a boat"})
        rehearsal = await reached.application.engine.rehearse(ME, request, model=WAVESPEED)
        assert rehearsal.request is not None
        address = f"{reached.url}/webhooks/wavespeed/TASK_ID/ATTEMPT/SIGNATURE"

        assert rehearsal.request.url.endswith(f"?webhook={quote(address, safe='')}")


async def test_a_real_server_follows_a_lost_job_to_its_result_by_the_provider_s_call(tmp_path: Path):
    async with WaveSpeed(pace=by_the_clock(0.5, 0.5)) as provider:
        provider.next("submit", Reset(recorded=True))
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        more = {
            "KEYFRAME_ALLOW_LOOPBACK": "1",
            "KEYFRAME_PUBLIC_URL": url,
            "KEYFRAME_WAVESPEED_BASE_URL": provider.base_url,
            "WAVESPEED_API_KEY": KEY,
        }
        command = [sys.executable, "-m", "keyframe_mcp", "serve", "--transport", "http", "--port", str(port)]
        with (tmp_path / "log").open("wb") as log:
            process = await anyio.open_process(
                command, env=environment(tmp_path, **more), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=log
            )
        try:
            await answering(f"{url}/health")
            with anyio.fail_after(40):
                async with Client(f"{url}/mcp") as client:
                    asked = {"prompt": "a boat", "model": WAVESPEED, "wait_seconds": 0}
                    started = (await client.call_tool("generate_t2v", asked)).structured_content or {}
                    made: dict[str, Any] = {}
                    while made.get("status") != "succeeded":
                        about = {"task_id": started["task_id"], "wait_seconds": 2}
                        made = (await client.call_tool("get_task", about)).structured_content or {}
        finally:
            process.kill()
            await process.aclose()

        assert (len(provider.jobs), len(provider.asked("submit"))) == (1, 1)
        assert Path(made["outputs"][0]["file"]).exists()
        assert provider.calls.secret not in (tmp_path / "log").read_text()


async def test_a_secret_that_was_replaced_is_asked_for_again_and_at_most_once_a_minute(tmp_path: Path):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        await unknown(reached, WAVESPEED)
        job, calls = reached.wavespeed.jobs[0], reached.wavespeed.calls
        calls.again = ()
        assert await reached.wavespeed.call_back(job) == 200
        calls.secret = calls.secret[::-1].replace("_", "").join(("whsec_", ""))
        assert await reached.wavespeed.call_back(job) == 401  # the first was asked for just now
        assert len(reached.wavespeed.asked("secret")) == 1


async def test_a_secret_that_cannot_be_had_lets_the_provider_call_again(tmp_path: Path):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        await unknown(reached, REPLICATE)
        reached.replicate.next("secret", Reset())
        reached.replicate.calls.again = ()

        assert await reached.replicate.call_back(reached.replicate.jobs[0]) == 503


async def test_garbage_is_refused_and_never_breaks_anything(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        task_id = await unknown(reached, WAVESPEED)
        job, calls = reached.wavespeed.jobs[0], reached.wavespeed.calls
        before = await reached.task(task_id)
        honest = calls.call(job.webhook or "", reached.wavespeed.told(job))
        transport = httpx.ASGITransport(site_of(reached))
        found: dict[int, int] = {}
        async with httpx.AsyncClient(transport=transport, base_url=reached.url) as client:
            chance = random.Random(7)  # noqa: S311 - the same every time
            for _ in range(1500):
                url, headers, body = mangled(chance, honest.url, dict(honest.headers), honest.body)
                status = (await client.post(url, headers=headers, content=body)).status_code
                found[status] = found.get(status, 0) + 1

        assert set(found) <= {400, 401, 404, 405, 413}, found
        assert {400, 401, 404} <= set(found)
        assert await reached.task(task_id) == before
        assert calls.secret not in caplog.text
        assert honest.url.rsplit("/", 1)[1] not in caplog.text


def site_of(reached: Reached) -> Any:
    from keyframe_mcp.server.http import Site, access_of

    return Site(reached.application, access_of(reached.application.settings, "127.0.0.1", 1), ["http"]).app


ODD = (
    *(b"", b"v3,", b"v3", b",", b"v1,AAAA", b"v3," + b"0" * 64, b"\xff\xfe,\xe9", b"v3,\xc3\xa9", b"-1", b"9" * 40),
    *(b"0", b"NaN", b"1e9", b"1 2 3", b"x" * 5000, b"whsec_", b"v3," + b"g" * 64, b" ", b"\t", b"1_0"),
)


def mangled(
    chance: random.Random, url: str, headers: dict[str, str], body: bytes
) -> tuple[str, list[tuple[bytes, bytes]], bytes]:
    """A call with something wrong in it."""
    raw = {name.encode(): value.encode() for name, value in headers.items()}
    match chance.randrange(5):
        case 0:
            name = chance.choice([b"webhook-id", b"webhook-timestamp", b"webhook-signature"])
            raw[name] = chance.choice(ODD)
        case 1:
            raw.pop(chance.choice([b"webhook-id", b"webhook-timestamp", b"webhook-signature"]))
        case 2:
            body = chance.randbytes(chance.randrange(200))
        case 3:
            parts = url.split("/")
            place = chance.randrange(4, len(parts))
            parts[place] = chance.choice(["x", "%00", "%ff", "0", "-1", "é", "." * 300, parts[place] + "0", "%2e"])
            url = "/".join(parts)
        case _:
            flipped = chance.randrange(len(body))
            body = body[:flipped] + bytes([body[flipped] ^ 1]) + body[flipped + 1 :]
    return url, list(raw.items()), body


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        await unknown(reached, WAVESPEED)
        url = reached.wavespeed.jobs[0].webhook or ""
        assert await reached.post(url, {}, b"x" * (1 << 20)) == 400
        assert await reached.post(url, {}, b"x" * ((1 << 20) + 1)) == 413

        async def endless() -> AsyncGenerator[bytes]:
            for _ in range(64):
                yield b"x" * 65_536

        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.post(url, content=endless())).status_code == 413


@pytest.mark.parametrize("seconds", [-301, 301])
async def test_a_call_that_was_signed_too_long_ago_is_refused(tmp_path: Path, seconds: int):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        await unknown(reached, WAVESPEED)
        job, calls = reached.wavespeed.jobs[0], reached.wavespeed.calls
        calls.clock = lambda: time.time() + seconds
        calls.again = ()

        assert await reached.wavespeed.call_back(job) == 401
        assert not reached.wavespeed.asked("secret")


async def test_a_verified_call_in_an_unknown_shape_is_a_hint_all_the_same(tmp_path: Path):
    async with open_reached(tmp_path, pace=PATIENT) as reached:
        reached.wavespeed.calls_by_itself = False
        task_id = await reached.start(WAVESPEED)
        await reached.until(task_id, Status.RUNNING)
        job = reached.wavespeed.jobs[0]
        reached.wavespeed.end(job, time.time())
        call = reached.wavespeed.calls.call(job.webhook or "", {"news": [json.dumps(1)]})
        assert await reached.post(call.url, dict(call.headers), call.body) == 200
        await reached.until(task_id, Status.SUCCEEDED)

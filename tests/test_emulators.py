"""What all the emulated providers do: keep books, move jobs, expire, and misbehave on demand."""

from __future__ import annotations

import io
from collections.abc import Callable

import anyio
import av
import httpx
import pytest
from PIL import Image

from emulators import results
from emulators.calls import BY_VERSION, FLF2V, SUBMITS, calling, client_of, submit
from emulators.faults import Changed, CutShort, Fault, HangUp, Reset, Silence, Truncated, redirect, web_page
from emulators.jobs import AT_ONCE, by_the_clock
from emulators.provider import Emulator
from emulators.replicate import Replicate
from emulators.siliconflow import SiliconFlow
from emulators.wavespeed import WaveSpeed
from studio import Clock

EVERY = pytest.mark.parametrize("kind", SUBMITS, ids=lambda kind: kind.name)


@EVERY
async def test_a_job_is_in_the_books_as_it_was_sent(kind: type[Emulator]):
    provider = kind()
    async with calling(provider) as client:
        answer = await submit(client, provider)

        body = SUBMITS[kind][1]
        assert answer.is_success
        assert [job.inputs for job in provider.jobs] == [body["input"] if "version" in body else body]
        assert provider.asked("submit")[0].json == body
        assert provider.asked("submit")[0].headers["authorization"] == "Bearer emulated-key"


@EVERY
async def test_nobody_gets_in_with_another_key(kind: type[Emulator]):
    provider = kind(key="another-key")
    async with calling(provider) as client:
        assert (await submit(client, provider)).status_code == 401
        assert provider.jobs == []
        assert len(provider.requests) == 1


@EVERY
@pytest.mark.parametrize("is_recorded", [False, True])
@pytest.mark.parametrize(
    ("accident", "seen"),
    [
        (lambda recorded: Reset(recorded=recorded), httpx.ReadError),
        (lambda recorded: HangUp(recorded=recorded), httpx.RemoteProtocolError),
        (lambda recorded: web_page(502, recorded=recorded), 502),
    ],
    ids=["reset", "hang-up", "proxy"],
)
async def test_the_books_know_on_which_side_of_an_accident_the_job_is(
    kind: type[Emulator], *, is_recorded: bool, accident: Callable[[bool], Fault], seen: int | type[Exception]
):
    provider = kind()
    provider.next("submit", accident(is_recorded))
    async with calling(provider) as client:
        if isinstance(seen, int):
            assert (await submit(client, provider)).status_code == seen
        else:
            with pytest.raises(seen):
                await submit(client, provider)

        assert len(provider.jobs) == is_recorded
        assert (await submit(client, provider)).is_success
        assert len(provider.jobs) == is_recorded + 1


async def test_a_reset_on_a_connection_that_was_used_before_is_seen_too():
    provider = WaveSpeed()
    async with calling(provider) as client:
        await submit(client, provider)
        provider.next("check", Reset())

        with pytest.raises(httpx.ReadError):
            await client.get(f"/api/v3/predictions/{provider.jobs[0].id}")


async def test_silence_lasts_until_it_is_released_and_then_brings_the_honest_answer():
    provider = WaveSpeed()
    provider.next("submit", Silence(recorded=True))
    async with calling(provider) as client, anyio.create_task_group() as tasks:
        answers: list[httpx.Response] = []

        async def ask() -> None:
            answers.append(await submit(client, provider))

        tasks.start_soon(ask)
        await provider.until_asked("submit")
        with anyio.fail_after(5):
            while not provider.jobs:
                await anyio.lowlevel.checkpoint()
        assert answers == []
        provider.release()
        with anyio.fail_after(5):
            while not answers:
                await anyio.lowlevel.checkpoint()
        assert answers[0].json()["data"]["id"] == provider.jobs[0].id


async def test_a_caller_that_gives_up_on_silence_leaves_the_job_behind():
    provider = Replicate()
    provider.next("submit", Silence(recorded=True), Silence())
    async with calling(provider) as client:
        for _ in range(2):
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/predictions", json=BY_VERSION, timeout=0.05)

        assert len(provider.jobs) == 1


async def test_closing_drops_calls_that_hang_and_opening_again_keeps_port_and_books():
    provider = WaveSpeed()
    provider.next("submit", Silence(recorded=True))
    async with client_of() as client:
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.post(f"{provider.url}/api/v3/wavespeed-ai/wan-flf2v", json=FLF2V)

            async with provider:
                tasks.start_soon(ask)
                await provider.until_asked("submit")
        with pytest.raises(httpx.ConnectError):
            await client.get(provider.url)
        async with provider:
            seen = await client.get(f"{provider.url}/api/v3/predictions/{provider.jobs[0].id}")
            assert seen.json()["data"]["model"] == "wavespeed-ai/wan-flf2v"


async def test_answers_can_be_changed_cut_as_text_and_cut_as_bytes():
    provider = WaveSpeed()
    provider.next("submit", Changed(lambda body: body | {"code": 0}), Truncated(), CutShort())
    async with calling(provider) as client:
        assert (await submit(client, provider)).json()["code"] == 0
        with pytest.raises(ValueError, match="Unterminated string"):
            (await submit(client, provider)).json()
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
            await submit(client, provider)
        assert len(provider.jobs) == 3


@EVERY
async def test_too_many_requests_are_refused_for_a_while(kind: type[Emulator]):
    provider = kind()
    provider.limit("submit", times=1)
    provider.limit("submit", retry_after=7)
    async with calling(provider) as client:
        refused = [await submit(client, provider) for _ in range(3)]

        assert [answer.status_code == 429 for answer in refused] == [True, True, False]
        assert [answer.headers.get("retry-after") for answer in refused] == [None, "7", None]
        assert len(provider.jobs) == 1


async def test_downloads_expire_end_early_and_lead_astray():
    clock = Clock()
    provider = SiliconFlow(clock=clock, pace=AT_ONCE)
    async with calling(provider) as client:
        job_id = (await submit(client, provider)).json()["requestId"]
        found = (await client.post("/video/status", json={"requestId": job_id})).json()
        url = found["results"]["videos"][0]["url"]

        honest = await client.get(url, headers={"Authorization": ""})
        assert honest.content == provider.film
        assert honest.headers["content-length"] == str(len(provider.film))
        provider.next("download", CutShort(), web_page(200), redirect("http://127.0.0.1:9/elsewhere"))
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(url)
        assert (await client.get(url)).text.startswith("<!doctype html>")
        assert (await client.get(url)).next_request is not None
        clock.now += 599
        assert (await client.get(url)).status_code == 200
        clock.now += 1
        assert (await client.get(url)).status_code == 403


def test_films_animations_and_pictures_are_real():
    provider = WaveSpeed()
    with av.open(io.BytesIO(provider.film), "r") as film:
        assert sum(1 for _ in film.decode(video=0)) == 16
    assert getattr(Image.open(io.BytesIO(results.gif())), "n_frames", 0) == 8
    assert Image.open(io.BytesIO(results.png())).size == (128, 96)


async def test_jobs_by_the_clock_end_whether_or_not_anybody_looks():
    clock = Clock()
    provider = WaveSpeed(clock=clock, pace=by_the_clock(queued=3, running=7))
    async with calling(provider) as client:
        await submit(client, provider)
        stages: list[str] = []
        for step in (0, 2, 1, 6, 90, 3600):
            clock.now += step
            stages.append(provider.look(provider.jobs[0]).value)

        assert stages == ["queued", "queued", "running", "running", "over", "over"]
        assert provider.jobs[0].finished_at == provider.jobs[0].created_at + 10

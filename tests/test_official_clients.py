"""The official clients of WaveSpeed and Replicate find what they expect at the emulated ones."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import httpx
import pytest
from replicate.client import Client as ReplicateClient
from replicate.exceptions import ModelError, ReplicateError
from wavespeed import Client as WaveSpeedClient  # pyright: ignore[reportMissingTypeStubs] - it has none

from emulators import replicate, results, wavespeed
from emulators.faults import Reset
from emulators.jobs import AT_ONCE, Fate, Pace
from emulators.provider import EMULATED_KEY
from emulators.replicate import Replicate
from emulators.replicate_models import ANIMATION, ANIMATION_VERSION
from emulators.wavespeed import WaveSpeed

MODEL = "wavespeed-ai/wan-flf2v"
FLF2V = {"first_image": "https://files.example.net/a.png", "last_image": "https://files.example.net/b.png"}
PROMPTS = {"prompt_start": "dawn", "prompt_end": "dusk", "output_format": "mp4"}
OFFICIAL = "wan-video/wan-2.2-i2v-fast"

T = TypeVar("T")


async def in_a_thread(work: Callable[[], T], seconds: float = 20) -> T:
    """What a blocking client brings, while the emulator goes on in this event loop."""
    with anyio.fail_after(seconds):
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)


# WaveSpeed


def wavespeed_client(provider: WaveSpeed, key: str = EMULATED_KEY) -> WaveSpeedClient:
    return WaveSpeedClient(key, provider.base_url, retry_interval=0.01)


async def test_wavespeed_runs_a_model_and_its_result_can_be_asked_for_again():
    async with WaveSpeed() as provider:
        client = wavespeed_client(provider)
        made = await in_a_thread(lambda: client.run(MODEL, FLF2V, poll_interval=0.01, timeout=10))
        again = await in_a_thread(lambda: client.get_result(provider.jobs[0].id))

        assert made["outputs"] == provider.jobs[0].outputs
        assert again["data"]["outputs"] == made["outputs"]
        assert [job.inputs for job in provider.jobs] == [FLF2V]
        assert provider.asked("submit")[0].headers["x-client-name"] == "wavespeed-python"


async def test_wavespeed_uploads_a_file_that_a_job_can_use(tmp_path: Path):
    picture = tmp_path / "a.png"
    picture.write_bytes(results.png())
    async with WaveSpeed(pace=AT_ONCE) as provider:
        client = wavespeed_client(provider)
        url = await in_a_thread(lambda: client.upload(str(picture)))
        inputs = FLF2V | {"first_image": url}
        made = await in_a_thread(lambda: client.run(MODEL, inputs, poll_interval=0.01, timeout=10))

        assert len(made["outputs"]) == 1
        assert [(upload.content, upload.content_type) for upload in provider.uploads] == [(results.png(), "image/png")]
        assert "authorization" not in provider.asked("put")[0].headers


async def test_wavespeed_reports_a_failure_with_its_reason():
    async with WaveSpeed(pace=AT_ONCE) as provider:
        provider.will(wavespeed.MODERATED, Fate("cancelled"))
        client = wavespeed_client(provider)
        with pytest.raises(RuntimeError, match=r"failed .*flagged"):
            await in_a_thread(lambda: client.run(MODEL, FLF2V, poll_interval=0.01, timeout=10))
        with pytest.raises(RuntimeError, match="cancelled"):
            await in_a_thread(lambda: client.run(MODEL, FLF2V, poll_interval=0.01, timeout=10))

        assert len(provider.jobs) == 2


async def test_wavespeed_is_told_that_the_key_is_wrong():
    async with WaveSpeed() as provider:
        client = wavespeed_client(provider, "another-key")
        with pytest.raises(RuntimeError, match="HTTP 401"):
            await in_a_thread(lambda: client.run(MODEL, FLF2V, timeout=10))

        assert provider.jobs == []


async def test_wavespeed_does_not_submit_again_after_a_lost_answer_but_asks_again_after_a_lost_check(
    capfd: pytest.CaptureFixture[str],
):
    async with WaveSpeed(pace=AT_ONCE) as provider:
        client = wavespeed_client(provider)
        provider.next("submit", Reset(recorded=True))
        with pytest.raises(RuntimeError, match="may already have been created"):
            await in_a_thread(lambda: client.run(MODEL, FLF2V, timeout=10))
        assert len(provider.jobs) == 1
        provider.next("check", Reset())
        provider.limit("check", retry_after=1)
        await in_a_thread(lambda: client.run(MODEL, FLF2V, poll_interval=0.01, timeout=10))

        assert len(provider.jobs) == 2
        assert "retrying in" in capfd.readouterr().out


async def test_wavespeed_waits_in_sync_mode_until_that_takes_too_long():
    async with WaveSpeed() as provider:
        client = wavespeed_client(provider)
        made = await in_a_thread(lambda: client.run(MODEL, FLF2V, enable_sync_mode=True, timeout=10))
        provider.sync_times_out = True
        late = await in_a_thread(lambda: client.run_no_throw(MODEL, FLF2V, enable_sync_mode=True, timeout=10))

        assert len(made["outputs"]) == 1
        assert (late["status"], late["task_id"]) == ("processing", provider.jobs[1].id)


# Replicate


@asynccontextmanager
async def replicating(pace: Pace | None = None) -> AsyncGenerator[tuple[Replicate, ReplicateClient]]:
    """An emulated Replicate and its client."""
    async with Replicate(pace=pace) as provider:
        with client_of(provider) as client:
            yield provider, client


@contextmanager
def client_of(provider: Replicate, key: str = EMULATED_KEY) -> Generator[ReplicateClient]:
    """Its paths begin with /v1, so its base is what stands before that. It never closes its connections; this does."""
    with httpx.HTTPTransport() as transport:
        client = ReplicateClient(key, base_url=provider.url, transport=transport)
        client.poll_interval = 0.01
        yield client


async def test_replicate_runs_a_version_and_iterates_over_its_output():
    async with replicating() as (provider, client):
        reference = f"{ANIMATION}:{ANIMATION_VERSION}"
        inputs = PROMPTS | {"intermediate_output": True}
        running = await in_a_thread(lambda: client.run(reference, input=inputs, wait=True))
        assert not isinstance(running, list)
        made = await in_a_thread(lambda: list(running))
        polled = await in_a_thread(lambda: list(client.run(reference, input=inputs, wait=False)))

        assert [str(url).rpartition(".")[2] for url in made] == ["png"] * 4 + ["mp4"]
        assert [str(url) for url in polled] == provider.jobs[1].outputs
        assert provider.asked("submit")[0].headers["prefer"] == "wait"


async def test_replicate_creates_a_prediction_waits_for_it_and_reads_its_progress():
    async with replicating() as (provider, client):
        provider.logs_as = "both"
        made = await in_a_thread(lambda: client.predictions.create(version=ANIMATION_VERSION, input=PROMPTS))
        assert made.status == "starting"
        await in_a_thread(made.reload)
        await in_a_thread(made.reload)
        assert made.status == "processing"
        assert made.progress is not None
        assert (made.progress.percentage, made.progress.current, made.progress.total) == (0.5, 20, 40)
        await in_a_thread(made.wait)

        assert made.status == "succeeded"
        assert made.output == provider.jobs[0].outputs
        assert made.metrics is not None
        assert set(made.metrics) == {"predict_time", "total_time"}


async def test_replicate_gets_lists_and_cancels_predictions():
    async with replicating() as (provider, client):
        provider.page_size = 2
        create = client.predictions.create
        made = [await in_a_thread(lambda: create(version=ANIMATION_VERSION, input=PROMPTS)) for _ in range(3)]
        found = await in_a_thread(lambda: client.predictions.get(made[0].id))
        first = await in_a_thread(client.predictions.list)
        second = await in_a_thread(lambda: client.predictions.list(first.next))
        await in_a_thread(made[2].cancel)

        assert found.id == made[0].id
        assert [each.id for each in (*first, *second)] == [each.id for each in made[::-1]]
        assert (made[2].status, made[2].logs, made[2].output) == ("canceled", None, None)
        assert provider.jobs[2].status == "canceled"


async def test_replicate_uploads_files_lists_and_deletes_them():
    async with replicating(AT_ONCE) as (provider, client):
        picture = io.BytesIO(results.png())
        left = await in_a_thread(lambda: client.files.create(picture, filename="a.png", metadata={"of": "a test"}))
        assert (left.name, left.content_type, left.size) == ("a.png", "image/png", len(results.png()))
        assert (await in_a_thread(lambda: client.files.get(left.id))).checksums == left.checksums
        assert [file.id for file in await in_a_thread(client.files.list)] == [left.id]
        assert await in_a_thread(lambda: client.files.delete(left.id))
        assert await in_a_thread(client.files.list) == []
        assert [upload.content for upload in provider.uploads] == [results.png()]


async def test_replicate_asks_an_official_model_by_name_with_a_file_of_its_own():
    async with replicating(AT_ONCE) as (provider, client):
        inputs = {"image": io.BytesIO(results.png()), "prompt": "a boat"}
        made = await in_a_thread(lambda: client.models.predictions.create(OFFICIAL, inputs))
        await in_a_thread(made.wait)

        assert made.version == "hidden"
        assert made.output == provider.jobs[0].outputs[0]
        assert provider.jobs[0].inputs["image"].startswith(f"{provider.base_url}/files/")


async def test_replicate_reports_failures_in_the_words_of_the_provider():
    async with replicating() as (provider, client):
        provider.will(Fate("failed", "NSFW content detected"))
        with pytest.raises(ModelError, match="NSFW"):
            await in_a_thread(lambda: client.run(OFFICIAL, input={"prompt": "a boat"}))
        with pytest.raises(ReplicateError, match="prompt_end is required") as invalid:
            await in_a_thread(lambda: client.predictions.create(version=ANIMATION_VERSION, input={"prompt_start": "x"}))
        provider.next("submit", replicate.NO_CREDIT)
        with pytest.raises(ReplicateError) as unpaid:
            await in_a_thread(lambda: client.predictions.create(version=ANIMATION_VERSION, input=PROMPTS))
        with client_of(provider, "another-key") as other, pytest.raises(ReplicateError) as stranger:
            await in_a_thread(other.predictions.list)

        assert [each.value.status for each in (invalid, unpaid, stranger)] == [422, 402, 401]
        assert stranger.value.title == "Unauthenticated"
        assert len(provider.jobs) == 1


async def test_replicate_asks_again_when_it_was_throttled_but_never_creates_again():
    async with replicating(AT_ONCE) as (provider, client):
        provider.limit("check", times=2, retry_after=0)
        provider.limit("submit")
        with pytest.raises(ReplicateError) as throttled:
            await in_a_thread(lambda: client.predictions.create(version=ANIMATION_VERSION, input=PROMPTS))
        made = await in_a_thread(lambda: client.predictions.create(version=ANIMATION_VERSION, input=PROMPTS))
        await in_a_thread(made.wait)

        assert throttled.value.status == 429
        assert len(provider.jobs) == 1
        assert len(provider.asked("check")) == 3


async def test_replicate_is_found_through_the_environment_too():
    call = f"replicate.run({OFFICIAL!r}, input={{'prompt': 'a boat'}}, use_file_output=False)"
    command = [sys.executable, "-c", f"import replicate; print({call})"]
    async with Replicate(pace=AT_ONCE) as provider:
        own = {"REPLICATE_BASE_URL": provider.url, "REPLICATE_API_TOKEN": EMULATED_KEY}
        with anyio.fail_after(30):
            ended = await anyio.run_process(command, env=dict(os.environ) | own)

        assert ended.stdout.decode().strip() == provider.jobs[0].outputs[0]

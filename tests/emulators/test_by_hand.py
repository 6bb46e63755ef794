"""The emulated providers as a program."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import av
import pytest
from anyio.streams.text import TextReceiveStream
from PIL import Image

from emulators import films
from emulators.calls import BY_VERSION, FILM, FLF2V, PICTURE, calling, client_of
from emulators.jobs import AT_ONCE
from emulators.replicate import Replicate
from emulators.wavespeed import WaveSpeed
from emulators.wavespeed_models import NEWCOMER
from keyframe_mcp import catalog

FOLDER = Path(__file__).parent.parent


async def text_until(found: str, stream: TextReceiveStream) -> str:
    """What was printed up to and with some text."""
    text = ""
    with anyio.fail_after(20):
        while found not in text:
            text += await stream.receive()
    return text


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another matter there")
async def test_the_program_serves_all_five_says_how_and_ends_on_ctrl_c():
    command = [sys.executable, "-m", "emulators", "--port", "0"]
    environment = dict(os.environ) | {"PYTHONPATH": str(FOLDER), "PYTHONUNBUFFERED": "1"}
    process = await anyio.open_process(command, env=environment, stderr=None)
    try:
        assert process.stdout is not None
        output = TextReceiveStream(process.stdout)
        printed = await text_until("GATEWAY_API_KEY=emulated-key", output)
        addresses = dict(re.findall(r"KEYFRAME_(\w+)_BASE_URL=(\S+)", printed))
        assert list(addresses) == ["WAVESPEED", "SILICONFLOW", "BAICAI", "REPLICATE", "GATEWAY"]
        assert "KEYFRAME_ALLOW_LOOPBACK=1" in printed
        async with client_of() as client:
            balance = await client.get(addresses["WAVESPEED"] + "/api/v3/balance")
            assert balance.status_code == 200
            assert (await client.post(addresses["SILICONFLOW"] + "/video/submit", json={})).status_code == 400
        assert re.search(r"wavespeed +balance +200 +GET /api/v3/balance", await text_until("submit", output))
        process.send_signal(signal.SIGINT)
        with anyio.fail_after(10):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.aclose()


def test_ports_that_are_taken_are_answered_with_both_ways_to_choose_others():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "emulators", "--port", port]
        environment = dict(os.environ) | {"PYTHONPATH": str(FOLDER)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)

    assert done.returncode == 1
    assert "make emulators PORT=9000" in done.stderr
    assert "--port 9000" in done.stderr


def measured(film: bytes) -> tuple[int, int, float]:
    """Width, height and seconds of a film."""
    with av.open(io.BytesIO(film), "r") as container:
        (stream,) = container.streams.video
        frames = sum(1 for _ in container.decode(video=0))
        return stream.width, stream.height, frames / films.FPS


@pytest.mark.parametrize(
    ("inputs", "made"),
    [
        ({}, (320, 180, 2)),
        ({"duration": 5, "size": "832*480"}, (320, 184, 5)),
        ({"duration": 5, "size": "480*832"}, (184, 320, 5)),
        ({"num_frames": 90, "aspect_ratio": "9:16"}, (180, 320, 3)),
        ({"image_size": "960x960"}, (320, 320, 2)),
        ({"width": 768, "height": 512}, (320, 214, 2)),
        ({"input": {"duration": 8}}, (320, 180, 8)),
        ({"duration": 600}, (320, 180, 10)),
        ({"duration": "long", "size": "large"}, (320, 180, 2)),
    ],
)
def test_a_film_for_a_person_is_as_was_asked_for(inputs: dict[str, Any], made: tuple[int, int, float]):
    assert measured(films.film(inputs, 0)) == made


def test_each_job_has_a_colour_of_its_own():
    assert len({films.film({}, number) for number in range(len(films.COLOURS))}) == len(films.COLOURS)
    assert Image.open(io.BytesIO(films.animation({"width": 512, "height": 768}, 1))).size == (214, 320)


async def test_only_a_person_gets_other_films():
    for by_hand in (False, True):
        provider = WaveSpeed(by_hand=by_hand, pace=AT_ONCE)
        async with calling(provider) as client:
            made: list[bytes] = []
            for duration in (5, 10):
                asked = await client.post("/api/v3/wavespeed-ai/wan-flf2v", json=FLF2V | {"duration": duration})
                shown = await client.get(f"/api/v3/predictions/{asked.json()['data']['id']}/result")
                made.append((await client.get(shown.json()["data"]["outputs"][0])).content)

        assert [measured(each)[2] for each in made] == ([5, 10] if by_hand else [2, 2])


async def test_a_person_s_animation_is_of_the_shape_that_was_asked_for():
    provider = Replicate(by_hand=True, pace=AT_ONCE)
    async with calling(provider) as client:
        asked = BY_VERSION | {"input": {**BY_VERSION["input"], "width": 768, "height": 512}}
        job = (await client.post("/predictions", json=asked)).json()["id"]
        (url,) = (await client.get(f"/predictions/{job}")).json()["output"]
        assert Image.open(io.BytesIO((await client.get(url)).content)).size == (320, 214)


def test_every_kind_of_request_can_become_a_film():
    assert measured(films.film(FILM, 3)) == (320, 180, 5)


async def test_models_of_no_list_run_when_the_provider_is_told_so():
    strange = "acme/some/new-model"
    for any_model in (False, True):
        provider = WaveSpeed(any_model=any_model)
        async with calling(provider) as client:
            answer = await client.post(f"/api/v3/{strange}", json={"image": PICTURE, "whatever": 1})
            quote = await client.post("/api/v3/model/price", json={"model_id": strange, "inputs": {}})

        assert (answer.status_code, quote.status_code) == ((200, 200) if any_model else (404, 400))
        assert len(provider.jobs) == any_model
        assert any_model or "--any-model" in answer.text


async def test_a_person_who_asks_for_news_finds_one_model_that_no_catalogue_has():
    known = {each.model.remote for each in catalog.load().models()}
    assert NEWCOMER not in known
    for by_hand in (False, True):
        provider = WaveSpeed(by_hand=by_hand)
        async with calling(provider) as client:
            listed = [each["model_id"] for each in (await client.get("/api/v3/models")).json()["data"]]
            assert (NEWCOMER in listed) is by_hand
            assert (await client.post(f"/api/v3/{NEWCOMER}", json={"image": PICTURE})).status_code == 200

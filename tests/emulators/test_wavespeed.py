"""The emulated WaveSpeed refuses, shows and forgets as its pages say."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from emulators import wavespeed
from emulators.calls import FLF2V, PICTURE, calling, client_of, submit
from emulators.jobs import AT_ONCE, Fate
from emulators.wavespeed import WaveSpeed
from studio import Clock

FRAMEPACK = {"image": PICTURE, "prompt": "a boat"}


async def wavespeed_job(client: httpx.AsyncClient, **more: object) -> str:
    answer = await client.post("/api/v3/wavespeed-ai/wan-flf2v", json=FLF2V | more)
    return str(answer.json()["data"]["id"])


async def wavespeed_data(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    return (await client.get(f"/api/v3/predictions/{job_id}/result")).json()["data"]


@pytest.mark.parametrize(
    ("model", "inputs", "said"),
    [
        ("wan-flf2v", {"first_image": PICTURE}, "'last_image' is missing"),
        ("wan-flf2v", FLF2V | {"first_image": "data:image/png;base64,AAAA"}, "must be a URL"),
        ("wan-flf2v", FLF2V | {"size": "832x480"}, "must be one of 832*480"),
        ("wan-flf2v", FLF2V | {"duration": 11}, "at most 10"),
        ("wan-flf2v", FLF2V | {"duration": "5"}, "must be an integer"),
        ("wan-flf2v", FLF2V | {"seed": None}, "must be an integer"),
        ("wan-flf2v", FLF2V | {"seed": True}, "must be an integer"),
        ("wan-flf2v", FLF2V | {"resolution": "720p"}, "unsupported"),
        ("framepack", {"image": PICTURE}, "'prompt' is missing"),
        ("framepack", FRAMEPACK | {"num_frames": 20}, "at least 30"),
        ("framepack", FRAMEPACK | {"guidance_scale": 32.5}, "at most 32"),
    ],
)
async def test_wavespeed_refuses_what_its_pages_do_not_allow(model: str, inputs: dict[str, Any], said: str):
    provider = WaveSpeed()
    async with calling(provider) as client:
        answer = await client.post(f"/api/v3/wavespeed-ai/{model}", json=inputs)

        assert answer.status_code == 400
        assert answer.json()["code"] == 400
        assert said in answer.json()["message"]
        assert provider.jobs == []


async def test_wavespeed_shows_a_job_from_created_to_completed():
    provider = WaveSpeed()
    async with calling(provider) as client:
        first = (await submit(client, provider)).json()
        assert first["code"] == 200
        assert first["data"]["status"] == "created"
        seen = [await wavespeed_data(client, first["data"]["id"]) for _ in range(3)]

        assert [each["status"] for each in seen] == ["created", "processing", "completed"]
        assert [len(each["outputs"]) for each in seen] == [0, 0, 1]
        assert len(seen[0]["created_at"].partition(".")[2]) == len("948268264Z")


async def test_wavespeed_tells_of_failures_inside_a_200():
    provider = WaveSpeed(pace=AT_ONCE)
    provider.will(wavespeed.MODERATED, Fate("timeout"), Fate(running_as="thinking"))
    async with calling(provider) as client:
        moderated = await wavespeed_data(client, await wavespeed_job(client))
        timeout = await wavespeed_data(client, await wavespeed_job(client))

        assert (moderated["status"], moderated["code"], moderated["outputs"]) == ("failed", 1200, [])
        assert timeout["status"] == "timeout"


async def test_wavespeed_knows_its_uploads_and_fails_jobs_whose_upload_has_gone():
    clock = Clock()
    provider = WaveSpeed(pace=AT_ONCE, clock=clock)
    async with calling(provider) as client:
        form = {"file": ("a.png", b"picture", "image/png")}
        left = (await client.post("/api/v3/media/upload/binary", files=form)).json()["data"]
        assert (left["type"], left["size"], left["filename"]) == ("image", 7, "a.png")
        assert (await client.get(left["download_url"])).content == b"picture"
        there = await wavespeed_job(client, first_image=left["download_url"])
        gone = await wavespeed_job(client, first_image=left["download_url"] + "x")

        assert (await wavespeed_data(client, there))["status"] == "completed"
        assert (await wavespeed_data(client, gone))["code"] == 1402
        assert [upload.content for upload in provider.uploads] == [b"picture"]


async def test_wavespeed_takes_a_file_by_ticket_but_not_with_a_key_beside_it():
    provider = WaveSpeed()
    async with calling(provider) as client:
        wanted = {"filename": "a.png", "size": 7, "content_type": "image/png"}
        ticket = (await client.post("/api/v3/media/uploads", json=wanted)).json()["data"]
        url, headers = ticket["upload"]["url"], ticket["upload"]["headers"]

        assert (await client.get(ticket["download_url"])).status_code == 403
        assert (await client.put(url, content=b"picture", headers=headers)).status_code == 400
        async with client_of(key=None) as stranger:
            assert (await stranger.put(url, content=b"picture", headers=headers)).status_code == 200
        assert (await client.get(ticket["download_url"])).content == b"picture"


async def test_wavespeed_quotes_lists_and_deletes():
    clock = Clock()
    provider = WaveSpeed(clock=clock)
    async with calling(provider) as client:
        asked = {"model_id": "wavespeed-ai/wan-flf2v", "inputs": {"duration": 10, "size": "1280*720"}}
        assert (await client.post("/api/v3/model/price", json=asked)).json()["data"]["price"] == 0.6
        assert (await client.post("/api/v3/model/pricing", json=asked)).json()["data"]["unit_price"] == 0.6
        assert (await client.get("/api/v3/balance")).json()["data"]["balance"] == 12.34
        ids = [await wavespeed_job(client) for _ in range(3)]
        page = (await client.post("/api/v3/predictions", json={"page": 2, "page_size": 2})).json()["data"]
        assert (page["total"], [item["id"] for item in page["items"]]) == (3, ids[:1])
        gone = await client.post("/api/v3/predictions/delete", json={"ids": ids[:1]})
        assert gone.json()["data"]["deleted_count"] == 1
        assert (await client.get(f"/api/v3/predictions/{ids[0]}")).status_code == 404
        clock.now += 7 * 24 * 3600
        assert (await client.get(f"/api/v3/predictions/{ids[1]}")).status_code == 404


async def test_wavespeed_lists_models_of_every_kind_and_one_without_a_schema():
    provider = WaveSpeed()
    async with calling(provider) as client:
        models = (await client.get("/api/v3/models")).json()["data"]

        by_id = {model["model_id"]: model for model in models}
        schema = by_id["wavespeed-ai/wan-flf2v"]["api_schema"]["api_schemas"][0]["request_schema"]
        assert schema["required"] == ["first_image", "last_image"]
        assert schema["properties"]["duration"] == {
            "type": "integer",
            "description": "",
            "minimum": 5,
            "maximum": 10,
            "default": 5,
        }
        assert {"image-to-video", "text-to-video", "text-to-image", "video-to-audio"} == {m["type"] for m in models}
        assert [m["model_id"] for m in models if not m["api_schema"]["api_schemas"]] == [models[-1]["model_id"]]
        assert len(models) >= 12


async def test_wavespeed_gives_bytes_or_objects_on_demand():
    provider = WaveSpeed(pace=AT_ONCE)
    async with calling(provider) as client:
        coded = await wavespeed_data(client, await wavespeed_job(client, enable_base64_output=True))
        assert coded["outputs"][0].startswith("AAAA")
        provider.outputs_as, provider.is_flagged = "objects", True
        objects = await wavespeed_data(client, await wavespeed_job(client))
        assert objects["outputs"][0]["url"].startswith(provider.url)
        assert objects["has_nsfw_contents"] == [True]
        hooked = await client.post(
            "/api/v3/wavespeed-ai/wan-flf2v?webhook=https%3A%2F%2Fh.example.net",
            json=FLF2V | {"enable_base64_output": True},
        )
        assert hooked.status_code == 400


async def test_wavespeed_runs_other_models_with_any_object_but_not_models_nobody_knows():
    provider = WaveSpeed()
    async with calling(provider) as client:
        answers = [
            await client.post(f"/api/v3/{model}", json=body)
            for model, body in (
                ("bytedance/seedance-2.0/text-to-video", {"prompt": "a boat", "anything": [1]}),
                ("bytedance/seedance-2.0/text-to-video", ["a list"]),
                ("nobody/knows-this", {}),
            )
        ]

        assert [answer.status_code for answer in answers] == [200, 400, 404]
        assert [job.model for job in provider.jobs] == ["bytedance/seedance-2.0/text-to-video"]

"""The emulated SiliconFlow refuses, tells and complains as its pages say."""

from __future__ import annotations

from typing import Any

import pytest

from emulators import siliconflow
from emulators.calls import PICTURE, TEXT, calling, submit
from emulators.jobs import AT_ONCE, Fate
from emulators.siliconflow import IMAGE_TO_VIDEO, TRACE_HEADER, SiliconFlow


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"model": "Wan-AI/Wan2.2-I2V-14B-720P"}, 20012),
        ({"prompt": ""}, 20015),
        ({"image_size": "1280*720"}, 20015),
        ({"model": IMAGE_TO_VIDEO}, 20015),
        ({"model": IMAGE_TO_VIDEO, "image": "data:image/png;base64, AAAA"}, 20015),
        ({"model": IMAGE_TO_VIDEO, "image": "data:image/webp;base64,AAAA"}, 20015),
        ({"image": PICTURE}, 20015),
        ({"duration": 5}, 20015),
    ],
)
async def test_siliconflow_refuses_what_its_page_does_not_allow(change: dict[str, Any], code: int):
    provider = SiliconFlow()
    async with calling(provider) as client:
        answer = await client.post("/video/submit", json=TEXT | change)

        assert answer.status_code == 400
        assert answer.json()["code"] == code
        assert provider.jobs == []


async def test_siliconflow_is_asked_by_post_and_names_every_answer():
    provider = SiliconFlow()
    async with calling(provider) as client:
        pictured = TEXT | {"model": IMAGE_TO_VIDEO, "image": "data:image/jpeg;base64,AAAA"}
        submitted = await client.post("/video/submit", json=pictured)
        asked = {"requestId": submitted.json()["requestId"]}
        answers = [await client.post("/video/status", json=asked) for _ in range(3)]

        assert [answer.json()["status"] for answer in answers] == ["InQueue", "InProgress", "Succeed"]
        assert [answer.json()["results"] is None for answer in answers] == [True, True, False]
        assert answers[-1].json()["results"]["seed"] == provider.seed
        assert len({answer.headers[TRACE_HEADER] for answer in (submitted, *answers)}) == 4
        unknown = await client.post("/video/status", json={"requestId": "unknown"})
        assert unknown.status_code == 400
        lost = await client.get("/video/status")
        assert (lost.status_code, lost.json(), TRACE_HEADER in lost.headers) == (404, "404 page not found", True)


async def test_siliconflow_complains_in_strings_and_in_objects():
    provider = SiliconFlow()
    said = (siliconflow.FORBIDDEN, siliconflow.NO_BALANCE, siliconflow.OVERLOADED, siliconflow.GATEWAY_TIMEOUT)
    provider.next("submit", *said)
    async with calling(provider) as client:
        answers = [await submit(client, provider) for _ in said]

        assert [answer.status_code for answer in answers] == [403, 403, 503, 504]
        assert [type(answer.json()) for answer in answers] == [str, dict, dict, str]
        provider.key = "another-key"
        assert (await submit(client, provider)).json() == "Invalid token"


async def test_siliconflow_says_why_a_job_failed():
    provider = SiliconFlow(pace=AT_ONCE)
    provider.will(Fate("Failed", "the picture is too dark"))
    async with calling(provider) as client:
        asked = {"requestId": (await submit(client, provider)).json()["requestId"]}
        failed = (await client.post("/video/status", json=asked)).json()

        assert failed == {"status": "Failed", "reason": "the picture is too dark", "results": None}

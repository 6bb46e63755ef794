"""The emulated Baicai refuses as its page says, and tells in every shape it may have."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.baicai import Baicai
from emulators.calls import FILM, FILM_INPUT, PICTURE, calling, submit


@pytest.mark.parametrize(
    "body",
    [
        FILM | {"async": False},
        FILM | {"task_type": "img2video"},
        FILM | {"input": FILM_INPUT | {"duration": 7}},
        FILM | {"input": FILM_INPUT | {"number_of_videos": 5}},
        FILM | {"input": FILM_INPUT | {"resolution": "480p"}},
        FILM | {"input": FILM_INPUT | {"image": "data:image/png;base64,AAAA"}},
        FILM | {"input": FILM_INPUT | {"need_expand_prompt": True}},
        FILM | {"input": PICTURE},
    ],
)
async def test_baicai_refuses_what_its_page_does_not_allow(body: dict[str, Any]):
    provider = Baicai()
    async with calling(provider) as client:
        answer = await client.post("/v1/videos/generations", json=body)
        assert (answer.status_code, answer.json()["code"], answer.json()["data"]) == (200, 400, None)
        provider.says_200 = False
        assert (await client.post("/v1/videos/generations", json=body)).status_code == 400
        assert provider.jobs == []


async def test_baicai_makes_as_many_films_as_asked_and_tells_in_three_shapes():
    provider = Baicai()
    async with calling(provider) as client:
        submitted = (
            await client.post("/v1/videos/generations", json=FILM | {"input": FILM_INPUT | {"number_of_videos": 3}})
        ).json()
        assert submitted["code"] == 0
        assert submitted["ts"].endswith("+08:00[Asia/Shanghai]")
        task = f"/v1/comfyui/tasks/{submitted['data']['taskId']}"
        states = [(await client.get(f"{task}/status")).json()["data"][0] for _ in range(3)]
        assert [(each["status"], each["progress"]) for each in states] == [
            ("PENDING", "0%"),
            ("RUNNING", "50%"),
            ("COMPLETED", "100%"),
        ]
        shapes: list[Any] = []
        for provider.results_as in ("urls", "list", "nested"):
            shapes.append((await client.get(f"{task}/result")).json()["data"])
        assert len(shapes[0]["urls"]) == 3
        assert shapes[1] == [shapes[0]]
        assert shapes[2] == [{"result": shapes[0]}]


async def test_baicai_can_be_without_a_status_path_and_answer_in_lists():
    provider = Baicai()
    provider.has_status_path, provider.submits_as = False, "list"
    async with calling(provider) as client:
        task = f"/v1/comfyui/tasks/{(await submit(client, provider)).json()['data'][0]['taskId']}"

        assert (await client.get(f"{task}/status")).status_code == 404
        found = [(await client.get(f"{task}/result")).json()["data"]["urls"] for _ in range(3)]
        assert [len(urls) for urls in found] == [0, 0, 1]


async def test_baicai_takes_uploads_and_only_uses_png_and_jpg():
    provider = Baicai()
    provider.requires_upload = True
    async with calling(provider) as client:
        assert (await submit(client, provider)).json()["code"] == 400
        codes: list[int] = []
        for kind in ("image/png", "image/webp"):
            left = await client.post("/v1/resources/upload", files={"file": ("a", b"picture", kind)})
            path = left.json()["data"]["fullPath"]
            body = FILM | {"input": FILM_INPUT | {"image": path, "last_image": path}}
            codes.append((await client.post("/v1/videos/generations", json=body)).json()["code"])
        assert codes == [0, 400]

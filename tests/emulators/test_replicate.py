"""The emulated Replicate, and the gateway in front of it, as pages and recorded exchanges show them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from emulators import gateway, replicate
from emulators.calls import BY_VERSION, PICTURE, PROMPTS, calling, submit
from emulators.gateway import Gateway
from emulators.jobs import AT_ONCE, by_the_clock
from emulators.replicate import Replicate
from emulators.replicate_models import ANIMATION, ANIMATION_VERSION
from studio import Clock


@pytest.mark.parametrize(
    ("inputs", "field", "said"),
    [
        ({"prompt_start": "dawn"}, "input", "prompt_end is required"),
        (PROMPTS | {"width": 640}, "input.width", "must be one of the following: 128, 256, 512, 768, 1024"),
        (PROMPTS | {"height": 1024}, "input.height", "must be one of the following"),
        (PROMPTS | {"num_animation_frames": 51}, "input.num_animation_frames", "less than or equal to 50"),
        (PROMPTS | {"output_format": "webm"}, "input.output_format", '"gif", "mp4"'),
        (PROMPTS | {"first_image": PICTURE}, "input", "first_image is not allowed"),
    ],
)
async def test_replicate_lists_every_invalid_field(inputs: dict[str, Any], field: str, said: str):
    provider = Replicate()
    async with calling(provider) as client:
        answer = await client.post("/predictions", json={"version": ANIMATION_VERSION, "input": inputs})

        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["title"] == "Input validation failed"
        assert answer.json()["invalid_fields"][0]["field"] == field
        assert said in answer.json()["detail"]
        assert provider.jobs == []


async def test_replicate_knows_versions_by_hash_by_full_name_and_official_models_by_name():
    provider = Replicate()
    async with calling(provider) as client:
        full = await client.post("/predictions", json={"version": f"{ANIMATION}:{ANIMATION_VERSION}", "input": PROMPTS})
        short = await client.post("/predictions", json={"version": "minimax/video-01", "input": {"prompt": "a boat"}})
        named = await client.post("/models/minimax/video-01/predictions", json={"input": {"prompt": "a boat"}})
        community = await client.post(f"/models/{ANIMATION}/predictions", json={"input": PROMPTS})
        unknown = await client.post("/predictions", json={"version": "0" * 64, "input": PROMPTS})

        codes = [answer.status_code for answer in (full, short, named, community, unknown)]
        assert codes == [201, 201, 201, 404, 422]
        assert full.json()["version"] == ANIMATION_VERSION
        assert named.json()["version"] == "hidden"
        assert unknown.json()["title"] == "Invalid version or not permitted"


async def test_replicate_shows_previews_and_logs_before_the_final_file():
    provider = Replicate()
    provider.logs_as = "both"
    async with calling(provider) as client:
        inputs = PROMPTS | {"intermediate_output": True, "output_format": "mp4", "seed": 0}
        made = (await client.post("/predictions", json={"version": ANIMATION_VERSION, "input": inputs})).json()
        assert (made["status"], made["output"], made["logs"]) == ("starting", None, "")
        seen = [(await client.get(f"/predictions/{made['id']}")).json() for _ in range(3)]

        assert [each["status"] for each in seen] == ["starting", "processing", "succeeded"]
        assert [len(each["output"] or []) for each in seen] == [0, 2, 5]
        assert [url.rpartition(".")[2] for url in seen[2]["output"]] == ["png"] * 4 + ["mp4"]
        assert seen[2]["output"][:2] == seen[1]["output"]
        assert seen[1]["logs"].startswith("Using seed: 0\nGenerating frame 0 of keyframe 0\n")
        assert "50%|█████     | 20/40" in seen[1]["logs"]
        assert seen[2]["metrics"]["predict_time"] >= 0


async def test_replicate_shapes_its_output_as_told():
    provider = Replicate(pace=AT_ONCE)
    async with calling(provider) as client:
        made = (await client.post("/predictions", json=BY_VERSION)).json()
        shapes: list[Any] = []
        for provider.outputs_as in (None, "string", "object", "objects"):
            shapes.append((await client.get(f"/predictions/{made['id']}")).json()["output"])

        url = shapes[0][0]
        assert url.endswith("output.gif")
        assert (shapes[1], shapes[2]["video"], shapes[3][0]["url"]) == (url, url, url)


async def test_replicate_waits_if_asked_to_and_says_processing_with_the_output_in_it():
    provider = Replicate()
    async with calling(provider) as client:
        done = await client.post("/predictions", json=BY_VERSION, headers={"Prefer": "wait=5"})
        provider.wait_times_out = True
        early = await client.post("/predictions", json=BY_VERSION, headers={"Prefer": "wait"})
        wrong = await client.post("/predictions", json=BY_VERSION, headers={"Prefer": "wait=61"})

        assert (done.status_code, done.json()["status"], len(done.json()["output"])) == (201, "processing", 1)
        assert done.headers["preference-applied"] == "wait"
        assert (early.status_code, early.json()["status"]) == (202, "starting")
        assert wrong.status_code == 400
        assert (await client.get(f"/predictions/{done.json()['id']}")).json()["status"] == "succeeded"


async def test_replicate_stops_jobs_at_their_deadline_and_when_told():
    clock = Clock()
    provider = Replicate(clock=clock, pace=by_the_clock(queued=60, running=60))
    async with calling(provider) as client:

        async def make(deadline: str) -> httpx.Response:
            return await client.post("/predictions", json=BY_VERSION, headers={"Cancel-After": deadline})

        early, late, never = [(await make(deadline)).json()["id"] for deadline in ("30", "1m30s", "1h")]
        assert [(await make(deadline)).status_code for deadline in ("soon", "", "4s")] == [400, 400, 400]
        clock.now += 30
        assert (await client.get(f"/predictions/{early}")).json()["status"] == "aborted"
        clock.now += 60
        seen = (await client.get(f"/predictions/{late}")).json()
        assert (seen["status"], seen["metrics"]["predict_time"]) == ("canceled", 30)
        told = (await client.post(f"/predictions/{never}/cancel")).json()
        assert (told["status"], told["logs"], told["output"]) == ("canceled", None, None)


async def test_replicate_forgets_what_a_prediction_made_after_an_hour():
    clock = Clock()
    provider = Replicate(clock=clock, pace=AT_ONCE)
    async with calling(provider) as client:
        made = (await client.post("/predictions", json=BY_VERSION)).json()
        before = (await client.get(f"/predictions/{made['id']}")).json()
        clock.now += 3600
        after = (await client.get(f"/predictions/{made['id']}")).json()

        assert (before["data_removed"], after["data_removed"]) == (False, True)
        assert (after["status"], after["output"], after["logs"], after["input"]) == ("succeeded", None, None, {})
        assert (await client.get(before["output"][0])).status_code == 403


async def test_replicate_pages_through_its_list():
    provider = Replicate()
    provider.page_size = 2
    async with calling(provider) as client:
        ids = [(await submit(client, provider)).json()["id"] for _ in range(5)]
        seen: list[str] = []
        following: str | None = "/predictions"
        while following:
            page = (await client.get(following)).json()
            seen += [item["id"] for item in page["results"]]
            following = page["next"]

        assert seen == ids[::-1]


async def test_replicate_keeps_files_for_a_day():
    clock = Clock()
    provider = Replicate(clock=clock, pace=AT_ONCE)
    async with calling(provider) as client:
        form = {"content": ("a.png", b"picture", "image/png"), "metadata": (None, '{"of": "a test"}')}
        left = await client.post("/files", files=form)
        url = left.json()["urls"]["get"]
        assert (left.status_code, left.json()["size"], left.json()["metadata"]) == (201, 7, {"of": "a test"})
        assert (await client.get(url)).json() == left.json()
        assert [file["id"] for file in (await client.get("/files")).json()["results"]] == [left.json()["id"]]
        clock.now += 24 * 3600
        assert (await client.get(url)).status_code == 404
        made = await client.post("/models/wan-video/wan-2.2-i2v-fast/predictions", json={"input": {"image": url}})
        assert (await client.get(f"/predictions/{made.json()['id']}")).json()["status"] == "failed"


async def test_replicate_wants_to_be_paid():
    provider = Replicate()
    provider.next("submit", replicate.NO_CREDIT)
    async with calling(provider) as client:
        assert (await submit(client, provider)).status_code == 402
        assert provider.jobs == []


async def test_the_gateway_answers_200_and_points_elsewhere():
    provider = Gateway(pace=AT_ONCE)
    async with calling(provider) as client:
        made = await submit(client, provider)
        assert made.status_code == 200
        assert made.json()["urls"]["get"] == f"https://api.replicate.com/v1/predictions/{made.json()['id']}"
        found = (await client.get(f"/replicate/v1/predictions/{made.json()['id']}")).json()
        assert (found["status"], len(found["output"])) == ("succeeded", 1)
        for method, path in (
            ("POST", f"predictions/{made.json()['id']}/cancel"),
            ("POST", "files"),
            ("GET", "account"),
        ):
            lost = await client.request(method, f"/replicate/v1/{path}")
            assert (lost.status_code, lost.json()["error"]["type"]) == (404, "invalid_request_error")


async def test_the_gateway_complains_in_its_own_way_and_passes_on_what_replicate_refuses():
    provider = Gateway()
    provider.next("submit", gateway.NO_QUOTA)
    async with calling(provider) as client:
        poor = await submit(client, provider)
        unlisted = await client.post("/replicate/v1/predictions", json={"version": "0" * 64, "input": PROMPTS})
        invalid = await client.post("/replicate/v1/predictions", json={"version": ANIMATION_VERSION, "input": {}})

        assert (poor.status_code, poor.json()["error"]["code"]) == (403, "insufficient_user_quota")
        assert (unlisted.status_code, unlisted.json()["error"]["code"]) == (503, "model_not_found")
        assert (invalid.status_code, invalid.json()["title"]) == (422, "Input validation failed")
        assert provider.jobs == []

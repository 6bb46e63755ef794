"""Every system the project was asked for, whole: through the tools, over HTTP, against emulated providers."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import anyio
import pytest

from emulators.faults import Answer, Changed, CutShort, HangUp, Reset, redirect, web_page
from emulators.gateway import Gateway
from emulators.jobs import Fate
from emulators.wavespeed import MODERATED, UNFETCHABLE
from keyframe_mcp import catalog as catalogs
from studio import ME, picture
from systems import KEY, Systems, open_systems

PROMPTS = {"prompt_start": "a seed in the dark", "prompt_end": "a tree in the light"}


def frames(folder: Path) -> tuple[str, str]:
    return str(picture(folder / "first.png")), str(picture(folder / "last.png", 200, shift=31))


async def test_framepack_makes_a_video_from_one_image(tmp_path: Path):
    first, _ = frames(tmp_path)
    async with open_systems(tmp_path) as systems:
        task = await systems.made(
            "generate_i2v",
            model="wavespeed-ai/framepack",
            image=first,
            prompt="it turns",
            duration=2,
            resolution="480p",
        )

        assert task["status"] == "succeeded", task
        assert task["model"] == "wavespeed/framepack"
        (job,) = systems.wavespeed.jobs
        assert job.model == "wavespeed-ai/framepack"
        assert (job.inputs["num_frames"], job.inputs["resolution"]) == (60, "480p")
        assert systems.wavespeed.can_fetch(job.inputs["image"])
        (output,) = task["outputs"]
        assert Path(output["file"]).is_file()
        assert output["url"].startswith(systems.wavespeed.url)
        assert "expires_at" in output
        assert output["duration"] > 0


async def test_wan_flf2v_makes_a_video_between_two_images(tmp_path: Path):
    first, last = frames(tmp_path)
    async with open_systems(tmp_path) as systems:
        task = await systems.made(
            "generate_flf2v",
            model="wavespeed/wan-flf2v",
            first_image=first,
            last_image=last,
            prompt="dawn turns to dusk",
            duration=10,
            resolution="720p",
            aspect_ratio="16:9",
            seed=7,
        )

        assert task["status"] == "succeeded", task
        (job,) = systems.wavespeed.jobs
        assert (job.inputs["size"], job.inputs["duration"], job.inputs["seed"]) == ("1280*720", 10, 7)
        assert job.inputs["first_image"] != job.inputs["last_image"]
        assert "quoted" in task["cost"]["basis"]


async def test_baicai_makes_a_video_between_two_images(tmp_path: Path):
    first, last = frames(tmp_path)
    async with open_systems(tmp_path) as systems:
        task = await systems.made(
            "generate_flf2v", model="Viduq2-pro-FLF2V-fast", first_image=first, last_image=last, prompt="they meet"
        )

        assert task["status"] == "succeeded", task
        (job,) = systems.baicai.jobs
        sent = job.inputs.get("input", job.inputs)
        assert (sent["resolution"], sent["duration"]) == ("720p", 5)
        assert "experimental" in " ".join(task["warnings"])


async def test_baicai_makes_up_to_four_videos_at_once(tmp_path: Path):
    first, last = frames(tmp_path)
    async with open_systems(tmp_path) as systems:
        task = await systems.made(
            "generate_flf2v",
            model="baicai/viduq2-pro-flf2v-fast",
            first_image=first,
            last_image=last,
            prompt="they meet",
            num_outputs=3,
        )

        assert task["status"] == "succeeded", task
        files = [output["file"] for output in task["outputs"]]
        assert len(set(files)) == 3
        assert all(Path(file).is_file() for file in files)


async def test_siliconflow_makes_a_video_from_one_image_sent_inside_the_request(tmp_path: Path):
    portrait = str(picture(tmp_path / "portrait.png", size=(192, 320)))
    async with open_systems(tmp_path) as systems:
        task = await systems.made("generate_i2v", model="siliconflow/wan2.2-i2v", image=portrait, prompt="it turns")

        assert task["status"] == "succeeded", task
        (job,) = systems.siliconflow.jobs
        assert job.inputs["image"].startswith("data:image/png;base64,")
        assert job.inputs["image_size"] == "720x1280"
        assert "9:16 was chosen" in " ".join(task["warnings"])
        assert task["trace_id"]
        assert task["inference_seconds"] > 0
        assert isinstance(task["seed"], int)


async def test_siliconflow_makes_a_video_from_words(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        task = await systems.made("generate_t2v", model="Wan-AI/Wan2.2-T2V-A14B", prompt="a boat leaves harbour")

        assert task["status"] == "succeeded", task
        (job,) = systems.siliconflow.jobs
        assert job.inputs["image_size"] == "1280x720"
        assert "seed" not in job.inputs


@pytest.mark.parametrize("provider", ["replicate", "gateway"])
async def test_an_animation_is_made_by_replicate_and_by_a_gateway(tmp_path: Path, provider: str):
    async with open_systems(tmp_path) as systems:
        task = await systems.made(
            "generate_animation",
            model=f"{provider}/stable-diffusion-animation",
            **PROMPTS,
            options={"output_format": "mp4", "intermediate_output": True, "gif_ping_pong": "true"},
        )

        assert task["status"] == "succeeded", task
        (job,) = getattr(systems, provider).jobs
        assert job.inputs["gif_ping_pong"] is True
        kinds = [output["mime_type"] for output in task["outputs"]]
        assert kinds[0] == "video/mp4"
        assert set(kinds[1:]) == {"image/png"}
        assert ("expires_at" in task["outputs"][0]) is (provider == "replicate")


async def test_a_second_gateway_is_one_file(tmp_path: Path):
    guide = (Path(__file__).parent.parent / "docs" / "catalogue.md").read_text("utf-8")
    head = guide.partition('```toml\nname = "Reseller"')[2].partition("```")[0]
    ours = (resources.files(catalogs) / "gateway.toml").read_text("utf-8")
    (tmp_path / "catalogue").mkdir()
    (tmp_path / "catalogue" / "reseller.toml").write_text(f'name = "Reseller"{head}{ours[ours.index("[[models]]") :]}')
    async with Gateway(key="resold") as reseller:
        chosen = {
            "KEYFRAME_CATALOG_DIR": str(tmp_path / "catalogue"),
            "KEYFRAME_RESELLER_BASE_URL": reseller.base_url,
            "RESELLER_API_KEY": "resold",
        }
        async with open_systems(tmp_path, **chosen) as systems:
            task = await systems.made("generate_animation", model="reseller/stable-diffusion-animation", **PROMPTS)

            assert task["status"] == "succeeded", task
            assert len(reseller.jobs) == 1
            assert not systems.gateway.requests


async def test_a_deadline_travels_as_a_header(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        task = await systems.made(
            "generate_animation",
            model="replicate/stable-diffusion-animation",
            **PROMPTS,
            options={"cancel_after": 600, "prefer_wait": 5},
        )

        assert task["status"] == "succeeded", task
        (asked,) = systems.replicate.asked("submit")
        assert (asked.headers["cancel-after"], asked.headers["prefer"]) == ("600s", "wait=5")
        assert asked.json["input"].keys() == {"prompt_start", "prompt_end"}


async def test_an_animation_is_a_gif_unless_asked_otherwise(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        task = await systems.made("generate_animation", model="replicate/stable-diffusion-animation", **PROMPTS)

        assert task["status"] == "succeeded", task
        assert task["outputs"][0]["mime_type"] == "image/gif"
        assert task["outputs"][0]["file"].endswith(".gif")
        assert isinstance(task["seed"], int)


async def test_the_same_picture_is_uploaded_once(tmp_path: Path):
    first, last = frames(tmp_path)
    async with open_systems(tmp_path) as systems:
        for prompt in ("one", "two"):
            task = await systems.made(
                "generate_flf2v", model="wavespeed/wan-flf2v", first_image=first, last_image=last, prompt=prompt
            )
            assert task["status"] == "succeeded"

        assert len(systems.wavespeed.uploads) == 2
        assert len(systems.wavespeed.jobs) == 2


async def test_a_public_picture_is_passed_on(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        file = picture(tmp_path / "public.png")
        url = systems.wavespeed.publish(file.read_bytes(), "image/png", "public.png")
        task = await systems.made("generate_i2v", model="wavespeed/framepack", image=url, prompt="it turns")

        assert task["status"] == "succeeded", task
        assert systems.wavespeed.jobs[0].inputs["image"] == url
        assert not systems.wavespeed.uploads


async def test_pictures_a_provider_cannot_read_are_converted(tmp_path: Path):
    _, last = frames(tmp_path)
    webp = picture(tmp_path / "first.webp")
    async with open_systems(tmp_path) as systems:
        task = await systems.made(
            "generate_flf2v", model="baicai/viduq2-pro-flf2v-fast", first_image=str(webp), last_image=last, prompt="p"
        )

        assert task["status"] == "succeeded", task
        assert {upload.content_type for upload in systems.baicai.uploads} == {"image/png"}
        assert "first_image: converted from WebP" in " ".join(task["warnings"])


async def test_nothing_wrong_is_sent(tmp_path: Path):
    first, _ = frames(tmp_path)
    async with open_systems(tmp_path) as systems:
        text = await systems.refused(
            "generate_flf2v",
            model="wavespeed/wan-flf2v",
            first_image=first,
            last_image="missing.png",
            duration=7,
            resolution="1080p",
            guidance_scale=21,
            options={"enable_sync_mode": True},
        )

        for words in ("duration: ", "resolution", "guidance_scale", "last_image", "enable_sync"):
            assert words in text
        assert not systems.wavespeed.requests


@pytest.mark.parametrize("accident", [Reset(recorded=True), HangUp(recorded=True), web_page(502, recorded=True)])
async def test_a_submission_whose_fate_is_unknown_is_never_sent_again(tmp_path: Path, accident: Any):
    async with open_systems(tmp_path) as systems:
        systems.siliconflow.next("submit", accident)
        task = await systems.made("generate_t2v", model="siliconflow/wan2.2-t2v", prompt="a boat")

        assert task["status"] == "unknown"
        assert task["error"]["kind"] == "submission_uncertain"
        assert "Do not generate it again" in task["next_step"]
        assert len(systems.siliconflow.jobs) == 1
        assert len(systems.siliconflow.asked("submit")) == 1


async def test_a_lost_answer_is_made_good_where_the_provider_lists_its_jobs(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        systems.replicate.next("submit", HangUp(recorded=True))
        task = await systems.made("generate_animation", model="replicate/stable-diffusion-animation", **PROMPTS)
        assert task["status"] == "unknown"
        task = await until_settled_otherwise(systems, task["task_id"])

        assert task["status"] == "succeeded"
        assert len(systems.replicate.jobs) == len(systems.replicate.asked("submit")) == 1


async def test_a_list_that_shows_no_inputs_proves_nothing_and_is_told(tmp_path: Path):
    first, _ = frames(tmp_path)
    async with open_systems(tmp_path) as systems:
        systems.wavespeed.next("submit", HangUp(recorded=True))
        task = await systems.made("generate_i2v", model="wavespeed/framepack", image=first, prompt="turns")
        await systems.wavespeed.until_asked("list", 2)
        task = await systems.settled(task["task_id"])

        assert task["status"] == "unknown"
        assert systems.wavespeed.jobs[0].id in task["error"]["message"]
        assert len(systems.wavespeed.asked("submit")) == 1


async def test_a_busy_provider_is_asked_again_and_makes_one_video(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        systems.siliconflow.limit("submit", retry_after=1)
        task = await systems.made("generate_t2v", model="siliconflow/wan2.2-t2v", prompt="a boat")

        assert task["status"] == "succeeded"
        assert len(systems.siliconflow.jobs) == 1


async def test_a_refused_key_says_which_host_was_tried_and_what_to_change(tmp_path: Path):
    async with open_systems(tmp_path, SILICONFLOW_API_KEY="sk-from-the-other-site") as systems:
        task = await systems.made("generate_t2v", model="siliconflow/wan2.2-t2v", prompt="a boat")

        assert task["status"] == "failed"
        error = task["error"]
        assert error["kind"] == "credential_refused"
        for words in ("127.0.0.1", "SILICONFLOW_API_KEY", "KEYFRAME_SILICONFLOW_BASE_URL", "api.siliconflow.com"):
            assert words in error["message"]
        assert "trace id" in error["message"]
        assert "sk-from-the-other-site" not in str(task)


@pytest.mark.parametrize(
    ("fate", "kind"), [(MODERATED, "content_rejected"), (UNFETCHABLE, "provider_refused")], ids=["moderated", "picture"]
)
async def test_a_job_that_fails_says_why(tmp_path: Path, fate: Fate, kind: str):
    first, _ = frames(tmp_path)
    async with open_systems(tmp_path) as systems:
        systems.wavespeed.will(fate)
        task = await systems.made("generate_i2v", model="wavespeed/framepack", image=first, prompt="it turns")

        assert (task["status"], task["error"]["kind"]) == ("failed", kind)
        assert "WaveSpeedAI says" in task["error"]["message"]


async def test_trouble_while_polling_and_downloading_ends_no_job(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        trouble = systems.replicate
        trouble.next("check", Reset(), web_page(200), Answer(404, {"detail": "not found"}))
        trouble.next("download", CutShort(), Answer(503, b""))
        task = await systems.made("generate_animation", model="replicate/stable-diffusion-animation", **PROMPTS)

        assert task["status"] == "succeeded"
        assert len(trouble.jobs) == 1


async def test_a_word_nobody_knows_keeps_the_job_running(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        systems.replicate.will(Fate(running_as="daydreaming"))
        started = await systems.call("generate_animation", model="replicate/stable-diffusion-animation", **PROMPTS)
        following = systems.application.engine.follow([started["task_id"]], ME, 40)
        seen = [(str(task.status), task.native_status) async for (task,) in following]

        assert ("running", "daydreaming") in seen
        assert seen[-1] == ("succeeded", "succeeded")


async def test_a_result_that_leads_elsewhere_is_not_followed(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        systems.siliconflow.next("download", redirect("http://169.254.169.254/latest/meta-data"), times=9)
        task = await systems.made("generate_t2v", model="siliconflow/wan2.2-t2v", prompt="a boat")

        assert task["status"] == "failed"
        assert task["outputs"][0]["url"].startswith(systems.siliconflow.url)


async def test_a_page_that_poses_as_the_video_is_not_kept(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        systems.siliconflow.next("download", web_page(200), times=9)
        task = await systems.made("generate_t2v", model="siliconflow/wan2.2-t2v", prompt="a boat")

        assert task["status"] == "failed"
        assert task["error"]["kind"] == "unexpected_reply"
        assert not list((tmp_path / "out").glob("*.mp4"))
        assert task["outputs"][0]["url"].startswith(systems.siliconflow.url)


async def test_a_page_that_got_in_between_costs_no_video(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        systems.siliconflow.next("download", web_page(200))
        task = await systems.made("generate_t2v", model="siliconflow/wan2.2-t2v", prompt="a boat")

        assert task["status"] == "succeeded"


async def test_an_answer_in_an_unknown_shape_keeps_the_job(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        systems.siliconflow.next("check", Changed(lambda _: {"surprise": True}))
        task = await systems.made("generate_t2v", model="siliconflow/wan2.2-t2v", prompt="a boat")

        assert task["status"] == "succeeded"


async def test_a_replicate_job_can_be_stopped_and_a_gateway_s_cannot(tmp_path: Path):
    async with open_systems(tmp_path) as systems:
        stopped, ran_on = [
            (await systems.call("generate_animation", model=f"{name}/stable-diffusion-animation", **PROMPTS))["task_id"]
            for name in ("replicate", "gateway")
        ]
        for task_id in (stopped, ran_on):
            await systems.call("cancel_task", task_id=task_id)
        first, second = [await systems.settled(task_id) for task_id in (stopped, ran_on)]

        assert first["status"] in ("cancelled", "succeeded")
        assert second["status"] == "succeeded"
        assert not systems.gateway.asked("cancel")


async def test_no_key_is_in_anything_that_was_said_or_written(tmp_path: Path):
    async with open_systems(tmp_path, SILICONFLOW_API_KEY="sk-canary-0123456789") as systems:
        task = await systems.made("generate_t2v", model="siliconflow/wan2.2-t2v", prompt="a boat")
        assert "canary" not in str(task)
        assert KEY not in str(await systems.call("list_models"))
    for path in (tmp_path / "state").rglob("*"):
        assert not path.is_file() or b"canary" not in path.read_bytes()


async def until_settled_otherwise(systems: Systems, task_id: str) -> dict[str, Any]:
    """A task of unknown fate, once it has been found."""
    with anyio.fail_after(30):
        while (task := await systems.settled(task_id))["status"] == "unknown":
            await anyio.sleep(0.02)
    return task

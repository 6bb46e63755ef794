"""The tools as an agent meets them: through the official client, in both protocol eras, with real videos."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import av
import jsonschema
import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.types import CallToolResult, ImageContent, ListRootsResult, Root, TextContent
from PIL import Image
from pydantic import FileUrl

from emulators.faults import Reset
from keyframe_mcp.engine import Caller
from keyframe_mcp.server import build_server
from studio import ME, open_server_inside, picture
from systems import open_systems

ERAS = pytest.mark.parametrize("era", ["auto", "legacy"])


@asynccontextmanager
async def client_in(folder: Path, era: str = "auto", caller: Caller = ME) -> AsyncGenerator[Client]:
    async with open_server_inside(folder) as application, Client(build_server(application, caller), mode=era) as client:
        yield client


async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """A tool's structure, after checking it against the schema it advertises."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, said(result)
    (schema,) = [each.output_schema for each in (await client.list_tools()).tools if each.name == tool]
    assert schema is not None
    jsonschema.validate(result.structured_content, schema)
    return json.loads(json.dumps(result.structured_content))


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    """What a tool says when it refuses."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result.structured_content
    return said(result)


def said(result: CallToolResult) -> str:
    return " ".join(block.text for block in result.content if isinstance(block, TextContent))


@ERAS
async def test_two_pictures_become_a_video_that_can_be_seen_continued_and_joined(tmp_path: Path, era: str):
    first = picture(tmp_path / "first.png")
    picture(tmp_path / "last.png", shift=12)
    async with client_in(tmp_path, era) as client:
        started = await ask(client, "generate_flf2v", first_image=str(first), last_image="last.png", duration=1)
        assert started["status"] in ("running", "saving", "succeeded")
        clip = await ask(client, "get_task", task_id=started["task_id"], wait_seconds=45)
        assert clip["status"] == "succeeded"
        assert clip["poll_after_seconds"] == 0
        assert clip["generative"] is False
        assert clip["engine"] in ("morph", "dissolve")
        assert "not AI video" in " ".join(clip["warnings"])
        reference = f"task:{clip['task_id']}"
        assert reference in clip["next_step"]

        more = await ask(client, "generate_i2v", image=reference, prompt="pan left", duration=1, wait_seconds=45)
        assert more["status"] == "succeeded"
        film = await ask(client, "join_videos", sources=[reference, f"task:{more['task_id']}"])
        assert film["method"] == "stream_copy"
        assert film["duration"] == pytest.approx(2.0, abs=0.1)
        still = await ask(client, "extract_frame", source=film["file"], at="0.5")
        with Image.open(still["file"]) as image:
            assert image.size == (clip["outputs"][0]["width"], clip["outputs"][0]["height"])
        assert clip["outputs"][0]["file"] == str(tmp_path / "out" / f"{clip['task_id']}.mp4")


async def test_a_video_is_seen_as_a_picture_and_nothing_else_hides_it(tmp_path: Path):
    async with client_in(tmp_path) as client:
        task = await ask(client, "generate_t2v", prompt="a card to look at", duration=2, wait_seconds=45)
        for size, most in (("full", 300_000), ("small", 120_000), ("tiny", 30_000)):
            result = await client.call_tool("view_video", {"source": f"task:{task['task_id']}", "size": size})

            assert result.structured_content is None
            (image,) = [block for block in result.content if isinstance(block, ImageContent)]
            sheet = base64.b64decode(image.data)
            width, height = Image.open(io.BytesIO(sheet)).size
            assert len(sheet) <= most
            assert width * height <= 1_150_000
            assert "1=0.00s" in said(result)
            assert "no sound" in said(result)


async def test_words_and_pairs_of_prompts_become_storyboard_cards(tmp_path: Path):
    async with client_in(tmp_path) as client:
        words = await ask(client, "generate_t2v", prompt="Füchse 狐狸 лисы", duration=1, wait_seconds=45)
        turned = await ask(
            client, "generate_animation", prompt_start="winter", prompt_end="spring", duration=1, wait_seconds=45
        )

        assert (words["status"], words["engine"]) == ("succeeded", "storyboard")
        assert (turned["status"], turned["model"]) == ("succeeded", "local/storyboard")


async def test_waiting_reports_progress_that_grows_and_reads_well(tmp_path: Path):
    heard: list[tuple[float, str]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        assert total == 100
        heard.append((progress, message or ""))

    async with client_in(tmp_path) as client:
        started = await ask(client, "generate_t2v", prompt="progress", duration=6)
        arguments = {"task_id": started["task_id"], "wait_seconds": 45}
        await client.call_tool("get_task", arguments, progress_callback=hear)

    numbers = [number for number, _ in heard]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 100
    assert all("t2v with local/storyboard: " in message for _, message in heard)
    assert heard[-1][1] == "t2v with local/storyboard: succeeded"
    assert all(message.endswith(" s so far") for _, message in heard[:-1])


async def test_several_tasks_are_asked_after_at_once(tmp_path: Path):
    async with client_in(tmp_path) as client:
        ids = [(await ask(client, "generate_t2v", prompt=prompt, duration=1))["task_id"] for prompt in ("one", "two")]
        both = await ask(client, "get_task", task_ids=ids, wait_seconds=45)

        assert [task["task_id"] for task in both["tasks"]] == ids
        assert {task["status"] for task in both["tasks"]} == {"succeeded"}
        assert both["poll_after_seconds"] == 0
        listed = await ask(client, "list_tasks", status="succeeded", limit=5)
        assert {task["task_id"] for task in listed["tasks"]} == set(ids)


async def test_a_lost_answer_costs_nothing_because_the_same_call_is_the_same_task(tmp_path: Path):
    async with client_in(tmp_path) as client:
        first = await ask(client, "generate_t2v", prompt="again", duration=1)
        second = await ask(client, "generate_t2v", prompt="again", duration=1)
        keyed = await ask(client, "generate_t2v", prompt="other", duration=1, idempotency_key="a")

        assert second["task_id"] == first["task_id"]
        assert second["deduplicated"] is True
        assert "deduplicated" not in first
        assert "another request" in await refused(client, "generate_t2v", prompt="third", idempotency_key="a")
        assert keyed["task_id"] != first["task_id"]


async def test_a_running_task_is_cancelled_and_leaves_no_file(tmp_path: Path):
    async with client_in(tmp_path) as client:
        started = await ask(client, "generate_t2v", prompt="too long", duration=30, resolution="1080p")
        stopped = await ask(client, "cancel_task", task_id=started["task_id"])

        assert stopped["status"] == "cancelled"
        assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
        again = await ask(client, "cancel_task", task_id=started["task_id"])
        assert again["status"] == "cancelled"


async def test_every_problem_of_a_request_is_in_one_answer_and_nothing_is_left_behind(tmp_path: Path):
    picture(tmp_path / "first.png")
    async with client_in(tmp_path) as client:
        text = await refused(
            client,
            "generate_flf2v",
            first_image="frist.png",
            last_image="/etc/passwd",
            duration=99,
            resolution="720",
            seed=3,
            options={"fsp": 24},
        )

        for words in (
            "6 problems",
            "first_image: there is no file frist.png; did you mean first.png?",
            "last_image: /etc/passwd is outside the folders",
            "duration: 99 is not within 1 to 30; nearest: 30",
            "resolution: '720' is not one of 480p, 720p, 1080p; did you mean 720p?",
            "seed: local/morph has no such input",
            "options.fsp: local/morph has no such input; did you mean fps?",
        ):
            assert words in text
        assert (await ask(client, "list_tasks"))["tasks"] == []
        assert not (tmp_path / "out").exists()


async def test_dropping_what_a_model_cannot_do_is_said(tmp_path: Path):
    async with client_in(tmp_path) as client:
        task = await ask(client, "generate_t2v", prompt="loose", duration=1, seed=3, strict=False)

        assert any("dropped seed" in warning for warning in task["warnings"])


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("generate_t2v", {"prompt": "a", "sed": 1}, "sed is not an argument; did you mean seed?"),
        ("generate_t2v", {}, "prompt is missing"),
        ("generate_t2v", {"prompt": "  "}, "prompt: it is empty"),
        ("generate_t2v", {"prompt": "a", "duration": "long"}, "duration: input should be a valid number"),
        (
            "generate_t2v",
            {"prompt": "a", "wait_seconds": 600},
            "wait_seconds: input should be less than or equal to 45",
        ),
        ("generate_t2v", {"prompt": "a", "model": "locl/storybord"}, "did you mean local/storyboard"),
        ("generate_t2v", {"prompt": "a", "model": "local/morph"}, "local/morph does not do t2v; it does flf2v"),
        ("generate_i2v", {"image": "task:kf_nothing"}, "there is no task 'kf_nothing'"),
        ("generate_i2v", {"image": "task:../x"}, "write task:<id>"),
        ("generate_i2v", {"image": "data:image/png;base64,AAA"}, "may have been cut off"),
        ("generate_i2v", {"image": "http://example.com/a.png"}, "only https is fetched"),
        ("generate_i2v", {"image": "https://127.0.0.1/a.png"}, "not on the public internet"),
        ("generate_i2v", {"image": "notes.txt"}, "not"),
        ("get_task", {}, "name a task"),
        ("get_task", {"task_id": "kf_nothing"}, "there is no task"),
        ("get_task", {"task_ids": ["kf_a"] * 60}, "get_task: task_ids: 60 were given; at most 50 work."),
        ("cancel_task", {"task_id": "kf_nothing"}, "there is no task"),
        ("list_models", {"model": "nobody/nothing"}, "there is no 'nobody/nothing'"),
        ("list_models", {"mode": "v2v"}, "mode: input should be 'flf2v', 'i2v', 't2v' or 'animation'"),
        ("view_video", {"source": "notes.txt"}, "source:"),
        ("view_video", {"source": "absent.mp4"}, "there is no file absent.mp4"),
        ("extract_frame", {"source": "absent.mp4", "at": "soon"}, "at: 'soon' is not first, last or a number"),
        ("join_videos", {"sources": ["a.mp4"]}, "2 to 50 can be joined"),
        ("join_videos", {"sources": ["a.mp4", "notes.txt"]}, "sources[0]: there is no file a.mp4"),
    ],
)
async def test_a_wrong_argument_is_named_with_what_would_have_worked(
    tmp_path: Path, tool: str, arguments: dict[str, Any], words: str
):
    (tmp_path / "notes.txt").write_text("not a picture, nor a video")
    async with client_in(tmp_path) as client:
        text = await refused(client, tool, **arguments)

        assert words in text
        assert "Traceback" not in text
        assert (await ask(client, "list_tasks"))["tasks"] == []


async def test_numbers_as_text_and_null_for_optional_arguments_are_understood(tmp_path: Path):
    async with client_in(tmp_path) as client:
        task = await ask(client, "generate_t2v", prompt="hosts do this", duration="1", model=None, seed=None)

        assert task["status"] != "failed"


async def test_a_task_that_is_not_done_cannot_be_used_and_the_error_says_when(tmp_path: Path):
    async with client_in(tmp_path) as client:
        started = await ask(client, "generate_t2v", prompt="slow", duration=30, resolution="1080p")
        text = await refused(client, "generate_i2v", image=f"task:{started['task_id']}")

        assert "Call get_task until it has succeeded" in text
        assert text.endswith("The same call again: may work later.")
        await ask(client, "cancel_task", task_id=started["task_id"])


@pytest.mark.parametrize("task_id", ["kf_nope", "\ud83d", "ä", "", " ", "task:\x00"])
async def test_an_id_no_task_has_is_said_to_be_unknown_whatever_it_is(tmp_path: Path, task_id: str):
    async with client_in(tmp_path) as client:
        assert "task" in await refused(client, "get_task", task_id=task_id)
        assert "task" in await refused(client, "cancel_task", task_id=task_id)


async def test_models_are_listed_in_short_and_shown_whole(tmp_path: Path):
    async with client_in(tmp_path) as client:
        short = await ask(client, "list_models", mode="flf2v")
        assert [model["model"] for model in short["models"] if model["configured"]] == ["local/morph"]
        assert short["models"][0]["model"] == "local/morph"
        assert "first_image*" in short["models"][0]["inputs"]
        (whole,) = (await ask(client, "list_models", model="local/camera"))["models"]
        assert whole["inputs"]["image"] == {"type": "image", "required": True}
        assert whole["options"]["fps"]["max"] == 30
        assert (await ask(client, "list_models", query="no such words"))["models"] == []


async def test_over_a_socket_paths_are_refused(tmp_path: Path):
    picture(tmp_path / "a.png")
    visitor = Caller(owner="local", may_name_files=False)
    async with client_in(tmp_path, caller=visitor) as client:
        for tool, arguments in (
            ("generate_i2v", {"image": "a.png"}),
            ("view_video", {"source": "a.png"}),
            ("join_videos", {"sources": ["a.png", "a.png"]}),
        ):
            text = await refused(client, tool, **arguments)
            assert "paths work over stdio only" in text
            assert ("data: URI" in text) is (tool == "generate_i2v")


async def test_over_a_socket_a_film_can_still_be_made_seen_and_continued(tmp_path: Path):
    async with client_in(tmp_path, caller=Caller(owner="local", may_name_files=False)) as client:
        ids = [
            (await ask(client, "generate_t2v", prompt=prompt, duration=1, wait_seconds=45))["task_id"]
            for prompt in ("a", "b")
        ]
        film = await ask(client, "join_videos", sources=[f"task:{each}" for each in ids])
        still = await ask(client, "extract_frame", source=film["reference"], at="first")
        seen = await client.call_tool("view_video", {"source": film["reference"]})
        more = await ask(client, "generate_i2v", image=still["reference"], duration=1, wait_seconds=45)

        assert film["reference"] in film["next_step"]
        assert not seen.is_error
        assert more["status"] == "succeeded"
        for name in ("../tasks.db", "kf_other.mp4", "tasks.db"):
            assert await refused(client, "view_video", source=f"output:{name}")


async def test_a_result_is_nobody_elses_by_its_name_either(tmp_path: Path):
    async with open_server_inside(tmp_path) as application:
        async with Client(build_server(application, ME)) as client:
            made = await ask(client, "generate_t2v", prompt="mine", duration=1, wait_seconds=45)
            film = await ask(client, "join_videos", sources=[f"task:{made['task_id']}"] * 2)
        mine, twin = f"output:{made['task_id']}.mp4", f"output:{made['task_id'][:-1]}2.mp4"
        async with Client(build_server(application, Caller(owner="stranger", may_name_files=False))) as client:
            seen = [await refused(client, "view_video", source=each) for each in (mine, twin)]
            assert "there is no file" in await refused(client, "view_video", source=film["reference"])
            assert await refused(client, "generate_i2v", image=f"output:{made['task_id']}.png")
        async with Client(build_server(application, ME)) as client:
            assert (await client.call_tool("view_video", {"source": mine})).is_error is False

    assert seen[0].replace(mine[7:], "") == seen[1].replace(twin[7:], "")
    assert "there is no file" in seen[0]


@pytest.mark.parametrize("prompt", ['{"scene": "cat"}', "null", "[1]", "12"])
async def test_a_prompt_that_looks_like_json_is_still_a_prompt(tmp_path: Path, prompt: str):
    picture(tmp_path / "a.png")
    async with client_in(tmp_path) as client:
        task = await ask(client, "generate_i2v", image="a.png", prompt=prompt, duration=1)
        again = await ask(client, "generate_i2v", image="a.png", prompt=prompt, duration="1", options='{"fps": 24}')

        assert again["task_id"] == task["task_id"]
        assert prompt in json.dumps(await ask(client, "list_tasks")).replace("\\", "")


async def test_a_repeated_request_is_told_what_it_was_that_was_dropped(tmp_path: Path):
    async with client_in(tmp_path) as client:
        first = await ask(client, "generate_t2v", prompt="w", duration=1)
        loose = await ask(client, "generate_t2v", prompt="w", duration=1, seed=5, strict=False)

        assert loose["task_id"] == first["task_id"]
        assert any("dropped seed" in warning for warning in loose["warnings"])


async def test_empty_text_for_an_optional_argument_is_as_good_as_none(tmp_path: Path):
    async with client_in(tmp_path) as client:
        one = await ask(client, "generate_t2v", prompt="one", duration=1, idempotency_key="", model="")
        two = await ask(client, "generate_t2v", prompt="two", duration=1, idempotency_key="", negative_prompt="")

        assert one["task_id"] != two["task_id"]
        reference = f"task:{two['task_id']}"
        assert (await ask(client, "get_task", task_id=reference))["task_id"] == two["task_id"]


async def test_a_path_is_shown_as_it_was_given(tmp_path: Path):
    async with client_in(tmp_path) as client:
        assert "../../../etc/passwd is outside" in await refused(client, "generate_i2v", image="../../../etc/passwd")


async def test_a_database_that_breaks_while_serving_is_an_error_and_not_the_end(tmp_path: Path):
    async with client_in(tmp_path) as client:
        await ask(client, "generate_t2v", prompt="before", duration=1, wait_seconds=45)
        (tmp_path / "state" / "tasks.db").write_bytes(b"not a database" * 500)
        results = [await client.call_tool("generate_t2v", {"prompt": f"after {n}", "duration": 1}) for n in range(3)]
        # SQLite may still answer from pages it holds; what matters is that it never answers without a word, nor dies
        assert all("task database" in said(result) for result in results if result.is_error)
        assert len((await client.list_tools()).tools) == 12


async def test_asking_again_for_a_video_that_was_removed_makes_it_again(tmp_path: Path):
    async with client_in(tmp_path) as client:
        first = await ask(client, "generate_t2v", prompt="again", duration=1, wait_seconds=45)
        (tmp_path / "out" / f"{first['task_id']}.mp4").unlink()
        second = await ask(client, "generate_t2v", prompt="again", duration=1, wait_seconds=45)

        assert second["task_id"] != first["task_id"]
        assert second["status"] == "succeeded"


async def test_text_that_does_not_fit_its_card_is_said_to_be_cut(tmp_path: Path):
    async with client_in(tmp_path) as client:
        long = await ask(client, "generate_t2v", prompt="words " * 330, duration=1, wait_seconds=45)
        short = await ask(client, "generate_t2v", prompt="words", duration=1, wait_seconds=45)

        assert any("ellipsis" in warning for warning in long["warnings"])
        assert not any("ellipsis" in warning for warning in short["warnings"])


async def test_a_seed_changes_how_a_handheld_camera_shakes_and_an_equal_one_does_not(tmp_path: Path):
    picture(tmp_path / "a.png")
    shaking = {"image": "a.png", "prompt": "handheld", "duration": 1, "wait_seconds": 45}
    async with client_in(tmp_path) as client:
        tasks = [await ask(client, "generate_i2v", **shaking, seed=seed, idempotency_key=key) for seed, key in SEEDS]
        films = [packets(tmp_path / "out" / f"{task['task_id']}.mp4") for task in tasks]

    assert films[0] == films[1] != films[2]


def packets(path: Path) -> list[bytes]:
    """What a video shows; its tags name its task, so that no two files are the same."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0)]


SEEDS = ((1, "a"), (1, "b"), (500, "c"))


async def roots_in(folder: Path, era: str, answer: Callable[[], Awaitable[ListRootsResult]]) -> str:
    """How a path outside is refused to a client that says where it works."""

    async def roots(context: ClientRequestContext) -> ListRootsResult:
        return await answer()

    async with open_server_inside(folder) as application:
        server = build_server(application, ME)
        async with Client(server, mode=era, list_roots_callback=roots) as client:
            return await refused(client, "generate_i2v", image="/srv/my project/a.png")


async def test_a_path_outside_is_refused_with_the_folder_the_client_works_in(tmp_path: Path):
    async def one_folder() -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri=FileUrl("file:///srv/my%20project"))])

    assert "your client says its workspace is /srv/my project" in await roots_in(tmp_path, "legacy", one_folder)
    assert "workspace is" not in await roots_in(tmp_path, "auto", one_folder)


@pytest.mark.parametrize("answers", [True, False])
async def test_a_client_that_will_not_say_where_it_works_is_refused_all_the_same(tmp_path: Path, answers: bool):
    async def nothing() -> ListRootsResult:
        if answers:
            raise RuntimeError("no such folder")
        await anyio.sleep_forever()
        raise AssertionError

    with anyio.fail_after(20):
        told = await roots_in(tmp_path, "legacy", nothing)
    assert "outside the folders this server may read" in told
    assert "workspace is" not in told


async def test_what_is_unknown_is_not_cancelled_and_the_agent_is_told_whom_to_tell(tmp_path: Path):
    prompt = 'a heron takes off "slowly" ' + "over the marsh " * 9
    async with open_systems(tmp_path) as systems:
        systems.siliconflow.next("submit", Reset(recorded=True))
        asked = {"prompt": prompt, "model": "siliconflow/wan2.2-t2v", "wait_seconds": 20}
        task = await systems.call("generate_t2v", **asked)
        stopped = await systems.client.call_tool("cancel_task", {"task_id": task["task_id"]})

        command = f"keyframe-mcp task {task['task_id']}"
        assert task["status"] == "unknown"
        assert (
            "Tell the user, who can settle it in a terminal: Look for a job of Wan-AI/Wan2.2-T2V-A14B"
            in (task["next_step"])
        )
        shown = " ".join(prompt.split()).replace('"', "'")[:60]
        for words in (
            f'with the prompt "{shown}...", on SiliconFlow\'s own web page, if it shows one',
            f"if it is there: {command} --attach JOB_ID",
            f"if it is not there and was not billed: {command} --resubmit --not-billed (sends it again)",
            f"or {command} --give-up --not-billed; without --not-billed it goes on counting",
        ):
            assert words in task["next_step"]
        assert task["error"]["fix"] == "The user has to settle it, as next_step says. Do not start it again."
        refusal = f"Task {task['task_id']} cannot be cancelled: nobody knows whether siliconflow has the job."
        assert said(stopped).startswith(refusal)
        assert str((stopped.structured_content or {})["next_step"]).startswith(refusal)
        assert "The user settles that" in said(stopped)
        assert len(systems.siliconflow.jobs) == 1

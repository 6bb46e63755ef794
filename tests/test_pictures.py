"""What becomes of a request's pictures: copied once, brought to the provider once, and never kept as text."""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from emulators.baicai import Baicai
from emulators.siliconflow import SiliconFlow
from keyframe_mcp.adapters.base import Sent
from keyframe_mcp.engine.pictures import MARGIN_SECONDS
from keyframe_mcp.errors import (
    CredentialRefused,
    KeyframeError,
    ProviderBusy,
    ProviderRefused,
    ProviderUnavailable,
    UnexpectedReply,
)
from keyframe_mcp.task import Inputs, Mode, Picture, Status, Task
from studio import ME, ScriptedProvider, Studio, open_server_inside, open_studio, picture

KEPT_SECONDS = 86_400


def copies(folder: Path) -> dict[str, Picture]:
    """Our copies of two pictures, as they are once a request has been taken in."""
    files = {"first_image": folder / "a.png", "last_image": folder / "b.png"}
    for number, file in enumerate(files.values()):
        picture(file, shift=31 * number)
    return {name: copy(file) for name, file in files.items()}


def copy(file: Path) -> Picture:
    content = hashlib.sha256(file.read_bytes()).hexdigest()
    size = file.stat().st_size
    return Picture(file=str(file), content=content, mime_type="image/png", width=320, height=192, size_bytes=size)


async def queued(studio: Studio, name: str, pictures: dict[str, Picture]) -> str:
    """The id of a new task that shows these."""
    task = Task(
        id=f"kf_{name}",
        owner=ME.owner,
        mode=Mode.FLF2V,
        model="paid/film",
        provider="paid",
        request={"mode": "flf2v"},
        wire={"duration": 5},
        pictures=pictures,
        request_hash=name,
        created_at=studio.clock(),
        updated_at=studio.clock(),
    )
    await studio.store.add(task, same_request_since=studio.clock())
    return task.id


async def asked(studio: Studio, **request: str) -> Task:
    """A new task, its pictures taken in as those of any request."""
    started = await studio.engine.start(ME, Inputs.model_validate({"mode": Mode.FLF2V} | request), model="paid/film")
    return started.task


def pictures_of(provider: ScriptedProvider) -> list[dict[str, Any]]:
    """What each job was given for its pictures."""
    return [{name: job.wire[name] for name in ("first_image", "last_image")} for job in provider.jobs]


async def test_a_picture_is_brought_to_the_provider_once_however_many_tasks_show_it(tmp_path: Path):
    shown = copies(tmp_path)
    async with open_studio(tmp_path) as studio:
        for name in ("one", "two", "three"):
            await studio.steps.advance(await queued(studio, name, shown))

        assert len(studio.provider.jobs) == 3
        assert studio.provider.sent == [*shown.values()]
        first, second, third = pictures_of(studio.provider)
        assert first == second == third
        assert first["first_image"] != first["last_image"]


async def test_one_picture_in_two_places_travels_once(tmp_path: Path):
    shown = copies(tmp_path)
    async with open_studio(tmp_path) as studio:
        await studio.steps.advance(await queued(studio, "one", dict.fromkeys(shown, shown["first_image"])))

        assert len(studio.provider.sent) == 1
        (wire,) = pictures_of(studio.provider)
        assert wire["first_image"] == wire["last_image"]


@pytest.mark.parametrize(("seconds", "uploads"), [(KEPT_SECONDS - MARGIN_SECONDS, 2), (KEPT_SECONDS, 4)])
async def test_a_copy_the_provider_is_about_to_delete_is_not_relied_on(tmp_path: Path, seconds: float, uploads: int):
    shown = copies(tmp_path)
    async with open_studio(tmp_path) as studio:
        for name in ("one", "two"):
            await studio.steps.advance(await queued(studio, name, shown))
            studio.clock.now += seconds

        assert len(studio.provider.jobs) == 2
        assert len(studio.provider.sent) == uploads


async def test_a_moment_less_than_the_margin_is_too_little(tmp_path: Path):
    shown = copies(tmp_path)
    async with open_studio(tmp_path) as studio:
        await studio.steps.advance(await queued(studio, "one", shown))
        studio.clock.now += KEPT_SECONDS - MARGIN_SECONDS + 1
        await studio.steps.advance(await queued(studio, "two", shown))

        assert len(studio.provider.sent) == 4


async def test_what_was_left_with_one_account_is_never_used_with_another(tmp_path: Path):
    shown = copies(tmp_path)
    async with open_studio(tmp_path) as studio:
        studio.provider.on_send = lambda sent: Sent(
            text=f"https://provider.test/{studio.provider.account}/{sent.content}", kept_seconds=KEPT_SECONDS
        )
        for account in ("mine", "yours", "mine"):
            studio.provider.account = account
            name = f"{account} {len(studio.provider.jobs)}"
            await studio.steps.advance(await queued(studio, name, shown))

        assert len(studio.provider.sent) == 4
        mine, yours, again = pictures_of(studio.provider)
        assert mine == again
        assert all("/yours/" in url for url in yours.values())


async def test_where_a_provider_does_not_say_how_long_it_keeps_a_copy_none_is_remembered(tmp_path: Path):
    shown = copies(tmp_path)
    provider = ScriptedProvider(on_send=lambda sent: Sent(text=f"https://provider.test/{sent.content}"))
    async with open_studio(tmp_path, provider) as studio:
        for name in ("one", "two"):
            await studio.steps.advance(await queued(studio, name, shown))

        assert len(provider.sent) == 4
        with closing(sqlite3.connect(tmp_path / "tasks.db")) as other:
            assert other.execute("SELECT count(*) FROM uploads").fetchone() == (0,)


async def test_a_picture_whose_copy_is_gone_fails_the_task_and_sends_nothing(tmp_path: Path):
    shown = copies(tmp_path)
    async with open_studio(tmp_path) as studio:
        task_id = await queued(studio, "one", shown)
        Path(shown["last_image"].file).unlink()

        assert await studio.steps.advance(task_id) is None
        task = await studio.store.get(task_id)
        assert task.status is Status.FAILED
        assert task.failure is not None
        assert task.failure.kind == "invalid_input"
        assert "our copy of a picture" in task.failure.message
        assert "ask for the video again" in task.failure.message
        assert studio.provider.jobs == []


@pytest.mark.parametrize("kept_seconds", [KEPT_SECONDS, None])
async def test_a_copy_that_vanishes_while_it_is_sent_fails_the_task_and_is_no_crash(
    tmp_path: Path, kept_seconds: float | None
):
    shown = copies(tmp_path)

    def read(sent: Picture) -> Sent:
        Path(sent.file).unlink()
        return Sent(text=Path(sent.file).read_text(), kept_seconds=kept_seconds)

    async with open_studio(tmp_path, ScriptedProvider(on_send=read)) as studio:
        task_id = await queued(studio, "one", shown)

        assert await studio.steps.advance(task_id) is None
        task = await studio.store.get(task_id)
        assert (task.status, task.failure and task.failure.kind) == (Status.FAILED, "invalid_input")
        assert studio.provider.jobs == []


async def test_our_copy_is_not_needed_while_the_provider_has_its_own(tmp_path: Path):
    shown = copies(tmp_path)
    async with open_studio(tmp_path) as studio:
        await studio.steps.advance(await queued(studio, "one", shown))
        for sent in shown.values():
            Path(sent.file).unlink()
        later = await queued(studio, "two", shown)
        await studio.steps.advance(later)

        assert (await studio.store.get(later)).status is Status.RUNNING


@pytest.mark.parametrize("refusal", [ProviderRefused("pictures of clocks are not taken"), CredentialRefused("no")])
async def test_a_provider_that_refuses_a_picture_fails_the_task_and_gets_no_job(tmp_path: Path, refusal: KeyframeError):
    shown = copies(tmp_path)
    provider = ScriptedProvider()
    async with open_studio(tmp_path, provider) as studio:
        provider.on_send = lambda _: refusal
        task_id = await queued(studio, "one", shown)

        assert await studio.steps.advance(task_id) is None
        task = await studio.store.get(task_id)
        assert task.status is Status.FAILED
        assert task.failure is not None
        assert (task.failure.kind, task.failure.message) == (refusal.kind, str(refusal))
        assert provider.jobs == []


@pytest.mark.parametrize(
    ("trouble", "delay"),
    [
        (ProviderUnavailable("it is in trouble"), 10),
        (ProviderBusy("slow down", retry_after=7), 7),
        (PermissionError(13, "Permission denied"), 10),
    ],
)
async def test_a_picture_that_cannot_be_sent_now_is_sent_later_and_nothing_was_submitted(
    tmp_path: Path, trouble: Exception, delay: float
):
    shown = copies(tmp_path)
    answers: list[Sent | Exception] = [Sent(text="https://provider.test/a", kept_seconds=KEPT_SECONDS), trouble]
    async with open_studio(tmp_path, ScriptedProvider(on_send=lambda _: answers.pop(0))) as studio:
        task_id = await queued(studio, "one", shown)

        assert await studio.steps.advance(task_id) == delay
        waiting = await studio.store.get(task_id)
        assert (waiting.status, waiting.attempt, waiting.sent_at) == (Status.QUEUED, 0, None)
        assert waiting.failure is not None
        assert waiting.failure.retryable is not isinstance(trouble, UnexpectedReply)
        assert studio.provider.jobs == []

        answers.append(Sent(text="https://provider.test/b", kept_seconds=KEPT_SECONDS))
        await studio.steps.advance(task_id)
        task = await studio.store.get(task_id)
        assert (task.status, task.attempt, task.failure) == (Status.RUNNING, 1, None)
        # what had arrived before the trouble did not travel again
        assert len(studio.provider.sent) == 3
        assert pictures_of(studio.provider) == [
            {"first_image": "https://provider.test/a", "last_image": "https://provider.test/b"}
        ]


async def test_uploads_are_remembered_across_a_restart(tmp_path: Path):
    shown = copies(tmp_path)
    provider = ScriptedProvider()
    for name in ("before", "after"):
        async with open_studio(tmp_path, provider) as studio:
            await studio.steps.advance(await queued(studio, name, shown))

    assert len(provider.jobs) == 2
    assert len(provider.sent) == 2


async def test_a_picture_that_was_converted_is_not_passed_on_as_the_url_it_came_from(tmp_path: Path):
    async with Baicai() as provider:
        webp = provider.publish(picture(tmp_path / "a.webp").read_bytes(), "image/webp", "a.webp")
        png = provider.publish(picture(tmp_path / "b.png", 200).read_bytes(), "image/png", "b.png")
        async with open_server_inside(
            tmp_path,
            KEYFRAME_ALLOW_LOOPBACK="1",
            KEYFRAME_BAICAI_BASE_URL=provider.base_url,
            BAICAI_API_KEY=provider.key,
        ) as application:
            request = Inputs(mode=Mode.FLF2V, first_image=webp, last_image=png, prompt="they meet")
            started = (await application.engine.start(ME, request, model="baicai/viduq2-pro-flf2v-fast")).task
            async for _ in application.engine.follow([started.id], ME, 40):
                pass

            (job,) = provider.jobs
            sent = job.inputs["input"]
            (upload,) = provider.uploads
            assert (upload.content_type, upload.content[:4]) == ("image/png", b"\x89PNG")
            assert (sent["image"], sent["last_image"]) == (upload.url, png)


async def test_a_picture_in_the_call_works_and_its_bytes_are_kept_in_no_database(tmp_path: Path):
    content = picture(tmp_path / "a.png").read_bytes()
    text = base64.b64encode(content).decode()
    async with SiliconFlow() as provider:
        environment = {"KEYFRAME_SILICONFLOW_BASE_URL": provider.base_url, "SILICONFLOW_API_KEY": provider.key}
        async with open_server_inside(tmp_path, KEYFRAME_ALLOW_LOOPBACK="1", **environment) as application:
            request = Inputs(mode=Mode.I2V, image=f"data:image/png;base64,{text}", prompt="it turns")
            started = (await application.engine.start(ME, request, model="siliconflow/wan2.2-i2v")).task
            seen = [task async for (task,) in application.engine.follow([started.id], ME, 40)]
            assert seen[-1].status is Status.SUCCEEDED
            assert not [task for task in seen if text[40:80] in task.model_dump_json()]

        assert provider.jobs[0].inputs["image"] == f"data:image/png;base64,{text}"
    assert started.request["image"].startswith("data:image/png;base64,")
    for file in (tmp_path / "state").glob("tasks.db*"):
        stored = await anyio.Path(file).read_bytes()
        assert text[40:80].encode() not in stored
        assert content[40:80] not in stored


@pytest.mark.parametrize("wrapped", ["{}", " {}", "\n{}\n"])
async def test_however_a_picture_in_the_call_is_written_the_remembered_request_is_short(tmp_path: Path, wrapped: str):
    content = picture(tmp_path / "c.png").read_bytes()
    uri = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    async with open_studio(tmp_path) as studio:
        task = await asked(studio, first_image=wrapped.format(uri), last_image="c.png")

        assert len(task.request["first_image"]) < 100
        assert Path(task.pictures["first_image"].file).read_bytes() == content
        assert task.pictures["first_image"].url is None


async def test_a_request_says_what_was_asked_and_its_wire_holds_no_picture(tmp_path: Path):
    copies(tmp_path)
    async with open_studio(tmp_path) as studio:
        task = await asked(studio, first_image="a.png", last_image="b.png")
        await studio.steps.advance(task.id)

        stored = await studio.store.get(task.id)
        assert (stored.request["first_image"], stored.request["last_image"]) == ("a.png", "b.png")
        assert stored.wire == {"duration": 5}
        assert list(stored.pictures) == ["first_image", "last_image"]
        assert studio.provider.jobs[0].wire["duration"] == 5


async def test_what_was_uploaded_is_not_used_again_once_a_job_with_it_was_refused(tmp_path: Path):
    provider = ScriptedProvider(on_submit=lambda _: ProviderRefused("the picture could not be fetched"))
    async with open_studio(tmp_path, provider) as studio:
        image = str(picture(tmp_path / "first.png"))
        request = Inputs(mode=Mode.FLF2V, first_image=image, last_image=image)
        for _ in range(2):
            task_id = (await studio.engine.start(ME, request, model="paid/film")).task.id
            await studio.steps.advance(task_id)

        assert len(provider.sent) == 2


async def test_once_a_task_is_over_nothing_of_the_signature_of_its_picture_is_kept(tmp_path: Path):
    provider = ScriptedProvider(on_submit=lambda _: ProviderRefused("no such size"))
    async with SiliconFlow() as host, open_studio(tmp_path, provider) as studio:
        file = picture(tmp_path / "first.png")
        url = host.publish(file.read_bytes(), "image/png", "first.png") + "?X-Amz-Signature=secret-of-theirs"
        request = Inputs(mode=Mode.FLF2V, first_image=url, last_image=str(file))
        task = (await studio.engine.start(ME, request, model="paid/film")).task
        assert task.pictures["first_image"].url == url
        assert task.request["first_image"] == url.partition("?")[0]

        await studio.steps.advance(task.id)
        assert b"secret-of-theirs" not in (await studio.store.get(task.id)).model_dump_json().encode()

"""The command line, run as a person or a script would run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from emulators.faults import Reset, Silence
from emulators.siliconflow import SiliconFlow
from emulators.wavespeed import WaveSpeed
from keyframe_mcp.app import Application
from keyframe_mcp.cli import COMMANDS
from keyframe_mcp.cli.regenerate import overrides_of
from keyframe_mcp.cli.session import ME as PERSON
from keyframe_mcp.cli.session import described, exit_code, going_on
from keyframe_mcp.errors import BudgetExceeded, InvalidInput, ProviderBusy
from keyframe_mcp.store.sqlite import SqliteStore
from keyframe_mcp.task import Cost, Failure, Inputs, Mode, Output, Status, Task
from ledger import Clock, a_task, moved
from studio import open_server_inside, picture
from test_stdio import environment


def run(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "keyframe_mcp", *arguments],
        env=environment(folder) | more,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )


async def unknown_in(folder: Path) -> str:
    """The id of a task of unknown fate, in the folder the commands use."""
    cost = Cost(estimated_usd=0.6, basis="estimate: $0.6 a video")
    values: dict[str, Any] = {
        "provider": "siliconflow",
        "model": "siliconflow/wan2.2-t2v",
        "cost": cost,
        "counted_usd": 0.6,
    }
    task = a_task("kf_" + "a" * 26, attempt=1, **values)
    store = SqliteStore(folder / "state" / "tasks.db", Clock())
    try:
        await store.add(task, same_request_since=0)
        await moved(store, task.id, Status.SUBMITTING, Status.UNKNOWN)
    finally:
        await store.aclose()
    return task.id


async def kept(folder: Path, task_id: str) -> Task:
    """A task as it is now."""
    store = SqliteStore(folder / "state" / "tasks.db", Clock())
    try:
        return await store.get(task_id)
    finally:
        await store.aclose()


def test_the_first_help_says_what_it_is_and_what_to_run(tmp_path: Path):
    shown = run(tmp_path, "--help")

    assert shown.returncode == 0
    assert "Video generation for AI agents" in shown.stdout
    assert "keyframe-mcp demo" in shown.stdout
    assert "Exit codes" in shown.stdout
    for command in COMMANDS:
        assert f"\n  {command} " in shown.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(tmp_path: Path, command: str):
    shown = run(tmp_path, command, "--help")

    assert shown.returncode == 0
    assert "Usage:" in shown.stdout
    assert len(shown.stdout.splitlines()) >= 6


def test_a_video_is_made_followed_and_listed_as_json(tmp_path: Path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png", shift=9)
    images = ("--first-image", "a.png", "--last-image", "b.png")
    made = run(tmp_path, "generate", "flf2v", *images, "--duration", "1", "--option", "fps=12", "--json")
    assert made.returncode == 0, made.stderr
    task = json.loads(made.stdout)
    assert task["status"] == "succeeded"
    assert task["outputs"][0]["fps"] == 12

    listed = json.loads(run(tmp_path, "task", "--json").stdout)
    assert [each["task_id"] for each in listed["tasks"]] == [task["task_id"]]
    shown = run(tmp_path, "task", task["task_id"])
    assert task["outputs"][0]["file"] in shown.stdout


def test_a_person_is_told_where_the_video_is_and_what_it_is_not(tmp_path: Path):
    made = run(tmp_path, "generate", "t2v", "--prompt", "hello", "--duration", "1")

    assert made.returncode == 0
    assert str(tmp_path / "out") in made.stdout
    assert "not AI video" in made.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("generate", "v2v"), 2, "'v2v' is not one of"),
        (("generate", "t2v"), 2, "prompt: local/storyboard needs it"),
        (("generate", "t2v", "--prompt", "a", "--duration", "99"), 2, "nearest: 30"),
        (("generate", "t2v", "--prompt", "a", "--option", "fps"), 2, "is not NAME=VALUE"),
        (("generate", "i2v", "--image", "absent.png"), 2, "there is no file absent.png"),
        (("generate", "t2v", "--prompt", "a", "--model", "locl/storyboard"), 2, "did you mean local/storyboard"),
        (("task", "kf_nothing"), 2, "there is no task"),
        (("task", "--cancel"), 2, "need a TASK_ID"),
        (("task", "--give-up"), 2, "need a TASK_ID"),
        (("task", "kf_a", "--give-up", "--resubmit"), 2, "give one of"),
        (("task", "kf_a", "--cancel", "--attach", "x"), 2, "give one of"),
        (("task", "kf_a", "--not-billed"), 2, "goes with --give-up or --resubmit"),
        (("task", "kf_a", "--attach", "x", "--not-billed"), 2, "goes with --give-up or --resubmit"),
        (("task", "kf_a", "--yes"), 2, "goes with --resubmit"),
        (("task", "kf_nothing", "--attach", "x"), 2, "there is no task"),
        (("task", "kf_nothing", "--resubmit"), 2, "there is no task"),
        (("generate", "t2v", "--prompt", "a", "--duration", "99", "--dry-run"), 2, "nearest: 30"),
        (("models", "local/morf"), 2, "did you mean local/morph"),
        (("generate", "t2v", "--prompt", "a", "--wait", "nan"), 2, "--wait"),
        (("demo", "--output", "/proc/keyframe"), 3, "cannot be written"),
        (("serve", "--port", "9999"), 2, "need --transport"),
        (("generate", "t2v", "--prompt", "a", "--seed", "3"), 2, "or pass --no-strict to drop it"),
        (("serv",), 2, "No such command"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_with_an_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
):
    ended = run(tmp_path, *arguments)

    assert (ended.returncode, ended.stdout) == (code, "")
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_not_waiting_returns_the_task_at_once_and_a_later_command_finishes_it(tmp_path: Path):
    started = json.loads(
        run(tmp_path, "generate", "t2v", "--prompt", "x", "--duration", "1", "--wait", "0", "--json").stdout
    )
    assert started["status"] != "succeeded"

    ended = run(tmp_path, "task", started["task_id"], "--wait", "60", "--json")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["status"] == "succeeded"


def test_models_are_listed_and_one_is_shown_with_every_input(tmp_path: Path):
    listed = run(tmp_path, "models", "--mode", "flf2v")
    assert listed.stdout.startswith("local/morph")
    assert "local/camera" not in listed.stdout
    shown = run(tmp_path, "models", "local/camera")
    assert "image, required" in shown.stdout
    assert "options.fps" in shown.stdout


def test_the_doctor_finds_this_machine_well(tmp_path: Path):
    found = run(tmp_path, "doctor")

    assert found.returncode == 0, found.stdout
    assert "All well" in found.stdout
    assert {each["about"] for each in json.loads(run(tmp_path, "doctor", "--json").stdout)} >= {
        "output folder",
        "task database",
        "free space",
        "OpenCV",
        "catalogue",
    }


def test_the_doctor_says_what_to_mend(tmp_path: Path):
    (tmp_path / "out").write_text("in the way")
    found = run(tmp_path, "doctor")

    assert found.returncode == 3
    assert "!!  output folder" in found.stdout
    assert "set KEYFRAME_OUTPUT_DIR" in found.stdout


def test_a_misspelled_setting_is_pointed_out(tmp_path: Path):
    found = run(tmp_path, "doctor", KEYFRAME_OUTPUT_DIRS="x")

    assert found.returncode == 3
    assert "KEYFRAME_OUTPUT_DIRS means nothing; KEYFRAME_OUTPUT_DIR does" in found.stdout


def test_what_killed_processes_left_is_swept_away(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "state" / "pictures" / ".bringing-in-x").mkdir(parents=True)
    left = [tmp_path / "out" / ".kf_a.mp4.1234.part", tmp_path / "state" / "pictures" / ".bringing-in-x"]
    left[0].write_bytes(b"half")
    (tmp_path / "out" / ".young.part").write_bytes(b"half")
    (tmp_path / "state" / "pictures" / "dangling").symlink_to("nowhere")
    for path in left:
        os.utime(path, (1, 1))
    assert run(tmp_path, "task").returncode == 0

    assert [path for path in left if path.exists()] == []
    assert (tmp_path / "out" / ".young.part").exists()


def test_a_default_model_that_does_not_exist_stops_the_start(tmp_path: Path):
    ended = run(tmp_path, "task", KEYFRAME_DEFAULT_MODEL="local/morf")

    assert ended.returncode == 3
    assert run(tmp_path, "doctor", KEYFRAME_DEFAULT_MODEL="local/morf").returncode == 3
    assert "KEYFRAME_DEFAULT_MODEL" in ended.stderr
    assert "did you mean local/morph" in ended.stderr


def test_a_catalogue_of_one_s_own_is_used_and_a_broken_one_is_named(tmp_path: Path):
    mine = tmp_path / "catalogue"
    mine.mkdir()
    guide = (Path(__file__).parent.parent / "docs" / "catalogue.md").read_text("utf-8")
    example = guide.partition("```toml\n")[2].partition("```")[0]
    (mine / "postcards.toml").write_text(example)
    picture(tmp_path / "card.png")
    chosen = {"KEYFRAME_CATALOG_DIR": str(mine)}
    arguments = ("generate", "i2v", "--image", "card.png", "--model", "postcards/slow", "--duration", "5", "--json")
    made = run(tmp_path, *arguments, **chosen)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["outputs"][0]["fps"] == 30

    (mine / "postcards.toml").write_text(example.replace("max = 20", "maxx = 20"))
    broken = run(tmp_path, "models", **chosen)
    assert broken.returncode == 3
    for words in ("postcards.toml", "model 'slow'", "inputs.duration.maxx"):
        assert words in broken.stderr


def test_the_demo_shows_the_whole_story(tmp_path: Path):
    shown = run(tmp_path, "demo", "--output", "here")

    assert shown.returncode == 0, shown.stderr
    for words in ("12 tools", "generate_flf2v", "generate_i2v", "join_videos", "stream copy"):
        assert words in shown.stdout
    assert {"contact-sheet.jpg", "film.mp4", "dawn.jpg", "dusk.jpg"} <= {
        each.name for each in (tmp_path / "here").iterdir()
    }


async def test_the_demo_pays_nobody_whatever_keys_there_are(tmp_path: Path):
    async with WaveSpeed() as provider:
        keys = {"KEYFRAME_WAVESPEED_BASE_URL": provider.base_url, "WAVESPEED_API_KEY": provider.key}
        shown = await anyio.to_thread.run_sync(partial(run, tmp_path, "demo", "--output", "here", **keys))

        assert shown.returncode == 0, shown.stderr
        assert "local/morph" in shown.stdout
        assert provider.requests == []


def test_a_dry_run_shows_the_request_and_the_price_and_makes_nothing(tmp_path: Path):
    arguments = ("generate", "t2v", "--prompt", "hello", "--duration", "2", "--dry-run")
    limit = {"KEYFRAME_BUDGET_USD_PER_DAY": "7.5"}
    shown, as_json = run(tmp_path, *arguments, **limit), run(tmp_path, *arguments, "--json", **limit)

    assert (shown.returncode, as_json.returncode) == (0, 0), shown.stderr + as_json.stderr
    for words in ("Dry run: local/storyboard", "Nothing was written or sent", "prompt = hello", "left today $7.5"):
        assert words in shown.stdout
    assert "no spending limit" not in shown.stdout.lower()
    assert "No spending limit is set." in run(tmp_path, *arguments).stdout
    told = json.loads(as_json.stdout)
    assert (told["status"], told["wire"]["duration"], told["cost"]["estimated_usd"]) == ("dry_run", 2, 0)
    assert "No tasks yet" in run(tmp_path, "task").stdout
    assert "No task is failed." in run(tmp_path, "task", "--status", "failed").stdout


async def test_a_task_is_given_up_by_hand_and_counts_as_the_person_says(tmp_path: Path):
    task_id = await unknown_in(tmp_path)
    command = ("task", task_id, "--give-up", "--not-billed")
    done = run(tmp_path, *command)

    assert done.returncode == 0, done.stderr
    assert "It is over" in done.stdout
    assert "counts as $0 spent" in done.stdout
    assert (await kept(tmp_path, task_id)).status is Status.FAILED
    again = run(tmp_path, "task", task_id, "--give-up")
    assert again.returncode == 2
    assert "is failed; only one that is unknown" in again.stderr


async def test_paying_again_needs_a_yes(tmp_path: Path):
    task_id = await unknown_in(tmp_path)
    refused = run(tmp_path, "task", task_id, "--resubmit")
    assert refused.returncode == 2
    for words in ("siliconflow again, for $0.6", "A person has to decide", "for scripts of that person's own"):
        assert words in refused.stderr
    assert "add --yes" not in refused.stderr
    assert (await kept(tmp_path, task_id)).status is Status.UNKNOWN

    done = run(tmp_path, "task", task_id, "--resubmit", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "queued"
    assert "It counts as $1.2 spent, $0.6 of it the first attempt" in done.stderr
    assert (await kept(tmp_path, task_id)).counted_usd == 1.2


def run_on_a_terminal(folder: Path, typed: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """A command whose standard input is a terminal at which somebody has typed a line."""
    import pty  # not on every platform

    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{typed}\n".encode())
        command = [sys.executable, "-m", "keyframe_mcp", *arguments]
        return subprocess.run(
            command, env=environment(folder), cwd=folder, stdin=theirs, capture_output=True, timeout=60, check=False
        )
    finally:
        for each in (ours, theirs):
            with suppress(OSError):
                os.close(each)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo terminals")
@pytest.mark.parametrize(("answer", "code", "status"), [("n", 1, Status.UNKNOWN), ("y", 0, Status.QUEUED)])
async def test_on_a_terminal_a_person_is_asked_with_the_price(tmp_path: Path, answer: str, code: int, status: Status):
    task_id = await unknown_in(tmp_path)
    done = run_on_a_terminal(tmp_path, answer, "task", task_id, "--resubmit")

    asked = done.stderr.decode()
    assert done.returncode == code, asked
    assert "again, for $0.6. The first may exist and be billed: it counts as $0.6 spent. Send it?" in asked
    assert (await kept(tmp_path, task_id)).status is status


async def test_resubmitting_beyond_the_budget_is_refused_in_words(tmp_path: Path):
    task_id = await unknown_in(tmp_path)
    done = run(tmp_path, "task", task_id, "--resubmit", "--yes", KEYFRAME_BUDGET_USD_PER_DAY="1")

    assert done.returncode == 6
    assert "$0.4 is left" in done.stderr
    assert (await kept(tmp_path, task_id)).status is Status.UNKNOWN


async def test_what_is_unknown_stands_out_in_the_list_and_says_what_to_do(tmp_path: Path):
    task_id = await unknown_in(tmp_path)
    listed, shown = run(tmp_path, "task"), run(tmp_path, "task", task_id)

    assert f"{task_id} !unknown" in listed.stdout
    assert " $0.6  a fox" in listed.stdout
    assert f"keyframe-mcp task {task_id}" in listed.stdout
    for words in (f"task {task_id} --attach JOB_ID", "--resubmit", "--give-up"):
        assert words in shown.stdout


async def last_word(application: Application, task_id: str, status: Status) -> Task:
    """A task once it is as expected, or after half a minute."""
    task = await application.engine.get(task_id, PERSON)
    with anyio.move_on_after(30):
        while task.status is not status:
            async for tasks in application.engine.follow([task_id], PERSON, 1):
                task = tasks[0]
    return task


async def test_a_job_a_person_found_is_followed_by_the_server_that_runs(tmp_path: Path):
    async with SiliconFlow() as provider:
        chosen = {"KEYFRAME_SILICONFLOW_BASE_URL": provider.base_url, "SILICONFLOW_API_KEY": provider.key}
        async with open_server_inside(tmp_path, KEYFRAME_ALLOW_LOOPBACK="1", **chosen) as application:
            provider.next("submit", Reset(recorded=True))
            request = Inputs(mode=Mode.T2V, prompt="a heron")
            started = await application.engine.start(PERSON, request, model="siliconflow/wan2.2-t2v")
            task = await last_word(application, started.task.id, Status.UNKNOWN)
            assert task.status is Status.UNKNOWN
            (job,) = provider.jobs

            attach = partial(run, tmp_path, "task", task.id, "--attach", job.id, **chosen)
            done = await anyio.to_thread.run_sync(attach)
            assert done.returncode == 0, done.stderr
            assert f"Job {job.id} of siliconflow is followed" in done.stdout
            assert (await last_word(application, task.id, Status.SUCCEEDED)).status is Status.SUCCEEDED
            assert len(provider.jobs) == 1


async def test_what_is_sent_again_can_be_waited_for_without_a_server(tmp_path: Path):
    async with SiliconFlow() as provider:
        chosen = {
            "KEYFRAME_SILICONFLOW_BASE_URL": provider.base_url,
            "SILICONFLOW_API_KEY": provider.key,
            "KEYFRAME_ALLOW_LOOPBACK": "1",
        }
        provider.next("submit", Reset())
        command = ("generate", "t2v", "--prompt", "a heron", "--model", "siliconflow/wan2.2-t2v", "--json")
        lost = await anyio.to_thread.run_sync(partial(run, tmp_path, *command, **chosen))
        assert lost.returncode == 4, lost.stderr
        task_id = json.loads(lost.stdout)["task_id"]

        again = ("task", task_id, "--resubmit", "--not-billed", "--yes", "--wait", "60", "--json")
        done = await anyio.to_thread.run_sync(partial(run, tmp_path, *again, **chosen))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["status"] == "succeeded"
        assert len(provider.jobs) == 1


def of_siliconflow(provider: SiliconFlow, **more: str) -> dict[str, str]:
    """The variables that lead to an emulated provider."""
    chosen = {"KEYFRAME_SILICONFLOW_BASE_URL": provider.base_url, "SILICONFLOW_API_KEY": provider.key}
    return chosen | {"KEYFRAME_ALLOW_LOOPBACK": "1"} | more


PAID = ("generate", "t2v", "--prompt", "a heron", "--model", "siliconflow/wan2.2-t2v")


async def test_what_is_still_to_be_sent_says_what_goes_on_and_what_stops_it(tmp_path: Path):
    async with SiliconFlow() as provider:
        chosen = of_siliconflow(provider)
        left = await anyio.to_thread.run_sync(partial(run, tmp_path, *PAID, "--wait", "0", **chosen))

        task_id = left.stdout.split()[0]
        assert left.returncode == 0, left.stderr
        assert "It is still to be sent, and is paid then." in left.stdout
        for words in ("--wait 1800", "--cancel"):
            assert f"keyframe-mcp task {task_id} {words}" in left.stdout
        assert provider.jobs == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.SUBMITTING, "It is being sent to siliconflow, whose answer is still to come."),
        (Status.RUNNING, "It was sent to siliconflow, and is followed until it is done."),
        (Status.SAVING, "It is made, and still to be brought here."),
    ],
)
def test_what_is_not_done_says_how_far_it_is_and_how_it_goes_on(status: Status, words: str):
    task = a_task(status=status, provider="siliconflow")

    assert going_on(task).startswith(words)
    assert f"keyframe-mcp task {task.id} --wait 1800" in going_on(task)
    assert ("--cancel" in going_on(task)) == (status is not Status.SAVING)
    assert "--cancel" not in going_on(task.model_copy(update={"cancel_requested": True}))


async def test_trouble_on_the_way_never_reads_like_advice_to_pay_again(tmp_path: Path):
    task_id = await unknown_in(tmp_path)
    store = SqliteStore(tmp_path / "state" / "tasks.db", Clock())
    try:
        failure = Failure.of(ProviderBusy("it is busy"))
        await store.move(task_id, of={Status.UNKNOWN}, to=Status.QUEUED, changes={"failure": failure})
    finally:
        await store.aclose()
    async with SiliconFlow() as provider:
        shown = await anyio.to_thread.run_sync(partial(run, tmp_path, "task", task_id, **of_siliconflow(provider)))

    assert "provider_busy: it is busy" in shown.stdout
    assert "it goes on by itself. Do not start it again" in shown.stdout
    assert "another model" not in shown.stdout


async def test_leaving_while_a_job_is_being_sent_says_what_is_waited_for(tmp_path: Path):
    async with SiliconFlow() as provider:
        provider.next("submit", Silence(recorded=True))
        command = [sys.executable, "-m", "keyframe_mcp", *PAID, "--wait", "1"]
        variables = environment(tmp_path) | of_siliconflow(provider)
        async with await anyio.open_process(command, env=variables, cwd=tmp_path) as process:
            assert process.stderr is not None
            heard = b""
            with anyio.fail_after(60):
                async for piece in process.stderr:
                    heard += piece
                    if b"in doubt" in heard:
                        provider.release()
                await process.wait()

        assert (
            b"waiting for the provider's answer to a job that is being sent; stopping now leaves it in doubt" in heard
        )
        assert len(provider.jobs) == 1
        (task,) = json.loads((await anyio.to_thread.run_sync(partial(run, tmp_path, "task", "--json"))).stdout)["tasks"]
        assert task["status"] == "running"


async def test_what_is_unknown_cannot_be_cancelled_and_says_who_settles_it(tmp_path: Path):
    task_id = await unknown_in(tmp_path)
    done = run(tmp_path, "task", task_id, "--cancel")

    assert done.returncode == 4
    assert f"Task {task_id} cannot be cancelled: nobody knows whether siliconflow has the job." in done.stderr
    assert f"keyframe-mcp task {task_id} --attach JOB_ID" in done.stdout
    assert (await kept(tmp_path, task_id)).status is Status.UNKNOWN


@pytest.mark.parametrize("dry", [(), ("--dry-run",), ("--dry-run", "--json")])
async def test_what_is_too_dear_has_one_exit_code(tmp_path: Path, dry: tuple[str, ...]):
    async with SiliconFlow() as provider:
        limits = {"KEYFRAME_BUDGET_USD_PER_DAY": "1", "KEYFRAME_BUDGET_UNPRICED_USD": "1.5"}
        chosen = of_siliconflow(provider, **limits)
        done = await anyio.to_thread.run_sync(partial(run, tmp_path, *PAID, *dry, **chosen))

        assert done.returncode == 6, done.stderr
        assert "$1.5" in done.stdout + done.stderr
        assert provider.jobs == []


def test_a_quote_that_is_too_dear_has_the_same_exit_code():
    task = a_task(status=Status.FAILED, failure=Failure.of(BudgetExceeded("too dear")))

    assert exit_code([task]) == 6
    assert exit_code([task.model_copy(update={"failure": Failure.of(ProviderBusy())})]) == 1


async def test_a_dry_run_tells_what_is_sent_from_what_is_left_to_the_model(tmp_path: Path):
    async with SiliconFlow() as provider:
        chosen = of_siliconflow(provider, KEYFRAME_BUDGET_USD_PER_DAY="5", KEYFRAME_BUDGET_UNPRICED_USD="1.5")
        shown = await anyio.to_thread.run_sync(partial(run, tmp_path, *PAID, "--dry-run", **chosen))
        dear = chosen | {"KEYFRAME_BUDGET_USD_PER_TASK": "1"}
        refused = await anyio.to_thread.run_sync(partial(run, tmp_path, *PAID, "--dry-run", **dear))

    lines = shown.stdout.splitlines()
    assert "at a price that is not known and counts for $1.5 (KEYFRAME_BUDGET_UNPRICED_USD)" in lines[0]
    sent = f"Sent: POST {provider.base_url}/video/submit"
    assert lines.index(sent) < lines.index("  prompt = a heron") < lines.index("Price and limits:")
    assert "  image_size = 1280x720 (a default)" in lines
    assert refused.stdout.startswith("Refused: this counts for $1.5 (KEYFRAME_BUDGET_UNPRICED_USD)")
    assert "within" not in refused.stdout.splitlines()[0]


def test_a_result_that_was_not_copied_is_shown_with_its_end():
    until = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
    left = Output(url="https://provider.test/film.mp4", expires_at=until, kept=False)

    assert described(left) == "https://provider.test/film.mp4 (not copied, works until 2026-11-21 17:00 UTC)"
    assert described(left.model_copy(update={"expires_at": None})) == "https://provider.test/film.mp4 (not copied)"


def test_options_given_whole_and_one_by_one_are_refused_with_words():
    with pytest.raises(InvalidInput, match=r"options\.a: options are given or removed whole already"):
        overrides_of(("options=5", "options.a=1"), ())
    with pytest.raises(InvalidInput, match=r"options\.a: options are given or removed whole already"):
        overrides_of((), ("options", "options.a"))

"""The command line, run as a person or a script would run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keyframe_mcp.cli import COMMANDS
from studio import picture
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
        (("models", "local/morf"), 2, "did you mean local/morph"),
        (("generate", "t2v", "--prompt", "a", "--wait", "nan"), 2, "--wait"),
        (("demo", "--output", "/proc/keyframe"), 3, "cannot be written"),
        (("serve", "--port", "9999"), 2, "need --transport"),
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
    for words in ("11 tools", "generate_flf2v", "generate_i2v", "join_videos", "stream copy"):
        assert words in shown.stdout
    assert {"contact-sheet.jpg", "film.mp4", "dawn.jpg", "dusk.jpg"} <= {
        each.name for each in (tmp_path / "here").iterdir()
    }

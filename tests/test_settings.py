"""What whoever runs the server can set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from keyframe_mcp.errors import InvalidSettings
from keyframe_mcp.settings import LOG_LEVELS, PREFIX, Settings, is_set, read_settings

SHOW = """
import os
from pathlib import Path
from keyframe_mcp.settings import read_settings
print(read_settings(os.environ, Path.cwd(), Path.home()).model_dump_json())
"""


def settings(given: Mapping[str, str], working_dir: Path = Path("/srv/project"), home: Path = Path("/home/me")):
    return read_settings({PREFIX + name: value for name, value in given.items()}, working_dir, home)


def shown(environment: Mapping[str, str], working_dir: Path) -> dict[str, str]:
    """The settings a process with only this environment has."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
    command = [sys.executable, "-c", SHOW]
    done = subprocess.run(
        command, env={**kept, **environment}, cwd=working_dir, capture_output=True, text=True, timeout=30, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of other platforms are elsewhere")
def test_the_default_folders_are_where_the_platform_keeps_such_things(tmp_path: Path):
    home = tmp_path / "home"
    working_dir = tmp_path / "project"
    home.mkdir()
    working_dir.mkdir()

    plain = shown({"HOME": str(home)}, working_dir)
    moved = shown({"HOME": str(home), "XDG_DATA_HOME": str(tmp_path / "data")}, working_dir)

    assert plain["output_dir"] == str(home / "Videos" / "Keyframe")
    assert plain["state_dir"] == str(home / ".local" / "share" / "keyframe-mcp")
    assert moved["state_dir"] == str(tmp_path / "data" / "keyframe-mcp")
    assert plain["allowed_dirs"] == [plain["output_dir"], str(working_dir)]


def test_nothing_needs_to_be_set():
    found = settings({})

    assert (found.catalog_dir, found.default_model, found.log_level, found.allow_loopback) == (
        None,
        None,
        "warning",
        False,
    )
    assert found.output_dir.is_absolute()
    assert found.state_dir.is_absolute()


def test_every_setting_is_read_from_its_variable(tmp_path: Path):
    found = settings(
        {
            "OUTPUT_DIR": "/videos",
            "STATE_DIR": "/state",
            "ALLOWED_DIRS": os.pathsep.join(["/pictures", "/more"]),
            "CATALOG_DIR": str(tmp_path),
            "DEFAULT_MODEL": "local/camera",
            "LOG_LEVEL": "DEBUG",
            "ALLOW_LOOPBACK": "1",
        }
    )

    assert found == Settings(
        output_dir=Path("/videos"),
        state_dir=Path("/state"),
        allowed_dirs=(Path("/pictures"), Path("/more"), Path("/videos")),
        catalog_dir=tmp_path,
        default_model="local/camera",
        log_level="debug",
        allow_loopback=True,
    )
    assert found.database == Path("/state/tasks.db")


@pytest.mark.parametrize("name", [field.upper() for field in Settings.model_fields])
@pytest.mark.parametrize("value", ["", "  ", "${user_config.folder}", " ${FOLDER} "])
def test_empty_and_unfilled_values_mean_unset(name: str, value: str):
    assert settings({name: value}) == settings({})


def test_a_value_that_only_mentions_a_variable_is_a_value():
    assert is_set("/videos/${USER}")


def test_every_problem_is_in_the_one_error(tmp_path: Path):
    with pytest.raises(InvalidSettings) as caught:
        settings(
            {
                "OUTPUT_DIR": "videos",
                "STATE_DIR": "./state",
                "ALLOWED_DIRS": os.pathsep.join(["pictures", "/fine", "../more"]),
                "CATALOG_DIR": str(tmp_path / "missing"),
                "LOG_LEVEL": "loud",
                "ALLOW_LOOPBACK": "perhaps",
            }
        )
    problems = str(caught.value).split("; ")

    assert [problem for problem in problems if problem.startswith(PREFIX)] == [
        "KEYFRAME_OUTPUT_DIR=videos is not an absolute path",
        "KEYFRAME_STATE_DIR=state is not an absolute path",
        "KEYFRAME_ALLOWED_DIRS: pictures is not an absolute path",
        "KEYFRAME_ALLOWED_DIRS: ../more is not an absolute path",
        f"KEYFRAME_CATALOG_DIR={tmp_path / 'missing'} is not a folder",
        f"KEYFRAME_LOG_LEVEL=loud is not one of {', '.join(LOG_LEVELS)}",
        "KEYFRAME_ALLOW_LOOPBACK=perhaps is not one of 1, 0, true, false",
    ]


@pytest.mark.parametrize("name", ["OUTPUT_DIR", "STATE_DIR", "ALLOWED_DIRS"])
def test_a_folder_may_be_written_from_the_home_folder(name: str):
    found = settings({name: "~/somewhere"})

    assert Path("~/somewhere").expanduser() in (found.output_dir, found.state_dir, *found.allowed_dirs)


@pytest.mark.parametrize("name", ["OUTPUT_DIR", "STATE_DIR", "ALLOWED_DIRS", "CATALOG_DIR"])
def test_the_home_of_a_user_there_is_not_is_a_problem_like_any_other(name: str):
    with pytest.raises(InvalidSettings, match=f"KEYFRAME_{name}.*~nobody-by-that-name/x"):
        settings({name: "~nobody-by-that-name/x"})


def test_the_output_and_working_folders_may_be_read_unless_folders_are_named():
    assert settings({"OUTPUT_DIR": "/videos"}).allowed_dirs == (Path("/videos"), Path("/srv/project"))
    assert settings({"OUTPUT_DIR": "/videos", "ALLOWED_DIRS": "/pictures"}).allowed_dirs == (
        Path("/pictures"),
        Path("/videos"),
    )


@pytest.mark.parametrize("working_dir", ["/", "/home", "/home/me"])
def test_a_working_folder_that_holds_the_whole_home_folder_may_not_be_read(working_dir: str):
    assert settings({"OUTPUT_DIR": "/videos"}, Path(working_dir)).allowed_dirs == (Path("/videos"),)


def test_a_working_folder_inside_the_home_folder_may_be_read():
    assert Path("/home/me/project") in settings({}, Path("/home/me/project")).allowed_dirs


def test_no_folder_is_listed_twice():
    assert settings({"OUTPUT_DIR": "/srv/project"}).allowed_dirs == (Path("/srv/project"),)
    assert settings({"OUTPUT_DIR": "/a", "ALLOWED_DIRS": os.pathsep.join(["/a", "", "/a"])}).allowed_dirs == (
        Path("/a"),
    )


@pytest.mark.parametrize(
    ("value", "meaning"), [("1", True), ("true", True), ("TRUE", True), ("0", False), ("False", False)]
)
def test_a_switch_is_on_or_off(value: str, meaning: bool):
    assert settings({"ALLOW_LOOPBACK": value}).allow_loopback is meaning

"""The wheel and the source archive, as somebody gets them who has no clone of the repository."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from distribution.wheels import Built, Environment, Failed, build, offline, said
from keyframe_mcp import __version__

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "keyframe_mcp"
DATA = ("catalog/*.toml", "media/typefaces/*", "server/card/*.html", "samples/*.jpg", "cli/outline.json", "py.typed")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(ROOT, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return offline(built.wheel, tmp_path_factory.mktemp("environment"))


def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(built: Built):
    files = {path.relative_to(ROOT / "src").as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    expected = {name for name in files if "__pycache__" not in name}
    metadata = f"keyframe_mcp-{__version__}.dist-info/"

    assert {name for name in names(built.wheel) if not name.startswith(metadata)} == expected
    assert all(any(Path(name).match(f"keyframe_mcp/{each}") for name in expected) for each in DATA)


def test_the_wheel_holds_the_licences_of_what_is_in_it(built: Built):
    licences = {Path(name).name for name in names(built.wheel) if "/licenses/" in name}

    assert licences == {"LICENSE", "LICENSE-DejaVu.txt", "LICENSE-Unifont.txt"}


def test_the_source_archive_builds_the_same_wheel(built: Built, tmp_path: Path):
    with tarfile.open(built.archive) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build(next(tmp_path.iterdir()), tmp_path / "built")

    assert names(again.wheel) == names(built.wheel)


def test_what_was_not_declared_is_not_there(installed: Environment, tmp_path: Path):
    with pytest.raises(Failed, match="No module named 'cv2'"):
        said([installed.python, "-c", "import cv2"], tmp_path)
    where = said([installed.python, "-P", "-c", "import keyframe_mcp; print(keyframe_mcp.__file__)"], tmp_path)

    assert Path(where.strip()).is_relative_to(installed.folder)


def test_the_installed_command_tells_its_version_and_checks_itself(installed: Environment, tmp_path: Path):
    assert installed.run(tmp_path, "--version").strip() == f"keyframe-mcp, version {__version__}"
    assert json.loads(installed.run(tmp_path, "doctor", "--json"))
    assert "keyframe-mcp" in installed.run(tmp_path, "completion", "zsh")


def test_a_client_has_the_installed_server_draw_words_without_opencv(installed: Environment, tmp_path: Path):
    seen = installed.visit(tmp_path, "--model", "local/storyboard")

    assert (seen["server"], seen["protocol"]) == (f"keyframe-mcp {__version__}", "2026-07-28")
    assert "generate_flf2v" in seen["tools"]
    assert seen["bytes"] > 1000


def test_a_client_of_the_older_protocol_sees_its_tools(installed: Environment, tmp_path: Path):
    seen = installed.visit(tmp_path, "--era", "legacy")

    assert seen["protocol"] == "2025-11-25"
    assert "generate_flf2v" in seen["tools"]

"""Promises about the project itself: what CONTRIBUTING.md says is held here, so nobody has to remember it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from keyframe_mcp.docs import BLOCK, blocks, rendered

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


def tracked() -> list[Path]:
    """Files under version control; all text files when there is none (a source archive)."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.splitlines()]


def test_generated_documentation_is_current():
    stale = [path.name for path, text in rendered(ROOT) if path.read_text("utf-8") != text]

    assert not stale, "run: make docs"


def test_every_kind_of_generated_block_is_used_somewhere():
    texts = [path.read_text("utf-8") for path in (*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md"))]

    assert {match["name"] for text in texts for match in BLOCK.finditer(text)} == blocks(ROOT).keys()


@pytest.mark.parametrize("path", [*SOURCES, *(ROOT / "bench").glob("*.py")], ids=lambda path: path.name)
def test_a_module_is_at_most_400_lines(path: Path):
    assert len(path.read_text("utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is(path: Path):
    text = path.read_text("utf-8")

    assert not text.strip() or ast.get_docstring(ast.parse(text))


def test_no_module_is_a_drawer_for_odds_and_ends():
    assert not {path.stem for path in SOURCES} & {"utils", "util", "helpers", "common", "misc", "manager"}


def test_every_exception_to_a_rule_carries_its_reason():
    exception = re.compile(r"# (noqa|type: ignore|pyright: ignore)")
    reasoned = re.compile(r"# (noqa: [A-Z0-9, ]+|pyright: ignore\[[\w, ]+\])( # pyright: ignore\S+)? +[-#] \S")
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in [*SOURCES, *TESTS]
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if exception.search(line) and not reasoned.search(line) and path.name != "test_project.py"
    ]

    assert not bare


def test_tests_do_not_patch():
    words = re.compile(r"\b(monkeypatch|unittest\.mock|mocker|MagicMock)\b")

    assert not [path.name for path in TESTS if path.name != "test_project.py" and words.search(path.read_text("utf-8"))]


def test_no_registry_host_and_no_path_of_one_machine_is_committed():
    parts = ("pypi[.]org", "pythonhosted[.]org", "npmjs[.](org|com)", "deb[.]debian[.]org", "/roo[t]/")
    hosts = re.compile("|".join(parts))
    found = []
    for path in tracked():
        try:
            text = path.read_text("utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        if match := hosts.search(text):
            found.append(f"{path.relative_to(ROOT)}: {match[0]}")

    assert not found


def test_the_changelog_has_a_place_for_what_is_not_released():
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_every_dependency_has_a_lower_and_an_upper_bound():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needs = [*project["dependencies"], *(each for group in project["optional-dependencies"].values() for each in group)]

    assert [each for each in needs if ">=" not in each or "<" not in each] == []


def test_the_environment_is_read_only_where_settings_are():
    readers = {f"{path.parent.name}/{path.name}" for path in SOURCES if "os.environ" in path.read_text("utf-8")}

    # the command line hands it to the settings reader; the worker and the demo pass it on to processes they start;
    # `install` looks where hosts keep their files, and for keys to refer to; OpenTelemetry reads variables of its own,
    # and an error about them says which are set
    commands = {f"cli/{name}.py" for name in ("__init__", "session", "completing", "demo", "doctor")}
    assert readers == {*commands, "install/machines.py", "media/workshop.py", "telemetry/export.py"}


def test_starting_the_server_imports_no_media_library():
    code = (
        "import sys, keyframe_mcp.cli.serve, keyframe_mcp.server.stdio\n"
        "print([name for name in ('av', 'cv2', 'numpy', 'PIL', 'httpx') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "[]"

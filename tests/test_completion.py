"""Completion as shells ask for it: a process for every key."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from keyframe_mcp.cli import COMMANDS
from keyframe_mcp.cli.completing import OWNER
from keyframe_mcp.cli.completion import PROGRAM, VARIABLE
from keyframe_mcp.cli.outline import FILE
from keyframe_mcp.cli.session import ME
from keyframe_mcp.docs import outlines
from keyframe_mcp.store.sqlite import SqliteStore
from ledger import Clock, a_task
from test_stdio import environment

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
TASK = "kf_" + "b" * 26
OTHERS = "kf_" + "c" * 26
SHELLS = ("bash", "zsh", "fish")


def asked(folder: Path, shell: str, *words: str, **more: str) -> list[str]:
    """The values a shell gets for a line whose last word is being typed."""
    typed, current = " ".join((PROGRAM, *words)), words[-1]
    # fish hands over the word itself, the others its place
    place = current if shell == "fish" else str(len(words))
    variables = {VARIABLE: f"{shell}_complete", "COMP_WORDS": typed, "COMP_CWORD": place}
    ended = subprocess.run(
        [BIN / PROGRAM],
        env=environment(folder) | variables | more,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert not ended.stderr
    lines = ended.stdout.splitlines()
    if shell == "zsh" or (shell == "fish" and not all("," in each for each in lines)):
        return lines[1::3]
    return [each.partition(",")[2].partition("\t")[0] for each in lines if each]


async def a_store_in(folder: Path) -> None:
    store = SqliteStore(folder / "state" / "tasks.db", Clock())
    try:
        await store.add(a_task(TASK), same_request_since=0)
        await store.add(a_task(OTHERS, owner="somebody"), same_request_since=0)
    finally:
        await store.aclose()


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_is_proposed(shell: str, tmp_path: Path):
    assert asked(tmp_path, shell, "") == list(COMMANDS)


@pytest.mark.parametrize("shell", SHELLS)
def test_an_option_goes_on_from_what_was_typed(shell: str, tmp_path: Path):
    assert asked(tmp_path, shell, "generate", "--first") == ["--first-image"]


def test_modes_models_and_files_are_proposed_where_they_belong(tmp_path: Path):
    assert asked(tmp_path, "bash", "generate", "") == ["flf2v", "i2v", "t2v", "animation"]
    assert asked(tmp_path, "bash", "generate", "flf2v", "--model", "local/") == [
        "local/morph",
        "local/camera",
        "local/storyboard",
    ]
    assert asked(tmp_path, "bash", "models", "wavespeed/wan-fl") == ["wavespeed/wan-flf2v"]
    assert asked(tmp_path, "bash", "models", "--refresh", "wave") == ["wavespeed"]
    assert asked(tmp_path, "bash", "generate", "flf2v", "--first-image", "da") == ["da"]  # the shell's own files


async def test_the_tasks_of_whoever_types_are_proposed_and_nobody_elses(tmp_path: Path):
    await a_store_in(tmp_path)

    assert [asked(tmp_path, shell, "task", "kf_") for shell in SHELLS] == [[TASK]] * 3
    assert ME.owner == OWNER


def test_without_tasks_or_with_settings_that_are_wrong_nothing_is_proposed_and_nothing_made(tmp_path: Path):
    assert asked(tmp_path, "bash", "task", "") == []
    assert asked(tmp_path, "bash", "generate", "--model", "", KEYFRAME_TOOLSET="neither") == []
    assert list(tmp_path.iterdir()) == []


def test_what_a_shell_waits_for_imports_neither_the_sdk_nor_the_engine(tmp_path: Path):
    code = (
        "import sys\nfrom keyframe_mcp.cli import cli\n"
        f"sys.argv = ['{PROGRAM}']\n"
        "try:\n    cli.main(prog_name=sys.argv[0])\n"
        "except SystemExit:\n    pass\n"
        "print([name for name in ('mcp', 'keyframe_mcp.engine', 'keyframe_mcp.server') if name in sys.modules])"
    )
    line = {VARIABLE: "bash_complete", "COMP_WORDS": f"{PROGRAM} generate --model local/m", "COMP_CWORD": "3"}
    shown = subprocess.run(
        [sys.executable, "-c", code], env=environment(tmp_path) | line, capture_output=True, text=True, check=True
    )

    assert shown.stdout.split() == ["plain,local/morph", "[]"]


def test_the_outline_is_that_of_the_commands():
    assert outlines.path(ROOT).read_text("utf-8") == outlines.text(), "run: make docs"
    assert json.loads((ROOT / "src/keyframe_mcp/cli" / FILE).read_text("utf-8")).keys() <= COMMANDS.keys()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one_that_the_shell_can_read(shell: str, tmp_path: Path):
    script = subprocess.run(
        [BIN / PROGRAM, "completion", shell], env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert VARIABLE in script.stdout
    if not (at := shutil.which(shell)):
        pytest.skip(f"no {shell} here")

    subprocess.run([at, "-n"], input=script.stdout, text=True, check=True, timeout=30)


BASH = f"""
eval "$({PROGRAM} completion bash)"
complete -p {PROGRAM}
COMP_WORDS=({PROGRAM} generate --fir) COMP_CWORD=2
_keyframe_mcp_completion {PROGRAM} --fir generate
echo "${{COMPREPLY[@]}}"
COMPREPLY=()
COMP_WORDS=({PROGRAM} task kf_) COMP_CWORD=2
_keyframe_mcp_completion {PROGRAM} kf_ task
echo "${{COMPREPLY[@]}}"
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_a_real_bash_completes_options_and_tasks(tmp_path: Path):
    anyio.run(a_store_in, tmp_path)
    path = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    ended = subprocess.run(
        ["bash", "--norc"],
        input=BASH,
        env=environment(tmp_path) | path,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    registered, option, task = ended.stdout.splitlines()
    assert registered == f"complete -o nosort -F _keyframe_mcp_completion {PROGRAM}"
    assert option == "--first-image"
    assert task == TASK

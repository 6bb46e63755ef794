"""`keyframe-mcp install`: a host's file says how to start this server, and everything else in it stays."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import stat
import subprocess
import sys
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from mcp import Client, StdioServerParameters

from keyframe_mcp import catalog as catalogs
from keyframe_mcp.cli.install.entries import Local, wanted
from keyframe_mcp.cli.install.hosts import HOSTS
from keyframe_mcp.cli.install.links import LINKS, config_of, for_the_web
from keyframe_mcp.cli.install.machines import LINUX, MACOS, PLATFORMS, WINDOWS, Machine
from keyframe_mcp.cli.install.starting import IS_PUBLISHED, PUBLISHED, Installation
from keyframe_mcp.cli.install.variables import Variables, read_variables
from keyframe_mcp.cli.install.work import Surroundings, Wish, carry_out, survey, user_place
from keyframe_mcp.cli.install.writing import replace as replace_file
from keyframe_mcp.docs import hosts as pages
from keyframe_mcp.errors import InvalidSettings, UnusableHostFile
from test_stdio import environment

KEYS = ("REPLICATE_API_TOKEN", "WAVESPEED_API_KEY")
VALUE = "ws-very-secret-4711"
WRITTEN = [name for name, host in HOSTS.items() if host.user and host.form != "yaml"]
IN_PROJECTS = [name for name, host in HOSTS.items() if host.project]

OLD_JSON = """{
    "theme": "dark",
    "%s": {
        "other": {"command": "node", "args": ["a b", "c"], "env": {"TOKEN": "t"}}
    },
    "last": [1, 2.50, null, "é \\u00e9"]
}
"""
OLD_JSONC = """\ufeff// mine\r
{\r
\t"%s": {\r
\t\t/* the other one */ "other": {"url": "https://x/y", }, // stays\r
\t},\r
\t"editor": {"size": 12.0}, /* too */\r
}\r
"""
OLD_TOML = """# mine
model = "o3"   # the big one

[mcp_servers.other]  # stays
command = 'node'
args = [
  "a",  # first
]
env = { A = "[mcp_servers.keyframe]" }

[profiles."a.b"]
text = \"\"\"
[mcp_servers.keyframe]
command = "not this one"
\"\"\"
"""


def old_text(host_id: str) -> str:
    host = HOSTS[host_id]
    if host.form == "toml":
        return OLD_TOML
    return (OLD_JSONC if host.form == "jsonc" else OLD_JSON) % host.within[0]


def parsed(host_id: str, text: str) -> dict[str, Any]:
    """As a parser of somebody else's reads it."""
    if HOSTS[host_id].form == "toml":
        return tomllib.loads(text)
    bare = re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', lambda match: match[1] or "", text, flags=re.DOTALL)
    return json.loads(re.sub(r",(\s*[}\]])", r"\1", bare.removeprefix("\ufeff")))


def servers(host_id: str, text: str) -> dict[str, Any]:
    found = parsed(host_id, text)
    for name in HOSTS[host_id].within:
        found = found[name]
    return found


def around(folder: Path, platform: str = LINUX, **more: str) -> Surroundings:
    """A machine whose home is a folder of the test."""
    program = folder / "venv" / "bin" / "keyframe-mcp"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.touch()
    nowhere = folder / "nowhere"
    return Surroundings(
        machine=Machine(platform, folder, more),
        project=folder / "project",
        installation=Installation(folder / "venv", program.with_name("python"), False, lambda name: None, nowhere),
        keys=KEYS,
        providers=("replicate", "wavespeed"),
        now=datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC),
    )


def file_of(host_id: str, here: Surroundings) -> Path:
    place = user_place(HOSTS[host_id], here.machine)
    assert place is not None
    return Path(place)


def given(host_id: str, here: Surroundings, text: str, mode: int = 0o640) -> Path:
    path = file_of(host_id, here)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    path.chmod(mode)
    return path


def text_of(path: Path) -> str:
    return path.read_bytes().decode()


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("host_id", WRITTEN)
def test_an_entry_is_added_and_every_other_byte_stays(host_id: str, platform: str, tmp_path: Path):
    here, old = around(tmp_path, platform), old_text(host_id)
    path = given(host_id, here, old)

    carry_out(Wish(host_id, None, ("KEYFRAME_TOOLSET=core",)), here, "write")

    new = text_of(path)
    entry = servers(host_id, new)["keyframe"]
    assert str(tmp_path / "venv" / "bin" / "keyframe-mcp") in json.dumps(entry)
    assert "core" in json.dumps(entry)
    letters = iter(new)
    assert all(letter in letters for letter in old), "something that was there is gone or has moved"
    rest = servers(host_id, new) | {}
    del rest["keyframe"]
    assert rest == servers(host_id, old)


@pytest.mark.parametrize("host_id", WRITTEN)
def test_taking_it_out_leaves_what_was_there_before(host_id: str, tmp_path: Path):
    here, old = around(tmp_path), old_text(host_id)
    path = given(host_id, here, old)
    carry_out(Wish(host_id, None), here, "write")

    carry_out(Wish(host_id, None, remove=True), here, "write")

    assert parsed(host_id, text_of(path)) == parsed(host_id, old)
    assert text_of(path).replace(",", "").split() == old.replace(",", "").split()


@pytest.mark.parametrize("host_id", WRITTEN)
@pytest.mark.parametrize("old", [None, "", "\n", "{}"])
def test_a_file_that_is_missing_or_empty_becomes_one_of_its_owner_alone(host_id: str, old: str | None, tmp_path: Path):
    here = around(tmp_path)
    old = "" if old == "{}" and HOSTS[host_id].form == "toml" else old
    path = file_of(host_id, here) if old is None else given(host_id, here, old, 0o600)

    carry_out(Wish(host_id, None), here, "write")

    assert list(servers(host_id, text_of(path))) == ["keyframe"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("host_id", WRITTEN)
def test_the_second_time_changes_nothing_and_says_so(host_id: str, tmp_path: Path):
    here = around(tmp_path, WAVESPEED_API_KEY=VALUE)
    path = given(host_id, here, old_text(host_id))
    carry_out(Wish(host_id, None), here, "write")
    first = text_of(path)

    said = carry_out(Wish(host_id, None), replace(here, now=datetime(2027, 1, 1, tzinfo=UTC)), "write")

    assert text_of(path) == first
    assert "nothing was written" in said
    assert len(list(path.parent.glob("*.bak-*"))) == 1


@pytest.mark.parametrize("host_id", WRITTEN)
def test_an_entry_that_is_there_is_changed_part_by_part(host_id: str, tmp_path: Path):
    here = around(tmp_path)
    path = given(host_id, here, old_text(host_id))
    carry_out(Wish(host_id, None, ("KEYFRAME_TOOLSET=core", "HTTPS_PROXY=http://p")), here, "write")

    said = carry_out(Wish(host_id, None, ("KEYFRAME_TOOLSET=full", "HTTPS_PROXY=")), here, "write")

    env = servers(host_id, text_of(path))["keyframe"][HOSTS[host_id].shape.env]
    assert env == {"KEYFRAME_TOOLSET": "full"}
    assert re.search(r"^-.*core", said, re.MULTILINE)
    assert re.search(r"^\+.*full", said, re.MULTILINE)


def test_what_a_person_added_to_the_entry_stays_with_its_comment(tmp_path: Path):
    here = around(tmp_path)
    entry = '{"mcpServers": {"keyframe": {\n  // slow machine\n  "timeout": 900,\n  "url": "https://old",\n'
    entry += '  "env": {"A": "b"}\n}}}'
    path = given("gemini-cli", here, entry)

    carry_out(Wish("gemini-cli", None, ("KEYFRAME_TOOLSET=core",)), here, "write")

    assert "// slow machine" in text_of(path)
    found = servers("gemini-cli", text_of(path))["keyframe"]
    assert found["timeout"] == 900
    assert found["env"] == {"A": "b", "KEYFRAME_TOOLSET": "core"}


def test_going_from_a_local_to_a_remote_server_leaves_no_command_behind(tmp_path: Path):
    here = around(tmp_path)
    path = given("cursor", here, "{}")
    carry_out(Wish("cursor", None, ("KEYFRAME_TOOLSET=core",)), here, "write")

    carry_out(Wish("cursor", None, url="https://k.example/mcp", bearer_variable="K_TOKEN"), here, "write")

    assert servers("cursor", text_of(path))["keyframe"] == {
        "url": "https://k.example/mcp",
        "headers": {"Authorization": "Bearer ${env:K_TOKEN}"},
    }


@pytest.mark.parametrize("host_id", [name for name in HOSTS if not HOSTS[name].remote_note and name != "claude-code"])
def test_every_host_but_one_can_be_given_an_address(host_id: str, tmp_path: Path):
    said = carry_out(Wish(host_id, None, url="https://k.example/mcp"), around(tmp_path), "print")

    assert "https://k.example/mcp" in said
    assert "venv" not in said


@pytest.mark.parametrize("host_id", IN_PROJECTS)
def test_a_projects_file_is_in_the_project_and_for_others_to_read(host_id: str, tmp_path: Path):
    here = around(tmp_path)

    said = carry_out(Wish(host_id, "project"), here, "write")

    path = here.project / HOSTS[host_id].project
    assert "keyframe" in servers(host_id, text_of(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert "a path of this machine" in said


def test_a_copy_of_the_old_file_is_kept_beside_it_with_its_mode(tmp_path: Path):
    here = around(tmp_path)
    path = given("cursor", here, '{"a": 1}', 0o600)

    said = carry_out(Wish("cursor", None), here, "write")

    copy = path.with_name("mcp.json.bak-20261121-120000")
    assert (text_of(copy), stat.S_IMODE(copy.stat().st_mode)) == ('{"a": 1}', 0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert copy.name in said


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path):
    here = around(tmp_path)
    dotfiles = tmp_path / "dotfiles" / "mcp.json"
    dotfiles.parent.mkdir()
    dotfiles.write_text("{}")
    path = file_of("cursor", here)
    path.parent.mkdir()
    path.symlink_to(dotfiles)

    carry_out(Wish("cursor", None), here, "write")

    assert path.is_symlink()
    assert "keyframe" in text_of(dotfiles)


@pytest.mark.parametrize(
    ("host_id", "broken", "where"),
    [
        ("claude-desktop", '{"a": 1,\n "b": }', "line 2, column 7"),
        ("claude-desktop", "{\n // note\n}", "line 2, column 2"),
        ("claude-desktop", '{"a": 1,}', "line 1, column 8"),
        ("cursor", '{"a": 1', "line 1, column 8"),
        ("cursor", '{"a": 1} x', "line 1, column 10"),
        ("cursor", '{"mcpServers": []}', "line 1, column 16"),
        ("cursor", '{"a": ' + "[" * 5000, "deeper than"),
        ("codex", "a = 1\nb = = 2\n", "line 2, column 5"),
        ("codex", 'mcp_servers = { other = { command = "x" } }\n', "by hand"),
    ],
)
def test_a_file_that_cannot_be_changed_safely_is_left_alone(host_id: str, broken: str, where: str, tmp_path: Path):
    here = around(tmp_path)
    path = given(host_id, here, broken)

    with pytest.raises(UnusableHostFile, match=re.escape(where)):
        carry_out(Wish(host_id, None), here, "write")

    assert text_of(path) == broken
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_somebody_else_wrote_meanwhile_is_not_overwritten(tmp_path: Path):
    path = tmp_path / "mcp.json"
    path.write_text('{"theirs": 1}')

    with pytest.raises(UnusableHostFile, match="run this again"):
        replace_file(path, "{}", '{"ours": 1}', datetime.now(UTC), shared=False)

    assert text_of(path) == '{"theirs": 1}'


@pytest.mark.parametrize("way", ["print", "dry-run"])
def test_only_looking_writes_nothing(way: str, tmp_path: Path):
    here = around(tmp_path)
    path = given("vscode", here, "{}")

    said = carry_out(Wish("vscode", None, dry_run=way == "dry-run"), here, "print" if way == "print" else "write")

    assert '"keyframe"' in said
    assert text_of(path) == "{}"


@pytest.mark.parametrize("host_id", [name for name in HOSTS if name != "claude-code"])
def test_no_key_is_ever_shown(host_id: str, tmp_path: Path):
    here = around(tmp_path, WAVESPEED_API_KEY=VALUE)
    scope = None if HOSTS[host_id].user or not HOSTS[host_id].project else "project"
    wish = Wish(host_id, scope, (f"MY_PASSWORD={VALUE}",), with_keys=scope is None and host_id != "trae")

    said = [carry_out(wish, here, "print"), carry_out(replace(wish, dry_run=True), here, "write")]
    said += [carry_out(wish, here, "write"), carry_out(replace(wish, remove=True), here, "write")]

    assert VALUE not in "".join(said)


@pytest.mark.parametrize("host_id", WRITTEN)
def test_keys_are_written_only_when_asked_for(host_id: str, tmp_path: Path):
    here = around(tmp_path, WAVESPEED_API_KEY=VALUE)

    carry_out(Wish(host_id, None), here, "write")
    before = text_of(file_of(host_id, here))
    carry_out(Wish(host_id, None, with_keys=True), here, "write")
    after = text_of(file_of(host_id, here))
    carry_out(Wish(host_id, None), here, "write")

    assert VALUE not in before
    assert VALUE in after
    assert text_of(file_of(host_id, here)) == after, "a reference nobody asked for replaced a key"


def test_keys_in_a_file_others_may_read_are_pointed_out(tmp_path: Path):
    here = around(tmp_path, WAVESPEED_API_KEY=VALUE)
    given("cursor", here, "{}", 0o644)

    assert "chmod 600" in carry_out(Wish("cursor", None, with_keys=True), here, "write")


def test_a_host_with_only_a_projects_file_is_given_a_key_by_its_value(tmp_path: Path):
    here = around(tmp_path, WAVESPEED_API_KEY=VALUE)
    by_value = re.escape("--env WAVESPEED_API_KEY=VALUE, and keep .trae/mcp.json out of git")

    for wish in (Wish("trae", None, with_keys=True), Wish("trae", None, ("WAVESPEED_API_KEY",))):
        with pytest.raises(InvalidSettings, match=by_value):
            carry_out(wish, here, "write")
    first = carry_out(Wish("trae", None), here, "write")
    said = carry_out(Wish("trae", None, (f"WAVESPEED_API_KEY={VALUE}",)), here, "write")

    assert re.search(by_value, first)
    assert f"this folder only: {here.project}." in first
    assert "holds a key now, WAVESPEED_API_KEY: keep .trae/mcp.json and its copies out of git" in said
    assert servers("trae", text_of(here.project / ".trae" / "mcp.json"))["keyframe"]["env"] == {
        "WAVESPEED_API_KEY": VALUE
    }


def test_what_is_shown_of_a_file_is_said_to_be_a_part_and_copies_are_said_to_hold_keys(tmp_path: Path):
    here = around(tmp_path)
    path = given("cursor", here, '{"theirs": 1}')

    added = carry_out(Wish("cursor", None), here, "write")
    taken = carry_out(Wish("cursor", None, remove=True), here, "write")

    assert "Only keyframe's part is shown" in added
    assert "Only keyframe's part is shown" not in carry_out(Wish("kiro", None), here, "write"), "a new file is all ours"
    assert f"({path.name}.bak-...) may hold keys" in taken
    assert "may hold keys" not in added


def test_a_secret_that_is_not_shown_is_to_be_put_in_by_hand(tmp_path: Path):
    here = around(tmp_path, WAVESPEED_API_KEY=VALUE)

    said = carry_out(Wish("lm-studio", None, with_keys=True), here, "print")

    assert "put yours, such as your key, in its place" in said


def test_vs_code_asks_for_a_key_once_and_forgets_the_question_with_the_entry(tmp_path: Path):
    here = around(tmp_path, WAVESPEED_API_KEY=VALUE)
    old = '{"inputs": [{"type": "promptString", "id": "mine"}], "servers": {}}'
    path = given("vscode", here, old)

    carry_out(Wish("vscode", None), here, "write")
    found = parsed("vscode", text_of(path))
    carry_out(Wish("vscode", None, remove=True), here, "write")

    assert [each["id"] for each in found["inputs"]] == ["mine", "keyframe-wavespeed-api-key"]
    assert found["inputs"][1]["password"] is True
    assert found["servers"]["keyframe"]["env"] == {"WAVESPEED_API_KEY": "${input:keyframe-wavespeed-api-key}"}
    assert parsed("vscode", text_of(path)) == parsed("vscode", old)


def test_codex_hands_keys_on_by_name_and_gets_times_to_wait(tmp_path: Path):
    here = around(tmp_path)
    path = given("codex", here, "")

    carry_out(Wish("codex", None), here, "write")
    changed = text_of(path).replace("tool_timeout_sec = 120", "tool_timeout_sec = 600 # mine")
    path.write_text(changed)
    carry_out(Wish("codex", None, ("KEYFRAME_TOOLSET=core",)), here, "write")

    entry = servers("codex", text_of(path))["keyframe"]
    assert (entry["env_vars"], entry["startup_timeout_sec"], entry["tool_timeout_sec"]) == (list(KEYS), 30, 600)
    assert "600 # mine" in text_of(path)


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (Wish("cursor", None, ("KEYFRAME_BUGDET_USD_PER_DAY=5",)), "KEYFRAME_BUDGET_USD_PER_DAY does"),
        (Wish("cursor", None, ("WAVESPED_API_KEY=x",)), "WAVESPEED_API_KEY does"),
        (Wish("cursor", None, ("KEYFRAME_BUDGET_USD_PER_DAY=lots",)), "not an amount"),
        (Wish("cursor", None, ("KEYFRAME_OUTPUT_DIR",)), "is not set here"),
        (Wish("cursor", None, ("A B=1",)), "no name of a variable"),
        (Wish("cursor", None, ("WAVESPEED_API_KEY=a b",)), "copy the key again"),
        (Wish("zed", None, ("WAVESPEED_API_KEY",)), "--with-keys"),
        (Wish("cursor", "project", with_keys=True), "shared"),
        (Wish("windsurf", "project"), "no file for one project"),
        (Wish("trae", "user"), "--scope project"),
        (Wish("claude-desktop", None, url="https://k.example/mcp"), "Connectors"),
        (Wish("cursor", None, url="http://k.example/mcp"), "https"),
        (Wish("cursor", None, url="https://k.example/mcp?token=x"), "query"),
        (Wish("cursor", None, url="https://k.example/mcp", bearer_variable="not a name"), "never the token"),
        (Wish("zed", None, url="https://k.example/mcp", bearer_variable="K"), '"Authorization": "Bearer THE-TOKEN"'),
        (Wish("cursor", None, bearer_variable="K"), "--transport http"),
        (Wish("cursor", None, command="'uvx"), "quotes"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(wish: Wish, says: str, tmp_path: Path):
    here = around(tmp_path)

    with pytest.raises(InvalidSettings, match=re.escape(says)):
        carry_out(wish, here, "write")

    assert [path.name for path in tmp_path.iterdir()] == ["venv"]


def test_settings_of_this_shell_that_are_not_handed_on_are_pointed_out(tmp_path: Path):
    here = around(tmp_path, KEYFRAME_OUTPUT_DIR="/videos", KEYFRAME_TOOLSET="core")

    said = carry_out(Wish("cursor", None, ("KEYFRAME_TOOLSET",)), here, "write")

    assert "not handed on: KEYFRAME_OUTPUT_DIR." in said
    entry = servers("cursor", text_of(file_of("cursor", here)))["keyframe"]
    assert entry["env"] == {"KEYFRAME_TOOLSET": "core"}


PLACES = [
    ("claude-desktop", "~/.config/Claude/claude_desktop_config.json",
     "~/Library/Application Support/Claude/claude_desktop_config.json",
     r"C:\Users\a\AppData\Roaming\Claude\claude_desktop_config.json"),
    ("cursor", "~/.cursor/mcp.json", "~/.cursor/mcp.json", r"C:\Users\a\.cursor\mcp.json"),
    ("vscode", "~/.config/Code/User/mcp.json", "~/Library/Application Support/Code/User/mcp.json",
     r"C:\Users\a\AppData\Roaming\Code\User\mcp.json"),
    ("codex", "~/.codex/config.toml", "~/.codex/config.toml", r"C:\Users\a\.codex\config.toml"),
    ("zed", "~/.config/zed/settings.json", "~/.config/zed/settings.json",
     r"C:\Users\a\AppData\Roaming\Zed\settings.json"),
    ("opencode", "~/.config/opencode/opencode.json", "~/.config/opencode/opencode.json",
     r"C:\Users\a\.config\opencode\opencode.json"),
]  # fmt: skip


@pytest.mark.parametrize(("host_id", "linux", "macos", "windows"), PLACES)
def test_every_platform_has_its_place(host_id: str, linux: str, macos: str, windows: str):
    posix, other = PurePosixPath("~"), PureWindowsPath(r"C:\Users\a")
    machines = [Machine(LINUX, posix, {}), Machine(MACOS, posix, {}), Machine(WINDOWS, other, {})]

    assert [str(user_place(HOSTS[host_id], machine)) for machine in machines] == [linux, macos, windows]


def test_variables_move_the_places():
    def place(host_id: str, platform: str, **environment: str) -> str:
        home = PureWindowsPath(r"C:\Users\a") if platform == WINDOWS else PurePosixPath("/h")
        return str(user_place(HOSTS[host_id], Machine(platform, home, environment)))

    assert place("claude-desktop", WINDOWS, APPDATA=r"D:\roam") == r"D:\roam\Claude\claude_desktop_config.json"
    assert place("codex", LINUX, CODEX_HOME="/c") == "/c/config.toml"
    assert place("copilot-cli", MACOS, COPILOT_HOME="/c") == "/c/mcp-config.json"
    assert place("vscode", LINUX, XDG_CONFIG_HOME="/x") == "/x/Code/User/mcp.json"
    assert place("zed", MACOS, XDG_CONFIG_HOME="/x") == "/h/.config/zed/settings.json"
    assert place("cline", LINUX, CLINE_MCP_SETTINGS_PATH="/s.json") == "/s.json"


def installation(prefix: str, found: dict[str, str] | None = None, temporary: str = "/scratch") -> Installation:
    known = found or {}
    return Installation(Path(prefix), Path(prefix) / "bin" / "python", False, known.get, Path(temporary))


@pytest.mark.parametrize(
    ("prefix", "found", "command"),
    [
        ("/h/.cache/uv/archive-v0/Ab12", {"uvx": "/h/.local/bin/uvx"}, ("/h/.local/bin/uvx", *PUBLISHED[1:])),
        ("/h/.cache/uv/archive-v0/Ab12", {}, PUBLISHED),
        ("/h/.cache/pipx/0a1b", {"pipx": "/bin/pipx"},
         ("/bin/pipx", "run", "--spec", "keyframe-mcp[local]", "keyframe-mcp")),
        ("/opt/py", {}, ("/opt/py/bin/python", "-m", "keyframe_mcp")),
    ],
)  # fmt: skip
def test_the_command_is_one_that_stays(prefix: str, found: dict[str, str], command: tuple[str, ...]):
    assert tuple(installation(prefix, found).command()) == command


def test_an_installation_that_will_vanish_is_refused_and_another_command_is_taken():
    vanishing = installation("/scratch/venv")

    with pytest.raises(InvalidSettings, match="--command") as refused:
        vanishing.command()
    advised = shlex.split(str(refused.value).partition("published: ")[2])
    assert advised[0] == "--command"
    assert tuple(vanishing.command(advised[1])) == PUBLISHED
    assert vanishing.command("uvx 'a b'") == ["uvx", "a b"]
    assert replace(vanishing, windows=True).command(r'"C:\a b\k.exe" serve') == [r"C:\a b\k.exe", "serve"]


@pytest.mark.parametrize("way", ["print", "link"])
def test_what_is_only_shown_may_name_an_installation_that_will_vanish(way: Literal["print", "link"], tmp_path: Path):
    here = around(tmp_path)
    here = replace(here, installation=replace(here.installation, temporary=tmp_path))

    assert carry_out(Wish("cursor", None), here, way)
    with pytest.raises(InvalidSettings, match="gone tomorrow"):
        carry_out(Wish("cursor", None), here, "write")


def test_a_shared_file_names_uvx_without_a_path_of_this_machine():
    assert installation("/h/uv/archive-v0/A", {"uvx": "/h/bin/uvx"}).command(shared=True) == PUBLISHED


@pytest.mark.parametrize("url", ["", "https://k.example/mcp"])
def test_links_hold_the_server_as_each_host_packs_it(url: str):
    config = config_of(PUBLISHED, url)
    wanted_config = {"url": url} if url else {"command": "uvx", "args": list(PUBLISHED[1:])}

    for host_id in ("cursor", "lm-studio", "trae"):
        query = parse_qs(urlsplit(LINKS[host_id](config)).query)
        assert json.loads(base64.b64decode(query["config"][0])) == wanted_config
        assert query["name"] == ["keyframe"]
    assert json.loads(parse_qs(urlsplit(LINKS["kiro"](config)).query)["config"][0]) == wanted_config
    for scheme, host_id in (("vscode", "vscode"), ("vscode-insiders", "vscode-insiders")):
        start, _, packed = LINKS[host_id](config).partition("?")
        kind = {"name": "keyframe", "type": "http" if url else "stdio"}
        assert (start, json.loads(unquote(packed))) == (f"{scheme}:mcp/install", kind | wanted_config)
    goose = parse_qs(urlsplit(LINKS["goose"](config)).query)
    assert goose["url"] == [url] if url else (goose["cmd"], goose["arg"]) == (["uvx"], list(PUBLISHED[1:]))


def test_links_for_pages_are_https_and_lead_to_the_same():
    link = LINKS["vscode"](config_of(PUBLISHED, ""))

    assert parse_qs(urlsplit(for_the_web("vscode", link)).query)["url"] == [link]
    assert for_the_web("cursor", LINKS["cursor"](config_of(PUBLISHED, ""))).startswith(
        "https://cursor.com/install-mcp?"
    )


@pytest.mark.parametrize("host_id", [name for name, host in HOSTS.items() if not host.remote_note])
def test_every_page_shows_where_a_token_stands_and_what_is_to_be_published_first(host_id: str):
    page = pages.page(host_id)
    remote = page.partition("## A server that runs somewhere")[2].partition("## Keys")[0]

    if HOSTS[host_id].reference or HOSTS[host_id].shape.bearer:
        assert f"install {host_id} --transport http --url {pages.URL} --token-env {pages.TOKEN}" in remote
    else:
        assert '"Authorization": "Bearer THE-TOKEN"' in remote
        assert HOSTS[host_id].header_page in remote
    assert ("Once the package is published; in a clone" in page) is not IS_PUBLISHED


FAKE_CLAUDE = """#!{python}
import json, pathlib, sys
log = pathlib.Path({log!r})
log.write_text(log.read_text() + json.dumps(sys.argv[1:]) + "\\n" if log.exists() else json.dumps(sys.argv[1:]) + "\\n")
print("Scope: User config" if sys.argv[2] == "get" else "done")
sys.exit({code})
"""


def with_claude(folder: Path, code: int = 0) -> tuple[Surroundings, Path]:
    here, log, program = around(folder), folder / "log", folder / "claude"
    program.write_text(FAKE_CLAUDE.format(python=sys.executable, log=str(log), code=code))
    program.chmod(0o755)
    found = {"claude": str(program)}
    return replace(here, installation=replace(here.installation, found=found.get)), log


def test_claude_code_is_asked_to_change_its_own_file(tmp_path: Path):
    here, log = with_claude(tmp_path)

    said = carry_out(Wish("claude-code", None, ("KEYFRAME_TOOLSET=core",)), here, "write")

    calls = [json.loads(line) for line in log.read_text().splitlines()]
    assert [call[:2] for call in calls] == [["mcp", "get"], ["mcp", "remove"], ["mcp", "add-json"]]
    assert calls[2][2:5] == ["--scope", "user", "keyframe"]
    assert json.loads(calls[2][5])["env"] == {"KEYFRAME_TOOLSET": "core"}
    assert said.startswith("done")


def test_without_claude_the_command_to_run_is_said(tmp_path: Path):
    with pytest.raises(UnusableHostFile, match="claude mcp add-json --scope user keyframe"):
        carry_out(Wish("claude-code", None), around(tmp_path), "write")


def test_a_refusal_of_claude_is_an_error(tmp_path: Path):
    here, _ = with_claude(tmp_path, code=1)

    with pytest.raises(UnusableHostFile, match="claude refused: done; run it yourself"):
        carry_out(Wish("claude-code", None, remove=True), here, "write")


def test_the_hosts_of_a_machine_are_found(tmp_path: Path):
    here = around(tmp_path)
    given("cursor", here, "{}")
    given("codex", here, '[mcp_servers.keyframe]\ncommand = "x"\n')
    given("zed", here, "{,}")

    said = survey(here)

    assert re.search(r"cursor +Cursor +does not have keyframe yet", said)
    assert re.search(r"codex +Codex +has keyframe", said)
    assert re.search(r"zed +Zed +! .*line 1, column 2", said)
    assert "claude-desktop" in said.partition("Also known: ")[2]


def test_what_goose_is_shown_is_yaml_of_our_own_words(tmp_path: Path):
    said = carry_out(Wish("goose", None, ("KEYFRAME_TOOLSET=core",)), around(tmp_path), "write")

    assert 'extensions:\n  keyframe:\n    type: "stdio"' in said
    assert '    envs:\n      KEYFRAME_TOOLSET: "core"' in said


def test_a_key_that_is_named_becomes_a_reference_and_any_other_variable_its_value():
    here = {"WAVESPEED_API_KEY": VALUE, "HTTPS_PROXY": "http://p"}

    found = read_variables(("WAVESPEED_API_KEY", "HTTPS_PROXY", "X="), here, KEYS, (), with_keys=False)

    assert found == Variables({"HTTPS_PROXY": "http://p"}, ("WAVESPEED_API_KEY",), ("WAVESPEED_API_KEY",), KEYS, ("X",))


def test_an_entry_keeps_the_order_it_had():
    old = {"disabled": True, "env": {"A": "1"}, "command": "old"}

    found = wanted(HOSTS["kiro"], Local(("new",), Variables({})), old)

    assert list(found.items()) == [("disabled", True), ("env", {"A": "1"}), ("command", "new"), ("args", [])]


def run(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = environment(folder) | {"HOME": str(folder), "USERPROFILE": str(folder)} | more
    for name in ("XDG_CONFIG_HOME", "CODEX_HOME", "APPDATA"):
        kept.pop(name, None)
    command = [sys.executable, "-m", "keyframe_mcp", "install", *arguments]
    return subprocess.run(command, env=kept, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


async def test_what_was_written_starts_a_server_with_its_tools(tmp_path: Path):
    state = [f"--env=KEYFRAME_{name}_DIR={tmp_path / name}" for name in ("OUTPUT", "STATE")]

    done = run(tmp_path, "codex", *state, "--command", f"'{sys.executable}' -m keyframe_mcp")

    assert done.returncode == 0, done.stderr
    entry = tomllib.loads((tmp_path / ".codex" / "config.toml").read_text())["mcp_servers"]["keyframe"]
    few = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    started = StdioServerParameters(command=entry["command"], args=entry["args"], env=few | entry["env"], cwd=tmp_path)
    for mode in ("auto", "legacy"):
        async with Client(started, mode=mode) as client:
            assert "generate_flf2v" in [tool.name for tool in (await client.list_tools()).tools]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nowhere",), 2, "nowhere"),
        (("--remove",), 2, "name a host"),
        (("cursor", "--url", "https://x/mcp"), 2, "go together"),
        (("cursor", "--print", "--link"), 2, "choose one"),
        (("cursor", "--env", "KEYFRAME_X=1"), 3, "means nothing"),
        (("cursor", "--link", "--env", "KEYFRAME_TOOLSET=core"), 2, "install without --link"),
        (("cursor", "--with-keys"), 2, "WAVESPEED_API_KEY is; export one first"),
    ],
)
def test_a_wrong_command_line_is_refused_with_a_sentence(
    arguments: tuple[str, ...], code: int, says: str, tmp_path: Path
):
    done = run(tmp_path, *arguments, **{each.key: "" for each in catalogs.load().providers.values() if each.key})

    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr

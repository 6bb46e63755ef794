"""The bundle for desktop hosts, as far as it can be checked without its tool; `make bundle` packs and starts it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import anyio
import jsonschema
import pytest
from PIL import Image
from pydantic import SecretStr

from distribution.bundles import CONFIGURED, staged
from keyframe_mcp import __version__
from keyframe_mcp import catalog as catalogs
from keyframe_mcp.docs import bundle, listed_tools, registry
from keyframe_mcp.settings import PREFIX, Settings, read_settings

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((ROOT / "tests" / "schemas" / "mcpb-manifest-v0.4.schema.json").read_text("utf-8"))
MANIFEST = json.loads((ROOT / bundle.FOLDER / "manifest.json").read_text("utf-8"))
SERVER = MANIFEST["server"]
ASKED = MANIFEST["user_config"]
FILLED = re.compile(r"\$\{user_config\.(\w+)\}")


def test_the_manifest_and_the_project_are_those_of_the_code():
    stale = [path.name for path, text in bundle.files(ROOT, anyio.run(listed_tools)) if path.read_text("utf-8") != text]

    assert not stale, "run: make docs"


def test_a_host_takes_the_manifest():
    jsonschema.Draft7Validator(SCHEMA).validate(MANIFEST)

    # the range is a semantic one: parted by a space, where Python's own would have a comma
    assert re.fullmatch(r">=3\.\d+ <3\.\d+", MANIFEST["compatibility"]["runtimes"]["python"])
    assert MANIFEST["version"] == __version__


def test_every_variable_is_filled_in_from_something_a_person_is_asked_for():
    filled = {name: FILLED.fullmatch(value) for name, value in SERVER["mcp_config"]["env"].items()}
    keys = {each.key for each in catalogs.load().providers.values() if each.key}

    assert all(filled.values())
    assert sorted(match[1] for match in filled.values() if match) == sorted(ASKED)
    assert filled.keys() == {PREFIX + name.upper() for name in bundle.TITLES} | keys


def test_keys_are_sensitive_and_nothing_secret_is_asked_for_in_the_open():
    keys = {each.key.lower() for each in catalogs.load().providers.values() if each.key}

    assert {name for name, each in ASKED.items() if each.get("sensitive")} == keys
    assert not [name for name in bundle.TITLES if registry.kind_of(Settings.model_fields[name]) is SecretStr]


def test_nothing_is_asked_for_several_times_since_hosts_do_not_pass_that_on():
    assert not [name for name, each in ASKED.items() if each.get("multiple")]
    assert {name for name, each in ASKED.items() if each["type"] == "directory"} == {"output_dir", "allowed_dirs"}
    assert not [name for name, each in ASKED.items() if each["required"]]


@pytest.mark.parametrize("left", ["", "${user_config.NAME}"], ids=["empty", "not filled in"])
def test_what_a_person_leaves_out_is_not_set(left: str, tmp_path: Path):
    environment = {
        name: FILLED.sub(lambda match: left.replace("NAME", match[1]), value)
        for name, value in SERVER["mcp_config"]["env"].items()
    }
    found = read_settings(environment, tmp_path, tmp_path)

    assert found == read_settings({}, tmp_path, tmp_path)
    assert not [each.key for each in catalogs.load().providers.values() if found.key(each.key)]


def test_what_a_person_chooses_arrives(tmp_path: Path):
    chosen = {name: str(value) for name, value in CONFIGURED["a limit and a key"].items()}
    chosen |= {"allowed_dirs": str(tmp_path / "pictures"), "output_dir": str(tmp_path / "videos")}
    environment = {
        name: FILLED.sub(lambda match: chosen.get(match[1], ""), value)
        for name, value in SERVER["mcp_config"]["env"].items()
    }
    found = read_settings(environment, tmp_path, tmp_path)

    assert found.budget_usd_per_task == CONFIGURED["a limit and a key"]["budget_usd_per_task"]
    assert found.key("WAVESPEED_API_KEY") == chosen["wavespeed_api_key"]
    assert set(found.allowed_dirs) == {tmp_path / "pictures", tmp_path / "videos"}


def test_what_is_packed_is_what_its_project_needs(tmp_path: Path):
    staged(tmp_path / "stage")
    project = tomllib.loads((tmp_path / "stage" / "pyproject.toml").read_text("utf-8"))
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    files = {path.relative_to(tmp_path / "stage").as_posix() for path in (tmp_path / "stage").rglob("*")}

    assert {SERVER["entry_point"], project["tool"]["hatch"]["version"]["path"], MANIFEST["icon"]} <= files
    assert {"LICENSE", "NOTICE.md", ".python-version", ".mcpbignore"} <= files
    assert not [each for each in files if "__pycache__" in each or each.startswith("tests")]
    assert set(ours["dependencies"]) <= set(project["project"]["dependencies"])
    assert SERVER["mcp_config"]["args"][-1] in project["project"]["scripts"]
    assert "dependency-groups" not in project, "`uv run` would install what only developers need"
    assert not (ROOT / bundle.FOLDER / "uv.lock").exists()


def test_the_python_of_the_bundle_is_one_it_may_have():
    wanted = (ROOT / bundle.FOLDER / ".python-version").read_text("utf-8").strip()
    lowest, above = (tuple(map(int, re.findall(r"\d+", each))) for each in bundle.PYTHON)

    assert lowest <= tuple(map(int, wanted.split("."))) < above


def test_the_icon_is_a_square_of_a_size_hosts_show():
    with Image.open(ROOT / bundle.FOLDER / MANIFEST["icon"]) as icon:
        assert (icon.format, icon.size) == ("PNG", (512, 512))

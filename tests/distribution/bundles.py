"""`make bundle`: the bundle for desktop hosts, packed by the official tool, and started the way a host starts it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from distribution.combinations import installed_uv
from distribution.pythons import found
from distribution.wheels import ROOT, VISIT, Failed, kept_in, said
from keyframe_mcp import __version__
from keyframe_mcp.docs.bundle import FOLDER

TOOL = "@anthropic-ai/mcpb@2.1.2"
HOST = Path(__file__).with_name("host.mjs")
TEXTS = ("LICENSE", "README.md", "CHANGELOG.md")
OF_UV = ("UV_", "SSL_CERT")
"""Variables by which a machine tells uv where packages come from; a host passes on what it was started with."""
CONFIGURED: Mapping[str, Mapping[str, object]] = {
    "nothing chosen but folders": {},
    "all else left empty": {"default_model": "", "budget_usd_per_task": "", "wavespeed_api_key": ""},
    "a limit and a key": {"budget_usd_per_task": 1.5, "default_model": "local/morph", "wavespeed_api_key": "not-a-key"},
}
"""What a person may have filled in beside the folders."""


def bundle(folder: Path, into: Path) -> None:
    """All of it; raises Failed."""
    tool = installed_tool(folder)
    stage, packed = folder / "stage", into / f"keyframe-mcp-{__version__}.mcpb"
    staged(stage)
    into.mkdir(parents=True, exist_ok=True)
    packed.unlink(missing_ok=True)
    said([tool, "validate", stage / "manifest.json"], folder)
    said([tool, "pack", stage, packed], folder)
    unpacked = folder / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    said([tool, "unpack", packed, unpacked], folder)
    count = sum(each.is_file() for each in unpacked.rglob("*"))
    click.echo(f"{packed.relative_to(ROOT) if packed.is_relative_to(ROOT) else packed}: ", nl=False)
    click.echo(f"{packed.stat().st_size:,} bytes, {count} files")
    for words, chosen in CONFIGURED.items():
        visited(folder, unpacked, words, chosen)


def installed_tool(folder: Path) -> Path:
    """The official command, brought by npm."""
    said(["npm", "install", "--prefix", folder, "--no-package-lock", "--silent", TOOL], folder)
    return folder / "node_modules" / ".bin" / ("mcpb.cmd" if sys.platform == "win32" else "mcpb")


def staged(stage: Path) -> None:
    """A folder with everything that is packed."""
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(ROOT / FOLDER, stage)
    shutil.copytree(ROOT / "src" / "keyframe_mcp", stage / "src" / "keyframe_mcp", ignore=in_caches)
    for name in TEXTS:
        shutil.copyfile(ROOT / name, stage / name)


def in_caches(_: str, names: list[str]) -> list[str]:
    """What Python leaves beside the sources."""
    return [name for name in names if name == "__pycache__" or name.endswith(".pyc")]


def visited(folder: Path, unpacked: Path, words: str, chosen: Mapping[str, object]) -> None:
    """Start it as a host would, in both eras, and have it draw. Raises Failed."""
    kept = folder / "kept"
    shutil.rmtree(kept, ignore_errors=True)
    pictures = kept / "pictures"
    shutil.copytree(ROOT / "src" / "keyframe_mcp" / "samples", pictures)
    config = {"output_dir": str(kept / "videos"), "allowed_dirs": str(pictures), **chosen}
    started = json.loads(said(["node", HOST, folder, unpacked, json.dumps(config)], folder))
    environment = host_environment(folder, kept) | started["env"]
    began = time.monotonic()
    for era in ("auto", "legacy"):
        seen = visit(started, environment, pictures, era)
        if not Path(seen["video"]).is_relative_to(kept / "videos"):
            raise Failed(f"the video is not in the chosen folder: {seen['video']}")
        require_tools(unpacked, seen)
        click.echo(
            f"{words}: {seen['server']}, {seen['protocol']}, {len(seen['tools'])} tools, "
            f"drawn with {seen['drawn_with']}, {seen['bytes']:,} bytes, {time.monotonic() - began:.1f} s"
        )
        began = time.monotonic()


def visit(started: Mapping[str, Any], environment: Mapping[str, str], pictures: Path, era: str) -> dict[str, Any]:
    """A session of our own client with the command of the bundle."""
    options = ["--era", era, "--model", "local/morph", "--"]
    command = [sys.executable, "-P", VISIT, *options, started["command"], *started["args"]]
    return json.loads(said(command, pictures, environment).splitlines()[-1])


def host_environment(folder: Path, kept: Path) -> dict[str, str]:
    """What a host was started with: where uv and a Python are, and a home. uv keeps what it downloads beside us."""
    theirs = {name: value for name, value in os.environ.items() if name.startswith(OF_UV)}
    own = {name: value for name, value in kept_in(kept).items() if not name.startswith("KEYFRAME_")}
    wanted = (ROOT / FOLDER / ".python-version").read_text("utf-8").strip()
    places = [installed_uv(folder).parent, *(python.parent for version, python in found().items() if version == wanted)]
    paths = os.pathsep.join([*map(str, places), own.get("PATH", "")])
    return {"UV_CACHE_DIR": str(folder / "cache")} | theirs | own | {"PATH": paths}


def require_tools(unpacked: Path, seen: Mapping[str, Any]) -> None:
    """The manifest lists what the server has. Raises Failed."""
    listed = sorted(each["name"] for each in json.loads((unpacked / "manifest.json").read_text("utf-8"))["tools"])
    if listed != seen["tools"]:
        raise Failed(f"the manifest lists {listed}, the server {seen['tools']}")

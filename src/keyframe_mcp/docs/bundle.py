"""The bundle a desktop host installs with a click (MCPB): its manifest, and the Python project inside it.

Facts of the format: the schema of manifest version 0.4 in `@anthropic-ai/mcpb` 2.1.2, which is strict, and its
`getMcpConfigForManifest`, which fills in variables: what nobody chose stays as `${user_config.NAME}`, and what may be
chosen several times is never put into the environment, so that there is one folder of pictures here.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from keyframe_mcp import __version__
from keyframe_mcp import catalog as catalogs
from keyframe_mcp.docs.registry import PACKAGE, TITLE, kind_of
from keyframe_mcp.settings import PREFIX, Settings

FOLDER = Path("packaging", "mcpb")
PYTHON = (">=3.11", "<3.15")
"""Python 3.15 has no wheels of FFmpeg yet. A host reads the two as a semantic range: parted by a space."""
ENTRY = "src/keyframe_mcp/__main__.py"
ABOUT = """\
A first and a last frame become a video, and so do an image, a text, or two prompts. Results are files and task ids \
that chain into longer films. Without a key, previews are drawn on this machine; with yours, videos come from \
WaveSpeedAI, SiliconFlow, Baicai Infer, Replicate or a gateway. Limits in US dollars bind what an agent may spend."""

TITLES: Mapping[str, str] = MappingProxyType(
    {
        "output_dir": "Folder for videos",
        "allowed_dirs": "Folder with pictures",
        "default_model": "Model where none is named",
        "budget_usd_per_task": "Most for one video, in US dollars",
        "budget_usd_per_day": "Most for one day, in US dollars",
    }
)
"""The settings a person is asked for. The others are for servers, or for the environment of whoever knows them."""
ABOUTS: Mapping[str, str] = MappingProxyType(
    {"allowed_dirs": "The folder that images and videos may be read from, beside the folder for videos."}
)
"""Where the setting's own text is wrong here: it is about several."""
TYPES: Mapping[object, str] = MappingProxyType({Path: "directory", tuple[Path, ...]: "directory", float: "number"})
NO_OPENCV = "sys_platform != 'win32' or platform_machine != 'ARM64'"
"""Where there is a wheel of OpenCV; without it pictures dissolve into each other."""


def files(root: Path, tools: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Path, str]]:
    """The generated files of the bundle, as they should be."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    yield root / FOLDER / "manifest.json", json.dumps(manifest(project["project"], tools), indent=2) + "\n"
    yield root / FOLDER / "pyproject.toml", bundled_project(project)


def manifest(project: Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """What a host reads."""
    return {
        "manifest_version": "0.4",
        "name": PACKAGE,
        "display_name": TITLE,
        "version": __version__,
        "description": project["description"],
        "long_description": ABOUT,
        "author": project["authors"][0],
        "icon": "icon.png",
        "keywords": project["keywords"],
        "license": project["license"],
        "server": {
            "type": "uv",
            "entry_point": ENTRY,
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", PACKAGE],
                "env": {each: f"${{user_config.{name}}}" for name, each in variables().items()},
            },
        },
        "tools": [{"name": tool["name"], "description": first_sentence(tool["description"])} for tool in tools],
        "tools_generated": False,
        "prompts_generated": True,  # a prompt listed here would be its text; ours are made from arguments
        "user_config": {**{name: setting(name) for name in TITLES}, **keys()},
        "compatibility": {"platforms": ["darwin", "win32", "linux"], "runtimes": {"python": " ".join(PYTHON)}},
    }


def variables() -> dict[str, str]:
    """The environment variable for everything a person is asked for."""
    names = [*TITLES, *keys()]
    return {name: PREFIX + name.upper() if name in TITLES else name.upper() for name in names}


def setting(name: str) -> Mapping[str, object]:
    """A setting as the host's form asks for it."""
    field = Settings.model_fields[name]
    kind = TYPES.get(kind_of(field), "string")
    more = {"min": 0} if kind == "number" else {}
    about = ABOUTS.get(name, field.description or "")
    return {"type": kind, "title": TITLES[name], "description": about, "required": False} | more


def keys() -> Mapping[str, Mapping[str, object]]:
    """A provider's key each, which the host keeps as a secret."""
    return {
        provider.key.lower(): {
            "type": "string",
            "title": f"Key for {provider.name}",
            "description": f"From {provider.key_page}" if provider.key_page else f"As {provider.name} gave it to you",
            "required": False,
            "sensitive": True,
        }
        for provider in catalogs.load().providers.values()
        if provider.key is not None
    }


def first_sentence(text: str) -> str:
    """What a person reads in a list of tools."""
    return text.partition("\n")[0].partition(". ")[0].rstrip(".") + "."


def bundled_project(project: Mapping[str, Any]) -> str:
    """A project for `uv run`: ours, with OpenCV where it can be had, and without what only developers need."""
    ours = project["project"]
    motion = [f"{each}; {NO_OPENCV}" for each in ours["optional-dependencies"]["local"]]
    # a list or a text of JSON is one of TOML too
    write = json.dumps
    return "\n".join(
        [
            "# Written by `make docs` from the project's own pyproject.toml.",
            "[build-system]",
            f"requires = {write(project['build-system']['requires'])}",
            f"build-backend = {write(project['build-system']['build-backend'])}",
            "",
            "[project]",
            f"name = {write(ours['name'])}",
            'dynamic = ["version"]',
            f"description = {write(ours['description'])}",
            f"license = {write(ours['license'])}",
            f"requires-python = {write(','.join(PYTHON))}",
            f"dependencies = {json.dumps([*ours['dependencies'], *motion], indent=2)}",
            "",
            "[project.scripts]",
            *(f"{name} = {write(target)}" for name, target in ours["scripts"].items()),
            "",
            "[tool.hatch.version]",
            f"path = {write(project['tool']['hatch']['version']['path'])}",
            "",
            "[tool.hatch.build.targets.wheel]",
            f"packages = {write(project['tool']['hatch']['build']['targets']['wheel']['packages'])}",
            "",
        ]
    )

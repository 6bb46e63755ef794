"""Other video servers' tool lists: as recorded, or installed and asked anew. None gets a key or a way out."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from listing import NoAnswer, listing

HERE = Path(__file__).resolve().parent
RECORDED = HERE / "rivals.json"
OFFLINE = HERE.parent / "tests" / "clients" / "offline"
INSTALL_SECONDS = 400.0
COMPARABLE_TOOLS = 8


@dataclass(frozen=True)
class Rival:
    """A server that installs without further ado: what to install, what to start, what it wants to see set."""

    name: str
    packages: tuple[str, ...]
    command: str
    arguments: tuple[str, ...] = ()
    environment: dict = field(default_factory=dict)
    by: str = "pip"


# placeholders, so that they start; nothing is ever sent to anybody
RIVALS = (
    Rival(
        "minimax-mcp",
        ("minimax-mcp",),
        "minimax-mcp",
        environment={"MINIMAX_API_KEY": "none", "MINIMAX_API_HOST": "http://127.0.0.1:9", "MINIMAX_MCP_BASE_PATH": "."},
    ),
    Rival("mcp-kling", ("mcp-kling",), "mcp-kling", environment={"ACEDATACLOUD_API_TOKEN": "none"}),
    Rival("mcp-seedance", ("mcp-seedance",), "mcp-seedance", environment={"ACEDATACLOUD_API_TOKEN": "none"}),
    Rival("elevenlabs-mcp", ("elevenlabs-mcp",), "elevenlabs-mcp", environment={"ELEVENLABS_API_KEY": "none"}),
    Rival(
        "wavespeed-mcp", ("wavespeed-mcp", "pydantic<2.12"), "wavespeed-mcp", environment={"WAVESPEED_API_KEY": "none"}
    ),
    Rival("replicate-mcp", ("replicate-mcp",), "mcp-server", environment={"REPLICATE_API_TOKEN": "none"}, by="npm"),
)


def recorded():
    """The figures on file."""
    return json.loads(RECORDED.read_text("utf-8"))


def groups(servers, own_tools):
    """Which rivals to be measured against, by how one reads "does as much". All of them make videos."""
    films = [each for each in servers if each.get("video", True)]
    many = [each for each in films if each["tools"] >= COMPARABLE_TOOLS]
    both_ends = [each for each in films if each.get("last_frame")]
    either = [*many, *(each for each in both_ends if each not in many)]
    as_many = [each for each in films if each["tools"] >= own_tools]
    return {
        f"video servers with at least as many tools ({own_tools})": as_many,
        f"video servers with at least {COMPARABLE_TOOLS} tools or a last frame": either,
        f"those with at least {COMPARABLE_TOOLS} tools": many,
        "those that take a first and a last frame as arguments": both_ends,
    }


def median(servers):
    return statistics.median(each["bytes"] for each in servers)


def refresh(under):
    """Install each under a folder, ask it, and put that on file; a reason in the place of figures where it failed."""
    known = recorded() | {"asked_anew": f"{datetime.now(UTC):%Y-%m-%d}"}
    known["anew"] = [asked(rival, under / rival.name) for rival in RIVALS]
    RECORDED.write_text(json.dumps(known, indent=2) + "\n", "utf-8")


def asked(rival, folder):
    folder.mkdir(parents=True, exist_ok=True)
    try:
        command = installed(rival, folder)
        told = listing([str(command), *rival.arguments], folder, rival.environment | {"PYTHONPATH": str(OFFLINE)})
    except (NoAnswer, subprocess.SubprocessError, OSError, KeyError) as reason:
        return {"name": rival.name, "failed": f"{type(reason).__name__}: {reason}"[:200]}
    facts = {"tools": len(told.tools), "bytes": told.bytes, "given": told.given}
    return {"name": rival.name, "version": version(rival, folder)} | facts


def version(rival, folder):
    """Of the first package."""
    if rival.by == "npm":
        package = folder / "node_modules" / rival.packages[0] / "package.json"
        return json.loads(package.read_text("utf-8"))["version"]
    said = f"from importlib.metadata import version; print(version({rival.packages[0]!r}))"
    return subprocess.check_output([str(folder / "bin/python"), "-c", said], text=True).strip()


def installed(rival, folder):
    """The program, put there by pip or npm when it is not."""
    program = folder / ("bin" if rival.by == "pip" else "node_modules/.bin") / rival.command
    if not program.exists():
        ways = {
            "pip": [
                [sys.executable, "-m", "venv", str(folder)],
                [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", *rival.packages],
            ],
            "npm": [
                ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", ".", *rival.packages]
            ],
        }
        for command in ways[rival.by]:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    return program

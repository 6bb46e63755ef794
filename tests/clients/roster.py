"""Which clients there are, over which transports and in which eras, and how one gets its environment."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

NEEDS = Path(__file__).with_name("needs")
INSTALL_SECONDS = 600.0
EVERYWHERE = (("stdio", "auto"), ("stdio", "legacy"), ("http", "auto"), ("http", "legacy"))
EACH_WAY = (("stdio", "auto"), ("http", "auto"))  # for clients that choose the era themselves


class NotInstalled(Exception):
    """The client could not be had here; the reason is the message."""


@dataclass(frozen=True)
class Client:
    """One client: the program that drives it, what it needs, and the ways it connects."""

    name: str
    runs: tuple[tuple[str, str], ...] = EVERYWHERE

    @property
    def module(self) -> str:
        return f"clients.with_{self.name}"


CLIENTS = (
    Client("official"),
    Client("typescript"),
    Client("inspector", (*EVERYWHERE, ("sse", "legacy"))),
    Client("fastmcp"),
    Client("langchain", EACH_WAY),
    Client("openai_agents", EACH_WAY),
    Client("pydantic_ai", EACH_WAY),
)


@dataclass(frozen=True)
class Installed:
    """Where a client is: the Python that runs its program, and its folder."""

    python: Path
    folder: Path


def install(client: Client, under: Path) -> Installed:
    """Its environment, made when it is not there or what it needs has changed. Raises NotInstalled."""
    folder, own = under / client.name, Path(sys.executable)
    python_needs, node_needs = NEEDS / f"{client.name}.txt", NEEDS / client.name / "package.json"
    if python_needs.exists():
        own = folder / "bin" / "python"
        make = [[sys.executable, "-m", "venv", str(folder)], pip(own, python_needs)]
        prepare(folder, python_needs, make)
    elif node_needs.exists():
        prepare(folder, node_needs, [["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]])
    return Installed(own, folder)


def pip(python: Path, needs: Path) -> list[str]:
    return [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(needs)]


def prepare(folder: Path, needs: Path, commands: list[list[str]]) -> None:
    """Run what makes an environment, unless it was made for exactly these needs."""
    stamp, wanted = folder / ".made", hashlib.sha256(needs.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(needs, folder)
    for command in commands:
        run(command, folder)
    stamp.write_text(wanted)


def run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except FileNotFoundError:
        raise NotInstalled(f"{command[0]} is not here") from None
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"{Path(command[0]).name} took more than {INSTALL_SECONDS:g} s") from None
    except subprocess.CalledProcessError as error:
        said = [line for line in error.stderr.splitlines() if line.strip()] or ["it said nothing"]
        wrong = [line for line in said if "error" in line.lower()] or said
        raise NotInstalled(f"{Path(command[0]).name}: {wrong[-1].strip()}") from None

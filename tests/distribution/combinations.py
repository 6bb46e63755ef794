"""`make package`: the wheel, installed by uv with the newest and with the oldest dependencies, on every Python here."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from distribution.pythons import found
from distribution.wheels import ROOT, Environment, Failed, build, kept_in, metadata, requirements, said

RESOLUTIONS = ("highest", "lowest-direct")
SHOWN = ("mcp", "pydantic", "av", "numpy", "starlette")
START_SECONDS = 30.0


@dataclass(frozen=True)
class Combination:
    """What is installed where."""

    version: str
    python: Path
    resolution: str
    extra: str

    @property
    def name(self) -> str:
        """As a folder's name."""
        return "-".join(filter(None, (self.version, self.resolution, self.extra)))


def package(folder: Path, only: Sequence[str] = ()) -> int:
    """Build, then try every combination. How many failed."""
    uv = installed_uv(folder)
    shutil.rmtree(folder / "built", ignore_errors=True)
    wheel = build(ROOT, folder / "built").wheel
    click.echo(f"{wheel.name}, {wheel.stat().st_size:,} bytes")
    click.echo(row("Python", "dependencies", "extra", *SHOWN, "seconds", "outcome"))
    return sum(not tried(each, wheel, uv, folder) for each in combinations() if not only or each.version in only)


def combinations() -> Iterator[Combination]:
    """Every Python with the newest and the oldest it can have, and the newest without OpenCV."""
    for version, python in found().items():
        for resolution in RESOLUTIONS:
            yield Combination(version, python, resolution, "local")
        yield Combination(version, python, "highest", "")


def installed_uv(folder: Path) -> Path:
    """The uv of the machine, or one in an environment of its own."""
    if at := shutil.which("uv"):
        return Path(at)
    own = Environment(folder / "uv")
    uv = own.programs / ("uv.exe" if sys.platform == "win32" else "uv")
    if not uv.exists():
        venv.create(own.folder, with_pip=True)
        said([own.python, "-m", "pip", "install", "-q", "uv>=0.8"], folder)
    return uv


def tried(each: Combination, wheel: Path, uv: Path, folder: Path) -> bool:
    """One combination, and its line."""
    began, environment = time.monotonic(), Environment(folder / each.name)
    installed: Mapping[str, str] = {}
    try:
        install(each, wheel, uv, environment)
        installed = versions(uv, environment)
        outcome, went_well = walked_through(environment, each, folder / f"{each.name}-kept"), True
    except Failed as failure:
        outcome, went_well = f"FAILED\n{failure}", False
    shown = [installed.get(name, "?") for name in SHOWN]
    seconds = f"{time.monotonic() - began:.0f}"
    click.echo(row(each.version, each.resolution, each.extra or "-", *shown, seconds, outcome))
    return went_well


def install(each: Combination, wheel: Path, uv: Path, environment: Environment) -> None:
    """Make the environment anew. Raises Failed.

    The lowest versions are asked of requirements that are given by themselves: those of a wheel count as indirect, and
    uv would take the newest.
    """
    said([uv, "venv", "-q", "--clear", "--python", each.python, environment.folder], ROOT)
    listed = environment.folder / "requirements.txt"
    listed.write_text(
        "\n".join(f"{need.name}{need.specifier}" for need in requirements(metadata(wheel), each.extra)), "utf-8"
    )
    here = ["--python", environment.python]
    said([uv, "pip", "install", "-q", *here, "--resolution", each.resolution, "-r", listed], ROOT)
    said([uv, "pip", "install", "-q", *here, "--no-deps", wheel], ROOT)
    said([uv, "pip", "check", "-q", *here], ROOT)


def versions(uv: Path, environment: Environment) -> dict[str, str]:
    """What was installed."""
    lines = said([uv, "pip", "freeze", "-q", "--python", environment.python], ROOT).splitlines()
    return {name: version for name, _, version in (line.partition("==") for line in lines)}


def walked_through(environment: Environment, each: Combination, folder: Path) -> str:
    """What a new user does: the demo, a session in both eras, a command, the self-check, completion and HTTP.

    Raises Failed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment.run(folder, "--version")
    environment.run(folder, "doctor", "--json")
    environment.run(folder, "demo", "--output", str(folder / "demo"))
    for picture in ("dawn.jpg", "dusk.jpg"):
        shutil.copyfile(folder / "demo" / picture, folder / picture)
    seen = environment.visit(folder, "--era", "auto", "--model", "local/morph")
    words = ("--prompt", "A heron takes off", "--model", "local/storyboard", "--duration", "1")
    environment.run(folder, "generate", "t2v", *words)
    old = environment.visit(folder, "--era", "legacy", "--model", "local/storyboard")
    if ("dissolve" in seen["drawn_with"]) is bool(each.extra):
        raise Failed(f"drawn with {seen['drawn_with']}, {'though OpenCV is there' if each.extra else 'without OpenCV'}")
    complete(environment, folder)
    answers_over_http(environment, folder)
    return f"demo, generate, {seen['protocol']} ({seen['drawn_with']}), {old['protocol']}, completion, http"


def complete(environment: Environment, folder: Path) -> None:
    """Completion, by the protocol of click. Raises Failed."""
    asked = {"_KEYFRAME_MCP_COMPLETE": "bash_complete", "COMP_WORDS": "keyframe-mcp generate --fir", "COMP_CWORD": "2"}
    proposed = said([environment.program], folder, kept_in(folder) | asked)
    if proposed.strip() != "plain,--first-image":
        raise Failed(f"completion proposed {proposed!r}")


def answers_over_http(environment: Environment, folder: Path) -> None:
    """Whether a server over HTTP answers. Raises Failed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [environment.program, "serve", "--transport", "all", "--port", str(port)]
    with (folder / "http.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=kept_in(folder), stdout=log, stderr=log)
    try:
        until = time.monotonic() + START_SECONDS
        while "listens on" not in (said_so_far := (folder / "http.log").read_text("utf-8")):
            if process.poll() is not None or time.monotonic() > until:
                raise Failed(f"no server over HTTP\n{said_so_far}")
            time.sleep(0.05)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            if answer.status != 200:
                raise Failed(f"/health answered {answer.status}")
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def row(*cells: str) -> str:
    """A line of the table."""
    widths = (7, 14, 6, 7, 9, 8, 8, 10, 8)
    return " ".join(cell.ljust(width) for cell, width in zip(cells, (*widths, 0), strict=True)).rstrip()

"""`python -m conformance`, from the folder of the tests: install the suite, start the servers, run the scenarios.

Ends with 1 when a check failed that can pass, or one passed that was said not to.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from conformance.scenarios import CANNOT_PASS, SCENARIOS, Scenario, Target

SUITE = "@modelcontextprotocol/conformance"
VERSION = "0.2.0-alpha.12"  # the first line that knows the revision of 2026-07-28 and tasks
NODE = "node@22"  # for machines whose own is older: the suite uses what came with 22
OLDEST_NODE = 22
SECONDS = 60  # for one scenario; the longest takes five
START_SECONDS = 20


@dataclass(frozen=True)
class Outcome:
    """What became of a scenario: the ids of checks by how they ended."""

    scenario: Scenario
    passed: Sequence[str]
    failed: Sequence[str]
    warned: Sequence[str]

    @property
    def troubles(self) -> Sequence[str]:
        """What is not as it should be."""
        excused = CANNOT_PASS.get(self.scenario, frozenset[str]())
        failed = [f"failed: {each}" for each in self.failed if each not in excused]
        stale = [f"passed, and was said not to: {each}" for each in sorted(excused - set(self.failed))]
        return [*failed, *stale, *([] if self.passed else ["nothing passed"])]


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path(".conformance"), help="For the suite itself.")
@click.option("--only", default="", help="Run the scenarios whose name has this in it.")
def main(*, folder: Path, only: str) -> None:
    """Run the official conformance suite against this server and against a fixture with its Tasks extension."""
    folder = folder.resolve()
    command = installed(folder)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        targets: dict[Target, str] = {
            "server": stack.enter_context(serving(place, "keyframe_mcp", "serve", "--transport", "http", "--port")),
            "fixture": stack.enter_context(serving(place, "conformance.fixture")),
        }
        chosen = [each for each in SCENARIOS if only in each.name]
        outcomes = [tell(run(command, targets[each.target], each, place)) for each in chosen]
    passed, failed = sum(len(each.passed) for each in outcomes), sum(len(each.failed) for each in outcomes)
    click.echo(f"{len(outcomes)} scenarios, {passed} checks passed, {failed} failed.")
    sys.exit(any(each.troubles for each in outcomes) or not outcomes)


def tell(outcome: Outcome) -> Outcome:
    """Show one line for a scenario, and what is wrong with it."""
    scenario = outcome.scenario
    counts = f"{len(outcome.passed):3} passed {len(outcome.failed):2} failed {len(outcome.warned):2} warnings"
    click.echo(f"{scenario.target:8} {scenario.revision or '-':11} {scenario.name:46}{counts}")
    for trouble in outcome.troubles:
        click.echo(f"    {trouble}")
    return outcome


def installed(folder: Path) -> Sequence[str]:
    """The command that starts the suite, once npm has brought it."""
    wanted = [f"{SUITE}@{VERSION}", *([] if has_node() else [NODE])]
    package = folder / "node_modules" / SUITE
    if not is_installed(package) or (not has_node() and not (folder / "node_modules" / "node").exists()):
        quiet = ("--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
        folder.mkdir(parents=True, exist_ok=True)
        npm = shutil.which("npm")
        if npm is None:
            raise click.ClickException("npm was not found; install Node.js 20 or newer, then run this again")
        subprocess.run([npm, "install", "--prefix", str(folder), *quiet, *wanted], check=True)
    node = "node" if has_node() else str(folder / "node_modules" / "node" / "bin" / "node")
    return [node, str(package / "dist" / "index.js")]


def is_installed(package: Path) -> bool:
    """Whether the suite is there, in the version that is wanted."""
    facts = package / "package.json"
    return facts.exists() and json.loads(facts.read_text())["version"] == VERSION


def has_node() -> bool:
    """Whether the machine's own Node.js can run the suite."""
    if (node := shutil.which("node")) is None:
        return False
    said = subprocess.run([node, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.match(r"v(\d+)", said)
    return found is not None and int(found.group(1)) >= OLDEST_NODE


@contextmanager
def serving(place: Path, module: str, *arguments: str) -> Generator[str]:
    """The address of a server in a process of its own, which keeps its state in a folder nobody else has."""
    port = free_port()
    command = [sys.executable, "-m", module, *arguments, str(port)]
    process = subprocess.Popen(command, env=environment(place), stderr=subprocess.DEVNULL)
    try:
        require_answer(process, port, module)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(place: Path) -> Mapping[str, str]:
    """What a server of ours is started with: no keys, and folders of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "SYSTEMROOT") if name in os.environ}
    folders = {"KEYFRAME_STATE_DIR": str(place / "state"), "KEYFRAME_OUTPUT_DIR": str(place / "out")}
    return kept | folders | {"HOME": str(place)}


def require_answer(process: subprocess.Popen[bytes], port: int, name: str) -> None:
    """Return once a server listens. Raises `ClickException` if it ends, or takes too long."""
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise click.ClickException(f"{name} did not start")


def run(command: Sequence[str], address: str, scenario: Scenario, place: Path) -> Outcome:
    """Run a scenario and read what the suite wrote down. It ends with 1 where a check failed; the file says which."""
    revision = [] if scenario.revision is None else ["--spec-version", scenario.revision]
    with tempfile.TemporaryDirectory(dir=place) as into:
        asked = [*command, "server", "--url", address, "--scenario", scenario.name, *revision, "-o", into]
        try:
            said = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return Outcome(scenario, [], [f"no end within {SECONDS} s"], [])
        written = list(Path(into).glob("*/checks.json"))
        if not written:
            return Outcome(scenario, [], [f"the suite broke: {(said.stdout + said.stderr)[-400:]}"], [])
        checks = [(each["id"], each["status"]) for each in json.loads(written[0].read_text())]
    by = {status: [name for name, ended in checks if ended == status] for status in ("SUCCESS", "FAILURE", "WARNING")}
    return Outcome(scenario, by["SUCCESS"], by["FAILURE"], by["WARNING"])


if __name__ == "__main__":
    main()

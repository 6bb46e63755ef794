"""The official suite as a program: getting it, asking what it has, and running it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from conformance.roster import Place

PACKAGE = "@modelcontextprotocol/conformance"
NODE = "node@22"  # for machines whose own is older: both versions use what came with 22
OLDEST_NODE = 22
QUIET = ("--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
INSTALL_SECONDS = 180
SECONDS = 90  # for a leg; the longest takes ten

KIND = re.compile(r"^(?P<kind>\S.*) scenarios \(")
NAME = re.compile(r"^  - (?P<name>\S+) \[(?P<revisions>[^]]*)\]$")
RESULT = re.compile(r"^server-(?P<name>.+)-\d{4}-\d{2}-\d{2}T[0-9-]+Z$")

Listing = Mapping[str, Mapping[str, Sequence[str]]]
"""Of each kind of scenarios their names, and of each name its revisions, or `extension`."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. Some are looked at several times."""

    id: str
    status: str


@dataclass(frozen=True)
class Ran:
    """A scenario, where it ran, and what was found."""

    suite: str
    revision: str
    place: Place
    name: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Suite:
    """A version that is installed. `command` starts it."""

    version: str
    command: Sequence[str]

    def listing(self) -> Listing:
        """Everything it has."""
        said = subprocess.run([*self.command, "list"], check=True, capture_output=True, text=True, timeout=SECONDS)
        return parsed(said.stdout)

    def run(self, address: str, asked: Sequence[str], revision: str, place: Place) -> tuple[list[Ran], int]:
        """Run scenarios against a server: what was found, and the suite's own exit code."""
        with tempfile.TemporaryDirectory() as into:
            command = [*self.command, "server", "--url", address, *asked, "-o", into]
            try:
                ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
            except subprocess.TimeoutExpired:
                raise click.ClickException(f"{' '.join(command[2:])}: no end within {SECONDS} s") from None
            found = [self._read(each, revision, place) for each in sorted(Path(into).iterdir())]
        for reason in re.findall(r"^Failed to run scenario .*(?:\n .*)*", ended.stderr, re.MULTILINE):
            click.echo(f"{self.version} {revision} {place}: {reason}")
        if not found:
            raise click.ClickException(f"{' '.join(command[2:])} wrote nothing: {(ended.stdout + ended.stderr)[-800:]}")
        return found, ended.returncode

    def _read(self, folder: Path, revision: str, place: Place) -> Ran:
        named = RESULT.match(folder.name)
        if named is None:
            raise click.ClickException(f"the suite wrote {folder.name!r}, which is no scenario's result")
        return Ran(self.version, revision, place, named["name"], checks_in(folder / "checks.json"))


def checks_in(path: Path) -> tuple[Check, ...]:
    """What was looked at. A scenario that broke off has written nothing."""
    if not path.exists():
        return (Check("scenario-broke-off", "FAILURE"),)
    return tuple(Check(each["id"], each["status"]) for each in json.loads(path.read_text()))


def parsed(text: str) -> Listing:
    """What `list` says, as data. Raises `ValueError` for a line that is not understood."""
    kinds: dict[str, dict[str, Sequence[str]]] = {}
    kind = ""
    for line in filter(str.strip, text.splitlines()):
        if heading := KIND.match(line):
            kind = heading["kind"]
            kinds[kind] = {}
        elif (entry := NAME.match(line)) and kind:
            kinds[kind][entry["name"]] = tuple(entry["revisions"].split(","))
        else:
            raise ValueError(f"the suite lists {line!r}, which is not understood")
    return kinds


def installed(version: str, folder: Path) -> Suite:
    """A version of the suite, once npm has brought it. Raises `click.ClickException`."""
    into = folder / version
    package = into / "node_modules" / PACKAGE
    if not is_installed(package, version):
        bring(f"{PACKAGE}@{version}", into)
    return Suite(version, [node(folder), str(package / "dist" / "index.js")])


def is_installed(package: Path, version: str) -> bool:
    """Whether the suite is there, in the version that is wanted."""
    facts = package / "package.json"
    return facts.exists() and json.loads(facts.read_text())["version"] == version


def node(folder: Path) -> str:
    """A Node.js that can run the suite: the machine's own, or one brought by npm."""
    own = shutil.which("node")
    if own is not None and is_new_enough(own):
        return own
    brought = folder / "node" / "node_modules" / "node" / "bin" / "node"
    if not brought.exists():
        bring(NODE, folder / "node")
    return str(brought)


def is_new_enough(path: str) -> bool:
    """Whether a Node.js can run the suite."""
    said = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.match(r"v(\d+)", said)
    return found is not None and int(found.group(1)) >= OLDEST_NODE


def bring(wanted: str, into: Path) -> None:
    """Install a package of npm's into a folder of its own. Raises `click.ClickException`."""
    npm = shutil.which("npm")
    if npm is None:
        raise click.ClickException("npm was not found; install Node.js 20 or newer, then run this again")
    into.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--prefix", str(into), *QUIET, wanted]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    if ended.returncode:
        raise click.ClickException(f"npm could not install {wanted}: {ended.stderr[-800:]}")

"""`python -m clients`: install other people's clients, have each make a film with our server, and say how it went.

Exit code 0 when every run succeeded. A client that cannot be installed has failed unless `--known NAME` excuses it.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from clients.roster import CLIENTS, Client, Installed, NotInstalled, install
from clients.stage import Outcome, Stage
from clients.story import as_data, drawn

HERE = Path(__file__).parent
RUN_SECONDS = 300.0  # the Inspector starts some forty processes, half of them servers
START_SECONDS = 30.0
PATHS = {"http": "/mcp", "sse": "/sse"}
SERVER = str(Path(sys.executable).with_name("keyframe-mcp"))
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")  # and nothing else: no key, no proxy, no home


def main() -> int:
    given = arguments()
    print(f"{'':7}{'client':16}{'version':26}{'protocol':12}{'over':7}{'tools':7}{'seconds':9}the model sees")  # noqa: T201 - its output
    failed = 0
    for client in CLIENTS:
        if given.only and client.name not in given.only:
            continue
        try:
            installed = install(client, given.folder.resolve())
        except NotInstalled as reason:
            excused = client.name in given.known
            failed += not excused
            print(f"{'known' if excused else 'ABSENT':7}{client.name:16}not installed: {reason}", flush=True)  # noqa: T201 - its output
            continue
        failed += sum(not went_well(client, installed, way, given.server) for way in client.runs)
    return 1 if failed else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="clients", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".clients"), help="where they are installed")
    parser.add_argument("--only", action="append", choices=[each.name for each in CLIENTS], help="just this one")
    parser.add_argument("--known", action="append", default=[], help="may be absent: it cannot be installed here")
    parser.add_argument("--server", default=SERVER, help="the keyframe-mcp to start")
    return parser.parse_args()


def went_well(client: Client, installed: Installed, way: tuple[str, str], server: str) -> bool:
    """One run, and its line."""
    (transport, era), began = way, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="keyframe-clients-") as scratch:
        stage = staged(Path(scratch), installed, era, server)
        try:
            if transport in PATHS:
                with listening_server(stage, transport) as url:
                    first, last = stage.images
                    remote = replace(stage, url=url, images=(as_data(Path(first)), as_data(Path(last))))
                    outcome = played(client, installed, remote)
            else:
                outcome = played(client, installed, stage)
        except Failed as failure:
            print(f"{'FAILED':7}{client.name:16}over {transport} ({era}):\n{failure}", flush=True)  # noqa: T201 - its output
            return False
    print(line(client, outcome, transport, time.monotonic() - began), flush=True)  # noqa: T201 - its output
    return True


class Failed(Exception):
    """A run did not get to its end; what was said last is the message."""


def staged(folder: Path, installed: Installed, era: str, server: str) -> Stage:
    """Pictures, and a server that keeps everything in one folder and knows no key."""
    first, last = drawn(folder)
    kept = {"KEYFRAME_OUTPUT_DIR": folder / "out", "KEYFRAME_STATE_DIR": folder / "state", "HOME": folder}
    environment = bare() | {name: str(path) for name, path in kept.items()} | {"KEYFRAME_ALLOWED_DIRS": str(folder)}
    return Stage(str(folder), [server], environment, (str(first), str(last)), str(installed.folder), era=era)


def bare() -> dict[str, str]:
    """An environment without keys and without a way out."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return passed | {
        "PYTHONPATH": str(HERE / "offline"),
        "NODE_OPTIONS": f"--import={(HERE / 'offline/loopback.mjs').as_uri()}",
    }


def played(client: Client, installed: Installed, stage: Stage) -> Outcome:
    """What the client's program says came of it. Raises Failed."""
    node = f"{installed.folder / 'node_modules' / '.bin'}{os.pathsep}{bare()['PATH']}"
    paths = os.pathsep.join((str(HERE.parent), bare()["PYTHONPATH"]))
    quiet = {"FASTMCP_CHECK_FOR_UPDATES": "off", "DO_NOT_TRACK": "1", "LANGSMITH_TRACING": "false"}
    environment = bare() | quiet | {"PATH": node, "PYTHONPATH": paths, "HOME": stage.folder} | stage.to_environment()
    command = [str(installed.python), "-m", client.module]
    try:
        ended = subprocess.run(
            command, cwd=stage.folder, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise Failed(f"not done after {RUN_SECONDS:g} s\n{tail(late.stderr)}") from None
    if ended.returncode:
        raise Failed(tail(ended.stderr))
    return Outcome(**json.loads(ended.stdout.strip().splitlines()[-1]))


def tail(said: str | bytes | None) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said or ""
    return "\n".join(f"       {each}" for each in text.splitlines()[-8:])


@contextmanager
def listening_server(stage: Stage, transport: str) -> Generator[str]:
    """Our server on a free port; its URL."""
    port = free_port()
    command = [*stage.command, "serve", "--transport", transport, "--port", str(port)]
    with (stage.path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=stage.path, env=stage.environment, stdout=log, stderr=log)
    try:
        wait_for(stage.path / "server.log", process)
        yield f"http://127.0.0.1:{port}{PATHS[transport]}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(log: Path, process: subprocess.Popen[bytes]) -> None:
    """Until the server says that it listens."""
    until = time.monotonic() + START_SECONDS
    while "listens on" not in log.read_text():
        if process.poll() is not None or time.monotonic() > until:
            raise Failed(tail(log.read_text()))
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def line(client: Client, outcome: Outcome, transport: str, seconds: float) -> str:
    """How one run went."""
    sees = " + ".join(outcome.shown) + (f"; not {', '.join(outcome.hidden)}" if outcome.hidden else "")
    facts = f"{outcome.version:26}{outcome.protocol:12}{transport:7}{outcome.tools:<7}{seconds:<9.1f}"
    return "\n".join(
        (f"{'ok':7}{client.name:16}{facts}{sees}", *(f"       remark: {each}" for each in outcome.remarks))
    )


if __name__ == "__main__":
    sys.exit(main())

"""What starting costs: CPU until `initialize` is answered, and memory then, beside a bare one-tool server of the SDK.

Both are started in turn, so that a busy machine slows both alike; the figures to read are the ratios.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

BARE = """
from mcp.server import MCPServer
server = MCPServer("bare", log_level="ERROR")
@server.tool()
async def echo(text: str) -> str:
    "Say it again."
    return text
server.run("stdio")
"""

HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
INITIALIZE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HANDSHAKE}) + "\n"


@dataclass(frozen=True)
class Start:
    """CPU seconds and resident MiB of a process tree when it had answered."""

    cpu: float
    resident: float


def start(command, folder):
    """One start, measured when the answer has come."""
    environment = {"KEYFRAME_OUTPUT_DIR": f"{folder}/out", "KEYFRAME_STATE_DIR": f"{folder}/state", "HOME": str(folder)}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(INITIALIZE)
        process.stdin.flush()
        assert "serverInfo" in process.stdout.readline()
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        cpu = sum(sum(each.cpu_times()[:2]) for each in family)
        return Start(cpu, sum(each.memory_info().rss for each in family) / (1 << 20))
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def measure(runs=11):
    """The median of both, and ours over the bare one's, pair by pair."""
    with tempfile.TemporaryDirectory() as scratch:
        bare_file = Path(scratch) / "bare.py"
        bare_file.write_text(BARE)
        commands = {"bare": [sys.executable, str(bare_file)], "ours": [sys.executable, "-m", "keyframe_mcp"]}
        for command in commands.values():
            start(command, scratch)
        pairs = [{name: start(command, scratch) for name, command in commands.items()} for _ in range(runs)]
    return {
        "bare_cpu": statistics.median(pair["bare"].cpu for pair in pairs),
        "ours_cpu": statistics.median(pair["ours"].cpu for pair in pairs),
        "bare_resident": statistics.median(pair["bare"].resident for pair in pairs),
        "ours_resident": statistics.median(pair["ours"].resident for pair in pairs),
        "cpu_ratio": statistics.median(pair["ours"].cpu / pair["bare"].cpu for pair in pairs),
        "resident_ratio": statistics.median(pair["ours"].resident / pair["bare"].resident for pair in pairs),
        "runs": runs,
    }


def table(measured):
    """The figures as Markdown."""
    return (
        f"| | bare `mcp` server, one tool | Keyframe, all tools | ratio (median of {measured['runs']} pairs) | aim |\n"
        "|---|---|---|---|---|\n"
        f"| CPU to `initialize` | {measured['bare_cpu']:.2f} s | {measured['ours_cpu']:.2f} s "
        f"| **{measured['cpu_ratio']:.2f}** | 1.25 |\n"
        f"| resident memory then | {measured['bare_resident']:.0f} MiB | {measured['ours_resident']:.0f} MiB "
        f"| **{measured['resident_ratio']:.2f}** | 1.15 |"
    )


if __name__ == "__main__":
    print(table(measure()))

"""What a model reads because this server is there: its tools, and whole conversations with it, in bytes.

Tokens are given as bytes / 4, which is near enough for JSON in English: real tokenizers differ, and fetch their tables
from the network. A picture counts by its pixels (width x height / 750, as Anthropic documents it).
"""

from __future__ import annotations

import base64
import io
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

import rivals
from listing import HANDSHAKE, listing, running, size

AIM_BYTES, AIM_SHARE, AIM_CORE = 10_000, 0.60, 4_000
SERVER = [sys.executable, "-m", "keyframe_mcp"]
POLLS = 10
POLL_SECONDS = 0.2
PIXELS_PER_TOKEN = 750
LONG = {"duration": 30, "resolution": "1080p"}  # seconds of drawing, so that polls find it running


@dataclass(frozen=True)
class Exchange:
    """A call and its answer, in bytes: what the model wrote, and the two halves of what came back."""

    asked: int
    structure: int
    text: int
    picture: int = 0
    is_error: bool = False

    def __add__(self, other):
        return Exchange(
            self.asked + other.asked,
            self.structure + other.structure,
            self.text + other.text,
            self.picture + other.picture,
        )


class Talk:
    """A conversation with one server."""

    def __init__(self, pipe):
        self._pipe, self.result = pipe, {}

    def call(self, tool, **arguments):
        """One call. An answer without a structure is read as text by every host."""
        self.result = self._pipe.ask("tools/call", {"name": tool, "arguments": arguments})
        content = self.result["content"]
        text = sum(size(block["text"]) for block in content if block["type"] == "text")
        structure = size(self.result["structuredContent"]) if "structuredContent" in self.result else text
        asked = size({"name": tool, "arguments": arguments})
        return Exchange(asked, structure, text, sum(map(pixels, content)), self.result.get("isError", False))

    def start(self, tool, **arguments):
        """One call, and the id of the task it made."""
        made = self.call(tool, **arguments)
        return made, self.result["structuredContent"]["task_id"]


def pixels(block):
    """Tokens of a picture."""
    if block["type"] != "image":
        return 0
    width, height = Image.open(io.BytesIO(base64.b64decode(block["data"]))).size
    return round(width * height / PIXELS_PER_TOKEN)


def measure():
    """Everything about our own server."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        kept = {"KEYFRAME_OUTPUT_DIR": f"{folder}/out", "KEYFRAME_STATE_DIR": f"{folder}/state"}
        kept |= {"KEYFRAME_ALLOWED_DIRS": str(folder), "PYTHONPATH": str(rivals.OFFLINE)}
        for number, shade in enumerate(("navy", "orange")):
            Image.new("RGB", (320, 192), shade).save(folder / f"{number}.png")
        full = listing(SERVER, folder, kept)
        core = listing(SERVER, folder, kept | {"KEYFRAME_TOOLSET": "core"})
        with running(SERVER, folder, kept) as pipe:
            pipe.ask("initialize", HANDSHAKE)
            pipe.tell("notifications/initialized")
            exchanges = conversation(Talk(pipe), folder) | answers(Talk(pipe))
    return {"full": full, "core": core if len(core.tools) < len(full.tools) else None, "exchanges": exchanges}


def conversation(talk, folder):
    """Make, wait, look; and the polls of a model that does not wait."""
    ends = {"first_image": str(folder / "0.png"), "last_image": str(folder / "1.png")}
    made, task = talk.start("generate_flf2v", **ends, prompt="the sun goes down", duration=2)
    waited = talk.call("get_task", task_id=task, wait_seconds=45)
    assert talk.result["structuredContent"]["status"] == "succeeded"
    viewed = talk.call("view_video", source=f"task:{task}")
    _, slow = talk.start("generate_flf2v", **ends, **LONG)
    poll = talk.call("get_task", task_id=slow, wait_seconds=POLL_SECONDS)
    for _ in range(POLLS - 1):
        poll += talk.call("get_task", task_id=slow, wait_seconds=POLL_SECONDS)
    assert talk.result["structuredContent"]["status"] in ("queued", "submitting", "running")
    talk.call("cancel_task", task_id=slow)
    return {
        "generate_flf2v": made,
        "get_task with wait_seconds, succeeded": waited,
        "view_video, a contact sheet": viewed,
        "**the three together**": made + waited + viewed,
        f"get_task, {POLLS} polls of a running task": poll,
    }


def answers(talk):
    """What there is, what would be, and what was wrong."""
    wrong = {"duration": 99, "resolution": "9p", "aspect_ratio": "7:1"}
    prompt = {"prompt": "a heron takes off"}
    return {
        "list_models": talk.call("list_models"),
        "list_models with a mode and a query": talk.call("list_models", mode="flf2v", query="seedance"),
        "list_models of one model": talk.call("list_models", model="wavespeed/kling-v3.0-4k-image-to-video"),
        "list_tasks": talk.call("list_tasks"),
        "a dry run": talk.call("generate_t2v", **prompt, dry_run=True),
        "error: an unknown model": talk.call("generate_t2v", **prompt, model="local/storybord"),
        "error: a misspelt argument": talk.call("generate_t2v", **prompt, num_inference_step=20),
        "error: three values that cannot be": talk.call("generate_t2v", **prompt, model="local/storyboard", **wrong),
    }


def section():
    """The figures as Markdown."""
    measured, known = measure(), rivals.recorded()
    return f"""## What a model reads

Written by `python bench/report.py --tokens` on {datetime.now(UTC):%Y-%m-%d}. Bytes are of compact JSON. Tokens are
bytes / 4, an estimate for English and JSON: a real tokenizer would need the network. A picture is width x height / 750.

### Before anything is called

{before(measured, known["servers"])}

Bytes of a `tools/list` result, without the 34 of its envelope. Our results are typed; rivals' lists have no output
schemas beyond what a framework adds by itself, so both are compared. What "as many features" means decides the ratio.
Rivals were recorded on {known["recorded"]}: {known["how"]}.
The last column is the same question asked anew on {known["asked_anew"]}, of those that install without further ado
(`python bench/report.py --tokens --fresh FOLDER`). elevenlabs-mcp makes no videos, and is shown for its size only.

{rivals_table(known)}

### In a conversation

Hosts differ: some show the model `structuredContent` alone, others only the text. Without keys, by `local/...`.

{exchanges_table(measured["exchanges"])}
"""


def before(measured, servers):
    full, core = measured["full"], measured["core"]
    rows = [
        "| | bytes | tokens | aim |",
        "|---|---:|---:|---|",
        f"| `tools/list`, {len(full.tools)} tools | {full.bytes:,} | {full.bytes // 4:,} | {AIM_BYTES:,} bytes |",
        f"| of it names, descriptions and inputs, all that most models get | {full.given:,} | {full.given // 4:,} | |",
        f"| server instructions | {size(full.instructions):,} | {size(full.instructions) // 4:,} | |",
    ]
    if core:
        tools = f"`KEYFRAME_TOOLSET=core`, {len(core.tools)} tools"
        rows.append(f"| {tools} | {core.bytes:,} | {core.bytes // 4:,} | {AIM_CORE:,} bytes |")
    return "\n".join([*rows, "", *against(full, servers)])


def against(ours, servers):
    """Our list over the median of theirs. What counts as a rival decides it, so each way to count is shown."""
    rows = [
        "| Rivals | how many | median, bytes | ours over it | ours without output schemas over it | aim |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for label, group in rivals.groups(servers, len(ours.tools)).items():
        middle = rivals.median(group)
        whole, given = f"**{ours.bytes / middle:.2f}**", f"{ours.given / middle:.2f}"
        rows.append(f"| {label} | {len(group)} | {middle:,.0f} | {whole} | {given} | {AIM_SHARE:.2f} |")
    return rows


def rivals_table(known):
    """Recorded figures, and those measured anew beside them."""
    anew = {each["name"]: each for each in known["anew"]}
    rows = ["| Server | tools | bytes | asked anew |", "|---|---:|---:|---|"]
    for each in sorted(known["servers"], key=lambda each: each["bytes"]):
        now = again(anew.get(each["name"].split(" ")[0])) if each["name"].count(" ") == 1 else ""
        rows.append(f"| {each['name']} | {each['tools']} | {each['bytes']:,} | {now} |")
    return "\n".join(rows)


def again(server):
    """What came of asking anew."""
    if server is None:
        return ""
    if "failed" in server:
        return f"no: {server['failed']}"
    return f"{server['version']}: {server['tools']} tools, {server['bytes']:,} bytes"


def exchanges_table(exchanges):
    rows = [
        "| | the call, bytes | structure, bytes | text, bytes | picture, tokens | tokens, by structure |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for label, each in exchanges.items():
        tokens = (each.asked + each.structure) // 4 + each.picture
        picture = f"{each.picture:,}" if each.picture else ""
        rows.append(f"| {label} | {each.asked:,} | {each.structure:,} | {each.text:,} | {picture} | {tokens:,} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(section())

"""Keys and signatures: planted, provoked in every way there is, and then looked for in every byte that was written."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import anyio
import anyio.to_thread
import psutil
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from emulators import results
from emulators.baicai import Baicai
from emulators.faults import Answer, Changed, Fault, Reset, redirect
from emulators.gateway import Gateway
from emulators.jobs import AT_ONCE, Fate, by_the_clock
from emulators.provider import Emulator
from emulators.replicate import Replicate
from emulators.siliconflow import SiliconFlow
from emulators.wavespeed import WaveSpeed
from keyframe_mcp import catalog as catalogs
from keyframe_mcp.adapters.quotation import cleaned

PROVIDERS = catalogs.load().providers
HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a host", "version": "1"}}
MODELS = {
    "wavespeed": "wavespeed/wan-2.1-t2v-720p",
    "siliconflow": "siliconflow/wan2.2-t2v",
    "baicai": "baicai/viduq2-pro-flf2v-fast",
    "replicate": "replicate/stable-diffusion-animation",
    "gateway": "gateway/stable-diffusion-animation",
}
SECONDS = 60


def canary(shape: str = "") -> str:
    """A key nobody else has. `shape` is put into it, for characters that look different elsewhere."""
    return f"cn{secrets.token_hex(6)}{shape}{secrets.token_hex(8)}"


def forms(secret: str) -> Iterator[bytes]:
    """A secret as it may be written: plain, in a URL, in JSON, in HTML, in hexadecimal, inside base64 at any place."""
    plain = secret.encode()
    yield from (plain, plain[:16], quote(secret, safe="").encode(), quote_plus(secret).encode())
    yield from (json.dumps(secret)[1:-1].encode(), plain.hex().encode(), plain.hex().upper().encode())
    yield secret.encode("utf-16-le")
    yield "\u200b".join(secret).encode()
    yield b"%" + plain.hex("%").encode()
    yield "".join(f"&#{number};" for number in plain).encode()
    for shift in range(3):  # what comes before decides where the secret's own letters begin and end
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * shift + plain)[(0, 2, 3)[shift] :].rstrip(b"=")[:-2]


def hits(haystack: bytes, planted: Mapping[str, str]) -> list[str]:
    """Which secrets are somewhere in it, with what is around."""
    found: list[str] = []
    for name, secret in planted.items():
        for form in forms(secret):
            at = haystack.find(form)
            if at >= 0:
                found.append(f"{name}: ...{haystack[max(0, at - 100) : at + len(form) + 20]!r}")
                break
    return found


def folder_hits(folder: Path, planted: Mapping[str, str]) -> list[str]:
    """The same in the names and bytes of all files below a folder."""
    found: list[str] = []
    for path in sorted(folder.rglob("*")):
        found += [f"{path.name} (name) {hit}" for hit in hits(str(path).encode(), planted)]
        if path.is_file():
            found += [f"{path.name} {hit}" for hit in hits(path.read_bytes(), planted)]
    return found


@dataclass
class Scene:
    """A server process with the planted keys, the providers it uses, and everything it said."""

    folder: Path
    emulators: Mapping[str, Emulator]
    variables: Mapping[str, str]
    process: Process
    lines: BufferedByteReceiveStream
    said: list[bytes] = field(default_factory=list[bytes])
    last: int = 0

    async def ask(self, method: str, params: object) -> dict[str, Any]:
        """A request on the pipe, and its answer."""
        self.last += 1
        assert self.process.stdin is not None
        await self.process.stdin.send(
            json.dumps({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}).encode() + b"\n"
        )
        with anyio.fail_after(SECONDS):
            while True:
                self.said.append(await self.lines.receive_until(b"\n", 16 << 20))
                if (heard := json.loads(self.said[-1])).get("id") == self.last:
                    return heard

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What a tool answers: its structure, or nothing where it refuses."""
        answer = await self.ask("tools/call", {"name": tool, "arguments": arguments})
        return answer["result"].get("structuredContent") or {}

    async def generate(self, name: str, **more: Any) -> dict[str, Any]:
        """A task with one provider."""
        given: dict[str, Any] = {"model": MODELS[name], "idempotency_key": secrets.token_hex(4)}
        if name == "baicai":
            given |= {"first_image": "first.png", "last_image": "last.png", "prompt": "they meet"}
            return await self.call("generate_flf2v", **given, **more)
        if name in ("replicate", "gateway"):
            given |= {"prompt_start": "a seed", "prompt_end": "a tree"}
            return await self.call("generate_animation", **given, **more)
        return await self.call("generate_t2v", **given, prompt="a heron", **more)

    async def command(self, *arguments: str) -> None:
        """A command of its own, to its end; what it says is kept."""
        run = partial(
            subprocess.run,
            [sys.executable, "-m", "keyframe_mcp", *arguments],
            env=dict(self.variables),
            cwd=self.folder / "work",
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        done = await anyio.to_thread.run_sync(run)
        assert done.stdout or done.stderr
        number = len(list(self.folder.glob("command-*")))
        (self.folder / f"command-{number}-{arguments[0]}.out").write_bytes(done.stdout + done.stderr)

    def processes(self) -> list[psutil.Process]:
        """The server's children."""
        return psutil.Process(self.process.pid).children(recursive=True)


def environment(folder: Path, emulators: Mapping[str, Emulator]) -> dict[str, str]:
    """What whoever runs the server would set, and nothing else of this machine's."""
    found = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")}
    found |= {"KEYFRAME_OUTPUT_DIR": str(folder / "out"), "KEYFRAME_STATE_DIR": str(folder / "state")}
    found |= {"KEYFRAME_LOG_LEVEL": "debug", "KEYFRAME_ALLOW_LOOPBACK": "1"}
    for name, each in emulators.items():
        found |= {f"KEYFRAME_{name.upper()}_BASE_URL": each.base_url, PROVIDERS[name].key or "": each.key}
        found[f"KEYFRAME_{name.upper()}_SUBMITS_PER_MINUTE"] = "10000"
    return found


@asynccontextmanager
async def open_scene(folder: Path) -> AsyncGenerator[Scene]:
    """Everything started. Each provider has a key of its own; one looks different in URLs, base64 and JSON."""
    async with AsyncExitStack() as stack:
        emulators: dict[str, Emulator] = {}
        kinds = (("wavespeed", WaveSpeed), ("siliconflow", SiliconFlow), ("replicate", Replicate), ("gateway", Gateway))
        for name, kind in kinds:
            emulators[name] = await stack.enter_async_context(kind(key=canary(), pace=AT_ONCE))
        odd = "+/" + canary('%=&"\\<~')
        emulators["baicai"] = await stack.enter_async_context(Baicai(key=odd, pace=AT_ONCE))
        work = folder / "work"
        work.mkdir()
        (work / "first.png").write_bytes(results.png(number=1))
        (work / "last.png").write_bytes(results.png(number=2))
        variables = environment(folder, emulators)
        with (folder / "stderr.log").open("wb") as log:
            process = await anyio.open_process(
                [sys.executable, "-m", "keyframe_mcp"], env=variables, cwd=work, stderr=log
            )
        assert process.stdout is not None
        scene = Scene(folder, emulators, variables, process, BufferedByteReceiveStream(process.stdout))
        try:
            await scene.ask("initialize", HANDSHAKE)
            yield scene
        finally:
            with anyio.CancelScope(shield=True):
                if process.returncode is None:
                    process.kill()
                await process.aclose()


def echoes(key: str) -> list[Fault]:
    """Answers that hold the key they were asked with, in every place an answer has."""
    words = " ".join(form.decode() for form in forms(key))
    trace = {"x-siliconcloud-trace-id": key, "x-request-id": key, "set-cookie": f"session={key}", "retry-after": key}
    body = {"message": f"bad key {words}", "error": {"message": words}, "detail": f"Authorization: Bearer {key}"}
    return [
        Answer(401, body, trace),
        Answer(402, body, trace),
        Answer(400, {"code": 400, **body}, trace),
        Answer(403, f"forbidden for {key}".encode(), trace),
        Answer(500, body, trace),
        Answer(200, {"code": 400, "data": None, **body}, trace),
        Answer(200, f"<html>{words}</html>".encode(), trace),
        redirect(f"https://{key[:10]}.invalid/login?key={quote(key, safe='')}&again={key}"),
        Answer(200, {**named(key), "code": 200, "data": named(key)}, trace),
        Answer(200, {**named(f"job-{key}-7"), "code": 200, "data": named(f"job-{key}-7")}, trace),
        Reset(),
    ]


def named(job_id: str) -> dict[str, str]:
    """A job as each of the providers names it."""
    return {"id": job_id, "requestId": job_id, "taskId": job_id, "status": "starting"}


async def provoke(scene: Scene) -> None:
    """One good job with each provider, and one for every way to go wrong, at the start and later."""
    for name, provider in scene.emulators.items():
        await scene.generate(name)
        everything = echoes(provider.key)
        for fault in everything if name in ("wavespeed", "baicai") else everything[::3]:
            provider.next("submit", fault)
            await scene.generate(name)
        provider.next("check", *echoes(provider.key)[:6])
        provider.will(Fate(status="failed" if name != "baicai" else "FAILED", error=f"the key was {provider.key}"))
        await scene.generate(name)
        provider.next("upload", *echoes(provider.key)[:3])
        provider.next("quote", echoes(provider.key)[0])
        provider.next("list", Answer(200, {"code": 200, "data": {"items": [{"id": provider.key}]}}))
        await scene.generate(name)
    await use_addresses_with_the_key(scene)


async def use_addresses_with_the_key(scene: Scene) -> None:
    """A result at an address that holds the key, as often as it is asked about."""
    provider = scene.emulators["gateway"]
    provider.next("check", Changed(lambda body: signed(body, provider.key)), times=20)
    await scene.generate("gateway", wait_seconds=8)


async def use_signed_addresses(scene: Scene, signature: str) -> None:
    """A picture that is named by a signed URL, and a result that comes with one."""
    provider = scene.emulators["wavespeed"]
    there = provider.publish(results.png(number=3), results.PNG, "shot.png", 3600)
    provider.next("check", Changed(lambda body: signed(body, signature)), times=20)
    await scene.call(
        "generate_i2v",
        model="wavespeed/wan-2.1-i2v-720p",
        image=f"{there}?X-Amz-Signature={signature}",
        prompt="it turns",
        wait_seconds=8,
    )


def signed(body: Any, signature: str) -> Any:
    """A reply whose addresses of files have a signature."""
    if isinstance(body, dict):
        return {name: signed(each, signature) for name, each in body.items()}
    if isinstance(body, list):
        return [signed(each, signature) for each in body]
    is_file = isinstance(body, str) and "/files/" in body
    return f"{body}?X-Amz-Signature={signature}" if is_file else body


async def look_everywhere(scene: Scene) -> None:
    """Every tool and command that shows something."""
    running = [task["task_id"] for task in (await scene.call("list_tasks", status="running", limit=50))["tasks"]]
    await scene.call("get_task", task_ids=running, wait_seconds=8)
    tasks = (await scene.call("list_tasks", limit=100))["tasks"]
    await scene.call("get_task", task_ids=[task["task_id"] for task in tasks[:50]])
    await scene.call("list_models")
    await scene.call("list_models", model=MODELS["wavespeed"])
    made = next(task["task_id"] for task in tasks if task["status"] == "succeeded")
    await scene.call("view_video", source=made)
    await scene.call("extract_frame", source=made)
    await scene.call("join_videos", sources=[made, made])
    await scene.call("cancel_task", task_id=made)
    await scene.call("generate_t2v", prompt="no such model", model="nobody/nothing")
    for provider in scene.emulators.values():
        provider.next("balance", echoes(provider.key)[0])
        provider.next("models", echoes(provider.key)[4])
    for arguments in (["doctor"], ["models"], ["models", "--refresh"], ["task", "--json"], ["task", made, "--json"]):
        await scene.command(*arguments)
    await scene.command("generate", "t2v", "--prompt", "a pier", "--model", MODELS["siliconflow"], "--wait", "1")


async def end(scene: Scene) -> None:
    """The process is told to go while a job is running; then the rest of what it said is read."""
    provider = scene.emulators["wavespeed"]
    provider.pace = by_the_clock(0, 600)
    await scene.generate("wavespeed")
    scene.process.send_signal(signal.SIGTERM)
    with anyio.fail_after(SECONDS):
        await scene.process.wait()
    scene.said.append(scene.lines.buffer)
    (scene.folder / "stdout.jsonl").write_bytes(b"\n".join(scene.said))


async def test_no_key_is_in_anything_the_server_or_a_command_writes(tmp_path: Path):
    signature = canary()
    async with open_scene(tmp_path) as scene:
        planted = {name: provider.key for name, provider in scene.emulators.items()}
        await use_signed_addresses(scene, signature)
        await provoke(scene)
        await look_everywhere(scene)
        for process in scene.processes():
            assert not hits(json.dumps([process.cmdline(), process.environ()]).encode(), planted)
        await end(scene)

    assert (tmp_path / "stderr.log").stat().st_size > 1000, "it was to log everything"
    assert len((tmp_path / "stdout.jsonl").read_bytes()) > 10_000
    found = folder_hits(tmp_path, planted)
    assert not found, "\n".join(found)
    assert signature.encode() in (tmp_path / "state" / "tasks.db").read_bytes(), "it was used"
    logged = hits((tmp_path / "stderr.log").read_bytes(), {"signature": signature})
    assert not logged, "\n".join(logged)
    assert not [path for path in tmp_path.rglob("*") if signature in path.name]


@pytest.mark.parametrize("form", range(17))
@pytest.mark.parametrize("secret", ["sk-0123456789abcdefghij", '+/cn%=&"\\<~0123456789'])
def test_the_search_finds_a_secret_however_it_is_written(tmp_path: Path, secret: str, form: int):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "log").write_bytes(b"\x00before " + list(forms(secret))[form] + b" after")
    (found,) = folder_hits(tmp_path, {"planted": secret})
    assert found.startswith("log planted")
    assert folder_hits(tmp_path, {"other": canary()}) == []


@pytest.mark.parametrize("secret", ["sk-0123456789abcdefghij", '+/cn%=&"\\<~0123456789'])
def test_a_key_is_blanked_in_a_providers_words_however_it_is_written(secret: str):
    for number, form in enumerate(forms(secret)):
        said = form.decode("utf-16-le" if b"\0" in form else "utf-8")
        shown = cleaned(f"see {said} there, {said.upper() if number in (5, 6) else said}", secret)
        assert not hits(shown.encode(), {"planted": secret}), (number, shown)
        assert shown.startswith("see [key]"), (number, shown)


@pytest.mark.parametrize("key", ["k", "abc", "+/="])
def test_a_short_key_leaves_the_rest_of_the_words_alone(key: str):
    assert cleaned("nothing of the sort is in this", key).count("[key]") == "nothing of the sort is in this".count(key)


@pytest.mark.parametrize("before", ["", "a", "ab", "Bearer ", "user:"])
def test_the_search_finds_a_secret_inside_base64_wherever_it_begins(before: str):
    written = base64.b64encode(f"{before}sk-0123456789abcdefghij and more".encode())
    assert hits(written, {"planted": "sk-0123456789abcdefghij"})
    assert not hits(written, {"other": canary()})

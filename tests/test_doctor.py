"""Whether the doctor tells a good key from a bad one, and what it advises. It never spends anything."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType

import anyio
import anyio.to_thread
import click
import pytest

from emulators.baicai import Baicai
from emulators.faults import Answer, web_page
from emulators.gateway import Gateway
from emulators.provider import Emulator
from emulators.replicate import Replicate
from emulators.siliconflow import NO_BALANCE, SiliconFlow
from emulators.wavespeed import WaveSpeed
from keyframe_mcp import catalog as catalogs
from keyframe_mcp.catalog.entries import Provider
from keyframe_mcp.cli import allowance, equipment, reach
from keyframe_mcp.cli.doctor import keyless, next_thing
from keyframe_mcp.cli.finding import MARGIN, WIDTH, Finding, lines
from keyframe_mcp.cli.install.machines import LINUX, Machine
from keyframe_mcp.cli.install.starting import Installation
from keyframe_mcp.cli.install.work import Surroundings
from keyframe_mcp.cli.probes import Probe, probe, probe_all, unasked
from studio import settings_in
from test_cli import run

CATALOG = catalogs.load()
KEYS = {provider.key: "" for provider in CATALOG.providers.values() if provider.key}
"""Whatever keys this machine has: unset."""

SECRET = "sk-canary-0123456789"  # noqa: S105 - the word to look for


def variables(*providers: Emulator, key: str | None = None) -> dict[str, str]:
    """What whoever runs the server would set to use these."""
    found = dict(KEYS)
    for each in providers:
        found[f"KEYFRAME_{each.name.upper()}_BASE_URL"] = each.base_url
        found[CATALOG.providers[each.name].key or ""] = each.key if key is None else key
    return found


async def probed(
    folder: Path, provider: Emulator, more: Mapping[str, str] = MappingProxyType({}), entry: Provider | None = None
) -> Probe:
    settings = settings_in(folder, **(variables(provider) | dict(more)))
    return await probe(provider.name, entry or CATALOG.providers[provider.name], settings)


async def doctor(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The whole command, beside the providers of this event loop."""
    return await anyio.to_thread.run_sync(partial(run, folder, "doctor", *arguments, **(KEYS | more)))


async def test_every_good_key_is_found_good_at_its_host_and_nothing_is_started(tmp_path: Path):
    async with AsyncExitStack() as stack:
        emulators = [WaveSpeed(), SiliconFlow(), Baicai(), Replicate(), Gateway()]
        for each in emulators:
            await stack.enter_async_context(each)
        found = await probe_all(CATALOG, settings_in(tmp_path, **variables(*emulators)))

        assert list(found) == sorted(CATALOG.providers.keys() - {"local"})
        for each in emulators:
            told = found[each.name]
            assert told.ok is True, told
            assert f"{each.base_url}: the key is accepted" in told.found
            assert not told.advice
            assert (each.jobs, each.uploads, each.asked("submit")) == ([], [], [])
            assert len(each.requests) == 1


async def test_a_balance_is_told_where_the_provider_tells_it(tmp_path: Path):
    async with WaveSpeed() as provider:
        provider.balance = 12.5

        assert "balance $12.50" in (await probed(tmp_path, provider)).found


async def test_without_any_key_nobody_is_asked_and_nothing_is_wrong(tmp_path: Path):
    async with WaveSpeed() as provider:
        moved = {"KEYFRAME_WAVESPEED_BASE_URL": provider.base_url}
        found = await probe_all(CATALOG, settings_in(tmp_path, **(KEYS | moved)))

        assert {told.ok for told in found.values()} == {None}
        assert found["wavespeed"].advice.startswith("set WAVESPEED_API_KEY, from https://")
        assert not provider.requests


@pytest.mark.parametrize("emulator", [WaveSpeed, SiliconFlow, Baicai, Replicate, Gateway])
async def test_a_wrong_key_is_found_wrong_and_not_repeated(tmp_path: Path, emulator: type[Emulator]):
    entry = CATALOG.providers[emulator.name].model_copy(update={"hosts": {}})
    async with emulator() as provider:
        wrong = {entry.key or "": SECRET}
        told = await probed(tmp_path, provider, wrong, entry)

        assert told.ok is False
        assert "refused the key" in told.found
        assert f"127.0.0.1:{provider.port}" in told.found
        assert told.advice == f"check {entry.key}"
        assert "canary" not in str(told)
        assert not provider.jobs


async def test_a_key_of_the_sister_site_is_told_where_it_belongs(tmp_path: Path):
    async with SiliconFlow(key="of-china") as china, SiliconFlow(key="of-the-world") as world:
        entry = sisters(china, world)
        told = await probed(tmp_path, china, {"SILICONFLOW_API_KEY": "of-the-world"}, entry)

        assert told.ok is False
        assert told.found == f"{china.base_url} refuses the key; {world.base_url} (world) takes it"
        assert told.advice == f"set KEYFRAME_SILICONFLOW_BASE_URL={world.base_url}"
        assert (china.jobs, world.jobs) == ([], [])

        moved = {"KEYFRAME_SILICONFLOW_BASE_URL": world.base_url, "SILICONFLOW_API_KEY": "of-the-world"}
        assert (await probed(tmp_path, china, moved, entry)).ok is True


async def test_a_key_no_sister_site_takes_is_to_be_checked(tmp_path: Path):
    async with SiliconFlow(key="of-china") as china, SiliconFlow(key="of-the-world") as world:
        told = await probed(tmp_path, china, {"SILICONFLOW_API_KEY": SECRET}, sisters(china, world))

        assert told.ok is False
        assert f"{world.base_url} refused it too" in told.found
        assert told.advice == "check SILICONFLOW_API_KEY"
        assert "canary" not in str(told)


async def test_a_sister_site_that_does_not_answer_is_not_said_to_refuse(tmp_path: Path):
    async with SiliconFlow(key="of-the-world") as world:
        pass
    async with SiliconFlow(key="of-china") as china:
        told = await probed(tmp_path, china, {"SILICONFLOW_API_KEY": SECRET}, sisters(china, world))

        assert told.ok is False
        assert "refused it too" not in told.found
        assert f"{world.base_url} could not be asked" in told.found


def sisters(china: SiliconFlow, world: SiliconFlow) -> Provider:
    """A provider with two sites, whose accounts are strangers to each other."""
    hosts = {"china": china.base_url, "world": world.base_url}
    return CATALOG.providers["siliconflow"].model_copy(update={"base_url": china.base_url, "hosts": hosts})


async def test_a_host_nobody_answers_at_is_in_trouble_and_the_key_is_not_blamed(tmp_path: Path):
    async with WaveSpeed() as provider:
        pass
    told = await probed(tmp_path, provider)

    assert told.ok is False
    assert f"127.0.0.1:{provider.port}" in told.found
    assert "did not answer" in told.found
    assert "key" not in told.found


@pytest.mark.parametrize(
    ("status", "advice"), [(200, "check KEYFRAME_{}_BASE_URL"), (404, "check KEYFRAME_{}_BASE_URL"), (502, "try again")]
)
@pytest.mark.parametrize("emulator", [WaveSpeed, SiliconFlow])
async def test_a_page_for_people_is_no_sign_of_a_good_key(
    tmp_path: Path, emulator: type[Emulator], status: int, advice: str
):
    kind = "balance" if emulator is WaveSpeed else "check"
    async with emulator() as provider:
        provider.next(kind, web_page(status))
        told = await probed(tmp_path, provider)

        assert told.ok is False
        assert f"127.0.0.1:{provider.port}" in told.found
        assert advice.format(provider.name.upper()) in told.advice


@pytest.mark.parametrize("emulator", [WaveSpeed, SiliconFlow, Replicate, Gateway])
async def test_a_host_that_is_right_up_to_its_path_is_told_from_the_right_one(tmp_path: Path, emulator: type[Emulator]):
    async with emulator() as provider:
        moved = {f"KEYFRAME_{provider.name.upper()}_BASE_URL": f"{provider.url}/api/v3"}
        told = await probed(tmp_path, provider, moved)

        assert told.ok is False, told
        assert "answered HTTP 40" in told.found
        assert f"check KEYFRAME_{provider.name.upper()}_BASE_URL" in told.advice


async def test_an_empty_account_has_a_good_key(tmp_path: Path):
    async with SiliconFlow() as provider:
        provider.next("check", NO_BALANCE)
        told = await probed(tmp_path, provider)

        assert told.ok is False
        assert "balance is insufficient" in told.found
        assert told.advice == "the key is good; top the account up"


async def test_a_provider_that_is_busy_has_not_refused_the_key(tmp_path: Path):
    async with WaveSpeed() as provider:
        provider.limit("balance", retry_after=3)
        told = await probed(tmp_path, provider)

        assert told.ok is False
        assert "refused the key" not in told.found
        assert "try again" in told.advice


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"KEYFRAME_WAVESPEED_BASE_URL": "http://api.wavespeed.test"}, "KEYFRAME_WAVESPEED_BASE_URL"),
        ({"WAVESPEED_API_KEY": f"Bearer {SECRET}"}, "WAVESPEED_API_KEY holds a character"),
    ],
)
async def test_a_setting_that_cannot_be_used_is_named_and_nobody_is_asked(
    tmp_path: Path, more: dict[str, str], words: str
):
    async with WaveSpeed() as provider:
        told = await probed(tmp_path, provider, more)

        assert told.ok is False
        assert words in told.found
        assert "correct" in told.advice
        assert "canary" not in str(told)
        assert not provider.requests


async def test_the_whole_command_finds_a_good_key_good(tmp_path: Path):
    async with WaveSpeed() as provider:
        done = await doctor(tmp_path, **variables(provider))

        assert done.returncode == 0, done.stdout + done.stderr
        assert f"ok  wavespeed         {provider.base_url}: the key is accepted" in done.stdout
        assert "no key; set SILICONFLOW_API_KEY" in done.stdout
        assert "All well" in done.stdout
        # the variable that moves a provider is a setting like any other
        assert "means nothing" not in done.stdout + done.stderr
        assert not provider.jobs


async def test_the_whole_command_says_what_to_mend_and_shows_no_key(tmp_path: Path):
    async with SiliconFlow(key="of-china") as china, SiliconFlow(key=SECRET) as world:
        mine = tmp_path / "catalogue"
        mine.mkdir()
        entry = sisters(china, world)
        hosts = "\n".join(f'{label} = "{url}"' for label, url in entry.hosts.items())
        (mine / "siliconflow.toml").write_text(
            f'name = "{entry.name}"\ndialect = "siliconflow"\nbase_url = "{china.base_url}"\ndocs = "-"\n'
            f'key = "SILICONFLOW_API_KEY"\nmodels = []\n[hosts]\n{hosts}\n'
        )
        chosen = {"KEYFRAME_CATALOG_DIR": str(mine), "SILICONFLOW_API_KEY": SECRET}
        done, as_json = await doctor(tmp_path, **chosen), await doctor(tmp_path, "--json", **chosen)

        assert (done.returncode, as_json.returncode) == (3, 3)
        assert f"!!  siliconflow       {china.base_url} refuses the key" in done.stdout
        assert f"set KEYFRAME_SILICONFLOW_BASE_URL={world.base_url}" in done.stdout
        assert "Mend what is marked !!" in done.stdout
        (finding,) = [each for each in json.loads(as_json.stdout) if each["about"] == "siliconflow"]
        assert finding["ok"] is False
        assert finding["advice"] == f"set KEYFRAME_SILICONFLOW_BASE_URL={world.base_url}"
        for text in (done.stdout, done.stderr, as_json.stdout, as_json.stderr):
            assert "canary" not in text
        assert (china.jobs, world.jobs) == ([], [])


async def test_a_provider_in_trouble_is_said_to_be_and_the_rest_is_examined(tmp_path: Path):
    async with Replicate() as provider, WaveSpeed() as other:
        provider.next("list", Answer(503, {"detail": "maintenance"}))
        done = await doctor(tmp_path, "--json", **variables(provider, other))

        found = {each["about"]: each for each in json.loads(done.stdout)}
        assert done.returncode == 3
        assert found["replicate"]["ok"] is False
        assert "maintenance" in found["replicate"]["found"]
        assert found["wavespeed"]["ok"] is True


@pytest.mark.parametrize("command", ["task", "models"])
async def test_every_command_tells_a_host_that_can_be_set_from_one_that_cannot(tmp_path: Path, command: str):
    hosts = {"KEYFRAME_WAVESPEED_BASE_URL": "https://host.test", "KEYFRAME_WAVESPED_BASE_URL": "https://host.test"}
    done = await anyio.to_thread.run_sync(partial(run, tmp_path, command, **(KEYS | hosts)))

    assert done.returncode == 0
    assert done.stderr.count("means nothing") == 1
    assert "KEYFRAME_WAVESPED_BASE_URL means nothing; KEYFRAME_WAVESPEED_BASE_URL does" in done.stderr


async def test_the_budget_and_what_each_provider_is_given_are_shown(tmp_path: Path):
    async with WaveSpeed() as provider:
        chosen = {"KEYFRAME_BUDGET_USD_PER_DAY": "5", "KEYFRAME_BUDGET_USD_PER_TASK": "1.5"}
        limits = {"KEYFRAME_WAVESPEED_AT_ONCE": "7", "KEYFRAME_WAVESPEED_SUBMITS_PER_MINUTE": "0"}
        done = await doctor(tmp_path, "--json", **variables(provider), **chosen, **limits)

        found = {each["about"]: each["found"] for each in json.loads(done.stdout)}
        assert "$1.5 a video; $5 a day, $5 left; $0 counted today (UTC)" in found["budget"]
        assert "videos without a known price are refused" in found["budget"]
        assert found["wavespeed takes"].startswith("7 jobs at once (KEYFRAME_WAVESPEED_AT_ONCE")
        assert "replicate takes" not in found


async def test_without_a_limit_the_doctor_says_so(tmp_path: Path):
    done = await doctor(tmp_path, "--json")

    (budget,) = [each for each in json.loads(done.stdout) if each["about"] == "budget"]
    assert budget["ok"] is None
    assert budget["found"] == "no limit is set; $0 counted today (UTC)"
    assert "KEYFRAME_BUDGET_USD_PER_TASK=1" in budget["advice"]
    assert "ok  budget" not in (await doctor(tmp_path)).stdout


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (
            {"PER_TASK": "1", "UNPRICED": "2"},
            "UNPRICED_USD ($2) is more than KEYFRAME_BUDGET_USD_PER_TASK ($1): videos",
        ),
        ({"UNPRICED": "2"}, "KEYFRAME_BUDGET_UNPRICED_USD limits nothing by itself"),
        ({"PER_TASK": "9", "PER_DAY": "5"}, "PER_TASK ($9) is more than KEYFRAME_BUDGET_USD_PER_DAY ($5)"),
    ],
)
def test_amounts_that_do_not_go_together_are_pointed_out(tmp_path: Path, limits: dict[str, str], words: str):
    names = {"UNPRICED": "KEYFRAME_BUDGET_UNPRICED_USD"}
    given = {names.get(name, f"KEYFRAME_BUDGET_USD_{name}"): usd for name, usd in limits.items()}
    budget, *notes = allowance.spending(settings_in(tmp_path, **given))

    assert budget.ok is not False
    assert [note.ok for note in notes] == [None]
    assert words in notes[0].found


async def test_large_and_small_amounts_are_written_out(tmp_path: Path):
    done = await doctor(tmp_path, KEYFRAME_BUDGET_USD_PER_DAY="12345678", KEYFRAME_BUDGET_USD_PER_TASK="0.00005")

    assert "$0.00005 a video; $12,345,678 a day, $12,345,678 left" in done.stdout


async def test_a_bad_limit_is_named_before_anything_is_examined(tmp_path: Path):
    done = await doctor(tmp_path, KEYFRAME_WAVESPEED_AT_ONCE="many", KEYFRAME_BUDGET_USD_PER_DAY="nan")

    assert done.returncode == 3
    lines = done.stderr.splitlines()
    for words in ("KEYFRAME_WAVESPEED_AT_ONCE=many", "KEYFRAME_BUDGET_USD_PER_DAY=nan"):
        assert len([line for line in lines if line.strip().startswith(words)]) == 1


def screen(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines of a screen."""
    shown = done.stdout.splitlines()
    # a path is never broken, since people copy it, and those of tests can be long
    assert [each for each in shown if len(each) > WIDTH and len(max(each.split(), key=len)) < WIDTH - MARGIN] == []
    assert "\x1b" not in done.stdout, "it is not a terminal"
    return shown


def home(folder: Path, **files: object) -> dict[str, str]:
    """A home folder with nothing in it but these files of hosts."""
    for name, content in files.items():
        path = folder / "home" / {"cursor": ".cursor/mcp.json", "claude": ".claude.json"}[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    (folder / "home").mkdir(exist_ok=True)
    return {"HOME": str(folder / "home"), "USERPROFILE": str(folder / "home"), "XDG_CONFIG_HOME": "", "PATH": ""}


async def test_a_newcomer_without_a_key_sees_one_screen_and_what_to_do_next(tmp_path: Path):
    done = await doctor(tmp_path, **home(tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(screen(done)) <= 24
    last = " ".join(done.stdout.split("\n\n")[-1].split())
    assert last.startswith("All well. Next: keyframe-mcp demo")
    assert "WAVESPEED_API_KEY (from https://wavespeed.ai/accesskey)" in last


async def test_five_keys_and_their_hosts_fit_on_a_screen_that_shows_no_key(tmp_path: Path):
    async with AsyncExitStack() as stack:
        emulators = [WaveSpeed(), SiliconFlow(), Baicai(), Replicate(), Gateway()]
        for each in emulators:
            await stack.enter_async_context(each)
        done = await doctor(tmp_path, **variables(*emulators), **home(tmp_path))

        assert done.returncode == 0, done.stdout
        assert len(screen(done)) <= 34
        for each in emulators:
            assert each.key not in done.stdout
            assert len(each.requests) == 1
        assert f"{len(emulators[0].key)} characters, 0." in done.stdout
        assert "Next: keyframe-mcp install" in done.stdout


async def test_without_a_network_nobody_is_asked(tmp_path: Path):
    async with WaveSpeed() as provider:
        found = unasked(CATALOG, settings_in(tmp_path, **variables(provider)))

        assert found["wavespeed"].ok is None
        assert found["wavespeed"].found == f"{provider.base_url}: not asked; a key of {len(provider.key)} characters"
        assert found["siliconflow"] == Probe("no key", ok=None, advice="set SILICONFLOW_API_KEY")
        assert not provider.requests


async def test_a_host_that_takes_a_call_and_never_answers_does_not_hold_the_doctor_up(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections are made by the system, and nobody reads
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        given = KEYS | {"WAVESPEED_API_KEY": SECRET, "KEYFRAME_WAVESPEED_BASE_URL": host}
        with anyio.fail_after(5):
            found = await probe_all(CATALOG, settings_in(tmp_path, **given), seconds=0.3)

    assert found["wavespeed"].ok is False
    assert found["wavespeed"].found == "no telling within 0.3 s"
    assert found["siliconflow"].found == "no key"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "no callbacks: no provider with a key makes them"),
        ({"SILICONFLOW_API_KEY": SECRET}, "no callbacks: no provider with a key makes them"),
        ({"WAVESPEED_API_KEY": SECRET, "REPLICATE_API_TOKEN": SECRET}, "callbacks from replicate, wavespeed"),
    ],
)
def test_who_may_come_in_over_http_and_who_calls_back_is_told_and_no_token(
    tmp_path: Path, more: dict[str, str], words: str
):
    given = {"KEYFRAME_PUBLIC_URL": "https://mcp.example.com", "KEYFRAME_AUTH_TOKENS": f"ann:{SECRET},bob:{SECRET}2"}
    told = reach.over_http(settings_in(tmp_path, **KEYS | given | more), CATALOG)

    assert told.ok is True
    assert told.found == f"https://mcp.example.com; tokens of ann, bob; {words}"


def test_a_server_that_nobody_else_reaches_is_a_mere_fact(tmp_path: Path):
    assert reach.over_http(settings_in(tmp_path), CATALOG).ok is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"KEYFRAME_OAUTH_ISSUER": "https://id.example.com"}, "OAuth is half set up: set KEYFRAME_OAUTH_JWKS_URL too"),
        ({"KEYFRAME_PUBLIC_URL": "https://mcp.example.com"}, "no sign-in: set KEYFRAME_AUTH_TOKENS=name:TOKEN"),
        ({"KEYFRAME_AUTH_TOKENS": "ann:short"}, "the token of ann must have 20 or more printable characters"),
    ],
)
def test_what_is_half_set_up_for_others_is_named(tmp_path: Path, given: dict[str, str], words: str):
    told = reach.over_http(settings_in(tmp_path, **given), CATALOG)

    assert told.ok is False
    assert words in told.found


def machine(folder: Path) -> Surroundings:
    """A machine whose home is empty but for what a test put there."""
    installation = replace(Installation.here(), found=lambda _: None)
    project = folder / "project"
    project.mkdir(exist_ok=True)
    return Surroundings(
        Machine(LINUX, folder / "home", {}), project, installation, (), (), datetime(2026, 1, 1, tzinfo=UTC)
    )


def test_hosts_that_start_this_server_are_told_from_those_that_do_not(tmp_path: Path):
    home(tmp_path)
    assert reach.hosts(machine(tmp_path)).found == "none that is known was found on this machine"

    home(tmp_path, cursor={"mcpServers": {"another": {}}})
    told = reach.hosts(machine(tmp_path))
    assert (told.ok, told.found) == (None, "found, without keyframe: cursor")
    assert told.advice == "run: keyframe-mcp install cursor"

    home(tmp_path, claude={"projects": {str(tmp_path / "project"): {"mcpServers": {"keyframe": {}}}}})
    told = reach.hosts(machine(tmp_path))
    assert (told.ok, told.found) == (True, "keyframe is in Claude Code; not in cursor")


def test_a_broken_file_of_a_host_is_marked_once_and_its_host_is_not_offered(tmp_path: Path):
    home(tmp_path, cursor={})
    here = machine(tmp_path)
    (tmp_path / "home" / ".cursor" / "mcp.json").write_text("{,}")
    (tmp_path / "project" / ".mcp.json").write_text("nothing")  # both Claude Code and Copilot CLI read it

    one, other = reach.broken_files(here)

    assert (one.ok, other.ok) == (False, False)
    assert ".mcp.json, line 1" in one.found
    assert "mcp.json, line 1, column 2" in other.found
    assert "Nothing was changed" not in one.found + other.found
    assert reach.hosts(here).found == "none that is known was found on this machine"


@pytest.mark.parametrize(
    ("entry", "is_told"),
    [
        ({"command": "k"}, True),
        ({"command": "k", "env": {"WAVESPEED_API_KEY": "${env:WAVESPEED_API_KEY}"}}, False),
        ({"url": "https://k.example/mcp"}, False),
    ],
)
def test_a_key_of_this_shell_that_a_host_does_not_hand_on_is_named(
    tmp_path: Path, entry: dict[str, object], is_told: bool
):
    home(tmp_path, cursor={"mcpServers": {"keyframe": entry}})
    shell = {"WAVESPEED_API_KEY": SECRET}
    here = replace(machine(tmp_path), machine=Machine(LINUX, tmp_path / "home", shell), keys=tuple(KEYS))

    told = reach.hosts(here)

    lacking = "; Cursor does not hand on WAVESPEED_API_KEY, which this shell has" if is_told else ""
    assert (told.ok, told.found) == (True, f"keyframe is in Cursor{lacking}")


def test_a_folder_to_read_that_is_not_there_is_said(tmp_path: Path):
    gone, out = tmp_path / "Picturse", tmp_path / "out"

    told = equipment.readable((tmp_path, gone, out), out)

    assert (told.ok, told.found) == (False, f"not there: {gone}")
    assert "KEYFRAME_ALLOWED_DIRS" in told.advice
    assert equipment.readable((tmp_path, out), out).ok is None


IN_A_HOST = Finding("hosts", "keyframe is in Cursor", ok=True)
NO_HOST = Finding("hosts", "found, without keyframe: cursor")


@pytest.mark.parametrize(
    ("findings", "to_get", "words"),
    [
        ([IN_A_HOST], None, "All well. Next: tell your agent: make a 5 second video of"),
        ([NO_HOST], None, "All well. Next: keyframe-mcp install"),
        ([IN_A_HOST], CATALOG.providers["siliconflow"], "for AI video, set SILICONFLOW_API_KEY."),
        (
            [IN_A_HOST, Finding("codec", "none", ok=False, advice="do so")],
            None,
            "Mend what is marked !!, first codec: do so",
        ),
        ([Finding("codec", "none", ok=False)], CATALOG.providers["siliconflow"], "first codec. Then run this again."),
    ],
)
def test_the_next_thing_to_do_is_one_sentence(findings: list[Finding], to_get: Provider | None, words: str):
    assert words in next_thing(findings, to_get)


def test_a_key_is_advised_only_where_there_is_none(tmp_path: Path):
    advised = keyless(settings_in(tmp_path, **KEYS), CATALOG)

    assert advised is CATALOG.providers["wavespeed"]
    assert keyless(settings_in(tmp_path, **KEYS | {"GATEWAY_API_KEY": SECRET}), CATALOG) is None


def test_codec_libraries_that_cannot_be_loaded_are_said_to_be_broken():
    (finding,) = equipment.libraries({}, module="keyframe_mcp.media.no_such_module")

    assert (finding.about, finding.ok) == ("codec", False)
    assert "No module named" in finding.found


def test_without_opencv_it_is_said_what_is_lost_and_how_to_have_it():
    told = equipment.motion(None)

    assert told.ok is None
    assert "dissolves" in told.found
    assert shlex.split(told.advice)[-1] == "keyframe-mcp[local]"


def test_a_mark_has_a_colour_and_reads_as_well_without_it():
    (line,) = lines(Finding("codec", "none", ok=False))

    assert line != click.unstyle(line)
    assert click.unstyle(line) == "!!  codec             none"


def test_advice_that_does_not_fit_beside_stands_below_and_an_address_is_not_broken():
    address = "https://example.com/" + "x" * WIDTH
    first, second, *more = lines(Finding("host", "a sentence", advice=f"see {address}"))

    assert first.endswith("host              a sentence")
    assert "".join([second, *more]).split() == ["see", address]
